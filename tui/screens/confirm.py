"""Asking before something dangerous: a plain question, or one that is answered by typing a name."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from tui.text import clean, clean_lines
from tui.widgets.dialog_button import DialogButton
from tui.widgets.line_input import LineInput


class ConfirmScreen(ModalScreen[bool]):
    """A question; dismisses with True for yes. Enter or y says yes, Esc or n says no."""

    CSS_PATH = "confirm.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "Cancel", show=False),
        Binding("y", "answer(True)", "Confirm", show=False),
        Binding("left,right", "other_button", "Other button", show=False),
    ]

    def __init__(self, title: str, body: str, confirm_label: str) -> None:
        super().__init__()
        self._title = clean(title)
        self._body = clean_lines(body)
        self._confirm_label = confirm_label

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog confirm") as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = "Enter confirms · Esc cancels"
            yield Static(self._body, markup=False)
            with Horizontal(classes="confirm--buttons"):
                yield DialogButton(self._confirm_label, id="confirm")
                yield DialogButton("Cancel", id="cancel")

    def on_mount(self) -> None:
        self.query_one("#confirm", Button).focus()

    def action_answer(self, sure: bool) -> None:
        self.dismiss(sure)

    def action_other_button(self) -> None:
        self.focus_next(Button)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "confirm")


class TypedConfirmScreen(ModalScreen[bool]):
    """A question about something that cannot be undone; True only when the expected text was typed exactly."""

    CSS_PATH = "confirm.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Cancel", show=False)]

    def __init__(self, title: str, body: str, expected: str) -> None:
        super().__init__()
        self._title = clean(title)
        self._body = clean_lines(body)
        self._expected = clean(expected)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog confirm -final") as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = "Enter confirms · Esc cancels"
            yield Static(self._body, markup=False)
            yield LineInput(compact=True, select_on_focus=False)
            yield Static(markup=False, classes="confirm--progress")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._typed()

    @on(Input.Changed)
    def _typed(self) -> None:
        typed = self.query_one(Input).value
        ready, wrong = typed == self._expected, not self._expected.startswith(typed)
        progress = self.query_one(".confirm--progress", Static)
        progress.set_class(ready, "-ready")
        progress.set_class(wrong, "-wrong")
        if ready:
            progress.update("Enter confirms. This cannot be undone.")
        elif wrong:
            progress.update(f"That is not {self._expected}.")
        else:
            progress.update(f"Type {self._expected} to confirm.")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value == self._expected:
            self.dismiss(True)
        else:
            self.app.bell()
