"""What watchers see: a snapshot first, then changes. Every value here crosses the attach socket unchanged."""

from engine.model.base import Value
from engine.model.errors import Failure
from engine.model.instance import Instance
from engine.model.metric import Pulse
from engine.model.operation import Operation
from engine.model.service import ApiRuntime, Service
from engine.model.version import Revision


class Progress(Value, frozen=True, kw_only=True):
    """How far a long step of the open operation is."""

    done: int
    total: int
    """Of the same unit as `done`; 0 when it is not known yet."""
    text: str
    """For people: "12.1 of 28.0 MB, 3 of 5 layers"."""


class ServiceView(Value, frozen=True, kw_only=True):
    """A service as the screen needs it: the API's shape and what App Runner hides."""

    service: Service
    operation: Operation | None = None
    """The newest operation, open or ended."""
    failure: Failure | None = None
    """Why the newest operation that could fail did, until one succeeds."""
    version_number: int | None = None
    """Of the version that serves."""
    revision: Revision | None = None
    """What the serving version was made of."""
    instances: tuple[Instance, ...] = ()
    """Those not stopped."""
    waiting: str = ""
    """What the reconciler waits for: "health check 1 of 1"; "" when nothing is under way."""
    progress: Progress | None = None


class ComputeState(Value, frozen=True, kw_only=True):
    """Where new instances run, and whether that is there now."""

    name: str
    """"process", "docker" or "podman"."""
    version: str = ""
    """Of the engine: "28.2.2"."""
    problem: str = ""
    """One sentence with the cause and what to do; "" when all is well."""


class ServicesChange(Value, frozen=True, kw_only=True):
    """The first one is the snapshot (`snapshot=True`, all services); later ones carry only what changed."""

    snapshot: bool = False
    changed: tuple[ServiceView, ...] = ()
    removed: tuple[str, ...] = ()
    """Ids of services that left the list."""
    pulses: tuple[Pulse, ...] = ()
    compute: ComputeState | None = None
    """In the snapshot and whenever it changed."""


class OperationsChange(Value, frozen=True, kw_only=True):
    """Newest first in the snapshot; later ones carry the operations that changed."""

    snapshot: bool = False
    changed: tuple[Operation, ...] = ()


class InspectSourceRequest(Value, frozen=True, kw_only=True):
    """What the create form asks about a source before anything is created."""

    repository_url: str
    """Of a repository or folder; with `image`, an image reference."""
    image: bool = False
    branch: str = ""
    """"" asks for the default branch."""
    source_directory: str = "/"
    strict: bool = False


class InspectSourceResponse(Value, frozen=True, kw_only=True):
    """What was found there. `problem` is set when the source or its apprunner.yaml cannot be used as it is."""

    kind: str = ""
    """"git", "directory" or "image"."""
    default_branch: str = ""
    branches: tuple[str, ...] = ()
    revision: Revision | None = None
    suggested_name: str = ""
    config_file: str = ""
    """Path of the apprunner.yaml found, relative to the root; "" for none."""
    runtime: str = ""
    build_commands: tuple[str, ...] = ()
    start_command: str = ""
    port: int = 8080
    suggested_runtime: ApiRuntime | None = None
    """Without a configuration file: what the files in the source point to."""
    suggested_build: str = ""
    suggested_start: str = ""
    notices: tuple[str, ...] = ()
    problem: Failure | None = None


class EngineInfo(Value, frozen=True, kw_only=True):
    """Who answers: shown in the header, printed as the ready line."""

    version: str
    home: str
    api_url: str
    edge_url: str
    socket: str
    pid: int
    region: str
    compute: str
    strict: bool = False
