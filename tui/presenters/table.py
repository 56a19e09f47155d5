"""What a table shows: columns, lines of cells, and how the columns share the width there is."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len

from engine.model.base import Value


class Cell(NamedTuple):
    """Clean text and the role that colours it: "", muted, strong, accent, success, warning or error."""

    text: str
    role: str = ""
    shorter: tuple[str, ...] = ()
    """What stands there where `text` does not fit, longest first."""

    def text_in(self, width: int) -> str:
        """The longest text that fits; where none does the shortest, to be cut."""
        if not self.shorter:
            return self.text
        fitting = (text for text in (self.text, *self.shorter) if cell_len(text) <= width)
        return next(fitting, self.shorter[-1])


def style_of(role: str) -> str:
    """The content style of a cell's role."""
    return {"": "", "strong": "bold", "muted": "$text-muted"}.get(role, f"$text-{role}")


Cells = tuple[Cell, ...]
"""One line of a table: a cell a column, in the order of the columns."""


class Column(Value, frozen=True, kw_only=True):
    """A column and what it needs. Widths are in terminal cells, without the gap to the next column."""

    key: str
    title: str
    width: int
    """The least it can do with."""
    most: int = 0
    """It grows up to this when there is room; 0 never grows."""
    right: bool = False
    """Aligned to the right, for numbers."""
    wish: int = 0
    """The width it should have before columns of rank EXTRA come in."""
    rank: int = 0
    """Columns of the highest rank leave first where the width does not suffice; 0 always stays."""


GAP = 2
EXTRA = 5
"""Columns from this rank on come only when the others have the width they wish for."""


def fit(columns: Sequence[Column], width: int) -> tuple[int, ...]:
    """The width of each column in a table `width` cells wide, 0 for those that are left out.

    What is over goes evenly to the columns that can grow: up to what they wish for first, then up to their `most`.
    """
    shown = list(range(len(columns)))
    for rank in sorted({column.rank for column in columns}, reverse=True):
        wishes = rank >= EXTRA
        needed = sum(_wanted(columns[index], wishes=wishes) for index in shown) + GAP * (len(shown) - 1)
        if needed <= width or rank == 0:
            break
        for index in reversed([index for index in shown if columns[index].rank == rank]):
            shown.remove(index)
            needed -= _wanted(columns[index], wishes=wishes) + GAP
            if needed <= width:
                break
    widths = [columns[index].width if index in shown else 0 for index in range(len(columns))]
    spare = width - sum(widths) - GAP * (len(shown) - 1)
    for goal in ([column.wish for column in columns], [column.most for column in columns]):
        growing = [index for index in shown if goal[index] > widths[index]]
        while spare > 0 and growing:
            share = max(1, spare // len(growing))
            for index in tuple(growing):
                step = min(share, spare, goal[index] - widths[index])
                widths[index] += step
                spare -= step
                if widths[index] >= goal[index]:
                    growing.remove(index)
    return tuple(widths)


def _wanted(column: Column, *, wishes: bool) -> int:
    return max(column.width, column.wish) if wishes else column.width
