"""Each compute as the conformance suite needs it: how to make one, and where to look at what it did."""

import io
import tarfile
from collections.abc import Callable, Mapping
from typing import Protocol

import docker
from docker.errors import APIError, NotFound

from engine.compute.base import Compute
from engine.compute.docker.compute import DockerCompute
from engine.compute.docker.labels import HOME, INSTANCE, names_of
from engine.compute.process import ProcessCompute
from engine.compute.process.environment import BUILD_MARK, INSTANCE_MARK
from engine.compute.process.trees import take_scan
from engine.model.clock import SystemClock
from engine.model.home import Home
from engine.model.instance import Instance
from engine.model.plan import BuildPlan
from engine.model.settings import Settings
from engine.model.version import Artifact

BASE_IMAGE = "python:3.11"


class Kind(Protocol):
    """One place where instances can run."""

    name: str

    def compute(self) -> Compute:
        """Another engine's compute on the same home."""
        ...

    def made(self, **files: str) -> Artifact:
        """An artifact as a build leaves it, without a build: `made(app__py="…")`."""
        ...

    def exists(self, artifact: Artifact) -> bool: ...

    def app(self, instance: Instance) -> str:
        """Where the application lies, as it sees it itself."""
        ...

    def port(self, instance: Instance, plan: BuildPlan) -> int:
        """Where the application listens, as it sees it itself."""
        ...

    def processes(self, instance: Instance) -> int:
        """How many of it run."""
        ...

    def leftovers(self, instance: Instance) -> list[str]:
        """What there still is of a removed one."""
        ...

    def builds(self, version_id: str) -> int:
        """Processes (or containers) of builds of that version that still run."""
        ...


class Processes:
    name = "process"

    def __init__(self, home: Home, environ: Mapping[str, str], made: Callable[..., Artifact]) -> None:
        self._home, self._environ, self.made = home, environ, made

    def compute(self) -> Compute:
        return ProcessCompute(self._home, SystemClock(), self._environ)

    def exists(self, artifact: Artifact) -> bool:
        return (self._home.path / artifact.path).exists()

    def app(self, instance: Instance) -> str:
        return f"{self._home.instance(instance.id)}/app"

    def port(self, instance: Instance, plan: BuildPlan) -> int:
        assert instance.address
        return instance.address.port

    def processes(self, instance: Instance) -> int:
        return len(take_scan().members(None, f"{INSTANCE_MARK}={instance.id}"))

    def leftovers(self, instance: Instance) -> list[str]:
        folder = self._home.instance(instance.id)
        return [str(folder)] * folder.exists() + ["a process"] * self.processes(instance)

    def builds(self, version_id: str) -> int:
        return len(take_scan().members(None, f"{BUILD_MARK}={version_id}"))


class Containers:
    name = "docker"

    def __init__(self, home: Home, environ: Mapping[str, str], address: str, client: docker.DockerClient) -> None:
        self._home, self._environ, self._address, self._client = home, environ, address, client
        self._names = names_of(home)
        self._made = 0

    def compute(self) -> Compute:
        return DockerCompute(self._home, Settings(docker_host=self._address), SystemClock(), self._environ)

    def made(self, **files: str) -> Artifact:
        self._made += 1
        path = self._names.image("made", "5" * 32, self._made)
        contents = {f"app/{name.replace('__', '.')}": text for name, text in files.items()}
        image = image_with(self._client, path, contents, {HOME: self._names.home})
        return Artifact(path=path, image=image)

    def exists(self, artifact: Artifact) -> bool:
        return bool(self._client.images.list(artifact.path))

    def app(self, instance: Instance) -> str:
        return "/app"

    def port(self, instance: Instance, plan: BuildPlan) -> int:
        return plan.port

    def processes(self, instance: Instance) -> int:
        try:
            return len(self._client.containers.get(instance.handle.container_id).top()["Processes"])  # type: ignore[union-attr]
        except (NotFound, APIError):
            return 0

    def leftovers(self, instance: Instance) -> list[str]:
        folder = self._home.instance(instance.id)
        found = self._client.api.containers(all=True, filters={"label": f"{INSTANCE}={instance.id}"})
        return [str(folder)] * folder.exists() + [container["Names"][0] for container in found]

    def builds(self, version_id: str) -> int:
        return sum(version_id in str(container) for container in self._client.api.containers(all=True))


def image_with(
    client: docker.DockerClient,
    name: str,
    files: Mapping[str, str],
    labels: Mapping[str, str] | None = None,
    *,
    changes: tuple[str, ...] = ("WORKDIR /app",),
    base: str = BASE_IMAGE,
) -> str:
    """Make an image of these files on top of a base image; its id. Nothing is built for it."""
    container = client.containers.create(base, ["true"], labels=dict(labels or {}))
    try:
        container.put_archive("/", packed({"app/": "", **files}))
        repository, _, tag = name.rpartition(":")
        return str(container.commit(repository, tag, changes=list(changes)).id)
    finally:
        container.remove()


def packed(files: Mapping[str, str]) -> bytes:
    """A tar of these files; a name that ends with a slash is a folder."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mode = 0o644
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()
