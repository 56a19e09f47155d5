"""A service as the store keeps it: what the API shows, and what the reconciler is to make true."""

from enum import StrEnum

from engine.model.base import Value
from engine.model.log import LogGroup
from engine.model.service import ServiceStatus
from engine.model.version import ServiceConfig


class DesiredMode(StrEnum):
    """What the world should come to."""

    SERVING = "serving"
    PAUSED = "paused"
    DELETED = "deleted"


class ServiceRecord(Value, frozen=True, kw_only=True):
    """One service. Desired state is `mode` and `target_version_id`; the rest is what clients see."""

    id: str
    name: str
    arn: str
    subdomain: str
    """The ten characters before the region in its default domain."""
    status: ServiceStatus
    config: ServiceConfig
    """What Describe shows: new values at once, the old ones again after a rollback."""
    mode: DesiredMode
    target_version_id: str | None = None
    """The version that instances should run; None wants none (a create that failed)."""
    serving_version_id: str | None = None
    """The newest version that got healthy and traffic; what a rollback and a resume return to."""
    seen_digest: str = ""
    """Of an image source that is watched: the newest digest of its tag that was deployed, or passed over while the
    service was paused."""
    tags: dict[str, str] = {}
    retention: dict[LogGroup, int] = {}
    """Days that the lines of a log group are kept, where somebody has said so."""
    created_at: float
    updated_at: float
    deleted_at: float | None = None
