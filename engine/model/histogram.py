"""Latency as a log-bucket histogram: cheap to add to, mergeable, percentiles within 2.5 %."""

import math
from collections.abc import Iterable, Mapping

GROWTH = 1.05
_LOG = math.log(GROWTH)
_SMALLEST_S = 1e-5  # everything faster counts as ten microseconds

Histogram = dict[int, int]
"""Bucket number to count; sparse."""


def bucket_of(seconds: float) -> int:
    """The bucket for a duration: bucket b covers (1e-5·1.05^(b-1), 1e-5·1.05^b]."""
    if seconds <= _SMALLEST_S:
        return 0
    return math.ceil(math.log(seconds / _SMALLEST_S) / _LOG)


def seconds_of(bucket: int) -> float:
    """A bucket's middle value in seconds."""
    return _SMALLEST_S * GROWTH ** (bucket - 0.5) if bucket > 0 else _SMALLEST_S


def merged(histograms: Iterable[Mapping[int, int]]) -> Histogram:
    total: Histogram = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def rank_of(share: float, count: int) -> int:
    """Which of `count` sorted values, from 1 on, `share` (0..1] of all are not above."""
    return max(1, math.ceil(share * count - 1e-9))  # 0.07 of 100 is 7, also where floats say a little more


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds that `share` (0..1] of all stay under; None for an empty histogram."""
    count = sum(histogram.values())
    if count == 0:
        return None
    wanted = rank_of(share, count)
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return seconds_of(bucket)
    raise AssertionError("unreachable: the counts add up to count")
