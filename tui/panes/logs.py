"""LogsPane: the events, the deployment log or the application's output of the selected service."""

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.getters import query_one
from textual.reactive import reactive
from textual.widgets import Static

from engine.model.log import LogKind
from tui.bridge import LogMail
from tui.panes.pane import Pane
from tui.presenters.logs import EMPTY, TITLES
from tui.widgets.filter_input import FilterInput
from tui.widgets.log_view import LogView


class TabLine(Static):
    """The tabs; clicks on them are actions, without the look of links."""

    auto_links = False


class LogsPane(Pane):
    """Pane 3. It says what it wants to see (`kind`, `instance_id`); the dashboard sees to the stream."""

    kind: reactive[LogKind] = reactive(LogKind.APPLICATION)
    instance_id: reactive[str] = reactive("")
    """Application logs of one instance only; "" for all."""
    subject: reactive[str] = reactive("")
    """What the deployment log is of, "deploy 3f2a91c"; shown beside the tabs."""
    filter_text: reactive[str] = reactive("")

    view = query_one(LogView)
    tabs = query_one("#log-tabs", Static)
    filter_input = query_one(FilterInput)

    def __init__(self) -> None:
        super().__init__(id="logs")

    def compose(self) -> ComposeResult:
        yield TabLine(id="log-tabs")
        yield LogView(id="log-view")
        yield FilterInput("text, !text", id="logs-filter")

    def on_mount(self) -> None:
        super().on_mount()
        self._show_state()

    def main_widget(self) -> LogView:
        return self.view

    def deliver(self, mail: LogMail) -> None:
        """Show what came."""
        if mail.fresh:
            self.view.reset()
        if mail.lines or mail.dropped:
            self.view.append(mail.lines, mail.dropped)

    def clear_filter(self) -> None:
        self.filter_input.reset()
        self.filter_text = ""

    def toggle_follow(self) -> None:
        self.view.follow = not self.view.follow

    def watch_kind(self) -> None:
        self._show_state()

    def watch_instance_id(self) -> None:
        self._show_state()

    def watch_subject(self) -> None:
        self._show_state()

    def watch_filter_text(self) -> None:
        if self.is_mounted:
            self.view.filter_text = self.filter_text
            self._show_state()

    def _show_state(self) -> None:
        if not self.is_mounted and not self.children:
            return
        self.view.empty_text = EMPTY[self.kind]
        self.view.show_stream = self.kind is LogKind.APPLICATION and not self.instance_id
        tabs = []
        for kind, title in TITLES.items():
            style = "bold reverse" if kind is self.kind else "$text-muted"
            tabs.append(Content.styled(f" {title} ", style).stylize(f"@click=screen.act('logs_{kind.value}')"))
        subject = self.subject if self.kind is LogKind.DEPLOYMENT else ""
        if self.kind is LogKind.APPLICATION:
            subject = f"instance {self.instance_id[:8]}" if self.instance_id else "all instances"
        self.tabs.update(Content.assemble(Content(" ").join(tabs), ("   " + subject, "$text-muted")), layout=False)
        note = Content.styled(
            *(("● following", "$text-success") if self.view.follow else ("○ paused", "$text-warning"))
        )
        if self.filter_text and not self.filter_input.is_open:
            note = Content.assemble((f"/{self.filter_text}  ", "bold $text-accent"), note)
        self.show_note(note)

    @on(LogView.FollowChanged)
    def _follow_changed(self, event: LogView.FollowChanged) -> None:
        event.stop()
        self._show_state()

    @on(FilterInput.Changed)
    def _filter(self, event: FilterInput.Changed) -> None:
        event.stop()
        self.filter_text = event.text

    @on(FilterInput.Closed)
    def _filter_done(self, event: FilterInput.Closed) -> None:
        event.stop()
        self.view.focus()
        self._show_state()
