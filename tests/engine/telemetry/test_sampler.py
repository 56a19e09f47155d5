"""Once a second, on the second, whatever the compute does."""

import asyncio
import threading

import pytest

from engine.model.metric import InstanceSample, MetricName, MetricQuery

pytestmark = pytest.mark.slow  # real processes and sockets


async def settle(clock, seconds):
    """Advance in small steps, leaving the sampling thread time to answer."""
    for _ in range(int(seconds * 4)):
        await clock.advance(0.25)
        await asyncio.sleep(0.005)


async def test_instances_are_sampled_on_each_second_in_a_thread(telemetry, clock, instance):
    clock.time += 0.7
    calls = []

    def compute_sample(instances, now):
        calls.append((now, threading.current_thread() is threading.main_thread()))
        return tuple(
            InstanceSample(
                at=now,
                service_id=each.service_id,
                instance_id=each.id,
                cpu_percent=25.0,
                memory_bytes=1,
                memory_percent=1.0,
            )
            for each in instances
        )

    task = asyncio.create_task(telemetry.run_sampler(compute_sample, lambda: [instance("i1")]))
    await settle(clock, 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    first = int(clock.time) - 4
    assert calls == [(float(first + number), False) for number in range(5)]
    answer = await telemetry.query_metrics(
        MetricQuery(
            service_id="web",
            metrics=(MetricName.CPU, MetricName.REQUESTS),
            start=first,
            end=first + 5,
            instance_id="i1",
        )
    )
    assert answer.series[0].values == (25.0,) * 5
    assert answer.series[1].values[:2] == (0.0, 0.0)


async def test_a_round_that_takes_too_long_skips_what_it_missed(telemetry, clock, instance):
    calls = []
    release = threading.Event()

    def slow(instances, now):
        calls.append(now - 1_800_000_000)
        if len(calls) == 1:
            release.wait(5)
        return ()

    task = asyncio.create_task(telemetry.run_sampler(slow, lambda: [instance("i1")]))
    await settle(clock, 4.5)
    assert calls == [1.0]
    release.set()
    await settle(clock, 2)
    assert calls == [1.0, 5.0, 6.0]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failing_compute_is_said_once_and_asked_again(telemetry, clock, instance, caplog):
    def broken(instances, now):
        raise RuntimeError("no such process")

    task = asyncio.create_task(telemetry.run_sampler(broken, lambda: [instance("i1")]))
    await settle(clock, 3)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [record.message for record in caplog.records] == ["CPU and memory of the instances could not be read"]
