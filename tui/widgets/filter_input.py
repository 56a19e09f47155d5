"""FilterInput: one line to type a filter into, filtering with every key."""

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from tui.widgets.line_input import LineInput


class FilterInput(Horizontal):
    """Hidden until opened. Enter keeps the filter and closes, escape clears it first."""

    DEFAULT_CSS = """
    FilterInput {
        display: none;
        height: 1;
        background: $panel;
        &.-open { display: block; }
        Label { width: auto; padding: 0 1; color: $text-accent; text-style: bold; }
        Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; &:focus { border: none; } }
    }
    """
    BINDINGS = [
        Binding("escape", "clear", "Clear", show=False),
        Binding("down,tab", "keep", "Keep", show=False),
    ]

    @dataclass
    class Changed(Message):
        """The text is another one."""

        text: str

    class Closed(Message):
        """The user is done typing."""

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        yield Label("/")
        yield LineInput(placeholder=self._placeholder, compact=True)

    @property
    def text(self) -> str:
        return self.query_one(Input).value

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def open(self) -> None:
        self.add_class("-open")
        self.query_one(Input).focus()

    def reset(self) -> None:
        """Empty and closed."""
        self.query_one(Input).value = ""
        self.remove_class("-open")

    def action_clear(self) -> None:
        self.reset()
        self.post_message(self.Closed())

    def action_keep(self) -> None:
        self.remove_class("-open")
        self.post_message(self.Closed())

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep()
