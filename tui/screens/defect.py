"""DefectScreen: an error that nobody expected, in full, ready to be copied into a report."""

import traceback
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.text import clean


class DefectScreen(ModalScreen[None]):
    """`c` copies the whole text."""

    DEFAULT_CSS = """
    DefectScreen {
        align: center middle;
        .dialog { width: 100; border: round $error; border-title-color: $text-error; }
        VerticalScroll { height: auto; max-height: 20; margin-top: 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss(None)", "Close", show=False),
        Binding("c,y", "copy", "Copy", show=False),
    ]

    def __init__(self, doing: str, error: Exception) -> None:
        super().__init__()
        self._doing = doing
        self._error = error
        lines = "".join(traceback.format_exception(error)).splitlines()
        self._story = "\n".join(clean(line) for line in lines)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "That should not have happened"
            dialog.border_subtitle = "c copies · Esc closes"
            what = clean(str(self._error)) or type(self._error).__name__
            yield Static(
                Content.assemble(
                    (f"{self._doing}: ", "bold"), what, "\nThe engine was told nothing else. The log file has this too."
                )
            )
            with VerticalScroll():
                yield Static(Content(self._story))

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(f"{self._doing}\n{self._story}")
        self.notify("Copied the error.", markup=False)
