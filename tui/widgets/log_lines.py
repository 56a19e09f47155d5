"""The lines behind a log view: bounded, filtered, laid out in visual rows. Values and arithmetic only."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec
from rich.cells import cell_len, chop_cells

from engine.model.log import LogLine
from tui.text import clean

CAPACITY = 100_000
"""Lines kept; older ones are let go."""
CAPACITY_CHARS = 64 * 1024 * 1024
"""Characters kept over all lines: a hundred thousand lines can be a lot of text."""
LONGEST_LINE = 64 * 1024
"""Characters of one line; the rest of it is not shown."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line, safe to draw, or a gap of `dropped` lines (then `text` says so)."""

    text: str
    at: float = 0.0
    """Seconds since the epoch."""
    stream: str = ""
    dropped: int = 0


def rows_of(lines: Iterable[LogLine], dropped: int = 0) -> list[Row]:
    """The rows for a batch: the gap first, when there is one."""
    rows = [Row(f"… {dropped:,} {'line' if dropped == 1 else 'lines'} dropped …", dropped=dropped)] if dropped else []
    rows.extend(Row(_shortened(clean(line.text)), line.at, line.stream) for line in lines)
    return rows


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}… ({len(text):,} characters)"


class LineFilter(msgspec.Struct, frozen=True):
    """A substring, matched without regard to case; `inverse` selects the lines without it."""

    needle: str = ""
    inverse: bool = False

    def matches(self, text: str) -> bool:
        return (self.needle in text.lower()) is not self.inverse


def parse_filter(text: str) -> LineFilter | None:
    """The filter for what was typed: "error", "!health"; None where nothing is asked for."""
    inverse = text.startswith("!")
    needle = text.removeprefix("!").lower()
    return LineFilter(needle, inverse) if needle else None


def width_of(text: str) -> int:
    """The width in cells."""
    return len(text) if text.isascii() else cell_len(text)


def wrapped(text: str, width: int) -> list[str]:
    """The parts of a line that is folded at `width` cells (>= 2); at least one."""
    if text.isascii():
        return [text[start : start + width] for start in range(0, len(text), width)] or [""]
    return chop_cells(text, width) or [text]


def _height_of(text: str, width: int) -> int:
    return max(1, -(-len(text) // width)) if text.isascii() else len(wrapped(text, width))


class LogRows:
    """Rows numbered 0, 1, 2 ... as they came; the newest are kept. `y` counts visual rows from the oldest shown.

    A filter narrows what is shown, or, with `only_matches` False, only tells the matches apart.
    """

    def __init__(self, capacity: int = CAPACITY, capacity_chars: int = CAPACITY_CHARS) -> None:
        self._capacity = capacity
        self._capacity_chars = capacity_chars
        self._rows: list[Row] = []
        self._chars = 0
        self._first = 0
        self._filter: LineFilter | None = None
        self._only_matches = True
        self._wrap_width = 0
        self._matches = array("q")  # numbers of the matching rows, kept only while there is a filter
        self._ends = array("q")  # where each shown row ends, in visual rows, kept only while wrapping
        self._start = 0  # where the first shown row starts in the same count

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def filter(self) -> LineFilter | None:
        return self._filter

    @property
    def wrap_width(self) -> int:
        """The width in cells that lines are folded at; 0 when they are not."""
        return self._wrap_width

    @property
    def first(self) -> int:
        """The number of the oldest row kept."""
        return self._first

    @property
    def match_count(self) -> int:
        """Rows that match the filter; all without one."""
        return len(self._matches) if self._filter else len(self._rows)

    @property
    def _narrowed(self) -> bool:
        return self._filter is not None and self._only_matches

    @property
    def shown_count(self) -> int:
        return len(self._matches) if self._narrowed else len(self._rows)

    @property
    def height(self) -> int:
        """Visual rows in all."""
        if not self._wrap_width:
            return self.shown_count
        return self._ends[-1] - self._start if self._ends else 0

    def row(self, number: int) -> Row:
        return self._rows[number - self._first]

    def clear(self) -> None:
        """Forget every row; filter and layout stay. Numbers go on, so that none ever means two rows."""
        self._first += len(self._rows)
        self._rows.clear()
        self._chars = 0
        self._match_and_measure()

    def append(self, rows: Sequence[Row]) -> int:
        """Take rows at the end, let go of the oldest ones, and say how many visual rows went from the top."""
        rows = rows[-self._capacity :]
        number = self._first + len(self._rows)
        self._rows.extend(rows)
        self._chars += sum(len(row.text) for row in rows)
        found = self._matching(rows, number)
        self._matches.extend(found)
        self._measure(map(self.row, found) if self._narrowed else rows)
        return self._trim()

    def _trim(self) -> int:
        excess = max(0, len(self._rows) - self._capacity)
        chars = self._chars - sum(len(row.text) for row in self._rows[:excess])
        while chars > self._capacity_chars and excess < len(self._rows) - 1:
            chars -= len(self._rows[excess].text)
            excess += 1
        if not excess:
            return 0
        height = self.height
        self._chars = chars
        hidden = bisect_left(self._matches, self._first + excess) if self._filter else 0
        gone = hidden if self._narrowed else excess
        if self._wrap_width and gone:
            self._start = self._ends[gone - 1]
            del self._ends[:gone]
        del self._matches[:hidden]
        del self._rows[:excess]
        self._first += excess
        return height - self.height

    def arrange(self, line_filter: LineFilter | None, *, only_matches: bool, wrap_width: int) -> None:
        """Filter and lay out anew; `wrap_width` is in cells, 0 for one visual row a line."""
        self._filter = line_filter
        self._only_matches = only_matches
        self._wrap_width = wrap_width
        self._match_and_measure()

    def _match_and_measure(self) -> None:
        self._start = 0
        del self._matches[:]
        del self._ends[:]
        self._matches.extend(self._matching(self._rows, self._first))
        self._measure(map(self.row, self._matches) if self._narrowed else self._rows)

    def _matching(self, rows: Iterable[Row], number: int) -> list[int]:
        """Numbers of the rows that the filter selects; gaps always are. None of them without a filter."""
        if self._filter is None:
            return []
        needle, wanted = self._filter.needle, not self._filter.inverse
        return [n for n, row in enumerate(rows, number) if (needle in row.text.lower()) is wanted or row.dropped]

    def _measure(self, rows: Iterable[Row]) -> None:
        if not (width := self._wrap_width):
            return
        end = self._ends[-1] if self._ends else self._start
        for row in rows:
            end += _height_of(row.text, width)
            self._ends.append(end)

    def locate(self, y: int) -> tuple[int, int] | None:
        """The row at a visual row, and which of its parts; None past the end."""
        if not 0 <= y < self.height:
            return None
        index, part = y, 0
        if self._wrap_width:
            index = bisect_right(self._ends, self._start + y)
            part = self._start + y - (self._ends[index - 1] if index else self._start)
        return (self._matches[index] if self._narrowed else self._first + index), part

    def top_of(self, number: int) -> int:
        """The visual row where a row starts; where the next shown one starts when it is not shown itself."""
        index = bisect_left(self._matches, number) if self._narrowed else number - self._first
        index = min(max(index, 0), self.shown_count)
        if not self._wrap_width:
            return index
        return (self._ends[index - 1] if index else self._start) - self._start

    def next_match(self, number: int, step: int) -> int | None:
        """The nearest matching row after (`step` 1) or before (`step` -1) a row; None when there is none."""
        if self._filter is None:
            return None
        index = bisect_right(self._matches, number) if step > 0 else bisect_left(self._matches, number) - 1
        return self._matches[index] if 0 <= index < len(self._matches) else None
