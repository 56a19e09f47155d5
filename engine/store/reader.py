"""A connection for reading: one query at a time, each with a time limit, ended at once when nobody waits any more."""

import asyncio
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiosqlite

from engine.store.sqlite import connect

_CHECK_EVERY = 20_000  # virtual machine steps between two looks at the clock: well under a millisecond


class Reader:
    """Open with `await Reader.open(path)`."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()
        self._deadline = float("inf")
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> Self:
        connection = await connect(path)
        reader = cls(connection)
        await connection.execute("PRAGMA query_only = ON")
        await connection.set_progress_handler(reader._late, _CHECK_EVERY)
        await connection.create_function("contains", 2, contains, deterministic=True)
        return reader

    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    async def fetch(
        self, sql: str, parameters: Iterable[Any] | dict[str, Any] = (), timeout_s: float = 30.0
    ) -> list[tuple[Any, ...]]:
        """All rows. Raises TimeoutError after `timeout_s`, and sqlite3.ProgrammingError when it was closed."""
        async with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("The connection is closed.")
            self._deadline = time.monotonic() + timeout_s
            query = asyncio.ensure_future(self._connection.execute_fetchall(sql, parameters))
            try:
                return [tuple(row) for row in await asyncio.shield(query)]
            except asyncio.CancelledError:
                # The thread is still busy with it: end it before the next one starts.
                self._deadline = float("-inf")
                with suppress(Exception):
                    await query
                raise
            except sqlite3.OperationalError as error:
                if self._late() and "interrupted" in str(error):
                    raise TimeoutError(f"The query took longer than {timeout_s:g} s.") from error
                raise

    async def close(self) -> None:
        """Wait for the query under way, refuse the rest."""
        self._closed = True
        async with self._lock:
            await self._connection.close()


def contains(text: str, part: str) -> bool:
    """Whether `text` contains `part`, whatever the case."""
    return part.lower() in text.lower()
