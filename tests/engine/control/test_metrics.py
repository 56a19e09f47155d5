"""CloudWatch metrics over real telemetry: what there is, statistics of it, and what is refused."""

import asyncio
import shutil

import pytest

from engine.control.metrics import MetricReader
from engine.model.actions.metric import (
    Dimension,
    DimensionFilter,
    GetMetricDataRequest,
    GetMetricStatisticsRequest,
    ListMetricsRequest,
    Metric,
    MetricDataQuery,
    MetricStat,
    ScanBy,
    Statistic,
)
from engine.model.errors import EngineError, ErrorCode
from engine.model.histogram import bucket_of
from engine.model.home import Home
from engine.model.ids import service_arn
from engine.model.instance import Instance, InstanceState
from engine.model.metric import EdgeSample, InstanceSample
from engine.telemetry import Telemetry

pytestmark = pytest.mark.slow

NOW = 1_800_000_000
SHOP, INSTANCE = "5" * 32, "1" * 32
ALL = tuple(Statistic)
NAMES = (
    "Requests",
    "2xxStatusResponses",
    "4xxStatusResponses",
    "5xxStatusResponses",
    "RequestLatency",
    "ActiveInstances",
    "Concurrency",
    "CPUUtilization",
    "MemoryUtilization",
)


class StillClock:
    def __init__(self, time) -> None:
        self.time = time

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def measure(home):
    """Ten minutes of one request a second that takes 100 ms, one in ten of them refused; an instance at 20 %, 40 %."""
    clock = StillClock(float(NOW - 600))
    telemetry = await Telemetry.open(home, clock)
    for second in range(NOW - 600, NOW):
        clock.time = float(second)
        telemetry._metrics.beat(clock.time)
        edge = EdgeSample(
            second=second,
            service_id=SHOP,
            requests=1,
            status_2xx=int(second % 10 > 0),
            status_4xx=int(second % 10 == 0),
            latency={bucket_of(0.1): 1},
            active_instances=1,
            in_flight=0.5,
        )
        instance = InstanceSample(
            at=clock.time,
            service_id=SHOP,
            instance_id=INSTANCE,
            cpu_percent=20.0,
            memory_bytes=1000,
            memory_percent=40.0,
        )
        telemetry.record_edge([edge])
        telemetry.record_instances([instance])
    await telemetry.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    home = Home(path=tmp_path_factory.mktemp("measured"))
    asyncio.run(measure(home))
    return home.telemetry_db


@pytest.fixture
async def telemetry(home, clock, prepared):
    shutil.copy(prepared, home.telemetry_db)
    telemetry = await Telemetry.open(home, clock)
    yield telemetry
    await telemetry.close()


@pytest.fixture
def reader(account, telemetry):
    return MetricReader(account, telemetry)


@pytest.fixture
async def shop(add_service):
    return await add_service("shop", id=SHOP, arn=service_arn("us-east-1", "shop", SHOP))


@pytest.fixture
def dimensions():
    return (Dimension(name="ServiceName", value="shop"), Dimension(name="ServiceID", value=SHOP))


@pytest.fixture
def of_instance(dimensions):
    return (*dimensions, Dimension(name="Instance", value=INSTANCE))


@pytest.fixture
async def measured(shop, put):
    instance = Instance(
        id=INSTANCE, service_id=SHOP, version_id="v", compute="process", state=InstanceState.READY, created_at=1.0
    )
    await put(instance)


@pytest.fixture
def statistics(reader, dimensions):
    async def asked(name="Requests", **changes):
        request = {
            "namespace": "AWS/AppRunner",
            "metric_name": name,
            "dimensions": dimensions,
            "start_time": NOW - 600.0,
            "end_time": float(NOW),
            "period": 60,
            "statistics": ALL,
        }
        return (await reader.statistics(GetMetricStatisticsRequest(**{**request, **changes}))).datapoints

    return asked


@pytest.fixture
def query(dimensions):
    def one(name="Requests", query_id="q", period=60, stat="Sum", **changes):
        metric = Metric(**{"namespace": "AWS/AppRunner", "metric_name": name, "dimensions": dimensions} | changes)
        return MetricDataQuery(id=query_id, metric_stat=MetricStat(metric=metric, period=period, stat=stat))

    return one


@pytest.fixture
def data(reader):
    async def asked(*queries, **changes):
        request = {"metric_data_queries": queries, "start_time": NOW - 600.0, "end_time": float(NOW)}
        return (await reader.data(GetMetricDataRequest(**{**request, **changes}))).metric_data_results

    return asked


async def test_counts_are_summed_by_minute(statistics, measured):
    found = await statistics()
    assert [each.timestamp for each in found] == [NOW - 600.0 + 60 * n for n in range(10)]
    assert {(each.sum, each.sample_count, each.minimum, each.maximum, each.average) for each in found} == {
        (60.0, 1, 60.0, 60.0, 60.0)
    }
    assert {each.unit for each in found} == {"Count"}


@pytest.mark.parametrize(
    ("name", "expected", "unit"),
    [
        ("Requests", 600.0, "Count"),
        ("2xxStatusResponses", 540.0, "Count"),
        ("4xxStatusResponses", 60.0, "Count"),
        ("5xxStatusResponses", 0.0, "Count"),
    ],
)
async def test_the_sum_of_a_longer_period_is_that_of_its_minutes(statistics, measured, name, expected, unit):
    (found,) = await statistics(name, period=600)
    assert (found.sum, found.sample_count, found.unit) == (expected, 10, unit)


@pytest.mark.parametrize(
    ("name", "expected", "unit"),
    [
        ("CPUUtilization", 20.0, "Percent"),
        ("MemoryUtilization", 40.0, "Percent"),
        ("ActiveInstances", 1.0, "Count"),
        ("Concurrency", 0.5, "Count"),
        ("RequestLatency", 100.0, "Milliseconds"),
    ],
)
@pytest.mark.parametrize("period", [60, 300])
async def test_averages_are_those_of_what_was_measured(*, statistics, measured, name, expected, unit, period):
    found = await statistics(name, period=period, statistics=(Statistic.AVERAGE,))
    assert len(found) == 600 // period
    assert {each.unit for each in found} == {unit}
    assert [each.average for each in found] == pytest.approx([expected] * len(found), rel=0.025)
    assert all(each.sum is None and each.sample_count is None for each in found)


async def test_percentiles_of_latency_are_over_all_requests(statistics, measured, telemetry, shop):
    slow = {bucket_of(2.0): 1}
    telemetry.record_edge(
        [EdgeSample(second=NOW - 1 - n, service_id=shop.id, requests=1, latency=slow) for n in range(40)]
    )
    asked = ("p50", "p90", "p99")
    (found,) = await statistics("RequestLatency", period=600, statistics=None, extended_statistics=asked)
    assert found.extended_statistics == pytest.approx({"p50": 100.0, "p90": 100.0, "p99": 2000.0}, rel=0.025)
    assert found.average is None


@pytest.mark.parametrize(("period", "count"), [(1, 60), (5, 12), (10, 6), (30, 2)])
async def test_the_last_hour_is_there_in_seconds(statistics, measured, period, count):
    found = await statistics(start_time=NOW - 60.0, period=period)
    assert len(found) == count
    assert {each.sum for each in found} == {float(period)}


async def test_what_is_older_than_an_hour_comes_in_minutes(statistics, measured, clock):
    clock.time += 7200
    found = await statistics(period=10)
    assert len(found) == 10
    assert {each.sum for each in found} == {60.0}


async def test_what_is_older_than_a_week_comes_in_hours(statistics, measured, clock):
    clock.time += 8 * 86400
    (found,) = await statistics(start_time=NOW - 3600.0, end_time=float(NOW))
    assert (found.timestamp, found.sum) == (NOW - 3600.0, 600.0)


async def test_an_instance_has_its_own_utilisation_and_nothing_else(statistics, measured, of_instance):
    (found,) = await statistics("MemoryUtilization", dimensions=of_instance, period=600)
    assert found.average == pytest.approx(40.0)
    assert await statistics("Requests", dimensions=of_instance) == ()


@pytest.mark.parametrize("name", ["RequestCount", "4XXHttpResponseCount", "requests", "MemoryBytes"])
async def test_a_metric_that_is_not_there_has_no_data(statistics, measured, name):
    assert await statistics(name) == ()


async def test_other_dimensions_mean_nothing(statistics, measured, dimensions, shop, add_service):
    other = await add_service("other")
    name, service_id = dimensions
    for wrong in (
        None,
        (),
        (name,),
        (service_id,),
        (Dimension(name="ServiceName", value="other"), service_id),
        (name, Dimension(name="ServiceID", value=other.id)),
        (*dimensions, Dimension(name="Region", value="us-east-1")),
        (Dimension(name="ServiceArn", value=shop.arn),),
    ):
        assert await statistics(dimensions=wrong) == ()
    assert await statistics(namespace="AWS/ECS") == ()


async def test_another_unit_than_the_metrics_has_no_data(statistics, measured):
    assert await statistics(unit="Percent") == ()
    assert len(await statistics(unit="Count")) == 10


async def test_the_future_and_the_time_before_everything_have_no_data(statistics, measured):
    assert await statistics(start_time=NOW + 60.0, end_time=NOW + 600.0) == ()
    assert await statistics(start_time=0.0, end_time=600.0) == ()
    assert len(await statistics(end_time=NOW + 86400.0 / 2, period=60)) == 10


async def test_data_answers_each_query_by_its_id(data, measured, query):
    results = await data(query(), query("CPUUtilization", "cpu", 300, "Average"), query("RequestCount", "none"))
    assert [each.id for each in results] == ["q", "cpu", "none"]
    assert results[0].values == (60.0,) * 10
    assert results[0].timestamps == tuple(NOW - 60.0 * n for n in range(1, 11))
    assert results[1].values == (20.0, 20.0)
    assert (results[2].values, results[2].timestamps) == ((), ())
    assert {each.status_code for each in results} == {"Complete"}
    assert [each.label for each in results] == ["Requests", "CPUUtilization", "RequestCount"]


async def test_data_comes_newest_first_unless_told_otherwise(data, measured, query):
    (down,) = await data(query(), scan_by=ScanBy.DESCENDING)
    (up,) = await data(query(), scan_by=ScanBy.ASCENDING)
    assert up.timestamps == down.timestamps[::-1]
    assert list(up.timestamps) == sorted(up.timestamps)


@pytest.mark.parametrize("stat", ["SampleCount", "Average", "Sum", "Minimum", "Maximum", "p99"])
async def test_data_has_every_statistic(data, measured, query, stat):
    (result,) = await data(query("CPUUtilization", stat=stat))
    assert set(result.values) == {1.0 if stat == "SampleCount" else 20.0}


async def test_data_leaves_out_what_is_not_to_be_returned(data, measured, query):
    quiet = MetricDataQuery(id="quiet", metric_stat=query().metric_stat, return_data=False)
    labelled = MetricDataQuery(id="loud", metric_stat=query().metric_stat, label="mine")
    (result,) = await data(quiet, labelled)
    assert (result.id, result.label) == ("loud", "mine")


class TestRefusals:
    async def test_at_most_1440_datapoints_are_given(self, statistics, measured, refused):
        await statistics(start_time=NOW - 86400.0)
        with refused(ErrorCode.INVALID_REQUEST, "1,441 datapoints.*1,440") as caught:
            await statistics(start_time=NOW - 86460.0)
        assert caught.value.wire == "InvalidParameterCombination"

    async def test_a_statistic_must_be_asked_for(self, statistics, refused):
        with refused(ErrorCode.INVALID_REQUEST) as caught:
            await statistics(statistics=None)
        assert caught.value.wire == "MissingParameter"

    @pytest.mark.parametrize(
        "changes",
        [
            {"start_time": float(NOW)},
            {"start_time": float("nan")},
            {"period": 7},
            {"period": 61},
            {"period": 90},
            {"period": 86400 * 31},
            {"extended_statistics": ("p101",)},
            {"extended_statistics": ("p50", "tm90")},
        ],
    )
    async def test_ranges_periods_and_percentiles_are_checked(self, statistics, refused, changes):
        with refused(ErrorCode.INVALID_REQUEST) as caught:
            await statistics(**changes)
        assert caught.value.wire == ""

    @pytest.mark.parametrize("changes", [{"end_time": float("inf")}, {"start_time": float("-inf")}])
    async def test_an_endless_range_is_refused(self, statistics, changes):
        with pytest.raises(EngineError):
            await statistics(**changes)

    async def test_queries_are_checked(self, data, query, refused):
        for queries, why in (
            ((query(), query()), "differ"),
            ((MetricDataQuery(id="e", expression="q * 2"),), "expressions are not evaluated"),
            ((MetricDataQuery(id="e"),), "needs a MetricStat"),
            ((query(stat="p0"),), "not known"),
            ((query(period=7),), "Period"),
        ):
            with refused(ErrorCode.INVALID_REQUEST, why):
                await data(*queries)

    async def test_more_data_than_cloudwatch_gives_is_refused(self, data, query, refused):
        with refused(ErrorCode.INVALID_REQUEST, "100,800"):
            await data(query(period=1), start_time=NOW - 100_801.0)


class TestList:
    @pytest.fixture
    def listed(self, reader):
        async def metrics(**changes):
            return (await reader.list_all(ListMetricsRequest(**changes))).metrics

        return metrics

    async def test_a_service_has_app_runners_metrics_and_its_instances_their_utilisation(
        self, listed, measured, dimensions, of_instance
    ):
        found = await listed()
        assert {each.metric_name for each in found if each.dimensions == dimensions} == set(NAMES)
        assert [each.metric_name for each in found if each.dimensions == of_instance] == [
            "CPUUtilization",
            "MemoryUtilization",
        ]
        assert len(found) == 11
        assert {each.namespace for each in found} == {"AWS/AppRunner"}

    async def test_metrics_can_be_picked(self, listed, measured, shop, add_service):
        await add_service("other")
        of_shop = DimensionFilter(name="ServiceID", value=shop.id)
        assert len(await listed(metric_name="Requests")) == 2
        assert len(await listed(metric_name="Requests", dimensions=(of_shop,))) == 1
        assert len(await listed(dimensions=(DimensionFilter(name="Instance"),))) == 2
        assert await listed(namespace="AWS/ECS") == ()
        assert await listed(dimensions=(of_shop, DimensionFilter(name="ServiceName", value="other"))) == ()

    async def test_pages_of_metrics_join_up(self, reader, listed, measured, monkeypatch):
        everything = await listed()
        monkeypatch.setattr("engine.control.metrics._PAGE", 4)
        seen, token = [], None
        while True:
            answer = await reader.list_all(ListMetricsRequest(next_token=token))
            seen += answer.metrics
            token = answer.next_token
            if token is None:
                break
        assert tuple(seen) == everything
