"""One-row inputs: plain, with known choices, and for a path that completes itself."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input

from tui.text import clean
from tui.widgets.line_input import LineInput

_MOST_LISTED = 2000


class Entry(LineInput):
    """A compact input. Tab takes over what it suggests, or goes on to the next field."""

    DEFAULT_CSS = """
    Entry {
        &.-textual-compact { padding: 0 1; background: $panel; }
        &.-textual-compact:focus { background: $primary 25%; background-tint: transparent; }
        &.-textual-compact:disabled { color: $text-muted; background: transparent; }
        &.-textual-compact.-wrong { background: $error 20%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete_or_leave", "Complete", show=False),
        Binding("up", "choose(-1)", "Previous choice", show=False),
        Binding("down", "choose(1)", "Next choice", show=False),
    ]

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        suggester: Suggester | None = None,
        password: bool = False,
        id: str | None = None,  # noqa: A002 - as ever
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            suggester=suggester,
            password=password,
            select_on_focus=False,
            compact=True,
            id=id,
        )
        self.choices: tuple[str, ...] = ()
        """Values that up and down go through."""

    def fill(self, value: str) -> None:
        """Set the value as a program: nothing is posted."""
        if value != self.value:
            with self.prevent(Input.Changed):
                self.value = value
            self.cursor_position = len(value)

    def action_copy(self) -> None:
        if self.password:  # a secret must not end on the clipboard
            raise SkipAction
        super().action_copy()

    def action_cut(self) -> None:
        if self.password:
            self.delete_selection()
        else:
            super().action_cut()

    def action_complete_or_leave(self) -> None:
        if self._suggestion and self._suggestion != self.value and self.cursor_at_end:
            self.action_cursor_right()
        else:
            self.screen.focus_next()

    def action_choose(self, step: int) -> None:
        if not self.choices:
            if step > 0:
                self.screen.focus_next()
            else:
                self.screen.focus_previous()
            return
        if self.value in self.choices:
            place = (self.choices.index(self.value) + step) % len(self.choices)
        else:
            place = 0 if step > 0 else -1
        self.value = self.choices[place]
        self.cursor_position = len(self.value)


def here() -> Path:
    """The folder that relative paths are seen from; the root when it was deleted under us."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


def folder_matches(typed: str, folder: Path, home: Path) -> tuple[str, ...]:
    """Folders that a path could go on to, as the user would type them, with a slash at the end; at most 2000.

    Hidden ones only when asked for by their dot. Reads the disk.
    """
    parent, _, prefix = typed.rpartition("/")
    if "/" not in typed or prefix in {".", ".."}:
        return ()
    base = parent + "/"
    where = home / base[2:] if base.startswith("~/") else folder / base
    try:
        with os.scandir(where) as entries:
            names = sorted(_matching(entries, prefix), key=str.lower)
    except OSError:
        return ()
    return tuple(f"{base}{name}/" for name in names)


def _matching(entries: Iterable["os.DirEntry[str]"], prefix: str) -> list[str]:
    names: list[str] = []
    for entry in entries:
        name = entry.name
        if not name.startswith(prefix) or (name.startswith(".") and not prefix.startswith(".")):
            continue
        if name == clean(name) and entry.is_dir():
            names.append(name)
            if len(names) == _MOST_LISTED:
                break
    return names


class FolderSuggester(Suggester):
    """Suggests the first folder that a path could go on to."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        matches = await asyncio.to_thread(folder_matches, value, here(), Path.home())
        return matches[0] if matches else None


class ChoiceSuggester(Suggester):
    """Suggests the first of an entry's own choices that begins as the value does."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.choices: tuple[str, ...] = ()

    async def get_suggestion(self, value: str) -> str | None:
        return next((choice for choice in self.choices if choice.startswith(value)), None)
