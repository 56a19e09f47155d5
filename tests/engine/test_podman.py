"""Podman's service in Docker's place: an image service runs in it, and nothing of it is left."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import pytest
from msgspec.structs import replace

from engine.compute.docker.api import DockerApi
from engine.compute.docker.http import Endpoint
from engine.compute.docker.labels import names_of
from engine.model.actions.service import CreateServiceRequest, DeleteServiceRequest
from engine.model.ids import new_id
from engine.model.log import LogKind
from engine.model.service import (
    HealthCheckConfiguration,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    ServiceStatus,
    SourceConfiguration,
)
from tests.engine.compute.kinds import image_with
from tests.engine.conftest import SERVER

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("podman"), reason="podman is not on this machine"),
    pytest.mark.skipif(os.geteuid() != 0, reason="podman is given folders of its own as root"),
]


@pytest.fixture
def podman():
    """The address of a service of its own, on folders of its own; it ends with everything in it."""
    folder = Path(tempfile.mkdtemp(prefix="hr-"))
    address = f"unix://{folder}/podman.sock"
    command = ["podman", "--root", folder / "root", "--runroot", folder / "run", "--storage-driver", "vfs"]
    if Path("/sys/fs/cgroup/memory").exists():  # without systemd, on cgroups of version 1
        command += ["--cgroup-manager", "cgroupfs"]
    # Its own default, a million open files, is more than may be asked for everywhere.
    limits = 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]'
    (folder / "containers.conf").write_text(f"[containers]\n{limits}\n")
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", address],
            stdout=log,
            stderr=log,
            env={**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")},
        )
    try:
        deadline = time.monotonic() + 30
        while not (folder / "podman.sock").exists():
            assert service.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        yield address
    finally:
        subprocess.run([*command, "rm", "--all", "--force", "--time", "0"], capture_output=True, check=False)
        service.terminate()
        service.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def image(docker_address, podman):
    """The name of an image whose server answers hello, carried over from the Docker engine that made it."""
    name = f"localhost/homerun-tests/{new_id()[:12]}:1"
    with (
        contextlib.closing(docker.DockerClient(base_url=docker_address)) as made,
        contextlib.closing(docker.DockerClient(base_url=podman, timeout=300)) as there,
    ):
        files = {"app/server.py": SERVER.replace("MESSAGE", "hello")}
        image_with(made, name, files, changes=("WORKDIR /app", 'CMD ["python3", "server.py"]'))
        try:
            there.images.load(b"".join(made.images.get(name).save(named=name)))
        finally:
            made.images.remove(name)
    return name


@pytest.fixture
def engine_settings(engine_settings, podman):
    return replace(engine_settings, compute="docker", docker_host=podman)


async def left_behind(podman: str, home) -> list[str]:
    api, names = DockerApi(Endpoint(path=podman.removeprefix("unix://"))), names_of(home)
    containers = await api.call("GET", "/containers/json", query={"all": "true", "filters": {"label": [names.label]}})
    images = await api.call("GET", "/images/json")
    tags = [tag for image in images for tag in image.get("RepoTags") or () if names.images in tag]
    return [container["Names"][0] for container in containers] + tags


async def created(driver, image):
    request = CreateServiceRequest(
        service_name="test-service",
        source_configuration=SourceConfiguration(
            auto_deployments_enabled=False,
            image_repository=ImageRepository(
                image_identifier=image,
                image_repository_type=ImageRepositoryType.ECR,
                image_configuration=ImageConfiguration(port="8080"),
            ),
        ),
        health_check_configuration=HealthCheckConfiguration(interval=1, timeout=1),
    )
    service = await driver.settled((await driver.engine.call(request)).service, timeout_s=120)
    assert service.status is ServiceStatus.RUNNING, (await driver.operation(service)).failure
    return service


async def test_an_image_service_runs_in_podman(driver, image, podman):
    assert driver.engine._compute.state.name == "podman"
    service = await created(driver, image)
    assert await driver.get(service) == (200, "hello")

    async def has_started() -> bool:
        return "starting" in await driver.lines(service, LogKind.APPLICATION)

    await driver.eventually(has_started)
    await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
    assert (await driver.settled(service)).status is ServiceStatus.DELETED

    async def is_clean() -> bool:
        return not await left_behind(podman, driver.home)

    await driver.eventually(is_clean)
