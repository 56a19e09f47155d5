"""From a path to a served request: what Homerun itself adds, and what a second deployment costs.

The application is the guide's python-hello with Flask. The build commands stamp their own begin and end, the
application's start-up is measured by running its start command directly, and what is left is ours.
Prints medians; `python tests/benchmarks/bench_deploy.py [runs]`. Needs PyPI (or pip's cache) for Flask.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.engine import Engine
from engine.model.actions.service import CreateServiceRequest, DescribeServiceRequest, StartDeploymentRequest
from engine.model.home import Home
from engine.model.service import (
    CodeConfiguration,
    CodeRepository,
    ConfigurationSource,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.settings import Settings

CONFIG = """\
version: 1.0
runtime: python3
build:
  commands:
    build:
      - date +%s.%N > {stamps}/begin
      - pip install -r requirements.txt
      - date +%s.%N > {stamps}/end
run:
  runtime-version: "3.11"
  command: python app.py
  network:
    port: 8080
    env: PORT
"""
APP = """\
import os
from flask import Flask

app = Flask(__name__)

@app.route("/")
def hello():
    return "Hello, number {number}"

app.run(host="0.0.0.0", port=int(os.environ.get("PORT", 8080)))
"""


def commit(repository: Path, number: int) -> None:
    (repository / "app.py").write_text(APP.format(number=number))
    author = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (["add", "--all"], [*author, "commit", "--quiet", "--message", f"number {number}"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)


def start_up_s(python: Path, folder: Path) -> float:
    """From the start command to the first accepted connection, without Homerun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [python, "app.py"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except ConnectionRefusedError:
                time.sleep(0.002)
            else:
                return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


async def ended(engine: Engine, arn: str) -> float:
    """Wait for the operation's end; its duration in seconds by the engine's own record."""
    while True:
        service = (await engine.call(DescribeServiceRequest(service_arn=arn))).service
        if service.status is not ServiceStatus.OPERATION_IN_PROGRESS:
            break
        await asyncio.sleep(0.01)
    async with engine.watch_operations(service.service_id) as changes:
        async for change in changes:
            operation = change.changed[0]
            assert service.status is ServiceStatus.RUNNING, operation.failure
            return operation.ended_at - operation.started_at
    raise AssertionError


async def one_run(folder: Path, cache: Path) -> dict[str, float]:
    repository, stamps = folder / "python-hello", folder / "stamps"
    repository.mkdir(parents=True)
    stamps.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], cwd=repository, check=True)
    (repository / "apprunner.yaml").write_text(CONFIG.format(stamps=stamps))
    (repository / "requirements.txt").write_text("flask==3.1.3\n")
    commit(repository, 1)
    home = Home(path=folder / "home")
    home.path.mkdir()
    home.cache.symlink_to(cache)

    def build_s() -> float:
        return float((stamps / "end").read_text()) - float((stamps / "begin").read_text())

    engine = await Engine.open(home, Settings(api="127.0.0.1:0", edge="127.0.0.1:0", compute="process"))
    try:
        source = SourceConfiguration(
            code_repository=CodeRepository(
                repository_url=str(repository),
                source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
                code_configuration=CodeConfiguration(configuration_source=ConfigurationSource.REPOSITORY),
            )
        )
        created = await engine.call(CreateServiceRequest(service_name="python-hello", source_configuration=source))
        arn = created.service.service_arn
        total = await ended(engine, arn)
        built = build_s()
        (venv,) = home.artifacts.glob("*/*/venv/bin/python")
        starting = statistics.median(start_up_s(venv, repository) for _ in range(3))

        commit(repository, 2)
        await engine.call(StartDeploymentRequest(service_arn=arn))
        second = await ended(engine, arn)
        return {
            "create, in all": total,
            "  the user's build commands": built,
            "  the application's start-up": starting,
            "  Homerun's own time (< 1 s)": total - built - starting,
            "second deployment, in all (< 2 s)": second,
            "  the user's build commands again": build_s(),
        }
    finally:
        await engine.close(stop_instances=True)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as parent:
        cache = Path(parent) / "cache"
        cache.mkdir()
        asyncio.run(one_run(Path(parent) / "warm-up", cache))
        results = [asyncio.run(one_run(Path(parent) / str(number), cache)) for number in range(runs)]
    for name in results[0]:
        values = sorted(result[name] for result in results)
        print(f"{name:<36} median {statistics.median(values):.2f} s   (min {values[0]:.2f}, max {values[-1]:.2f})")


if __name__ == "__main__":
    main()
