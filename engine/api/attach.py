"""The server's side of the attach socket: one session per screen, its calls and watches as tasks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, get_args

import msgspec

from engine.api.attach_protocol import (
    ACTION_METHODS,
    CALLS,
    CLIENT_FRAMES,
    OPEN_MAX,
    PATH,
    PROTOCOL,
    UPGRADE,
    VERSION,
    WATCHES,
    WINDOW_MAX,
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
    encode_frame,
    pack,
    read_frame,
    unpack,
)
from engine.api.message import Request, Response, text
from engine.model.api import HostedEngine
from engine.model.audit import Caller
from engine.model.base import Wire
from engine.model.constraints import explain
from engine.model.errors import EngineError, ErrorCode

log = logging.getLogger(__name__)

ATTACHED = Caller(user="screen", user_agent=f"homerun/{VERSION}")
"""Whoever may open the socket is the home's owner."""
_ACTIONS = frozenset(method.name for method in ACTION_METHODS.values())


def accept(request: Request, engine: HostedEngine) -> Response:
    """Answer `GET /attach`: 101 and a session, or why not."""
    if (request.header(b"upgrade") or b"").strip().lower() != UPGRADE.encode():
        return text(426, f"{PATH} is for screens that attach; it speaks {UPGRADE} only.")
    protocol, version = request.header(b"homerun-protocol"), request.header(b"homerun-version")
    if (protocol, version) != (str(PROTOCOL).encode(), VERSION.encode()):
        ours = msgspec.json.encode({"protocol": PROTOCOL, "version": VERSION})
        return Response(status=409, body=ours, content_type="application/json", close=True)

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Session(engine, reader, writer).run()

    return Response(status=101, headers=(("Upgrade", UPGRADE), ("Connection", "Upgrade")), session=session)


class _Session:
    """One attached client."""

    def __init__(self, engine: HostedEngine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._sending = asyncio.Lock()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._credits: dict[int, asyncio.Semaphore] = {}
        self._unstoppable: set[int] = set()

    async def run(self) -> None:
        """Serve until the client goes or this is cancelled; then no task of it is left."""
        try:
            await self._send(Hello(protocol=PROTOCOL, version=VERSION))
            while (frame := await read_frame(self._reader, CLIENT_FRAMES)) is not None:
                self._take(frame)
        except FrameError as error:
            log.warning("An attached client was cut off: %s", error)
        except ConnectionError:
            pass  # gone while something was sent
        finally:
            tasks = dict(self._tasks)
            for number, task in tasks.items():
                if number not in self._unstoppable:
                    task.cancel()
            # Calls that change something are finished for the client that asked, as they are over HTTP.
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _take(self, frame: ClientFrame) -> None:
        match frame:
            case More(id=number, count=count):
                credit = self._credits.get(number)
                for _ in range(min(count, WINDOW_MAX) if credit else 0):
                    credit.release()  # type: ignore[union-attr]
            case Cancel(id=number):
                if number in self._tasks and number not in self._unstoppable:
                    self._tasks[number].cancel()
            case Call() | Watch():
                self._start(frame)

    def _start(self, frame: Call | Watch) -> None:
        if frame.id in self._tasks:
            raise FrameError(f"number {frame.id} is in use")
        if len(self._tasks) >= OPEN_MAX:
            raise FrameError(f"more than {OPEN_MAX} calls and watches at a time")
        method = (CALLS if isinstance(frame, Call) else WATCHES).get(frame.method)
        if method is None:
            raise FrameError(f"there is no method {frame.method!r} to call or watch like this")
        if isinstance(frame, Watch):
            self._credits[frame.id] = asyncio.Semaphore(max(1, min(frame.window, WINDOW_MAX)))
        if method.mutates:
            self._unstoppable.add(frame.id)
        task = asyncio.create_task(self._run(frame, method), name=f"attached {method.name}")
        self._tasks[frame.id] = task
        task.add_done_callback(lambda _: self._forget(frame.id))

    def _forget(self, number: int) -> None:
        self._tasks.pop(number, None)
        self._credits.pop(number, None)
        self._unstoppable.discard(number)

    async def _run(self, frame: Call | Watch, method: Method[Any]) -> None:
        """One call or watch, from its arguments to its last frame."""
        try:
            last = await self._answer(frame, method)
        except EngineError as error:
            last = Refused(id=frame.id, code=error.code.value, message=error.message)
        except ConnectionError:
            return  # the client has gone; the session ends as well
        except Exception:
            log.exception("Unexpected error in %s for an attached client", method.name)
            last = _broken(frame.id, f"Something went wrong in {method.name}; the engine's log says what.")
        with contextlib.suppress(ConnectionError):
            try:
                await self._send(last)
            except (FrameError, UnicodeEncodeError) as error:
                log.warning("The answer of %s cannot be sent: %s", method.name, error)
                await self._send(_broken(frame.id, f"The answer of {method.name} cannot be sent: {error}"))

    async def _answer(self, frame: Call | Watch, method: Method[Any]) -> ServerFrame:
        try:
            arguments = unpack(frame.arguments, method.arguments)
        except (ValueError, RecursionError) as error:
            problem = _explain(frame, method) or f"{method.name} cannot be called like this: {error}"
            raise EngineError(ErrorCode.INVALID_REQUEST, problem) from error
        if method.name in _ACTIONS:
            (argument,) = arguments
            return Result(id=frame.id, value=pack(await self._engine.call(argument, caller=ATTACHED)))
        call = getattr(self._engine, method.name)
        if isinstance(frame, Watch):
            await self._relay(frame.id, call(*arguments))
            return Ended(id=frame.id)
        return Result(id=frame.id, value=pack(await call(*arguments)))

    async def _relay(self, number: int, watch: AbstractAsyncContextManager[AsyncIterator[Any]]) -> None:
        """Send items while the client has room. Without room the iterator is left alone: the engine merges there."""
        credit = self._credits[number]
        async with watch as items:
            await self._send(Opened(id=number))
            while True:
                await credit.acquire()
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
                await self._send(Item(id=number, value=pack(item)))

    async def _send(self, frame: ServerFrame) -> None:
        data = encode_frame(frame)
        async with self._sending:
            self._writer.write(data)
            await self._writer.drain()


def _explain(frame: Call | Watch, method: Method[Any]) -> str | None:
    """What is wrong with the request of an App Runner action, in the API's words; None for other methods."""
    shapes = get_args(method.arguments)
    values: object = None
    with contextlib.suppress(ValueError, RecursionError):
        values = msgspec.msgpack.decode(frame.arguments)
    if len(shapes) == 1 and issubclass(shapes[0], Wire) and isinstance(values, list) and len(values) == 1:
        return explain(values[0], shapes[0])
    return None


def _broken(number: int, message: str) -> Refused:
    return Refused(id=number, code=ErrorCode.INTERNAL.value, message=message)
