"""Axes get numbers that people would have chosen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.chart_axis import Scale, clock_marks, format_value, scale_for

NOON = 1_763_899_200.0  # 2025-11-23 12:00:00 UTC


@pytest.mark.parametrize(
    ("largest", "intervals", "unit", "scale"),
    [
        (0, 3, "%", Scale(1, 1)),
        (100, 1, "%", Scale(100, 100)),
        (61, 3, "%", Scale(50, 100)),
        (95, 5, "%", Scale(20, 100)),
        (3.4, 4, "%", Scale(1, 4)),
        (0.034, 2, "/s", Scale(0.02, 0.04)),
        (1, 4, "instances", Scale(1, 1)),
        (3, 1, "instances", Scale(5, 5)),
        (300 * 1024**2, 3, "B", Scale(128 * 1024**2, 3 * 128 * 1024**2)),
        (100.0000000001, 1, "%", Scale(100, 100)),
        (float("nan"), 2, "", Scale(1, 1)),
        (-5, 2, "", Scale(1, 1)),
    ],
)
def test_scales(largest, intervals, unit, scale):
    found = scale_for(largest, intervals, unit)

    assert (found.step, found.top) == (pytest.approx(scale.step), pytest.approx(scale.top))


@given(
    st.floats(0, 1e15, allow_subnormal=False), st.integers(1, 30), st.sampled_from(["", "%", "ms", "B", "instances"])
)
def test_a_scale_holds_its_values_in_few_round_steps(largest, intervals, unit):
    scale = scale_for(largest, intervals, unit)

    assert scale.top >= largest * 0.999999
    assert len(scale.marks) <= intervals + 1
    assert scale.top < max(2.6 * largest, 1e-300) or unit == "instances" or largest < 1


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "%", "0%"),
        (0.4, "%", "0.4%"),
        (3.14159, "%", "3.1%"),
        (61.2, "%", "61%"),
        (0, "B", "0"),
        (0.02, "/s", "0.02"),
        (0.0021, "/s", "0.002"),
        (0.00001, "/s", "0"),
        (7, "/s", "7"),
        (999.4, "/s", "999"),
        (999.9, "/s", "1k"),
        (1234, "/s", "1.2k"),
        (12_345_678, "requests", "12M"),
        (0.35, "ms", "0.3ms"),
        (350, "ms", "350ms"),
        (1250, "ms", "1.2s"),
        (59_000, "ms", "59s"),
        (150_000, "ms", "2.5m"),
        (512, "B", "512B"),
        (64 * 1024**2, "B", "64M"),
        (1.5 * 1024**3, "B", "1.5G"),
    ],
)
def test_values_in_few_characters(value, unit, text):
    assert format_value(value, unit) == text


@given(st.floats(0, 1e15), st.sampled_from(["", "%", "ms", "B"]))
def test_no_ordinary_value_takes_more_than_seven_characters(value, unit):
    if unit not in {"%", "ms"} or value < 1e5:
        assert len(format_value(value, unit)) <= 7


@pytest.mark.parametrize(
    ("seconds", "columns", "labels"),
    [
        (60, 60, ["12:00:15", "12:00:30", "12:00:45"]),
        (600, 60, ["12:02", "12:04", "12:06", "12:08"]),
        (3600, 40, ["12:15", "12:30", "12:45"]),
        (86_400, 40, ["18:00", "00:00", "06:00"]),
        (14 * 86_400, 40, ["Thu 27", "Thu 04"]),
        (600, 4, []),
    ],
)
def test_clock_labels_stand_at_round_times(seconds, columns, labels):
    assert [label for _, label in clock_marks(NOON, NOON + seconds, columns)] == labels


@given(st.floats(0, 4e9), st.floats(0.001, 1e8), st.integers(0, 300))
def test_clock_labels_never_touch_or_leave_the_axis(start, span, columns):
    free_from = 0
    for column, label in clock_marks(start, start + span, columns):
        assert column >= free_from
        assert column + len(label) <= columns
        free_from = column + len(label) + 1
