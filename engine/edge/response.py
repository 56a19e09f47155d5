"""A response's head as it goes out to the client: hop-by-hop headers gone, framing and connection set anew."""

from collections.abc import Sequence
from http import HTTPStatus

from engine.edge.framing import CHUNKED, Framing

SPECIAL = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
    }
)
"""Headers that end at the edge. All others pass verbatim."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {
    (int(status), status.phrase.encode()): b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in HTTPStatus
}


def without_nominated(lines: list[bytes], connection: Sequence[bytes]) -> list[bytes]:
    """The header lines less those that a Connection header's values name."""
    nominated = {word.strip(b" \t") for value in connection for word in value.lower().split(b",")}
    nominated -= {b"close", b"keep-alive", b""}
    if not nominated:
        return lines
    return [line for line in lines if line.partition(b":")[0].lower() not in nominated]


def render_head(
    status: int,
    reason: bytes,
    lines: list[bytes],
    framing: Framing,
    length: int | None,
    *,
    http11: bool,
    keep_alive: bool,
) -> bytes:
    """The whole head. `framing` is the one towards the client; `length` is given with every framing that has it."""
    parts = [_STATUS_LINES.get((status, reason)) or b"HTTP/1.1 %d %b" % (status, reason), *lines]
    if length is not None:
        parts.append(b"Content-Length: %d" % length)
    elif framing is CHUNKED:
        parts.append(b"Transfer-Encoding: chunked")
    if not keep_alive:
        parts.append(b"Connection: close\r\n\r\n")
    elif http11:
        parts.append(b"\r\n")
    else:
        parts.append(b"Connection: keep-alive\r\n\r\n")
    return b"\r\n".join(parts)


def render_interim(status: int, reason: bytes, lines: list[bytes]) -> bytes:
    """A 1xx response, passed on to an HTTP/1.1 client."""
    return b"\r\n".join((b"HTTP/1.1 %d %b" % (status, reason), *lines, b"\r\n"))
