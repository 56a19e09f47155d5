"""The tree of an apprunner.yaml as a flat table: every value under the key where it belongs."""

import re
from typing import Any

from engine.build.findings import Findings, shown
from engine.build.keys import COMMAND_LISTS, EXAMPLES, SECTIONS, Path, dotted, elsewhere, likely, nested, place, squash
from engine.build.shell_text import logical_lines
from engine.build.yaml_nodes import Fields, Items, Node, Text
from engine.model.base import Value

_MAX_SHOWN = 2000
"""Characters of one value in a hint."""
_HOLDERS = frozenset(
    {"env", "envs", "environment", "environmentvariables", "envvars", "variables", "vars", "secret", "secrets"}
)
"""Squashed keys under which variables or secrets stand."""
_SHORTHAND: dict[Path, Path] = {("run",): ("run", "command"), ("run", "network"): ("run", "network", "port")}
"""Sections that people write as the one value that matters in them."""


class Leaf(Value, frozen=True, kw_only=True):
    """A value of the file and where it stands."""

    path: Path
    node: Node
    line: int
    """Of its key."""

    @property
    def key(self) -> str:
        return dotted(self.path)


Leaves = dict[Path, Leaf]


def leaves_of(root: Node, findings: Findings) -> Leaves:
    """All values by their canonical path. What is out of place, twice there or unknown goes to `findings`."""
    leaves: Leaves = {}
    if not isinstance(root, Fields):
        what = "is empty" if isinstance(root, Text) and root.null else f"is {kind_of(root)}"
        findings.refuse(
            0, f"the file {what}; it must be a mapping with version, runtime, build and run", fix=EXAMPLES[()]
        )
    elif not any(_known(key.value) for key, _ in root.entries):
        found = ", ".join(key.value[:40] for key, _ in root.entries[:5]) or "nothing"
        findings.refuse(
            root.line,
            f"this is no App Runner configuration: its keys must be version, runtime, build and run, found was {found}",
            fix=EXAMPLES[()],
        )
    else:
        _walk((), root, leaves, findings)
    return leaves


def kind_of(node: Node) -> str:
    """What a node is, for a sentence."""
    match node:
        case Text() if node.null:
            return "empty"
        case Text():
            return f"the text {shown(node.value)}" if not _is_number(node) else f"the number {node.value}"
        case Items():
            return "a list"
        case Fields():
            return "a mapping"


def plain(node: Node) -> Any:
    """A node as plain data for a hint. The values of variables are left out: they may be secret."""
    match node:
        case Text():
            short = node.value[:_MAX_SHOWN]
            return int(short) if node.plain and short.isascii() and short.isdecimal() and len(short) < 10 else short
        case Items():
            return [plain(item) for item in node.items[:20]]
        case Fields():
            return {
                key.value: hidden(value) if squash(key.value) in _HOLDERS else plain(value)
                for key, value in node.entries[:20]
            }


def hidden(node: Node) -> Any:
    """Variables or secrets as plain data for a hint: their names alone."""
    match node:
        case Text():
            return plain(node) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,60}", node.value) else "APP_PORT"
        case Items():
            return [{"name": name, "value": "…"} for item in node.items[:20] for name in _names(item)]
        case Fields():
            return [{"name": key.value, "value": "…"} for key, _ in node.entries[:20]]


def _names(item: Node) -> list[str]:
    if isinstance(item, Text):
        return [item.value.split("=")[0].split()[0]] if item.value.split("=")[0].strip() else []
    if not isinstance(item, Fields):
        return []
    named = [v.value for k, v in item.entries if squash(k.value) in ("name", "key") and isinstance(v, Text)]
    return named or [key.value for key, _ in item.entries if squash(key.value) not in ("value", "valuefrom")]


def _is_number(node: Text) -> bool:
    return node.value.isascii() and node.value.isdecimal() and len(node.value) < 10


def _known(key: str) -> bool:
    spot = place((), key)
    return spot is not None and spot.path != ("version",)


def _walk(section: Path, fields: Fields, leaves: Leaves, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for key, node in fields.entries:
        name = key.value
        full = dotted((*section, name[:60]))
        if name in seen:
            findings.refuse(
                key.line, f"{full} is given twice, here and in line {seen[name]}; keep one of them", advice=_drop(full)
            )
            continue
        seen[name] = key.line
        spot = place(section, name)
        if spot is None or (findings.strict and spot.path == ("build", "dockerfile")):  # ours, not App Runner's
            _unknown(section, key, findings)
            continue
        if not spot.exact and not findings.understand(
            key.line,
            f"{full} is not a key of an apprunner.yaml",
            meant=f"it is read as {dotted(spot.path)}",
            allowed=f"the key is {dotted(spot.path)}",
            fix=_fix(spot.path, node),
        ):
            continue
        _put(spot.path, key.line, node, leaves, findings)


def _put(path: Path, line: int, node: Node, leaves: Leaves, findings: Findings) -> None:
    if path in SECTIONS:
        _section(path, line, node, leaves, findings)
    elif path in leaves:
        findings.refuse(
            line,
            f"{dotted(path)} is given twice, here and in line {leaves[path].line}; keep one",
            advice=f"Keep one {dotted(path)}.",
        )
    else:
        leaves[path] = Leaf(path=path, node=node, line=line)


def _section(path: Path, line: int, node: Node, leaves: Leaves, findings: Findings) -> None:
    keys = ", ".join(SECTIONS[path])
    name = dotted(path)
    if isinstance(node, Fields):
        _walk(path, node, leaves, findings)
    elif isinstance(node, Text) and node.null:
        findings.notice(line, f"{name} is empty and counts as not given.")
    elif isinstance(node, Text) and path in _SHORTHAND and (path == ("run",) or _is_number(node)):
        meant = _SHORTHAND[path]
        if findings.understand(
            line,
            f"{name} is {kind_of(node)}",
            meant=f"it is read as {dotted(meant)}",
            allowed=f"it must be a mapping with {keys}",
            fix=nested(meant, plain(node)),
        ):
            _put(meant, line, node, leaves, findings)
    else:
        findings.refuse(
            line, f"{name} is {kind_of(node)}; it must be a mapping with {keys}", fix=_section_fix(path, node)
        )


def _section_fix(path: Path, node: Node) -> dict[str, Any]:
    """The section as it was probably meant."""
    commands = {("build",): ("build", "commands", "build"), ("build", "commands"): ("build", "commands", "build")}
    if path in commands and isinstance(node, Text):
        return nested(commands[path], [*logical_lines(node.value[:_MAX_SHOWN])])
    if path in commands and isinstance(node, Items) and all(isinstance(item, Text) for item in node.items):
        return nested(commands[path], plain(node))
    if isinstance(node, Items) and node.items and all(isinstance(item, Fields) for item in node.items):
        merged: dict[str, Any] = {}
        for item in plain(node):
            merged.update(item)
        if set(merged) <= set(SECTIONS[path]):
            return nested(path, merged)
    return EXAMPLES[path]


def _unknown(section: Path, key: Text, findings: Findings) -> None:
    full = dotted((*section, key.value[:60]))
    allowed = ", ".join(SECTIONS[section])
    inside = f" under {dotted(section)}" if section else ""
    away, near = elsewhere(key.value), likely(section, key.value)
    if away:
        said = f"{full} is not a key of an apprunner.yaml; {away}"
        findings.refuse(key.line, said, advice=_drop(full))
    elif near:
        said = f"{full} is not a key of an apprunner.yaml; did you mean {near}? Allowed{inside} are {allowed}"
        findings.refuse(key.line, said, advice=f"Write {near} instead of {key.value[:60]}.")
    else:
        findings.refuse(
            key.line,
            f"{full} is not a key of an apprunner.yaml; allowed{inside} are {allowed}",
            fix=EXAMPLES[section],
            advice=_drop(full),
        )


def _fix(path: Path, node: Node) -> dict[str, Any]:
    data = hidden(node) if path[-1] in _HOLDERS else plain(node)
    if path in COMMAND_LISTS and isinstance(node, Text):
        data = [*logical_lines(node.value[:_MAX_SHOWN])]
    if path in SECTIONS and not isinstance(data, dict):
        return EXAMPLES[path]
    return nested(path, data)


def _drop(name: str) -> str:
    return f"Remove {name}."
