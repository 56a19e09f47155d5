"""The chart on the screen: what it repaints, and how it looks."""

import math

import pytest
from textual.containers import Grid

from tui.widgets.chart import Chart, ChartSeries
from tui.widgets.chart_canvas import ASCII, BRAILLE

NOON = 1_763_899_200.0


def wave(count, low, high, period, gap=()):
    middle, swing = (low + high) / 2, (high - low) / 2
    return tuple(None if n in gap else middle + swing * math.sin(n / period) for n in range(count))


@pytest.fixture
def repaints(monkeypatch):
    """Every repaint that a chart asks for: the regions, () for all of it."""
    asked = []
    refresh = Chart.refresh

    def spy(self, *regions, **options):
        asked.append(regions)
        return refresh(self, *regions, **options)

    monkeypatch.setattr(Chart, "refresh", spy)
    return asked


async def test_only_rows_that_changed_are_painted_again(app_with, repaints, shown):
    chart = Chart("CPU", "%", glyphs=ASCII)
    async with app_with(chart).run_test(size=(40, 10)) as pilot:
        chart.show([ChartSeries("cpu", [10.0, 10.0, 10.0], "primary")], NOON, 60.0, NOON + 180)
        await pilot.pause()
        assert shown(chart)[0].endswith("10%")
        repaints.clear()

        chart.show([ChartSeries("cpu", [10.0, 10.0, 10.0], "primary")], NOON, 60.0, NOON + 180)
        assert repaints == []

        chart.show([ChartSeries("cpu", [10.0, 10.0, 8.0], "primary")], NOON, 60.0, NOON + 180)
        (regions,) = repaints
        assert 0 < len(regions) < 10
        assert shown(chart)[0].endswith("8%")


async def test_a_new_size_is_drawn_anew(app_with, shown):
    chart = Chart("CPU", "%", glyphs=ASCII)
    async with app_with(chart).run_test(size=(40, 10)) as pilot:
        chart.show([ChartSeries("cpu", [10.0], "primary")], NOON, 60.0, NOON + 60)
        await pilot.resize_terminal(60, 20)
        await pilot.pause()

        assert len(shown(chart)) == 20
        assert len(shown(chart)[0]) == 60


async def test_the_theme_gives_the_colours(app_with):
    chart = Chart("CPU", "%", glyphs=BRAILLE)
    async with app_with(chart).run_test(size=(40, 10)) as pilot:
        chart.show([ChartSeries("cpu", [10.0, 90.0], "primary")], NOON, 60.0, NOON + 120)
        await pilot.pause()
        dark = chart.render_line(4)
        pilot.app.theme = "textual-light"
        await pilot.pause()

        assert chart.render_line(4).text == dark.text
        assert chart.render_line(4) != dark


async def test_odd_values_labels_and_roles_are_survived(app_with, shown):
    chart = Chart("CPU", "%", glyphs=ASCII)
    async with app_with(chart).run_test(size=(40, 10)) as pilot:
        values = [math.nan, math.inf, -5.0, 3.0]
        chart.show([ChartSeries("\x1b[2Jx", values, "no-such-role")] * 2, NOON, 60.0, NOON)
        await pilot.pause()

        assert shown(chart)[0].endswith("* x 3%  o x 3%")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: "x".join(map(str, size)))
def test_faces(snap_compare, app_with, size):
    grid = "Grid { grid-size: 2 3; grid-gutter: 1 2; padding: 0 1; }"
    charts = [
        Chart("Requests", "/s", glyphs=BRAILLE),
        Chart("CPU", "%", glyphs=BRAILLE),
        Chart("Latency", "ms", glyphs=BRAILLE),
        Chart("Memory", "B", glyphs=BRAILLE),
        Chart("Instances", "instances", glyphs=BRAILLE),
        Chart("CPU without UTF-8", "%", glyphs=ASCII),
    ]

    async def show(pilot):
        def fill(chart, *series):
            named = [ChartSeries(label, values, role) for label, values, role in series]
            chart.show(named, NOON, 5.0, NOON + 600)

        fill(
            charts[0],
            ("2xx", wave(120, 20, 140, 9), "success"),
            ("4xx", wave(120, 0, 20, 4), "warning"),
            ("5xx", tuple(60.0 if 70 < n < 76 else 0.0 for n in range(120)), "error"),
        )
        fill(charts[1], ("cpu", wave(120, 5, 62, 11, gap=range(30, 40)), "primary"))
        fill(charts[2], ("p50", wave(120, 8, 14, 5), "success"), ("p95", wave(120, 80, 240, 12), "warning"))
        fill(charts[3], ("memory", tuple(50e6 + n * 1.5e6 for n in range(120)), "accent"))
        fill(charts[5], ("cpu", wave(120, 5, 62, 11), "primary"))
        await pilot.pause()

    assert snap_compare(app_with(Grid(*charts), grid), terminal_size=size, run_before=show)
