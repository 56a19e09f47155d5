"""Trail: takes every call at once, stores it soon after (a change before it is answered), and lets it be found."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from engine.audit.event import FinishedCall, TurnedAway, record_of
from engine.model.actions.table import Action
from engine.model.audit import AuditChange, AuditQuery, AuditRecord, Caller, RefusedCall
from engine.model.base import Wire
from engine.model.clock import Clock
from engine.model.errors import EngineError, ErrorCode
from engine.model.ids import new_call_id
from engine.store.audit_db import AuditDb
from engine.store.storage import Storage

FLUSH_EVERY_S = 0.2
RETRY_AFTER_S = 2.0
KEPT_S = 90 * 86400
"""As long as CloudTrail's own event history."""
KEEP_MINOR = 100_000
"""Newest reads and failed calls kept: polling must not push changes out."""

_TAKEN_AT_MOST = 50_000
_WAITING_AT_MOST = 10_000
_SEEN_AT_MOST = 1_000
_DROP_AT_ONCE = 5_000

_log = logging.getLogger(__name__)


class Trail:
    """Open with `await Trail.open(path, clock, region)`; used on one event loop."""

    def __init__(self, storage: Storage[AuditDb], clock: Clock, region: str) -> None:
        self._storage = storage
        self._clock = clock
        self._region = region
        self._taken: deque[FinishedCall | TurnedAway] = deque(maxlen=_TAKEN_AT_MOST)
        self._waiting: list[AuditRecord] = []
        """While they cannot be stored."""
        self._some = asyncio.Event()
        self._storing = asyncio.Lock()
        self._watchers: set[_Watcher] = set()
        self._task = asyncio.create_task(self._run(), name="audit trail")

    @classmethod
    async def open(cls, path: Path, clock: Clock, region: str) -> Self:
        """Never fails for what the file is: a damaged one is moved aside, one that cannot be opened is tried again."""
        storage = Storage(path, clock, AuditDb.open_sound, "Records of calls")
        await storage.open()
        return cls(storage, clock, region)

    async def close(self) -> None:
        """Store what waits."""
        async with self._storing:  # never in the middle
            self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._flush()
        await self._storage.close()

    async def finished(
        self, action: Action, caller: Caller, request: Wire, answer: Wire | None, *, code: str = "", message: str = ""
    ) -> None:
        """A call came to its end. Returns when it is on disk, if it was one that changes something."""
        self._take(
            FinishedCall(
                id=new_call_id(),
                at=self._clock.now(),
                action=action,
                caller=caller,
                request=request,
                answer=answer,
                error_code=code,
                error_message=message,
            )
        )
        if action.mutates:
            await asyncio.shield(self._flush())

    def turned_away(self, call: RefusedCall) -> None:
        self._take(TurnedAway(id=new_call_id(), at=self._clock.now(), call=call))

    async def find(self, query: AuditQuery) -> list[AuditRecord]:
        """Newest first, those that have just been taken included. Raises EngineError where nobody can look."""
        await asyncio.shield(self._flush())
        nothing: list[AuditRecord] | None = None
        try:
            found = await self._storage.read(nothing, AuditDb.find, query)
        except TimeoutError as error:
            raise EngineError(ErrorCode.INVALID_REQUEST, "The search took too long. Choose a shorter time.") from error
        if found is None:  # never say that nothing happened when nobody could look
            raise EngineError(ErrorCode.INTERNAL, "The audit trail cannot be read just now; engine.log says why.")
        return found

    @asynccontextmanager
    async def watch(self, query: AuditQuery) -> AsyncIterator[AsyncIterator[AuditChange]]:
        """The newest records of `query`, then those that come; only `changes_only` is regarded in them."""
        watcher = _Watcher(changes_only=query.changes_only)
        self._watchers.add(watcher)
        try:
            yield watcher.changes((await self.find(query))[::-1])
        finally:
            self._watchers.discard(watcher)

    async def tidy(self) -> None:
        """Delete what is too old or too much, a little at a time."""
        dropped: int | None = _DROP_AT_ONCE
        while dropped == _DROP_AT_ONCE:
            horizon = self._clock.now() - KEPT_S
            dropped = await self._storage.write(AuditDb.drop, horizon, KEEP_MINOR, _DROP_AT_ONCE)

    def _take(self, call: FinishedCall | TurnedAway) -> None:
        self._taken.append(call)
        self._some.set()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            await self._clock.sleep(RETRY_AFTER_S if self._storage.failing else FLUSH_EVERY_S)
            try:
                await self._flush()
            except Exception:  # noqa: BLE001 - it must go on
                _log.exception("Storing the audit trail failed; it is tried again")

    async def _flush(self) -> None:
        async with self._storing:
            self._some.clear()
            taken = [self._taken.popleft() for _ in range(len(self._taken))]
            if taken:
                self._waiting += await asyncio.to_thread(_records_of, taken, self._region)
            if not self._waiting:
                return
            first = await self._storage.write(AuditDb.add, self._waiting)
            if first is None:
                self._waiting = _most_important(self._waiting, _WAITING_AT_MOST)
                self._some.set()
                return
            stored = [replace(record, seq=seq) for seq, record in enumerate(self._waiting, first)]
            self._waiting = []
        for watcher in self._watchers:
            watcher.offer(stored)


def _most_important(records: list[AuditRecord], most: int) -> list[AuditRecord]:
    """The newest of them, changes before all others, in their order."""
    changes = [record for record in records if not record.read_only and not record.error_code][-most:]
    others = [record for record in records if record.read_only or record.error_code]
    kept = {record.id for record in (*changes, *others[max(0, len(others) - (most - len(changes))) :])}
    return [record for record in records if record.id in kept]


def _records_of(calls: list[FinishedCall | TurnedAway], region: str) -> list[AuditRecord]:
    records = []
    for call in calls:
        try:
            records.append(record_of(call, region))
        except Exception:  # noqa: BLE001 - a defect must not cost the records of other calls
            _log.exception("A call could not be recorded")
    return records


class _Watcher:
    def __init__(self, *, changes_only: bool) -> None:
        self._changes_only = changes_only
        self._new: deque[AuditRecord] = deque(maxlen=_SEEN_AT_MOST)
        self._news = asyncio.Event()

    def offer(self, records: list[AuditRecord]) -> None:
        wanted = [record for record in records if record.among_changes or not self._changes_only]
        if wanted:
            self._new.extend(wanted)
            self._news.set()

    async def changes(self, first: list[AuditRecord]) -> AsyncIterator[AuditChange]:
        newest = first[-1].seq if first else 0
        yield AuditChange(snapshot=True, records=tuple(first))
        while True:
            await self._news.wait()
            self._news.clear()
            records = tuple(record for record in self._new if record.seq > newest)
            self._new.clear()
            if records:
                newest = records[-1].seq
                yield AuditChange(records=records)
