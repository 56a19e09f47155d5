"""Reading shell text without running it: which characters are quoted, and where simple commands begin and end."""

import re
from collections.abc import Iterator

QUOTED = "_"
"""Stands for a quoted character in a mask."""

_NAMES = {"'": "single", '"': "double"}
_SEPARATOR = re.compile(r"&&|\|\||[;|\n()]|(?<![<>])&(?!>)")
OPERATOR = re.compile(r"&&|\|\||[;|<>\n]|&(?=\s|\Z)")


class UnclosedQuoteError(ValueError):
    """A quote opens and never closes; the message names it."""


def mask(text: str) -> str:
    """`text` with quoted characters and quotes replaced by "_" and comments by "#"; same length.

    `$` and backticks stay visible inside double quotes, where a shell still expands them. Raises UnclosedQuoteError.
    """
    out: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            out.append(QUOTED * min(2, len(text) - at))
            at += 2
            continue
        if quote:
            out.append(char if quote == '"' and char in "$`" else QUOTED)
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
            out.append(QUOTED)
        elif char == "#" and (not out or out[-1][-1].isspace() or out[-1] in ";&|("):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append("#" * (end - at))
            at = end
            continue
        else:
            out.append(char)
        at += 1
    if quote:
        raise UnclosedQuoteError(f"a {_NAMES[quote]} quote is never closed")
    return "".join(out)


def simple_commands(masked: str) -> Iterator[tuple[int, int]]:
    """Start and end of each simple command: what stands between `&&`, `||`, `;`, `|`, `&`, parentheses and newlines."""
    start = 0
    for separator in _SEPARATOR.finditer(masked):
        yield start, separator.start()
        start = separator.end()
    yield start, len(masked)


def logical_lines(text: str) -> tuple[str, ...]:
    """The commands of a block: lines joined at trailing backslashes, without blank and comment lines."""
    joined = re.sub(r"\\[ \t]*\r?\n[ \t]*", " ", text)
    lines = (line.strip() for line in joined.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))
