"""ActivityPane: operations as they run, or the audit trail of calls; everything about the highlighted one below."""

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.getters import query_one
from textual.reactive import reactive

from engine.model.audit import AuditRecord
from engine.model.operation import Operation
from engine.model.watch import ServiceView
from tui.panes.history import History
from tui.panes.pane import Pane
from tui.presenters import audit
from tui.presenters.audit import call_cells, call_content, empty_text
from tui.presenters.operations import COLUMNS, operation_cells, operation_content, progress_of
from tui.presenters.table import Cells
from tui.text import clean
from tui.widgets.row_table import RowTable


class Operations(History):
    """Operations of a service or of all, their failures first of all."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, id="operations", table_id="activity-table")
        self._views: Mapping[str, ServiceView] = {}
        self._by_id: dict[str, Operation] = {}
        self._now = 0.0

    @property
    def operation(self) -> Operation | None:
        """The highlighted one."""
        return self._by_id.get(self.table.cursor_key)

    def show(
        self, operations: Sequence[Operation], views: Mapping[str, ServiceView], now: float, *, everything: bool
    ) -> None:
        """`operations` newest first; `everything` says that they are of several services."""
        self._views, self._now = views, now
        self._by_id = {operation.id: operation for operation in operations}
        hidden = frozenset[str]() if everything else frozenset({"service"})
        self.fill(list(self._by_id), self._cells, hidden=hidden, nothing="Nothing has happened here yet.")

    def tick(self, now: float) -> None:
        """Let the durations of open operations grow."""
        self._now = now
        if any(operation.status.is_open for operation in self._by_id.values()):
            self.table.refresh_changed()
            self.show_detail()

    def on_resize(self) -> None:
        self.show_detail()

    def subject(self) -> object:
        """The operation, what is said about it, and the room for that: a bar is as wide as there is."""
        operation = self.operation
        if operation is None:
            return None
        return operation, progress_of(operation, self._view_of(operation)), self._width

    def content(self) -> Content:
        operation = self.operation
        if operation is None:
            return Content()
        return operation_content(operation, self._view_of(operation), width=self._width)

    @property
    def _width(self) -> int:
        return self.size.width - 1  # the scroll bar's, whether it is there or not

    def _view_of(self, operation: Operation) -> ServiceView | None:
        return self._views.get(operation.service_id)

    def show_detail(self) -> None:
        operation = self.operation
        self.set_class(operation is not None and operation.failure is not None, "-failed")
        super().show_detail()

    def _cells(self, operation_id: str) -> Cells:
        operation = self._by_id[operation_id]
        return operation_cells(operation, self._view_of(operation), self._now)


class Calls(History):
    """The audit trail: who asked for what, and what came of it."""

    def __init__(self) -> None:
        super().__init__(audit.COLUMNS, id="calls", table_id="audit-table")
        self._by_id: dict[str, AuditRecord] = {}
        self._now = 0.0

    def show(self, records: Sequence[AuditRecord], now: float, *, nothing: str) -> None:
        """`records` newest first; `nothing` is the sentence for none."""
        self._now = now
        self._by_id = {record.id: record for record in records}
        self.fill(list(self._by_id), self._cells, nothing=nothing)

    def subject(self) -> AuditRecord | None:
        return self._by_id.get(self.table.cursor_key)

    def content(self) -> Content:
        record = self.subject()
        return call_content(record) if record is not None else Content()

    def _cells(self, record_id: str) -> Cells:
        return call_cells(self._by_id[record_id], self._now)


class ActivityPane(Pane):
    """Pane 2."""

    everything: reactive[bool] = reactive(False)
    """Operations of all services, not only of the selected one."""
    audit: reactive[bool] = reactive(False, init=False)
    """The audit trail instead of operations. It is the account's, whatever service is selected."""
    reads: reactive[bool] = reactive(False, init=False)
    """All calls of the audit trail, not only changes and those that were turned away."""

    operations = query_one(Operations)
    calls = query_one(Calls)

    def __init__(self) -> None:
        super().__init__(id="activity")
        self._whose = ""

    def compose(self) -> ComposeResult:
        yield Operations()
        yield Calls()

    def on_mount(self) -> None:
        super().on_mount()
        self._switch()

    def main_widget(self) -> RowTable:
        return self.calls.table if self.audit else self.operations.table

    @property
    def operation(self) -> Operation | None:
        """The highlighted one, whether it is in sight or the audit trail stands before it."""
        return self.operations.operation

    def show(self, operations: Sequence[Operation], views: Mapping[str, ServiceView], now: float, whose: str) -> None:
        """`operations` newest first; `whose` is the name of the service they are of, "" for all."""
        self._whose = clean(whose)
        self.operations.show(operations, views, now, everything=self.everything)
        self._show_scope()

    def show_calls(self, records: Sequence[AuditRecord] | None, now: float) -> None:
        """`records` newest first; None while they are not known."""
        self.calls.show(records or (), now, nothing=empty_text(known=records is not None, reads=self.reads))

    def tick(self, now: float) -> None:
        self.operations.tick(now)

    def watch_audit(self) -> None:
        self._switch()

    def watch_reads(self) -> None:
        self._show_scope()

    def _switch(self) -> None:
        self.operations.display = not self.audit
        self.calls.display = self.audit
        self.aspect = "audit trail" if self.audit else ""
        self._show_scope()

    def _show_scope(self) -> None:
        if self.audit:
            scope = "all calls" if self.reads else "changes"
        else:
            scope = "all services" if self.everything else f"of {self._whose}"
        self.show_note(Content.styled(scope, "$text-muted"))
