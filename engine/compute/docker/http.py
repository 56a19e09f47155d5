"""HTTP/1.1 to a Docker engine, on the event loop: one connection a request, bodies streamed both ways.

docker-py blocks a thread for as long as a stream lasts, and there is a stream of output for every container.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import httptools

from engine.model.base import Value

_CONNECT_S = 5.0
_PART = 256 * 1024
_HEAD_MOST = 256 * 1024


class Endpoint(Value, frozen=True, kw_only=True):
    """Where an engine listens: a Unix socket, or TCP on this machine."""

    path: str = ""
    host: str = ""
    port: int = 0
    certificates: str = ""
    """Folder with ca.pem, cert.pem and key.pem when it speaks TLS; "" when it does not."""

    @property
    def display(self) -> str:
        return f"unix://{self.path}" if self.path else f"tcp://{self.host}:{self.port}"


class Broken(Exception):  # noqa: N818 - what became of the connection, turned into a sentence above
    """The connection failed or ended in the middle. `cause` is the system's error, if there was one."""

    def __init__(self, text: str, cause: BaseException | None = None) -> None:
        super().__init__(text)
        self.cause = cause


class Response:
    """The head of an answer; its body comes part by part."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._headed = False
        self._complete = False
        self._read = 0

    async def parts(self) -> AsyncIterator[bytes]:
        """The body. Raises Broken when it is cut off."""
        while True:
            while self._parts:
                yield self._parts.popleft()
            if self._complete:
                return
            await self._more()

    async def whole(self) -> bytes:
        async with aclosing(self.parts()) as parts:  # type: ignore[type-var]
            return b"".join([part async for part in parts])

    async def head(self) -> None:
        while not self._headed:
            await self._more()
            if self._read > _HEAD_MOST and not self._headed:
                raise Broken("its answer has no end of head")

    async def _more(self) -> None:
        try:
            data = await self._reader.read(_PART)
            self._read += len(data)
            if data:
                self._parser.feed_data(data)
                return
        except (OSError, httptools.HttpParserError) as error:
            raise Broken(str(error), error) from error
        if self._headed and not {"content-length", "transfer-encoding"} & self.headers.keys():
            self._complete = True  # the end of the connection is the end of the body
            return
        raise Broken("the connection ended in the middle of an answer")

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._headed = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._complete = self._headed


@asynccontextmanager
async def exchange(
    endpoint: Endpoint, method: str, target: str, *, headers: Mapping[str, str], body: bytes | BinaryIO = b""
) -> AsyncIterator[Response]:
    """Send one request and yield the answer; leaving the block ends the connection, whatever is still to come.

    `body` may be an open file, sent from where it stands. Raises Broken.
    """
    try:
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await _connect(endpoint)
    except (OSError, TimeoutError) as error:
        raise Broken(str(error) or "no answer", error) from error
    sending: asyncio.Task[None] | None = None
    try:
        lines = [f"{method} {target} HTTP/1.1", "Host: docker", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}")
        else:
            lines.append("Transfer-Encoding: chunked")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        response = Response(reader)
        if isinstance(body, bytes):
            writer.write(body)
        else:
            sending = asyncio.create_task(_send(writer, body))
        await response.head()  # an engine that refuses does so before it has read everything
        yield response
    finally:
        if sending:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        writer.close()
        with suppress(OSError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if endpoint.path:
        return await asyncio.open_unix_connection(endpoint.path, limit=_PART)
    context = await asyncio.to_thread(_tls, Path(endpoint.certificates)) if endpoint.certificates else None
    return await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context, limit=_PART)


def _tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def _send(writer: asyncio.StreamWriter, body: BinaryIO) -> None:
    with suppress(OSError):  # the answer says why it stopped to listen
        while data := await asyncio.to_thread(body.read, _PART):
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
