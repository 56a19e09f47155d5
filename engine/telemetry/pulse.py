"""The numbers on a service's row, from its last seconds. Pure."""

import math
from collections.abc import Mapping

from engine.model.histogram import merged, percentile
from engine.model.metric import Pulse
from engine.store.cell import EMPTY, Cell

WINDOW_S = 15
"""Seconds to keep for this."""

_REPORTS_LATE_S = 0.35  # the edge reports four times a second
_WEIGHTS = (0.5, 0.3, 0.2)  # of the last full second and of the two before it
_LATENCY_S = 10


def pulse_of(service_id: str, seconds: Mapping[int, Cell], now: float) -> Pulse | None:
    """The pulse of a service from its cells by epoch second; None when there is nothing to say."""
    last = math.floor(now - _REPORTS_LATE_S) - 1
    recent = [seconds.get(last - age, EMPTY) for age in range(len(_WEIGHTS))]
    sampled = next(
        (seconds[second] for second in range(last + 2, last - 3, -1) if second in seconds and seconds[second].samples),
        EMPTY,
    )
    p95 = percentile(merged(seconds[second].latency for second in seconds if second > last - _LATENCY_S), 0.95)
    pulse = Pulse(
        service_id=service_id,
        requests_per_s=sum(weight * cell.requests for weight, cell in zip(_WEIGHTS, recent, strict=True)),
        cpu_percent=sampled.cpu_percent / max(sampled.samples, 1),
        memory_bytes=sampled.memory_bytes // max(sampled.ticks, 1),
        latency_p95_ms=None if p95 is None else p95 * 1000,
        active_instances=max(cell.active_instances for cell in recent),
    )
    return None if pulse == silent(service_id) else pulse


def silent(service_id: str) -> Pulse:
    return Pulse(service_id=service_id, requests_per_s=0.0, cpu_percent=0.0, memory_bytes=0)
