"""A real engine on a throw-away home: real stores, real git, real processes, a real edge."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.engine import Engine
from engine.model.actions.service import (
    CreateServiceRequest,
    DescribeServiceRequest,
    ListOperationsRequest,
)
from engine.model.errors import Failure
from engine.model.home import Home
from engine.model.log import LogKind, LogQuery, LogSelector
from engine.model.operation import Operation
from engine.model.service import (
    CodeConfiguration,
    CodeRepository,
    ConfigurationSource,
    HealthCheckConfiguration,
    Service,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.settings import Settings

SETTINGS = Settings(
    api="127.0.0.1:0",
    edge="127.0.0.1:0",
    compute="process",
    startup_timeout_s=20.0,
    wrong_port_grace_s=1.5,
    stop_grace_s=2.0,
    drain_timeout_s=5.0,
)

CONFIG = """\
version: 1.0
runtime: python3
build:
  commands:
    build:
      - echo building
run:
  command: python3 server.py
"""

SERVER = """\
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"MESSAGE"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        print("request", self.path, flush=True)

print("starting", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Repository:
    """A git repository with a small web service in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        environment = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.com",
        }
        result = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True
        )
        return result.stdout.strip()

    def commit(self, message: str = "change", **files: str) -> str:
        """Write files (name with __ for the dot) and commit; the commit's hash."""
        for name, text in files.items():
            target = self.path / name.replace("__", ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def service(self, message: str = "hello") -> str:
        return self.commit(f"Say {message}", apprunner__yaml=CONFIG, server__py=SERVER.replace("MESSAGE", message))


class Driver:
    """Talks to an engine as a client would, and waits for what it says."""

    def __init__(self, engine: Engine, home: Home) -> None:
        self.engine = engine
        self.home = home

    async def create(self, repository: str | Path, name: str = "test-service", **changes: object) -> Service:
        branch = str(changes.pop("branch", "main"))
        directory = changes.pop("directory", None)
        source = SourceConfiguration(
            code_repository=CodeRepository(
                repository_url=str(repository),
                source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value=branch),
                code_configuration=CodeConfiguration(configuration_source=ConfigurationSource.REPOSITORY),
                source_directory=directory,
            )
        )
        changes.setdefault("health_check_configuration", HealthCheckConfiguration(interval=1, timeout=1))
        request = replace(CreateServiceRequest(service_name=name, source_configuration=source), **changes)
        return (await self.engine.call(request)).service

    async def describe(self, service: Service) -> Service:
        answer = await self.engine.call(DescribeServiceRequest(service_arn=service.service_arn))
        return answer.service

    async def settled(self, service: Service, timeout_s: float = 60.0) -> Service:
        """The service once no operation runs on it."""
        async with asyncio.timeout(timeout_s):
            while (now := await self.describe(service)).status is ServiceStatus.OPERATION_IN_PROGRESS:
                await asyncio.sleep(0.02)
        return now

    async def operation(self, service: Service) -> Operation:
        """The newest one, with everything that Homerun knows of it."""
        async with self.engine.watch_operations(service.service_id) as changes:
            async for change in changes:
                return change.changed[0]
        raise AssertionError("no snapshot")

    async def operations(self, service: Service) -> list[str]:
        answer = await self.engine.call(ListOperationsRequest(service_arn=service.service_arn))
        return [f"{operation.type} {operation.status}" for operation in answer.operation_summary_list]

    async def failure(self, service: Service) -> Failure:
        failure = (await self.operation(service)).failure
        assert failure is not None, "the operation has no failure"
        return failure

    async def lines(self, service: Service, kind: LogKind, stream: str = "") -> list[str]:
        selector = LogSelector(service_id=service.service_id, kind=kind, stream=stream)
        return [line.text for line in (await self.engine.query_logs(LogQuery(selector=selector))).lines]

    async def get(self, service: Service, path: str = "/") -> tuple[int, str]:
        """Ask the edge for the service by its Host, as curl would."""
        host, _, port = self.engine.edge_url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            name = service.service_url
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            async with asyncio.timeout(15):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
        return int(head.split(b" ", 2)[1]), body.decode()

    async def eventually(self, check: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Until `check()` (which may be async) is true."""
        deadline = time.monotonic() + timeout_s
        while True:
            result = check()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            assert time.monotonic() < deadline, "it never came true"
            await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def interpreter_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared virtual environments, shared so that not every home makes its own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, interpreter_cache: Path) -> Home:
    home = Home(path=tmp_path / "home")
    home.path.mkdir(mode=0o700)
    home.cache.symlink_to(interpreter_cache)
    return home


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def engine_settings(request: pytest.FixtureRequest) -> Settings:
    """Of processes; for tests that ask for it by `on_both`, of containers as well."""
    if getattr(request, "param", "process") == "process":
        return SETTINGS
    return replace(SETTINGS, compute="docker", docker_host=request.getfixturevalue("docker_address"))


@pytest.fixture
async def driver(home: Home, engine_settings: Settings):
    engine = await Engine.open(home, engine_settings)
    yield Driver(engine, home)
    await engine.close(stop_instances=True)


@pytest.fixture
def driver_for(home: Home):
    return lambda engine: Driver(engine, home)


@pytest.fixture
def reopen(home: Home, engine_settings: Settings):
    """Open another engine on the same home, after the one before was closed."""

    async def open_again() -> Driver:
        return Driver(await Engine.open(home, engine_settings), home)

    return open_again
