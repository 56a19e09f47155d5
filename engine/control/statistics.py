"""CloudWatch's statistics of App Runner's metrics, from what was measured minute by minute. Pure."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

from engine.model.base import Value
from engine.model.histogram import merged, percentile, rank_of, seconds_of
from engine.model.metric import MetricName
from engine.telemetry.series import Interval

NAMESPACE = "AWS/AppRunner"


class Unit(StrEnum):
    COUNT = "Count"
    PERCENT = "Percent"
    MILLISECONDS = "Milliseconds"


LATENCY = "RequestLatency"
UNITS: dict[str, Unit] = {
    MetricName.REQUESTS.value: Unit.COUNT,
    MetricName.STATUS_2XX.value: Unit.COUNT,
    MetricName.STATUS_4XX.value: Unit.COUNT,
    MetricName.STATUS_5XX.value: Unit.COUNT,
    LATENCY: Unit.MILLISECONDS,
    MetricName.ACTIVE_INSTANCES.value: Unit.COUNT,
    MetricName.CONCURRENCY.value: Unit.COUNT,
    MetricName.CPU.value: Unit.PERCENT,
    MetricName.MEMORY.value: Unit.PERCENT,
}
"""App Runner's metrics of a service."""
OF_INSTANCES = (MetricName.CPU.value, MetricName.MEMORY.value)
"""Those that each instance has, too."""

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,10})?|100)")


class Statistics(Value, frozen=True, kw_only=True):
    """One datapoint with everything that can be asked of it."""

    at: int
    """Start of the period, epoch seconds."""
    sample_count: float
    sum: float
    minimum: float
    maximum: float
    percentiles: dict[str, float] = {}

    @property
    def average(self) -> float:
        return self.sum / self.sample_count

    def get(self, name: str) -> float:
        match name:
            case "SampleCount":
                return self.sample_count
            case "Average":
                return self.average
            case "Sum":
                return self.sum
            case "Minimum":
                return self.minimum
            case "Maximum":
                return self.maximum
        return self.percentiles[name]


def percentile_of(name: str) -> float | None:
    """The share that an extended statistic like p99.9 means, None for what is no such thing."""
    match = _PERCENTILE.fullmatch(name)
    share = float(match[1]) / 100 if match else 0.0
    return share if share > 0 else None


def datapoints(
    metric: str, measured: Sequence[Interval], period: int, percentiles: Iterable[str] = ()
) -> list[Statistics]:
    """One for each period that anything was measured in, oldest first.

    A sample is what one interval came to, as App Runner sends one a minute; of latency it is one request.
    """
    periods: dict[int, list[Interval]] = {}
    for interval in measured:
        periods.setdefault(interval.start - interval.start % period, []).append(interval)
    wanted = tuple(percentiles)
    found = (
        (_of_latency if metric == LATENCY else _of_values)(metric, at, intervals, wanted)
        for at, intervals in sorted(periods.items())
    )
    return [each for each in found if each is not None]


def _of_values(metric: str, at: int, intervals: list[Interval], percentiles: tuple[str, ...]) -> Statistics | None:
    values = sorted(v for v in (interval.value(MetricName(metric)) for interval in intervals) if v is not None)
    if not values:
        return None
    return Statistics(
        at=at,
        sample_count=len(values),
        sum=sum(values),
        minimum=values[0],
        maximum=values[-1],
        percentiles={name: values[rank_of(_share(name), len(values)) - 1] for name in percentiles},
    )


def _of_latency(_: str, at: int, intervals: list[Interval], percentiles: tuple[str, ...]) -> Statistics | None:
    histogram = merged(interval.cell.latency for interval in intervals)
    count = sum(histogram.values())
    if count == 0:
        return None
    return Statistics(
        at=at,
        sample_count=count,
        sum=sum(seconds_of(bucket) * 1000 * n for bucket, n in histogram.items()),
        minimum=seconds_of(min(histogram)) * 1000,
        maximum=seconds_of(max(histogram)) * 1000,
        percentiles={name: (percentile(histogram, _share(name)) or 0.0) * 1000 for name in percentiles},
    )


def _share(name: str) -> float:
    return percentile_of(name) or 1.0
