"""CloudWatch's statistics from what was measured: counts, means, extremes, percentiles, by period."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.statistics import LATENCY, Statistics, datapoints, percentile_of
from engine.model.histogram import bucket_of
from engine.store.cell import Cell
from engine.telemetry.series import Interval

SHARES = ("p1", "p50", "p90", "p95", "p99", "p99.9", "p100")


def interval(start, *, quiet=True, **numbers):
    return Interval(start=start, cell=Cell(**numbers), watched_s=60, quiet=quiet)


def exact(values, name):
    """By nearest rank, without rounding on the way."""
    rank = math.ceil(Fraction(name.removeprefix("p")) / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def latency_of(durations, start=0):
    histogram = {}
    for duration in durations:
        histogram[bucket_of(duration)] = histogram.get(bucket_of(duration), 0) + 1
    return interval(start, latency=histogram)


@pytest.mark.parametrize(
    ("name", "share"),
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p0.1", 0.001), ("p100", 1.0), ("p5", 0.05)],
)
def test_a_percentile_is_a_share(name, share):
    assert math.isclose(percentile_of(name), share)


@pytest.mark.parametrize(
    "name", ["", "p", "p0", "p0.0", "p101", "p100.1", "P50", "50", "p-1", "p5e1", "p50 ", "tm90", "p1.", "pNaN"]
)
def test_what_is_no_percentile_is_none(name):
    assert percentile_of(name) is None


def test_a_percentile_is_written_in_ascii():
    assert percentile_of("p\u0665") is None


def test_a_sample_is_what_an_interval_came_to():
    measured = [interval(0, requests=5), interval(60, requests=0), interval(120, requests=10)]
    (found,) = datapoints("Requests", measured, 300, ("p50",))
    assert found == Statistics(at=0, sample_count=3, sum=15.0, minimum=0.0, maximum=10.0, percentiles={"p50": 5.0})
    assert found.average == 5.0
    named = {name: found.get(name) for name in ("SampleCount", "Average", "Sum", "Minimum", "Maximum", "p50")}
    assert named == {"SampleCount": 3, "Average": 5.0, "Sum": 15.0, "Minimum": 0.0, "Maximum": 10.0, "p50": 5.0}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("CPUUtilization", 20.0),
        ("MemoryUtilization", 10.0),
        ("Requests", 100.0),
        ("2xxStatusResponses", 90.0),
        ("4xxStatusResponses", 7.0),
        ("5xxStatusResponses", 3.0),
        ("ActiveInstances", 2.0),
        ("Concurrency", 0.5),
    ],
)
def test_each_metric_is_its_part_of_what_was_measured(metric, expected):
    measured = interval(
        0,
        requests=100,
        status_2xx=90,
        status_4xx=7,
        status_5xx=3,
        cpu_percent=120.0,
        memory_percent=60.0,
        samples=6,
        ticks=2,
        active_instances=2,
        in_flight=30.0,
        edge_seconds=4,
    )
    (found,) = datapoints(metric, [measured], 60)
    assert (found.sum, found.sample_count) == (expected, 1)


def test_periods_begin_at_multiples_of_their_length_and_empty_ones_are_left_out():
    measured = [interval(60 * minute, requests=minute) for minute in (0, 4, 5, 9, 20)]
    measured.append(interval(60 * 12, quiet=False))
    assert [(each.at, each.sum) for each in datapoints("Requests", measured, 300)] == [
        (0, 4.0),
        (300, 14.0),
        (1200, 20),
    ]
    assert [each.at for each in datapoints("Requests", measured, 60)] == [0, 240, 300, 540, 1200]


def test_quiet_minutes_count_as_zero_and_unwatched_ones_not_at_all():
    measured = [interval(0), interval(60, quiet=False), interval(120, requests=4)]
    (found,) = datapoints("Requests", measured, 3600)
    assert (found.sample_count, found.minimum, found.average) == (2, 0.0, 2.0)
    (found,) = datapoints("CPUUtilization", [*measured, interval(180, cpu_percent=9.0, samples=1)], 3600)
    assert (found.sample_count, found.average) == (1, 9.0)


@pytest.mark.parametrize("metric", ["Requests", "CPUUtilization", "RequestLatency"])
def test_nothing_measured_gives_nothing(metric):
    assert datapoints(metric, [], 60, ("p50",)) == []
    assert datapoints(metric, [interval(0, quiet=False)], 60, ("p50",)) == []


@settings(max_examples=60)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 40))
def test_periods_of_any_length_lose_and_repeat_nothing(counts, minutes):
    measured = [interval(60 * number, requests=count) for number, count in enumerate(counts)]
    found = datapoints("Requests", measured, minutes * 60)
    assert sum(each.sum for each in found) == sum(counts)
    assert sum(each.sample_count for each in found) == len(counts)
    assert max(each.maximum for each in found) == max(counts)
    assert [each.at for each in found] == sorted({60 * n - 60 * n % (minutes * 60) for n in range(len(counts))})


durations = st.floats(1e-4, 100.0)


@settings(max_examples=60)
@given(st.lists(durations, min_size=1, max_size=80), st.sampled_from(("p1", "p25", "p50", "p75", "p90", "p100")))
def test_latency_is_within_two_and_a_half_percent(values, name):
    (found,) = datapoints(LATENCY, [latency_of(values)], 60, (name,))
    assert found.sample_count == len(values)
    for got, wanted in (
        (found.get(name), exact(values, name)),
        (found.minimum, min(values)),
        (found.maximum, max(values)),
        (found.average, sum(values) / len(values)),
        (found.sum, sum(values)),
    ):
        assert math.isclose(got, wanted * 1000, rel_tol=0.025)


@settings(max_examples=40)
@given(st.lists(st.lists(durations, max_size=20), min_size=1, max_size=8))
def test_latency_of_many_minutes_is_that_of_all_their_requests(minutes):
    together = [each for minute in minutes for each in minute]
    apart = [latency_of(values, start=60 * number) for number, values in enumerate(minutes)]
    assert datapoints(LATENCY, apart, 3600, SHARES) == datapoints(LATENCY, [latency_of(together)], 3600, SHARES)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=60))
def test_percentiles_grow_with_their_share_up_to_the_maximum(counts):
    measured = [interval(60 * number, requests=count) for number, count in enumerate(counts)]
    (found,) = datapoints("Requests", measured, 86400, SHARES)
    values = [found.get(name) for name in SHARES]
    assert values == sorted(values)
    assert values[-1] == found.maximum
    assert values[0] >= found.minimum


@pytest.mark.parametrize(("name", "count"), [("p7", 100), ("p55", 100), ("p99.9", 1000)])
def test_a_percentile_is_of_the_rank_that_it_names(name, count):
    minutes = [interval(60 * number, requests=number) for number in range(count)]
    (found,) = datapoints("Requests", minutes, 86400, (name,))
    assert found.get(name) == exact(list(range(count)), name)
