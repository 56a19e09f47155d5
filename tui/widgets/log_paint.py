"""Which parts of a log line get which look: levels, prefixes and matches, as spans of plain text."""

import re
from collections.abc import Iterable
from itertools import islice, pairwise
from zlib import crc32

from tui.widgets.log_lines import LineFilter

Span = tuple[int, int, str]
"""Start, end (exclusive) and the look's name; later spans lie on top of earlier ones."""

STREAM_LOOKS = 6
"""How many colours tell instances apart."""

_MOST_MATCHES = 100  # highlighted in one line
_LOOKED_AT = 160  # a level stands at the front of a line; far into it the same words are prose
_ERROR = re.compile(
    r"\b(error|fatal|critical|panic|traceback|exception|failed|failure)\b|^\w*(error|exception)\b|\w(Error|Exception):",
    re.IGNORECASE,
)
_WARNING = re.compile(r"\b(warn|warning|deprecated)\b|\w(Warning):", re.IGNORECASE)
_DEBUG = re.compile(r"\b(debug|trace)\b", re.IGNORECASE)
_DENIED = re.compile(r"\b(0|no|without)\s+(error|errors|failures|warning|warnings)\b", re.IGNORECASE)
_PREFIX = re.compile(r"\[(AppRunner|PreBuild|Build|PostBuild|PreRun)\] ?")
_SUCCESS = re.compile(r"\b(completed successfully|is successful|succeeded|to RUNNING)\b")


def stream_look(stream: str, taken: dict[str, int]) -> int:
    """Which of the colours a stream has: its own by its name, the next free one where another has that already.

    `taken` remembers the choices; it is added to.
    """
    if stream not in taken:
        look = crc32(stream.encode()) % STREAM_LOOKS
        free = [(look + step) % STREAM_LOOKS for step in range(STREAM_LOOKS)]
        taken[stream] = next((look for look in free if look not in taken.values()), look)
    return taken[stream]


def level_of(text: str) -> str:
    """One of "error", "warning", "debug" and "": a guess from the words at the front of the line."""
    front = _DENIED.sub("", text[:_LOOKED_AT])
    if _ERROR.search(front):
        return "error"
    if _WARNING.search(front):
        return "warning"
    if _DEBUG.search(front):
        return "debug"
    return ""


def spans_of(text: str, line_filter: LineFilter | None) -> list[Span]:
    """The looks of a line: its level, its `[Prefix]` and, topmost, what the filter found."""
    spans: list[Span] = []
    prefix = _PREFIX.match(text)
    own = prefix is not None and prefix[1] == "AppRunner"
    if level := level_of(text):
        spans.append((0, len(text), level))
    elif own and _SUCCESS.search(text):
        spans.append((0, len(text), "success"))
    if prefix:
        spans.append((0, len(prefix[0]), "homerun" if own else "phase"))
    if line_filter is not None and not line_filter.inverse:
        found = re.finditer(f"(?:{re.escape(line_filter.needle)})+", text, re.IGNORECASE)
        spans.extend((match.start(), match.end(), "match") for match in islice(found, _MOST_MATCHES))
    return spans


def pieces_of(text: str, spans: Iterable[Span], start: int = 0, end: int | None = None) -> list[tuple[str, list[str]]]:
    """The text from `start` to `end`, cut where looks change: each piece with its looks, lowest first."""
    end = len(text) if end is None else end
    within = [(max(a, start), min(b, end), look) for a, b, look in spans if a < end and b > start]
    cuts = sorted({start, end, *(a for a, _, _ in within), *(b for _, b, _ in within)})
    return [(text[a:b], [look for x, y, look in within if x <= a and b <= y]) for a, b in pairwise(cuts)]
