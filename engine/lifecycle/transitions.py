"""What a step of an operation changes in the store: plain functions inside one transaction, `now` in epoch seconds."""

from msgspec.structs import replace

from engine.model.errors import Failure
from engine.model.operation import Operation, OperationStatus, OperationStep, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.service import ServiceStatus
from engine.model.version import Version, VersionState
from engine.store.state import Transaction


def begin(tx: Transaction, service_id: str, *, now: float) -> Operation | None:
    """Take the pending operation up; None when there is none."""
    operation = tx.open_operation(service_id)
    if operation:
        operation = replace(operation, updated_at=now, status=OperationStatus.IN_PROGRESS)
        tx.put(operation)
    return operation


def set_step(tx: Transaction, service_id: str, step: OperationStep, *, now: float, note: str = "") -> None:
    """Where the open operation stands, and, when given, what it is about."""
    operation = tx.open_operation(service_id)
    if operation and (operation.step is not step or note):
        tx.put(replace(operation, step=step, note=note.strip() or operation.note, updated_at=now))


def end_build(
    tx: Transaction, service_id: str, version_id: str, built: Version | None, failure: Failure | None, *, now: float
) -> None:
    """The build's result; a failure becomes the operation's in the same moment, so that nothing builds again."""
    tx.put(built or replace(tx.version(version_id), state=VersionState.FAILED))
    operation = tx.open_operation(service_id)
    if failure and operation and operation.version_id == version_id:  # an operation that ended has left its build
        fail(tx, service_id, failure, now=now)


def fail(tx: Transaction, service_id: str, failure: Failure, *, now: float) -> None:
    """The open operation has failed; the first reason counts."""
    operation = tx.open_operation(service_id)
    if operation and operation.failure is None:
        tx.put(replace(operation, updated_at=now, failure=failure))


def promote(tx: Transaction, service_id: str, version_id: str, *, now: float) -> None:
    """The version has the traffic: a rollback returns to it from now on."""
    tx.put(replace(tx.service(service_id), updated_at=now, serving_version_id=version_id))


def roll_back(tx: Transaction, service_id: str, *, now: float) -> Operation | None:
    """Want the serving version again, with the configuration that it was deployed with."""
    record = tx.service(service_id)
    serving = tx.version(record.serving_version_id or "")
    tx.put(replace(record, updated_at=now, target_version_id=serving.id, config=serving.config))
    operation = tx.open_operation(service_id)
    if operation:
        operation = replace(operation, updated_at=now, status=OperationStatus.ROLLBACK_IN_PROGRESS)
        tx.put(operation)
        _give_version_up(tx, operation, record)
    return operation


def give_up(tx: Transaction, service_id: str, *, now: float) -> None:
    """Nothing to roll back to: a resume goes back to being paused, anything else wants nothing any more."""
    record = tx.service(service_id)
    operation = tx.open_operation(service_id)
    if operation and operation.type is OperationType.RESUME_SERVICE:
        tx.put(replace(record, updated_at=now, mode=DesiredMode.PAUSED))
        return
    tx.put(replace(record, updated_at=now, target_version_id=None))
    if operation:
        _give_version_up(tx, operation, record)


def finish(tx: Transaction, service_id: str, status: OperationStatus, *, now: float) -> Operation | None:
    """End the open operation and give the service the status that follows; None when there was none."""
    operation = tx.open_operation(service_id)
    if operation is None:
        return None
    record = tx.service(service_id)
    after = status_after(record)
    if after is ServiceStatus.DELETED and status is not OperationStatus.SUCCEEDED:
        after = ServiceStatus.DELETE_FAILED
    deleted_at = now if after is ServiceStatus.DELETED else record.deleted_at
    tx.put(replace(record, updated_at=now, status=after, deleted_at=deleted_at))
    operation = replace(operation, updated_at=now, status=status, step=OperationStep.DONE, ended_at=now)
    tx.put(operation)
    return operation


def status_after(record: ServiceRecord) -> ServiceStatus:
    """The status that a service has once its operation is over."""
    if record.mode is DesiredMode.DELETED:
        return ServiceStatus.DELETED
    if record.mode is DesiredMode.PAUSED:
        return ServiceStatus.PAUSED
    return ServiceStatus.RUNNING if record.serving_version_id else ServiceStatus.CREATE_FAILED


def _give_version_up(tx: Transaction, operation: Operation, record: ServiceRecord) -> None:
    """A version whose deployment failed is nothing to go back to, though its build may have succeeded."""
    if operation.version_id and operation.version_id != record.serving_version_id:
        tx.put(replace(tx.version(operation.version_id), state=VersionState.FAILED))
