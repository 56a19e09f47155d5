"""A chart as rows of styled text: title, legend, axes and the drawing between them. Pure: values in, text out."""

from collections.abc import Sequence
from itertools import groupby

import msgspec
from rich.cells import cell_len, set_cell_size

from tui.widgets.chart_axis import Scale, clock_marks, format_value, scale_for
from tui.widgets.chart_canvas import Canvas, Glyphs, Point

Piece = tuple[str, str]
"""Text and its look: "title", "label", "guide", "quiet"; "line-ROLE" and "area-ROLE" for what a series draws."""

_ROWS_A_MARK = 3
_LEAST_ROWS_FOR_TIMES = 5
_LEAST_COLUMNS_FOR_VALUES = 20


class ChartSeries(msgspec.Struct, frozen=True):
    """One line of a chart: a value an interval, oldest first, None where nothing was measured."""

    label: str
    values: Sequence[float | None]
    role: str
    """The theme colour that it is drawn in: "success", "error", "primary" ..."""


class ChartData(msgspec.Struct, frozen=True):
    """Everything that a chart shows. The first interval begins at `start`, the right edge is `now`."""

    title: str
    unit: str = ""
    series: tuple[ChartSeries, ...] = ()
    start: float = 0.0
    resolution_s: float = 1.0
    now: float = 0.0

    @property
    def end(self) -> float:
        if self.now > self.start:
            return self.now
        return self.start + self.resolution_s * max((len(series.values) for series in self.series), default=0)

    @property
    def largest(self) -> float | None:
        """None where nothing was measured at all."""
        return max((v for series in self.series for v in series.values if v is not None), default=None)


def last_value(series: ChartSeries) -> float | None:
    """The newest measured value; the interval under way may still be empty."""
    return next((value for value in reversed(series.values[-2:]) if value is not None), None)


def draw_chart(data: ChartData, width: int, height: int, glyphs: Glyphs) -> list[list[Piece]]:
    """`height` rows of pieces, each `width` cells wide in all."""
    if width < 1 or height < 1:
        return []
    rows = [_header(data, width, glyphs)]
    with_times = height >= _LEAST_ROWS_FOR_TIMES
    body = height - 1 - with_times
    if body < 1:
        return rows
    if data.largest is None:
        rows += _nothing(body + with_times, width)
        return rows
    scale = scale_for(data.largest, max(1, body // _ROWS_A_MARK), data.unit)
    labels = _value_labels(scale, data.unit, body, glyphs) if width >= _LEAST_COLUMNS_FOR_VALUES else {}
    gutter = max(map(len, labels.values()), default=-1) + 1
    columns = width - gutter
    canvas = Canvas(columns, body, glyphs)
    for number in reversed(range(len(data.series))):
        canvas.plot(_points(data, data.series[number], scale), number, area=len(data.series) == 1)
    for y in range(body):
        label = f"{labels.get(y, ''):>{gutter - 1}} " if gutter else ""
        rows.append([(label, "label"), *_drawing(canvas, y, data, glyphs.guide if y in labels else " ")])
    if with_times:
        rows.append([(" " * gutter, ""), (_times(data, columns), "label")])
    return rows


def _nothing(rows: int, width: int) -> list[list[Piece]]:
    return [[(f"{'no data yet' if y == (rows - 1) // 2 else '':^{width}}"[:width], "quiet")] for y in range(rows)]


def _points(data: ChartData, series: ChartSeries, scale: Scale) -> list[Point | None]:
    """Each value in the middle of its interval; at a gap or an end it holds to the interval's edge."""
    interval = data.resolution_s / (data.end - data.start)
    padded = (None, *series.values, None)
    points: list[Point | None] = []
    for number, (before, value, after) in enumerate(zip(padded, padded[1:], padded[2:], strict=False)):
        if value is None:
            points.append(None)
            continue
        y = value / scale.top
        if before is None:
            points.append((number * interval, y))
        points.append(((number + 0.5) * interval, y))
        if after is None:
            points.append(((number + 1) * interval, y))
    return points


def _value_labels(scale: Scale, unit: str, rows: int, glyphs: Glyphs) -> dict[int, str]:
    """The row of each marked value; where two fall together, the higher value stays."""
    last_dot = rows * glyphs.rows - 1
    labels: dict[int, str] = {}
    for value in scale.marks:
        labels[round((1 - value / scale.top) * last_dot) // glyphs.rows] = format_value(value, unit)
    return labels


def _drawing(canvas: Canvas, y: int, data: ChartData, guide: str) -> list[Piece]:
    pieces: list[Piece] = []
    looks = ((cell, _look(cell.series, data, is_area=cell.is_area)) for cell in canvas.row(y))
    for look, group in groupby(looks, key=lambda pair: pair[1]):
        text = "".join(cell.character for cell, _ in group)
        pieces.append((text, look) if look else (guide * len(text), "guide"))
    return pieces


def _look(series: int, data: ChartData, *, is_area: bool) -> str:
    if series < 0:
        return ""
    return f"{'area' if is_area else 'line'}-{data.series[series].role}"


def _times(data: ChartData, columns: int) -> str:
    line = ""
    for column, label in clock_marks(data.start, data.end, columns):
        line = line.ljust(column) + label
    return line.ljust(columns)


def _header(data: ChartData, width: int, glyphs: Glyphs) -> list[Piece]:
    """Title and unit on the left, the newest values on the right; what does not fit goes, names before values."""
    title = f"{data.title} {data.unit}" if data.unit.startswith("/") else data.title
    alone = len(data.series) == 1
    for named in (True, False):
        legend: list[Piece] = []
        for number, series in enumerate(data.series):
            value = last_value(series)
            text = "-" if value is None else format_value(value, data.unit)
            bullet = "" if alone else glyphs.bullets[number % len(glyphs.bullets)] + " "
            name = f"{series.label} " if named and not alone else ""
            legend += [
                ("  " if legend else "", ""),
                (bullet, f"line-{series.role}"),
                (name, "label"),
                (text, f"line-{series.role}" if alone else "value"),
            ]
        taken = sum(cell_len(text) for text, _ in legend)
        if cell_len(title) + 2 + taken <= width:
            return [(title, "title"), (" " * (width - cell_len(title) - taken), ""), *legend]
    return [(set_cell_size(title, width), "title")]
