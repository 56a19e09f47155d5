"""Status as a glyph, a word and a role: readable without colours, and never by colour alone."""

from typing import NamedTuple

from engine.model.instance import InstanceState
from engine.model.operation import Operation, OperationStatus, OperationType
from engine.model.service import ServiceStatus
from engine.model.watch import ServiceView
from tui.presenters.table import Cell


class Face(NamedTuple):
    glyph: str
    word: str
    role: str

    @property
    def text(self) -> str:
        return f"{self.glyph} {self.word}"

    @property
    def cell(self) -> Cell:
        return Cell(self.text, self.role)


BUSY = "◐"
_DOING = {
    OperationType.CREATE_SERVICE: "Creating",
    OperationType.START_DEPLOYMENT: "Deploying",
    OperationType.UPDATE_SERVICE: "Updating",
    OperationType.PAUSE_SERVICE: "Pausing",
    OperationType.RESUME_SERVICE: "Resuming",
    OperationType.DELETE_SERVICE: "Deleting",
}
_DONE = {
    OperationType.CREATE_SERVICE: "Created",
    OperationType.START_DEPLOYMENT: "Deployed",
    OperationType.UPDATE_SERVICE: "Updated",
    OperationType.PAUSE_SERVICE: "Paused",
    OperationType.RESUME_SERVICE: "Resumed",
    OperationType.DELETE_SERVICE: "Deleted",
}
_VERB = {
    OperationType.CREATE_SERVICE: "Create",
    OperationType.START_DEPLOYMENT: "Deploy",
    OperationType.UPDATE_SERVICE: "Update",
    OperationType.PAUSE_SERVICE: "Pause",
    OperationType.RESUME_SERVICE: "Resume",
    OperationType.DELETE_SERVICE: "Delete",
}


def service_face(view: ServiceView) -> Face:
    """The status of a service as a person would put it."""
    operation = view.operation
    match view.service.status:
        case ServiceStatus.OPERATION_IN_PROGRESS:
            if operation is None:
                return Face(BUSY, "Working", "accent")
            if operation.status is OperationStatus.ROLLBACK_IN_PROGRESS:
                return Face("↺", "Rolling back", "warning")
            return Face(BUSY, _DOING[operation.type], "accent")
        case ServiceStatus.RUNNING:
            if view.instances and all(instance.state is InstanceState.UNHEALTHY for instance in view.instances):
                return Face("▲", "Unhealthy", "error")
            return Face("▲", "Running", "warning") if view.failure else Face("●", "Running", "success")
        case ServiceStatus.PAUSED:
            return Face("‖", "Paused", "muted")
        case ServiceStatus.CREATE_FAILED:
            return Face("✕", "Create failed", "error")
        case ServiceStatus.DELETE_FAILED:
            return Face("✕", "Delete failed", "error")
        case ServiceStatus.DELETED:
            return Face("○", "Deleted", "muted")


def operation_face(operation: Operation) -> Face:
    """What is done or was done, and how it ended: "Deploying", "Deployed", "Deploy failed"."""
    name = _VERB[operation.type]
    match operation.status:
        case OperationStatus.PENDING:
            return Face("○", f"{name} queued", "muted")
        case OperationStatus.IN_PROGRESS:
            return Face(BUSY, _DOING[operation.type], "accent")
        case OperationStatus.SUCCEEDED:
            return Face("✓", _DONE[operation.type], "success")
        case OperationStatus.FAILED:
            return Face("✕", f"{name} failed", "error")
        case OperationStatus.ROLLBACK_IN_PROGRESS:
            return Face("↺", "Rolling back", "warning")
        case OperationStatus.ROLLBACK_SUCCEEDED:
            return Face("↺", "Rolled back", "error")
        case OperationStatus.ROLLBACK_FAILED:
            return Face("✕", "Rollback failed", "error")
