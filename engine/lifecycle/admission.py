"""Which call a service accepts in which status, with App Runner's error types and texts. Pure."""

from enum import StrEnum

from engine.model.errors import EngineError, ErrorCode
from engine.model.service import ServiceStatus as S


class Admission(StrEnum):
    GO = "go"
    NOTHING_TO_DO = "nothing to do"
    """The call succeeds without an operation: pause on paused, resume on running."""


def admit_update(status: S) -> None:
    """A service that failed to be created is rebuilt by an update (App Runner since June 2023)."""
    if status not in (S.RUNNING, S.CREATE_FAILED):
        raise _state("updated", status)


def admit_deployment(status: S) -> None:
    # The API model lists no InvalidStateException for StartDeployment.
    if status is not S.RUNNING:
        raise EngineError(
            ErrorCode.INVALID_REQUEST,
            "Can't start a deployment on the specified service, because it isn't in RUNNING state.",
        )


def admit_pause(status: S) -> Admission:
    if status is S.PAUSED:
        return Admission.NOTHING_TO_DO
    if status is not S.RUNNING:
        raise _state("paused", status)
    return Admission.GO


def admit_resume(status: S) -> Admission:
    if status is S.RUNNING:
        return Admission.NOTHING_TO_DO
    if status is not S.PAUSED:
        raise _state("resumed", status)
    return Admission.GO


def admit_delete(status: S) -> None:
    if status is S.OPERATION_IN_PROGRESS:
        raise _state("deleted", status)


def admit_domain_change(status: S) -> None:
    """Custom domains of a service that does not run cannot be changed."""
    if status is not S.RUNNING:
        raise EngineError(
            ErrorCode.INVALID_STATE, f"Custom domains cannot be changed in the service's current state: {status}."
        )


def _state(done: str, status: S) -> EngineError:
    return EngineError(ErrorCode.INVALID_STATE, f"Service cannot be {done} in the current state: {status}.")
