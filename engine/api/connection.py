"""One HTTP/1.1 connection: reads whole requests, answers them in order, keeps to the limits, closes politely.

Framing is httptools' (llhttp's) business; order, limits, time-outs and closing are decided here. Anything
ambiguous is refused and the connection closed.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from engine.api.message import Limits, Refuse, Request, Response, Session

log = logging.getLogger(__name__)


class Server(Protocol):
    """What a connection needs of the server it belongs to."""

    limits: Limits
    upgrades: frozenset[bytes]
    closing: bool
    refuse: Refuse

    @property
    def full(self) -> bool:
        """There are more connections than there may be."""
        ...

    async def answer(self, request: Request) -> Response: ...
    def date(self) -> str: ...
    def enter(self, connection: "Connection") -> None: ...
    def leave(self, connection: "Connection") -> None: ...


class _Phase(Enum):
    """Where the reading side of a connection stands."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    LAST = auto()
    """Nothing that comes now is looked at: a refusal, or a request that asked to close."""
    HANDOVER = auto()
    """What comes now belongs to the protocol asked for."""


class _Refused(Exception):  # noqa: N818 - it only leaves a callback of the parser
    """The request is not read any further; the answer stands in the queue."""


class Connection(asyncio.Protocol):
    """One connection: reads requests into a queue, answers them one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._limits = server.limits
        self._transport = cast("asyncio.Transport", None)  # set before anything else is called
        self._parser = httptools.HttpRequestParser(self)
        self._phase = _Phase.IDLE
        self._deadline: float | None = None
        self._write_deadline: float | None = None
        self._queue: deque[Request | Response] = deque()
        self._task: asyncio.Task[None] | None = None
        self._peer = ""
        self._lost = False
        self._eof = False
        self._reading = True
        self._writable: asyncio.Future[None] | None = None
        self._session_runs = False
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._close_after = False
        self._continue_due = False
        self._ignores_upgrade = False
        self._tail = b""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._server.enter(self)
        self._deadline = time.monotonic() + self._limits.header_timeout_s
        if self._server.closing or self._server.full:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        self._lost = True
        self._queue.clear()
        self._release_writer()
        self._leave_when_done()

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.HANDOVER:
            self._tail += data
            self._pause_reading()
            return
        rest = memoryview(data)
        while rest and self._phase is not _Phase.LAST:
            rest = self._feed(rest)
        if self._phase is _Phase.HEAD:
            self._head_size += len(data)
            if self._head_size > self._limits.head:
                self._refuse(self._server.refuse(431, "The headers are too large."))
        self._pump()

    def eof_received(self) -> bool:
        self._eof = True
        return self._task is not None  # half-closed: what was asked is answered, then the connection closes

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self._release_writer()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._begin()
        self._phase = _Phase.HEAD
        self._deadline = time.monotonic() + self._limits.header_timeout_s

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is not _Phase.HEAD:
            self._count_head(len(name) + len(value) + 4)  # a trailer: counted, never looked at
            return
        self._headers.append((name.lower(), value.strip(b" \t")))
        self._count_head(len(name) + len(value) + 4)
        if len(self._headers) > self._limits.headers:
            self._refuse_here(self._server.refuse(431, "There are too many headers."))

    def on_headers_complete(self) -> None:
        version = self._parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            self._refuse_here(self._server.refuse(505, "Only HTTP/1.1 is spoken here."))
        if self._parser.get_method() == b"CONNECT":
            self._refuse_here(self._server.refuse(405, "This is no proxy."))
        if not self._url.startswith(b"/"):
            self._refuse_here(self._server.refuse(400, "The request target must be a path."))
        hosts = self._values(b"host")
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            self._refuse_here(self._server.refuse(400, "There must be one Host header."))
        encodings = self._values(b"transfer-encoding")
        if encodings and (version == "1.0" or [encoding.lower() for encoding in encodings] != [b"chunked"]):
            self._refuse_here(self._server.refuse(501, "Of transfer encodings only chunked is understood."))
        lengths = self._values(b"content-length")
        if lengths and int(lengths[0]) > self._limits.body:
            self._refuse_here(self._too_large())
        expects = self._values(b"expect")
        if expects and [expect.lower() for expect in expects] != [b"100-continue"]:
            self._refuse_here(self._server.refuse(417, "Of expectations only 100-continue is understood."))
        connection = b",".join(self._values(b"connection")).lower()
        tokens = {token.strip() for token in connection.split(b",")}
        self._close_after = version == "1.0" or b"close" in tokens
        if self._parser.should_upgrade():
            self._ignores_upgrade = not self._upgrade_is_known()
        self._phase = _Phase.BODY
        self._deadline = time.monotonic() + self._limits.body_timeout_s
        if expects and version == "1.1":
            self._continue_due = True

    def on_body(self, body: bytes) -> None:
        self._continue_due = False
        self._body_size += len(body)
        if self._body_size > self._limits.body:
            self._refuse_here(self._too_large())
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._ignores_upgrade:
            return  # comes once more, without the Upgrade header: see _after_upgrade
        method = self._parser.get_method().decode("ascii")
        request = Request(
            method=method,
            target=self._url.decode("latin-1"),
            headers=tuple(self._headers),
            body=b"".join(self._body),
            peer=self._peer,
        )
        self._body = []
        self._queue.append(request)
        if self._parser.should_upgrade():
            self._phase = _Phase.HANDOVER
            self._deadline = None
        elif self._close_after:
            self._phase = _Phase.LAST
            self._deadline = None
        else:
            self._phase = _Phase.IDLE
            self._deadline = None  # set when everything in the queue is answered

    # Reading.

    def _values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self._headers if key == name]

    def _upgrade_is_known(self) -> bool:
        upgrade = b",".join(self._values(b"upgrade")).strip().lower()
        return upgrade in self._server.upgrades and self._parser.get_method() == b"GET"

    def _feed(self, data: memoryview) -> memoryview:
        """Parse; returns what the parser did not get to."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if not self._ignores_upgrade:
                self._tail = bytes(rest)
                return memoryview(b"")
            # An Upgrade that is not ours is ignored, as it should be (RFC 9110, 7.8). llhttp cannot be told to go on as
            # if it were not there (a Java client offers h2c on every request): the head is parsed again without it.
            head = [
                b"%s %s HTTP/%s\r\n" % (self._parser.get_method(), self._url, self._parser.get_http_version().encode())
            ]
            head += [b"%s: %s\r\n" % (name, value) for name, value in self._headers if name != b"upgrade"]
            self._parser = httptools.HttpRequestParser(self)
            self._feed(memoryview(b"".join(head) + b"\r\n"))
            return rest
        except httptools.HttpParserError as error:
            if self._phase is not _Phase.LAST:
                self._refuse(self._server.refuse(400, f"This is not HTTP/1.1 as it should be: {error}."))
        return memoryview(b"")

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.head:
            self._refuse_here(self._server.refuse(431, "The headers are too large."))

    def _too_large(self) -> Response:
        return self._server.refuse(413, f"The body is larger than {self._limits.body} bytes.")

    def _refuse(self, response: Response) -> None:
        self._queue.append(response)
        self._phase = _Phase.LAST
        self._deadline = None

    def _refuse_here(self, response: Response) -> None:
        """Refuse out of a parser's callback."""
        self._refuse(response)
        raise _Refused

    def _pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    # Answering.

    def _pump(self) -> None:
        if self._task is None and self._queue:
            self._task = asyncio.get_running_loop().create_task(self._serve())
        elif self._task is None:
            self._say_continue()
        elif self._queue and self._phase is not _Phase.LAST:
            self._pause_reading()  # a pipelining client waits until its first requests are answered

    async def _serve(self) -> None:
        try:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, Response):
                    self._write(item, close=True)
                    self._linger()
                    return
                response = await self._server.answer(item)
                if self._lost:
                    return
                if response.session is not None:
                    self._write(response, close=False)
                    await self._hand_over(response.session)
                    return
                last = response.close or self._server.closing or (self._takes_no_more() and not self._queue)
                self._write(response, close=last, head_only=item.method == "HEAD")
                if last:
                    self._linger()
                    return
                await self._drain()
            if self._eof:
                self._transport.close()
                return
            if self._phase is _Phase.IDLE:
                self._deadline = time.monotonic() + self._limits.idle_timeout_s
            self._say_continue()
            self._resume_reading()
        finally:
            self._task = None
            self._leave_when_done()

    def _write(self, response: Response, *, close: bool, head_only: bool = False) -> None:
        if self._transport.is_closing():
            return
        status = HTTPStatus(response.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Date: {self._server.date()}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if response.session is None:
            lines += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
            if close:
                lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self._transport.write(head if head_only else head + response.body)

    def _takes_no_more(self) -> bool:
        return self._phase in {_Phase.LAST, _Phase.HANDOVER}

    async def _drain(self) -> None:
        if self._writable is not None:
            self._write_deadline = time.monotonic() + self._limits.write_timeout_s
            await self._writable
            self._write_deadline = None

    def _release_writer(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _say_continue(self) -> None:
        """100 Continue, in its turn: only when nothing that was asked before is still to be answered."""
        if self._continue_due and self._phase is _Phase.BODY and not self._transport.is_closing():
            self._continue_due = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _linger(self) -> None:
        """Close our side; closing the whole at once would reset the connection while the client still sends."""
        self._phase = _Phase.LAST
        self._queue.clear()
        if self._transport.is_closing():
            return
        if self._eof or self._server.closing:
            self._transport.close()
            return
        self._deadline = time.monotonic() + self._limits.linger_s
        self._transport.write_eof()
        self._resume_reading()

    async def _hand_over(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=256 * 1024, loop=loop)
        protocol = _Streams(reader, loop, self._after_session)
        self._session_runs = True
        self._deadline = None
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._tail:
            reader.feed_data(self._tail)
        if self._eof:
            reader.feed_eof()
        self._resume_reading()
        writer = asyncio.StreamWriter(self._transport, protocol, reader, loop)
        try:
            await session(reader, writer)
        except Exception:
            log.exception("Unexpected error in an upgraded connection")
        finally:
            writer.close()

    def _after_session(self) -> None:
        self._lost = True
        self._leave_when_done()

    # Ending.

    def expire(self, now: float) -> None:
        """Called about once a second."""
        if self._write_deadline is not None and now >= self._write_deadline:
            self._transport.abort()
            return
        if self._deadline is None or now < self._deadline:
            return
        self._deadline = None
        if self._phase is _Phase.LAST:
            self._transport.abort()
        elif self._phase in {_Phase.HEAD, _Phase.BODY}:
            self._refuse(self._server.refuse(408, "The request took too long to arrive."))
            self._pump()
        else:
            self._transport.close()

    def wind_down(self) -> None:
        """The server closes: end when what is in flight is answered."""
        if self._session_runs and self._task is not None:
            self._task.cancel()
        elif self._task is None:
            self._transport.close()

    def cut_off(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    def _leave_when_done(self) -> None:
        if self._lost and self._task is None:
            self._server.leave(self)


class _Streams(asyncio.StreamReaderProtocol):
    """A stream protocol that says when the connection is gone."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        super().__init__(reader, loop=loop)
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost()
