"""MetricsPane: the charts of the selected service over a time range."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.getters import query_one
from textual.reactive import reactive
from textual.widgets import Static

from engine.model.metric import MetricAnswer
from tui.panes.pane import Pane
from tui.presenters.metrics import CHARTS, TimeRange, chart_values, has_values
from tui.widgets.chart import Chart, ChartSeries

_ROOMY, _THREE_WIDE, _TWO_ROWS = 160, 100, 16
"""Cells from which on the charts are arranged otherwise."""


class ChartGrid(Grid, can_focus=True):
    """The charts, arranged for the room there is. It takes the focus for the pane; a chart has no use for it."""

    def on_resize(self, event: events.Resize) -> None:
        """In one row where that is all the height allows, else in two or three with the first chart twice as wide."""
        width, height = event.size
        columns = (6 if width >= _ROOMY else 5) if height < _TWO_ROWS else 3 if width >= _THREE_WIDE else 2
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = 1 if columns >= 5 else 6 // columns
        self.query(Chart).first().styles.column_span = 1 if columns == 5 else 2


class MetricsPane(Pane):
    """Pane 4."""

    time_range: reactive[TimeRange] = reactive(TimeRange.MINUTES_5)

    charts = query_one(ChartGrid)
    empty = query_one("#no-metrics", Static)

    def __init__(self) -> None:
        super().__init__(id="metrics")
        self._reason = ""
        self.shown_for = ("", TimeRange.MINUTES_5)
        """The service and the range of the answer that is shown."""

    def compose(self) -> ComposeResult:
        with ChartGrid(id="charts"):
            for spec in CHARTS:
                yield Chart(title=spec.title, unit=spec.unit, id=f"chart-{spec.id}")
        yield Static(id="no-metrics")

    def on_mount(self) -> None:
        super().on_mount()
        self._show_ranges()

    def main_widget(self) -> ChartGrid:
        return self.charts

    def show(self, service_id: str, answer: MetricAnswer | None, now: float) -> None:
        """Draw an answer about a service; None while there is no service to draw."""
        self.shown_for = (service_id, self.time_range)
        measured = answer is not None and has_values(answer)
        self.set_class(not measured, "-empty")
        if answer is None or not measured:
            reason = (
                f"Nothing was measured in the last {self.time_range.words}." if answer else "No service is selected."
            )
            if reason != self._reason:
                self._reason = reason
                self.empty.update(reason)
            return
        for spec in CHARTS:
            values = chart_values(spec, answer)
            self.query_one(f"#chart-{spec.id}", Chart).show(
                [
                    ChartSeries(label=line.label, values=values[line.label], role=line.role)
                    for line in spec.lines
                    if line.label in values
                ],
                start=answer.start,
                resolution_s=answer.resolution_s,
                now=now,
            )

    def watch_time_range(self) -> None:
        self._show_ranges()

    def _show_ranges(self) -> None:
        self.show_note(
            Content(" ").join(
                [
                    Content.styled(
                        f" {time_range.label} ", "bold reverse" if time_range is self.time_range else "$text-muted"
                    ).stylize(f"@click=screen.act('range_{time_range.label}')")
                    for time_range in TimeRange
                ]
            )
        )
