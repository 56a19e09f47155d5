"""Each way that a deployment can fail ends in a status, one plain sentence, evidence, and nothing left running."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
from msgspec.structs import replace

from engine.engine import Engine
from engine.model.actions.service import DeleteServiceRequest, UpdateServiceRequest
from engine.model.errors import FailureKind, HomerunError
from engine.model.home import Home
from engine.model.log import LogKind
from engine.model.service import (
    CodeRepository,
    HealthCheckConfiguration,
    HealthCheckProtocol,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)

pytestmark = pytest.mark.slow

CONFIG = "version: 1.0\nruntime: python3\nbuild:\n  commands:\n    build:\n      - {build}\nrun:\n  command: {run}\n"


async def failed(driver, service, kind: FailureKind):
    """Wait for the end and check what every failed create has in common."""
    service = await driver.settled(service)
    assert service.status is ServiceStatus.CREATE_FAILED
    assert await driver.operations(service) == ["CREATE_SERVICE FAILED"]
    failure = await driver.failure(service)
    assert failure.kind is kind, failure
    assert failure.message.endswith("."), failure.message
    assert "\n" not in failure.message
    assert "Traceback" not in failure.message
    assert list(driver.home.instances.glob("*")) == [] or not driver.home.instances.exists()
    assert not any(driver.home.artifacts.glob(f"{service.service_id}/*")), "a build was left behind"
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(driver.home.path / "instances") not in processes
    events = await driver.lines(service, LogKind.EVENTS)
    assert any(failure.message in line for line in events), "the event log does not say why"
    assert events[-1] == "[AppRunner] Service status is set to CREATE_FAILED."
    return failure


async def test_a_path_that_is_not_there(driver, tmp_path):
    failure = await failed(driver, await driver.create(tmp_path / "nowhere"), FailureKind.SOURCE)

    assert "nowhere" in failure.message


async def test_a_url_that_nobody_answers(driver):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    failure = await failed(driver, await driver.create(f"http://127.0.0.1:{port}/x.git"), FailureKind.SOURCE)

    assert str(port) in failure.message


async def test_a_branch_that_is_not_there(driver, repository):
    repository.service()
    failure = await failed(driver, await driver.create(repository.path, branch="mian"), FailureKind.SOURCE)

    assert "mian" in failure.message
    assert "main" in failure.message + failure.hint


async def test_malformed_yaml(driver, repository):
    repository.commit(apprunner__yaml="version: 1.0\nruntime: python3\n  build: [\n")
    failure = await failed(driver, await driver.create(repository.path), FailureKind.CONFIG)

    assert "apprunner.yaml" in failure.message
    assert "line 3" in failure.message


async def test_no_configuration_file(driver, repository):
    repository.commit(**{"server/apprunner__yaml": CONFIG.format(build="echo", run="python3 x.py")})
    failure = await failed(driver, await driver.create(repository.path), FailureKind.CONFIG)

    assert "no apprunner.yaml" in failure.message
    assert "/server" in failure.hint


async def test_a_build_command_that_fails(driver, repository):
    repository.commit(apprunner__yaml=CONFIG.format(build="echo before; echo oh no >&2; exit 42", run="python3 x.py"))
    service = await driver.create(repository.path)
    failure = await failed(driver, service, FailureKind.BUILD)

    assert failure.exit_code == 42
    assert any("oh no" in line for line in failure.evidence)
    operation = await driver.operation(service)
    log = await driver.lines(service, LogKind.DEPLOYMENT, operation.id.replace("-", ""))
    assert "[Build] oh no" in log


async def test_an_application_that_exits_at_once(driver, repository):
    repository.commit(
        apprunner__yaml=CONFIG.format(build="echo", run="python3 server.py"),
        server__py="import sys; print('cannot reach the database'); sys.exit(3)",
    )
    service = await driver.create(repository.path)
    failure = await failed(driver, service, FailureKind.START)

    assert failure.exit_code == 3
    assert "exited with code 3" in failure.message
    assert failure.evidence == ("cannot reach the database",)
    assert "cannot reach the database" in await driver.lines(service, LogKind.APPLICATION)


async def test_a_start_command_that_does_not_exist(driver, repository):
    repository.commit(apprunner__yaml=CONFIG.format(build="echo", run="gunicorm app:app"))
    failure = await failed(driver, await driver.create(repository.path), FailureKind.START)

    assert failure.exit_code == 127
    assert "not found" in failure.hint


async def test_an_application_that_listens_on_the_wrong_port(driver, repository):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    repository.commit(
        apprunner__yaml=CONFIG.format(build="echo", run=f"python3 -m http.server {port}"),
    )
    failure = await failed(driver, await driver.create(repository.path), FailureKind.PORT)

    assert f"listens on port {port}" in failure.message
    assert "8080" in failure.message


async def test_a_port_that_is_already_taken(driver, repository):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        repository.commit(apprunner__yaml=CONFIG.format(build="echo", run=f"python3 -m http.server {port}"))
        failure = await failed(driver, await driver.create(repository.path), FailureKind.PORT)

    assert "already in use" in failure.message


async def test_a_runtime_that_is_not_on_this_machine(driver, repository):
    text = CONFIG.format(build="echo", run="java -jar app.jar").replace("python3", "corretto11")
    repository.commit(apprunner__yaml=text)
    failure = await failed(driver, await driver.create(repository.path), FailureKind.RUNTIME)

    assert "corretto11" in failure.message


async def test_a_failed_create_is_mended_by_an_update_and_can_be_deleted(driver, repository):
    repository.commit(apprunner__yaml=CONFIG.format(build="exit 1", run="python3 server.py"))
    service = await driver.settled(await driver.create(repository.path))
    assert service.status is ServiceStatus.CREATE_FAILED

    repository.service("mended")
    source = SourceConfiguration(
        code_repository=CodeRepository(
            repository_url=str(repository.path),
            source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
        )
    )
    await driver.engine.call(UpdateServiceRequest(service_arn=service.service_arn, source_configuration=source))
    service = await driver.settled(service)
    assert service.status is ServiceStatus.RUNNING
    assert await driver.get(service) == (200, "mended")

    await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
    assert (await driver.settled(service)).status is ServiceStatus.DELETED


class TestNeverHealthy:
    @pytest.fixture
    def engine_settings(self, engine_settings):
        return replace(engine_settings, startup_timeout_s=2.0)

    async def test_a_health_check_that_never_passes(self, driver, repository):
        server = (
            "import http.server, os\n"
            "class H(http.server.BaseHTTPRequestHandler):\n"
            "    def do_GET(self):\n        self.send_error(401)\n"
            "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n"
        )
        repository.commit(apprunner__yaml=CONFIG.format(build="echo", run="python3 server.py"), server__py=server)
        check = HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path="/", interval=1)
        service = await driver.create(repository.path, health_check_configuration=check)
        failure = await failed(driver, service, FailureKind.HEALTH)

        assert "HTTP 401 Unauthorized" in failure.message
        assert "GET /" in failure.message


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root on Linux")
class TestFullDisk:
    @pytest.fixture
    def home(self, tmp_path, interpreter_cache):
        path = tmp_path / "small"
        path.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", path], check=False)
        if mounted.returncode:
            pytest.skip("tmpfs cannot be mounted here")
        try:
            home = Home(path=path / "home")
            home.path.mkdir(mode=0o700)
            home.cache.symlink_to(interpreter_cache)
            yield home
        finally:
            subprocess.run(["umount", "--lazy", path], check=True)

    async def test_a_full_disk(self, driver, repository):
        (repository.path / "large").write_bytes(os.urandom(70_000_000))
        repository.service()
        failure = await failed(driver, await driver.create(repository.path), FailureKind.DISK)

        assert "disk" in failure.message.lower()
        (repository.path / "large").unlink()
        repository.git("checkout", "--quiet", "--orphan", "small")
        repository.service("after")
        service = await driver.settled(await driver.create(repository.path, "second-service", branch="small"))
        assert service.status is ServiceStatus.RUNNING, await driver.failure(service)


async def test_a_read_only_home(tmp_path, engine_settings):
    home = Home(path=tmp_path / "home")
    home.path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        # Root writes everywhere but on a read-only mount.
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", home.path], check=False).returncode:
            pytest.skip("a read-only disk cannot be mounted here")
    else:
        home.path.chmod(0o500)
    try:
        with pytest.raises(HomerunError) as caught:
            await Engine.open(home, engine_settings)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", home.path], check=True)
        else:
            home.path.chmod(0o700)

    assert "read-only" in str(caught.value)
    assert str(home.path) in str(caught.value)
    shutil.rmtree(home.path)
