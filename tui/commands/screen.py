"""`homerun`: the screen, on an engine of its own or on the one that owns the home already."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from engine.api.attached import AttachedEngine
from engine.api.host import HomeInUse, Host, load_settings
from engine.model.api import EngineApi
from engine.model.home import Home
from tui.app import HomerunApp, QuitChoice
from tui.commands.logs import hold_log, log_to

_READY_S = 15.0


def run(home: Home, overrides: dict[str, object]) -> int:
    return asyncio.run(show(home, overrides))


async def show(
    home: Home,
    overrides: dict[str, object],
    *,
    after_start: Callable[[EngineApi], Awaitable[None]] | None = None,
    throw_away: bool = False,
) -> int:
    """Open the screen. The engine starts behind the first frame; `after_start` runs once it is there.

    With `throw_away`, leaving ends everything without asking.
    """
    settings = load_settings(home, overrides)
    host: Host | None = None
    hosting = AsyncExitStack()
    stopping: list[asyncio.Task[None]] = []
    early = [hold_log()]

    def log_once(path: Path) -> None:
        while early:  # a lost connection is made anew, the log is not
            log_to(path, stderr=False, early=early.pop())

    async def connect() -> EngineApi:
        nonlocal host
        if host is not None:
            return host.engine
        engine: EngineApi
        try:
            host = await hosting.enter_async_context(Host.open(home, settings))
        except HomeInUse:
            log_once(home.screen_log)
            engine = await AttachedEngine.connect(home.engine_socket)
        else:
            log_once(home.engine_log)
            engine = host.engine
            stopping.append(asyncio.create_task(leave_when_stopped(host), name="homerun stop"))
        if after_start:
            await after_start(engine)
        return engine

    async def leave_when_stopped(host: Host) -> None:
        """`homerun stop`, typed elsewhere, is meant for this engine as well."""
        app.exit(QuitChoice.STOP if await host.stop_requested() else QuitChoice.DETACH)

    app = HomerunApp(connect=connect, embeds=lambda: host is not None and not throw_away)
    choice: QuitChoice | None = None
    try:
        choice = await app.run_async()
    finally:
        stopped = any(task.done() for task in stopping)
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        if host is not None:
            host.stop_instances = throw_away or choice is QuitChoice.STOP
        await hosting.aclose()
    if stopped:
        print("`homerun stop` ended this engine.", file=sys.stderr)
    if host is not None and choice is QuitChoice.LEAVE:
        return await hand_over(home, overrides)
    return app.return_code or 0


async def hand_over(home: Home, overrides: dict[str, object]) -> int:
    """Start a background engine on this home; instances never noticed that there was none for a moment."""
    arguments = [sys.executable, "-m", "tui.command", "serve", "--home", str(home.path)]
    for name in ("api", "edge", "compute"):
        if name in overrides:
            arguments += [f"--{name}", str(overrides[name])]
    if overrides.get("strict"):
        arguments.append("--strict")
    process = await asyncio.to_thread(
        subprocess.Popen,
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    try:
        async with asyncio.timeout(_READY_S):
            line = await asyncio.to_thread(process.stdout.readline)
        ready = json.loads(line)
    except (TimeoutError, ValueError):
        print(f"homerun: the background engine did not start; {home.engine_log} says why.", file=sys.stderr)
        return 1
    finally:
        process.stdout.close()
        process.returncode = 0  # deliberately left behind: it is not ours to wait for
    print(
        f"Services go on running (engine pid {ready['pid']}, edge {ready['edge']}).\n"
        "`homerun` opens the screen again, `homerun stop --instances` ends everything."
    )
    return 0
