"""A cell: everything measured about one subject in one interval, in a form that merges without loss.

Utilisation is kept as sums with their number of samples, latency as a histogram: merged cells give the same means
and percentiles as the samples themselves would.
"""

from collections.abc import Iterable

from engine.model.base import Value
from engine.model.histogram import Histogram, merged
from engine.model.metric import EdgeSample, InstanceSample

SUMS = (
    "requests",
    "status_2xx",
    "status_3xx",
    "status_4xx",
    "status_5xx",
    "cpu_percent",
    "memory_percent",
    "memory_bytes",
    "samples",
    "ticks",
)
MAXIMA = ("active_instances", "provisioned_instances")
PER_SECOND = ("in_flight", "edge_seconds")
"""Maxima between parts of one second, sums between seconds."""

NUMBERS = (*SUMS, *MAXIMA, *PER_SECOND)


class Cell(Value, frozen=True, kw_only=True):
    """One second of a subject, or many seconds added up."""

    requests: int = 0
    status_2xx: int = 0
    status_3xx: int = 0
    status_4xx: int = 0
    status_5xx: int = 0
    cpu_percent: float = 0.0
    """Sum over all samples, as memory_percent and memory_bytes are."""
    memory_percent: float = 0.0
    memory_bytes: int = 0
    samples: int = 0
    ticks: int = 0
    """Times that the sampler looked; a service with three instances has three samples a tick."""
    active_instances: int = 0
    provisioned_instances: int = 0
    in_flight: float = 0.0
    edge_seconds: int = 0
    """Seconds that the edge reported anything for."""
    latency: Histogram = {}


EMPTY = Cell()


def same_second(a: Cell, b: Cell) -> Cell:
    """Two parts of one second as one."""
    return _merged(a, b, sums=SUMS, maxima=(*MAXIMA, *PER_SECOND))


def added(a: Cell, b: Cell) -> Cell:
    """Cells of different seconds as one."""
    return _merged(a, b, sums=(*SUMS, *PER_SECOND), maxima=MAXIMA)


def _merged(a: Cell, b: Cell, *, sums: tuple[str, ...], maxima: tuple[str, ...]) -> Cell:
    numbers = {name: getattr(a, name) + getattr(b, name) for name in sums}
    numbers |= {name: max(getattr(a, name), getattr(b, name)) for name in maxima}
    latency = merged((a.latency, b.latency)) if a.latency and b.latency else a.latency or b.latency
    return Cell(latency=latency, **numbers)


def of_edge(sample: EdgeSample) -> Cell:
    return Cell(
        requests=sample.requests,
        status_2xx=sample.status_2xx,
        status_3xx=sample.status_3xx,
        status_4xx=sample.status_4xx,
        status_5xx=sample.status_5xx,
        latency=sample.latency,
        active_instances=sample.active_instances,
        in_flight=sample.in_flight,
        edge_seconds=1,
    )


def of_instances(samples: Iterable[InstanceSample]) -> Cell:
    """Samples taken in one tick, of one instance or of all instances of a service."""
    taken = tuple(samples)
    return Cell(
        cpu_percent=sum(sample.cpu_percent for sample in taken),
        memory_percent=sum(sample.memory_percent for sample in taken),
        memory_bytes=sum(sample.memory_bytes for sample in taken),
        samples=len(taken),
        ticks=1,
    )
