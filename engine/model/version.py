"""A version: what a deployment produced and can be rolled back to."""

from enum import StrEnum

from engine.model.base import Value
from engine.model.plan import BuildPlan
from engine.model.service import (
    EncryptionConfiguration,
    HealthCheckConfiguration,
    InstanceConfiguration,
    NetworkConfiguration,
    ServiceObservabilityConfiguration,
    SourceConfiguration,
)


class ServiceConfig(Value, frozen=True, kw_only=True):
    """A service's whole configuration with every default filled in."""

    source: SourceConfiguration
    instance: InstanceConfiguration
    """cpu in units and memory in MB, as numeric strings ("1024", "2048"), whatever was sent."""
    health_check: HealthCheckConfiguration
    network: NetworkConfiguration
    auto_scaling_arn: str
    """Resolved to a revision and pinned until the next update."""
    observability: ServiceObservabilityConfiguration | None = None
    encryption: EncryptionConfiguration | None = None


class Revision(Value, frozen=True, kw_only=True):
    """One state of a source: a commit, the fingerprint of a plain directory, or an image."""

    id: str
    """The full commit hash, "dir-" and a content hash, or an image's digest ("sha256:…"). Never option-like."""
    kind: str
    """"commit", "directory" or "image"."""
    branch: str = ""
    """Of a commit; of an image its tag."""
    title: str = ""
    """The commit's subject line. Untrusted text."""
    author: str = ""
    at: float | None = None
    notices: tuple[str, ...] = ()
    """What whoever deploys it should know, one sentence each: submodules that are not fetched, and the like."""

    @property
    def short(self) -> str:
        match self.kind:
            case "commit":
                return self.id[:7]
            case "image":
                return self.id.removeprefix("sha256:")[:12]
            case _:
                return self.id[:11]


class VersionState(StrEnum):
    NEW = "new"
    BUILT = "built"
    FAILED = "failed"


class ResolvedRuntime(Value, frozen=True, kw_only=True):
    """The interpreter that a managed runtime was resolved to on this machine."""

    executable: str
    version: str
    """Full version of the interpreter, "3.11.7"."""


class Artifact(Value, frozen=True, kw_only=True):
    """A finished build: a folder of the process compute, or an image of a Docker engine."""

    path: str = ""
    """Of a folder: holds `app/` (the built copy of the source) and, for python, `venv/`. Of an image: the tag that
    Homerun keeps it under."""
    image: str = ""
    """Of an image: its id in the engine, "sha256:…"."""
    pulled: str = ""
    """Of an image that came from a registry: `repository@digest`, to pull it again should it be lost."""
    runtime: ResolvedRuntime | None = None
    bin_dirs: tuple[str, ...] = ()
    """Folders that go first on PATH, best first: the venv's bin, the interpreter's own bin …"""
    dependency_key: str = ""
    """Equal keys mean that the previous build's dependencies can be taken over as they are."""


class Version(Value, frozen=True, kw_only=True):
    """Artifact and configuration together; immutable once built."""

    id: str
    service_id: str
    number: int
    """1, 2, 3 … within the service."""
    operation_id: str
    state: VersionState
    config: ServiceConfig
    reuse_of: str | None = None
    """A configuration-only update takes over this version's source and build."""
    revision: Revision | None = None
    plan: BuildPlan | None = None
    artifact: Artifact | None = None
    created_at: float
    built_at: float | None = None
