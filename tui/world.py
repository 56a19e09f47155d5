"""World: what the engine's subscriptions have said so far, in one place."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.model.metric import Pulse
from engine.model.operation import Operation
from engine.model.watch import OperationsChange, ServicesChange, ServiceView

_MOST_OPERATIONS = 2000


@dataclass
class World:
    """Changed only by the bridge, between two awaits; read by the screen."""

    services: dict[str, ServiceView] = field(default_factory=dict)
    pulses: dict[str, Pulse] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    """By id."""
    loaded: bool = False
    """The first snapshot of services has come."""
    _services_are_news: bool = False
    _operations_are_news: bool = False

    def apply_services(self, change: ServicesChange) -> None:
        if change.snapshot:
            kept = {view.service.service_id for view in change.changed}
            self._forget(set(self.services) - kept)
            self.loaded = True
        for view in change.changed:
            self.services[view.service.service_id] = view
        for pulse in change.pulses:
            self.pulses[pulse.service_id] = pulse
        self._forget(change.removed)
        self._services_are_news = True

    def apply_operations(self, change: OperationsChange) -> None:
        for operation in change.changed:
            known = self.operations.get(operation.id)
            if known is None or (known != operation and known.updated_at <= operation.updated_at):
                self.operations[operation.id] = operation
                self._operations_are_news = True
        if len(self.operations) > _MOST_OPERATIONS:
            newest = sorted(self.operations.values(), key=lambda operation: operation.started_at)
            self.operations = {operation.id: operation for operation in newest[-_MOST_OPERATIONS // 2 :]}

    def take_news(self) -> tuple[bool, bool]:
        """Whether services and whether operations have changed since the last call."""
        news = self._services_are_news, self._operations_are_news
        self._services_are_news = self._operations_are_news = False
        return news

    def history(self, service_id: str = "") -> list[Operation]:
        """Operations of one service, or of all for "", newest first."""
        found = (
            operation for operation in self.operations.values() if not service_id or operation.service_id == service_id
        )
        return sorted(found, key=lambda operation: (operation.started_at, operation.id), reverse=True)

    def _forget(self, service_ids: Iterable[str]) -> None:
        for service_id in service_ids:
            self.services.pop(service_id, None)
            self.pulses.pop(service_id, None)
