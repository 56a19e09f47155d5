"""A connection to an instance: parses responses and hands them to the exchange that it serves."""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser

from engine.edge.flow import PEER, FlowControl
from engine.edge.framing import (
    CHUNKED,
    CLOSE,
    LAST_CHUNK,
    NONE,
    Framing,
    chunk,
    framing_towards_client,
    response_framing,
)
from engine.edge.problem import Problem, Refused
from engine.edge.response import SPECIAL, render_head, render_interim, without_nominated

if TYPE_CHECKING:
    from engine.edge.exchange import Exchange
    from engine.edge.target import Target

MAX_HEAD = 256 * 1024
"""Bytes of a response's head, or of anything else that is no body; generous: the application is the user's own."""


_log = logging.getLogger(__name__)


class Upstream(asyncio.Protocol):
    """Serves one exchange at a time, and waits idle in its target's pool in between."""

    __slots__ = (
        "_codings",
        "_complete",
        "_connection",
        "_exchange",
        "_framing",
        "_head",
        "_in_head",
        "_interim",
        "_lengths",
        "_lines",
        "_parser",
        "_parts",
        "_pending",
        "_reason",
        "_received",
        "_reusable",
        "_target",
        "flow",
        "idle_since",
        "transport",
    )

    transport: asyncio.Transport
    flow: FlowControl

    def __init__(self, target: "Target") -> None:
        self.idle_since = 0.0
        self._target = target
        self._exchange: Exchange | None = None
        self._parser = HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._lines: list[bytes] = []
        self._connection: list[bytes] = []
        self._lengths: list[bytes] = []
        self._codings: list[bytes] = []
        self._reason = b""
        self._head = b""
        self._framing: Framing = NONE
        self._received: Framing = NONE
        self._pending = 0
        """Bytes taken in since the parser last got ahead."""
        self._complete = self._reusable = self._interim = self._in_head = False

    # What the exchange does with it.

    def serve(self, exchange: "Exchange", head: bytes) -> None:
        """Send a request, or the beginning of one. Its response goes to the exchange."""
        self._exchange = exchange
        self._complete = False
        self._reusable = False
        self._pending = 0
        self.transport.write(head)

    def detach(self) -> None:
        """The exchange is over for this connection; what still comes belongs to nobody."""
        self._exchange = None
        self.flow.release(PEER)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self.flow = FlowControl(transport)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.transport.abort()  # nothing was asked for
            return
        self._pending += len(data)
        broken = False
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            broken = True
        except HttpParserError as error:
            broken = True
            if isinstance(error, HttpParserCallbackError) and not isinstance(error.__context__, Refused):
                _log.error("A callback of the response parser failed", exc_info=error.__context__)
        if self._pending > MAX_HEAD:
            broken = True
        if self._head or self._parts or self._complete:
            output = self._take_output()
            if output:
                exchange.write(output)
        if self._complete:
            exchange.finish(reusable=self._reusable and not broken)
        elif broken:
            exchange.lose(Problem.BAD_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        del self._parser  # the parser and this object hold each other
        exchange = self._exchange
        if exchange is None:
            self._target.forget(self)
        elif self._received is CLOSE and exc is None and exchange.responding:
            if self._framing is CHUNKED:
                exchange.write(LAST_CHUNK)
            exchange.finish(reusable=False)
        else:
            exchange.lose(Problem.NO_ANSWER)

    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.hold_client()

    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.release_client()

    # httptools

    def on_message_begin(self) -> None:
        self._in_head = True
        if self._complete:
            raise Refused(Problem.BAD_ANSWER)  # a second response; the connection is not used again
        self._lines = []
        self._connection.clear()
        self._lengths.clear()
        self._codings.clear()
        self._reason = b""
        self._received = NONE

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # trailers end here
        key = name.lower()
        if key not in SPECIAL:
            self._lines.append(name + b": " + value)
        elif key == b"content-length":
            self._lengths.append(value)
        elif key == b"connection":
            self._connection.append(value)
        elif key == b"transfer-encoding":
            self._codings.append(value)

    def on_headers_complete(self) -> None:
        if self._pending > MAX_HEAD and sum(map(len, self._lines)) > MAX_HEAD:
            raise Refused(Problem.BAD_ANSWER)
        self._pending = 0
        self._in_head = False
        exchange = self._exchange
        if exchange is None:
            return
        status = self._parser.get_status_code()
        lines = self._lines
        if self._connection:
            lines = without_nominated(lines, self._connection)
        if status < 200:
            self._interim = True
            if status == 101 or status < 100:
                raise Refused(Problem.BAD_ANSWER)
            if status != 100 and exchange.http11:
                exchange.write(render_interim(status, self._reason, lines))
            return
        self._interim = False
        head = exchange.is_head
        self._received, length = response_framing(status, self._lengths, self._codings, head=head)
        self._framing = framing_towards_client(self._received, http11=exchange.http11)
        keep_alive = exchange.respond(status, self._framing)
        self._head = render_head(
            status, self._reason, lines, self._framing, length, http11=exchange.http11, keep_alive=keep_alive
        )
        if head:
            # The parser does not know that no body follows, so it is done with whatever it expects.
            self._complete = True
            self._reusable = self._parser.should_keep_alive()
            self._parser = HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self._pending = 0
        if self._complete:
            self._reusable = False
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._interim or self._complete:
            return
        self._complete = True
        self._reusable = self._parser.should_keep_alive()

    # Private

    def _take_output(self) -> bytes:
        """What goes to the client now, in one piece."""
        head, parts = self._head, self._parts
        self._head = b""
        self._parts = []
        if self._framing is CHUNKED:
            return b"".join((head, chunk(parts), LAST_CHUNK if self._complete else b""))
        if not head and len(parts) == 1:
            return parts[0]
        return b"".join((head, *parts))
