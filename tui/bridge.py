"""Bridge: the one reader of the engine's subscriptions. It keeps the World and posts messages; nobody else polls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

from engine.model.api import EngineApi
from engine.model.audit import AuditQuery
from engine.model.clock import Clock
from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogLine, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from tui.presenters.metrics import METRICS, TimeRange
from tui.world import World

T = TypeVar("T")

_FRAME_S = 0.05  # changes within one frame are one message
_SETTLE_S = 0.08  # a cursor that runs down a list subscribes only where it stops
_MOST_PENDING_LINES = 20_000
_POINTS = 240


class WorldChanged(Message):
    """Services, operations or the audit trail changed: `bridge.world` has the present state of all."""

    bubble = False

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, WorldChanged)


class LogsArrived(Message):
    """Log lines wait in `bridge.take_logs()`."""

    bubble = False

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LogsArrived)


@dataclass
class MetricsArrived(Message):
    """The answer for the charts, or None when no service is selected."""

    bubble = False

    service_id: str
    time_range: TimeRange
    answer: MetricAnswer | None
    now: float

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, MetricsArrived)


@dataclass
class WatchRefused(Message):
    """The engine refused a subscription; `reason` is its sentence."""

    bubble = False

    reason: str


@dataclass
class LogMail:
    """Lines on their way to the log view. `fresh` means that they replace what it shows."""

    selector: LogSelector | None
    fresh: bool
    lines: list[LogLine]
    dropped: int = 0


class _Wish(Generic[T]):
    """The latest value that somebody wants followed."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._changed = asyncio.Event()

    def set(self, value: T) -> None:
        if value != self.value:
            self.value = value
            self._changed.set()

    async def changed(self) -> None:
        """Return once the value differs from what it was at the last return, and has settled."""
        await self._changed.wait()
        await asyncio.sleep(_SETTLE_S)
        self._changed.clear()


class Bridge:
    """Reads for one screen. `run` ends only with an error: ConnectionError when the engine has gone away."""

    def __init__(self, screen: MessagePump, clock: Clock) -> None:
        self.world = World()
        self._screen = screen
        self._clock = clock
        self._service = _Wish("")
        self._logs: _Wish[LogSelector | None] = _Wish(None)
        self._audit: _Wish[AuditQuery | None] = _Wish(None)
        self._charts = _Wish(("", TimeRange.MINUTES_5))
        self._mail = LogMail(None, fresh=False, lines=[])
        self._announcing: asyncio.TimerHandle | None = None

    def follow_operations(self, service_id: str) -> None:
        """Also watch the whole history of this service, besides the newest operations of all."""
        self._service.set(service_id)

    def follow_logs(self, selector: LogSelector | None) -> None:
        self._logs.set(selector)

    def follow_audit(self, query: AuditQuery | None) -> None:
        """Watch the audit trail, or let go of it; what is known of it stays known."""
        self._audit.set(query)

    def follow_metrics(self, service_id: str, time_range: TimeRange) -> None:
        self._charts.set((service_id, time_range))

    def take_logs(self) -> LogMail:
        """What arrived since the last call."""
        mail = self._mail
        self._mail = LogMail(mail.selector, fresh=False, lines=[])
        return mail

    async def run(self, engine: EngineApi) -> None:
        try:
            async with asyncio.TaskGroup() as readers:
                readers.create_task(self._read_services(engine))
                readers.create_task(self._read_operations(engine, ""))
                readers.create_task(
                    self._follow(self._service, lambda service_id: self._read_history(engine, service_id))
                )
                readers.create_task(self._follow(self._logs, lambda selector: self._read_logs(engine, selector)))
                readers.create_task(self._follow(self._audit, lambda query: self._read_audit(engine, query)))
                readers.create_task(self._follow(self._charts, lambda wanted: self._read_metrics(engine, *wanted)))
        except BaseExceptionGroup as errors:
            lost = [error for error in errors.exceptions if isinstance(error, ConnectionError)]
            raise (lost or errors.exceptions)[0] from None
        finally:
            if self._announcing is not None:
                self._announcing.cancel()
                self._announcing = None

    async def _follow(self, wish: _Wish[T], read: Callable[[T], Awaitable[None]]) -> None:
        """Keep reading what is wished for, starting over when the wish changes."""
        while True:
            reading = asyncio.ensure_future(read(wish.value))
            change = asyncio.ensure_future(wish.changed())
            try:
                await asyncio.wait({reading, change}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    try:
                        reading.result()
                    except EngineError as error:
                        # A service that has just been deleted refuses; the list will say so soon enough.
                        if error.code is not ErrorCode.RESOURCE_NOT_FOUND:
                            self._screen.post_message(WatchRefused(error.message))
                    await change
            finally:
                for task in (reading, change):
                    task.cancel()
                await asyncio.gather(reading, change, return_exceptions=True)

    async def _read_services(self, engine: EngineApi) -> None:
        async with engine.watch_services() as changes:
            async for change in changes:
                self.world.apply_services(change)
                self._announce(at_once=change.snapshot)
        raise ConnectionError("The engine ended the connection.")

    async def _read_operations(self, engine: EngineApi, service_id: str) -> None:
        async with engine.watch_operations(service_id) as changes:
            async for change in changes:
                self.world.apply_operations(change)
                self._announce()
        raise ConnectionError("The engine ended the connection.")

    async def _read_history(self, engine: EngineApi, service_id: str) -> None:
        if service_id:
            await self._read_operations(engine, service_id)

    async def _read_logs(self, engine: EngineApi, selector: LogSelector | None) -> None:
        self._mail = LogMail(selector, fresh=True, lines=[])
        if selector is None:
            self._screen.post_message(LogsArrived())
            return
        async with engine.watch_logs(selector) as batches:
            async for batch in batches:
                mail = self._mail
                mail.lines.extend(batch.lines)
                mail.dropped += batch.dropped
                if (excess := len(mail.lines) - _MOST_PENDING_LINES) > 0:
                    del mail.lines[:excess]
                    mail.dropped += excess
                self._screen.post_message(LogsArrived())
                await asyncio.sleep(_FRAME_S)
        raise ConnectionError("The engine ended the connection.")

    async def _read_audit(self, engine: EngineApi, query: AuditQuery | None) -> None:
        if query is None:
            return
        async with engine.watch_audit(query) as changes:
            async for change in changes:
                self.world.apply_audit(change)
                self._announce(at_once=change.snapshot)
        raise ConnectionError("The engine ended the connection.")

    async def _read_metrics(self, engine: EngineApi, service_id: str, time_range: TimeRange) -> None:
        if not service_id:
            self._screen.post_message(MetricsArrived("", time_range, None, self._clock.now()))
            return
        while True:
            now = self._clock.now()
            query = MetricQuery(
                service_id=service_id, metrics=METRICS, start=now - time_range.value, end=now, points=_POINTS
            )
            answer = await engine.query_metrics(query)
            self._screen.post_message(MetricsArrived(service_id, time_range, answer, now))
            await asyncio.sleep(max(1.0, min(30.0, time_range.value / _POINTS)))

    def _announce(self, *, at_once: bool = False) -> None:
        if at_once:
            self._screen.post_message(WorldChanged())
        elif self._announcing is None:
            self._announcing = asyncio.get_running_loop().call_later(_FRAME_S, self._announce_now)

    def _announce_now(self) -> None:
        self._announcing = None
        self._screen.post_message(WorldChanged())
