"""Which lines of a configuration file hold values of variables, and how to quote them without those values.

Decided from the text alone, so that it also holds for a file that is no YAML.
"""

import re

_DASH = re.compile(r"-\s+|\{\s*")
_SECTION = re.compile(
    r"[\"']?(?:env\w{0,40}|environment[\w-]{0,40}|variables|vars|secrets?)[\"']?\s*:(?=\s|\Z)", re.IGNORECASE
)
_VALUE = re.compile(r"[\"']?value[\w-]{0,40}[\"']?\s*:", re.IGNORECASE)
_NAMED = re.compile(r"(?:name|key)\s*:\s*[\w.-]{0,60}(?=[\s,}]|\Z)", re.IGNORECASE)
_NAME = re.compile(r"([\"']?[A-Za-z_][\w.-]{0,60}[\"']?)(\s*[:=])?")
_LOOKED_AT = 200
"""Characters of a line's beginning; what decides stands there."""


def private_lines(lines: tuple[str, ...]) -> frozenset[int]:
    """Numbers (from 1) of the lines in which a value of a variable or secret may stand."""
    found: set[int] = set()
    depth: int | None = None
    for number, line in enumerate(lines, 1):
        body = line.lstrip()
        indent = len(line) - len(body)
        if depth is not None and body and not (indent > depth or (indent == depth and body.startswith("-"))):
            depth = None
        entry = body[_opening(body) :][:_LOOKED_AT]
        if depth is None and _SECTION.match(entry):
            depth = indent
            found.add(number)
        elif depth is not None or _VALUE.match(entry):
            found.add(number)
    return frozenset(found)


def without_value(line: str) -> str:
    """The line as far as its name: `- name: TOKEN`, `value: …`, `TOKEN= …`."""
    body = line.lstrip()
    cut = len(line) - len(body) + _opening(body)
    before, entry = line[:cut], line[cut:][:_LOOKED_AT].rstrip()
    named = _NAMED.match(entry)
    if named:
        return before + named.group() + (" …" if entry[named.end() :].strip() else "")
    name = _NAME.match(entry)
    if name is None:
        return f"{before}…" if entry else line
    if not entry[name.end() :].strip() and name.group(2):
        return before + name.group()
    return f"{before}{name.group()} …" if name.group(2) else f"{before}…"


def _opening(body: str) -> int:
    """Where an entry's first key begins: after its dash and its brace."""
    at = 0
    while match := _DASH.match(body, at, at + _LOOKED_AT):
        at = match.end()
        if at > _LOOKED_AT:
            break
    return at
