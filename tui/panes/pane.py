"""Pane: a quarter of the dashboard: a numbered frame, something to focus in it, and perhaps a filter."""

from textual import events
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

NAMES = {"services": "Services", "activity": "Activity", "logs": "Logs", "metrics": "Metrics"}
"""The panes by id, in the order of their numbers."""


class Pane(Vertical):
    """The frame around one of the four. Its id is one of NAMES."""

    current: reactive[bool] = reactive(False, toggle_class="-current")
    """It has the focus, or had it last."""
    alone: reactive[bool] = reactive(False)
    """It is the only one on the screen: its title then names the others too."""
    aspect: reactive[str] = reactive("")
    """Which of several things it shows, for its title; "" for the usual one."""

    _note: Content | None = None

    def on_mount(self) -> None:
        self._show_title()

    def watch_alone(self) -> None:
        self._show_title()

    def watch_current(self) -> None:
        self._show_title()

    def watch_aspect(self) -> None:
        self._show_title()

    def main_widget(self) -> Widget:
        """What gets the focus when the user goes to this pane."""
        raise NotImplementedError

    def _show_title(self) -> None:
        titles = []
        for number, (pane, name) in enumerate(NAMES.items(), start=1):
            here = pane == self.id
            if here or self.alone:
                style = ("bold" if self.current or self.alone else "") if here else "$text-muted"
                key = "bold $footer-key-foreground" if here else "$footer-key-foreground 70%"
                aspect = f": {self.aspect}" if here and self.aspect else ""
                titles.append(
                    Content.assemble((str(number), key), (f" {name}{aspect}", style)).stylize(
                        f"@click=screen.act('pane_{pane}')"
                    )
                )
        self.border_title = Content(" │ ").join(titles) if len(titles) > 1 else titles[0]

    def show_note(self, note: Content) -> None:
        """Put content into the frame's lower edge."""
        if note != self._note:
            self._note = note
            self.border_subtitle = note

    def on_click(self, event: events.Click) -> None:
        if not self.has_focus_within:
            event.stop()
            self.main_widget().focus()
