"""A client's connection: parses requests, lets them have their turn one after the other, and watches the clock."""

import asyncio
import logging
import socket
import struct
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from engine.edge.exchange import Exchange
from engine.edge.flow import PEER, PIPELINE, FlowControl
from engine.edge.framing import CHUNKED, NONE
from engine.edge.problem import Problem, Refused
from engine.edge.request import MAX_HEAD, SPECIAL, Request

if TYPE_CHECKING:
    from engine.edge.server import Edge

HEADER_TIMEOUT_S = 15.0
"""From a connection's or a request's first byte to the end of its headers."""
IDLE_TIMEOUT_S = 75.0
"""Between requests; nginx's default."""
LINGER_S = 2.0
"""How long what a refused client still sends is read and dropped, so that it gets to see the answer."""
CLOSE_S = 30.0
"""How long a client may take to read the rest of its last answer."""
SLICE = 64 * 1024
"""Bytes parsed at a time: bounds how many pipelined requests wait in memory."""

_LINGER_ZERO = struct.pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class Downstream(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_advancing",
        "_backlog",
        "_closing",
        "_deaf",
        "_head_timed",
        "_parser",
        "_pending",
        "_primed",
        "_queue",
        "_reading",
        "_request",
        "_serving",
        "_upgraded",
        "_write_paused",
        "deadline",
        "edge",
        "flow",
        "loop",
        "peer",
        "peer_lines",
        "transport",
    )

    transport: asyncio.Transport
    flow: FlowControl

    def __init__(self, edge: "Edge", loop: asyncio.AbstractEventLoop) -> None:
        self.edge = edge
        self.loop = loop
        self.deadline = 0.0
        """Monotonic second at which `expire` is due."""
        self.peer = self.peer_lines = b""
        self._parser = HttpRequestParser(self)
        self._request: Request | None = None
        """The one whose head is coming in."""
        self._reading: Exchange | None = None
        """The one whose body is coming in."""
        self._serving: Exchange | None = None
        """The one whose turn it is."""
        self._queue: deque[Exchange] = deque()
        """Those that came in the same piece of data; their turn comes in order."""
        self._backlog: deque[bytes] = deque()
        """Data not parsed yet, because the request before has not been answered."""
        self._pending = 0
        """Bytes taken in since the parser last got ahead: the size of an unfinished head, or of endless trailers."""
        self._advancing = self._closing = self._deaf = self._head_timed = self._write_paused = False
        self._primed = self._upgraded = False

    @property
    def idle(self) -> bool:
        return self._serving is None and not self._queue

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self.flow = FlowControl(transport)
        name = transport.get_extra_info("peername")
        self.peer = name[0].encode() if name else b"unknown"
        self.peer_lines = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: http" % self.peer
        self.deadline = monotonic() + HEADER_TIMEOUT_S
        self.edge.downstreams.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.edge.downstreams.discard(self)
        self._closing = True
        self._leave()
        del self._parser  # the parser and this object hold each other

    def eof_received(self) -> None:
        """A client that has closed its side wants no answer any more: HTTP has no use for half-open connections."""
        self._leave()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._serving is not self._reading or self._queue or self._backlog:
            self._backlog.append(data)
            self.flow.hold(PIPELINE)
            return
        self._take(data)
        self._advance()

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._serving is not None:
            self._serving.hold_instance()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._serving is not None:
            self._serving.release_instance()
        else:
            self._advance()

    # What an exchange does with it

    def hold(self) -> None:
        """Read no more from the client for now."""
        self.flow.hold(PEER)

    def release(self) -> None:
        if self.flow.held(PEER):
            self.flow.release(PEER)
            if self._backlog:
                self.loop.call_soon(self._advance)

    def abort(self, *, reset: bool) -> None:
        """Drop the connection. A client that takes its end for the end of the answer must see a reset instead."""
        if reset:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.transport.abort()

    def end(self, exchange: Exchange) -> None:
        """The exchange is over: the next one's turn, or the end of the connection."""
        if exchange is not self._serving:
            return
        self._serving = None
        self.flow.release(PEER)
        if self._closing:
            return
        if not exchange.request.keep_alive:
            self._close(linger=not exchange.request.complete or exchange.refused is not None)
            return
        if self._request is None:
            self.deadline = monotonic() + IDLE_TIMEOUT_S
        else:
            self.deadline = monotonic() + HEADER_TIMEOUT_S
            self._head_timed = True
        if self._queue or self._backlog or self.flow.held(PIPELINE):
            self._advance()

    # What the edge does with it

    def expire(self) -> None:
        """The deadline has passed."""
        if self._closing:
            self.transport.abort()
        elif self._serving is not None:
            self._serving.expire()
        elif self._request is not None:
            self._refuse(Refused(Problem.REQUEST_STALLED))
            self._advance()
        else:
            self._close(linger=False)

    def close_if_idle(self) -> None:
        """The edge stops: a connection between requests goes at once, the others after their answer."""
        if self.idle and not self._closing:
            self._close(linger=False)

    # httptools

    def on_message_begin(self) -> None:
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        if self._request is not None:
            self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._request
        if request is None:
            return  # trailers end here
        key = name.lower()
        if key in SPECIAL:
            request.special.append((key, value))
        else:
            request.lines.append(name + b": " + value)

    def on_headers_complete(self) -> None:
        request = self._request
        if self._primed or request is None:
            self._request = None
            self._primed = False
            return
        if self._pending > MAX_HEAD and _size(request) > MAX_HEAD:
            raise Refused(Problem.HEADERS_TOO_LARGE)
        request.seal(self._parser)
        if self._parser.should_upgrade():
            # HTTP/2 is an offer that may be ignored, and Java's client makes it with every request.
            if request.upgrade != b"h2c":
                raise Refused(Problem.UPGRADE)
            self._upgraded = request.framing is not NONE
        self._request = None
        self._pending = 0
        self._head_timed = False
        self._reading = exchange = Exchange(self, request)
        self._queue.append(exchange)

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        if self._reading is not None:
            self._reading.add_body(body)

    def on_message_complete(self) -> None:
        reading = self._reading
        if reading is None or self._upgraded:
            return
        self._reading = None
        reading.request.complete = True
        if not reading.request.keep_alive:
            self._deaf = True

    # Private

    def _take(self, data: bytes) -> None:
        """Parse; what is complete enough is in the queue afterwards."""
        if len(data) > SLICE:
            self._backlog.extend(data[start : start + SLICE] for start in range(0, len(data), SLICE))
            data = self._backlog.popleft()
        self._pending += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            if not self._deaf:
                self._refuse(_refusal_of(error))
            return
        if self._pending > MAX_HEAD and not self._deaf:
            self._refuse(Refused(Problem.HEADERS_TOO_LARGE))
        elif self._request is not None and self._serving is None and not self._head_timed:
            self.deadline = monotonic() + HEADER_TIMEOUT_S
            self._head_timed = True

    def _advance(self) -> None:
        """Give the next exchange its turn. Never recurses: an exchange may end while it starts."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while not self._closing:
                serving = self._serving
                if serving is None:
                    if self._write_paused:
                        break
                    if self._queue:
                        self._serving = serving = self._queue.popleft()
                        serving.start()
                        continue
                else:
                    serving.pass_on()
                    if self._reading is not serving or self.flow.held(PEER):
                        break
                if not self._backlog:
                    self.flow.release(PIPELINE)
                    break
                self._take(self._backlog.popleft())
        finally:
            self._advancing = False

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on as if no upgrade had been offered. The parser takes no body after an offer, so a new one, told how
        the body is framed, goes on from there.
        """
        if rest:
            self._backlog.appendleft(rest)
        if not self._upgraded or self._reading is None:
            return
        self._upgraded = False
        self._primed = True
        request = self._reading.request
        self._parser = HttpRequestParser(self)
        framing = (
            b"Transfer-Encoding: chunked" if request.framing is CHUNKED else b"Content-Length: %d" % request.length
        )
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")

    def _refuse(self, refused: Refused) -> None:
        """Nothing more is read from this client; it learns why when its turn comes."""
        self._deaf = True
        self._backlog.clear()
        reading = self._reading
        if reading is not None:
            self._reading = None
            reading.break_off(refused)
        else:
            self._queue.append(Exchange(self, self._request or Request(), refused))
            self._request = None

    def _leave(self) -> None:
        """The client has gone; nobody waits for answers."""
        self._closing = self._deaf = True
        self._queue.clear()
        self._backlog.clear()
        if self._serving is not None:
            self._serving.abandon()

    def _close(self, *, linger: bool) -> None:
        """End the connection after what is being sent. Closing with unread data would destroy it on its way."""
        self._closing = self._deaf = True
        self._queue.clear()
        self._backlog.clear()
        transport = self.transport
        if transport.is_closing():
            return
        sending = transport.get_write_buffer_size() > 0
        self.deadline = monotonic() + (LINGER_S if linger and not sending else CLOSE_S)
        if linger:
            self.flow.release(PIPELINE)
            self.flow.release(PEER)
            transport.write_eof()
        else:
            transport.close()


def _size(request: Request) -> int:
    """Bytes of a request's head, line ends included."""
    special = sum(len(name) + len(value) + 4 for name, value in request.special)
    return len(request.target) + sum(len(line) + 2 for line in request.lines) + special


def _refusal_of(error: HttpParserError) -> Refused:
    """What a parser's error comes to: our own refusal in a callback, a bug there, or bytes that are no HTTP."""
    if not isinstance(error, HttpParserCallbackError):
        return Refused(Problem.BAD_REQUEST, f"The request is not valid HTTP: {error}.")
    cause = error.__context__
    if isinstance(cause, Refused):
        return cause
    _log.error("A callback of the request parser failed", exc_info=cause)
    return Refused(Problem.INTERNAL)
