"""Small servers on Unix sockets in an engine's place, for what a real one cannot be made to do on request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import docker
import pytest

from engine.compute.docker.compute import DockerCompute
from engine.compute.docker.http import Endpoint
from engine.model.clock import SystemClock
from engine.model.home import Home
from engine.model.settings import Settings
from tests.docker.standin import FakeEngine
from tests.engine.compute.kinds import Containers


@pytest.fixture
async def fake_engine(tmp_path: Path) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(tmp_path / "engine.sock")
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def raw_server(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Endpoint]]]:
    """Starts a server that does just what its `handler(reader, writer)` does; returns where it listens."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Endpoint:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            tasks.add(task)
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await handler(reader, writer)
            finally:
                tasks.discard(task)
                writer.close()

        path = tmp_path / f"raw-{len(servers)}.sock"
        servers.append(await asyncio.start_unix_server(serve, path))
        return Endpoint(path=str(path))

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    return Home(path=path)


@pytest.fixture
def client(docker_address: str) -> Iterator[docker.DockerClient]:
    """A client of its own to look at what the real engine has."""
    client = docker.DockerClient(base_url=docker_address)
    yield client
    client.close()


@pytest.fixture
async def compute(home: Home, environ: dict[str, str], docker_address: str) -> AsyncIterator[DockerCompute]:
    """On the real engine; nothing of the home is left there at the end."""
    compute = DockerCompute(home, Settings(docker_host=docker_address), SystemClock(), environ)
    await compute.open(lambda: None)
    assert not compute.state.problem
    yield compute
    await compute.sweep((), ())
    await compute.close()


@pytest.fixture
def made(home: Home, environ: dict[str, str], docker_address: str, client: docker.DockerClient) -> object:
    """An image as a build leaves it, without a build: `made(app__py="…")`."""
    return Containers(home, environ, docker_address, client).made
