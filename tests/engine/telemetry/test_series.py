"""Charts: the finest grid that fits, and honest values in it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.metric import MetricName
from engine.store.cell import EMPTY, Cell
from engine.telemetry.series import KEPT_S, Grid, choose_grid, grid_of, intervals, value, values

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("age", "length", "points", "step", "resolution"),
    [
        (60, 60, 120, 1, 1),
        (300, 300, 120, 5, 1),
        (HOUR, HOUR, 120, 30, 1),
        (HOUR, HOUR, 60, 60, 60),
        (HOUR, 60, 120, 1, 1),
        (2 * HOUR, 60, 120, 60, 60),
        (DAY, DAY, 120, 900, 60),
        (7 * DAY, 7 * DAY, 200, HOUR, 3600),
        (30 * DAY, HOUR, 120, HOUR, 3600),
        (400 * DAY, 400 * DAY, 100, 604800, 3600),
    ],
)
def test_the_finest_grid_that_fits_and_still_has_data(age, length, points, step, resolution):
    grid = choose_grid(NOW - age, NOW - age + length, points, NOW)
    assert (grid.step, grid.resolution) == (step, resolution)


@given(st.floats(0, 500 * DAY), st.floats(0, 500 * DAY), st.integers(1, 500))
def test_a_grid_covers_its_range_with_aligned_intervals(age, length, points):
    start, end = NOW - age, NOW - age + length
    grid = choose_grid(start, end, points, NOW)

    assert grid.start % grid.step == 0
    assert grid.step % grid.resolution == 0
    assert 1 <= grid.count <= points
    assert grid.end >= end
    assert grid.end - grid.step <= max(end, start)
    assert grid.start > start - grid.step
    if grid.step < 2_592_000:
        assert grid.start < start + 1.5 * grid.step
        assert grid.start <= start or grid.count == points


def test_a_range_that_is_not_aligned_is_drawn_as_finely_as_one_that_is():
    grid = choose_grid(NOW - HOUR + 7.5, NOW + 7.5, 120, NOW + 7.5)
    assert (grid.step, grid.count, grid.end) == (30, 120, NOW + 30)


def test_the_last_hour_is_still_there_when_the_question_took_a_moment():
    assert choose_grid(NOW - KEPT_S[1], NOW, 3600, NOW + 5).resolution == 1


def test_counts_are_zero_only_where_somebody_was_counting():
    grid = Grid(start=1000, step=1, count=6, resolution=1)
    cells = {1: Cell(requests=5, edge_seconds=1), 4: Cell(requests=7, edge_seconds=1)}
    watched = {0: 1, 1: 1, 2: 1, 3: 0, 4: 0, 5: 1}
    known_since_1001 = values(MetricName.REQUESTS, grid, cells, watched, since=1001, now=2000.0)
    assert known_since_1001 == (None, 5.0, 0.0, None, 7.0, 0.0)


def test_the_newest_second_is_open_until_the_edge_has_reported_it():
    grid = Grid(start=1000, step=1, count=5, resolution=1)
    watched = dict.fromkeys(range(5), 1)
    result = values(MetricName.REQUESTS, grid, {}, watched, since=0, now=1004.2)
    assert result == (0.0, 0.0, None, None, None)


def test_a_longer_interval_that_has_begun_shows_what_there_is():
    grid = Grid(start=960, step=60, count=1, resolution=60)
    assert values(MetricName.REQUESTS, grid, {}, {0: 40}, since=0, now=1000.0) == (0.0,)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (MetricName.CPU, 20.0),
        (MetricName.MEMORY, 10.0),
        (MetricName.MEMORY_BYTES, 300.0),
        (MetricName.REQUESTS, 100.0),
        (MetricName.STATUS_2XX, 90.0),
        (MetricName.STATUS_4XX, 7.0),
        (MetricName.STATUS_5XX, 3.0),
        (MetricName.CONCURRENCY, 0.5),
        (MetricName.ACTIVE_INSTANCES, 2.0),
        (MetricName.PROVISIONED_INSTANCES, 3.0),
    ],
)
def test_each_metric_comes_from_its_part_of_a_cell(metric, expected):
    cell = Cell(
        requests=100,
        status_2xx=90,
        status_4xx=7,
        status_5xx=3,
        cpu_percent=120.0,
        memory_percent=60.0,
        memory_bytes=600,
        samples=6,
        ticks=2,
        active_instances=2,
        provisioned_instances=3,
        in_flight=5.0,
        edge_seconds=4,
    )
    assert value(metric, cell, 10, quiet=True) == expected


def test_percentiles_are_milliseconds():
    cell = Cell(latency={100: 94, 150: 4, 200: 2})
    p50, p95, p99 = (
        value(metric, cell, 1, quiet=True)
        for metric in (MetricName.LATENCY_P50, MetricName.LATENCY_P95, MetricName.LATENCY_P99)
    )
    assert math.isclose(p50, 1e-2 * 1.05**99.5)
    assert math.isclose(p95, 1e-2 * 1.05**149.5)
    assert math.isclose(p99, 1e-2 * 1.05**199.5)


@pytest.mark.parametrize("metric", list(MetricName))
def test_nothing_measured_is_none(metric):
    assert value(metric, EMPTY, 0, quiet=False) is None


@pytest.mark.parametrize(
    ("age", "period", "step", "resolution"),
    [
        (60, 1, 1, 1),
        (60, 5, 5, 1),
        (60, 30, 30, 1),
        (60, 60, 60, 1),
        (HOUR, 10, 10, 1),
        (HOUR, 60, 60, 1),
        (2 * HOUR, 1, 60, 60),
        (2 * HOUR, 30, 60, 60),
        (DAY, 60, 60, 60),
        (7 * DAY, 60, 60, 60),
        (8 * DAY, 60, HOUR, 3600),
        (8 * DAY, 1, HOUR, 3600),
        (400 * DAY, 60, HOUR, 3600),
        (500 * DAY, 60, HOUR, 3600),
    ],
)
def test_a_period_is_served_from_the_finest_data_that_is_still_there(age, period, step, resolution):
    grid = grid_of(NOW - age, NOW - age + 60, period, NOW)
    assert (grid.step, grid.resolution) == (step, resolution)


@settings(max_examples=100)
@given(st.floats(0, 500 * DAY), st.floats(0.001, 5 * DAY), st.sampled_from([1, 5, 10, 30, 60]))
def test_the_intervals_of_a_period_cover_the_range_and_no_more(age, length, period):
    start, end = NOW - age, NOW - age + length
    grid = grid_of(start, end, period, NOW)
    assert grid.start % grid.step == 0
    assert grid.step >= period
    assert grid.step % grid.resolution == 0
    assert grid.start <= start < grid.start + grid.step
    assert grid.end - grid.step < end <= grid.end


def test_the_last_hour_in_seconds_is_still_there_when_the_question_took_a_moment():
    assert grid_of(NOW - KEPT_S[1], NOW, 1, NOW + 5).resolution == 1


GRID = Grid(start=1000, step=10, count=4, resolution=1)


def test_there_is_an_interval_for_each_of_the_grid_with_what_was_measured():
    cells = {1: Cell(requests=5, edge_seconds=1)}
    found = intervals(GRID, cells, {0: 10, 1: 4}, since=0, now=2000.0)
    assert [each.start for each in found] == [1000, 1010, 1020, 1030]
    assert [each.cell for each in found] == [EMPTY, cells[1], EMPTY, EMPTY]
    assert [each.watched_s for each in found] == [10, 4, 0, 0]
    assert [each.value(MetricName.REQUESTS) for each in found] == [0.0, 5.0, None, None]


@pytest.mark.parametrize(
    ("since", "now", "quiet"),
    [
        (0, 2000.0, [True, True, False, True]),
        (1009, 2000.0, [True, True, False, True]),
        (1010, 2000.0, [False, True, False, True]),
        (1035, 2000.0, [False, False, False, True]),
        (9999, 2000.0, [False, False, False, False]),
        (0, 1032.5, [True, True, False, True]),
        (0, 1032.4, [True, True, False, False]),
        (0, 1000.0, [False, False, False, False]),
    ],
)
def test_quiet_is_where_somebody_watched_what_was_known_and_is_over(since, now, quiet):
    found = intervals(GRID, {}, {0: 10, 1: 1, 2: 0, 3: 10}, since=since, now=now)
    assert [each.quiet for each in found] == quiet


@pytest.mark.parametrize("metric", list(MetricName))
def test_a_chart_shows_the_values_of_its_intervals(metric):
    cells = {0: Cell(requests=1, edge_seconds=1, latency={100: 1}), 3: Cell(cpu_percent=4.0, samples=2, ticks=1)}
    watched = {0: 10, 2: 10}
    expected = tuple(each.value(metric) for each in intervals(GRID, cells, watched, since=0, now=2000.0))
    assert values(metric, GRID, cells, watched, since=0, now=2000.0) == expected
