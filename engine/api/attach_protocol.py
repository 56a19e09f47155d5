"""What an attached screen and the engine say to each other: the callable methods and the frames, for both sides.

A frame is four bytes of length (big-endian) and one msgpack value. The client numbers its calls and watches; both
share one number space. A watch has a window: the server sends at most as many items as the client has granted.
"""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from engine import __version__
from engine.model.actions.table import ACTIONS
from engine.model.audit import AuditChange, AuditQuery
from engine.model.base import Request, Value
from engine.model.log import LogBatch, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
)

PROTOCOL = 2
"""Grows when frames or methods change their meaning."""
VERSION = __version__
PATH = "/attach"
UPGRADE = "homerun-attach"
FRAME_MAX = 64 * 1024 * 1024
"""A page of long log lines fits many times over; more is a mistake."""
WINDOW = 16
"""Items that a watch may have under way to its client."""
WINDOW_MAX = 1024
OPEN_MAX = 1024
"""Calls and watches that one client may have open at a time."""

R = TypeVar("R")


class Method(Value, Generic[R], frozen=True, kw_only=True):
    """A method of EngineApi: the types of its arguments and of what it returns (for a watch: of each item)."""

    name: str
    arguments: Any = tuple[()]
    """A tuple type, one member for each argument."""
    result: type[R]
    mutates: bool = False
    """Once begun it is finished, even when the client goes away."""


ACTION_METHODS: Mapping[type[Request[Any]], Method[Any]] = {
    shape: Method(
        name=f"{action.api}.{action.name}",
        arguments=tuple[shape],  # type: ignore[valid-type]
        result=action.response,
        mutates=action.mutates,
    )
    for shape, action in ACTIONS.items()
}
"""Actions are called by their names; the rest by the names of EngineApi's methods."""

INFO = Method(name="info", result=EngineInfo)
INSPECT_SOURCE = Method(name="inspect_source", arguments=tuple[InspectSourceRequest], result=InspectSourceResponse)
QUERY_LOGS = Method(name="query_logs", arguments=tuple[LogQuery], result=LogPage)
QUERY_METRICS = Method(name="query_metrics", arguments=tuple[MetricQuery], result=MetricAnswer)

WATCH_SERVICES = Method(name="watch_services", result=ServicesChange)
WATCH_OPERATIONS = Method(name="watch_operations", arguments=tuple[str], result=OperationsChange)
WATCH_LOGS = Method(name="watch_logs", arguments=tuple[LogSelector, int], result=LogBatch)
WATCH_AUDIT = Method(name="watch_audit", arguments=tuple[AuditQuery], result=AuditChange)

CALLS: Mapping[str, Method[Any]] = {
    method.name: method for method in (*ACTION_METHODS.values(), INFO, INSPECT_SOURCE, QUERY_LOGS, QUERY_METRICS)
}
"""Everything that can be called."""

WATCHES: Mapping[str, Method[Any]] = {
    method.name: method for method in (WATCH_SERVICES, WATCH_OPERATIONS, WATCH_LOGS, WATCH_AUDIT)
}
"""Everything that can be watched."""


class Call(Value, frozen=True, kw_only=True, tag="call", array_like=True):
    id: int
    method: str
    arguments: msgspec.Raw


class Watch(Value, frozen=True, kw_only=True, tag="watch", array_like=True):
    id: int
    method: str
    arguments: msgspec.Raw
    window: int = WINDOW


class More(Value, frozen=True, kw_only=True, tag="more", array_like=True):
    """The client took `count` items of a watch and has room for as many again."""

    id: int
    count: int


class Cancel(Value, frozen=True, kw_only=True, tag="cancel", array_like=True):
    """The client no longer wants the answer, or closes the watch. Nothing more is sent for this number."""

    id: int


class Hello(Value, frozen=True, kw_only=True, tag="hello", array_like=True):
    """First frame from the server."""

    protocol: int
    version: str


class Result(Value, frozen=True, kw_only=True, tag="result", array_like=True):
    id: int
    value: msgspec.Raw


class Opened(Value, frozen=True, kw_only=True, tag="opened", array_like=True):
    """The watch is registered: nothing that happens from now on is missed."""

    id: int


class Item(Value, frozen=True, kw_only=True, tag="item", array_like=True):
    id: int
    value: msgspec.Raw


class Ended(Value, frozen=True, kw_only=True, tag="ended", array_like=True):
    """The watch has come to its end."""

    id: int


class Refused(Value, frozen=True, kw_only=True, tag="refused", array_like=True):
    """The call or watch ended with an EngineError."""

    id: int
    code: str
    message: str


ClientFrame = Call | Watch | More | Cancel
ServerFrame = Hello | Result | Opened | Item | Ended | Refused

CLIENT_FRAMES: msgspec.msgpack.Decoder[ClientFrame] = msgspec.msgpack.Decoder(ClientFrame)
SERVER_FRAMES: msgspec.msgpack.Decoder[ServerFrame] = msgspec.msgpack.Decoder(ServerFrame)
_ENCODER = msgspec.msgpack.Encoder()

F = TypeVar("F")


class FrameError(Exception):
    """The other side does not keep to the protocol."""


def pack(value: object) -> msgspec.Raw:
    return msgspec.Raw(_ENCODER.encode(value))


def unpack(raw: msgspec.Raw, shape: Any) -> Any:
    """Raises msgspec.ValidationError."""
    return _decoder(shape).decode(raw)


def encode_frame(frame: ClientFrame | ServerFrame) -> bytes:
    """Raises FrameError for one that is too large to send."""
    body = _ENCODER.encode(frame)
    if len(body) > FRAME_MAX:
        raise FrameError(f"A frame of {len(body)} bytes is larger than {FRAME_MAX}.")
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[F]) -> F | None:
    """The next frame; None when the other side has closed. Raises FrameError for anything that is no frame."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > FRAME_MAX:
            raise FrameError(f"A frame of {size} bytes is larger than {FRAME_MAX}.")
        body = await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"Not a frame: {error}") from error


@lru_cache(maxsize=128)
def _decoder(shape: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(shape)
