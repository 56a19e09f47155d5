"""World: what the engine's subscriptions have said so far, in one place."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.model.audit import AuditChange, AuditRecord
from engine.model.metric import Pulse
from engine.model.operation import Operation
from engine.model.watch import ComputeState, OperationsChange, ServicesChange, ServiceView

MOST_CALLS = 1000
"""Records of the audit trail kept."""
_MOST_OPERATIONS = 2000


class News(NamedTuple):
    """What has changed."""

    services: bool
    operations: bool
    calls: bool


@dataclass
class World:
    """Changed only by the bridge, between two awaits; read by the screen."""

    services: dict[str, ServiceView] = field(default_factory=dict)
    pulses: dict[str, Pulse] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    """By id."""
    trail: deque[AuditRecord] | None = None
    """The newest calls, oldest first; None before the first snapshot."""
    compute: ComputeState | None = None
    """Where new instances run; None before the first snapshot."""
    loaded: bool = False
    """The first snapshot of services has come."""
    _services_are_news: bool = False
    _operations_are_news: bool = False
    _calls_are_news: bool = False

    def apply_services(self, change: ServicesChange) -> None:
        if change.snapshot:
            kept = {view.service.service_id for view in change.changed}
            self._forget(set(self.services) - kept)
            self.loaded = True
        if change.compute is not None:
            self.compute = change.compute
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

    def apply_audit(self, change: AuditChange) -> None:
        if change.snapshot or self.trail is None:
            self.trail = deque(maxlen=MOST_CALLS)
        self.trail.extend(change.records)
        self._calls_are_news = True

    def take_news(self) -> News:
        """What has changed since the last call."""
        news = News(self._services_are_news, self._operations_are_news, self._calls_are_news)
        self._services_are_news = self._operations_are_news = self._calls_are_news = False
        return news

    def history(self, service_id: str = "") -> list[Operation]:
        """Operations of one service, or of all for "", newest first."""
        found = (
            operation for operation in self.operations.values() if not service_id or operation.service_id == service_id
        )
        return sorted(found, key=lambda operation: (operation.started_at, operation.id), reverse=True)

    def calls(self, *, reads: bool) -> list[AuditRecord] | None:
        """The audit trail, newest first; without `reads` only what changes something, and what was turned away."""
        if self.trail is None:
            return None
        return [record for record in reversed(self.trail) if reads or record.among_changes]

    def _forget(self, service_ids: Iterable[str]) -> None:
        for service_id in service_ids:
            self.services.pop(service_id, None)
            self.pulses.pop(service_id, None)
