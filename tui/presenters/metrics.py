"""Which charts there are, what they ask for, and how an answer becomes their series."""

from collections.abc import Mapping
from enum import Enum

from engine.model.base import Value
from engine.model.metric import MetricAnswer, MetricName


class TimeRange(Enum):
    """How far the charts look back; the value is in seconds."""

    MINUTES_5 = 300
    HOUR_1 = 3600
    HOURS_6 = 21600
    HOURS_24 = 86400
    DAYS_7 = 604800

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def words(self) -> str:
        return _WORDS[self]

    def longer(self) -> "TimeRange | None":
        ranges = list(TimeRange)
        index = ranges.index(self) + 1
        return ranges[index] if index < len(ranges) else None

    def shorter(self) -> "TimeRange | None":
        ranges = list(TimeRange)
        index = ranges.index(self) - 1
        return ranges[index] if index >= 0 else None


_LABELS = {
    TimeRange.MINUTES_5: "5m",
    TimeRange.HOUR_1: "1h",
    TimeRange.HOURS_6: "6h",
    TimeRange.HOURS_24: "24h",
    TimeRange.DAYS_7: "7d",
}
_WORDS = {
    TimeRange.MINUTES_5: "5 minutes",
    TimeRange.HOUR_1: "hour",
    TimeRange.HOURS_6: "6 hours",
    TimeRange.HOURS_24: "24 hours",
    TimeRange.DAYS_7: "7 days",
}


class LineSpec(Value, frozen=True, kw_only=True):
    """One line of a chart: a metric, its label and the theme colour it is drawn in."""

    metric: MetricName
    label: str
    role: str


class ChartSpec(Value, frozen=True, kw_only=True):
    id: str
    title: str
    unit: str
    lines: tuple[LineSpec, ...]
    per_second: bool = False
    """The metric counts per interval and is shown as a rate."""


CHARTS = (
    ChartSpec(
        id="requests",
        title="Requests",
        unit="/s",
        per_second=True,
        lines=(
            LineSpec(metric=MetricName.STATUS_2XX, label="2xx", role="success"),
            LineSpec(metric=MetricName.STATUS_4XX, label="4xx", role="warning"),
            LineSpec(metric=MetricName.STATUS_5XX, label="5xx", role="error"),
        ),
    ),
    ChartSpec(
        id="latency",
        title="Latency",
        unit="ms",
        lines=(
            LineSpec(metric=MetricName.LATENCY_P99, label="p99", role="error"),
            LineSpec(metric=MetricName.LATENCY_P95, label="p95", role="warning"),
            LineSpec(metric=MetricName.LATENCY_P50, label="p50", role="success"),
        ),
    ),
    ChartSpec(
        id="cpu",
        title="CPU",
        unit="%",
        lines=(LineSpec(metric=MetricName.CPU, label="", role="primary"),),
    ),
    ChartSpec(
        id="memory",
        title="Memory",
        unit="B",
        lines=(LineSpec(metric=MetricName.MEMORY_BYTES, label="", role="secondary"),),
    ),
    ChartSpec(
        id="instances",
        title="Instances",
        unit="instances",
        lines=(
            LineSpec(metric=MetricName.PROVISIONED_INSTANCES, label="provisioned", role="primary"),
            LineSpec(metric=MetricName.ACTIVE_INSTANCES, label="active", role="success"),
        ),
    ),
)

METRICS: tuple[MetricName, ...] = tuple(dict.fromkeys(line.metric for chart in CHARTS for line in chart.lines))
"""Everything the charts need, for one query."""


def chart_values(spec: ChartSpec, answer: MetricAnswer) -> Mapping[str, tuple[float | None, ...]]:
    """The values of each of the chart's lines by label, in the chart's unit; lines without any value are left out."""
    by_metric = {series.metric: series.values for series in answer.series}
    factor = 1.0 / answer.resolution_s if spec.per_second else 1.0
    found: dict[str, tuple[float | None, ...]] = {}
    for line in spec.lines:
        values = by_metric.get(line.metric, ())
        if any(value is not None for value in values):
            found[line.label] = tuple(None if value is None else value * factor for value in values)
    return found


def has_values(answer: MetricAnswer) -> bool:
    return any(value is not None for series in answer.series for value in series.values)
