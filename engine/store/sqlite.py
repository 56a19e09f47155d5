"""Opening an SQLite file: WAL, private file modes, numbered forward-only migrations with a backup before each run."""

import asyncio
import errno
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import aiosqlite

from engine.model.base import Value
from engine.model.errors import HomerunError


class Migration(Value, frozen=True, kw_only=True):
    """One step of a schema's history; `sql` may hold any number of statements and is applied whole or not at all."""

    number: int
    """1, 2, 3 … without gaps; PRAGMA user_version holds the newest one applied."""
    name: str
    sql: str


class StoreError(HomerunError):
    """The database cannot be used: read-only or full disk, a newer schema, a file that is no database."""


def explain(error: sqlite3.Error | OSError, path: Path) -> StoreError:
    """A storage error as one plain sentence."""
    text = str(error)
    denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    if denied or "readonly" in text or "unable to open" in text:
        return StoreError(
            f"Cannot write {path}: the data folder is read-only. Make it writable or choose another with --home."
        )
    if "disk is full" in text or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return StoreError(f"Cannot write {path}: the disk is full. Free some space and start Homerun again.")
    if "not a database" in text or "malformed" in text:
        return StoreError(
            f"{path} is damaged ({text}). Put a backup from the same folder in its place, or move it away."
        )
    return StoreError(f"Cannot open {path}: {text}.")


def migrate(path: Path, migrations: Sequence[Migration]) -> None:
    """Bring the file at `path` (made if absent) to the newest schema, keeping `<name>.backup-<old version>`.

    Blocking: call it in a thread. Raises StoreError.
    """
    newest = migrations[-1].number if migrations else 0
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > newest:
                raise StoreError(
                    f"{path} was written by a newer Homerun (schema {version}; this one knows {newest})."
                    " Update Homerun."
                )
            connection.execute("PRAGMA journal_mode = WAL")
            if 0 < version < newest:
                _back_up(connection, path.with_name(f"{path.name}.backup-{version}"))
            for migration in migrations:
                if migration.number > version:
                    _apply(connection, migration)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{migration.sql}\n;PRAGMA user_version = {migration.number};\nCOMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
    copy = sqlite3.connect(target)
    try:
        connection.backup(copy)
    finally:
        copy.close()


async def connect(path: Path) -> aiosqlite.Connection:
    """Another connection to a migrated file, with our pragmas. Transactions are explicit (autocommit otherwise)."""
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=10)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 10000", "foreign_keys = ON"):
        await connection.execute(f"PRAGMA {pragma}")
    return connection


async def open_database(path: Path, migrations: Sequence[Migration]) -> aiosqlite.Connection:
    """Migrate `path` and connect to it. Raises StoreError."""
    await asyncio.to_thread(migrate, path, migrations)
    try:
        return await connect(path)
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error
