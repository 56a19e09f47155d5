"""ActivityPane: operations as they run, and everything about the highlighted one, its failure first of all."""

from collections.abc import Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.reactive import reactive
from textual.widgets import Static

from engine.model.operation import Operation
from engine.model.watch import ServiceView
from tui.panes.pane import Pane
from tui.presenters.operations import COLUMNS, operation_cells, operation_content
from tui.presenters.table import Cells
from tui.text import clean
from tui.widgets.row_table import RowTable


class ActivityPane(Pane):
    """Pane 2. The cursor stays on the newest operation until the user moves it."""

    BINDINGS = [
        Binding("shift+down,J", "scroll_detail(1)", "Scroll the detail down", show=False),
        Binding("shift+up,K", "scroll_detail(-1)", "Scroll the detail up", show=False),
    ]

    everything: reactive[bool] = reactive(False)
    """Operations of all services, not only of the selected one."""

    table = query_one(RowTable)
    detail = query_one("#detail", VerticalScroll)
    detail_text = query_one("#detail-text", Static)
    empty = query_one("#no-activity", Static)

    def __init__(self) -> None:
        super().__init__(id="activity")
        self._operations: Sequence[Operation] = ()
        self._views: Mapping[str, ServiceView] = {}
        self._by_id: dict[str, Operation] = {}
        self._pinned = False
        self._detailed: Operation | None = None
        self._now = 0.0

    def compose(self) -> ComposeResult:
        yield RowTable(COLUMNS, id="activity-table")
        with VerticalScroll(id="detail", can_focus=False):
            yield Static(id="detail-text")
        yield Static("Nothing has happened here yet.", id="no-activity")

    def main_widget(self) -> RowTable:
        return self.table

    @property
    def operation(self) -> Operation | None:
        """The highlighted one."""
        return self._by_id.get(self.table.cursor_key)

    def show(self, operations: Sequence[Operation], views: Mapping[str, ServiceView], now: float, whose: str) -> None:
        """`operations` newest first; `whose` is the name of the service they are of, "" for all."""
        if [operation.id for operation in operations[-1:]] != [operation.id for operation in self._operations[-1:]]:
            self._pinned = self._pinned and self.table.cursor_key in {operation.id for operation in operations}
        self._operations, self._views, self._now = operations, views, now
        self._by_id = {operation.id: operation for operation in operations}
        self.table.show(
            [operation.id for operation in operations],
            self._cells,
            hidden=frozenset() if self.everything else frozenset({"service"}),
        )
        if operations and not self._pinned:
            self.table.move_to(operations[0].id)
        self.set_class(not operations, "-empty")
        self.show_note(Content.styled("all services" if self.everything else f"of {clean(whose)}", "$text-muted"))
        self._show_detail()

    def tick(self, now: float) -> None:
        """Let the durations of open operations grow."""
        self._now = now
        if any(operation.status.is_open for operation in self._operations):
            self.table.refresh_changed()
            self._show_detail()

    def _cells(self, operation_id: str) -> Cells:
        operation = self._by_id[operation_id]
        return operation_cells(operation, self._views.get(operation.service_id), self._now)

    def _show_detail(self) -> None:
        operation = self.operation
        if operation == self._detailed:
            return
        self._detailed = operation
        content = operation_content(operation) if operation is not None else Content()
        self.set_class(operation is not None and operation.failure is not None, "-failed")
        self.set_class(not content, "-nothing-more")
        self.detail_text.update(content)

    def action_scroll_detail(self, lines: int) -> None:
        self.detail.scroll_relative(y=lines, animate=False)

    @on(RowTable.Highlighted)
    def _moved(self, event: RowTable.Highlighted) -> None:
        if event.by_user:
            self._pinned = self.table.cursor_row > 0
        self.detail.scroll_home(animate=False)
        self._show_detail()
