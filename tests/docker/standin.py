"""What stands in an engine's place on a Unix socket, for what a real one cannot be made to do on request."""

import asyncio
import contextlib
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engine.compute.docker.http import Endpoint, exchange

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Components": [{"Name": "Engine"}]}


class Call:
    """One request as the engine got it."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.version, _, path = parts.path.removeprefix("/v").partition("/")
        self.path = f"/{path}" if parts.path.startswith("/v1") else parts.path
        self.method = method
        self.query = dict(parse_qsl(parts.query))
        self.headers = headers
        self.body = body

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


Send = Callable[[bytes], Awaitable[None]]
Answer = Any
"""JSON to answer; a pair of status and JSON; or `async def answer(call, send)` that sends a stream."""


class FakeEngine:
    """Answers what `answers` says for "GET /info" and the like; everything else is not found."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {"GET /version": VERSION}
        self.calls: list[Call] = []
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(path=str(self.path))

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Nobody answers any more, and what was under way is cut off."""
        if self._server:
            self._server.close()
            for task in self._handlers:
                task.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)
            self.path.unlink(missing_ok=True)
            self._server = None

    def called(self, what: str) -> list[Call]:
        return [call for call in self.calls if str(call) == what]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._handlers.add(task)
        try:
            # Of a handler that was cancelled asyncio would complain.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                call = await read_call(reader)
                self.calls.append(call)
                await self._answer(call, writer)
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> None:
        answer = self.answers.get(str(call), (404, {"message": f"page not found: {call}"}))
        if callable(answer):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

            async def send(data: bytes) -> None:
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await writer.drain()

            await answer(call, send)
            writer.write(b"0\r\n\r\n")
            return
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        data = b"" if body is None else json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(data), data))


async def read_call(reader: "asyncio.StreamReader | _Joined") -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Call(method, target, headers, body)


class NewerEngine:
    """A real engine as a newer one would show itself: API 1.44 to 1.52, without what those do not send any more."""

    OLDEST, NEWEST, REAL = "1.44", "1.52", "1.41"

    def __init__(self, path: Path, real: str) -> None:
        self.address = f"unix://{path}"
        self.calls: list[str] = []
        self._path, self._real = path, Endpoint(path=real.removeprefix("unix://"))
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._handlers.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode()
                rest = asyncio.StreamReader()
                rest.feed_data(head)
                call = await read_call(_Joined(rest, reader))
                self.calls.append(str(call))
                await self._pass_on(call, target, writer)
        finally:
            self._handlers.discard(task)
            writer.close()

    async def _pass_on(self, call: Call, target: str, writer: asyncio.StreamWriter) -> None:
        if target.startswith("/v1.") and not target.startswith(f"/v{self.OLDEST}/"):
            data = b'{"message":"client version is too old. Minimum supported API version is 1.44"}'
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
            return
        target = target.replace(f"/v{self.OLDEST}/", f"/v{self.REAL}/", 1)
        dropped = {"host", "connection", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in call.headers.items() if name not in dropped}
        body = io.BytesIO(call.body) if len(call.body) > 1 << 20 else call.body
        async with exchange(self._real, call.method, target, headers=headers, body=body) as response:
            writer.write(f"HTTP/1.1 {response.status} X\r\n".encode())
            if response.status in {204, 304}:
                writer.write(b"\r\n")
                return
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            is_events = call.path == "/events"
            whole = not is_events and (call.path == "/version" or call.path.endswith("/json"))
            rest = b""
            async for part in response.parts():
                if whole:
                    rest += part
                    continue
                data = part
                if is_events:
                    *lines, rest = (rest + part).split(b"\n")
                    data = b"".join(_newer_event(line) + b"\n" for line in lines)
                await _send_chunk(writer, data)
            if whole and rest:
                await _send_chunk(writer, self._newer(call, rest))
            writer.write(b"0\r\n\r\n")

    def _newer(self, call: Call, data: bytes) -> bytes:
        answer = json.loads(data)
        if call.path == "/version":
            answer |= {"MinAPIVersion": self.OLDEST, "ApiVersion": self.NEWEST, "Version": "29.0.0"}
        if isinstance(answer, dict) and "NetworkSettings" in answer:
            kept = ("Networks", "Ports", "SandboxID", "SandboxKey")
            answer["NetworkSettings"] = {name: answer["NetworkSettings"].get(name) for name in kept}
        return json.dumps(answer).encode()


class _Joined:
    """What was read already, then the rest of a stream."""

    def __init__(self, first: asyncio.StreamReader, then: asyncio.StreamReader) -> None:
        self._first, self.readline, self.readexactly = first, then.readline, then.readexactly

    async def readuntil(self, separator: bytes) -> bytes:
        return await self._first.readuntil(separator)


def _newer_event(line: bytes) -> bytes:
    event = json.loads(line)
    return json.dumps({name: value for name, value in event.items() if name not in {"status", "id", "from"}}).encode()


async def _send_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await writer.drain()
