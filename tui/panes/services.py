"""ServicesPane: every service in a table that can be sorted and filtered."""

from collections.abc import Mapping

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.getters import query_one
from textual.reactive import reactive
from textual.widgets import Static

from engine.model.metric import Pulse
from engine.model.watch import ServiceView
from tui.panes.pane import Pane
from tui.presenters.services import COLUMNS, SortBy, chosen, service_cells
from tui.presenters.units import count_text
from tui.widgets.filter_input import FilterInput
from tui.widgets.row_table import RowTable


class ServicesPane(Pane):
    """Pane 1. Call `show` with everything known; it draws only what differs."""

    sort_by: reactive[SortBy] = reactive(SortBy.NAME)
    reverse: reactive[bool] = reactive(False)
    filter_text: reactive[str] = reactive("")

    table = query_one(RowTable)
    filter_input = query_one(FilterInput)
    no_match = query_one("#no-match", Static)

    def __init__(self) -> None:
        super().__init__(id="services")
        self._views: Mapping[str, ServiceView] = {}
        self._pulses: Mapping[str, Pulse] = {}
        self._now = 0.0

    def compose(self) -> ComposeResult:
        yield RowTable(COLUMNS, id="services-table")
        yield Static(id="no-match")
        yield FilterInput("name, status:failed, !word", id="services-filter")

    def main_widget(self) -> RowTable:
        return self.table

    def show(self, views: Mapping[str, ServiceView], pulses: Mapping[str, Pulse], now: float) -> None:
        self._views, self._pulses, self._now = views, pulses, now
        found = chosen(views.values(), pulses, filter_text=self.filter_text, sort_by=self.sort_by, reverse=self.reverse)
        # The table draws later, when a service may have left `views` already.
        shown = {view.service.service_id: view for view in found}
        self.table.show(list(shown), lambda service_id: service_cells(shown[service_id], pulses.get(service_id), now))
        nothing = bool(views) and not found
        if nothing:
            self.no_match.update("No service matches the filter. Esc clears it.")
        self.set_class(nothing, "-no-match")
        self._show_count(len(found))

    def next_sort(self) -> None:
        order = list(SortBy)
        self.sort_by = order[(order.index(self.sort_by) + 1) % len(order)]
        self.reverse = False

    def clear_filter(self) -> None:
        self.filter_input.reset()
        self.filter_text = ""

    def watch_sort_by(self) -> None:
        self._resort()

    def watch_reverse(self) -> None:
        self._resort()

    def watch_filter_text(self) -> None:
        self._resort()

    def _resort(self) -> None:
        if self.is_mounted:
            self.table.sorted_by = (self.sort_by.value, self.reverse)
            self.show(self._views, self._pulses, self._now)

    def _show_count(self, found: int) -> None:
        total = len(self._views)
        if self.filter_text:
            typed = "" if self.filter_input.is_open else f"/{self.filter_text}  "
            self.show_note(Content.assemble((typed, "bold $text-accent"), (f"{found} of {total}", "$text-muted")))
        else:
            self.show_note(Content.styled(count_text(total, "service"), "$text-muted"))

    @on(FilterInput.Changed)
    def _filter(self, event: FilterInput.Changed) -> None:
        event.stop()
        self.filter_text = event.text

    @on(FilterInput.Closed)
    def _filter_done(self, event: FilterInput.Closed) -> None:
        event.stop()
        self.table.focus()
        self._show_count(len(self.table.keys))

    @on(RowTable.HeaderClicked)
    def _sort_by_column(self, event: RowTable.HeaderClicked) -> None:
        event.stop()
        if event.column not in {sort.value for sort in SortBy}:
            return
        if event.column == self.sort_by.value:
            self.reverse = not self.reverse
        else:
            self.sort_by, self.reverse = SortBy(event.column), False
