"""CloudWatch metrics, read side: what the name space AWS/AppRunner has."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.model.base import Request, Wire
from engine.model.service import Limit

Timestamp = Annotated[float, msgspec.Meta(extra={"timestamp": True})]
"""Seconds since the epoch in JSON; protocols that have a form of their own for times look for the mark."""
Namespace = Annotated[str, Limit(pattern=r"\A[^:].*\Z", min_length=1, max_length=255)]
Name = Annotated[str, Limit(min_length=1, max_length=255)]
DimensionValue = Annotated[str, Limit(min_length=1, max_length=1024)]
Period = Annotated[int, Limit(ge=1)]


class RecentlyActive(StrEnum):
    PT3H = "PT3H"


class Dimension(Wire, frozen=True, kw_only=True):
    name: Name
    value: DimensionValue


class DimensionFilter(Wire, frozen=True, kw_only=True):
    name: Name
    value: DimensionValue | None = None


class Metric(Wire, frozen=True, kw_only=True):
    namespace: Namespace | None = None
    metric_name: Name | None = None
    dimensions: Annotated[tuple[Dimension, ...], Limit(max_length=30)] | None = None


class ListMetricsResponse(Wire, frozen=True, kw_only=True):
    metrics: tuple[Metric, ...]
    next_token: str | None = None


class ListMetricsRequest(Request[ListMetricsResponse], frozen=True, kw_only=True):
    namespace: Namespace | None = None
    metric_name: Name | None = None
    dimensions: Annotated[tuple[DimensionFilter, ...], Limit(max_length=10)] | None = None
    next_token: str | None = None
    recently_active: RecentlyActive | None = None
    include_linked_accounts: bool | None = None
    owning_account: Annotated[str, Limit(min_length=1, max_length=255)] | None = None


class MetricStat(Wire, frozen=True, kw_only=True):
    metric: Metric
    period: Period
    stat: str
    unit: str | None = None


class MetricDataQuery(Wire, frozen=True, kw_only=True):
    id: Annotated[str, Limit(pattern=r"\A[a-z][a-zA-Z0-9_]*\Z", min_length=1, max_length=255)]
    metric_stat: MetricStat | None = None
    expression: Annotated[str, Limit(min_length=1, max_length=2048)] | None = None
    label: str | None = None
    return_data: bool | None = None
    period: Period | None = None
    account_id: Annotated[str, Limit(min_length=1, max_length=255)] | None = None


class ScanBy(StrEnum):
    DESCENDING = "TimestampDescending"
    ASCENDING = "TimestampAscending"


class MetricDataResult(Wire, frozen=True, kw_only=True):
    id: str
    label: str
    timestamps: tuple[Timestamp, ...]
    values: tuple[float, ...]
    status_code: str


class GetMetricDataResponse(Wire, frozen=True, kw_only=True):
    metric_data_results: tuple[MetricDataResult, ...]
    next_token: str | None = None


class LabelOptions(Wire, frozen=True, kw_only=True):
    timezone: str | None = None


class GetMetricDataRequest(Request[GetMetricDataResponse], frozen=True, kw_only=True):
    metric_data_queries: Annotated[tuple[MetricDataQuery, ...], Limit(max_length=500)]
    start_time: Timestamp
    end_time: Timestamp
    next_token: str | None = None
    scan_by: ScanBy | None = None
    max_datapoints: int | None = None
    label_options: LabelOptions | None = None


class Statistic(StrEnum):
    SAMPLE_COUNT = "SampleCount"
    AVERAGE = "Average"
    SUM = "Sum"
    MINIMUM = "Minimum"
    MAXIMUM = "Maximum"


class Datapoint(Wire, frozen=True, kw_only=True):
    timestamp: Timestamp
    sample_count: float | None = None
    average: float | None = None
    sum: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str
    extended_statistics: dict[str, float] | None = None


class GetMetricStatisticsResponse(Wire, frozen=True, kw_only=True):
    label: str
    datapoints: tuple[Datapoint, ...]


class GetMetricStatisticsRequest(Request[GetMetricStatisticsResponse], frozen=True, kw_only=True):
    namespace: Namespace
    metric_name: Name
    dimensions: Annotated[tuple[Dimension, ...], Limit(max_length=30)] | None = None
    start_time: Timestamp
    end_time: Timestamp
    period: Period
    statistics: Annotated[tuple[Statistic, ...], Limit(min_length=1, max_length=5)] | None = None
    extended_statistics: Annotated[tuple[str, ...], Limit(min_length=1, max_length=10)] | None = None
    unit: str | None = None
