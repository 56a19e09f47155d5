"""Host: owns one home for as long as it runs: the lock, the engine, the API endpoint, the Unix socket, the record."""

import asyncio
import errno
import importlib
import ipaddress
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from engine.api.claim import Claim, EngineRecord, HomeInUse, HomeUnusable, read_record
from engine.api.credentials import load_or_create
from engine.api.endpoint import UPGRADES, SocketEndpoint, TcpEndpoint, aws_refusal
from engine.api.http import HttpServer
from engine.api.settings import load_settings, parse_address
from engine.edge.file_limit import raise_file_limit
from engine.model.api import HostedEngine
from engine.model.clock import Clock, SystemClock
from engine.model.errors import HomerunError
from engine.model.home import Home
from engine.model.settings import DEFAULT_API, Settings

__all__ = [
    "AddressInUse",
    "EngineRecord",
    "HomeInUse",
    "HomeUnusable",
    "Host",
    "HostedEngine",
    "load_settings",
    "read_record",
]

log = logging.getLogger(__name__)

_GRACE_S = 5.0
"""How long calls in flight may take to finish when the host closes."""


class AddressInUse(HomerunError):  # noqa: N818 - named for what it says
    """The API's address cannot be had."""


EngineFactory = Callable[[Home, Settings], Awaitable[HostedEngine]]


class Host:
    """One running engine with both its doors. Made by `Host.open`."""

    stop_instances: bool = False
    """Whether closing also ends the instances; set by whoever asks to stop, last word counts."""

    def __init__(
        self, engine: HostedEngine, record: EngineRecord, wishes: "asyncio.Queue[bool]", stack: AsyncExitStack
    ) -> None:
        self.engine = engine
        self.record = record
        self._wishes = wishes
        self._stack = stack

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Home,
        settings: Settings,
        *,
        engine_factory: EngineFactory | None = None,
        clock: Clock | None = None,
    ) -> AsyncIterator["Host"]:
        """Own the home until the block ends.

        Raises HomeInUse, HomeUnusable, AddressInUse, CredentialsError, and what opening the engine raises.
        """
        host = await cls._start(home, settings, engine_factory or _open_engine, clock or SystemClock())
        try:
            yield host
        finally:
            await host.close()

    @classmethod
    async def _start(cls, home: Home, settings: Settings, factory: EngineFactory, clock: Clock) -> "Host":
        raise_file_limit()
        async with AsyncExitStack() as stack:
            # Nothing else runs yet: these few small files may block.
            claim = Claim.take(home)
            stack.callback(claim.release)
            credentials = load_or_create(home)
            tcp = stack.enter_context(_listen_tcp(settings.api))
            url, bound = _url(tcp)

            engine = await factory(home, settings)
            closing = _Closing(engine)
            stack.push_async_callback(closing.close)
            engine.announce(api_url=url, socket=str(home.engine_socket))

            wishes: asyncio.Queue[bool] = asyncio.Queue()
            unix = stack.enter_context(_listen_unix(home.engine_socket))
            stack.callback(home.engine_socket.unlink, missing_ok=True)
            endpoint = TcpEndpoint(engine, credentials, host=bound, url=url, clock=clock)

            def reload_credentials() -> None:
                endpoint.rotate(load_or_create(home))

            api = HttpServer(endpoint.handle, refuse=aws_refusal)
            door = HttpServer(
                SocketEndpoint(engine, stop=wishes.put_nowait, rotate=reload_credentials).handle,
                upgrades=UPGRADES,
                refuse=aws_refusal,
            )
            stack.push_async_callback(_close_both, api, door)
            await api.listen(tcp)
            await door.listen(unix)

            info = await engine.info()
            record = EngineRecord(
                home=str(home.path),
                api=url,
                edge=info.edge_url,
                socket=str(home.engine_socket),
                pid=os.getpid(),
                started_at=clock.now(),
            )
            claim.announce(record)
            if not ipaddress.ip_address(bound).is_loopback:
                log.warning("The API listens on %s: other machines can reach it, if they have the keys.", bound)
            log.info("Ready: API at %s, edge at %s, home %s", url, info.edge_url, home.path)
            host = cls(engine, record, wishes, stack.pop_all())
            closing.host = host
            return host

    @property
    def ready(self) -> dict[str, object]:
        """The ready line: ready, home, api, edge, socket, pid."""
        line: dict[str, object] = msgspec.to_builtins(self.record)
        del line["started_at"]
        return line

    async def stop_requested(self) -> bool:
        """Wait until someone asks over the Unix socket to stop; says whether instances are to be stopped too."""
        return await self._wishes.get()

    async def close(self, *, stop_instances: bool | None = None) -> None:
        """Finish what is in flight, close the engine, give the home back. Closing again does nothing."""
        if stop_instances is not None:
            self.stop_instances = stop_instances
        await self._stack.aclose()


class _Closing:
    """Closes the engine as the host wishes at that moment."""

    def __init__(self, engine: HostedEngine) -> None:
        self._engine = engine
        self.host: Host | None = None

    async def close(self) -> None:
        await self._engine.close(stop_instances=self.host.stop_instances if self.host else False)


async def _open_engine(home: Home, settings: Settings) -> HostedEngine:
    """The edge is a process of its own: it starts while this one, in a thread, still imports the engine."""
    from engine.edge.client import let_go, start_edge

    edge = asyncio.ensure_future(start_edge(home, settings))
    try:
        engine = await asyncio.to_thread(importlib.import_module, "engine.engine")
    except BaseException:  # whoever left the screen at once leaves no edge behind
        await let_go(edge)
        raise
    opened: HostedEngine = await engine.Engine.open(home, settings, starting=edge)
    return opened


async def _close_both(api: HttpServer, door: HttpServer) -> None:
    await asyncio.gather(api.close(_GRACE_S), door.close(_GRACE_S))


def _listen_tcp(address: str) -> socket.socket:
    """A listening socket for the API. Raises AddressInUse."""
    host, port = parse_address(address)
    try:
        return _bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and address == DEFAULT_API:
            return _bind(host, 0)
        raise _refusal(address, error) from error


def _bind(host: str, port: int) -> socket.socket:
    family, kind, number, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, number)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(128)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _refusal(address: str, error: OSError) -> AddressInUse:
    match error.errno:
        case errno.EADDRINUSE:
            return AddressInUse(
                f"The API's address {address} is in use by another program: choose another one with --api, "
                "or port 0 for any that is free."
            )
        case errno.EACCES:
            return AddressInUse(f"The API's address {address} needs privileges: choose a port from 1024 up with --api.")
        case _:
            reason = error.strerror or str(error)
            return AddressInUse(f"The API's address {address} cannot be used: {reason}. Choose another one with --api.")


def _url(sock: socket.socket) -> tuple[str, str]:
    """The URL for programs on this machine, and the host that the socket is bound to."""
    host, port = sock.getsockname()[:2]
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reach}]:{port}" if ":" in reach else f"http://{reach}:{port}", host


def _listen_unix(path: Path) -> socket.socket:
    """The Unix socket, 0600 in a folder of 0700. What is left of an earlier engine is removed: we hold the lock."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(128)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
