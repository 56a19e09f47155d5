"""Requests and responses as values, and what a client is allowed of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.model.base import Value

Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What takes a connection over after a 101. Its end closes the connection; cancelling ends it."""


class Limits(Value, frozen=True, kw_only=True):
    """What a client may send and how long it may take for it. Bytes and seconds."""

    connections: int = 256
    """At a time; one more is closed at once, so that strangers cannot take every file descriptor."""
    body: int = 1024 * 1024
    head: int = 32 * 1024
    """Request line and headers together; other servers allow 8 to 64 KiB."""
    headers: int = 100
    header_timeout_s: float = 15.0
    body_timeout_s: float = 60.0
    idle_timeout_s: float = 75.0
    write_timeout_s: float = 60.0
    """A client that does not read its answers is cut off after this long."""
    linger_s: float = 2.0
    """After a refusal the rest of the request is read and thrown away, so that the client gets to see the answer."""


class Request(Value, frozen=True, kw_only=True):
    """One whole request."""

    method: str
    target: str
    """Path and query as they were sent; always starts with "/"."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Names in lower case, in the order they came."""
    body: bytes = b""
    peer: str = ""
    """The client's address; "" on a Unix socket."""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.target}, {len(self.body)} bytes)"  # bodies carry environments

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: bytes) -> bytes | None:
        """All values of a header (its name in lower case) joined with commas; None when it was not sent."""
        found: bytes | None = None
        for key, value in self.headers:
            if key == name:
                found = value if found is None else found + b"," + value
        return found


class Response(Value, frozen=True, kw_only=True):
    """One whole answer. With `session` (and status 101) the connection is handed over to it."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    session: Session | None = None


Handler = Callable[[Request], Awaitable[Response]]


class Refuse(Protocol):
    """How a server words what it refuses by itself: status, sentence."""

    def __call__(self, status: int, sentence: str, *, close: bool = False) -> Response: ...


def text(status: int, sentence: str, *, close: bool = False) -> Response:
    return Response(status=status, body=f"{sentence}\n".encode(), close=close)
