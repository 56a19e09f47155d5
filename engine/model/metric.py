"""Metrics: their names, how to ask for them and the samples that other rooms hand in."""

from enum import StrEnum

from engine.model.base import Value
from engine.model.histogram import Histogram


class MetricName(StrEnum):
    """App Runner's names where it has one; percentiles and counts of ours besides."""

    CPU = "CPUUtilization"
    """Percent of the allocation (instance or whole service)."""
    MEMORY = "MemoryUtilization"
    """Percent of the allocation."""
    MEMORY_BYTES = "MemoryBytes"
    REQUESTS = "Requests"
    """Requests in the interval."""
    STATUS_2XX = "2xxStatusResponses"
    STATUS_4XX = "4xxStatusResponses"
    STATUS_5XX = "5xxStatusResponses"
    LATENCY_P50 = "RequestLatencyP50"
    """Milliseconds."""
    LATENCY_P95 = "RequestLatencyP95"
    LATENCY_P99 = "RequestLatencyP99"
    CONCURRENCY = "Concurrency"
    """Mean requests in flight."""
    ACTIVE_INSTANCES = "ActiveInstances"
    """Instances that handled a request in the interval, at most."""
    PROVISIONED_INSTANCES = "ProvisionedInstances"


class MetricQuery(Value, frozen=True, kw_only=True):
    """Series of one service between two times; `instance_id` narrows CPU and memory to one instance."""

    service_id: str
    metrics: tuple[MetricName, ...]
    start: float
    end: float
    points: int = 120
    """At most this many points a series; the resolution follows from it."""
    instance_id: str | None = None


class Series(Value, frozen=True, kw_only=True):
    metric: MetricName
    values: tuple[float | None, ...]
    """One value an interval, oldest first; None where nothing was measured."""


class MetricAnswer(Value, frozen=True, kw_only=True):
    start: float
    """Start of the first interval."""
    resolution_s: float
    series: tuple[Series, ...]


class InstanceSample(Value, frozen=True, kw_only=True):
    """One second of one instance's whole process tree."""

    at: float
    service_id: str
    instance_id: str
    cpu_percent: float
    """Percent of the allocated vCPU."""
    memory_bytes: int
    memory_percent: float


class EdgeSample(Value, frozen=True, kw_only=True):
    """What the edge counted for one service within one second (or a part of it: counts add up)."""

    second: int
    """Epoch second that the responses ended in."""
    service_id: str
    requests: int = 0
    status_2xx: int = 0
    status_3xx: int = 0
    status_4xx: int = 0
    status_5xx: int = 0
    latency: Histogram = {}
    active_instances: int = 0
    """Distinct instances with a request in flight in that second; merges as a maximum."""
    in_flight: float = 0.0
    """Mean requests in flight over the second; merges as a maximum."""


class Pulse(Value, frozen=True, kw_only=True):
    """The numbers on a service's row, once a second."""

    service_id: str
    requests_per_s: float
    cpu_percent: float
    memory_bytes: int
    latency_p95_ms: float | None = None
    active_instances: int = 0
