"""Errors as values: what a caller did wrong (EngineError) and why a deployment failed (Failure, DeployError)."""

from enum import StrEnum

from engine.model.base import Value


class ErrorCode(StrEnum):
    """The App Runner API's error types; the value is the wire's `__type`."""

    INVALID_REQUEST = "InvalidRequestException"
    RESOURCE_NOT_FOUND = "ResourceNotFoundException"
    INVALID_STATE = "InvalidStateException"
    QUOTA_EXCEEDED = "ServiceQuotaExceededException"
    INTERNAL = "InternalServiceErrorException"


class HomerunError(Exception):
    """The family of every error that Homerun raises on purpose. `str(error)` is one plain sentence."""


class EngineError(HomerunError):
    """A call that the door refused. Nothing was changed. `wire` is its type where an API has one of its own."""

    def __init__(self, code: ErrorCode, message: str, *, wire: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.wire = wire


def invalid_request(message: str) -> EngineError:
    return EngineError(ErrorCode.INVALID_REQUEST, message)


def quota_exceeded(message: str) -> EngineError:
    return EngineError(ErrorCode.QUOTA_EXCEEDED, message)


class FailureKind(StrEnum):
    """The step that failed; a stable word for tests, screens and exit paths."""

    SOURCE = "source"
    IMAGE = "image"
    COMPUTE = "compute"
    CONFIG = "config"
    RUNTIME = "runtime"
    BUILD = "build"
    START = "start"
    PORT = "port"
    HEALTH = "health"
    DISK = "disk"
    INTERNAL = "internal"


class Failure(Value, frozen=True, kw_only=True):
    """Why an operation failed: one plain sentence with the cause, the evidence for it and what to do."""

    kind: FailureKind
    message: str
    evidence: tuple[str, ...] = ()
    """Verbatim lines: the last output of the failing command, the health check's answers. Untrusted text."""
    hint: str = ""
    exit_code: int | None = None


class DeployError(HomerunError):
    """A step of a deployment failed for a reason that the user can act on."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure

    @classmethod
    def of(
        cls,
        kind: FailureKind,
        message: str,
        *,
        evidence: tuple[str, ...] = (),
        hint: str = "",
        exit_code: int | None = None,
    ) -> "DeployError":
        return cls(Failure(kind=kind, message=message, evidence=evidence, hint=hint, exit_code=exit_code))
