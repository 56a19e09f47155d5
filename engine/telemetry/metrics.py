"""Metrics: samples in, added up by second, stored at every resolution once a second, read back with the newest.

Used on the event loop only. What is stored and what still waits never overlap: storing and reading exclude each other.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from engine.model.clock import Clock
from engine.model.errors import EngineError, ErrorCode
from engine.model.metric import EdgeSample, InstanceSample, MetricAnswer, MetricName, MetricQuery, Pulse, Series
from engine.store.cell import Cell, added, of_edge, of_instances, same_second
from engine.store.storage import Storage
from engine.store.telemetry_db import LATENCIES, Key, TelemetryDb
from engine.telemetry.pulse import WINDOW_S, pulse_of, silent
from engine.telemetry.series import KEPT_S, SLACK_S, Grid, Interval, choose_grid, intervals, values
from engine.telemetry.thread import to_the_end

STORE_EVERY_S = 1.0
_SETTLED_S = 2.0  # a second is stored this long after it began: all its reports are in, usually
_MAX_WAITING = 50_000
_DELETE_AT_ONCE = 5_000
_BY_INSTANCE = frozenset({MetricName.CPU, MetricName.MEMORY, MetricName.MEMORY_BYTES})
_TOO_LONG = "The query took too long. Choose a shorter range."
_SAMPLER = ("", "")  # the subject whose ticks are the seconds that the engine was sampling


class Metrics:
    def __init__(self, storage: Storage[TelemetryDb], clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._waiting: dict[Key, Cell] = {}
        self._recent: dict[str, dict[int, Cell]] = {}
        self._provisioned: dict[str, int] = {}
        self._last_beat = 0
        self._spoke: set[str] = set()
        self._lock = asyncio.Lock()

    # In.

    def record_instances(self, samples: Sequence[InstanceSample]) -> None:
        """Samples of one tick."""
        by_service: dict[tuple[str, int], list[InstanceSample]] = {}
        for sample in samples:
            second = int(sample.at)
            self._add((sample.service_id, sample.instance_id, second), of_instances((sample,)))
            by_service.setdefault((sample.service_id, second), []).append(sample)
        for (service_id, second), taken in by_service.items():
            self._add((service_id, "", second), of_instances(taken))

    def record_edge(self, samples: Sequence[EdgeSample]) -> None:
        """Counts add up within their second, also when it is long past."""
        for sample in samples:
            self._add((sample.service_id, "", sample.second), of_edge(sample))

    def set_provisioned(self, service_id: str, count: int) -> None:
        """How many instances a service has from now on."""
        if count:
            self._provisioned[service_id] = count
            self._add((service_id, "", int(self._clock.now())), Cell(provisioned_instances=count))
        else:
            self._provisioned.pop(service_id, None)

    def beat(self, now: float) -> None:
        """The engine was sampling in this second."""
        second = int(now)
        if second == self._last_beat:
            return
        self._last_beat = second
        self._add((*_SAMPLER, second), Cell(ticks=1))
        for service_id, count in self._provisioned.items():
            self._add((service_id, "", second), Cell(provisioned_instances=count))

    def _add(self, key: Key, cell: Cell) -> None:
        waiting = self._waiting.get(key)
        self._waiting[key] = cell if waiting is None else same_second(waiting, cell)
        if len(self._waiting) > _MAX_WAITING:  # nothing could be stored for long
            for oldest in sorted(self._waiting, key=_second)[: _MAX_WAITING // 10]:
                del self._waiting[oldest]
        service_id, name, second = key
        if not name and service_id and second > self._clock.now() - WINDOW_S:
            seconds = self._recent.setdefault(service_id, {})
            seconds[second] = same_second(seconds[second], cell) if second in seconds else cell

    # Stored.

    async def run(self) -> None:
        """Store every second, for ever."""
        tidied_at = float("-inf")
        while True:
            await self._clock.sleep(STORE_EVERY_S)
            await self.store()
            if self._clock.monotonic() - tidied_at >= 60:
                tidied_at = self._clock.monotonic()
                await self.tidy()

    async def store(self, *, everything: bool = False) -> None:
        """Store the seconds that are over, or all."""
        await to_the_end(self._store(float("inf") if everything else self._clock.now() - _SETTLED_S))

    async def _store(self, until: float) -> None:
        async with self._lock:
            cells = {key: cell for key, cell in self._waiting.items() if key[2] <= until}
            if not cells:
                return
            for key in cells:
                del self._waiting[key]
            if await self._storage.write(TelemetryDb.add_cells, cells, self._clock.now()) is None:
                for key, cell in cells.items():
                    more = self._waiting.get(key)
                    self._waiting[key] = cell if more is None else same_second(cell, more)

    async def tidy(self) -> None:
        """Delete what is too old, a little at a time."""
        for resolution, kept in KEPT_S.items():
            before = int(self._clock.now()) - kept - SLACK_S
            deleted: int | None = _DELETE_AT_ONCE
            while deleted is not None and deleted >= _DELETE_AT_ONCE:
                deleted = await self._storage.write(TelemetryDb.drop_cells, resolution, before, _DELETE_AT_ONCE)

    def forget(self, service_id: str) -> None:
        """A service is gone."""
        self._provisioned.pop(service_id, None)
        self._waiting = {key: cell for key, cell in self._waiting.items() if key[0] != service_id}

    # Out.

    async def query(self, query: MetricQuery) -> MetricAnswer:
        """Series over aligned intervals. Raises EngineError when it takes too long."""
        now = self._clock.now()
        grid = choose_grid(query.start, query.end, query.points, now)
        try:
            async with self._lock:
                watched, _ = await self._cells(*_SAMPLER, grid, ())
                service, since = await self._cells(query.service_id, "", grid, query.metrics)
                instance = service
                if query.instance_id and not _BY_INSTANCE.isdisjoint(query.metrics):
                    instance, _ = await self._cells(query.service_id, query.instance_id, grid, query.metrics)
        except TimeoutError as error:
            raise EngineError(ErrorCode.INVALID_REQUEST, _TOO_LONG) from error
        seconds = {number: cell.ticks for number, cell in watched.items()}
        return MetricAnswer(
            start=float(grid.start),
            resolution_s=float(grid.step),
            series=tuple(
                Series(
                    metric=metric,
                    values=values(
                        metric, grid, instance if metric in _BY_INSTANCE else service, seconds, since=since, now=now
                    ),
                )
                for metric in query.metrics
            ),
        )

    async def measured(self, service_id: str, instance_id: str, grid: Grid, *, latency: bool) -> tuple[Interval, ...]:
        """What was measured about a service ("" for the instance) or one instance of it, interval by interval.

        Raises EngineError when it takes too long.
        """
        now = self._clock.now()
        metrics = tuple(LATENCIES) if latency else ()
        try:
            async with self._lock:
                watched, _ = await self._cells(*_SAMPLER, grid, ())
                cells, since = await self._cells(service_id, instance_id, grid, metrics)
        except TimeoutError as error:
            raise EngineError(ErrorCode.INVALID_REQUEST, _TOO_LONG) from error
        seconds = {number: cell.ticks for number, cell in watched.items()}
        return await asyncio.to_thread(intervals, grid, cells, seconds, since=since, now=now)

    async def _cells(
        self, service_id: str, name: str, grid: Grid, metrics: Collection[MetricName]
    ) -> tuple[Mapping[int, Cell], float]:
        """Cells by interval, stored and waiting, and the time since which the subject is known."""
        unknown: tuple[dict[int, Cell], float | None] = ({}, None)
        cells, known_since = await self._storage.read(
            unknown,
            TelemetryDb.cells,
            service_id,
            name,
            resolution=grid.resolution,
            start=grid.start,
            end=grid.end,
            step=grid.step,
            metrics=metrics,
        )
        since = float("inf") if known_since is None else known_since
        merge = same_second if grid.step == 1 else added
        for (owner, owned, second), cell in self._waiting.items():
            if owner != service_id or owned != name:
                continue
            since = min(since, second)
            if grid.start <= second < grid.end:
                number = (second - grid.start) // grid.step
                cells[number] = merge(cells[number], cell) if number in cells else cell
        return cells, since

    def pulse(self, now: float) -> tuple[Pulse, ...]:
        """The pulse of each service that has one, and once more, all zero, of each that fell silent."""
        pulses: list[Pulse] = []
        for service_id in sorted(self._recent.keys() | self._spoke):
            seconds = self._recent.get(service_id, {})
            for second in [each for each in seconds if each <= now - WINDOW_S]:
                del seconds[second]
            if not seconds:
                self._recent.pop(service_id, None)
            pulse = pulse_of(service_id, seconds, now)
            if pulse is not None:
                pulses.append(pulse)
                self._spoke.add(service_id)
            elif service_id in self._spoke:
                pulses.append(silent(service_id))
                self._spoke.remove(service_id)
        return tuple(pulses)


def _second(key: Key) -> int:
    return key[2]
