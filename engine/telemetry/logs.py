"""Log lines: taken in at once, seen by watchers at once, stored soon after; found wherever they are.

log, ingest -> number, buffer, watchers        (any thread, under one lock, no waiting)
flush       -> buffer -> telemetry.db          (batches, one transaction each, with positions in files)
query       -> telemetry.db and buffer, by seq
"""

import logging
import threading
from asyncio import AbstractEventLoop, Event, Lock, get_running_loop
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain

from engine.model.clock import Clock
from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogBatch, LogKind, LogLine, LogPage, LogQuery, LogSelector
from engine.store.reader import contains
from engine.store.storage import Storage
from engine.store.telemetry_db import TelemetryDb
from engine.telemetry.buffer import Chunk, LineBuffer, Owner
from engine.telemetry.lines import split_text
from engine.telemetry.subscription import Subscription

FLUSH_EVERY_S = 0.1
_FLUSH_AT_LINES = 1_000  # do not wait for more
_BATCH_LINES = 10_000  # a transaction of some 30 ms
_ROOM_LINES = 50_000  # followed files wait on disk while more lines than this wait in memory
_RETRY_AFTER_S = 2.0
_QUERY_LIMIT_S = 30.0
_MAX_PAGE = 10_000

KEEP_LINES = {LogKind.EVENTS: 20_000, LogKind.DEPLOYMENT: 200_000, LogKind.APPLICATION: 200_000}
"""Newest lines kept per service and kind; what is beyond is deleted a little at a time."""
_TRIM_SHARE = 4  # look again after a quarter of that
_DELETE_AT_ONCE = 2 * _BATCH_LINES  # in turn with a batch stored, so that a flood cannot outgrow what is kept

_log = logging.getLogger(__name__)


class Logs:
    """Made on the event loop that it serves; `next_seq` is the number of the first line."""

    def __init__(
        self, storage: Storage[TelemetryDb], clock: Clock, next_seq: int, keep: dict[LogKind, int] | None = None
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._next_seq = next_seq
        self._keep = keep or KEEP_LINES
        self._loop: AbstractEventLoop = get_running_loop()
        self._loop_thread = threading.get_ident()
        self._lock = threading.Lock()
        self._buffer = LineBuffer()
        self._subscriptions: list[Subscription] = []
        self._flush_lock = Lock()
        self._some = Event()
        self._since_trim: dict[Owner, int] = {}
        self._closed = False
        self.on_stored: Callable[[dict[str, int]], None] | None = None
        """Called with the positions in files that have become durable, by instance id."""

    # In.

    def log(self, service_id: str, kind: LogKind, stream: str, text: str, at: float | None = None) -> None:
        """Take one line (more where it has line ends within). From any thread; never blocks, never raises."""
        try:
            self.ingest(service_id, kind, stream, split_text(text), at=self._clock.now() if at is None else at)
        except Exception:  # noqa: BLE001 - whoever logs must never fail by it
            _log.exception("A log line was lost")

    def ingest(
        self,
        service_id: str,
        kind: LogKind,
        stream: str,
        texts: Sequence[str],
        *,
        at: float,
        position: int | None = None,
    ) -> None:
        """Take lines of one stream; `position` is how far the file that they come from has been read with them."""
        if not texts or self._closed:
            return
        with self._lock:
            first = self._next_seq
            self._next_seq += len(texts)
            lines = [
                LogLine(seq=seq, at=at, service_id=service_id, kind=kind, stream=stream, text=text)
                for seq, text in enumerate(texts, first)
            ]
            self._buffer.add(Chunk(lines, position))
            for subscription in self._subscriptions:
                if subscription.wants(service_id, kind, stream):
                    subscription.offer(lines)
            if not self._some.is_set():
                self._wake(self._some.set)

    def _wake(self, set_event: Callable[[], None]) -> None:
        if threading.get_ident() == self._loop_thread:
            set_event()
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(set_event)

    @property
    def has_room(self) -> bool:
        """Whether followed files should be read on. While nothing can be stored they are, and the oldest lines go."""
        return len(self._buffer) < _ROOM_LINES or self._storage.failing

    # Stored.

    async def run(self) -> None:
        """Store what comes, for ever."""
        while True:
            await self._some.wait()
            if len(self._buffer) < _FLUSH_AT_LINES:
                await self._clock.sleep(FLUSH_EVERY_S)
            if not await self.flush():
                await self._clock.sleep(_RETRY_AFTER_S)
            await self.trim()

    async def flush(self) -> bool:
        """Store everything that waits; False where it could not be."""
        stored = await self._flush_batch()
        while stored and len(self._buffer):
            stored = await self._flush_batch()
        return stored

    async def _flush_batch(self) -> bool:
        async with self._flush_lock:
            with self._lock:
                chunks = self._buffer.take(_BATCH_LINES)
                if len(self._buffer) == 0:
                    self._some.clear()
            stored = not chunks
            try:
                stored = stored or await self._store(chunks)
            finally:
                # Cancelled in the middle they may be stored after all; storing them again changes nothing.
                with self._lock:
                    if stored:
                        self._buffer.written()
                    else:
                        self._buffer.failed()
                        self._some.set()
            return stored

    async def _store(self, chunks: Sequence[Chunk]) -> bool:
        lines = [line for chunk in chunks for line in chunk.lines]
        positions = {chunk.lines[0].stream: chunk.position for chunk in chunks if chunk.position is not None}
        if await self._storage.write(TelemetryDb.add_lines, lines, positions, self._clock.now()) is None:
            return False
        for chunk in chunks:
            self._since_trim[chunk.owner] = self._since_trim.get(chunk.owner, self._keep[chunk.owner[1]]) + len(
                chunk.lines
            )
        if self.on_stored is not None and positions:
            self.on_stored(positions)
        return True

    async def trim(self) -> None:
        """Delete the oldest lines of whoever has too many. New lines are stored between two deletes."""
        for owner, count in list(self._since_trim.items()):
            service_id, kind = owner
            if count < self._keep[kind] // _TRIM_SHARE:
                continue
            self._since_trim[owner] = 0
            deleted: int | None = _DELETE_AT_ONCE
            while deleted == _DELETE_AT_ONCE:
                deleted = await self._storage.write(
                    TelemetryDb.drop_beyond, service_id, kind, self._keep[kind], _DELETE_AT_ONCE
                )
                if len(self._buffer) >= _FLUSH_AT_LINES:
                    await self._flush_batch()

    # Out.

    async def query(self, query: LogQuery) -> LogPage:
        """A page of lines, those that only wait to be stored included. Raises EngineError when it takes too long."""
        limit = max(1, min(query.limit, _MAX_PAGE))
        waiting = self._waiting_matches(query)  # first: what is stored meanwhile is then found twice, never missed
        try:
            stored = await self._storage.read([], TelemetryDb.find_lines, query, limit + 1, _QUERY_LIMIT_S)
        except TimeoutError as error:
            raise EngineError(
                ErrorCode.INVALID_REQUEST,
                f"The search took longer than {_QUERY_LIMIT_S:g} seconds. Choose a shorter time range or one stream.",
            ) from error
        found = {line.seq: line for line in chain(stored, waiting)}
        lines = [found[seq] for seq in sorted(found)]
        kept = lines[-limit:] if query.newest else lines[:limit]
        return LogPage(lines=tuple(kept), more=len(lines) > limit)

    def _waiting_matches(self, query: LogQuery) -> list[LogLine]:
        wanted = query.selector
        with self._lock:
            return [
                line
                for chunk in self._buffer.chunks()
                if wanted.kind is chunk.owner[1] and wanted.service_id in {"", chunk.owner[0]}
                if wanted.stream in {"", chunk.lines[0].stream}
                for line in chunk.lines
                if _matches(query, line)
            ]

    @asynccontextmanager
    async def watch(self, selector: LogSelector, tail: int = 500) -> AsyncIterator[AsyncIterator[LogBatch]]:
        """The newest `tail` lines in the first batch, then each new one, without a gap or a repetition."""
        subscription = Subscription(selector, self._lock, self._wake)
        with self._lock:
            boundary = self._next_seq
            if self._closed:
                subscription.close()
            self._subscriptions.append(subscription)
        try:
            lines: tuple[LogLine, ...] = ()
            if tail > 0:
                lines = (await self.query(LogQuery(selector=selector, before_seq=boundary, limit=tail))).lines
            subscription.start_with(LogBatch(lines=lines))
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.remove(subscription)

    def close(self) -> None:
        """Take nothing any more, and end every watch."""
        with self._lock:
            self._closed = True
            for subscription in self._subscriptions:
                subscription.close()


def _matches(query: LogQuery, line: LogLine) -> bool:
    return (
        (query.after_seq is None or line.seq > query.after_seq)
        and (query.before_seq is None or line.seq < query.before_seq)
        and (query.start is None or line.at >= query.start)
        and (query.end is None or line.at < query.end)
        and (not query.search or contains(line.text, query.search))
    )
