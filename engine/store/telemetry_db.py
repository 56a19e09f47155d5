"""telemetry.db: every statement that stores and finds log lines, positions in followed files and metrics.

One connection writes, under a lock; two read, so that a long search never holds up a chart. Methods raise
sqlite3.Error; a transaction that failed has changed nothing.

Search is LIKE over the range that the index leaves, not a full-text index: with a trigram index a million lines of
100 characters went in at 41,000 a second instead of 420,000 and took three times the room, to save at most the
0.15 s that the scan of a million takes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiosqlite
import msgspec

from engine.model.histogram import Histogram, merged
from engine.model.log import LogKind, LogLine, LogQuery, LogStream
from engine.model.metric import MetricName
from engine.store.cell import MAXIMA, NUMBERS, PER_SECOND, SUMS, Cell, added
from engine.store.reader import Reader
from engine.store.sqlite import open_database
from engine.store.telemetry_schema import MIGRATIONS

RESOLUTIONS = (1, 60, 3600)
"""Seconds; what was measured is stored at each of them."""

_KINDS = {LogKind.EVENTS: 0, LogKind.DEPLOYMENT: 1, LogKind.APPLICATION: 2}
_MAX_CACHED_SUBJECTS = 50_000
_LIKE_PATTERN_MAX = 10_000  # SQLite refuses patterns beyond 50,000 bytes

Key = tuple[str, str, int]
"""service id, name ("" for the service itself), start of the interval in epoch seconds."""

_LINES_OF = """
    SELECT seq, at FROM log WHERE service = (SELECT id FROM subject WHERE service_id = :service AND name = '')
    AND kind = :kind AND seq > :after ORDER BY seq LIMIT :limit
"""

_MERGES = ",\n    ".join(
    (
        *(f"{name} = {name} + excluded.{name}" for name in SUMS),
        *(f"{name} = max({name}, excluded.{name})" for name in MAXIMA),
        *(
            f"{name} = CASE resolution WHEN 1 THEN max({name}, excluded.{name}) ELSE {name} + excluded.{name} END"
            for name in PER_SECOND
        ),
        "latency = merged_latency(latency, excluded.latency)",
    )
)
_ADD_CELL = f"""
    INSERT INTO metric (resolution, at, subject, {", ".join(NUMBERS)}, latency)
    VALUES ({", ".join("?" * (len(NUMBERS) + 4))})
    ON CONFLICT (resolution, at, subject) DO UPDATE SET
    {_MERGES}
"""  # noqa: S608 - made of our own constants

# Seeks to each moment instead of scanning the range, which holds the rows of every other subject too.
_MOMENTS = """
    WITH RECURSIVE moment (at) AS (
        SELECT :start UNION ALL SELECT at + :resolution FROM moment WHERE at + :resolution < :end
    )
"""
_MEASURED = "FROM moment CROSS JOIN metric USING (at) WHERE resolution = :resolution AND subject = :subject"
_READ_CELLS = f"""
    {_MOMENTS} SELECT (at - :origin) / :step AS interval,
    {", ".join(f"MAX({name})" if name in MAXIMA else f"SUM({name})" for name in NUMBERS)}
    {_MEASURED} GROUP BY interval
"""
_READ_LATENCIES = f"""
    {_MOMENTS} SELECT (at - :origin) / :step, latency {_MEASURED} AND latency IS NOT NULL
"""


class TelemetryDb:
    """Open with `await TelemetryDb.open(path)`."""

    def __init__(self, writer: aiosqlite.Connection, log_reader: Reader, metric_reader: Reader) -> None:
        self._writer = writer
        self._log_reader = log_reader
        self._metric_reader = metric_reader
        self._lock = asyncio.Lock()
        self._closed = False
        self._subjects: dict[tuple[str, str], int] = {}

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Raises StoreError, or sqlite3.Error for damage that shows only later."""
        writer = await open_database(path, MIGRATIONS)
        readers: list[Reader] = []
        try:
            # Lines are deleted by the hundred thousand: do not overwrite each with zeros. Let the log shrink again.
            for pragma in ("secure_delete = OFF", "journal_size_limit = 67108864", "cache_size = -8000"):
                await writer.execute(f"PRAGMA {pragma}")
            await writer.create_function("merged_latency", 2, _merged_latency, deterministic=True)
            readers += [await Reader.open(path), await Reader.open(path)]
            return cls(writer, *readers)
        except BaseException:
            for reader in readers:
                await reader.close()
            await writer.close()
            raise

    @classmethod
    async def open_sound(cls, path: Path) -> Self:
        """Open it and look into it: damage beyond the first page shows only when somebody looks."""
        db = await cls.open(path)
        try:
            await db.next_seq()
            await db.positions()
        except BaseException:
            await db.close()
            raise
        return db

    async def close(self) -> None:
        """Wait for what is under way, refuse the rest."""
        self._closed = True
        for reader in (self._log_reader, self._metric_reader):
            with suppress(sqlite3.Error):
                await reader.close()
        async with self._lock:
            with suppress(sqlite3.Error):
                await self._writer.close()

    # Lines.

    async def next_seq(self) -> int:
        """A number above every line ever stored here, those deleted since included."""
        rows = await self._log_reader.fetch(
            """SELECT max(coalesce((SELECT value FROM counter WHERE name = 'next_seq'), 1),
                          coalesce((SELECT max(seq) + 1 FROM log), 1))"""
        )
        return int(rows[0][0])

    async def positions(self) -> dict[str, int]:
        """How far each followed file was read, by instance id, in bytes."""
        return dict(await self._log_reader.fetch("SELECT instance_id, position FROM position"))

    async def add_lines(self, lines: Sequence[LogLine], positions: Mapping[str, int], now: float) -> int:
        """Store lines, in order of seq, together with how far the files that they came from have been read.

        Returns how many lines it were. Storing a line again changes nothing.
        """
        async with self._transaction() as connection:
            if lines:
                streams = {(line.service_id, line.stream) for line in lines}
                await self._intern(
                    streams | {(service_id, "") for service_id, _ in streams}, since=lines[0].at, now=now
                )
                subjects = self._subjects
                await connection.executemany(
                    "INSERT OR IGNORE INTO log (seq, at, kind, service, stream, text) VALUES (?, ?, ?, ?, ?, ?)",
                    (  # a generator: it runs in the connection's thread
                        (
                            line.seq,
                            line.at,
                            _KINDS[line.kind],
                            subjects[line.service_id, ""],
                            subjects[line.service_id, line.stream],
                            line.text,
                        )
                        for line in lines
                    ),
                )
                await connection.execute(
                    """INSERT INTO counter (name, value) VALUES ('next_seq', ?)
                       ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)""",
                    (lines[-1].seq + 1,),
                )
            if positions:
                await connection.executemany(
                    "INSERT OR REPLACE INTO position (instance_id, position, at) VALUES (?, ?, ?)",
                    [(instance_id, position, now) for instance_id, position in positions.items()],
                )
        return len(lines)

    async def find_lines(self, query: LogQuery, limit: int, timeout_s: float) -> list[LogLine]:
        """The newest or oldest `limit` matches, in order of seq. Raises TimeoutError."""
        conditions = ["kind = :kind"]
        values: dict[str, Any] = {"kind": _KINDS[query.selector.kind], "limit": limit}
        if query.selector.service_id:
            conditions.append("service = (SELECT id FROM subject WHERE service_id = :service AND name = '')")
            values["service"] = query.selector.service_id
        elif query.selector.kind is not LogKind.APPLICATION:
            conditions.append("kind < 2")  # what the partial index says of itself
        if query.selector.stream:
            conditions.append("stream IN (SELECT id FROM subject WHERE name = :stream)")
            values["stream"] = query.selector.stream
        bounds = (
            ("seq > :after", "after", query.after_seq),
            ("seq < :before", "before", query.before_seq),
            ("at >= :start", "start", query.start),
            ("at < :end", "end", query.end),
        )
        for condition, name, value in bounds:
            if value is not None:
                conditions.append(condition)
                values[name] = value
        if query.search:
            # LIKE folds the case of ASCII only, but several times faster.
            plain = query.search.isascii() and len(query.search) < _LIKE_PATTERN_MAX
            conditions.append("text LIKE :search ESCAPE '\\'" if plain else "contains(text, :search)")
            values["search"] = f"%{_escaped(query.search)}%" if plain else query.search
        rows = await self._log_reader.fetch(
            f"""SELECT seq, at, subject.service_id, subject.name, text
                FROM (SELECT seq, at, stream, text FROM log WHERE {" AND ".join(conditions)}
                      ORDER BY seq {"DESC" if query.newest else "ASC"} LIMIT :limit)
                JOIN subject ON subject.id = stream ORDER BY seq""",  # noqa: S608 - conditions are the constants above
            values,
            timeout_s,
        )
        kind = query.selector.kind
        return [
            LogLine(seq=seq, at=at, service_id=service_id, kind=kind, stream=name, text=text)
            for seq, at, service_id, name, text in rows
        ]

    async def services_with(self, kind: LogKind) -> set[str]:
        """Ids of services that have lines of a kind."""
        rows = await self._log_reader.fetch(
            """SELECT service_id FROM subject WHERE name = ''
               AND EXISTS (SELECT 1 FROM log WHERE log.service = subject.id AND kind = ?)""",
            (_KINDS[kind],),
        )
        return {row[0] for row in rows}

    async def has_stream(self, service_id: str, kind: LogKind, stream: str) -> bool:
        """Whether a service has lines of a kind in a stream."""
        rows = await self._log_reader.fetch(
            """SELECT EXISTS (SELECT 1 FROM log
                              WHERE service = (SELECT id FROM subject WHERE service_id = :service AND name = '')
                              AND kind = :kind
                              AND stream = (SELECT id FROM subject WHERE service_id = :service AND name = :stream))""",
            {"service": service_id, "kind": _KINDS[kind], "stream": stream},
        )
        return bool(rows[0][0])

    async def streams(self, service_id: str, kind: LogKind) -> list[LogStream]:
        """Those of a service that have lines of a kind."""
        rows = await self._log_reader.fetch(
            """SELECT subject.name, (SELECT at FROM log WHERE seq = first), (SELECT at FROM log WHERE seq = last)
               FROM (SELECT stream, min(seq) AS first, max(seq) AS last FROM log
                     WHERE service = (SELECT id FROM subject WHERE service_id = ? AND name = '') AND kind = ?
                     GROUP BY stream)
               JOIN subject ON subject.id = stream ORDER BY first""",
            (service_id, _KINDS[kind]),
        )
        return [LogStream(kind=kind, stream=name, first_at=first, last_at=last) for name, first, last in rows]

    async def drop_beyond(self, service_id: str, kind: LogKind, keep: int, limit: int) -> int:
        """Delete up to `limit` of the lines that are not among the newest `keep`; how many it were."""
        async with self._transaction() as connection:
            rows = await connection.execute_fetchall(
                """SELECT service, seq FROM log
                   WHERE service = (SELECT id FROM subject WHERE service_id = ? AND name = '') AND kind = ?
                   ORDER BY seq DESC LIMIT 1 OFFSET ?""",
                (service_id, _KINDS[kind], keep),
            )
            for service, newest in rows:
                cursor = await connection.execute(
                    """DELETE FROM log WHERE seq IN (
                           SELECT seq FROM log WHERE service = ? AND kind = ? AND seq <= ? ORDER BY seq LIMIT ?)""",
                    (service, _KINDS[kind], newest, limit),
                )
                return cursor.rowcount
            return 0

    async def drop_older(self, older_than: float, after_seq: int, limit: int, but: Collection[str]) -> int:
        """Delete the old ones among the `limit` lines that follow `after_seq`, but not those of the services `but`.

        Returns the last seq looked at, 0 when no old lines follow. Lines are stored nearly in order of time.
        """
        async with self._transaction() as connection:
            rows = await connection.execute_fetchall(
                "SELECT max(seq), min(at) FROM (SELECT seq, at FROM log WHERE seq > ? ORDER BY seq LIMIT ?)",
                (after_seq, limit),
            )
            last, oldest = next(iter(rows))
            if last is None or oldest >= older_than:
                return 0
            await connection.execute(
                """DELETE FROM log WHERE seq > ? AND seq <= ? AND at < ? AND service NOT IN (
                       SELECT id FROM subject WHERE name = '' AND service_id IN (SELECT value FROM json_each(?)))""",
                (after_seq, last, older_than, msgspec.json.encode(sorted(but)).decode()),
            )
            return int(last)

    async def drop_older_of(self, service_id: str, kind: LogKind, older_than: float, after_seq: int, limit: int) -> int:
        """Delete the old ones among the `limit` lines of one kind that follow `after_seq`.

        Returns the last seq looked at, 0 when no old lines follow.
        """
        async with self._transaction() as connection:
            values = {"service": service_id, "kind": _KINDS[kind], "after": after_seq, "limit": limit}
            rows = await connection.execute_fetchall(f"SELECT max(seq), min(at) FROM ({_LINES_OF})", values)  # noqa: S608
            last, oldest = next(iter(rows))
            if last is None or oldest >= older_than:
                return 0
            await connection.execute(
                f"DELETE FROM log WHERE seq IN (SELECT seq FROM ({_LINES_OF}) WHERE at < :older)",  # noqa: S608
                {**values, "older": older_than},
            )
            return int(last)

    async def drop_positions(self, keep: Collection[str], older_than: float) -> None:
        """Forget how far files were read that nobody follows any more."""
        async with self._transaction() as connection:
            rows = await connection.execute_fetchall("SELECT instance_id FROM position WHERE at < ?", (older_than,))
            gone = [(row[0],) for row in rows if row[0] not in keep]
            await connection.executemany("DELETE FROM position WHERE instance_id = ?", gone)

    # Metrics.

    async def add_cells(self, cells: Mapping[Key, Cell], now: float) -> int:
        """Merge what was measured in these seconds into every resolution. Returns how many rows that touched."""
        totals: dict[tuple[int, Key], Cell] = {}
        for (service_id, name, second), cell in cells.items():
            totals[1, (service_id, name, second)] = cell
            for resolution in RESOLUTIONS[1:]:
                key = (resolution, (service_id, name, second - second % resolution))
                totals[key] = added(totals[key], cell) if key in totals else cell
        async with self._transaction() as connection:
            for service_id, name, second in sorted(cells, key=_at):
                await self._intern({(service_id, name)}, since=second, now=now)
            await connection.executemany(
                _ADD_CELL,
                [
                    (
                        resolution,
                        at,
                        self._subjects[service_id, name],
                        *[getattr(cell, number) for number in NUMBERS],
                        msgspec.msgpack.encode(cell.latency) if cell.latency else None,
                    )
                    for (resolution, (service_id, name, at)), cell in sorted(totals.items(), key=_place)
                ],
            )
        return len(totals)

    async def cells(
        self,
        service_id: str,
        name: str,
        *,
        resolution: int,
        start: int,
        end: int,
        step: int,
        metrics: Collection[MetricName],
    ) -> tuple[dict[int, Cell], float | None]:
        """What was measured from `start` to `end`, added up by steps of `step` seconds: {step number: cell}.

        With it the time that the subject was first written for, None for never.
        """
        rows = await self._metric_reader.fetch(
            "SELECT id, since FROM subject WHERE service_id = ? AND name = ?", (service_id, name)
        )
        if not rows:
            return {}, None
        first = start - start % resolution
        values = {"start": first, "end": end, "origin": start, "step": step, "resolution": resolution}
        values["subject"] = rows[0][0]
        latencies: dict[int, Histogram] = {}
        if not LATENCIES.isdisjoint(metrics):
            blobs = await self._metric_reader.fetch(_READ_LATENCIES, values)
            latencies = await asyncio.to_thread(_merged_by_interval, blobs)  # tens of milliseconds for an hour
        found = {
            interval: Cell(latency=latencies.get(interval, {}), **dict(zip(NUMBERS, numbers, strict=True)))
            for interval, *numbers in await self._metric_reader.fetch(_READ_CELLS, values)
        }
        return found, float(rows[0][1])

    async def drop_cells(self, resolution: int, before: int, limit: int) -> int:
        """Delete about `limit` rows of intervals that started before `before`; how many it were."""
        async with self._transaction() as connection:
            cursor = await connection.execute(
                """DELETE FROM metric WHERE resolution = :resolution AND at < :before AND at <= coalesce(
                       (SELECT at FROM metric WHERE resolution = :resolution ORDER BY at LIMIT 1 OFFSET :limit),
                       :before)""",
                {"resolution": resolution, "before": before, "limit": limit},
            )
            return cursor.rowcount

    # Services that are gone.

    async def forget(self, service_id: str) -> None:
        """Mark a service for `drop_forgotten`."""
        async with self._transaction() as connection:
            await connection.execute("INSERT OR IGNORE INTO forgotten (service_id) VALUES (?)", (service_id,))

    async def forgotten(self) -> list[str]:
        return [row[0] for row in await self._log_reader.fetch("SELECT service_id FROM forgotten")]

    async def drop_forgotten(self, service_id: str, limit: int) -> bool:
        """Delete up to `limit` rows of a forgotten service; True while there is more. Seconds age out by themselves."""
        for kind in LogKind:
            if await self.drop_beyond(service_id, kind, 0, limit):
                return True
        async with self._transaction() as connection:
            cursor = await connection.execute(
                """DELETE FROM metric WHERE (resolution, at, subject) IN (
                       SELECT resolution, at, subject FROM metric WHERE resolution > 1
                       AND subject IN (SELECT id FROM subject WHERE service_id = ?) LIMIT ?)""",
                (service_id, limit),
            )
            if cursor.rowcount:
                return True
            await connection.execute("DELETE FROM subject WHERE service_id = ?", (service_id,))
            await connection.execute("DELETE FROM forgotten WHERE service_id = ?", (service_id,))
            self._subjects.clear()
            return False

    async def drop_subjects(self, unseen_since: float) -> None:
        """Forget names that no row can carry any more."""
        async with self._transaction() as connection:
            self._subjects.clear()  # those in use come back with a new `seen`
            await connection.execute("DELETE FROM subject WHERE seen < ?", (unseen_since,))

    # The writing connection.

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("The database is closed.")
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                await self._writer.execute("COMMIT")
            except BaseException:
                self._subjects.clear()  # they may be gone with the transaction
                with suppress(sqlite3.Error, ValueError):
                    await self._writer.execute("ROLLBACK")
                raise

    async def _intern(self, subjects: Collection[tuple[str, str]], since: float, now: float) -> None:
        if len(self._subjects) > _MAX_CACHED_SUBJECTS:
            self._subjects.clear()
        for service_id, name in subjects:
            if (service_id, name) not in self._subjects:
                rows = await self._writer.execute_fetchall(
                    """INSERT INTO subject (service_id, name, since, seen) VALUES (?, ?, ?, ?)
                       ON CONFLICT (service_id, name) DO UPDATE SET
                       since = min(since, excluded.since), seen = max(seen, excluded.seen) RETURNING id""",
                    (service_id, name, since, now),
                )
                self._subjects[service_id, name] = next(iter(rows))[0]


LATENCIES = frozenset({MetricName.LATENCY_P50, MetricName.LATENCY_P95, MetricName.LATENCY_P99})


def _escaped(search: str) -> str:
    return search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _at(key: Key) -> int:
    return key[2]


def _place(item: tuple[tuple[int, Key], Cell]) -> tuple[int, int]:
    """Rows in the order of the table, so that neighbours are written together."""
    (resolution, (_, _, at)), _ = item
    return resolution, at


_HISTOGRAM = msgspec.msgpack.Decoder(dict[int, int])


def _decode(blob: bytes) -> Histogram:
    return _HISTOGRAM.decode(blob)


def _merged_by_interval(rows: Iterable[tuple[Any, ...]]) -> dict[int, Histogram]:
    histograms: dict[int, list[Histogram]] = {}
    for interval, blob in rows:
        histograms.setdefault(interval, []).append(_decode(blob))
    return {interval: merged(parts) for interval, parts in histograms.items()}


def _merged_latency(stored: bytes | None, more: bytes | None) -> bytes | None:
    if stored is None or more is None:
        return stored or more
    return msgspec.msgpack.encode(merged((_decode(stored), _decode(more))))
