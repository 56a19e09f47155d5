"""Answers become charts."""

from engine.model.metric import MetricAnswer, MetricName, Series
from tui.presenters.metrics import CHARTS, METRICS, TimeRange, chart_values, has_values


def answer(**values):
    return MetricAnswer(
        start=0,
        resolution_s=30,
        series=tuple(Series(metric=MetricName[name], values=tuple(found)) for name, found in values.items()),
    )


def spec(chart_id):
    return next(chart for chart in CHARTS if chart.id == chart_id)


def test_counts_become_rates():
    found = chart_values(spec("requests"), answer(STATUS_2XX=[60, None, 0], STATUS_5XX=[3, 0, 0]))
    assert found == {"2xx": (2.0, None, 0.0), "5xx": (0.1, 0.0, 0.0)}


def test_lines_without_any_value_are_left_out():
    assert chart_values(spec("cpu"), answer(CPU=[None, None])) == {}
    assert not has_values(answer(CPU=[None]))
    assert has_values(answer(CPU=[None, 0.0]))


def test_one_query_asks_for_everything_once():
    assert len(METRICS) == len(set(METRICS))
    assert set(METRICS) == {line.metric for chart in CHARTS for line in chart.lines}


def test_ranges_form_a_row():
    assert TimeRange.MINUTES_5.shorter() is None
    assert TimeRange.DAYS_7.longer() is None
    assert TimeRange.HOUR_1.longer() is TimeRange.HOURS_6
    assert [time_range.label for time_range in TimeRange] == ["5m", "1h", "6h", "24h", "7d"]
