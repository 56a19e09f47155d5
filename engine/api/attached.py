"""AttachedEngine: the engine of another process as if it were here, over its Unix socket."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import msgspec

from engine.api import attach_protocol as protocol
from engine.api.attach_protocol import (
    Call,
    Cancel,
    ClientFrame,
    Ended,
    FrameError,
    Hello,
    Item,
    Method,
    More,
    Opened,
    Refused,
    Result,
    ServerFrame,
    Watch,
)
from engine.model.audit import AuditChange, AuditQuery
from engine.model.base import R as Answer
from engine.model.base import Request
from engine.model.errors import EngineError, ErrorCode, HomerunError
from engine.model.log import LogBatch, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
)

R = TypeVar("R")

_CONNECT_TIMEOUT_S = 5.0
_GONE = "The engine has gone away."


class AttachMismatch(HomerunError):  # noqa: N818 - named for what it says
    """The running engine is of another version than this program."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"The engine that runs is Homerun {version}, this is {protocol.VERSION}: "
            "end it with `homerun stop` (services keep running) and start again."
        )
        self.version = version


class AttachedEngine:
    """Implements EngineApi. Methods raise EngineError as the engine does, ConnectionError when it has gone away."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._calls: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._streams: dict[int, _Stream[Any]] = {}
        self._gone = False
        self._listener = asyncio.create_task(self._listen(), name="attached engine")

    @classmethod
    async def connect(cls, socket: Path) -> Self:
        """Attach to the engine behind a socket.

        Raises ConnectionError when none answers there, AttachMismatch when it is of another version.
        """
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(str(socket))
                try:
                    await _shake_hands(reader, writer)
                except BaseException:
                    writer.close()
                    raise
        except TimeoutError as error:
            raise ConnectionError(f"The engine behind {socket} does not answer.") from error
        except OSError as error:
            raise ConnectionError(f"No engine answers at {socket}.") from error
        return cls(reader, writer)

    async def aclose(self) -> None:
        """Let go of the engine; whatever still waits gets a ConnectionError."""
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # EngineApi.

    async def call(self, request: Request[Answer]) -> Answer:
        answer: Answer = await self._call(protocol.ACTION_METHODS[type(request)], request)
        return answer

    async def info(self) -> EngineInfo:
        return await self._call(protocol.INFO)

    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse:
        return await self._call(protocol.INSPECT_SOURCE, request)

    async def query_logs(self, query: LogQuery) -> LogPage:
        return await self._call(protocol.QUERY_LOGS, query)

    async def query_metrics(self, query: MetricQuery) -> MetricAnswer:
        return await self._call(protocol.QUERY_METRICS, query)

    def watch_services(self) -> AbstractAsyncContextManager[AsyncIterator[ServicesChange]]:
        return self._watch(protocol.WATCH_SERVICES)

    def watch_operations(self, service_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[OperationsChange]]:
        return self._watch(protocol.WATCH_OPERATIONS, service_id)

    def watch_logs(
        self, selector: LogSelector, tail: int = 500
    ) -> AbstractAsyncContextManager[AsyncIterator[LogBatch]]:
        return self._watch(protocol.WATCH_LOGS, selector, tail)

    def watch_audit(self, query: AuditQuery) -> AbstractAsyncContextManager[AsyncIterator[AuditChange]]:
        return self._watch(protocol.WATCH_AUDIT, query)

    # How.

    async def _call(self, method: Method[R], *arguments: object) -> R:
        number = self._next_number()
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        frame = Call(id=number, method=method.name, arguments=protocol.pack(arguments))
        self._calls[number] = answer
        try:
            await self._send(frame)
            raw = await answer
        except asyncio.CancelledError:
            self._tell(Cancel(id=number))
            raise
        finally:
            del self._calls[number]
        return _understand(method, raw)

    @asynccontextmanager
    async def _watch(self, method: Method[R], *arguments: object) -> AsyncIterator[AsyncIterator[R]]:
        number = self._next_number()
        stream = _Stream(method, lambda count: self._tell(More(id=number, count=count)))
        self._streams[number] = stream
        try:
            await self._send(Watch(id=number, method=method.name, arguments=protocol.pack(arguments)))
            await stream.opened
            yield stream
        finally:
            del self._streams[number]
            stream.close()
            self._tell(Cancel(id=number))

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    async def _send(self, frame: ClientFrame) -> None:
        if self._gone:
            raise ConnectionError(_GONE)
        try:
            self._writer.write(protocol.encode_frame(frame))
            await self._writer.drain()
        except OSError as error:
            raise ConnectionError(_GONE) from error

    def _tell(self, frame: ClientFrame) -> None:
        """Send a small frame without waiting; nobody minds when the engine has gone."""
        if not self._gone:
            self._writer.write(protocol.encode_frame(frame))

    async def _listen(self) -> None:
        try:
            while (frame := await protocol.read_frame(self._reader, protocol.SERVER_FRAMES)) is not None:
                self._take(frame)
        except FrameError:
            pass  # ends as a lost connection: nothing that follows could be understood
        finally:
            self._gone = True
            self._writer.close()
            for answer in self._calls.values():
                if not answer.done():
                    answer.set_exception(ConnectionError(_GONE))
                    answer.exception()  # whoever waits gets it; nobody need wait
            for stream in self._streams.values():
                stream.end(ConnectionError(_GONE))

    def _take(self, frame: ServerFrame) -> None:
        if isinstance(frame, Hello):
            return
        answer, stream = self._calls.get(frame.id), self._streams.get(frame.id)
        match frame:
            case Result(value=value) if answer is not None and not answer.done():
                answer.set_result(value)
            case Refused() if answer is not None and not answer.done():
                answer.set_exception(_error(frame))
            case Opened() if stream is not None:
                stream.open()
            case Item(value=value) if stream is not None:
                stream.put(value)
            case Ended() if stream is not None:
                stream.end(None)
            case Refused() if stream is not None:
                stream.end(_error(frame))
            case _:
                pass  # an answer to what was cancelled meanwhile


class _Stream(Generic[R]):
    """The items of one watch. Takes what comes, grants more as they are read."""

    def __init__(self, method: Method[R], grant: Any) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._method = method
        self._grant = grant
        self._items: deque[msgspec.Raw] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._error: Exception | None = None
        self._taken = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        while not self._items:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        raw = self._items.popleft()
        self._taken += 1
        if self._taken >= protocol.WINDOW // 2:
            self._grant(self._taken)
            self._taken = 0
        return _understand(self._method, raw)

    def open(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)

    def put(self, raw: msgspec.Raw) -> None:
        self._items.append(raw)
        self._news.set()

    def end(self, error: Exception | None) -> None:
        self._ended = True
        self._error = error
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionError(_GONE))
            self.opened.exception()  # whoever waits gets it; nobody need wait
        self._news.set()

    def close(self) -> None:
        """Nobody reads any more."""
        self._items.clear()
        self.opened.cancel()
        self.end(None)


def _understand(method: Method[R], raw: msgspec.Raw) -> R:
    try:
        value: R = protocol.unpack(raw, method.result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EngineError(ErrorCode.INTERNAL, f"The answer of {method.name} cannot be understood: {error}") from error
    return value


def _error(frame: Refused) -> EngineError:
    try:
        code = ErrorCode(frame.code)
    except ValueError:
        code = ErrorCode.INTERNAL
    return EngineError(code, frame.message)


async def _shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for the upgrade and read the greeting. Raises ConnectionError or AttachMismatch."""
    lines = (
        f"GET {protocol.PATH} HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        f"Upgrade: {protocol.UPGRADE}",
        f"Homerun-Protocol: {protocol.PROTOCOL}",
        f"Homerun-Version: {protocol.VERSION}",
    )
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status == b"409":
            raise AttachMismatch(str(msgspec.json.decode(await reader.read()).get("version")))
        if status != b"101":
            raise ConnectionError("What answers there is no engine.")
        greeting = await protocol.read_frame(reader, protocol.SERVER_FRAMES)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, FrameError, ValueError, IndexError) as error:
        raise ConnectionError("What answers there is no engine.") from error
    if not isinstance(greeting, Hello):
        raise ConnectionError("What answers there is no engine.")
    if (greeting.protocol, greeting.version) != (protocol.PROTOCOL, protocol.VERSION):
        raise AttachMismatch(greeting.version)
