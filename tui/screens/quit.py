"""QuitScreen: what becomes of running services when the screen that hosts their engine closes."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.presenters.units import count_text


class QuitScreen(ModalScreen[str]):
    """Dismisses with "leave", "stop" or None for staying."""

    DEFAULT_CSS = """
    QuitScreen {
        align: center middle;
        .dialog { width: 60; }
        Static { margin-bottom: 1; }
        OptionList { height: auto; border: none; background: transparent; padding: 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c", "dismiss(None)", "Stay", show=False),
        Binding("l", "dismiss('leave')", "Leave running", show=False),
        Binding("s", "dismiss('stop')", "Stop everything", show=False),
    ]

    def __init__(self, running: int) -> None:
        super().__init__()
        self._services = running

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Leave Homerun"
            dialog.border_subtitle = "Enter chooses · Esc stays"
            runs = "runs" if self._services == 1 else "run"
            yield Static(f"{count_text(self._services, 'service')} {runs} on this machine.")
            yield OptionList(
                Option("l  Leave them running in the background", id="leave"),
                Option("s  Stop everything", id="stop"),
                Option("c  Stay here", id="stay"),
                compact=True,
            )

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option_id == "stay" else event.option_id)
