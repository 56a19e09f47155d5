"""What BuildKit says while it builds: its StatusResponse messages, read without a protobuf library. Pure."""

import base64
from collections.abc import Iterator
from typing import Any

from engine.model.base import Value

TRACE, IMAGE_ID = "moby.buildkit.trace", "moby.image.id"


class Vertex(Value, frozen=True, kw_only=True):
    """The state of one step of the graph."""

    id: str
    name: str
    """"[build 3/7] RUN …"."""
    cached: bool = False
    started: bool = False
    completed: bool = False
    error: str = ""


class Output(Value, frozen=True, kw_only=True):
    """A piece of a step's output, as it came: not always whole lines."""

    vertex_id: str
    data: bytes


def events(message: dict[str, Any]) -> Iterator[Vertex | Output]:
    """What one JSON message of a build says; nothing for one that is no trace. Raises ValueError for a broken one."""
    if message.get("id") != TRACE or not isinstance(message.get("aux"), str):
        return
    for number, value in _fields(base64.b64decode(message["aux"])):
        if number == 1 and isinstance(value, bytes):
            yield _vertex(value)
        elif number == 3 and isinstance(value, bytes):
            yield _output(value)


def _vertex(data: bytes) -> Vertex:
    texts: dict[int, str] = {}
    cached = False
    times: set[int] = set()
    for number, value in _fields(data):
        if number in (1, 3, 7) and isinstance(value, bytes):
            texts[number] = value.decode("utf-8", "replace")
        elif number == 4:
            cached = bool(value)
        elif number in (5, 6):
            times.add(number)
    return Vertex(
        id=texts.get(1, ""),
        name=texts.get(3, ""),
        cached=cached,
        started=5 in times,
        completed=6 in times,
        error=texts.get(7, ""),
    )


def _output(data: bytes) -> Output:
    vertex_id, text = "", b""
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            vertex_id = value.decode("utf-8", "replace")
        elif number == 4 and isinstance(value, bytes):
            text = value
    return Output(vertex_id=vertex_id, data=text)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number and value, bytes for those with a length."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
        elif kind == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise ValueError("a field of the build's trace is cut off")
            yield number, data[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("the build's trace is no protobuf")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("the build's trace is cut off")
