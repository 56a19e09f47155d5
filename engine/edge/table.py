"""What the engine and the edge tell each other: whole routing tables down, counts up. msgpack over a Unix socket."""

from engine.model.base import Value
from engine.model.metric import EdgeSample


class Backend(Value, frozen=True, kw_only=True):
    """An instance that may get requests."""

    instance_id: str
    host: str
    port: int


class Route(Value, frozen=True, kw_only=True):
    """One service as the edge knows it."""

    service_id: str
    hosts: tuple[str, ...]
    """Lower-case host names without a port; "*.example.com" matches one label."""
    backends: tuple[Backend, ...] = ()
    unavailable: str = ""
    """With no backends: the reason in one sentence, the body of the 503 ("The service is paused.")."""
    starting: bool = False
    """With no backends: an instance is on its way, so the 503 tells the client to try again in a second."""
    max_concurrency: int = 100
    """Requests in flight per instance before another one is preferred; queueing comes later."""
    request_timeout_s: float = 120.0


class RoutingTable(Value, frozen=True, kw_only=True, tag="table"):
    """Replaces everything the edge knew. An older or equal version is ignored (and acknowledged)."""

    version: int
    routes: tuple[Route, ...]


class Hello(Value, frozen=True, kw_only=True, tag="hello"):
    """First message from the edge on every connection."""

    pid: int
    address: str
    """"127.0.0.1:8800": where it accepts HTTP."""
    table_version: int
    protocol: int = 1


class Report(Value, frozen=True, kw_only=True, tag="report"):
    """Four times a second from the edge: what happened since the report before, and what is in flight now."""

    table_version: int
    """The newest table in force: the engine's acknowledgement."""
    in_flight: dict[str, int]
    """Requests in flight by instance id, instances of old tables that still drain included; zeros left out."""
    samples: tuple[EdgeSample, ...] = ()
    """While no engine is connected samples add up per second for at most an hour, and come with the first report."""


class Stop(Value, frozen=True, kw_only=True, tag="stop"):
    """The engine asks the edge to finish what is in flight (at most `grace_s` seconds) and to end."""

    grace_s: float = 5.0
