"""A container engine for the tests that need one: found, or the reason why they are skipped."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.compute.docker.api import DockerApi
from engine.compute.docker.locate import AddressError, parse_host


def _address() -> str:
    """HOMERUN_TEST_DOCKER, DOCKER_HOST, or the usual socket."""
    usual = "/var/run/docker.sock"
    named = os.environ.get("HOMERUN_TEST_DOCKER") or os.environ.get("DOCKER_HOST") or ""
    return named or (f"unix://{usual}" if Path(usual).exists() else "")


def _silence(address: str) -> str:
    """Why nothing answers there, "" when something does. docker-py would leave a socket open where nothing does."""
    try:
        endpoint = parse_host(address, os.environ, "HOMERUN_TEST_DOCKER")
        if endpoint.path:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(endpoint.path)
        else:
            socket.create_connection((endpoint.host, endpoint.port), 5).close()
    except (AddressError, OSError) as error:
        return f"{address}: {error}"
    return ""


@pytest.fixture(scope="session")
def docker_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address (`unix://…` or `tcp://…`) of an engine that has the base images.

    Where none answers the test is skipped; with HOMERUN_REQUIRE_DOCKER=1, as in CI, it fails.
    """
    import docker
    from docker.errors import DockerException

    from tests.docker.base_images import ensure

    address = _address()
    reason = _silence(address) if address else "no engine's socket was found"
    if not reason:
        try:
            with contextlib.closing(docker.DockerClient(base_url=address, timeout=120)) as client:
                client.ping()
                lock = tmp_path_factory.getbasetemp().parent / "base-images.lock"
                with lock.open("w") as file:
                    fcntl.flock(file, fcntl.LOCK_EX)  # one of the test processes makes them
                    ensure(client)
        except DockerException as error:
            reason = str(error)
        else:
            yield address
            return
    if os.environ.get("HOMERUN_REQUIRE_DOCKER") == "1":
        pytest.fail(f"A container engine is required here: {reason}")
    pytest.skip(f"needs a container engine: {reason}")


@pytest.fixture
def docker_api(docker_address: str) -> DockerApi:
    return DockerApi(parse_host(docker_address, os.environ, "HOMERUN_TEST_DOCKER"))
