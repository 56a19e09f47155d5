"""Counts per service and second, in integers; they wait here until an engine takes them."""

import time
from collections.abc import Iterable

from engine.edge.target import Target
from engine.model.histogram import Histogram, bucket_of
from engine.model.metric import EdgeSample

KEPT_S = 3600
"""Seconds of counts kept while no engine is connected."""


class Sums:
    """What one service did in one second, or the part of it that no engine has yet."""

    __slots__ = ("active", "in_flight", "latency", "requests", "status_2xx", "status_3xx", "status_4xx", "status_5xx")

    def __init__(self) -> None:
        self.requests = self.status_2xx = self.status_3xx = self.status_4xx = self.status_5xx = 0
        self.latency: Histogram = {}
        self.active = 0
        self.in_flight = 0.0


class Tally:
    """One service's counting. `now` is monotonic seconds throughout."""

    __slots__ = (
        "_active",
        "_area",
        "_counters",
        "_second",
        "_since",
        "_sums",
        "in_flight",
        "service_id",
        "targets",
    )

    def __init__(self, service_id: str, counters: "Counters") -> None:
        self.service_id = service_id
        self.targets: tuple[Target, ...] = ()
        """Every instance of the service that has, or may get, requests in flight."""
        self.in_flight = 0
        self._counters = counters
        self._second = 0
        self._since = 0.0
        self._area = 0.0
        self._active = 0
        self._sums: Sums | None = None

    def claim(self, target: Target, now: float) -> None:
        """The instance has one more request in flight from this instant."""
        second = int(now + self._counters.offset)
        if second != self._second:
            self._turn(second, now)
        self._area += self.in_flight * (now - self._since)
        self._since = now
        self.in_flight += 1
        target.in_flight += 1
        if target.active_second != second:
            target.active_second = second
            self._active += 1

    def release(self, target: Target, now: float) -> None:
        second = int(now + self._counters.offset)
        if second != self._second:
            self._turn(second, now)
        self._area += self.in_flight * (now - self._since)
        self._since = now
        self.in_flight -= 1
        target.in_flight -= 1

    def count(self, status: int, started: float, now: float) -> None:
        """A response ended."""
        second = int(now + self._counters.offset)
        if second != self._second:
            self._turn(second, now)
        sums = self._sums or self._open(second)
        sums.requests += 1
        if status < 300:
            sums.status_2xx += 1
        elif status < 400:
            sums.status_3xx += 1
        elif status < 500:
            sums.status_4xx += 1
        else:
            sums.status_5xx += 1
        bucket = bucket_of(now - started)
        latency = sums.latency
        latency[bucket] = latency.get(bucket, 0) + 1

    def settle(self, now: float) -> None:
        """Close the seconds that are over, and bring the running one up to date."""
        second = int(now + self._counters.offset)
        if second != self._second and (self.in_flight or self._active):
            self._turn(second, now)
        if self._sums is not None:
            self._sums.active = max(self._sums.active, self._active)

    def forget_sums(self) -> None:
        """The engine took them; what comes next starts at zero."""
        self._sums = None

    def _turn(self, second: int, now: float) -> None:
        """Close the seconds before `second`; a busy one leaves a sample even when no response ended in it."""
        if self._second and (self.in_flight or self._active):
            offset = self._counters.offset
            end = min(max(self._second + 1 - offset, self._since), now)
            self._close(self._area + self.in_flight * (end - self._since))
            if self.in_flight and 1 < second - self._second <= KEPT_S:
                for missed in range(self._second + 1, second):
                    self._second, self._sums = missed, None
                    self._mark_active()
                    self._close(float(self.in_flight))
            self._since = max(second - offset, end) if self.in_flight else now
        else:
            self._since = now
        self._second = second
        self._sums = None
        self._area = 0.0
        self._mark_active()

    def _mark_active(self) -> None:
        self._active = 0
        for target in self.targets:
            if target.in_flight:
                target.active_second = self._second
                self._active += 1

    def _close(self, mean: float) -> None:
        sums = self._sums or self._open(self._second)
        sums.active = max(sums.active, self._active)
        sums.in_flight = max(sums.in_flight, mean)

    def _open(self, second: int) -> Sums:
        self._sums = self._counters.sums(second, self.service_id)
        return self._sums


class Counters:
    """All tallies, and the sums that no engine has taken yet."""

    __slots__ = ("_pending", "_tallies", "offset")

    def __init__(self) -> None:
        self.offset = 0.0
        """Epoch seconds less monotonic seconds."""
        self._tallies: dict[str, Tally] = {}
        self._pending: dict[tuple[int, str], Sums] = {}
        self.tick(time.monotonic())

    def tally(self, service_id: str) -> Tally:
        tally = self._tallies.get(service_id)
        if tally is None:
            tally = self._tallies[service_id] = Tally(service_id, self)
        return tally

    def sums(self, second: int, service_id: str) -> Sums:
        key = (second, service_id)
        sums = self._pending.get(key)
        if sums is None:
            sums = self._pending[key] = Sums()
        return sums

    def tick(self, now: float) -> None:
        """Settle every tally, follow the wall clock, and let go of what is older than an hour."""
        for tally in self._tallies.values():
            tally.settle(now)
        self.offset = time.time() - now
        oldest = int(now + self.offset) - KEPT_S
        for key in list(self._pending):
            if key[0] > oldest:
                break
            del self._pending[key]

    def keep_only(self, service_ids: Iterable[str]) -> None:
        """Forget the tallies of services that are gone and idle. Their sums stay for the engine."""
        wanted = set(service_ids)
        for service_id in [key for key, tally in self._tallies.items() if key not in wanted and not tally.in_flight]:
            del self._tallies[service_id]

    def take(self, now: float, limit: int) -> tuple[EdgeSample, ...]:
        """At most `limit` samples, oldest first; they are the caller's from here on."""
        for tally in self._tallies.values():
            tally.settle(now)
        keys = list(self._pending)[:limit]
        samples = tuple(
            _sample(second, service_id, self._pending.pop((second, service_id))) for second, service_id in keys
        )
        for tally in self._tallies.values():
            tally.forget_sums()
        return samples


def _sample(second: int, service_id: str, sums: Sums) -> EdgeSample:
    return EdgeSample(
        second=second,
        service_id=service_id,
        requests=sums.requests,
        status_2xx=sums.status_2xx,
        status_3xx=sums.status_3xx,
        status_4xx=sums.status_4xx,
        status_5xx=sums.status_5xx,
        latency=sums.latency,
        active_instances=sums.active,
        in_flight=sums.in_flight,
    )
