"""Operations: App Runner's types and statuses, and our own record of one with its reason and evidence."""

from enum import StrEnum

from engine.model.base import Value, Wire
from engine.model.errors import Failure


class OperationType(StrEnum):
    START_DEPLOYMENT = "START_DEPLOYMENT"
    CREATE_SERVICE = "CREATE_SERVICE"
    PAUSE_SERVICE = "PAUSE_SERVICE"
    RESUME_SERVICE = "RESUME_SERVICE"
    DELETE_SERVICE = "DELETE_SERVICE"
    UPDATE_SERVICE = "UPDATE_SERVICE"


class OperationStatus(StrEnum):
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    FAILED = "FAILED"
    SUCCEEDED = "SUCCEEDED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    ROLLBACK_SUCCEEDED = "ROLLBACK_SUCCEEDED"

    @property
    def is_open(self) -> bool:
        """Still running: the service accepts no other operation."""
        return self in OPEN_STATUSES


OPEN_STATUSES = frozenset({OperationStatus.PENDING, OperationStatus.IN_PROGRESS, OperationStatus.ROLLBACK_IN_PROGRESS})

NEXT_STATUSES: dict[OperationStatus, frozenset[OperationStatus]] = {
    OperationStatus.PENDING: frozenset({OperationStatus.IN_PROGRESS}),
    OperationStatus.IN_PROGRESS: frozenset(
        {OperationStatus.SUCCEEDED, OperationStatus.FAILED, OperationStatus.ROLLBACK_IN_PROGRESS}
    ),
    OperationStatus.ROLLBACK_IN_PROGRESS: frozenset(
        {OperationStatus.ROLLBACK_SUCCEEDED, OperationStatus.ROLLBACK_FAILED}
    ),
    OperationStatus.SUCCEEDED: frozenset(),
    OperationStatus.FAILED: frozenset(),
    OperationStatus.ROLLBACK_SUCCEEDED: frozenset(),
    OperationStatus.ROLLBACK_FAILED: frozenset(),
}
"""Every legal transition; store applies one only `WHERE status IN` its predecessors."""


class OperationSummary(Wire, frozen=True, kw_only=True):
    id: str
    type: OperationType
    status: OperationStatus
    target_arn: str
    started_at: float
    ended_at: float | None = None
    updated_at: float


class OperationStep(StrEnum):
    """Where a running operation stands; shown in the activity pane."""

    QUEUED = "queued"
    FETCH = "fetch"
    BUILD = "build"
    START = "start"
    HEALTH_CHECK = "health check"
    ROUTE = "route"
    DRAIN = "drain"
    STOP = "stop"
    CLEAN_UP = "clean up"
    DONE = "done"


class Operation(Value, frozen=True, kw_only=True):
    """One operation with everything Homerun knows of it. Times are seconds since the epoch."""

    id: str
    service_id: str
    service_arn: str
    service_name: str
    type: OperationType
    status: OperationStatus
    step: OperationStep = OperationStep.QUEUED
    version_id: str | None = None
    """The version that this operation makes or brings back; None for pause and delete."""
    note: str = ""
    """What is being waited for, or what was deployed ("main 3f2a91c Fix the greeting"). Untrusted text."""
    failure: Failure | None = None
    started_at: float
    ended_at: float | None = None
    updated_at: float

    def summary(self) -> OperationSummary:
        return OperationSummary(
            id=self.id,
            type=self.type,
            status=self.status,
            target_arn=self.service_arn,
            started_at=self.started_at,
            ended_at=self.ended_at,
            updated_at=self.updated_at,
        )
