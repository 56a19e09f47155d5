"""The edge's end of the control socket: says hello, takes tables, sends reports."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from engine.edge.server import SAMPLES_PER_REPORT, TICK_S, Edge
from engine.edge.table import Hello, RoutingTable, Stop
from engine.edge.wire import Frames, WireError, frame, to_edge

_log = logging.getLogger(__name__)


class ControlServer:
    """Listens on a Unix socket. One engine at a time: a newer connection takes the place of the one before."""

    def __init__(self, edge: Edge, on_stop: Callable[[float], None]) -> None:
        self.edge = edge
        self.on_stop = on_stop
        self._current: ControlConnection | None = None
        self._server: asyncio.Server | None = None
        self._reporter: asyncio.Task[None] | None = None
        self._path: Path | None = None

    async def listen(self, path: Path) -> None:
        """The socket gets mode 0600; its folder must be private already.

        Raises OSError, FileExistsError when another edge answers there.
        """
        listener = _bound(path)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: ControlConnection(self), sock=listener)
        except BaseException:
            listener.close()
            raise
        self._path = path
        self._reporter = asyncio.create_task(self._report())

    def admit(self, connection: "ControlConnection") -> None:
        if self._current is not None:
            self._current.transport.close()
        self._current = connection

    def dismiss(self, connection: "ControlConnection") -> None:
        if self._current is connection:
            self._current = None

    async def close(self) -> None:
        if self._reporter is not None:
            self._reporter.cancel()
        if self._server is not None:
            self._server.close()
        if self._current is not None:
            self._current.transport.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._current is not None:
                self._current.send_report()


class ControlConnection(asyncio.Protocol):
    """One engine."""

    __slots__ = ("_frames", "_paused", "_server", "transport")

    transport: asyncio.Transport

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._frames = Frames()
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        edge = self._server.edge
        transport.write(frame(Hello(pid=os.getpid(), address=edge.address, table_version=edge.router.version)))
        self._server.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.dismiss(self)

    def data_received(self, data: bytes) -> None:
        try:
            for payload in self._frames.feed(data):
                self._handle(to_edge(payload))
        except WireError as error:
            _log.error("%s The connection is closed.", error)
            self.transport.close()

    def pause_writing(self) -> None:
        """An engine that reads nothing: its counts wait here instead of in a buffer."""
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def send_report(self) -> None:
        """What has gathered, in as many messages as it takes; the last one is never full."""
        while not self._paused and not self.transport.is_closing():
            report = self._server.edge.report()
            self.transport.write(frame(report))
            if len(report.samples) < SAMPLES_PER_REPORT:
                break

    def _handle(self, message: RoutingTable | Stop) -> None:
        if isinstance(message, Stop):
            self._server.on_stop(message.grace_s)
            return
        self._server.edge.apply(message)
        self.send_report()  # the acknowledgement


def _bound(path: Path) -> socket.socket:
    if _answers(path):
        raise FileExistsError(f"Another edge is in charge of {path}; stop it first.")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        path.chmod(0o600)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    """Whether a living process listens on that socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.settimeout(0.5)
        probe.connect(os.fspath(path))
        return True
    return False
