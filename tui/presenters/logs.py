"""Which log stream the logs pane asks for, and how its tabs are called."""

from collections.abc import Iterable
from itertools import chain

from engine.model.ids import hex_of
from engine.model.log import LogKind, LogSelector
from engine.model.operation import Operation
from engine.model.watch import ServiceView
from tui.presenters.faces import operation_face
from tui.presenters.operations import HAS_DEPLOYMENT_LOG

TITLES = {LogKind.EVENTS: "Events", LogKind.DEPLOYMENT: "Deployment", LogKind.APPLICATION: "Application"}

EMPTY = {
    LogKind.EVENTS: "No events yet.",
    LogKind.DEPLOYMENT: "No deployment has written anything yet.",
    LogKind.APPLICATION: "The application has printed nothing yet.",
}


def selector_for(
    kind: LogKind, service_id: str, *, instance_id: str = "", deployment: Operation | None = None
) -> LogSelector | None:
    """The stream for the pane; None while no service is selected."""
    if not service_id:
        return None
    match kind:
        case LogKind.EVENTS:
            stream = ""
        case LogKind.DEPLOYMENT:
            stream = hex_of(deployment.id) if deployment is not None else ""
        case LogKind.APPLICATION:
            stream = instance_id
    return LogSelector(service_id=service_id, kind=kind, stream=stream)


def deployment_to_show(
    service_id: str, highlighted: Operation | None, history: Iterable[Operation]
) -> Operation | None:
    """The highlighted operation where it has a deployment log of this service, else the service's newest that has.

    `history` is newest first.
    """
    for operation in chain([highlighted] if highlighted else [], history):
        if operation.service_id == service_id and operation.type in HAS_DEPLOYMENT_LOG:
            return operation
    return None


def telling_kind(view: ServiceView | None) -> LogKind:
    """The log that says most about a service now: its deployment while there is one or the last one failed."""
    if view is None:
        return LogKind.APPLICATION
    operation = view.operation
    deploying = operation is not None and operation.status.is_open and operation.type in HAS_DEPLOYMENT_LOG
    return LogKind.DEPLOYMENT if deploying or view.failure is not None else LogKind.APPLICATION


def next_kind(kind: LogKind, step: int) -> LogKind:
    kinds = list(LogKind)
    return kinds[(kinds.index(kind) + step) % len(kinds)]


def next_instance(current: str, instance_ids: tuple[str, ...]) -> str:
    """The instance after this one; "" (all together) comes after the last."""
    order = ("", *instance_ids)
    return order[(order.index(current) + 1) % len(order)] if current in order else ""


def deployment_title(operation: Operation) -> str:
    """What the deployment log is of: "Deploy failed · 3f2a91c8"."""
    return f"{operation_face(operation).text} · {operation.id[:8]}"
