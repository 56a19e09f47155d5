"""How a message's body is delimited, decided in this one place for requests and responses, inwards and outwards."""

from collections.abc import Sequence
from enum import IntEnum

from engine.edge.problem import Problem, Refused

LAST_CHUNK = b"0\r\n\r\n"


class Framing(IntEnum):
    NONE = 0
    """No body at all."""
    LENGTH = 1
    """Content-Length bytes."""
    CHUNKED = 2
    CLOSE = 3
    """The connection's end ends the body; responses only."""


NONE, LENGTH, CHUNKED, CLOSE = Framing
"""The members by themselves: reaching them through the class takes ten times as long, on every request."""


def request_framing(lengths: Sequence[bytes], codings: Sequence[bytes], *, http11: bool) -> tuple[Framing, int]:
    """How the body of a request is delimited, and its length in bytes where that is known.

    Raises Refused for whatever two servers could understand differently.
    """
    if codings:
        if lengths:
            raise Refused(Problem.BAD_REQUEST, "The request has both Content-Length and Transfer-Encoding.")
        if not http11:
            raise Refused(Problem.BAD_REQUEST, "An HTTP/1.0 request cannot have a Transfer-Encoding.")
        if len(codings) > 1 or codings[0].strip().lower() != b"chunked":
            raise Refused(Problem.TRANSFER_CODING)
        return CHUNKED, 0
    if lengths:
        return LENGTH, _length(lengths)
    return NONE, 0


def response_framing(
    status: int, lengths: Sequence[bytes], codings: Sequence[bytes], *, head: bool
) -> tuple[Framing, int | None]:
    """How an instance's response is delimited, and the Content-Length it gave (also where no body follows).

    Raises Refused for an ambiguous or unknown framing.
    """
    length = _length(lengths) if lengths else None
    if codings and (length is not None or len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
        raise Refused(Problem.BAD_ANSWER)
    if head or status in {204, 304}:
        return NONE, length if status != 204 else None
    if codings:
        return CHUNKED, None
    if length is not None:
        return LENGTH, length
    return CLOSE, None


def framing_towards_client(framing: Framing, *, http11: bool) -> Framing:
    """How the same body is delimited towards the client: chunked where its length is not known and it can read that."""
    if framing in {NONE, LENGTH}:
        return framing
    return CHUNKED if http11 else CLOSE


def chunk(parts: Sequence[bytes]) -> bytes:
    """The parts as one chunk; nothing for no bytes, since an empty chunk would end the body."""
    size = sum(map(len, parts))
    return b"".join((b"%x\r\n" % size, *parts, b"\r\n")) if size else b""


def _length(values: Sequence[bytes]) -> int:
    digits = values[0].strip(b" \t")
    if len(values) > 1 or not digits.isdigit() or len(digits) > 18:
        raise Refused(Problem.BAD_REQUEST, "The Content-Length is not a single number.")
    return int(digits)
