"""audit.db: every statement that stores and finds records of calls. A file of its own, so that neither a flood of
calls nor one of log lines waits for the other, and no state change for either.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import aiosqlite

from engine.model.audit import AuditQuery, AuditRecord
from engine.store.audit_schema import MIGRATIONS
from engine.store.reader import Reader
from engine.store.sqlite import open_database

_COLUMNS = "seq, id, at, source, name, read_only, refused, user, access_key_id, error_code, resources, event"
_NAMES = _COLUMNS.split(", ")


class AuditDb:
    """Open with `await AuditDb.open(path)`. Methods raise sqlite3.Error; what failed has changed nothing."""

    def __init__(self, writer: aiosqlite.Connection, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Raises StoreError."""
        writer = await open_database(path, MIGRATIONS)
        try:
            # Changes wait for their record: rather keep it in memory for a moment than wait for somebody's backup.
            await writer.execute("PRAGMA busy_timeout = 200")
            return cls(writer, await Reader.open(path))
        except BaseException:
            await writer.close()
            raise

    @classmethod
    async def open_sound(cls, path: Path) -> Self:
        """Open it and look into it: damage beyond the first page shows only when somebody looks."""
        db = await cls.open(path)
        try:
            await db.find(AuditQuery(limit=1))
        except BaseException:
            await db.close()
            raise
        return db

    async def close(self) -> None:
        async with self._lock:
            await self._reader.close()
            await self._writer.close()

    async def add(self, records: Sequence[AuditRecord]) -> int:
        """Store records in their order; the seq of the first, the others follow it."""
        async with self._lock:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                rows = await self._writer.execute_fetchall(
                    "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'call'), 0) + 1"
                )
                first = int(next(iter(rows))[0])
                await self._writer.executemany(
                    f"INSERT INTO call ({_COLUMNS}) VALUES ({', '.join('?' * 12)})",  # noqa: S608 - our own names
                    [_cells(seq, record) for seq, record in enumerate(records, first)],
                )
                await self._writer.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error, ValueError):
                    await self._writer.execute("ROLLBACK")
                raise
            return first

    async def find(self, query: AuditQuery) -> list[AuditRecord]:
        """Newest first. Raises TimeoutError."""
        conditions, values = ["TRUE"], dict[str, Any]()
        bounds = (
            ("id = :id", "id", query.id or None),
            ("name = :name", "name", query.name or None),
            ("source = :source", "source", query.source or None),
            ("user = :user", "user", query.user),
            ("access_key_id = :key", "key", query.access_key_id or None),
            ("read_only = :read_only", "read_only", query.read_only),
            ("at >= :start", "start", query.start),
            ("at <= :end", "end", query.end),
            ("seq < :before", "before", query.before_seq),
        )
        for condition, name, value in bounds:
            if value is not None:
                conditions.append(condition)
                values[name] = value
        if query.changes_only:
            conditions.append("(NOT read_only OR refused)")
        if query.resource:
            conditions.append(
                "(instr(resources, char(10) || :resource || char(10)) OR instr(resources, '/' || :resource || '/'))"
            )
            values["resource"] = query.resource
        rows = await self._reader.fetch(
            f"SELECT {_COLUMNS} FROM call WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT :limit",  # noqa: S608 - the constants above
            {**values, "limit": query.limit},
        )
        return [_record(row) for row in rows]

    async def drop(self, older_than: float, keep_minor: int, limit: int) -> int:
        """Delete up to `limit` records that are too old, or reads and failed calls beyond the newest `keep_minor`."""
        async with self._lock:
            cursor = await self._writer.execute(
                """DELETE FROM call WHERE seq IN (
                       SELECT seq FROM call WHERE (read_only OR error_code <> '') = 1 AND seq <= coalesce(
                           (SELECT seq FROM call WHERE (read_only OR error_code <> '') = 1 ORDER BY seq DESC
                            LIMIT 1 OFFSET :keep), 0) ORDER BY seq LIMIT :limit)""",
                {"keep": keep_minor, "limit": limit},
            )
            dropped = cursor.rowcount
            cursor = await self._writer.execute(
                "DELETE FROM call WHERE seq IN (SELECT seq FROM call WHERE at < ? LIMIT ?)", (older_than, limit)
            )
            return max(dropped, cursor.rowcount)


def _cells(seq: int, record: AuditRecord) -> tuple[Any, ...]:
    resources = "".join(f"\n{arn}" for arn in record.resources) + "\n" if record.resources else ""
    return (
        seq,
        record.id,
        record.at,
        record.source,
        record.name,
        record.read_only,
        record.refused,
        record.user,
        record.access_key_id,
        record.error_code,
        resources,
        record.event,
    )


def _record(row: tuple[Any, ...]) -> AuditRecord:
    cells = dict(zip(_NAMES, row, strict=True))
    cells |= {name: bool(cells[name]) for name in ("read_only", "refused")}
    cells["resources"] = tuple(cells["resources"].split())
    return AuditRecord(**cells)
