"""Reading the values of an apprunner.yaml: commands, variables, secrets, names and numbers."""

import re
import shlex
from typing import Any

from engine.build.command import MAX_COMMAND
from engine.build.config_tree import Leaf, kind_of, plain
from engine.build.environment import MAX_VALUE, name_problem
from engine.build.findings import Findings, shown
from engine.build.keys import nested, squash
from engine.build.shell_text import logical_lines
from engine.build.yaml_nodes import Fields, Node, Text

_TEMPLATE = re.compile(r"<<[A-Za-z_][\w.-]{0,60}>>|\A\s*(?:\$\{\{[^{}\n]{1,60}\}\}|<[A-Z][A-Z0-9_ -]{1,60}>)\s*\Z")
_CONTROL = re.compile(
    r"(?:\A|[;&|]\s*)(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|function|[{}()])(?=[\s;]|\Z)|<<|(?:&&|\|\||\|)\Z"
)
_MAX_COMMANDS = 200
"""In one phase. App Runner makes an image layer of each, of which there can be 127."""
_NOT_A_COMMAND = frozenset({"name", "run", "command", "cmd", "script", "commands"})

Variables = dict[str, str]


def text_of(leaf: Leaf, findings: Findings, *, example: Any) -> str | None:
    """A single value's source text; None when it is missing or was refused."""
    node = leaf.node
    if isinstance(node, Text):
        if node.null:
            return None
        if _unfilled(node, leaf.key, findings):
            return None
        return node.value
    findings.refuse(
        leaf.line, f"{leaf.key} is {kind_of(node)}; it must be a single value", fix=nested(leaf.path, example)
    )
    return None


def port_of(leaf: Leaf, findings: Findings, default: int) -> int:
    """A port; `default` when nothing is given or it was refused."""
    text = text_of(leaf, findings, example=default)
    if text is None:
        if isinstance(leaf.node, Text) and leaf.node.null:
            findings.notice(leaf.line, f"{leaf.key} is empty, so the port is {default}.")
        return default
    port = port_number(text)
    if port is None:
        findings.refuse(
            leaf.line,
            f"{leaf.key} is {shown(text)}; it must be a whole number from 1 to 65535",
            fix=nested(leaf.path, default),
        )
        return default
    return port


def port_number(text: str) -> int | None:
    """A port written in decimal digits, 1..65535; None for anything else."""
    if not re.fullmatch(r"[0-9]{1,5}", text):
        return None
    return int(text) if 1 <= int(text) <= 65535 else None


def commands_of(leaf: Leaf, document: str, findings: Findings) -> tuple[str, ...]:
    """A phase's commands, in order."""
    commands = _commands(leaf, document, findings)
    if len(commands) > _MAX_COMMANDS:
        findings.refuse(leaf.line, f"{leaf.key} has {len(commands)} commands; at most {_MAX_COMMANDS} are allowed")
        return ()
    if any(len(command) > MAX_COMMAND for command in commands):
        findings.refuse(leaf.line, f"a command of {leaf.key} is longer than {MAX_COMMAND:,} characters")
        return ()
    return commands


def _commands(leaf: Leaf, document: str, findings: Findings) -> tuple[str, ...]:
    node = leaf.node
    if isinstance(node, Text):
        if node.null:
            return ()
        if _unfilled(node, leaf.key, findings):
            return ()
        if node.plain and node.value.startswith("-"):
            lines = [line for line in re.split(r"(?:\A|\s)-(?=[A-Za-z./])", node.value) if line]
            findings.refuse(leaf.line, f"{leaf.key} needs a blank after each dash", fix=nested(leaf.path, lines))
            return ()
        understood = findings.understand(
            leaf.line,
            f"{leaf.key} is one text",
            meant="every line of it is one command",
            allowed="it must be a list of commands",
            fix=nested(leaf.path, [*logical_lines(node.value[:2000])]),
        )
        return block_commands(node.value) if understood else ()
    if isinstance(node, Fields):
        values = [plain(value) for _, value in node.entries if isinstance(value, Text) and value.value]
        findings.refuse(
            leaf.line,
            f"{leaf.key} is a mapping; it must be a list of commands, each on a line of its own after a dash",
            fix=nested(leaf.path, values or ["pip3 install -r requirements.txt"]),
        )
        return ()
    commands: list[str] = []
    for item in node.items:
        commands.extend(_command(item, leaf, document, findings))
    return tuple(commands)


def block_commands(text: str) -> tuple[str, ...]:
    """The commands of a text of several lines: one each, or all as one script when the lines belong together."""
    lines = logical_lines(text)
    if len(lines) > 1 and any(_CONTROL.search(line) for line in lines):
        return ("set -e\n" + "\n".join(lines),)
    return lines


def start_text_of(leaf: Leaf, document: str, findings: Findings) -> str:
    """The start command as text; "" when there is none or it was refused."""
    node = leaf.node
    if isinstance(node, Text):
        return "" if node.null or _unfilled(node, leaf.key, findings) else node.value.strip()
    example = nested(leaf.path, "python3 app.py")
    if isinstance(node, Fields):
        source = _line_with_colon(node, document)
        if source is None:
            findings.refuse(leaf.line, f"{leaf.key} is a mapping; it must be one command", fix=example)
            return ""
        return source if _understood_colon(node.line, source, leaf, findings, source) else ""
    words = [item.value for item in node.items if isinstance(item, Text)]
    if not words or len(words) < len(node.items):
        findings.refuse(leaf.line, f"{leaf.key} is a list; it must be one command", fix=example)
        return ""
    single = len(words) == 1
    if single or not any(re.search(r"\s", word) for word in words):
        text = words[0].strip() if single else shlex.join(words)
        understood = findings.understand(
            leaf.line,
            f"{leaf.key} is a list",
            meant="its item is the command" if single else "its items are read as the words of one command",
            allowed="it must be one command",
            fix=nested(leaf.path, text),
        )
        return text if understood else ""
    findings.refuse(
        leaf.line,
        f"{leaf.key} is a list of {len(words)} commands; App Runner starts one",
        fix=nested(leaf.path, words[-1]),
        advice="Put what has to run before the application into build.commands.build.",
    )
    return ""


def variables_of(leaf: Leaf, findings: Findings) -> tuple[Variables, Variables]:
    """A list of name/value pairs: the variables, and what it holds of secrets (name to reference)."""
    reader = _Pairs(leaf, findings, member="value")
    reader.read()
    return reader.plain, reader.secret


def secrets_of(leaf: Leaf, findings: Findings) -> Variables:
    """A list of name/value-from pairs: name to reference."""
    reader = _Pairs(leaf, findings, member="value-from")
    reader.read()
    return reader.secret


class _Pairs:
    """Reads a list of variables or secrets, however it was written."""

    def __init__(self, leaf: Leaf, findings: Findings, *, member: str) -> None:
        self.leaf = leaf
        self.findings = findings
        self.member = member
        self.plain: Variables = {}
        self.secret: Variables = {}

    def read(self) -> None:
        node = self.leaf.node
        if isinstance(node, Text):
            if not node.null:
                self._refuse(self.leaf.line, f"{self.leaf.key} is a single text; it must be a list of variables")
            return
        if isinstance(node, Fields):
            if self.findings.understand(
                self.leaf.line,
                f"{self.leaf.key} is a mapping",
                meant="every key of it is read as the name of a variable",
                allowed=f"it must be a list of name and {self.member}",
                fix=self._example([key.value for key, _ in node.entries]),
            ):
                for key, value in node.entries:
                    self._take(key.value, value, key.line, self.member)
            return
        for item in node.items:
            self._item(item)

    def _item(self, item: Node) -> None:
        if isinstance(item, Text):
            alone, equals, text = item.value.partition("=")
            if item.null:
                self.findings.notice(item.line, f"an empty entry of {self.leaf.key} is left out.")
            elif not equals:
                self._refuse(item.line, f"an entry of {self.leaf.key} has a name, but no {self.member}")
            elif self.findings.understand(
                item.line,
                f"an entry of {self.leaf.key} is written as NAME=VALUE",
                meant=f"it is read as name and {self.member}",
                allowed=f"it must have name and {self.member}",
                fix=self._example([alone.strip()]),
            ):
                self._take(alone.strip(), Text(value=text, line=item.line, plain=False), item.line, self.member)
            return
        if not isinstance(item, Fields):
            self._refuse(item.line, f"an entry of {self.leaf.key} is a list; it must have name and {self.member}")
            return
        if len(item.entries) == 1 and item.entries[0][0].value.isupper():
            self._unnamed(item)  # NAME: world is a variable called NAME
            return
        members = {squash(key.value): (key, value) for key, value in item.entries}
        self._spelling(item)
        name_entry = members.pop("name", None) or (None if self.findings.strict else members.pop("key", None))
        if name_entry is None:
            self._unnamed(item)
            return
        name = name_entry[1]
        given = [
            (member, members.pop(squash(member))) for member in ("value", "value-from") if squash(member) in members
        ]
        if not isinstance(name, Text) or name.null:
            self._refuse(item.line, f"an entry of {self.leaf.key} has no name")
        elif members:
            odd = next(iter(members.values()))[0]
            self._refuse(
                odd.line, f"an entry of {self.leaf.key} has the key {shown(odd.value)}; it takes name and {self.member}"
            )
        elif len(given) != 1:
            missing = f"it must have one {self.member}"
            self._refuse(
                item.line, f"the entry {shown(name.value)} of {self.leaf.key} has {len(given)} values; {missing}"
            )
        else:
            self._take(name.value, given[0][1][1], name.line, given[0][0])

    def _spelling(self, item: Fields) -> None:
        for key, _ in item.entries:
            exact = {"name": "name", "key": "name", "value": "value", "valuefrom": "value-from"}.get(squash(key.value))
            if exact and key.value != exact:
                self.findings.understand(
                    key.line,
                    f"an entry of {self.leaf.key} has {shown(key.value)}",
                    meant=f"it is read as {exact}",
                    allowed=f"the key is {exact}",
                    fix=self._example([]),
                )

    def _unnamed(self, item: Fields) -> None:
        """`- NAME: value` instead of name and value."""
        if len(item.entries) != 1 or item.entries[0][0].value in ("value", "value-from", "valueFrom"):
            self._refuse(item.line, f"an entry of {self.leaf.key} has no name")
            return
        key, value = item.entries[0]
        if self.findings.understand(
            key.line,
            f"an entry of {self.leaf.key} is written as NAME: VALUE",
            meant=f"it is read as name and {self.member}",
            allowed=f"it must have name and {self.member}",
            fix=self._example([key.value]),
        ):
            self._take(key.value, value, key.line, self.member)

    def _take(self, name: str, value: Node, line: int, member: str) -> None:
        problem = name_problem(name)
        if problem:
            self._refuse(line, f"{self.leaf.key} has the name {shown(name)}; {problem}")
            return
        if not isinstance(value, Text):
            self._refuse(line, f"the value of {name} in {self.leaf.key} is {kind_of(value)}; it must be text")
            return
        text = "" if value.null else value.value
        if len(text) > MAX_VALUE:
            self._refuse(line, f"the value of {name} in {self.leaf.key} is longer than {MAX_VALUE:,} characters")
            return
        if _TEMPLATE.search(text):
            self.findings.notice(line, f"the value of {name} in {self.leaf.key} looks like a template left unfilled.")
        as_secret = self._kind(name, text, line, member)
        if as_secret is None:
            return
        into = self.secret if as_secret else self.plain
        if as_secret and not text:
            self._refuse(line, f"the secret {name} has an empty value-from; it takes an ARN or a parameter's name")
            return
        if name in into:
            self.findings.notice(line, f"{name} is given more than once in {self.leaf.key}; the last one counts.")
        into[name] = text

    def _kind(self, name: str, text: str, line: int, member: str) -> bool | None:
        """Whether it is a secret; None when it was refused."""
        if member == self.member:
            return member == "value-from"
        key = self.leaf.key
        if member == "value-from":
            understood = self.findings.understand(
                line,
                f"{name} in {key} has a value-from",
                meant="it is read as a secret",
                allowed="secrets belong under run.secrets",
                fix={"run": {"secrets": [{"name": name, "value-from": text if text.startswith("arn:") else "…"}]}},
            )
            if understood and key == "build.env":
                self._refuse(line, f"{name} is a secret; there are none in the build")
            return True if understood and key == "run.env" else None
        if not text.startswith("arn:"):
            self._refuse(
                line,
                f"the secret {name} has a plain value; a secret takes value-from with an ARN, a variable belongs"
                " under run.env",
            )
            return None
        understood = self.findings.understand(
            line,
            f"the secret {name} has value instead of value-from",
            meant="its ARN is read as value-from",
            allowed="the key is value-from",
            fix={"run": {"secrets": [{"name": name, "value-from": text}]}},
        )
        return True if understood else None

    def _refuse(self, line: int, text: str) -> None:
        self.findings.refuse(line, text, fix=self._example([]))

    def _example(self, names: list[str]) -> dict[str, Any]:
        value = "…" if self.member == "value" else "arn:aws:secretsmanager:…"
        entries = [{"name": name, self.member: value} for name in names[:20]]
        return nested(self.leaf.path, entries or [{"name": "NAME", self.member: value}])


def _unfilled(node: Text, key: str, findings: Findings) -> bool:
    if findings.strict or not (match := _TEMPLATE.search(node.value)):
        return False
    findings.refuse(
        node.line,
        f"{key} holds {shown(match.group().strip())}, a template that was left unfilled; write the value itself",
        advice="Replace every <<…>> in the file.",
    )
    return True


def _command(item: Node, leaf: Leaf, document: str, findings: Findings) -> tuple[str, ...]:
    if isinstance(item, Text):
        if item.null or not item.value.strip():
            findings.understand(
                item.line,
                f"a command of {leaf.key} is empty",
                meant="it is left out",
                allowed="a dash must be followed by a command",
                advice="Remove the dash without a command.",
            )
            return ()
        if _unfilled(item, leaf.key, findings):
            return ()
        return block_commands(item.value) if "\n" in item.value.strip() else (item.value.strip(),)
    if isinstance(item, Fields) and (source := _line_with_colon(item, document)) is not None:
        return (source,) if _understood_colon(item.line, source, leaf, findings, [source]) else ()
    values = [value.value for _, value in item.entries if isinstance(value, Text)] if isinstance(item, Fields) else []
    findings.refuse(
        item.line,
        f"a command of {leaf.key} is {kind_of(item)}; it must be text",
        fix=nested(leaf.path, values[-1:] or ["pip3 install -r requirements.txt"]),
    )
    return ()


def _line_with_colon(fields: Fields, document: str) -> str | None:
    """The source of `echo "a: b"`, which YAML takes for a mapping; None for what really is one."""
    if len(fields.entries) != 1:
        return None
    key, value = fields.entries[0]
    if not isinstance(value, Text) or value.line != key.line or not key.plain or squash(key.value) in _NOT_A_COMMAND:
        return None
    if value.end <= key.start or " " not in key.value.strip():
        return None
    return document[key.start : value.end].strip()


def _understood_colon(line: int, source: str, leaf: Leaf, findings: Findings, fixed: Any) -> bool:
    return findings.understand(
        line,
        f"{shown(source)} in {leaf.key} holds a colon and a blank, which makes it a mapping in YAML",
        meant="the line is taken as it stands",
        allowed="put the command in quotes",
        fix=nested(leaf.path, fixed),
    )
