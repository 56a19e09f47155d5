"""Reading shell text without running it: which characters are quoted, and where simple commands begin and end."""

import re
from collections.abc import Iterator

QUOTED = "_"
"""Stands for a quoted character in a mask."""

COMMENT = "\x00"
"""Stands for a character of a comment in a mask; a `#` that begins none stays as it is."""

_NAMES = {"'": "single", '"': "double"}
_SEPARATOR = re.compile(r"&&|\|\||[;|\n()]|(?<![<>])&(?!>)")
OPERATOR = re.compile(r"&&|\|\||[;|<>\n]|&(?=\s|\Z)")


class UnclosedQuoteError(ValueError):
    """A quote opens and never closes; the message names it."""


def mask(text: str) -> str:
    """`text` with quoted characters and quotes replaced by "_" and comments by COMMENT; same length.

    `$` and backticks stay visible inside double quotes, where a shell still expands them. Raises UnclosedQuoteError.
    """
    return _read(text)[0]


def quoting(text: str) -> str:
    """For every character the quote that it stands in: `'`, `"` or a blank. Raises UnclosedQuoteError."""
    return _read(text)[1]


def _read(text: str) -> tuple[str, str]:
    out: list[str] = []
    quotes: list[str] = []
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            taken, shown = min(2, len(text) - at), QUOTED
        elif quote:
            taken, shown = 1, char if quote == '"' and char in "$`" else QUOTED
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote, taken, shown = char, 1, QUOTED
        elif char == "#" and (not out or out[-1][-1].isspace() or out[-1] in ";&|("):
            end = text.find("\n", at)
            taken, shown = (len(text) if end < 0 else end) - at, COMMENT
        else:
            taken, shown = 1, char
        out.append(shown * taken)
        quotes.append((quote or " ") * taken)
        at += taken
    if quote:
        raise UnclosedQuoteError(f"a {_NAMES[quote]} quote is never closed")
    return "".join(out), "".join(quotes)


def simple_commands(masked: str) -> Iterator[tuple[int, int]]:
    """Start and end of each simple command: what stands between `&&`, `||`, `;`, `|`, `&`, parentheses and newlines."""
    start = 0
    for separator in _SEPARATOR.finditer(masked):
        yield start, separator.start()
        start = separator.end()
    yield start, len(masked)


def logical_lines(text: str) -> tuple[str, ...]:
    """The commands of a block: lines joined at trailing backslashes, without blank and comment lines.

    A text in which a quoted part spans lines is one command, as it is.
    """
    lines: list[str] = []
    continued = False
    for piece in text.split("\n"):
        line = piece.strip()
        continues = ends_open(line)
        body = line[:-1].rstrip() if continues else line
        if continued:
            lines[-1] = f"{lines[-1]} {body}".strip()
        elif not line.startswith("#"):
            lines.append(body)
        else:
            continue
        continued = continues
    if any(_opens_quote(line) for line in lines):
        return (text.strip(),)
    return tuple(line for line in lines if line)


def ends_open(line: str) -> bool:
    """Whether a line ends with a backslash that is not itself escaped."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _opens_quote(line: str) -> bool:
    try:
        mask(line)
    except UnclosedQuoteError:
        return True
    return False
