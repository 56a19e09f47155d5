"""Podman's builder in BuildKit's place: the same images, the same log, and nothing stale."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from engine.compute.base import BuildJob
from engine.compute.docker.api import DockerApi
from engine.compute.docker.build import Supplies, build_image
from engine.compute.docker.http import Endpoint
from engine.model.errors import DeployError
from engine.model.ids import new_id
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.settings import BuildSettings
from tests.docker import podman

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(bool(podman.missing()), reason=podman.missing()),
]

BASE = "homerun-tests/tools:1"
RUNTIME = Runtime(name="python311", family=RuntimeFamily.PYTHON, generation=BuildGeneration.REVISED, accepts=("3.11",))
START = StartCommand(text="true", argv=("true",), shell=False)


class Podman:
    """Builds in a Podman of its own."""

    def __init__(self, address: str, client: docker.DockerClient, folder: Path) -> None:
        self.api = DockerApi(Endpoint(path=address.removeprefix("unix://")))
        self.client = client
        self.folder = folder
        self.log: list[str] = []

    async def __call__(self, *build: str, files: dict[str, str] | None = None, **changes: object) -> str:
        self.log.clear()
        version_id = new_id()
        source = self.folder / version_id
        source.mkdir()
        for name, text in (files or {"a": "1"}).items():
            (source / name).write_text(text)
        plan = BuildPlan(**{"runtime": RUNTIME, "source_directory": "", "start": START, "build": build, **changes})
        job = BuildJob(service_id="5" * 32, version_id=version_id, source=source, target=source, plan=plan)

        async def ensure(name: str) -> None:
            pass

        supplies = Supplies(
            base_images={"python311": BASE},
            settings=BuildSettings(),
            environ={},
            scratch=self.folder / "scratch",
            ensure_image=ensure,
        )
        tag = f"homerun-tests/build:{version_id}"
        return await build_image(self.api, job, self.log.append, tag=tag, labels={"l": "1"}, supplies=supplies)

    def run(self, image: str, command: str) -> str:
        return self.client.containers.run(image, ["/bin/sh", "-c", command], remove=True, network_mode="none").decode()


@pytest.fixture
def images(docker_address: str, tmp_path: Path) -> Iterator[Podman]:
    with (
        podman.service() as address,
        contextlib.closing(docker.DockerClient(base_url=docker_address)) as made,
        contextlib.closing(docker.DockerClient(base_url=address, timeout=120)) as client,
    ):
        client.images.load(b"".join(made.images.get(BASE).save(named=True)))
        yield Podman(address, client, tmp_path)


async def test_a_build_with_podman(images):
    phases = {"pre_build": ("echo pre",), "pre_run": ("echo run",), "post_build": ("echo post > /app/post; echo p",)}
    image = await images("echo $A > out; printf end", build_env={"A": "one"}, **phases)

    assert images.log == [
        f"[AppRunner] Building on {BASE}.",
        "[PreBuild] $ echo pre",
        "[PreBuild] pre",
        "[Build] $ echo $A > out; printf end",
        "[Build] end",
        "[PreRun] $ echo run",
        "[PreRun] run",
        "[PostBuild] $ echo post > /app/post; echo p",
        "[PostBuild] p",
    ]
    assert images.run(image, "cat out; ls; ls -d /dev/homerun 2>/dev/null || true") == "one\na\nout\n"
    attributes = images.client.images.get(image).attrs
    assert attributes["Config"]["Labels"]["l"] == "1"
    assert "A=one" not in str(attributes["Config"])
    assert "A=one" not in str(images.client.images.get(image).history())

    again = await images("echo $A > out; printf end", build_env={"A": "one"}, **phases)
    assert sum("taken from the cache" in line for line in images.log) == 3
    assert images.log[-1] == "[PostBuild] p"  # with every deployment
    assert again == image
    # Buildah does not look at what is mounted: a variable that changed must still count.
    other = await images("echo $A > out; printf end", build_env={"A": "two"}, **phases)
    assert images.run(other, "cat out") == "two\n"

    with pytest.raises(DeployError) as caught:
        await images("echo trouble; exit 7")
    failure = caught.value.failure
    assert failure.message == "Failed to execute 'build' command: `echo trouble; exit 7` ended with exit code 7."
    assert failure.evidence == ("trouble",)

    runtime = Runtime(name="docker", family=RuntimeFamily.DOCKER, generation=BuildGeneration.REVISED, accepts=())
    own = {"Dockerfile": f"FROM {BASE}\nARG WHO\nRUN echo $WHO > /who\n"}
    image = await images(files=own, runtime=runtime, dockerfile="Dockerfile", build_env={"WHO": "you"})
    assert images.run(image, "cat /who") == "you\n"
