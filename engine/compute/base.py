"""The protocol every compute keeps, and the values that cross it. One conformance suite runs against all of them."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from engine.model.base import Value
from engine.model.instance import Address, ContainerHandle, Exit, Instance, ProcessHandle
from engine.model.metric import InstanceSample
from engine.model.plan import BuildPlan
from engine.model.version import Artifact

Emit = Callable[[str], None]
"""Takes one line for the deployment log, its `[Prefix]` included; never blocks, never raises."""


class BuildJob(Value, frozen=True, kw_only=True):
    """Build `plan` from the clean copy of the source at `source`, into the empty-or-absent folder `target`."""

    service_id: str
    version_id: str
    source: Path
    """Moved into the artifact: the compute owns it from here on."""
    target: Path
    plan: BuildPlan
    previous: Artifact | None = None
    """The newest artifact of the same service; its dependencies may be taken over, it is never changed."""


class InstanceSpec(Value, frozen=True, kw_only=True):
    """Everything needed to start one instance."""

    instance_id: str
    service_id: str
    service_name: str
    version_id: str
    artifact: Artifact
    plan: BuildPlan
    env: dict[str, str]
    """run.env, secrets and service variables merged; PORT and plan.port_env are added by the compute."""
    cpu_units: int
    """1024 is one vCPU."""
    memory_mb: int

    def __repr__(self) -> str:
        return f"InstanceSpec(instance_id={self.instance_id!r}, …)"  # the environment is sensitive


class Started(Value, frozen=True, kw_only=True):
    """A started instance: how to find it again and where it was told to listen."""

    handle: ProcessHandle | ContainerHandle
    address: Address


class Compute(Protocol):
    """Where instances run. Methods raise DeployError for what a user can act on, and never leave half a thing behind.

    Every method may be called again after a crash at any point: it finds what is there and finishes the job.
    """

    name: str

    async def build(self, job: BuildJob, emit: Emit) -> Artifact:
        """Build; output goes to `emit` line by line as it comes. Cancelling ends every process it started.

        Raises DeployError of kind RUNTIME (no such interpreter), BUILD (a command failed; exit_code and its last
        lines as evidence) or DISK.
        """
        ...

    async def start(self, spec: InstanceSpec) -> Started:
        """Start an instance and return at once; whether it gets healthy is the caller's business.

        Raises DeployError of kind START, PORT or DISK. Starting an instance id that already runs returns it.
        """
        ...

    async def wait(self, instance: Instance) -> Exit:
        """Return when the instance has ended, at once if it already has, whichever engine started it."""
        ...

    async def stop(self, instance: Instance, grace_s: float) -> Exit:
        """SIGTERM to everything it consists of, SIGKILL after `grace_s`; returns when nothing of it is left."""
        ...

    def is_running(self, instance: Instance) -> bool:
        """Whether it runs now. False for a reused pid."""
        ...

    def listening_ports(self, instance: Instance) -> tuple[Address, ...]:
        """Where it listens now, whatever it was told; for saying what is wrong."""
        ...

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        """CPU and memory of each since the call before; those that have ended are left out. Called in a thread."""
        ...

    def output(self, instance_id: str) -> Path:
        """The file that holds everything it prints, stdout and stderr in order; outlives the engine."""
        ...

    async def remove(self, instance_id: str) -> None:
        """Delete its working copy and its files. Nothing happens if there are none."""
        ...

    async def discard(self, artifact_path: Path) -> None:
        """Delete a version's artifact. Nothing happens if there is none."""
        ...

    async def sweep(self, keep: Collection[str]) -> None:
        """End and remove what an earlier engine left behind: builds under way, instances that are not in `keep`."""
        ...
