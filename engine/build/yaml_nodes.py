"""YAML as a tree that remembers lines and source text: `3.10` stays "3.10", and every mistake has a place."""

import re
from contextlib import closing
from typing import Any, TypeAlias

import yaml

from engine.build.findings import Problem, ProblemError, snippet
from engine.model.base import Value

MAX_BYTES = 256 * 1024
_MAX_DEPTH = 32
_MAX_WEIGHT = 20_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STANDARD_TAG = re.compile(r"\A(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|seq|map|timestamp))\Z")
_WRAPPED_OPTION = re.compile(r"\A\s+--?[A-Za-z][\w-]*(?:=\S+)?\s*\Z")
_FREE_TEXT = re.compile(r"\A(\s*(?:- )?(?:command|value|value-from)\s*:\s+)([^\s\"'|>\[{&*!].*)\Z")
_MAX_QUOTED = 8
_MAX_MENDED = 64 * 1024
_LIST_ITEM = re.compile(r"\A\s*- \S")
_ONE_LINE_VALUE = re.compile(r"\A(\s*(?:- )?)([A-Za-z][\w.-]*)\s*:\s+(\S.*)\Z")


class Text(Value, frozen=True, kw_only=True):
    """A scalar as it was written."""

    value: str
    line: int
    """1-based, as everywhere."""
    plain: bool = True
    """Written without quotes and not as a block: what YAML would make a number, a bool or a null of."""
    start: int = 0
    """Offsets into the document's text, `end` exclusive."""
    end: int = 0

    @property
    def null(self) -> bool:
        return self.plain and self.value in _NULLS


class Items(Value, frozen=True, kw_only=True):
    """A sequence."""

    items: tuple["Node", ...]
    line: int


class Fields(Value, frozen=True, kw_only=True):
    """A mapping in the order of the file; keys may repeat."""

    entries: tuple[tuple[Text, "Node"], ...]
    line: int


Node: TypeAlias = Text | Items | Fields


class Document(Value, frozen=True, kw_only=True):
    """One YAML document."""

    root: Node
    text: str
    lines: tuple[str, ...]
    notices: tuple[tuple[int, str], ...] = ()
    """Line and sentence for what had to be mended to be readable; empty when strict."""


def lines_of(text: str) -> tuple[str, ...]:
    """The lines as YAML counts them."""
    return tuple(_BREAK.split(text))


def decoded(data: bytes) -> str:
    """The file's text without its byte order mark. Bytes that are not UTF-8 become U+FFFD."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").lstrip("\ufeff")
    return data.decode("utf-8", errors="replace").lstrip("\ufeff")


def read_yaml(data: bytes, *, strict: bool) -> Document:
    """Read one document. Raises ProblemError for what is no YAML, is too large or is more than one document."""
    if len(data) > MAX_BYTES:
        raise _problem(0, f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    text = decoded(data)
    lines = lines_of(text)
    _refuse_conflict(lines)
    notices: tuple[tuple[int, str], ...] = ()
    try:
        root = _tree(text, lines)
    except ProblemError as error:
        mended = None if strict else (_without_tabs(text) or _unwrapped(text) or _quoted_values(text))
        if mended is None:
            raise
        root, text, line, how = mended
        lines = lines_of(text)
        notices = ((line, f"{how}. App Runner itself refuses this: {error.problem.text}."),)
    if "\ufffd" in text and (bad := _undecodable_line(data)) and (strict or _has_damage(root)):
        raise _problem(bad, "a character is not UTF-8; save the file as UTF-8")
    return Document(root=root, text=text, lines=lines, notices=notices)


def _problem(line: int, text: str, *, advice: str = "", mended: str = "") -> ProblemError:
    return ProblemError(Problem(line=line, text=text, advice=advice, mended=mended))


def _refuse_conflict(lines: tuple[str, ...]) -> None:
    """Whatever a half-merged file says, it was not meant."""
    starts = [number for number, line in enumerate(lines, 1) if line.startswith("<<<<<<<")]
    if starts and any(line.startswith((">>>>>>>", "=======")) for line in lines):
        raise _problem(
            starts[0],
            "a merge conflict was left in the file; choose one side",
            advice="Keep one side and delete the lines that start with <<<<<<<, ======= and >>>>>>>.",
        )


def _undecodable_line(data: bytes) -> int:
    try:
        data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 0


def _has_damage(node: Node) -> bool:
    match node:
        case Text():
            return "\ufffd" in node.value
        case Items():
            return any(_has_damage(item) for item in node.items)
        case Fields():
            return any(_has_damage(key) or _has_damage(value) for key, value in node.entries)


def _without_tabs(text: str) -> tuple[Node, str, int, str] | None:
    """The tree with tabs read as blanks, if every usual tab width gives the same one."""
    if "\t" not in text:
        return None
    trees: list[tuple[Node, str]] = []
    for width in (2, 4, 8):
        mended = "\n".join(_tabless(line, width) for line in lines_of(text))
        try:
            trees.append((_tree(mended, lines_of(mended)), mended))
        except ProblemError:
            return None
    if len({shape(root) for root, _ in trees}) > 1:
        return None
    first = next(number for number, line in enumerate(lines_of(text), 1) if "\t" in line)
    return (*trees[0], first, "tabs are read as blanks")


def _unwrapped(text: str) -> tuple[Node, str, int, str] | None:
    """The tree with an option that was wrapped to a line of its own (`tar` above, `-xz` here) put back."""
    lines = [*lines_of(text)]
    at = [number for number, line in enumerate(lines) if number and _WRAPPED_OPTION.match(line)]
    for number in reversed(at):
        if not _LIST_ITEM.match(lines[number - 1]):
            return None
        lines[number - 1 : number + 1] = [f"{lines[number - 1].rstrip()} {lines[number].strip()}", ""]
    mended = "\n".join(lines)
    try:
        return (_tree(mended, tuple(lines)), mended, at[0] + 1, "the option belongs to the line above") if at else None
    except ProblemError:
        return None


def _tabless(line: str, width: int) -> str:
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)].expandtabs(width) + body.replace("\t", " ")


def shape(node: Node) -> object:
    """What a node says, without where it stands; hashable."""
    match node:
        case Text():
            return (node.value, node.plain)
        case Items():
            return ("items", *(shape(item) for item in node.items))
        case Fields():
            return ("fields", *((shape(key), shape(value)) for key, value in node.entries))


def _quoted_values(text: str) -> tuple[Node, str, int, str] | None:
    """The tree with commands and values put in quotes where a colon in them needs that: an ARN that ends in `::`."""
    lines = [*lines_of(text)]
    first = 0
    for _ in range(_MAX_QUOTED if len(text) <= _MAX_MENDED else 0):
        mended = "\n".join(lines)
        try:
            root = _tree(mended, tuple(lines))
        except ProblemError as error:
            line = error.problem.line
            match = _FREE_TEXT.match(lines[line - 1].partition(" #")[0].rstrip()) if line else None
            if match is None:
                return None
            value = match.group(2).replace("'", "''")
            lines[line - 1] = f"{match.group(1)}'{value}'"
            first = first or line
        else:
            return (root, mended, first, "the value is read as if it stood in quotes")
    return None


class _Open:
    """A collection whose end has not come yet."""

    def __init__(self, *, mapping: bool, line: int, anchor: str | None) -> None:
        self.mapping = mapping
        self.line = line
        self.anchor = anchor
        self.children: list[Node] = []
        self.weight = 1


def _tree(text: str, lines: tuple[str, ...]) -> Node:
    """The first document that is not empty. Nothing recurses, so depth is bounded by us and not by a stack."""
    documents: list[Node] = []
    starts: list[int] = []
    anchors: dict[str, tuple[Node, int] | None] = {}
    stack: list[_Open] = []

    def add(node: Node, weight: int, anchor: str | None) -> None:
        if anchor is not None:
            anchors[anchor] = (node, weight)
        if not stack:
            documents.append(node)
            return
        top = stack[-1]
        if top.mapping and len(top.children) % 2 == 0 and not isinstance(node, Text):
            raise _bad_key(node.line, lines)
        top.children.append(node)
        top.weight += weight
        if top.weight > _MAX_WEIGHT:
            raise _problem(node.line, "the file holds too many values when its aliases are followed")

    try:
        with closing(yaml.parse(text, Loader=_LOADER)) as events:  # type: ignore[type-var]
            for event in events:
                line = _mark(event.start_mark).line + 1
                match event:
                    case yaml.DocumentStartEvent():
                        starts.append(line)
                        anchors.clear()
                    case yaml.ScalarEvent():
                        _refuse_tag(event.tag, line)
                        if _SURROGATE.search(event.value):
                            raise _problem(line, "a quoted value escapes a character that does not exist")
                        node = Text(
                            value=event.value,
                            line=line,
                            plain=event.style is None or event.style == "",
                            start=_mark(event.start_mark).index,
                            end=_mark(event.end_mark).index,
                        )
                        add(node, 1 + len(node.value) // 100, event.anchor)
                    case yaml.AliasEvent():
                        known = anchors.get(event.anchor or "")
                        if known is None:
                            why = "contains itself" if event.anchor in anchors else "is defined nowhere above"
                            raise _problem(line, f"an alias {why}; put a value that starts with * in quotes")
                        add(known[0], known[1], None)
                    case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                        _refuse_tag(event.tag, line)
                        if len(stack) >= _MAX_DEPTH:
                            raise _problem(line, f"values are nested more than {_MAX_DEPTH} levels deep")
                        if event.anchor is not None:
                            anchors[event.anchor] = None
                        mapping = isinstance(event, yaml.MappingStartEvent)
                        stack.append(_Open(mapping=mapping, line=line, anchor=event.anchor))
                    case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                        done = stack.pop()
                        add(_closed(done), done.weight, done.anchor)
    except yaml.YAMLError as error:
        raise _explained(error, text, lines) from None
    except ValueError:  # PyYAML's own parser on an escape such as "\U00110000"
        raise _problem(0, "a quoted value escapes a character that does not exist") from None
    full = [
        (node, at) for node, at in zip(documents, starts, strict=False) if not (isinstance(node, Text) and node.null)
    ]
    if len(full) > 1:
        raise _problem(full[1][1], "a second YAML document starts here; the file must be one document")
    return full[0][0] if full else Text(value="", line=1)


def _mark(mark: Any) -> Any:
    """An event's mark, which only PyYAML's stubs say may be missing."""
    return mark


def _closed(done: _Open) -> Node:
    if not done.mapping:
        return Items(items=tuple(done.children), line=done.line)
    pairs = tuple(
        (key, value)
        for key, value in zip(done.children[::2], done.children[1::2], strict=True)
        if isinstance(key, Text)  # `add` has let nothing else in
    )
    return Fields(entries=_merged(pairs), line=done.line)


def _merged(entries: tuple[tuple[Text, Node], ...]) -> tuple[tuple[Text, Node], ...]:
    """`<<: *defaults` brings in the keys that are not given beside it."""
    if not any(key.plain and key.value == "<<" for key, _ in entries):
        return entries
    own = [(key, value) for key, value in entries if not (key.plain and key.value == "<<")]
    seen = {key.value for key, _ in own}
    for key, value in entries:
        if not (key.plain and key.value == "<<"):
            continue
        parents = value.items if isinstance(value, Items) else (value,)
        for parent in parents:
            if not isinstance(parent, Fields):
                raise _problem(key.line, "<< takes an alias of a mapping, as in <<: *defaults")
            fresh = [entry for entry in parent.entries if entry[0].value not in seen]
            own.extend(fresh)
            seen.update(entry[0].value for entry in fresh)
    return tuple(own)


def _refuse_tag(tag: str | None, line: int) -> None:
    if tag is not None and not _STANDARD_TAG.match(tag):
        raise _problem(line, "a tag means nothing in this file; put a value that starts with ! in quotes")


def _bad_key(line: int, lines: tuple[str, ...]) -> ProblemError:
    if "{{" in lines[line - 1]:
        return _template(line)
    return _problem(line, "a list or a mapping stands where a key must be")


def _template(line: int) -> ProblemError:
    return _problem(line, "a template was left unfilled ({{ … }}); write the value itself")


def _explained(error: yaml.YAMLError, text: str, lines: tuple[str, ...]) -> ProblemError:
    """A parser's complaint in words that say what to do. Both of PyYAML's parsers are understood."""
    if isinstance(error, yaml.reader.ReaderError):
        return _control_character(text)
    problem = str(getattr(error, "problem", None) or "")
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None)
    here = min(mark.line + 1 if mark is not None else 1, len(lines))
    above = context.line + 1 if context is not None else here
    source = lines[here - 1]
    if "{{" in source:
        return _template(here)
    if source.lstrip(" ").startswith("\t"):
        return _problem(
            here,
            "the line is indented with a tab; YAML allows blanks only",
            mended=_tabless(source, 2),
            advice="Indent with blanks.",
        )
    if "end of stream" in problem or "document indicator" in problem:
        return _problem(above, "a quote or a bracket that opens here is never closed")
    if "expected ':'" in problem:
        return _problem(above, "the line is neither a list item nor `key: value`")
    if "start any token" in problem:
        column = mark.column if mark is not None else 0
        character = source[column : column + 1]
        if character == "\t":
            return _problem(here, "a tab stands where YAML allows blanks only", mended=_tabless(source, 2))
        return _problem(here, f"a value cannot start with {character}; put it in quotes", mended=_quoted(source))
    if "mapping values" in problem:
        return _problem(
            here,
            "a colon does not fit here; put a value that contains `: ` in quotes, or mend the indentation",
            mended=_quoted(source),
        )
    if "expected key" in problem or "block end" in problem or "'-' indicator" in problem:
        return _problem(
            here, "the indentation fits nothing above it (or something follows a closing quote on the line)"
        )
    return _problem(here, f"the file cannot be read as YAML ({problem or 'unknown error'})")


def _control_character(text: str) -> ProblemError:
    match = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if match is None:
        return _problem(0, "the file cannot be read as YAML")
    line = len(lines_of(text[: match.start()]))
    return _problem(line, f"the control character U+{ord(match.group()):04X} is not allowed in YAML")


def _quoted(source: str) -> str:
    """The line with its value in quotes; "" when that cannot be what it needs."""
    match = _ONE_LINE_VALUE.match(source.rstrip())
    if match is None or match.group(2) == "value" or match.group(3)[0] in "\"'":
        return ""
    return f"{match.group(1)}{snippet({match.group(2): match.group(3)})}"
