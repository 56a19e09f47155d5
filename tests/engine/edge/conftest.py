"""An edge on the test's own loop, small applications behind it, and clients that see every byte."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import h11
import pytest
import uvloop

from engine.edge.downstream import Downstream
from engine.edge.server import Edge
from engine.edge.table import Backend, Report, Route, RoutingTable

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """A request as an application got it, read by h11: what h11 refuses fails the test."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    framing: str

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: bytes) -> bytes | None:
        values = self.all(name)
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None


@dataclass
class Answer:
    """A response as a client got it, read by h11."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    interim: list[int] = field(default_factory=list)

    def one(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None


Respond = Callable[[Seen], bytes | Awaitable[bytes]]


@dataclass
class App:
    """One instance. Answers whole requests with `respond`'s bytes; b"" closes the connection without an answer."""

    respond: Respond
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    keep_open: bool = True
    backend: Backend | None = None

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                connection = h11.Connection(h11.SERVER)
                seen = await self._receive(connection, reader)
                if seen is None:
                    return
                self.requests.append(seen)
                answer = self.respond(seen)
                data = await answer if not isinstance(answer, bytes) else answer
                writer.write(data)
                await writer.drain()
                if not data or not self.keep_open:
                    return
        finally:
            self.open -= 1

    async def _receive(self, connection: h11.Connection, reader: asyncio.StreamReader) -> Seen | None:
        request: h11.Request | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                if not data and request is None:
                    return None
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                assert connection.trailing_data[0] == b"", "the edge sent a request before the answer to the last one"
                names = {name for name, _ in request.headers}
                framing = "chunked" if b"transfer-encoding" in names else "length" if b"content-length" in names else ""
                return Seen(request.method, request.target, list(request.headers), body, framing)
            else:
                return None


class Harness:
    """One edge with one service "s" at svc.localhost unless a test says otherwise."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._numbers = itertools.count(1)

    async def raw_app(self, handler: Handler) -> Backend:
        """An instance that does with its connections what `handler` says."""

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with suppress(ConnectionError):
                    await handler(reader, writer)
            except asyncio.CancelledError:
                pass
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        return Backend(instance_id=f"i{next(self._numbers)}", host="127.0.0.1", port=port)

    async def app(self, respond: Respond | bytes = HELLO) -> App:
        answer = respond
        app = App(respond if callable(respond) else lambda seen: answer)  # type: ignore[arg-type,return-value]
        app.backend = await self.raw_app(app)
        return app

    async def dead(self) -> Backend:
        """An instance that refuses connections."""
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        return Backend(instance_id=f"i{next(self._numbers)}", host="127.0.0.1", port=port)

    def route(self, *backends: App | Backend, **route) -> None:
        """Put a table with one service in force."""
        self.routes(self.service(*backends, **route))

    def service(self, *backends: App | Backend, **route) -> Route:
        found = tuple(each.backend if isinstance(each, App) else each for each in backends)
        return Route(**{"service_id": "s", "hosts": ("svc.localhost",), "backends": found, **route})

    def routes(self, *routes: Route) -> None:
        self.edge.apply(RoutingTable(version=self.edge.router.version + 1, routes=routes))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.edge.port)
        self._writers.add(writer)
        return reader, writer

    async def ask(self, *pieces: bytes, timeout_s: float = 5.0) -> bytes:
        """Send the pieces, each in its own packet, and give everything that comes until the edge closes."""
        reader, writer = await self.connect()
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.0005)
            writer.write(piece)
        async with asyncio.timeout(timeout_s):
            try:
                return await reader.read()
            finally:
                writer.close()

    async def get(
        self, target: bytes = b"/", *, headers: Iterable[bytes] = (), host: bytes = b"svc.localhost"
    ) -> Answer:
        lines = [b"GET " + target + b" HTTP/1.1", b"Host: " + host, *headers, b"Connection: close", b"", b""]
        return self.parse(await self.ask(b"\r\n".join(lines)))[0]

    def parse(self, data: bytes, methods: Iterable[str] = ("GET",), *, closed: bool = True) -> list[Answer]:
        """The responses in `data`, which answer requests of these methods; every byte must belong to one."""
        answers: list[Answer] = []
        for method in methods:
            connection = h11.Connection(h11.CLIENT)
            # a request must have been sent for h11 to know how the response is framed
            connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
            connection.send(h11.EndOfMessage())
            connection.receive_data(data)
            if closed:
                connection.receive_data(b"")
            answer: Answer | None = None
            interim: list[int] = []
            while True:
                event = connection.next_event()
                if isinstance(event, h11.InformationalResponse):
                    interim.append(event.status_code)
                elif isinstance(event, h11.Response):
                    answer = Answer(event.status_code, list(event.headers), b"", interim)
                elif isinstance(event, h11.Data):
                    assert answer is not None
                    answer.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    pytest.fail(f"no whole response: {event!r} after {answers!r}, {answer!r}")
            assert answer is not None
            answers.append(answer)
            data = bytes(connection.trailing_data[0])
        assert data == b"", f"bytes after the last response: {data[:100]!r}"
        return answers

    def report(self) -> Report:
        return self.edge.report()

    async def until(self, condition: Callable[[], object], timeout_s: float = 3.0) -> None:
        """Wait for something that has no event."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.002)

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await self.edge.stop(0.0)
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The edge runs on uvloop, so its tests do; the engine's client of it runs on asyncio's own loop."""
    if item.path.name == "test_client.py":
        return {"asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    edge = Edge(asyncio.get_running_loop())
    await edge.listen("127.0.0.1", 0)
    harness = Harness(edge)
    yield harness
    await harness.close()


class FakeTransport(asyncio.Transport):
    """Keeps what is written; its peer is 127.0.0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = self.aborted = self.eof = self.paused = False

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data) -> None:
        assert not self.closed
        self.sent += data

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Wire:
    """A client's connection without a socket, to an edge whose only service is paused: whatever is valid gets 503."""

    def __init__(self) -> None:
        self.edge = Edge(asyncio.get_running_loop())
        self.edge.apply(
            RoutingTable(version=1, routes=(Route(service_id="s", hosts=("svc.localhost",), unavailable="Paused."),))
        )
        self.transport = FakeTransport()
        self.downstream = Downstream(self.edge, asyncio.get_running_loop())
        self.downstream.connection_made(self.transport)

    def feed(self, data: bytes, *, bytewise: bool = False) -> bytes:
        """What the edge says to this since the last call."""
        before = len(self.transport.sent)
        for piece in (data[at : at + 1] for at in range(len(data))) if bytewise else (data,):
            if not self.transport.closed:
                self.downstream.data_received(piece)
        return self.transport.sent[before:]

    @property
    def ended(self) -> bool:
        """The edge takes no further request on it."""
        return self.transport.closed or self.transport.eof

    def statuses(self) -> list[int]:
        return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.transport.sent)]


@pytest.fixture
def new_wire() -> Callable[[], Wire]:
    return Wire
