"""Dots on a grid of terminal cells: Braille where the terminal can, blocks or plain ASCII where it cannot."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import msgspec

BRAILLE_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"

Point = tuple[float, float]
"""Where a value lies: x from 0 (left) to 1 (right), y from 0 (bottom) to 1 (top)."""


class Glyphs(msgspec.Struct, frozen=True):
    """What a terminal can draw dots with."""

    columns: int
    """Dots in a cell, from left to right ..."""
    rows: int
    """... and from top to bottom."""
    cells: str = ""
    """The character for each combination of dots; bit 0 is the top left one, bits go right, then down."""
    marks: str = ""
    """Instead, for one dot a cell: the character of each series in turn ..."""
    area: str = ""
    """... and of the area below one."""
    guide: str = " "
    """Along the marked values, where nothing else is drawn."""
    bullets: str = "●"
    """Before each series' name in the legend, in turn."""


def _braille(mask: int) -> str:
    bits = (BRAILLE_BITS[bit // 2][bit % 2] for bit in range(8) if mask >> bit & 1)
    return chr(0x2800 + sum(bits)) if mask else " "


BRAILLE = Glyphs(2, 4, cells="".join(map(_braille, range(256))), guide="┈")
BLOCKS = Glyphs(2, 2, cells=QUADRANTS, guide="─", bullets="■")
ASCII = Glyphs(1, 1, marks="*o+x#", area=":", bullets="*o+x#")


def choose_glyphs(encoding: str, term: str) -> Glyphs:
    """The finest glyphs that a terminal of this encoding and TERM is known to have."""
    if not encoding.lower().replace("-", "").startswith("utf"):
        return ASCII
    return BLOCKS if term == "linux" else BRAILLE  # the console's font has block elements but no Braille


class Cell(msgspec.Struct, frozen=True):
    """One character of the drawing; `series` -1 belongs to none."""

    character: str
    series: int = -1
    is_area: bool = False


_EMPTY = Cell(" ")


class Canvas:
    """A grid of cells to draw series on; later ones lie on top."""

    def __init__(self, columns: int, rows: int, glyphs: Glyphs) -> None:
        self._columns = columns
        self._rows = rows
        self._glyphs = glyphs
        self._masks = [0] * (columns * rows)
        self._lines = [-1] * (columns * rows)
        self._areas = [-1] * (columns * rows)
        self._width = columns * glyphs.columns
        self._height = rows * glyphs.rows

    def plot(self, points: Sequence[Point | None], series: int, *, area: bool = False) -> None:
        """Draw a series as a line through its points, broken at None, with the area below it filled on demand."""
        for present, group in groupby(points, lambda point: point is not None):
            if not present:
                continue
            dots = [self._dot(point) for point in group if point is not None]
            steps = [step for a, b in pairwise(dots) for step in _between(a, b)] or dots
            if area:
                for x, y in steps:
                    for below in range(y, self._height):
                        self._set(x, below, self._areas, series)
            for x, y in steps:
                self._set(x, y, self._lines, series)

    def _dot(self, point: Point) -> tuple[int, int]:
        x, y = (min(max(place, 0.0), 1.0) for place in point)
        return min(int(x * self._width), self._width - 1), round((1 - y) * (self._height - 1))

    def _set(self, x: int, y: int, layer: list[int], series: int) -> None:
        glyphs = self._glyphs
        cell = y // glyphs.rows * self._columns + x // glyphs.columns
        self._masks[cell] |= 1 << (y % glyphs.rows * glyphs.columns + x % glyphs.columns)
        layer[cell] = series

    def row(self, y: int) -> list[Cell]:
        """The cells of one row, 0 being the top one."""
        return [self._cell(index) for index in range(y * self._columns, (y + 1) * self._columns)]

    def _cell(self, index: int) -> Cell:
        glyphs, line = self._glyphs, self._lines[index]
        if not self._masks[index]:
            return _EMPTY
        series = self._areas[index] if line < 0 else line
        if glyphs.cells:
            character = glyphs.cells[self._masks[index]]
        else:
            character = glyphs.area if line < 0 else glyphs.marks[series % len(glyphs.marks)]
        return Cell(character, series, is_area=line < 0)


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Every dot on the way from one dot to another, both included (Bresenham)."""
    (x, y), (end_x, end_y) = start, end
    dx, dy = abs(end_x - x), -abs(end_y - y)
    step_x, step_y = (1 if x < end_x else -1), (1 if y < end_y else -1)
    error = dx + dy
    while True:
        yield x, y
        if (x, y) == end:
            return
        doubled = 2 * error
        if doubled >= dy:
            error += dy
            x += step_x
        if doubled <= dx:
            error += dx
            y += step_y
