"""The Docker Engine API as calls on the event loop: JSON in and out, streams, and what goes wrong in plain words."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, BinaryIO
from urllib.parse import urlencode

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.http import Broken, Endpoint, Response, exchange
from engine.model.base import Value
from engine.model.errors import HomerunError

OLDEST = (1, 41)
"""Docker 20.10, and what Podman offers; newer engines are spoken to in the oldest version that they still know."""
_CALL_S = 30.0


class EngineVersion(Value, frozen=True, kw_only=True):
    """Which engine answers."""

    name: str
    """"docker" or "podman"."""
    version: str
    api: str
    """The version of the API that is spoken with it: "1.41"."""


class ApiError(HomerunError):
    """The engine refused a call."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class DockerApi:
    """One engine. Calls raise ComputeUnavailable when it does not answer, ApiError when it refuses."""

    def __init__(self, endpoint: Endpoint, refusal: str = "") -> None:
        """`refusal` says why no engine can be used at all: then that is the answer to every call."""
        self.endpoint = endpoint
        self._refusal = refusal
        self._version: EngineVersion | None = None

    async def version(self) -> EngineVersion:
        """Asked once; again after `forget_version`."""
        if self._version is None:
            answer = await self._json("GET", "/version", b"", {}, _CALL_S)
            if not isinstance(answer, dict):
                raise self._no_engine()
            self._version = spoken_version(answer)
        return self._version

    def forget_version(self) -> None:
        """Another engine may answer from now on."""
        self._version = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _CALL_S,
    ) -> Any:
        """The decoded answer, None for an empty one. `query` values that are no text are sent as JSON."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = {**(headers or {}), "Content-Type": "application/json"} if data else headers or {}
        return await self._json(method, await self._target(path, query), data, sent, timeout_s)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | BinaryIO = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The parts of a body that may never end; leaving the block ends the stream (and a build that makes it)."""
        async with self._answer(method, await self._target(path, query), headers or {}, body) as response:
            yield self._parts(response)

    @asynccontextmanager
    async def messages(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes | BinaryIO = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """A stream of JSON objects, one a line: progress, events, build output."""
        async with self.stream(method, path, query=query, body=body, headers=headers) as parts:
            yield _objects(parts)

    async def _target(self, path: str, query: Mapping[str, object] | None) -> str:
        return f"/v{(await self.version()).api}{path}{_query(query)}"

    async def _json(self, method: str, target: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Any:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._answer(method, target, headers, body) as response,
            ):
                try:
                    answer = await response.whole()
                except Broken as error:
                    raise unavailable(self.endpoint, error) from error
        except TimeoutError:
            raise ComputeUnavailable(
                f"The container engine at {self.endpoint.display} did not answer within {timeout_s:g} s.",
                "It is overloaded, or hangs: restart it if that goes on.",
            ) from None
        try:
            return json.loads(answer) if answer.strip() else None
        except ValueError:
            raise self._no_engine() from None

    def _no_engine(self) -> ComputeUnavailable:
        return ComputeUnavailable(
            f"What answers at {self.endpoint.display} is no container engine.", "Check DOCKER_HOST or docker_host."
        )

    @asynccontextmanager
    async def _answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | BinaryIO
    ) -> AsyncIterator[Response]:
        if self._refusal:
            raise ComputeUnavailable(self._refusal)
        try:
            async with exchange(self.endpoint, method, target, headers=headers, body=body) as response:
                if response.status >= 300:
                    raise ApiError(response.status, _message(await response.whole()))
                yield response
        except Broken as error:
            self.forget_version()
            raise unavailable(self.endpoint, error) from error

    async def _parts(self, response: Response) -> AsyncIterator[bytes]:
        try:
            async with aclosing(response.parts()) as parts:  # type: ignore[type-var]
                async for part in parts:
                    yield part
        except Broken as error:
            raise unavailable(self.endpoint, error) from error


async def _objects(parts: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
    if rest.strip():
        yield json.loads(rest)


def spoken_version(answer: Mapping[str, Any]) -> EngineVersion:
    """From the engine's answer to /version. Raises ComputeUnavailable when it is too old."""
    components = answer.get("Components") or ()
    podman = any("podman" in str(component.get("Name", "")).lower() for component in components)
    name, version = "podman" if podman else "docker", str(answer.get("Version", ""))
    newest = _numbers(str(answer.get("ApiVersion", "")))
    oldest = _numbers(str(answer.get("MinAPIVersion", "")))
    if newest < OLDEST:
        raise ComputeUnavailable(
            f"The container engine ({name} {version}) is too old: it speaks API {answer.get('ApiVersion')}, and"
            f" Homerun needs {OLDEST[0]}.{OLDEST[1]}.",
            "Update it to Docker 20.10 or Podman 4, or newer.",
        )
    return EngineVersion(name=name, version=version, api=".".join(map(str, max(OLDEST, oldest))))


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def _query(query: Mapping[str, object] | None) -> str:
    if not query:
        return ""
    return "?" + urlencode({name: v if isinstance(v, str) else json.dumps(v) for name, v in query.items()})


def _message(answer: bytes) -> str:
    text = answer.decode("utf-8", "replace").strip()
    try:
        decoded = json.loads(text)
    except ValueError:
        return text[:1000]
    if isinstance(decoded, dict):
        return str(decoded.get("message") or decoded.get("cause") or text)[:4000]
    return text[:1000]


def unavailable(endpoint: Endpoint, error: Broken) -> ComputeUnavailable:
    """Why no engine answers, in one sentence with what to do."""
    where, cause = endpoint.display, error.cause
    match cause:
        case FileNotFoundError() if endpoint.certificates:
            return ComputeUnavailable(
                f"The certificates for the container engine at {where} are not in {endpoint.certificates}.",
                "Put ca.pem, cert.pem and key.pem there, or set DOCKER_CERT_PATH.",
            )
        case FileNotFoundError():
            return ComputeUnavailable(
                f"There is no container engine at {where}.", "Start it (sudo systemctl start docker), or install one."
            )
        case PermissionError():
            return ComputeUnavailable(
                f"The container engine at {where} may not be used by this user.",
                "Join the group that owns its socket (sudo usermod -aG docker $USER, then log in again), or run a"
                " rootless engine.",
            )
        case ConnectionRefusedError():
            return ComputeUnavailable(
                f"The container engine at {where} does not run.", "Start it: sudo systemctl start docker."
            )
        case TimeoutError():
            return ComputeUnavailable(
                f"The container engine at {where} does not take connections.", "Restart it if that goes on."
            )
        case _:
            return ComputeUnavailable(
                f"The connection to the container engine at {where} broke: {str(error).rstrip('.')}.",
                "Restart it if that goes on.",
            )
