"""HomerunApp: owns the engine's handle, the connection to it, the theme, and the one way errors reach the user."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import work
from textual.app import App
from textual.reactive import reactive

from engine.model.api import EngineApi
from engine.model.clock import Clock, SystemClock
from engine.model.errors import EngineError, HomerunError
from engine.model.watch import ServiceView
from tui import clipboard, themes
from tui.connection import Connection, ConnectionState
from tui.screens.dashboard import Dashboard
from tui.text import clean

T = TypeVar("T")

_HERE = Path(__file__).parent
_log = logging.getLogger(__name__)

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.25, 5.0
_TWICE_S = 2.0


class QuitChoice(StrEnum):
    """What the user wants of the engine when leaving; the application's return value."""

    DETACH = "detach"
    """The engine runs elsewhere, or nothing runs: there is nothing to decide."""
    LEAVE = "leave"
    """Services go on in the background."""
    STOP = "stop"
    """Everything stops."""


class HomerunApp(App[QuitChoice]):
    """The screen on an engine: `engine`, or what `connect` comes to once the first frame is out.

    `connect` raises ConnectionError, OSError or HomerunError with the reason when it cannot; it is called again after
    a lost connection. `embeds` says, when the user leaves, whether the engine ends with this process, so that leaving
    raises a question; by default that is so when the engine's pid is ours.
    """

    TITLE = "Homerun"
    CSS_PATH = [_HERE / "app.tcss", _HERE / "screens" / "dashboard.tcss"]  # whole paths, so that subclasses find them
    COMMANDS: ClassVar[set] = set()  # type: ignore[type-arg]
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list] = []  # type: ignore[type-arg]

    connection: reactive[Connection] = reactive(Connection)
    busy: reactive[tuple[str, ...]] = reactive(())
    """What is being asked of the engine now, for the busy look."""

    def __init__(
        self,
        engine: EngineApi | None = None,
        *,
        connect: Callable[[], Awaitable[EngineApi]] | None = None,
        clock: Clock | None = None,
        theme: str = themes.DARK.name,
        embeds: Callable[[], bool] | None = None,
    ) -> None:
        super().__init__()
        self.clock = clock or SystemClock()
        self._given = engine
        self._connect = connect
        self._engine: EngineApi | None = None
        self._embeds = embeds or self._is_own_process
        self._ctrl_c_at = -_TWICE_S
        for own in themes.THEMES:
            self.register_theme(own)
        self.theme = theme

    @property
    def engine(self) -> EngineApi:
        """The connected engine. Raises ConnectionError while there is none."""
        if self._engine is None or not self.connection.is_up:
            raise ConnectionError("The engine is not connected.")
        return self._engine

    @property
    def dashboard(self) -> Dashboard:
        return self._dashboard

    def get_default_screen(self) -> Dashboard:
        self._dashboard = Dashboard()
        return self._dashboard

    def on_mount(self) -> None:
        self.call_after_refresh(self.connect)

    @work(group="connection", exclusive=True, exit_on_error=False)
    async def connect(self) -> None:
        """Connect and stay connected. The first failure is shown and waits for the user; later ones are retried."""
        self.connection = Connection()
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                engine = await self._new_engine()
                info = await engine.info()
            except Exception as error:  # noqa: BLE001 - whatever it is, the face says it and the log has it
                reason = self._reason(error)
                if self.connection.state is ConnectionState.CONNECTING:
                    self.connection = Connection(state=ConnectionState.FAILED, reason=reason)
                    return
                self._lost(reason)
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, _LONGEST_RETRY_S)
                continue
            self._engine = engine
            self.connection = Connection(state=ConnectionState.CONNECTED, info=info)
            started = time.monotonic()
            try:
                await self._dashboard.bridge.run(engine)
            except ConnectionError as error:
                self._lost(self._reason(error))
            except Exception as error:  # noqa: BLE001 - a defect, shown once; the screen goes on
                self._lost(str(error))
                self.show_defect("Reading from the engine failed", error)
            # An engine that answers and drops at once must not be hammered.
            retry_s = _FIRST_RETRY_S if time.monotonic() - started > _LONGEST_RETRY_S else min(retry_s * 2, 5.0)
            await asyncio.sleep(retry_s)

    async def _new_engine(self) -> EngineApi:
        if self._connect is not None:
            return await self._connect()
        if self._given is None:
            raise ConnectionError("No engine was given.")
        return self._given

    def _lost(self, reason: str) -> None:
        self.connection = Connection(state=ConnectionState.RECONNECTING, reason=reason, info=self.connection.info)

    def _reason(self, error: Exception) -> str:
        if not isinstance(error, HomerunError | OSError):
            _log.exception("connecting to the engine failed", exc_info=error)
        return clean(str(error)) or type(error).__name__

    def call(
        self,
        doing: str,
        command: Callable[[EngineApi], Awaitable[T]],
        *,
        done: Callable[[T], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Call the engine in the background, busy look on; `done` gets the answer.

        Errors are shown here; a refusal or a lost engine only when nobody takes the sentence about it by `failed`.
        """
        self._call(doing, command, done, failed)

    @work(group="calls", exit_on_error=False)
    async def _call(
        self,
        doing: str,
        command: Callable[[EngineApi], Awaitable[T]],
        done: Callable[[T], None] | None,
        failed: Callable[[str], None] | None,
    ) -> None:
        self.busy = (*self.busy, doing)
        try:
            answer = await command(self.engine)
        except EngineError as error:
            if failed is not None:
                failed(clean(error.message))
                return
            self.notify(clean(error.message), title=f"{doing}: refused", severity="error", markup=False, timeout=10)
        except ConnectionError as error:
            reason = f"{clean(str(error))} Try again when it is back."
            if failed is not None:
                failed(reason)
                return
            self.notify(reason, title=f"{doing}: not done", severity="error", markup=False)
        except Exception as error:  # noqa: BLE001 - shown in full and logged
            self.show_defect(doing, error)
        else:
            if done is not None:
                done(answer)
        finally:
            left = list(self.busy)
            left.remove(doing)
            self.busy = tuple(left)

    def show_defect(self, doing: str, error: Exception) -> None:
        """An error that nobody expected: the whole story for copying, and in the log file."""
        from tui.screens.defect import DefectScreen

        _log.error("%s", doing, exc_info=error)
        self.push_screen(DefectScreen(doing, error))

    def copy_to_clipboard(self, text: str) -> None:
        """Through the terminal, also from inside tmux and screen."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(clipboard.osc52(text, os.environ))

    def switch_theme(self) -> None:
        self.theme = themes.other(self.theme)

    def ask_to_quit(self, views: Sequence[ServiceView]) -> None:
        """Leave; ask first what becomes of running services, if they would notice."""
        running = sum(bool(view.instances) for view in views)
        if not running or not self._embeds():
            self.exit(QuitChoice.DETACH)
            return
        from tui.screens.quit import QuitScreen

        def answered(choice: str | None) -> None:
            if choice is not None:
                self.exit(QuitChoice(choice))

        self.push_screen(QuitScreen(running), answered)

    def _is_own_process(self) -> bool:
        return self.connection.info is not None and self.connection.info.pid == os.getpid()

    async def action_quit(self) -> None:
        self.ask_to_quit(list(self._dashboard.bridge.world.services.values()))

    def action_help_quit(self) -> None:
        """Ctrl+C: a habit more than a wish, so only the second one in a row leaves; services keep running."""
        if self.clock.monotonic() - self._ctrl_c_at < _TWICE_S:
            self.exit(QuitChoice.LEAVE if self._embeds() else QuitChoice.DETACH)
            return
        self._ctrl_c_at = self.clock.monotonic()
        self.notify("Press Ctrl+C again to leave. Services keep running.", markup=False, timeout=_TWICE_S)
