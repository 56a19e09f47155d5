"""Holding on to a database that must never be a reason not to start: opened when it can be, replaced when damaged.

While the file cannot be written (full disk, read-only folder) callers keep what they have and try again; the engine's
log says once that this is so, and once that it is over.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar

from engine.model.clock import Clock
from engine.store.sqlite import StoreError, explain


class Closable(Protocol):
    async def close(self) -> None: ...


T = TypeVar("T")
P = ParamSpec("P")
Db = TypeVar("Db", bound=Closable)

_log = logging.getLogger(__name__)
_REOPEN_AFTER_S = 5.0


class Storage(Generic[Db]):
    """`write` and `read` run one method of the open database: `await storage.write(TelemetryDb.forget, service_id)`.

    `open_sound` opens the file, and looks into it, since damage beyond the first page shows only then. `holds` is what
    it holds, for the log: "Logs and metrics".
    """

    def __init__(self, path: Path, clock: Clock, open_sound: Callable[[Path], Awaitable[Db]], holds: str) -> None:
        self._path = path
        self._clock = clock
        self._open_sound = open_sound
        self._holds = holds
        self._db: Db | None = None
        self._tried_at = float("-inf")
        self._changing = asyncio.Lock()
        self.failing = False
        """The last write was not stored."""

    async def open(self) -> None:
        """Open the file if it is not and can be. A damaged one is moved aside, and a new one begun."""
        async with self._changing:
            if self._db is not None or self._clock.monotonic() - self._tried_at < _REOPEN_AFTER_S:
                return
            self._tried_at = self._clock.monotonic()
            try:
                self._db = await self._open_sound(self._path)
            except (StoreError, sqlite3.Error, OSError) as error:
                if not is_damage(error):
                    self._fails(error)
                    return
                self._move_aside(error)
                try:
                    self._db = await self._open_sound(self._path)
                except (StoreError, sqlite3.Error, OSError) as again:
                    self._fails(again)

    async def write(
        self, action: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Run a transaction; None where it could not be stored, and then `failing` is set."""
        if self._db is None:
            await self.open()
        db = self._db
        if db is None:
            return None
        try:
            result = await action(db, *args, **kwargs)
        except (sqlite3.Error, OSError) as error:
            await self._failed(db, error)
            return None
        if self.failing:
            self.failing = False
            _log.info("%s are stored again.", self._holds)
        return result

    async def read(
        self, default: T, action: Callable[Concatenate[Db, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query; `default` where the file cannot be read. Raises TimeoutError."""
        db = self._db
        if db is None:
            return default
        try:
            return await action(db, *args, **kwargs)
        except TimeoutError:
            raise
        except (sqlite3.Error, OSError) as error:
            await self._failed(db, error)
            return default

    async def close(self) -> None:
        async with self._changing:
            if self._db is not None:
                db, self._db = self._db, None
                await db.close()

    async def _failed(self, db: Db, error: sqlite3.Error | OSError) -> None:
        async with self._changing:
            if db is not self._db:
                return  # it was closed or replaced meanwhile
            self._fails(error)
            if is_damage(error):
                self._db = None
                await db.close()
                self._move_aside(error)
                self._tried_at = float("-inf")

    def _fails(self, error: Exception) -> None:
        if not self.failing:
            self.failing = True
            reason = explain(error, self._path) if isinstance(error, (sqlite3.Error, OSError)) else error
            _log.warning("%s are kept in memory only for now: %s", self._holds, reason)

    def _move_aside(self, error: Exception) -> None:
        target = self._path.with_name(f"{self._path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}")
        _log.warning("%s is damaged (%s). It was moved to %s and a new one is begun.", self._path, error, target.name)
        try:
            self._path.replace(target)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as failure:
            self._fails(failure)


def is_damage(error: BaseException | None) -> bool:
    """Whether the file's content is at fault, rather than the disk or its permissions."""
    while error is not None:
        if isinstance(error, sqlite3.DatabaseError) and any(
            words in str(error) for words in ("malformed", "not a database", "no such table", "no such column")
        ):
            return True
        error = error.__cause__
    return False
