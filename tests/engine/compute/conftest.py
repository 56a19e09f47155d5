"""What the tests of every compute share: a home, a user's environment, builds and instances of one service."""

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.compute.base import BuildJob, Compute, InstanceSpec
from engine.compute.process.choose import choose_interpreter
from engine.compute.process.clone import clone_tree
from engine.compute.process.interpreters import found_interpreters
from engine.compute.process.layout import ArtifactRecord, write_record
from engine.compute.process.venv import template_folder
from engine.model.home import Home
from engine.model.ids import new_id
from engine.model.instance import Instance, InstanceState
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.version import Artifact, ResolvedRuntime

SERVICE_ID = "5" * 32
THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
USER_PATH = f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"
PYTHON_RUNTIME = Runtime(
    name=f"python{THIS_PYTHON.replace('.', '')}",
    family=RuntimeFamily.PYTHON,
    generation=BuildGeneration.REVISED,
    accepts=(THIS_PYTHON,),
)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreters looked up, and a template without pip for this Python: most tests need none, and clone it faster."""
    cache = tmp_path_factory.mktemp("cache")
    found = found_interpreters(cache / "interpreters.json", {**os.environ, "PATH": USER_PATH})
    chosen = choose_interpreter(PYTHON_RUNTIME, found, strict=True).interpreter
    template = template_folder(cache, chosen)
    template.mkdir(parents=True)
    subprocess.run([chosen.executable, "-m", "venv", "--without-pip", template / "venv"], check=True)
    (template / "complete").touch()
    (template / "compiled").touch()
    return cache


@pytest.fixture
def home(tmp_path: Path, shared_cache: Path) -> Home:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    (path / "cache").symlink_to(shared_cache)
    return Home(path=path)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user's environment with a bit of everything."""
    user = tmp_path / "user"
    user.mkdir()
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "PYENV", "SSL_", "XDG_"))}
    return {
        **kept,
        "PATH": USER_PATH,
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "AWS_SECRET_ACCESS_KEY": "never to be seen",
        "HOMERUN_HOME": "never to be seen",
    }


@pytest.fixture
def python_runtime() -> Runtime:
    """The runtime that this very Python serves."""
    return PYTHON_RUNTIME


@pytest.fixture
def plan_of(python_runtime: Runtime) -> Callable[..., BuildPlan]:
    def plan_of(*build: str, start: tuple[str, ...] | str = ("python", "app.py"), **changes: object) -> BuildPlan:
        shell = isinstance(start, str)
        command = StartCommand(
            text=start if isinstance(start, str) else " ".join(start),
            argv=() if isinstance(start, str) else start,
            shell=shell,
        )
        values = {"runtime": python_runtime, "source_directory": "", "build": build, "start": command, **changes}
        return BuildPlan(**values)  # type: ignore[arg-type]

    return plan_of


class Builder:
    """Builds versions of one service from files given as text; remembers the log and the newest artifact."""

    def __init__(self, compute: Compute, home: Home, folder: Path) -> None:
        self.compute = compute
        self.home = home
        self.folder = folder
        self.log: list[str] = []
        self.previous: Artifact | None = None
        self.target = Path()
        self.number = 0

    def job(self, plan: BuildPlan, files: dict[str, str]) -> BuildJob:
        version_id = new_id()
        source = self.folder / f"source-{version_id}"
        (source / plan.source_directory).mkdir(parents=True)
        for name, text in files.items():
            path = source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.target = self.home.artifact(SERVICE_ID, version_id)
        self.number += 1
        return BuildJob(
            service_id=SERVICE_ID,
            service_name="hello",
            number=self.number,
            version_id=version_id,
            source=source,
            target=self.target,
            plan=plan,
            previous=self.previous,
        )

    async def __call__(self, plan: BuildPlan, **files: str) -> Artifact:
        """File names have __ for a dot: `app__py="…"`."""
        job = self.job(plan, {name.replace("__", "."): text for name, text in files.items()})
        self.log.clear()
        self.previous = await self.compute.build(job, self.log.append)
        return self.previous


@pytest.fixture
def build(compute: Compute, home: Home, tmp_path: Path) -> Builder:
    return Builder(compute, home, tmp_path)


@pytest.fixture(scope="session")
def some_venv(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("shared") / "venv"
    (template,) = shared_cache.glob("venvs/*/venv")
    clone_tree(template, venv, share=True)
    return venv


@pytest.fixture
def made_folder(home: Home, some_venv: Path) -> Callable[..., Artifact]:
    """An artifact as a build of the process compute leaves it, without a build: `made_folder(app__py="…")`."""

    def made(**files: str) -> Artifact:
        root = home.artifact(SERVICE_ID, new_id())
        (root / "app").mkdir(parents=True, mode=0o700)
        for name, text in files.items():
            (root / "app" / name.replace("__", ".")).write_text(text, encoding="utf-8")
        (root / "venv").symlink_to(some_venv)
        artifact = Artifact(
            path=str(root),
            runtime=ResolvedRuntime(executable=sys.executable, version="3"),
            bin_dirs=(str(root / "venv/bin"),),
        )
        write_record(root / "artifact.json", ArtifactRecord(artifact=artifact))
        return artifact

    return made


class Runner:
    """Starts instances, and ends whatever a test leaves behind."""

    def __init__(self, compute: Compute) -> None:
        self.compute = compute
        self.instances: list[Instance] = []

    def spec(self, artifact: Artifact, plan: BuildPlan, **changes: object) -> InstanceSpec:
        values: dict[str, object] = {
            "instance_id": new_id(),
            "service_id": SERVICE_ID,
            "service_name": "hello",
            "version_id": Path(artifact.path).name,
            "artifact": artifact,
            "plan": plan,
            "env": {},
            "cpu_units": 1024,
            "memory_mb": 2048,
            **changes,
        }
        return InstanceSpec(**values)  # type: ignore[arg-type]

    async def __call__(self, artifact: Artifact, plan: BuildPlan, **changes: object) -> Instance:
        return await self.start(self.spec(artifact, plan, **changes))

    async def start(self, spec: InstanceSpec) -> Instance:
        started = await self.compute.start(spec)
        instance = Instance(
            id=spec.instance_id,
            service_id=spec.service_id,
            version_id=spec.version_id,
            compute=self.compute.name,
            state=InstanceState.STARTING,
            handle=started.handle,
            address=started.address,
            created_at=0.0,
        )
        self.instances.append(instance)
        return instance

    async def output(self, instance: Instance, text: str, *, within_s: float = 10.0) -> str:
        """What it has printed, once that contains `text`."""
        async with asyncio.timeout(within_s):
            while text not in (printed := self.printed(instance)):
                await asyncio.sleep(0.01)
        return printed

    def printed(self, instance: Instance) -> str:
        """What it has printed so far."""
        file = self.compute.output(instance.id)
        return file.read_text(encoding="utf-8") if file.exists() else ""


@pytest.fixture
async def run(compute: Compute) -> AsyncIterator[Runner]:
    runner = Runner(compute)
    yield runner
    for instance in runner.instances:
        await compute.stop(instance, 0)


@pytest.fixture
def get() -> Callable[[Instance], object]:
    """GET / of an instance, as soon as it answers: the body."""

    async def get(instance: Instance, *, within_s: float = 15.0) -> str:
        assert instance.address
        url = f"http://{instance.address.host}:{instance.address.port}/"

        def fetch() -> str:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())

        async with asyncio.timeout(within_s):
            while True:
                try:
                    return await asyncio.to_thread(fetch)
                except OSError:
                    await asyncio.sleep(0.02)

    return get
