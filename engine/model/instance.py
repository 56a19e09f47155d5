"""An instance: one running copy of a version, how to find it again, and how it ended."""

from enum import StrEnum

from engine.model.base import Value


class InstanceState(StrEnum):
    STARTING = "starting"
    """Started, not yet healthy; gets no requests."""
    READY = "ready"
    UNHEALTHY = "unhealthy"
    """Failed its checks after having been ready; gets no requests and is being replaced."""
    DRAINING = "draining"
    """Gets no new requests; stops when the last one in flight ends."""
    STOPPED = "stopped"


class Exit(Value, frozen=True, kw_only=True):
    """How an instance ended. Exactly one of code and signal is set when the truth is known."""

    code: int | None = None
    signal: int | None = None
    at: float
    expected: bool = False
    """True when Homerun stopped it."""
    out_of_memory: bool = False
    """The kernel killed it because it wanted more memory than its instance has."""

    def describe(self) -> str:
        if self.out_of_memory:
            return "was killed because it used more memory than its instance has"
        if self.signal is not None:
            return f"killed by signal {self.signal}"
        if self.code is not None:
            return f"exited with code {self.code}"
        return "ended, its exit code is not known"


class ProcessHandle(Value, frozen=True, kw_only=True, tag="process"):
    """A process tree on this machine: the pid alone is never trusted, the start time goes with it."""

    pid: int
    started_at: float
    """The kernel's start time of that pid, as psutil's `create_time()` gives it."""
    boot_id: str = ""


class ContainerHandle(Value, frozen=True, kw_only=True, tag="container"):
    """A container of a Docker-like engine."""

    container_id: str


class Address(Value, frozen=True, kw_only=True):
    """Where an instance answers; loopback only."""

    host: str
    port: int


class Instance(Value, frozen=True, kw_only=True):
    """One instance's record."""

    id: str
    service_id: str
    version_id: str
    compute: str
    state: InstanceState
    handle: ProcessHandle | ContainerHandle | None = None
    address: Address | None = None
    created_at: float
    ready_at: float | None = None
    ended_at: float | None = None
    exit: Exit | None = None
    reason: str = ""
    """Why it is in this state, for people: "failed 5 health checks in a row"."""
