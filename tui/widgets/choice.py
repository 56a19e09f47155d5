"""One of a few values, all in sight on one row: left and right choose."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

Option = tuple[str, str]
"""Label and value."""


class Choice(Widget, can_focus=True):
    """A row of options with one chosen. Where they do not fit, only the chosen one shows, between arrows."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"choice--chosen", "choice--other", "choice--arrow"}
    DEFAULT_CSS = """
    Choice {
        height: 1;
        color: $foreground;

        & > .choice--chosen { background: $panel; color: $foreground; text-style: bold; }
        & > .choice--other { color: $text-muted; }
        & > .choice--arrow { color: $text-muted; }
        &:focus > .choice--chosen { background: $primary; color: $background; }
        &:focus > .choice--arrow { color: $text-primary; }
        &:disabled > .choice--chosen { color: $text-muted; text-style: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose(-1)", "Previous", show=False),
        Binding("right,space", "choose(1)", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous field", show=False),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("home", "choose_at(0)", "First", show=False),
        Binding("end", "choose_at(-1)", "Last", show=False),
    ]

    value: reactive[str] = reactive("", init=False)

    class Changed(Message):
        """Another option was chosen by the user."""

        def __init__(self, choice: "Choice", value: str) -> None:
            super().__init__()
            self.choice = choice
            self.value = value

        @property
        def control(self) -> "Choice":
            return self.choice

    def __init__(self, options: Sequence[Option], value: str, *, id: str | None = None) -> None:  # noqa: A002 - as ever
        super().__init__(id=id)
        self._options = tuple(options)
        self.set_reactive(Choice.value, value)

    def set_options(self, options: Sequence[Option], value: str) -> None:
        """Offer other options; nothing is said to have been chosen."""
        self._options = tuple(options)
        self.value = value
        self.refresh()

    @property
    def _index(self) -> int:
        return next((index for index, (_, value) in enumerate(self._options) if value == self.value), 0)

    @property
    def _fits(self) -> bool:
        return sum(cell_len(label) + 2 for label, _ in self._options) <= self.size.width

    def render(self) -> Content:
        if not self._options:
            return Content("")
        chosen, other, arrow = (self.get_visual_style(f"choice--{part}") for part in ("chosen", "other", "arrow"))
        if self._fits:
            return Content.assemble(
                *((f" {label} ", chosen if value == self.value else other) for label, value in self._options)
            )
        label, _ = self._options[self._index]
        place = f"  {self._index + 1} of {len(self._options)}"
        return Content.assemble(("◂ ", arrow), (f" {label} ", chosen), (" ▸", arrow), (place, other))

    def action_choose(self, step: int) -> None:
        """Move on by one; it goes round."""
        self._choose((self._index + step) % len(self._options))

    def action_choose_at(self, index: int) -> None:
        self._choose(index % len(self._options))

    def _choose(self, index: int) -> None:
        _, value = self._options[index]
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))

    def on_key(self, event: events.Key) -> None:
        """A letter or digit chooses the next option that begins with it."""
        typed = (event.character or "").lower()
        if not typed.isalnum():
            return
        after = self._index + 1
        places = [(after + step) % len(self._options) for step in range(len(self._options))]
        found = next((place for place in places if self._options[place][0].lower().startswith(typed)), None)
        if found is not None:
            event.stop()
            self._choose(found)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or not self._options:
            return
        if not self._fits:
            self.action_choose(-1 if offset.x < 2 else 1)
            return
        end = 0
        for index, (label, _) in enumerate(self._options):
            end += cell_len(label) + 2
            if offset.x < end:
                self._choose(index)
                return
