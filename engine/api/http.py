"""A small, strict HTTP/1.1 server: whole requests in, whole responses out, for a TCP or a Unix socket."""

import asyncio
import logging
import socket
import time
from email.utils import formatdate

from engine.api.connection import Connection
from engine.api.message import Handler, Limits, Refuse, Request, Response, text

log = logging.getLogger(__name__)


class HttpServer:
    """Serves one listening socket. `upgrades` names the protocols (lower case) that the handler may switch to."""

    def __init__(
        self,
        handle: Handler,
        *,
        limits: Limits | None = None,
        upgrades: frozenset[bytes] = frozenset(),
        refuse: Refuse = text,
    ) -> None:
        self.refuse = refuse
        self.limits = limits or Limits()
        self.upgrades = upgrades
        self.closing = False
        self._handle = handle
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._date = (0, "")

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections on a bound socket; closing the server closes it."""
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            self._server = await loop.create_unix_server(lambda: Connection(self), sock=sock, backlog=128)
        else:
            self._server = await loop.create_server(lambda: Connection(self), sock=sock, backlog=128)
        self._sweeper = asyncio.create_task(self._sweep(), name="http time-outs")

    async def close(self, grace_s: float = 5.0) -> None:
        """Accept nothing more, finish what is in flight for at most `grace_s` seconds, then cut off the rest."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.wind_down()
        try:
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.cut_off()
            await self._empty.wait()
        finally:
            if self._sweeper is not None:
                self._sweeper.cancel()
                await asyncio.gather(self._sweeper, return_exceptions=True)

    async def answer(self, request: Request) -> Response:
        try:
            return await self._handle(request)
        except Exception:
            log.exception("Unexpected error while answering %s %s", request.method, request.path)
            return self.refuse(500, "Something went wrong here; the engine's log says what.", close=True)

    def date(self) -> str:
        """The Date header, made once a second. Clients correct their clocks by it before they sign."""
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]

    @property
    def full(self) -> bool:
        return len(self._connections) > self.limits.connections

    def enter(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._empty.clear()

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def _sweep(self) -> None:
        # One timer for all connections: a deadline is a number, not a handle to make and cancel per request.
        limits = self.limits
        shortest = min(limits.header_timeout_s, limits.body_timeout_s, limits.idle_timeout_s, limits.linger_s)
        while True:
            await asyncio.sleep(min(1.0, shortest / 4))
            now = time.monotonic()
            for connection in tuple(self._connections):
                connection.expire(now)
