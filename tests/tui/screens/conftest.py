"""Fixtures for screens: an app that shows one and keeps its answer, and a wait for what is expected."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from textual import events
from textual.app import App
from textual.keys import _character_to_key
from textual.screen import Screen

import tui
from tui.themes import DARK


class OneScreen(App):
    """Opens one screen over an empty one and remembers what it was dismissed with."""

    CSS_PATH = Path(tui.__file__).parent / "app.tcss"

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._first = screen
        self.answers = []

    def on_mount(self) -> None:
        self.register_theme(DARK)
        self.theme = DARK.name
        self.push_screen(self._first, self.answers.append)


@pytest.fixture
def app_with():
    return OneScreen


@pytest.fixture
def settled():
    """Wait until a condition holds; fails after two seconds."""

    async def wait(pilot, condition):
        for _ in range(100):
            await pilot.pause()
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it did not settle")

    return wait


@pytest.fixture
def press():
    """Press keys; unlike the pilot's own press it waits only after those that a binding acts on."""

    async def keys_to(pilot, *keys):
        for key, following in pairwise((*keys, "")):
            is_character = len(key) == 1
            name = _character_to_key(key) if is_character else key
            pilot.app.post_message(events.Key(name, key if is_character else None))
            if not (is_character and len(following) == 1):
                await pilot.pause()

    return keys_to


@pytest.fixture
def text_on_screen():
    """What is drawn, as plain text."""

    def read(app) -> str:
        return "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())

    return read
