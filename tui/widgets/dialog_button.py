"""A button of one row for dialogs; the focused one stands out, without colour too."""

from textual.content import Content
from textual.widgets import Button

from tui.text import clean


class DialogButton(Button):
    """Flat and quiet until it has the focus. The label is plain text."""

    DEFAULT_CSS = """
    DialogButton {
        &.-style-default.-textual-compact {
            min-width: 10;
            margin-left: 2;
            background: $panel;
            color: $foreground;
            text-style: none;

            &:hover { background: $primary 30%; }
            &:focus, &:focus:hover {
                background: $primary;
                color: $background;
                text-style: bold;
                background-tint: transparent;
            }
        }
    }
    """

    def __init__(self, label: str, *, id: str | None = None) -> None:  # noqa: A002 - every widget calls it so
        super().__init__(Content(clean(label)), compact=True, id=id)
