"""Real builds and real processes: a home per test, one cache of templates and interpreters for all."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from engine.compute.process import ProcessCompute
from engine.compute.process.trees import take_scan
from engine.model.clock import SystemClock
from engine.model.home import Home
from engine.model.plan import BuildGeneration, Runtime, RuntimeFamily
from engine.model.version import Artifact


@pytest.fixture
def with_pip(home: Home, shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of its own, empty: the template is made as users get it."""
    home.cache.unlink()
    home.cache.mkdir()


@pytest.fixture
async def compute(home: Home, environ: dict[str, str]) -> AsyncIterator[ProcessCompute]:
    compute = ProcessCompute(home, SystemClock(), environ)
    yield compute
    await compute.sweep((), ())


@pytest.fixture
def node_runtime() -> Runtime:
    return Runtime(name="nodejs18", family=RuntimeFamily.NODEJS, generation=BuildGeneration.REVISED, accepts=("18",))


@pytest.fixture
def made(made_folder: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """An artifact as a build leaves it, without a build: `made(app__py="…")`; its environment is shared."""
    return made_folder


@pytest.fixture
def processes_of() -> Callable[[str], int]:
    """How many processes belong to an instance or a build: `processes_of("HOMERUN_INSTANCE=…")`."""
    return lambda mark: len(take_scan().members(None, mark))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
