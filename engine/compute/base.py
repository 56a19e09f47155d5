"""The protocol every compute keeps, and the values that cross it. One conformance suite runs against all of them."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from engine.model.base import Value
from engine.model.errors import HomerunError
from engine.model.instance import Address, ContainerHandle, Exit, Instance, ProcessHandle
from engine.model.metric import InstanceSample
from engine.model.plan import BuildPlan
from engine.model.version import Artifact
from engine.model.watch import ComputeState, Progress
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import ImageReference

Emit = Callable[[str], None]
"""Takes one line for the deployment log, its `[Prefix]` included; never blocks, never raises."""


class ComputeUnavailable(HomerunError):  # noqa: N818 - a state, which passes
    """Where instances run does not answer now. Nothing is known of them, and nothing is wrong with them."""

    def __init__(self, cause: str, hint: str = "") -> None:
        super().__init__(f"{cause} {hint}".rstrip())
        self.cause = cause
        self.hint = hint


OnProgress = Callable[[Progress | None], None]
"""Hears how far a long step is, None when it is over; never blocks, never raises."""


def ignore(progress: Progress | None) -> None:
    """Nobody looks."""


class BuildJob(Value, frozen=True, kw_only=True):
    """Build `plan` from the clean copy of the source at `source`; a folder is made at the empty-or-absent `target`."""

    service_id: str
    service_name: str = ""
    number: int = 1
    """Of the version."""
    version_id: str
    source: Path
    """Moved into the artifact: the compute owns it from here on."""
    target: Path
    plan: BuildPlan
    previous: Artifact | None = None
    """The newest artifact of the same service; its dependencies may be taken over, it is never changed."""


class PullJob(Value, frozen=True, kw_only=True):
    """Bring the image that `reference` names now, and keep it for as long as the version exists."""

    service_id: str
    service_name: str
    number: int
    """Of the version."""
    version_id: str
    reference: ImageReference
    credentials: Credentials | None = None
    """None: those that the user's own Docker configuration has."""
    strict: bool = False
    """Never use a copy on this machine because the registry does not answer."""


class Pulled(Value, frozen=True, kw_only=True):
    """An image that is kept."""

    artifact: Artifact
    digest: str
    """In its registry; of an image that is on this machine only its id."""
    ports: tuple[int, ...] = ()
    """Those that it says it listens on."""
    has_command: bool = True
    """It says how it is started."""


class LocalImage(Value, frozen=True, kw_only=True):
    """An image that is on this machine."""

    id: str
    ports: tuple[int, ...] = ()
    """Those that it says it listens on."""


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
    """Where instances run. Methods raise DeployError for what a user can act on, ComputeUnavailable while it does not
    answer, and never leave half a thing behind.

    Every method may be called again after a crash at any point: it finds what is there and finishes the job.
    """

    name: str

    @property
    def state(self) -> ComputeState: ...

    async def open(self, changed: Callable[[], None]) -> None:
        """Begin; `changed` is called whenever `state` changes. What it drives need not be there."""
        ...

    async def close(self) -> None:
        """End every task of its own. What runs goes on."""
        ...

    async def available(self) -> None:
        """Return once it answers."""
        ...

    async def pull(self, job: PullJob, emit: Emit, on_progress: OnProgress = ignore) -> Pulled:
        """Raises DeployError of kind IMAGE or DISK, of kind COMPUTE where images cannot be run."""
        ...

    async def local_image(self, reference: ImageReference) -> LocalImage | None:
        """The image of that name on this machine. Raises ComputeUnavailable."""
        ...

    async def remote_digest(self, reference: ImageReference, credentials: Credentials | None) -> str:
        """The digest of the tag in its registry, as the container engine sees it. Raises DeployError."""
        ...

    def on_images(self, heard: Callable[[], None]) -> None:
        """Have `heard` called whenever a name of an image on this machine has moved."""
        ...

    async def build(self, job: BuildJob, emit: Emit, on_progress: OnProgress = ignore) -> Artifact:
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

    def socket_tables(self, instance: Instance) -> tuple[Path, ...]:
        """The kernel's tables of the network that it lives in; () where they cannot be read."""
        ...

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        """CPU and memory of each since the call before; those that have ended are left out. Called in a thread."""
        ...

    def output(self, instance_id: str) -> Path:
        """The file that holds everything it prints, stdout and stderr in order; outlives the engine."""
        ...

    async def remove(self, instance: Instance) -> None:
        """Delete its working copy, its container and its files. Nothing happens if there are none."""
        ...

    async def discard(self, artifact: Artifact) -> None:
        """Delete a version's artifact. Nothing happens if there is none."""
        ...

    async def sweep(self, instances: Collection[Instance], artifacts: Collection[Artifact]) -> None:
        """End and remove what an earlier engine left behind: builds under way, and what is not among these."""
        ...
