"""The screen with 500 services: from the start of Python to the first frame, and from a key to the drawn answer.

    python tests/benchmarks/bench_tui.py

The engine is real and hosted by the screen's own process, with 500 services (no instances) in its store; so is the
compositor. Only the terminal is missing. The first number includes the interpreter and imports.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from full_home import SERVICES, fill

ROOT = Path(__file__).resolve().parents[2]
SIZE = (120, 40)
RUNS = 5
QUIET_S = 0.2
"""Between two keys, so that what a selection brings (logs, charts) does not run into the next."""
TARGET_FIRST_FRAME_S, TARGET_KEY_S = 1.0, 0.05


@asynccontextmanager
async def host(home: Path) -> AsyncIterator[Any]:
    """What `homerun` does: own the home and host the engine."""
    from engine.api.host import Host
    from engine.model.home import Home
    from engine.model.settings import Settings

    async with Host.open(Home(path=home), Settings(api="127.0.0.1:0", edge="127.0.0.1:0")) as opened:
        opened.stop_instances = True
        yield opened


async def first_frames(started: float, home: Path) -> None:
    """Print seconds to the first frame and to the first with services: since `started`, then of processor time."""
    from tui.app import HomerunApp

    drawn: list[float] = []
    busy: list[float] = []

    class Timed(HomerunApp):
        def _display(self, screen: Any, renderable: Any) -> None:
            super()._display(screen, renderable)
            drawn.append(time.time())
            busy.append(time.process_time())

    hosting = AsyncExitStack()

    async def connect() -> Any:
        return (await hosting.enter_async_context(host(home))).engine

    app = Timed(connect=connect)
    async with hosting, app.run_test(size=SIZE):
        while not app.dashboard.services.table.keys:
            await asyncio.sleep(0.001)
        with_services = time.time()
        while drawn[-1] < with_services:
            await asyncio.sleep(0.001)
    print(drawn[0] - started, drawn[-1] - started, busy[0], busy[-1])


async def keys(home: Path) -> dict[str, list[float]]:
    """Seconds from each key to the drawing that shows its effect."""
    from textual import events
    from textual.keys import _character_to_key

    from tui.app import HomerunApp

    drawn = [0.0]

    class Timed(HomerunApp):
        def _display(self, screen: Any, renderable: Any) -> None:
            super()._display(screen, renderable)
            drawn[0] = time.perf_counter()

    found: dict[str, list[float]] = {}
    async with host(home) as hosted, (app := Timed(hosted.engine)).run_test(size=SIZE) as pilot:
        while not app.dashboard.services.table.keys:
            await asyncio.sleep(0.01)
        await pilot.pause(0.5)

        dashboard = app.dashboard
        table = dashboard.services.table

        async def press(name: str, key: str, answered: Callable[[], object]) -> None:
            character = key if len(key) == 1 else None
            drawn[0] = 0.0
            before = time.perf_counter()
            app.post_message(events.Key(_character_to_key(key) if character else key, character))
            while not answered():
                await asyncio.sleep(0)
            changed = time.perf_counter()
            while drawn[0] < changed:
                await asyncio.sleep(0)
            found.setdefault(name, []).append(drawn[0] - before)
            await asyncio.sleep(QUIET_S)

        async def move(name: str, key: str) -> None:
            here = table.cursor_key
            await press(name, key, lambda: table.cursor_key != here)

        for _ in range(20):
            await move("down", "down")
        for _ in range(10):
            await move("page down", "pagedown")
        for _ in range(20):
            await move("up", "up")
        for _ in range(6):
            await press("open the filter", "/", lambda: dashboard.services.filter_input.is_open)
            for end in range(1, len("service-4") + 1):
                text = "service-4"[:end]
                await press("type a filter", text[-1], lambda text=text: dashboard.services.filter_text == text)
            await press("clear the filter", "escape", lambda: len(table.keys) == SERVICES)
        for _ in range(12):
            pane = dashboard.pane
            await press("next pane", "tab", lambda pane=pane: dashboard.pane is not pane)
        for _ in range(10):
            zoomed = dashboard.zoomed
            await press("zoom", "z", lambda zoomed=zoomed: dashboard.zoomed is not zoomed)
        for _ in range(8):
            order = dashboard.services.sort_by
            await press("sort", "s", lambda order=order: dashboard.services.sort_by is not order)
    return found


def main() -> None:
    if sys.argv[1:2] == ["first-frame"]:
        asyncio.run(first_frames(float(sys.argv[2]), Path(sys.argv[3])))
        return
    with tempfile.TemporaryDirectory() as parent:
        home = Path(parent) / "home"
        asyncio.run(fill(home))
        measure(home)


def measure(home: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TEXTUAL_ANIMATIONS": "none"}
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    empty, filled, empty_busy, filled_busy = [], [], [], []
    for _ in range(RUNS):
        argv = [sys.executable, __file__, "first-frame", repr(time.time()), str(home)]
        output = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True).stdout.split()
        for times, seconds in zip((empty, filled, empty_busy, filled_busy), output, strict=True):
            times.append(float(seconds))
    print(f"{SERVICES} services, {SIZE[0]}x{SIZE[1]}, median (worst) of {RUNS} starts; targets in brackets")
    print(f"  first frame                 {_times(empty)}   [{TARGET_FIRST_FRAME_S:.0f} s]")
    print(f"  first frame with services   {_times(filled)}   [{TARGET_FIRST_FRAME_S:.0f} s]")
    print(f"  of it processor time        {_times(empty_busy)}")
    print(f"  with services               {_times(filled_busy)}")
    print("from a key to the drawing of its effect, median (worst)")
    every: list[float] = []
    for name, times in asyncio.run(keys(home)).items():
        every += times
        print(f"  {name:<27} {_times(times)}   [{TARGET_KEY_S * 1000:.0f} ms]")
    print(f"  {'all keys':<27} {_times(every)}   [{TARGET_KEY_S * 1000:.0f} ms]")


def _times(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:6.0f} ms ({max(seconds) * 1000:.0f} ms)"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
