"""The engine's hold on the edge: finds or starts it, sends tables, hears reports, brings it back when it dies."""

import asyncio
import itertools
import logging
import signal
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from engine.edge.address import format_address, parse_address
from engine.edge.launch import AddressInUse, EdgeError, check_free, disown, end, launch, living, send_signal, start_time
from engine.edge.record import EdgeRecord, read_record
from engine.edge.table import Hello, Report, RoutingTable, Stop
from engine.edge.wire import MAX_FRAME, WireError, frame, to_engine
from engine.model.home import Home
from engine.model.settings import DEFAULT_EDGE, Settings

HELLO_TIMEOUT_S = 2.0
STOP_GRACE_S = 5.0
UNHEARD_MOST = 1000
RETRY_S = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses between attempts to bring a dead edge back; the last one repeats."""

_PROTOCOL = Hello(pid=0, address="", table_version=0).protocol
_log = logging.getLogger(__name__)

OnReport = Callable[[Report], None]
OnRestart = Callable[[], None]


class _Link:
    """One control connection, after its Hello."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello) -> None:
        self.reader = reader
        self.writer = writer
        self.hello = hello

    @classmethod
    async def open(cls, path: str) -> Self:
        """Raises OSError (TimeoutError included) or WireError when nothing there says Hello."""
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                hello = await _receive_hello(reader)
            except BaseException as error:
                writer.close()
                if isinstance(error, asyncio.IncompleteReadError):
                    raise ConnectionResetError("The edge closed its control socket.") from error
                raise
            return cls(reader, writer, hello)

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


class EdgeClient:
    """Made by `start`. Everything runs on the loop that called it; `close` leaves the edge running, `stop` ends it."""

    def __init__(self, home: Home, listen: str, on_report: OnReport | None, on_restart: OnRestart) -> None:
        self._on_report = on_report
        self._unheard: deque[Report] = deque(maxlen=UNHEARD_MOST)
        self.on_restart = on_restart
        """Called when another edge process has taken over. `address` may have changed if port 0 was asked for."""
        self._home = home
        self._listen = listen
        self._link: _Link | None = None
        self._record: EdgeRecord | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._address = ""
        self._table: RoutingTable | None = None
        self._table_version = 0
        self._in_flight: dict[str, int] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False

    @classmethod
    async def start(
        cls,
        home: Home,
        listen: str,
        *,
        on_report: OnReport | None = None,
        on_restart: OnRestart = lambda: None,
    ) -> Self:
        """Adopt the home's living edge or start one. `listen` is HOST:PORT; with port 0 any living edge will do.

        Reports wait for `hear` when there is no `on_report` yet.

        Raises AddressInUse when something else listens there, EdgeError when the edge cannot be started, ValueError
        for a `listen` that is no loopback address.
        """
        listen = format_address(*parse_address(listen))
        client = cls(home, listen, on_report, on_restart)
        try:
            await client._establish(listen)
        except BaseException:
            await client.close()
            raise
        client._keeper = asyncio.create_task(client._keep())
        return client

    @property
    def address(self) -> str:
        """Where it accepts HTTP: "127.0.0.1:8800"."""
        return self._address

    @property
    def pid(self) -> int:
        return self._record.pid if self._record is not None else 0

    @property
    def table_version(self) -> int:
        """The newest table that the edge has in force. Tables of an engine that adopts an edge start above it."""
        return self._table_version

    def hear(self, on_report: OnReport) -> None:
        """From here on `on_report` gets every report, in order; at once those that nobody has heard yet."""
        self._on_report = on_report
        while self._unheard:
            on_report(self._unheard.popleft())

    def in_flight(self, instance_id: str) -> int:
        """Requests in flight, by the newest report (at most a quarter of a second old)."""
        return self._in_flight.get(instance_id, 0)

    async def apply(self, table: RoutingTable) -> None:
        """Put the table in force; returns when it is. Waits for the edge to come back if it is away.

        Raises EdgeError when the client is closed meanwhile.
        """
        if self._table is None or table.version > self._table.version:
            self._table = table
            self._send(table)
        while self._table_version < table.version:
            await self._next_report()

    async def drained(self, instance_id: str) -> None:
        """Return when the instance has no request in flight. Only of use once no table names it any more."""
        while self.in_flight(instance_id):
            await self._next_report()

    async def close(self) -> None:
        """Let go of the edge; it keeps serving."""
        await self._let_go()
        if self._link is not None:
            await self._link.close()
            self._link = None
        if self._child is not None:
            disown(self._child)
            self._child = None

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the edge; what is in flight may take `grace_s` seconds."""
        await self._let_go()
        record = self._record
        if record is not None:
            if self._link is not None and not self._link.writer.is_closing():
                self._send(Stop(grace_s=grace_s))
                with suppress(OSError):
                    await self._link.writer.drain()
            else:
                send_signal(record.pid, record.started_at, signal.SIGTERM)
            await end(record.pid, record.started_at, self._own(record.pid), grace_s)
        await self.close()

    # Private

    async def _let_go(self) -> None:
        """From here on the edge's end is not taken for its death, and nobody waits for its reports."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(EdgeError("The connection to the edge was closed."))
        self._waiters.clear()

    async def _establish(self, listen: str) -> None:
        """Get connected, to the living edge if it fits, else to a new one."""
        record = read_record(self._home.edge_record)
        link = await self._reach(record)
        if link is not None:
            if record is not None and record.pid == link.hello.pid and _fits(link.hello, listen):
                self._adopt(record, link)
                return
            if link.hello.address != listen:
                try:
                    check_free(listen)
                except EdgeError:
                    await link.close()
                    raise
            started_at = start_time(link.hello.pid)
            link.writer.write(frame(Stop(grace_s=STOP_GRACE_S)))
            with suppress(OSError):
                await link.writer.drain()
            await end(link.hello.pid, started_at, self._own(link.hello.pid), STOP_GRACE_S)
            await link.close()
        elif record is not None and living(record):
            _log.warning("The edge (process %d) does not answer and is replaced.", record.pid)
            send_signal(record.pid, record.started_at, signal.SIGTERM)
            await end(record.pid, record.started_at, self._own(record.pid), 0.0)
        if self._child is not None:  # dead or on its way there; reaped before it is forgotten
            await end(self._child.pid, None, self._child, 0.0)
        self._child, record = await launch(self._home, listen)
        try:
            self._adopt(record, await _Link.open(record.control))
        except (OSError, WireError) as error:
            self._child.kill()
            self._child.wait()
            raise EdgeError(f"The edge started but does not answer: {error}") from error

    async def _reach(self, record: EdgeRecord | None) -> _Link | None:
        """A connection to the home's edge, whether or not its record tells the truth."""
        if record is not None and not living(record):
            record = None
        try:
            return await _Link.open(record.control if record is not None else str(self._home.edge_socket))
        except (OSError, WireError):
            return None

    def _own(self, pid: int) -> "subprocess.Popen[bytes] | None":
        return self._child if self._child is not None and self._child.pid == pid else None

    def _adopt(self, record: EdgeRecord, link: _Link) -> None:
        if record.pid != self.pid:
            self._in_flight = {}
        self._record = record
        self._link = link
        self._address = link.hello.address
        self._table_version = link.hello.table_version
        if self._table is not None:
            self._send(self._table)

    def _send(self, message: RoutingTable | Stop) -> None:
        if self._link is not None and not self._link.writer.is_closing():
            self._link.writer.write(frame(message))

    async def _keep(self) -> None:
        """Hear reports for as long as the client lives, from whichever edge there is."""
        while True:
            assert self._link is not None  # noqa: S101 - connected on entry and after every revival
            try:
                await self._listen_to(self._link)
            except (OSError, WireError, asyncio.IncompleteReadError) as error:
                _log.warning("The connection to the edge broke: %s", error)
            link, self._link = self._link, None
            await link.close()
            await self._revive()

    async def _listen_to(self, link: _Link) -> None:
        while True:
            message = await _receive(link.reader)
            if isinstance(message, Report):
                self._table_version = message.table_version
                self._in_flight = message.in_flight
                try:
                    if self._on_report is None:
                        self._unheard.append(message)
                    else:
                        self._on_report(message)
                except Exception:  # noqa: BLE001 - the next report must not suffer from it
                    _log.exception("A report from the edge could not be taken in")
                waiters, self._waiters = self._waiters, []
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(None)

    async def _revive(self) -> None:
        """Connect again, to a new process if need be; tries for as long as it takes, on the same address."""
        before = self.pid
        for attempt in itertools.count():
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            try:
                await self._establish(self._address)
            except EdgeError as error:
                _log.warning("The edge is not back yet: %s", error)
                if attempt and parse_address(self._listen)[1] == 0:
                    self._address = self._listen
                continue
            if self.pid != before:
                self.on_restart()
            return

    async def _next_report(self) -> None:
        if self._closed:
            raise EdgeError("The connection to the edge was closed.")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter


async def start_edge(home: Home, settings: Settings) -> EdgeClient:
    """Adopt the home's edge or start one. Nobody asked for the default port: when it is taken any other will do.

    Raises AddressInUse, EdgeError.
    """
    try:
        return await EdgeClient.start(home, settings.edge)
    except AddressInUse:
        if settings.edge != DEFAULT_EDGE:
            raise
        return await EdgeClient.start(home, f"{DEFAULT_EDGE.rpartition(':')[0]}:0")


async def let_go(starting: "asyncio.Future[EdgeClient]") -> None:
    """Close the client of an edge that may still be starting; one that never got a table is of no use and ends."""
    try:
        edge = await starting
    except (EdgeError, OSError):
        return  # whoever waited for it has said so
    if edge.table_version == 0:
        await edge.stop()
    else:
        await edge.close()


def _fits(hello: Hello, listen: str) -> bool:
    return hello.protocol == _PROTOCOL and (parse_address(listen)[1] == 0 or hello.address == listen)


async def _receive_hello(reader: asyncio.StreamReader) -> Hello:
    hello = await _receive(reader)
    if not isinstance(hello, Hello):
        raise WireError("The edge did not say hello.")
    return hello


async def _receive(reader: asyncio.StreamReader) -> Hello | Report:
    """Raises asyncio.IncompleteReadError at the end, OSError, WireError."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > MAX_FRAME:
        raise WireError(f"A frame of {size} bytes is longer than the {MAX_FRAME} allowed.")
    return to_engine(await reader.readexactly(size))
