"""HTTP by hand over a socket that is kept: for requests that no client library sends."""

import json
import socket
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

JSON = "application/x-amz-json-1.0"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def value(self) -> object:
        return json.loads(self.body)


class Wire:
    """One connection; opened again when the other side has closed it. `where` is a URL or the path of a Unix socket."""

    def __init__(self, where: str, timeout_s: float = 20.0) -> None:
        self._where = where
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, target: str, body: bytes | object = b"{}", *headers: str, content_type: str = JSON) -> Answer:
        """POST / with an action, as an AWS client would, without a signature."""
        return self.post(body, f"X-Amz-Target: {target}", f"Content-Type: {content_type}", *headers)

    def post(self, body: bytes | object, *headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = ["POST / HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(raw)}", "", ""]
        return self.ask("\r\n".join(lines).encode("latin-1") + raw)

    def ask(self, request: bytes) -> Answer:
        """Send bytes, read one answer."""
        if self._socket is None:
            self._socket, self._rest = self._connect(), b""
        self._socket.sendall(request)
        return self._read(self._socket)

    def _connect(self) -> socket.socket:
        if self._where.startswith("/"):
            connected = socket.socket(socket.AF_UNIX)
            connected.settimeout(self._timeout_s)
            connected.connect(self._where)
            return connected
        url = urlsplit(self._where)
        return socket.create_connection((url.hostname, url.port), self._timeout_s)

    def _read(self, connected: socket.socket) -> Answer:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more(connected)
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        until = end + 4 + int(headers["content-length"])
        while len(data) < until:
            data += self._more(connected)
        self._rest = data[until:]
        if headers.get("connection") == "close":
            self.close()
        return Answer(status=int(first.split(" ", 2)[1]), headers=headers, body=data[end + 4 : until])

    @staticmethod
    def _more(connected: socket.socket) -> bytes:
        data = connected.recv(1 << 18)
        assert data, "the connection was closed before there was an answer"
        return data
