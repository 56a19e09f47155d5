"""A backend as the edge lives with it: its requests in flight and its idle connections."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.edge.table import Backend

if TYPE_CHECKING:
    from engine.edge.upstream import Upstream

MAX_IDLE = 256
"""Idle connections kept per instance; App Runner allows 200 requests in flight per instance."""
IDLE_TIMEOUT_S = 4.0
"""Node and uvicorn close idle connections after five seconds; going first avoids most races."""
FRESH_S = 1.0
"""A request that cannot be sent twice takes no connection that has been idle longer than this: gunicorn closes after
two seconds, and such a request would be lost in the race."""
CONNECT_TIMEOUT_S = 5.0


class Target:
    """One backend. Outlives its table until its last request has ended."""

    __slots__ = ("_idle", "active_second", "host", "in_flight", "instance_id", "port", "retired")

    def __init__(self, backend: Backend) -> None:
        self.instance_id = backend.instance_id
        self.host = backend.host
        self.port = backend.port
        self.in_flight = 0
        self.retired = False
        """No table names it any more: it gets no new requests and keeps no connections."""
        self.active_second = 0
        """The newest epoch second in which it was counted as active."""
        self._idle: list[Upstream] = []

    def __repr__(self) -> str:
        return f"<Target {self.instance_id} {self.host}:{self.port} in_flight={self.in_flight} idle={len(self._idle)}>"

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    def take(self, now: float, *, repeatable: bool) -> "Upstream | None":
        """An idle connection, the one used last; None where a new one is needed."""
        idle = self._idle
        while idle:
            if not repeatable and now - idle[-1].idle_since > FRESH_S:
                return None
            upstream = idle.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    def put(self, upstream: "Upstream", now: float) -> None:
        """Keep a connection for the next request, or close it."""
        if self.retired or len(self._idle) >= MAX_IDLE:
            upstream.transport.close()
            return
        upstream.idle_since = now
        self._idle.append(upstream)

    def forget(self, upstream: "Upstream") -> None:
        """The connection is gone."""
        with suppress(ValueError):
            self._idle.remove(upstream)

    def close_idle(self, before: float) -> None:
        """Close the connections idle since before that monotonic second."""
        idle = self._idle
        while idle and idle[0].idle_since < before:
            idle.pop(0).transport.close()

    def retire(self) -> None:
        self.retired = True
        self.close_idle(float("inf"))

    async def connect(self) -> "Upstream":
        """A new connection. Raises OSError (TimeoutError after five seconds)."""
        from engine.edge.upstream import Upstream

        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, upstream = await loop.create_connection(lambda: Upstream(self), self.host, self.port)
        return upstream


def choose(targets: Sequence[Target], turn: int, tried: Collection[Target] = ()) -> Target | None:
    """The one with the fewest requests in flight; `turn` rotates among equals. None when all have been tried."""
    best: Target | None = None
    count = len(targets)
    for offset in range(count):
        target = targets[(turn + offset) % count]
        if (best is None or target.in_flight < best.in_flight) and target not in tried:
            best = target
            if not target.in_flight:
                break
    return best
