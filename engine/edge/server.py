"""The edge itself: listens, holds the table in force, sweeps four times a second. No request passes through here."""

import asyncio
import itertools
import logging
import os
import socket
from time import monotonic

from engine.edge.address import format_address
from engine.edge.counters import Counters
from engine.edge.downstream import Downstream
from engine.edge.router import Router, TargetKey
from engine.edge.table import Report, RoutingTable
from engine.edge.target import IDLE_TIMEOUT_S, Target

TICK_S = 0.25
"""Between two sweeps, and two reports to the engine."""
SAMPLES_PER_REPORT = 2000
_BACKLOG = 2048

_log = logging.getLogger(__name__)


class Edge:
    """Everything that connections share."""

    __slots__ = (
        "_draining",
        "_id_prefix",
        "_ids",
        "_loop",
        "_server",
        "_sweeper",
        "counters",
        "downstreams",
        "host",
        "port",
        "router",
        "stopping",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.counters = Counters()
        self.downstreams: set[Downstream] = set()
        self.host = ""
        self.port = 0
        self.stopping = False
        self.router = Router(RoutingTable(version=0, routes=()), 0, self.counters, {})
        self._draining: dict[TargetKey, Target] = {}
        self._ids = itertools.count(1)
        self._id_prefix = os.urandom(8).hex().encode()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)

    def next_id(self) -> bytes:
        """A new X-Request-ID: 32 hex characters, unique to this edge."""
        return b"%b%016x" % (self._id_prefix, next(self._ids))

    async def listen(self, host: str, port: int) -> None:
        """Accept HTTP there; port 0 takes a free one. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.setblocking(False)
            self._server = await self._loop.create_server(
                lambda: Downstream(self, self._loop), sock=listener, backlog=_BACKLOG
            )
        except BaseException:
            listener.close()
            raise
        self.host, self.port = listener.getsockname()[:2]
        self.router = Router(RoutingTable(version=0, routes=()), self.port, self.counters, {})
        self._sweeper = self._loop.create_task(self._sweep())

    def apply(self, table: RoutingTable) -> bool:
        """Put a table in force; False for one that is not newer. Requests under way keep their instance."""
        old = self.router
        if table.version <= old.version:
            return False
        router = Router(table, self.port, self.counters, {**self._draining, **old.targets})
        self.router = router
        for key, target in {**self._draining, **old.targets}.items():
            if key in router.targets:
                target.retired = False
                self._draining.pop(key, None)
            else:
                target.retire()
                self._draining[key] = target
        self._forget_drained()
        self.counters.keep_only(service.route.service_id for service in router.services)
        return True

    def report(self) -> Report:
        """What happened since the report before; at most SAMPLES_PER_REPORT samples, the rest with the next."""
        in_flight: dict[str, int] = {}
        for target in (*self.router.targets.values(), *self._draining.values()):
            if target.in_flight:
                in_flight[target.instance_id] = in_flight.get(target.instance_id, 0) + target.in_flight
        return Report(
            table_version=self.router.version,
            in_flight=in_flight,
            samples=self.counters.take(monotonic(), SAMPLES_PER_REPORT),
        )

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, finish what is in flight for at most `grace_s` seconds, then close everything."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for downstream in tuple(self.downstreams):
            downstream.close_if_idle()
        deadline = monotonic() + grace_s
        while self.downstreams and monotonic() < deadline:  # noqa: ASYNC110 - an event would cost every connection
            await asyncio.sleep(0.02)
        for downstream in tuple(self.downstreams):
            downstream.transport.abort()
        for target in (*self.router.targets.values(), *self._draining.values()):
            target.retire()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await asyncio.sleep(0)  # connection_lost of what was aborted

    async def _sweep(self) -> None:
        """Deadlines, idle connections, seconds that are over: nothing of it needs a timer per request."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self._tick(monotonic())
            except Exception:  # noqa: BLE001 - the sweep must go on, whatever one connection does
                _log.exception("A sweep over the connections failed")

    def _tick(self, now: float) -> None:
        for downstream in [each for each in self.downstreams if each.deadline <= now]:
            downstream.expire()
        for target in self.router.targets.values():
            target.close_idle(now - IDLE_TIMEOUT_S)
        self._forget_drained()
        self.counters.tick(now)

    def _forget_drained(self) -> None:
        for key in [key for key, target in self._draining.items() if not target.in_flight]:
            del self._draining[key]
