"""The control socket's frames: a 4-byte big-endian length, then one msgpack message of engine.edge.table."""

import msgspec

from engine.edge.table import Hello, Report, RoutingTable, Stop

MAX_FRAME = 64 * 1024 * 1024
"""Bytes; a table of ten thousand routes is about two million."""

_encoder = msgspec.msgpack.Encoder()
_to_edge: msgspec.msgpack.Decoder[RoutingTable | Stop] = msgspec.msgpack.Decoder(RoutingTable | Stop)
_to_engine: msgspec.msgpack.Decoder[Hello | Report] = msgspec.msgpack.Decoder(Hello | Report)


class WireError(Exception):
    """The other side sent something that is no frame of this protocol."""


def frame(message: RoutingTable | Stop | Hello | Report) -> bytes:
    """One message as it goes over the socket."""
    payload = _encoder.encode(message)
    return len(payload).to_bytes(4, "big") + payload


def to_edge(payload: bytes) -> RoutingTable | Stop:
    """A message from the engine. Raises WireError."""
    try:
        return _to_edge.decode(payload)
    except msgspec.MsgspecError as error:
        raise WireError(f"The engine sent a message that the edge does not understand: {error}") from error


def to_engine(payload: bytes) -> Hello | Report:
    """A message from the edge. Raises WireError."""
    try:
        return _to_engine.decode(payload)
    except msgspec.MsgspecError as error:
        raise WireError(f"The edge sent a message that the engine does not understand: {error}") from error


class Frames:
    """Cuts a byte stream into payloads; keeps the unfinished rest."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes, in order. Raises WireError for a length beyond MAX_FRAME."""
        buffer = self._buffer
        buffer += data
        payloads: list[bytes] = []
        start = 0
        while len(buffer) - start >= 4:
            size = int.from_bytes(buffer[start : start + 4], "big")
            if size > MAX_FRAME:
                raise WireError(f"A frame of {size} bytes is longer than the {MAX_FRAME} allowed.")
            end = start + 4 + size
            if len(buffer) < end:
                break
            payloads.append(bytes(buffer[start + 4 : end]))
            start = end
        del buffer[:start]
        return payloads
