"""Docker compute against plain `docker run` and `docker build`, and what fifty running containers cost.

    DOCKER_HOST=unix:///path/to/docker.sock python tests/benchmarks/bench_docker.py [rounds]

Needs an engine and the docker command with BuildKit in it. The base images are packed from this machine.
Goals: create an image service → first 200 through the edge at most 1.3 times `docker run` → first 200; the same for a
source with a warm cache against `docker build` + `docker run`; 50 containers: sampling under 2 % of a core, idle engine
under 1 %.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import docker
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.engine import Engine
from engine.model.actions.auto_scaling import CreateAutoScalingConfigurationRequest
from engine.model.actions.service import (
    CreateServiceRequest,
    DeleteServiceRequest,
    DescribeServiceRequest,
    StartDeploymentRequest,
)
from engine.model.home import Home
from engine.model.service import (
    CodeConfiguration,
    CodeRepository,
    ConfigurationSource,
    HealthCheckConfiguration,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    InstanceConfiguration,
    Service,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.settings import Settings
from tests.docker.base_images import ensure

IMAGE = "python:3.11"
SERVER = """\
import http.server, os, socketserver
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"{n:02d}")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", 8080))), Hello).serve_forever()
"""
ONE_LINE = "import http.server as h; h.ThreadingHTTPServer(('', 8080), h.SimpleHTTPRequestHandler).serve_forever()"
CONFIG = """\
version: 1.0
runtime: python311
build:
  commands:
    build:
      - python3 -m compileall -q .
      - echo built > built.txt
run:
  command: python3 server.py
"""
DOCKERFILE = """\
FROM python:3.11
COPY . /app
WORKDIR /app
RUN python3 -m compileall -q .
RUN echo built > built.txt
CMD ["python3", "server.py"]
"""
IDLE_S = 20


async def first_200(host: str, port: int, name: str, wanted: bytes = b"") -> None:
    """Ask every few milliseconds until the answer is 200 (and ends in `wanted`)."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            if answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) and answer.endswith(wanted):
                return
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(0.003)


async def run(*argv: str, **environ: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode().strip()


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


class Bench:
    def __init__(self, engine: Engine, folder: Path, docker_command: str) -> None:
        self.engine = engine
        self.folder = folder
        self.docker = docker_command
        self.edge = ("127.0.0.1", int(engine.edge_url.rpartition(":")[2]))

    async def settled(self, service: Service) -> Service:
        while service.status is ServiceStatus.OPERATION_IN_PROGRESS:
            await asyncio.sleep(0.01)
            service = (await self.engine.call(DescribeServiceRequest(service_arn=service.service_arn))).service
        return service

    async def create(self, name: str, source: SourceConfiguration, **more: object) -> Service:
        request = CreateServiceRequest(
            service_name=name,
            source_configuration=source,
            health_check_configuration=HealthCheckConfiguration(interval=5, timeout=2),
            **more,  # type: ignore[arg-type]
        )
        return (await self.engine.call(request)).service

    async def delete(self, service: Service) -> None:
        service = await self.settled(service)
        assert service.status is ServiceStatus.RUNNING, service.status
        await self.settled((await self.engine.call(DeleteServiceRequest(service_arn=service.service_arn))).service)

    # An image: from nothing to the first answer.

    async def image_by_us(self, number: int) -> float:
        image = ImageRepository(
            image_identifier=IMAGE,
            image_repository_type=ImageRepositoryType.ECR,
            image_configuration=ImageConfiguration(port="8080", start_command=f'python3 -c "{ONE_LINE}"'),
        )
        source = SourceConfiguration(image_repository=image, auto_deployments_enabled=False)
        services: list[Service] = []

        async def work() -> None:
            services.append(await self.create(f"image-{number}", source))
            await first_200(*self.edge, services[0].service_url or "")

        seconds = await timed(work)
        await self.delete(services[0])
        return seconds

    async def run_and_ask(self, *what: str) -> None:
        port = free_port()
        name = f"homerun-bench-{port}"
        try:
            await run(self.docker, "run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:8080", *what)
            await first_200("127.0.0.1", port, "localhost")
        finally:
            self.ended = name

    async def image_by_docker(self, number: int) -> float:
        seconds = await timed(lambda: self.run_and_ask(IMAGE, "python3", "-c", ONE_LINE))
        await run(self.docker, "rm", "-f", self.ended)
        return seconds

    # A source whose build is in the cache, a changed line, and the first answer of the new version.

    async def begin_source(self) -> None:
        self.repository = self.folder / "repository"
        self.repository.mkdir()
        await run("git", "init", "--quiet", "--initial-branch=main", str(self.repository))
        (self.repository / "apprunner.yaml").write_text(CONFIG)
        self.write(0)
        await self.commit()
        code = CodeRepository(
            repository_url=str(self.repository),
            source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
            code_configuration=CodeConfiguration(configuration_source=ConfigurationSource.REPOSITORY),
        )
        self.service = await self.settled(await self.create("source", SourceConfiguration(code_repository=code)))
        assert self.service.status is ServiceStatus.RUNNING, list(self.engine._store.operations.values())[-1].failure
        self.plain = self.folder / "plain"
        self.plain.mkdir()
        (self.plain / "Dockerfile").write_text(DOCKERFILE)
        (self.plain / "server.py").write_text(SERVER.format(n=0))
        await run(self.docker, "build", "-t", "homerun-bench", str(self.plain), DOCKER_BUILDKIT="1")

    def write(self, number: int) -> None:
        (self.repository / "server.py").write_text(SERVER.format(n=number))

    async def commit(self) -> None:
        git = ("git", "-C", str(self.repository), "-c", "user.name=b", "-c", "user.email=b@localhost")
        await run(*git, "add", "--all")
        await run(*git, "commit", "--quiet", "--allow-empty", "--message", "change")

    async def source_by_us(self, number: int, *, change: bool) -> float:
        if change:
            self.write(number)
        await self.commit()
        wanted = f"{number if change else 0:02d}".encode()

        async def work() -> None:
            await self.engine.call(StartDeploymentRequest(service_arn=self.service.service_arn))
            if change:
                await first_200(*self.edge, self.service.service_url or "", wanted)
            else:
                await self.settled(await self.now())

        seconds = await timed(work)
        assert (await self.settled(await self.now())).status is ServiceStatus.RUNNING
        return seconds

    async def now(self) -> Service:
        return (await self.engine.call(DescribeServiceRequest(service_arn=self.service.service_arn))).service

    async def source_by_docker(self, number: int, *, change: bool) -> float:
        if change:
            (self.plain / "server.py").write_text(SERVER.format(n=number))

        async def work() -> None:
            await run(self.docker, "build", "-t", "homerun-bench", str(self.plain), DOCKER_BUILDKIT="1")
            await self.run_and_ask("homerun-bench")

        seconds = await timed(work)
        await run(self.docker, "rm", "-f", self.ended)
        return seconds

    # Fifty containers.

    async def fifty(self) -> dict[str, float]:
        scaling = await self.engine.call(
            CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name="many", min_size=25)
        )
        arn = scaling.auto_scaling_configuration.auto_scaling_configuration_arn
        image = ImageRepository(
            image_identifier=IMAGE,
            image_repository_type=ImageRepositoryType.ECR,
            image_configuration=ImageConfiguration(port="8080", start_command=f'python3 -c "{ONE_LINE}"'),
        )
        services = [
            await self.create(
                f"many-{number}",
                SourceConfiguration(image_repository=image, auto_deployments_enabled=False),
                auto_scaling_configuration_arn=arn,
                instance_configuration=InstanceConfiguration(cpu="256", memory="512"),
            )
            for number in range(2)
        ]
        for service in services:
            assert (await self.settled(service)).status is ServiceStatus.RUNNING
        ids = {service.service_id for service in services}
        instances = [i for i in self.engine._store.instances.values() if i.service_id in ids]
        assert len(instances) == 50
        compute = self.engine._compute
        sampled = []
        for _ in range(20):
            began = time.thread_time()
            assert len(compute.sample(instances, time.time())) == 50
            sampled.append(time.thread_time() - began)
        await asyncio.sleep(3)
        threads = psutil.Process().num_threads()
        before, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(IDLE_S)
        idle = (time.process_time() - before) / (time.perf_counter() - began) * 100
        for service in services:
            await self.delete(service)
        return {
            "sampling 50 containers every second, % of a core (< 2)": statistics.median(sampled) * 100,
            "engine with 50 idle containers in all, % of a core": idle,
            "threads of the engine": threads,
        }


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_with_buildkit() -> str:
    """A docker command that can build with BuildKit; newer ones need a plugin for it."""
    small = "FROM scratch\nLABEL a=b\n"
    found = [
        path
        for path in ("/usr/bin/docker", "/usr/local/bin/docker", "docker")
        if subprocess.run(
            ["/usr/bin/env", "DOCKER_BUILDKIT=1", path, "build", "-"],
            input=small.encode(),
            capture_output=True,
            check=False,
        ).returncode
        == 0
    ]
    if not found:
        sys.exit("No docker command with BuildKit was found.")
    return found[0]


async def bench(rounds: int) -> None:
    ensure(docker.from_env())
    with tempfile.TemporaryDirectory() as parent:
        home = Home(path=Path(parent) / "home")
        home.path.mkdir(mode=0o700)
        settings = Settings(api="127.0.0.1:0", edge="127.0.0.1:0", compute="docker", stop_grace_s=1.0)
        engine = await Engine.open(home, settings)
        try:
            it = Bench(engine, Path(parent), command_with_buildkit())
            await it.image_by_us(99), await it.image_by_docker(99)
            ours, theirs = [], []
            for number in range(rounds):
                ours.append(await it.image_by_us(number))
                theirs.append(await it.image_by_docker(number))
            compare("image: create -> first 200 / docker run -> first 200", ours, theirs)
            await it.begin_source()
            for what, change in (("unchanged source", False), ("one changed line", True)):
                ours, theirs = [], []
                for number in range(1, rounds + 1):
                    ours.append(await it.source_by_us(number, change=change))
                    theirs.append(await it.source_by_docker(number, change=change))
                compare(f"{what}: deploy / docker build + run", ours, theirs)
            for name, value in (await it.fifty()).items():
                print(f"{name:<58} {value:.2f}")
        finally:
            await engine.close(stop_instances=True)
            subprocess.run([it.docker, "image", "rm", "-f", "homerun-bench"], check=False, capture_output=True)


def compare(what: str, ours: list[float], theirs: list[float]) -> None:
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{what:<58} {mine:.2f} s / {other:.2f} s = {mine / other:.2f} (<= 1.3)", flush=True)


if __name__ == "__main__":
    asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
