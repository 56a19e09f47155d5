"""What tests of the screen share: a scripted engine, a still clock, and waiting for a condition instead of a time."""

import asyncio
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from textual.pilot import Pilot

from tui.app import HomerunApp


def _load(name: str) -> ModuleType:
    """The module beside this file; test folders are no packages."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def fake() -> ModuleType:
    """The module of the scripted engine: `fake.town()`, `fake.FakeEngine()`, `fake.service(...)`."""
    return _load("fake_engine")


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No animation, and an environment that says nothing about terminals, displays or time zones."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TZ", "UTC")
    for name in ("TMUX", "STY", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT", "DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a key's messages run dry instead of watching the processor, which takes 40 ms a key and more under load."""

    async def run_dry(*_: float) -> None:
        for _turn in range(80):
            await asyncio.sleep(0)

    monkeypatch.setattr("textual.app.wait_for_idle", run_dry)
    monkeypatch.setattr("textual.pilot.wait_for_idle", run_dry)


@pytest.fixture
def open_app(fake: ModuleType, still: None, quick: None) -> Callable[..., HomerunApp]:
    """An application on an engine whose time stands still."""

    def build(engine: object = None, **more: object) -> HomerunApp:
        if engine is None and "connect" not in more:
            engine = fake.town()
        clock = getattr(engine, "clock", None) or fake.FrozenClock()
        return HomerunApp(engine, clock=clock, **more)

    return build


@pytest.fixture
def settled() -> Callable[..., object]:
    """Wait until a condition holds and the screen has drawn it; fail after five seconds."""

    async def wait(pilot: Pilot, condition: Callable[[], object] | None = None) -> None:
        app = pilot.app
        assert isinstance(app, HomerunApp)
        wanted = condition or (lambda: app.dashboard.bridge.world.loaded)
        async with asyncio.timeout(5):
            while not wanted():
                await asyncio.sleep(0.01)
        await pilot.pause()

    return wait
