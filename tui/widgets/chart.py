"""A small chart of values over time that repaints only the rows that changed."""

import math
import os
import sys
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from tui.text import clean
from tui.widgets.chart_canvas import Glyphs, choose_glyphs
from tui.widgets.chart_drawing import ChartData, ChartSeries, Piece, draw_chart

__all__ = ["Chart", "ChartSeries"]

_AREA_STRENGTH = 0.35


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class Chart(Widget):
    """Lines over time, or one line with the area below it; title, newest values and axes around them.

    Any size from about 20x4 works: what does not fit is left out, the drawing last.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--title",
        "chart--label",
        "chart--value",
        "chart--guide",
        "chart--quiet",
    }

    DEFAULT_CSS = """
    Chart {
        height: 1fr;
        min-height: 4;

        & > .chart--title { text-style: bold; }
        & > .chart--label { color: $text-muted; }
        & > .chart--value { text-style: bold; }
        & > .chart--guide { color: $foreground 15%; }
        & > .chart--quiet { color: $foreground 45%; }
    }
    """

    def __init__(
        self,
        title: str,
        unit: str,
        *,
        glyphs: Glyphs | None = None,
        id: str | None = None,  # noqa: A002 - every widget calls it so
        classes: str | None = None,
    ) -> None:
        """An empty chart of `title`, in `unit`: "%", "ms", "B" (bytes), "/s", "instances", "requests" or another one.

        It is drawn with `glyphs`, or with what the terminal is known to have when there are none given.
        """
        super().__init__(id=id, classes=classes)
        self._data = ChartData(title, unit)
        self._glyphs = glyphs or choose_glyphs(
            getattr(sys.__stdout__, "encoding", None) or "utf-8", os.environ.get("TERM", "")
        )
        self._strips: list[Strip] = []
        self._drawn_for: tuple[int, int] | None = None

    def show(self, series: Sequence[ChartSeries], start: float, resolution_s: float, now: float) -> None:
        """Show series that share their intervals: the first begins at `start`, the right edge is `now`."""
        data = ChartData(
            self._data.title,
            self._data.unit,
            tuple(ChartSeries(clean(one.label), tuple(map(_finite, one.values)), one.role) for one in series),
            start,
            resolution_s,
            now,
        )
        if data == self._data:
            return
        self._data = data
        if self._drawn_for != self.size:
            self.refresh()
            return
        before, self._strips = self._strips, self._draw()
        changed = [y for y, (old, new) in enumerate(zip(before, self._strips, strict=False)) if old != new]
        if len(before) != len(self._strips):
            self.refresh()
        elif changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn_for = None

    def render_line(self, y: int) -> Strip:
        if self._drawn_for != self.size:
            self._strips = self._draw()
            self._drawn_for = self.size
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> list[Strip]:
        base = self.visual_style
        styles: dict[str, Style] = {"": base}

        def segment(piece: Piece) -> Segment:
            text, look = piece
            if look not in styles:
                styles[look] = base + self._look(look)
            return Segment(text, styles[look].rich_style)

        rows = draw_chart(self._data, *self.size, self._glyphs)
        return [Strip([segment(piece) for piece in row if piece[0]]) for row in rows]

    def _look(self, look: str) -> Style:
        kind, _, role = look.partition("-")
        if not role:
            return self.get_visual_style(f"chart--{look}", partial=True)
        variables = self.app.theme_variables
        try:
            colour = Color.parse(variables.get(role, variables["foreground"]))
        except ColorParseError:  # a role like "auto 87%" names no colour of its own
            colour = self.visual_style.foreground or Color(255, 255, 255)
        if kind == "area" and colour.ansi is None:
            colour = self.background_colors[1].blend(colour, _AREA_STRENGTH, alpha=1.0)
        return Style(foreground=colour, dim=True if kind == "area" and colour.ansi is not None else None)
