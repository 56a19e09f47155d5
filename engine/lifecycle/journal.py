"""Writes what happens to a service into its event log and deployment logs, and tells the watchers."""

from collections.abc import Callable

from engine.lifecycle import events
from engine.model.ids import hex_of
from engine.model.instance import Instance
from engine.model.log import LogKind
from engine.model.operation import Operation, OperationStatus, OperationType
from engine.model.record import ServiceRecord
from engine.model.version import Version
from engine.telemetry.telemetry import Telemetry

_DEPLOYING = (OperationType.CREATE_SERVICE, OperationType.UPDATE_SERVICE, OperationType.START_DEPLOYMENT)


class Journal:
    """`changed(service_id)` is called when something that is not in the store changed."""

    def __init__(self, telemetry: Telemetry, changed: Callable[[str], None]) -> None:
        self._telemetry = telemetry
        self.waiting_changed = changed

    def event(self, service_id: str, text: str) -> None:
        self._telemetry.log(service_id, LogKind.EVENTS, "", events.PREFIX + text)

    def deployment(self, operation: Operation, text: str) -> None:
        """One line for the operation's deployment log, `[Prefix]` included."""
        self._telemetry.log(operation.service_id, LogKind.DEPLOYMENT, hex_of(operation.id), text)

    def both(self, operation: Operation, text: str) -> None:
        self.event(operation.service_id, text)
        self.deployment(operation, events.PREFIX + text)

    def operation_begun(self, record: ServiceRecord, operation: Operation) -> None:
        self.event(record.id, events.operation_started(operation.type))
        self.event(record.id, events.status_set(record.status))
        if operation.type in _DEPLOYING:
            self.event(record.id, events.deployment_started(hex_of(operation.id), operation.type))

    def rolling_back(self, record: ServiceRecord, operation: Operation) -> None:
        self._say_failure(operation)
        self.both(operation, events.rollback_started())
        self.event(record.id, events.status_set(record.status))

    def operation_ended(self, record: ServiceRecord, operation: Operation) -> None:
        if operation.status is OperationStatus.SUCCEEDED:
            self.both(operation, events.operation_succeeded(operation.type, new_build=bool(operation.note)))
        elif operation.status is OperationStatus.FAILED:
            self._say_failure(operation)
            self.event(record.id, events.operation_failed(operation.type))
        else:
            self.event(record.id, events.operation_failed(operation.type))
            self.both(
                operation,
                events.rollback_ended(operation.type, succeeded=operation.status is OperationStatus.ROLLBACK_SUCCEEDED),
            )
        self.event(record.id, events.status_set(record.status))

    def instance_started(self, version: Version, instance: Instance) -> None:
        port = version.plan.port if version.plan else 8080
        self.event(version.service_id, events.health_check(version.config.health_check, port))
        where = f"{instance.address.host}:{instance.address.port}" if instance.address else "no address"
        self.event(version.service_id, f"Instance {instance.id[:8]} of version {version.number} started on {where}.")

    def _say_failure(self, operation: Operation) -> None:
        failure = operation.failure
        if failure is None:
            return
        if operation.type in _DEPLOYING:
            self.event(operation.service_id, events.deployment_failed(hex_of(operation.id), failure.message))
        else:
            self.event(operation.service_id, failure.message)
        self.deployment(operation, events.PREFIX + failure.message)
        for line in failure.hint.splitlines():
            self.deployment(operation, events.PREFIX + line)
