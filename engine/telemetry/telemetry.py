"""Telemetry: the façade over logs, metrics, followed files and the sampler, and the owner of their tasks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Self

from engine.model.clock import Clock
from engine.model.home import Home
from engine.model.instance import Instance
from engine.model.log import LogBatch, LogKind, LogPage, LogQuery, LogSelector, LogStream
from engine.model.metric import EdgeSample, InstanceSample, MetricAnswer, MetricQuery, Pulse
from engine.store.storage import Storage
from engine.store.telemetry_db import TelemetryDb
from engine.telemetry.follow import Follower
from engine.telemetry.logs import Logs
from engine.telemetry.metrics import Metrics
from engine.telemetry.sampler import ComputeSample, sample_for_ever
from engine.telemetry.series import Grid, Interval

_log = logging.getLogger(__name__)

_PRUNE_AT_ONCE = 5_000
_SUBJECT_KEPT_S = 401 * 86400
_POSITION_KEPT_S = 86400


class Telemetry:
    """Open with `await Telemetry.open(home, clock)`; used on one event loop, only `log` also from threads."""

    def __init__(
        self, storage: Storage[TelemetryDb], clock: Clock, logs: Logs, metrics: Metrics, follower: Follower
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._logs = logs
        self._metrics = metrics
        self._follower = follower
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, home: Home, clock: Clock) -> Self:
        """Never fails for what telemetry.db is: a damaged one is moved aside, one that cannot be opened is retried."""
        storage = Storage(home.telemetry_db, clock, TelemetryDb.open_sound, "Logs and metrics")
        await storage.open()
        # Without the file, numbers above any in it: microseconds since the epoch.
        next_seq = await storage.read(int(clock.now() * 1e6), TelemetryDb.next_seq)
        positions = await storage.read({}, TelemetryDb.positions)
        logs = Logs(storage, clock, next_seq)
        follower = Follower(logs, clock, positions)
        logs.on_stored = follower.on_stored
        telemetry = cls(storage, clock, logs, Metrics(storage, clock), follower)
        telemetry._start(logs.run, "storing logs")
        telemetry._start(telemetry._metrics.run, "storing metrics")
        telemetry._start(follower.run, "following outputs")
        return telemetry

    def _start(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        async def for_ever() -> None:
            while True:
                try:
                    await work()
                except Exception:  # noqa: BLE001 - a defect here must not end the rest
                    _log.exception("Telemetry: %s failed and begins again", name)
                    await self._clock.sleep(1)

        self._tasks.append(asyncio.create_task(for_ever(), name=f"telemetry: {name}"))

    async def close(self) -> None:
        """Read the followed files once more, store everything, end every watch."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self._follower.look()
        self._logs.close()
        await self.flush()
        await self._storage.close()

    async def flush(self) -> None:
        """Store everything that waits."""
        await self._logs.flush()
        await self._metrics.store(everything=True)

    # Logs.

    def log(self, service_id: str, kind: LogKind, stream: str, text: str, at: float | None = None) -> None:
        """Take one line, now or with its own time. Never blocks, never raises, may be called from any thread."""
        self._logs.log(service_id, kind, stream, text, at)

    def follow(self, instance: Instance, path: Path) -> None:
        """Take the application log of `instance` from its output file, from where it was left."""
        self._follower.follow(instance, path)

    async def unfollow(self, instance_id: str) -> None:
        """Read what an ended instance printed last, then let go of its file."""
        await self._follower.unfollow(instance_id, self._logs.flush)

    async def query_logs(self, query: LogQuery) -> LogPage:
        """A page of lines. Raises EngineError when the search takes longer than 30 s."""
        return await self._logs.query(query)

    def watch_logs(
        self, selector: LogSelector, tail: int = 500
    ) -> AbstractAsyncContextManager[AsyncIterator[LogBatch]]:
        """The newest `tail` lines in the first batch (which may be empty), then lines as they come."""
        return self._logs.watch(selector, tail)

    async def services_with(self, kind: LogKind) -> set[str]:
        """Ids of services that have stored lines of a kind."""
        nothing: set[str] = set()
        return await self._storage.read(nothing, TelemetryDb.services_with, kind)

    async def log_streams(self, service_id: str, kind: LogKind) -> list[LogStream]:
        """The streams of one kind that a service has stored lines in, oldest first."""
        nothing: list[LogStream] = []
        return await self._storage.read(nothing, TelemetryDb.streams, service_id, kind)

    async def has_log_stream(self, service_id: str, kind: LogKind, stream: str) -> bool:
        return await self._storage.read(False, TelemetryDb.has_stream, service_id, kind, stream)

    # Metrics.

    def record_instances(self, samples: Sequence[InstanceSample]) -> None:
        """What one look at the instances found; `run_sampler` calls this."""
        self._metrics.record_instances(samples)

    def record_edge(self, samples: Sequence[EdgeSample]) -> None:
        """What the edge counted; parts of a second add up, also of one long past."""
        self._metrics.record_edge(samples)

    def set_provisioned(self, service_id: str, count: int) -> None:
        """How many instances the service has from now on."""
        self._metrics.set_provisioned(service_id, count)

    async def query_metrics(self, query: MetricQuery) -> MetricAnswer:
        """Series over aligned intervals, the finest that the range and `points` allow."""
        return await self._metrics.query(query)

    async def measured(
        self, service_id: str, instance_id: str, grid: Grid, *, latency: bool = False
    ) -> tuple[Interval, ...]:
        """What was measured about a service (instance "") or one instance of it, interval by interval."""
        return await self._metrics.measured(service_id, instance_id, grid, latency=latency)

    def pulse(self, now: float) -> tuple[Pulse, ...]:
        """The pulse of each service that has one, and once more, all zero, of each that fell silent. Once a second."""
        return self._metrics.pulse(now)

    async def run_sampler(self, compute_sample: ComputeSample, instances: Callable[[], Collection[Instance]]) -> None:
        """Sample `instances()` every second until cancelled."""
        await sample_for_ever(self._metrics, self._clock, compute_sample, instances)

    # Housekeeping.

    async def forget(self, service_id: str) -> None:
        """Nobody will ask for this service again: `prune` deletes its rows."""
        self._metrics.forget(service_id)
        await self._storage.write(TelemetryDb.forget, service_id)

    async def prune(self, older_than: float, of_services: Mapping[str, Mapping[LogKind, float]] | None = None) -> None:
        """Delete lines from before `older_than`, rows of forgotten services and what only they needed.

        `of_services` has times of their own for some services, by kind. A little at a time: storing goes on in between.
        """
        await self._prune_lines(older_than, of_services or {})
        for service_id in await self._storage.read([], TelemetryDb.forgotten):
            while await self._storage.write(TelemetryDb.drop_forgotten, service_id, _PRUNE_AT_ONCE):
                pass
        now = self._clock.now()
        followed = frozenset(self._follower.followed)
        await self._storage.write(TelemetryDb.drop_positions, followed, min(older_than, now - _POSITION_KEPT_S))
        await self._storage.write(TelemetryDb.drop_subjects, now - _SUBJECT_KEPT_S)
        await self._metrics.tidy()

    async def _prune_lines(self, older_than: float, of_services: Mapping[str, Mapping[LogKind, float]]) -> None:
        seq: int | None = 0
        while seq is not None:
            seq = (
                await self._storage.write(TelemetryDb.drop_older, older_than, seq, _PRUNE_AT_ONCE, of_services) or None
            )
        for service_id, times in of_services.items():
            for kind in LogKind:
                before = times.get(kind, older_than)
                seq = 0
                while seq is not None:
                    seq = (
                        await self._storage.write(
                            TelemetryDb.drop_older_of, service_id, kind, before, seq, _PRUNE_AT_ONCE
                        )
                        or None
                    )
