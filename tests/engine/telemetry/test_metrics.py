"""Samples become series: added up by second, stored at three resolutions, live from memory."""

import asyncio
import random

import pytest

from engine.model.metric import EdgeSample, InstanceSample, MetricName, MetricQuery
from engine.store.storage import Storage
from engine.store.telemetry_db import TelemetryDb
from engine.telemetry import Telemetry
from engine.telemetry.metrics import Metrics

REQUESTS, CPU = MetricName.REQUESTS, MetricName.CPU


def sample(at, instance_id="i1", cpu=10.0, memory=1000, service_id="web"):
    return InstanceSample(
        at=at,
        service_id=service_id,
        instance_id=instance_id,
        cpu_percent=cpu,
        memory_bytes=memory,
        memory_percent=memory / 100,
    )


@pytest.fixture
async def metrics(home, clock):
    storage = Storage(home.telemetry_db, clock, TelemetryDb.open_sound, "Logs and metrics")
    await storage.open()
    yield Metrics(storage, clock)
    await storage.close()


async def ask(metrics, metric, start, end, points=120, *, instance_id=None):
    answer = await metrics.query(
        MetricQuery(service_id="web", metrics=(metric,), start=start, end=end, points=points, instance_id=instance_id)
    )
    return answer.series[0].values


@pytest.fixture(params=["in memory", "stored", "half stored"])
def between(request, metrics):
    """Called between two recordings, and after the last one."""

    async def act(*, last=False):
        if request.param == "stored" or (request.param == "half stored" and not last):
            await metrics.store(everything=True)

    return act


async def test_parts_of_a_second_add_up_wherever_they_are(metrics, clock, between):
    second = int(clock.time) - 100
    metrics.record_edge(
        [EdgeSample(second=second, service_id="web", requests=3, latency={10: 3}, active_instances=1, in_flight=2.0)]
    )
    await between()
    metrics.record_edge(
        [EdgeSample(second=second, service_id="web", requests=4, latency={200: 4}, active_instances=2, in_flight=1.0)]
    )
    await between(last=True)

    for metric, expected in (
        (REQUESTS, 7.0),
        (MetricName.ACTIVE_INSTANCES, 2.0),
        (MetricName.CONCURRENCY, 2.0),
        (MetricName.LATENCY_P50, pytest.approx(1e-2 * 1.05**199.5)),
    ):
        assert await ask(metrics, metric, second - 1, second + 2) == (None, expected, None)


async def test_every_resolution_says_the_same_as_the_samples_together(metrics, clock, between):
    """Late ones included."""
    rng = random.Random(1)
    start = int(clock.time) - 3600
    counts: dict[int, int] = {}
    seconds = [start + rng.randrange(3000) for _ in range(120)]
    for number, second in enumerate(seconds):
        count = rng.randrange(1, 50)
        counts[second] = counts.get(second, 0) + count
        metrics.record_edge([EdgeSample(second=second, service_id="web", requests=count, latency={100: count})])
        metrics.record_instances([sample(second + 0.01, cpu=float(count), instance_id=f"i{number}")])
        if number % 40 == 0:
            await between()
    await between(last=True)

    for points in (3600, 360, 60, 12, 1):
        requests = await ask(metrics, REQUESTS, start, start + 3600, points)
        step = 3600 // len(requests)
        expected = [
            sum(count for second, count in counts.items() if (second - start) // step == interval) or None
            for interval in range(len(requests))
        ]
        assert list(requests) == expected
    (mean,) = await ask(metrics, CPU, start, start + 3600, 1)
    assert mean == pytest.approx(sum(counts.values()) / len(seconds))


async def test_means_are_weighted_by_the_number_of_samples(metrics, clock):
    start = int(clock.time) - 60
    metrics.record_instances([sample(start, cpu=100.0)])
    for second in range(start + 1, start + 10):
        metrics.record_instances([sample(second, cpu=0.0, memory=500), sample(second, "i2", cpu=0.0, memory=500)])
    await metrics.store(everything=True)

    assert await ask(metrics, CPU, start, start + 60, 1) == (pytest.approx(100 / 19),)
    assert await ask(metrics, MetricName.MEMORY_BYTES, start, start + 60, 1) == (1000.0,)
    assert await ask(metrics, CPU, start, start + 60, 1, instance_id="i1") == (10.0,)
    assert await ask(metrics, MetricName.MEMORY_BYTES, start, start + 60, 1, instance_id="i2") == (500.0,)


async def test_concurrency_is_the_mean_over_all_seconds_that_somebody_looked(metrics, clock):
    start = int(clock.time) - 60
    for second in range(start, start + 10):
        metrics.beat(second)
    metrics.record_edge([EdgeSample(second=start, service_id="web", in_flight=4.0)])
    metrics.record_edge([EdgeSample(second=start + 1, service_id="web", in_flight=6.0)])
    await metrics.store(everything=True)

    assert await ask(metrics, MetricName.CONCURRENCY, start, start + 60, 1) == (1.0,)
    assert (await ask(metrics, MetricName.CONCURRENCY, start, start + 3, 3)) == (4.0, 6.0, 0.0)


async def test_provisioned_instances_are_known_for_every_second_until_they_change(metrics, clock):
    start = int(clock.time)
    metrics.set_provisioned("web", 2)
    for _ in range(4):
        metrics.beat(clock.time)
        clock.time += 1
    metrics.set_provisioned("web", 0)
    for _ in range(4):
        metrics.beat(clock.time)
        clock.time += 1
    clock.time += 5
    await metrics.store()

    values = await ask(metrics, MetricName.PROVISIONED_INSTANCES, start, start + 9)
    assert values == (2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, None)


async def test_the_running_second_waits_in_memory_and_everything_survives_a_restart(home, clock):
    telemetry = await Telemetry.open(home, clock)
    second = int(clock.time)
    telemetry.record_edge([EdgeSample(second=second - 5, service_id="web", requests=1)])
    telemetry.record_edge([EdgeSample(second=second, service_id="web", requests=2)])
    await telemetry._metrics.store()
    assert [key[2] for key in telemetry._metrics._waiting] == [second]
    await telemetry.close()

    telemetry = await Telemetry.open(home, clock)
    telemetry.record_edge([EdgeSample(second=second, service_id="web", requests=3)])
    answer = await telemetry.query_metrics(
        MetricQuery(service_id="web", metrics=(REQUESTS,), start=second - 59, end=second + 1, points=60)
    )
    assert (answer.start, answer.resolution_s) == (float(second - 59), 1.0)
    assert [value for value in answer.series[0].values if value is not None] == [1.0, 5.0]
    await telemetry.close()


async def test_storing_and_asking_at_once_counts_nothing_twice(metrics, clock):
    second = int(clock.time) - 10
    for number in range(50):
        metrics.record_edge([EdgeSample(second=second, service_id="web", requests=1)])
        _, values = await asyncio.gather(metrics.store(everything=True), ask(metrics, REQUESTS, second, second + 1, 1))
        assert values == (number + 1.0,)


async def test_what_could_not_be_stored_is_kept_and_stored_later(metrics, clock, monkeypatch):
    second = int(clock.time) - 10
    metrics.record_edge([EdgeSample(second=second, service_id="web", requests=1)])
    writer = metrics._storage._db._writer
    await writer.execute("PRAGMA query_only = ON")
    storing = asyncio.create_task(metrics.store(everything=True))
    while metrics._waiting:
        await asyncio.sleep(0)
    metrics.record_edge([EdgeSample(second=second, service_id="web", requests=1)])
    await storing
    assert await ask(metrics, REQUESTS, second, second + 1) == (2.0,)

    await writer.execute("PRAGMA query_only = OFF")
    await metrics.store(everything=True)
    assert metrics._waiting == {}
    assert await ask(metrics, REQUESTS, second, second + 1) == (2.0,)


async def test_each_resolution_is_kept_for_its_time(metrics, clock):
    start = int(clock.time)
    metrics.record_edge([EdgeSample(second=start, service_id="web", requests=1)])
    await metrics.store(everything=True)
    left = []
    for later in (3600, 7200, 8 * 86400, 402 * 86400):
        clock.time = float(start + later)
        await metrics.tidy()
        rows = await metrics._storage._db._writer.execute_fetchall("SELECT resolution FROM metric ORDER BY 1")
        left.append([row[0] for row in rows])
    assert left == [[1, 60, 3600], [60, 3600], [3600], []]


async def test_a_forgotten_service_leaves_nothing_behind(telemetry, clock):
    for service_id in ("web", "other"):
        telemetry.set_provisioned(service_id, 1)
        telemetry.record_instances([sample(clock.time, service_id=service_id)])
    await telemetry.flush()
    await telemetry.forget("web")
    await telemetry.prune(older_than=0.0)
    clock.time += 2 * 3600
    await telemetry.prune(older_than=0.0)

    db = telemetry._storage._db
    subjects = await db._writer.execute_fetchall("SELECT service_id, name FROM subject ORDER BY 1, 2")
    assert [tuple(row) for row in subjects] == [("other", ""), ("other", "i1")]
    rows = await db._writer.execute_fetchall(
        "SELECT count(*) FROM metric WHERE subject NOT IN (SELECT id FROM subject)"
    )
    assert rows[0][0] == 0
    assert await db.forgotten() == []


async def test_a_service_that_falls_silent_has_one_last_zero_pulse(metrics, clock):
    metrics.record_instances([sample(clock.time, cpu=50.0)])
    assert metrics.pulse(clock.time + 0.5)[0].cpu_percent == 50.0
    clock.time += 20
    (silence,) = metrics.pulse(clock.time)
    assert (silence.service_id, silence.cpu_percent, silence.memory_bytes) == ("web", 0.0, 0)
    assert metrics.pulse(clock.time + 1) == ()
    assert metrics._recent == {}


async def test_memory_is_bounded_while_nothing_can_be_stored(metrics, clock, monkeypatch):
    monkeypatch.setattr("engine.telemetry.metrics._MAX_WAITING", 100)
    for number in range(1000):
        metrics.record_edge([EdgeSample(second=int(clock.time) + number, service_id="web", requests=1)])
    assert len(metrics._waiting) <= 100
    assert max(key[2] for key in metrics._waiting) == int(clock.time) + 999
