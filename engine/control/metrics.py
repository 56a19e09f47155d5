"""App Runner's metrics as CloudWatch gives them out: which there are, and statistics of them over time."""

import asyncio
import math
from collections.abc import Iterator, Sequence

from engine.control.account import Account
from engine.control.paging import page
from engine.control.statistics import LATENCY, NAMESPACE, OF_INSTANCES, UNITS, Statistics, datapoints, percentile_of
from engine.model.actions.metric import (
    Datapoint,
    Dimension,
    GetMetricDataRequest,
    GetMetricDataResponse,
    GetMetricStatisticsRequest,
    GetMetricStatisticsResponse,
    ListMetricsRequest,
    ListMetricsResponse,
    Metric,
    MetricDataQuery,
    MetricDataResult,
    ScanBy,
    Statistic,
)
from engine.model.base import Value
from engine.model.errors import EngineError, ErrorCode, invalid_request
from engine.telemetry.series import KEPT_S, grid_of
from engine.telemetry.telemetry import Telemetry

_PAGE = 500
_DATAPOINTS_AT_MOST = 1_440
"""GetMetricStatistics gives no more in one answer."""
_DATA_AT_MOST = 100_800
"""GetMetricData, of all queries together."""
_FINE_PERIODS = (1, 5, 10, 30)


class _Subject(Value, frozen=True, kw_only=True):
    """Whom a metric's dimensions mean."""

    service_id: str
    instance_id: str = ""


class MetricReader:
    def __init__(self, account: Account, telemetry: Telemetry) -> None:
        self._account = account
        self._store = account.store
        self._telemetry = telemetry

    async def list_all(self, request: ListMetricsRequest) -> ListMetricsResponse:
        wanted = {(each.name, each.value) for each in request.dimensions or ()}
        metrics = [
            metric
            for metric in self._metrics()
            if request.namespace in (None, metric.namespace)
            if request.metric_name in (None, metric.metric_name)
            if all(_has(metric.dimensions or (), name, value) for name, value in wanted)
        ]
        found, token = page(metrics, request.next_token, _PAGE)
        return ListMetricsResponse(metrics=found, next_token=token)

    async def statistics(self, request: GetMetricStatisticsRequest) -> GetMetricStatisticsResponse:
        _check_range(request.start_time, request.end_time)
        _check_period(request.period)
        names, extended = request.statistics or (), request.extended_statistics or ()
        if not names and not extended:
            raise EngineError(
                ErrorCode.INVALID_REQUEST,
                "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
                wire="MissingParameter",
            )
        _check_statistics(extended)
        asked = int((request.end_time - request.start_time) / request.period)
        if asked > _DATAPOINTS_AT_MOST:
            raise EngineError(
                ErrorCode.INVALID_REQUEST,
                f"You have requested up to {asked:,} datapoints, which exceeds the limit of {_DATAPOINTS_AT_MOST:,}:"
                " reduce the time range or increase the period.",
                wire="InvalidParameterCombination",
            )
        metric = Metric(namespace=request.namespace, metric_name=request.metric_name, dimensions=request.dimensions)
        found = await self._measure(metric, request.start_time, request.end_time, request.period, extended)
        unit = UNITS.get(request.metric_name)
        if request.unit is not None and unit is not None and request.unit != unit.value:
            found = []
        return GetMetricStatisticsResponse(
            label=request.metric_name, datapoints=tuple(_datapoint(each, names, request.metric_name) for each in found)
        )

    async def data(self, request: GetMetricDataRequest) -> GetMetricDataResponse:
        _check_range(request.start_time, request.end_time)
        queries = request.metric_data_queries
        if len({query.id for query in queries}) < len(queries):
            raise invalid_request("The Ids of the queries must differ from each other.")
        span = request.end_time - request.start_time
        asked = sum(span / query.metric_stat.period for query in queries if query.metric_stat)
        if asked > _DATA_AT_MOST:
            raise invalid_request(
                f"The queries ask for more than {_DATA_AT_MOST:,} datapoints: reduce the time range or increase the"
                " periods."
            )
        results = [await self._answer(query, request) for query in queries if query.return_data is not False]
        return GetMetricDataResponse(metric_data_results=tuple(results))

    async def _answer(self, query: MetricDataQuery, request: GetMetricDataRequest) -> MetricDataResult:
        asked = query.metric_stat
        if asked is None:
            what = "expressions are not evaluated here" if query.expression else "a query needs a MetricStat"
            raise invalid_request(f"Query {query.id}: {what}; ask for each metric with a MetricStat.")
        _check_period(asked.period)
        if asked.stat not in list(Statistic):
            _check_statistics((asked.stat,))
        extended = () if asked.stat in list(Statistic) else (asked.stat,)
        found = await self._measure(asked.metric, request.start_time, request.end_time, asked.period, extended)
        if request.scan_by is not ScanBy.ASCENDING:
            found.reverse()
        return MetricDataResult(
            id=query.id,
            label=query.label or asked.metric.metric_name or "",
            timestamps=tuple(float(each.at) for each in found),
            values=tuple(each.get(asked.stat) for each in found),
            status_code="Complete",
        )

    async def _measure(
        self, metric: Metric, start: float, end: float, period: int, percentiles: Sequence[str]
    ) -> list[Statistics]:
        """Oldest first; nothing for a metric that is not there, as CloudWatch has it."""
        name = metric.metric_name or ""
        subject = self._subject(metric)
        if subject is None or metric.namespace != NAMESPACE or name not in UNITS:
            return []
        if subject.instance_id and name not in OF_INSTANCES:
            return []
        now = self._account.clock.now()
        start, end = max(start, now - max(KEPT_S.values())), min(end, now)
        if start >= end:
            return []
        grid = grid_of(start, end, min(period, 60), now)
        measured = await self._telemetry.measured(
            subject.service_id, subject.instance_id, grid, latency=name == LATENCY
        )
        whole_steps = -(-period // grid.step) * grid.step
        return await asyncio.to_thread(datapoints, name, measured, whole_steps, percentiles)

    def _subject(self, metric: Metric) -> _Subject | None:
        given = {each.name: each.value for each in metric.dimensions or ()}
        service = self._store.services.get(given.get("ServiceID", ""))
        if service is None or given.get("ServiceName") != service.name or not given.keys() <= _DIMENSIONS:
            return None
        return _Subject(service_id=service.id, instance_id=given.get("Instance", ""))

    def _metrics(self) -> Iterator[Metric]:
        for service in self._store.services.values():
            dimensions = (
                Dimension(name="ServiceName", value=service.name),
                Dimension(name="ServiceID", value=service.id),
            )
            for name in UNITS:
                yield Metric(namespace=NAMESPACE, metric_name=name, dimensions=dimensions)
            for instance in self._store.instances_of(service.id):
                for name in OF_INSTANCES:
                    yield Metric(
                        namespace=NAMESPACE,
                        metric_name=name,
                        dimensions=(*dimensions, Dimension(name="Instance", value=instance.id)),
                    )


_DIMENSIONS = {"ServiceName", "ServiceID", "Instance"}


def _has(dimensions: Sequence[Dimension], name: str, value: str | None) -> bool:
    return any(each.name == name and value in (None, each.value) for each in dimensions)


def _check_range(start: float, end: float) -> None:
    if not start < end or not math.isfinite(end - start):
        raise invalid_request("The parameter StartTime must be less than the parameter EndTime.")


def _check_period(period: int) -> None:
    if period % 60 and period not in _FINE_PERIODS:
        raise invalid_request("The parameter Period must be 1, 5, 10, 30 or a multiple of 60.")
    if period > 86400 * 30:
        raise invalid_request("The parameter Period must be at most 30 days.")


def _check_statistics(names: Sequence[str]) -> None:
    for name in names:
        if percentile_of(name) is None:
            raise invalid_request(f"The statistic {name[:20]} is not known: give one like p50, p95 or p99.9.")


def _datapoint(found: Statistics, names: Sequence[Statistic], metric: str) -> Datapoint:
    return Datapoint(
        timestamp=float(found.at),
        sample_count=found.sample_count if Statistic.SAMPLE_COUNT in names else None,
        average=found.average if Statistic.AVERAGE in names else None,
        sum=found.sum if Statistic.SUM in names else None,
        minimum=found.minimum if Statistic.MINIMUM in names else None,
        maximum=found.maximum if Statistic.MAXIMUM in names else None,
        unit=UNITS[metric].value,
        extended_statistics=found.percentiles or None,
    )
