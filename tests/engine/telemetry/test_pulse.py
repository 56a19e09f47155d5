"""The numbers on a row."""

import pytest

from engine.store.cell import Cell
from engine.telemetry.pulse import pulse_of


def test_the_last_full_second_weighs_most():
    seconds = {second: Cell(requests=requests) for second, requests in ((97, 100), (98, 50), (99, 10), (100, 999))}
    pulse = pulse_of("web", seconds, 100.4)
    assert pulse.requests_per_s == pytest.approx(0.5 * 10 + 0.3 * 50 + 0.2 * 100)
    # The edge may not have reported all of second 99 yet.
    assert pulse_of("web", seconds, 100.2).requests_per_s == pytest.approx(0.5 * 50 + 0.3 * 100)


def test_cpu_is_the_mean_and_memory_the_sum_of_all_instances():
    seconds = {99: Cell(cpu_percent=90.0, memory_bytes=600, samples=3, ticks=1)}
    pulse = pulse_of("web", seconds, 100.4)
    assert (pulse.cpu_percent, pulse.memory_bytes) == (30.0, 600)
    assert pulse_of("web", seconds, 104.4) is None


def test_latency_is_that_of_ten_seconds_and_activity_that_of_three():
    seconds = {90: Cell(latency={10: 1}, active_instances=5), 98: Cell(active_instances=2)}
    pulse = pulse_of("web", seconds, 100.4)
    assert pulse.latency_p95_ms == pytest.approx(1e-2 * 1.05**9.5)
    assert pulse.active_instances == 2
    assert pulse_of("web", seconds, 101.4).latency_p95_ms is None


def test_nothing_to_say_is_none():
    assert pulse_of("web", {}, 100.0) is None
    assert pulse_of("web", {99: Cell(provisioned_instances=1)}, 100.4) is None
