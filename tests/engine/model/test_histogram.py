"""Latency histograms: percentiles stay close to the truth, and merging loses nothing."""

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.model.histogram import bucket_of, merged, percentile, seconds_of

durations = st.floats(1e-5, 200.0, allow_nan=False)


@given(durations)
def test_a_bucket_stands_for_its_durations_within_five_percent(seconds):
    assert math.isclose(seconds_of(bucket_of(seconds)), seconds, rel_tol=0.05)


@given(durations, durations)
def test_longer_never_falls_into_a_smaller_bucket(one, other):
    low, high = sorted((one, other))

    assert bucket_of(low) <= bucket_of(high)


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_those_of_the_sorted_list(values, share):
    histogram: dict[int, int] = {}
    for value in values:
        histogram[bucket_of(value)] = histogram.get(bucket_of(value), 0) + 1
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]

    assert math.isclose(percentile(histogram, share), exact, rel_tol=0.05)


@given(st.lists(st.dictionaries(st.integers(0, 300), st.integers(1, 9)), max_size=5))
def test_merging_adds_up(histograms):
    assert sum(merged(histograms).values()) == sum(sum(histogram.values()) for histogram in histograms)


def test_nothing_measured_has_no_percentile():
    assert percentile({}, 0.99) is None
