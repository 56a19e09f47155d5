"""Image services and builds in containers, through the whole engine: from the call to the answer at the edge."""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
from types import SimpleNamespace

import docker
import pytest
from msgspec.structs import replace

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.compute import DockerCompute
from engine.compute.docker.labels import names_of
from engine.engine import Engine
from engine.lifecycle.image_watch import ImageWatch
from engine.model.actions.connection import CreateConnectionRequest, ProviderType
from engine.model.actions.homerun import AuthorizeConnectionRequest
from engine.model.actions.service import (
    CreateServiceRequest,
    DeleteServiceRequest,
    PauseServiceRequest,
    ResumeServiceRequest,
    StartDeploymentRequest,
    UpdateServiceRequest,
)
from engine.model.clock import SystemClock
from engine.model.errors import FailureKind
from engine.model.ids import new_id
from engine.model.instance import InstanceState
from engine.model.log import LogKind
from engine.model.service import (
    AuthenticationConfiguration,
    HealthCheckConfiguration,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    ServiceStatus,
    SourceConfiguration,
)
from engine.model.settings import Settings
from engine.model.version import Artifact
from tests.docker.daemon import Daemon
from tests.docker.registry import PROGRAM, Registry, pushed, remove_images_of
from tests.docker.standin import FakeEngine, NewerEngine
from tests.engine.compute.kinds import image_with
from tests.engine.conftest import CONFIG, SERVER, Driver

pytestmark = [pytest.mark.docker, pytest.mark.slow]

USER = "me:$2b$04$wPBztOa4Tgjg7iLJRviIZeN4VFQtWF4zB1xntdaFeBDtx6HhyJNuS\n"
"""Of a registry: me, with the password "secret"."""
START = ("WORKDIR /app", 'CMD ["python3", "server.py"]', "EXPOSE 8080/tcp")


@pytest.fixture
def client(docker_address):
    client = docker.DockerClient(base_url=docker_address)
    yield client
    client.close()


@pytest.fixture
def brought_from(client):
    """Addresses of registries; what came from them is removed at the end, when nothing runs any more."""
    addresses: list[str] = []
    yield addresses
    for address in addresses:
        remove_images_of(client, address)


@pytest.fixture
def left_behind(client, home, brought_from):
    """`left_behind()`: what this home has in the engine. What it has at the end of a test is removed."""
    names = names_of(home)

    def left_behind() -> list[str]:
        containers = client.api.containers(all=True, filters={"label": names.label})
        tags = [tag for image in client.api.images() for tag in image["RepoTags"] or () if tag.startswith(names.images)]
        networks = client.networks.list([names.network])
        return [c["Names"][0].removeprefix("/") for c in containers] + tags + [n.name for n in networks]

    yield left_behind
    for container in client.api.containers(all=True, filters={"label": names.label}):
        client.api.remove_container(container["Id"], force=True)
    for image in client.api.images():
        for tag in image["RepoTags"] or ():
            if tag.startswith(names.images):
                client.images.remove(tag, force=True)
    for network in client.networks.list([names.network]):
        network.remove()


@pytest.fixture
def engine_settings(engine_settings, docker_address, left_behind):
    return replace(engine_settings, compute="docker", docker_host=docker_address)


@pytest.fixture
def image(client):
    """`image("hello")` is one on this machine whose server answers hello; all of them are removed at the end."""
    names = []

    def image(message: str, server: str = SERVER) -> str:
        name = f"homerun-tests/{new_id()[:12]}:1"
        image_with(client, name, {"app/server.py": server.replace("MESSAGE", message)}, changes=START)
        names.append(name)
        return name

    yield image
    for name in names:
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.remove(name, force=True)


@pytest.fixture
def registry(tmp_path, brought_from):
    if not shutil.which(PROGRAM):
        pytest.skip("docker-registry is not on this machine")
    registry = Registry(tmp_path)
    registry.start()
    brought_from.append(registry.address)
    yield registry
    registry.stop()


@pytest.fixture
def push(client, image):
    """Push an image whose server answers `message`, so that the registry alone has it."""

    def push(message: str, name: str, server: str = SERVER) -> None:
        local = image(message, server)
        pushed(client, local, name)
        client.images.remove(local)

    return push


def source_of(name: str, *, watched: bool = True, **configuration: object) -> SourceConfiguration:
    """`watched` services are deployed when their tag moves."""
    return SourceConfiguration(
        auto_deployments_enabled=watched,
        image_repository=ImageRepository(
            image_identifier=name,
            image_repository_type=ImageRepositoryType.ECR,
            image_configuration=ImageConfiguration(port="8080", **configuration),  # type: ignore[arg-type]
        ),
    )


async def create(driver: Driver, name: str, service: str = "test-service", **configuration: object):
    check = HealthCheckConfiguration(interval=1, timeout=1)
    request = CreateServiceRequest(
        service_name=service,
        source_configuration=source_of(name, **configuration),
        health_check_configuration=check,
    )
    return (await driver.engine.call(request)).service


async def running(driver: Driver, service):
    service = await driver.settled(service)
    assert service.status is ServiceStatus.RUNNING, (await driver.operation(service)).failure
    return service


async def failed(driver: Driver, service, kind: FailureKind):
    service = await driver.settled(service)
    assert service.status is ServiceStatus.CREATE_FAILED
    failure = await driver.failure(service)
    assert failure.kind is kind, failure
    assert failure.message.endswith(".")
    assert "\n" not in failure.message
    return failure


def view(driver: Driver, service):
    return driver.engine._view(service.service_id)


async def ready(driver: Driver, service) -> None:
    """It has an instance that gets requests."""

    def check() -> bool:
        instances = view(driver, service).instances
        return bool(instances) and all(i.state is InstanceState.READY for i in instances)

    await driver.eventually(check, timeout_s=60)


async def serves(driver: Driver, service, answer: tuple[int, str], timeout_s: float = 60.0) -> None:
    async def check() -> bool:
        return await driver.get(service) == answer

    await driver.eventually(check, timeout_s=timeout_s)


async def test_an_image_becomes_a_service_that_answers(driver, image, client):
    service = await running(driver, await create(driver, image("hello")))

    assert await driver.get(service) == (200, "hello")
    assert await driver.operations(service) == ["CREATE_SERVICE SUCCEEDED"]
    assert driver.engine._compute.state.name == "docker"
    (instance,) = view(driver, service).instances
    assert client.containers.get(instance.handle.container_id).name.startswith("homerun-test-service-")

    async def has_started() -> bool:
        return "starting" in await applications(driver, service)

    await driver.eventually(has_started)


async def applications(driver: Driver, service) -> list[str]:
    return await driver.lines(service, LogKind.APPLICATION)


async def test_a_private_image_is_pulled_with_what_its_connection_was_given(
    driver, image, client, brought_from, tmp_path
):
    """And without it the refusal is one sentence."""
    if not shutil.which(PROGRAM):
        pytest.skip("docker-registry is not on this machine")
    folder = tmp_path / "private"
    folder.mkdir()
    registry = Registry(folder, users=USER)
    registry.start()
    brought_from.append(registry.address)
    try:
        name = f"{registry.address}/shop:1"
        local = image("private")
        pushed(client, local, name, credentials={"username": "me", "password": "secret"})
        client.images.remove(local)
        failure = await failed(driver, await create(driver, name, "denied-service"), FailureKind.IMAGE)
        assert registry.address in failure.message

        made = CreateConnectionRequest(connection_name="registry", provider_type=ProviderType.GITHUB)
        arn = (await driver.engine.call(made)).connection.connection_arn
        await driver.engine.call(AuthorizeConnectionRequest(connection_arn=arn, token="me:secret"))
        source = replace(source_of(name), authentication_configuration=AuthenticationConfiguration(connection_arn=arn))
        request = CreateServiceRequest(service_name="private-service", source_configuration=source)
        service = await running(driver, (await driver.engine.call(request)).service)
        assert await driver.get(service) == (200, "private")
        for kind in LogKind:
            assert not any("secret" in line for line in await driver.lines(service, kind))
    finally:
        registry.stop()


async def test_its_start_command_and_variables_are_the_services(driver, image):
    server = SERVER.replace('b"MESSAGE"', 'os.environ["GREETING"].encode()')
    name = image("", server)
    service = await create(
        driver,
        name,
        start_command="python3 -u server.py && echo never",
        runtime_environment_variables={"GREETING": "hello you"},
    )

    assert await driver.get(await running(driver, service)) == (200, "hello you")


async def test_pause_resume_and_delete_leave_nothing(driver, image, left_behind, client):
    name = image("hello")
    service = await running(driver, await create(driver, name))
    await driver.engine.call(PauseServiceRequest(service_arn=service.service_arn))
    assert (await driver.settled(service)).status is ServiceStatus.PAUSED
    await driver.eventually(lambda: not any(left.startswith("homerun-test-service") for left in left_behind()))

    await driver.engine.call(ResumeServiceRequest(service_arn=service.service_arn))
    service = await running(driver, service)
    assert await driver.get(service) == (200, "hello")

    await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
    assert (await driver.settled(service)).status is ServiceStatus.DELETED
    await driver.eventually(lambda: left_behind() == [names_of(driver.home).network])
    await driver.engine._compute.close()
    assert left_behind() == []
    assert client.images.get(name), "the user's own image is still there"


async def test_a_deployment_brings_what_was_pushed_meanwhile(driver, registry, push):
    name = f"{registry.address}/shop:latest"
    push("one", name)
    service = await running(driver, await create(driver, name))
    assert await driver.get(service) == (200, "one")

    push("two", name)
    assert await driver.get(service) == (200, "one")
    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    service = await running(driver, service)
    assert await driver.get(service) == (200, "two")
    assert view(driver, service).revision.kind == "image"


async def test_an_image_that_does_not_work_is_rolled_back(driver, registry, push, client):
    name = f"{registry.address}/shop:latest"
    push("one", name)
    service = await running(driver, await create(driver, name))
    push("bad", name, "import sys; print('no database'); sys.exit(3)")
    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    service = await running(driver, service)

    assert (await driver.operations(service))[0] == "START_DEPLOYMENT ROLLBACK_SUCCEEDED"
    failure = await driver.failure(service)
    assert (failure.kind, failure.exit_code, failure.evidence) == (FailureKind.START, 3, ("no database",))
    assert await driver.get(service) == (200, "one")
    mine = {"label": names_of(driver.home).label}
    await driver.eventually(lambda: len(client.api.containers(all=True, filters=mine)) == 1)


async def test_an_update_to_a_tag_that_is_not_there_changes_nothing(driver, registry, push):
    push("one", f"{registry.address}/shop:latest")
    service = await running(driver, await create(driver, f"{registry.address}/shop:latest"))
    source = source_of(f"{registry.address}/shop:nightly")
    await driver.engine.call(UpdateServiceRequest(service_arn=service.service_arn, source_configuration=source))
    service = await running(driver, service)

    assert (await driver.failure(service)).kind is FailureKind.IMAGE
    assert await driver.get(service) == (200, "one")
    assert service.source_configuration.image_repository.image_identifier.endswith(":latest")


async def test_an_image_that_listens_on_its_own_loopback_is_told_so(driver, image):
    name = image("hidden", SERVER.replace("0.0.0.0", "127.0.0.1"))
    failure = await failed(driver, await create(driver, name), FailureKind.PORT)

    assert "loopback" in failure.message
    assert "0.0.0.0" in failure.hint


async def test_an_image_that_listens_on_another_port_is_told_so(driver, image, left_behind):
    name = image("elsewhere", SERVER.replace('int(os.environ["PORT"])', "5000"))
    failure = await failed(driver, await create(driver, name), FailureKind.PORT)

    assert "5000" in failure.message
    assert left_behind() == [names_of(driver.home).network]


async def test_an_instance_that_wants_too_much_memory_is_told_so(driver, image):
    service = await create(driver, image("", "x = []\nwhile True: x.append(bytearray(b'x' * (32 << 20)))"))
    failure = await failed(driver, service, FailureKind.START)

    assert "used more memory than its instance has" in failure.message
    assert "more memory" in failure.hint


async def test_an_instance_that_somebody_kills_is_replaced(driver, image, client):
    service = await running(driver, await create(driver, image("hello")))
    (before,) = view(driver, service).instances
    client.containers.get(before.handle.container_id).kill()
    await driver.eventually(lambda: [i.id for i in view(driver, service).instances] != [before.id], timeout_s=30)
    await ready(driver, service)

    assert await driver.get(service) == (200, "hello")


async def test_another_engine_finds_it_as_it_was_and_its_log_complete(home, engine_settings, image, client):
    """Requests while no engine is there are answered, and logged once."""
    driver = Driver(await Engine.open(home, engine_settings), home)
    try:
        service = await running(driver, await create(driver, image("hello")))
        (before,) = view(driver, service).instances
        for number in range(20):
            await driver.get(service, f"/before/{number}")
        await driver.engine.close()
        for number in range(20):
            assert await driver.get(service, f"/between/{number}") == (200, "hello")
    finally:
        await driver.engine.close()
        driver = Driver(await Engine.open(home, engine_settings), home)
    try:
        for number in range(20):
            await driver.get(service, f"/after/{number}")
        (now,) = view(driver, service).instances
        assert (now.id, now.handle, now.state) == (before.id, before.handle, InstanceState.READY)

        async def all_there() -> bool:
            return any(line.endswith("/after/19") for line in await applications(driver, service))

        await driver.eventually(all_there)
        lines = [line for line in await applications(driver, service) if line.startswith("request /")]
        wanted = [f"request /{when}/{n}" for when in ("before", "between", "after") for n in range(20)]
        assert [line for line in lines if line != "request /"] == wanted
    finally:
        await driver.engine.close(stop_instances=True)


async def test_an_instance_that_ended_while_no_engine_was_there_is_replaced(home, engine_settings, image, client):
    driver = Driver(await Engine.open(home, engine_settings), home)
    service = await running(driver, await create(driver, image("hello")))
    (before,) = view(driver, service).instances
    await driver.engine.close()
    client.containers.get(before.handle.container_id).kill()
    driver = Driver(await Engine.open(home, engine_settings), home)
    try:
        await ready(driver, service)
        assert await driver.get(service) == (200, "hello")
        events = await driver.lines(service, LogKind.EVENTS)
        assert any("killed by signal 9 while Homerun was not running" in line for line in events)
    finally:
        await driver.engine.close(stop_instances=True)


async def test_a_repository_is_built_and_runs_in_containers(driver, repository, client):
    """With its next version, and a build that fails."""
    first = f"first {new_id()}"  # never built before, so that no cache has it
    repository.service(first)
    service = await running(driver, await driver.create(repository.path))
    assert await driver.get(service) == (200, first)
    (instance,) = view(driver, service).instances
    assert client.containers.get(instance.handle.container_id).labels["homerun.instance"] == instance.id
    assert "[Build] building" in await driver.lines(service, LogKind.DEPLOYMENT)

    repository.service("second")
    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    await running(driver, service)
    assert await driver.get(service) == (200, "second")

    repository.commit(apprunner__yaml=CONFIG.replace("echo building", "exit 7"))
    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    service = await running(driver, service)
    assert (await driver.failure(service)).exit_code == 7
    assert await driver.get(service) == (200, "second")


async def test_a_deleted_service_that_ran_leaves_no_image(driver, repository, left_behind):
    repository.service("first")
    service = await running(driver, await driver.create(repository.path))
    await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
    assert (await driver.settled(service)).status is ServiceStatus.DELETED

    await driver.eventually(lambda: left_behind() == [names_of(driver.home).network])


async def test_watching_an_image_leaves_the_loop_to_others_while_the_engine_is_away():
    """The engine has gone away a moment ago, and its compute has not noticed yet."""
    away, service = ComputeUnavailable("It is away."), "5" * 32

    async def local_image(_: object) -> None:
        raise away

    async def available() -> None:
        return

    version = SimpleNamespace(artifact=Artifact(path="a:v1", image="sha256:1"), revision=None, number=1)
    watch = ImageWatch(
        store=SimpleNamespace(
            services={service: SimpleNamespace(serving_version_id="v")},
            versions={"v": version},
            versions_of=lambda _: [version],
        ),
        compute=SimpleNamespace(local_image=local_image, available=available),
        images=None,
        journal=SimpleNamespace(event=lambda *_: None),
        clock=SystemClock(),
        settings=Settings(),
        deploy=None,
    )

    def give_up(*_: object) -> None:
        raise AssertionError("nobody else runs any more")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    watching = asyncio.create_task(watch._watch(service, "a:1", asyncio.Event()))
    try:
        await asyncio.sleep(0.2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        watching.cancel()
        (end,) = await asyncio.gather(watching, return_exceptions=True)

    assert isinstance(end, asyncio.CancelledError)


class TestAnEngineThatGoesAway:
    """A daemon of the test's own, stopped and started in the middle."""

    @pytest.fixture
    def daemon(self):
        daemon = Daemon()
        try:
            daemon.prepare()
            daemon.start()
            yield daemon
        finally:
            daemon.clean_up()

    @pytest.fixture
    def engine_settings(self, engine_settings, daemon):
        return replace(engine_settings, docker_host=daemon.address)

    @pytest.fixture
    def carried(self, client, image, daemon):
        """The name of an image that was carried over into that daemon."""
        name = image("hello")
        data = b"".join(client.images.get(name).save(named=name))
        with contextlib.closing(daemon.client()) as there:
            there.images.load(data)
        return name

    async def test_is_told_and_when_it_is_back_everything_serves_again(self, driver, daemon, carried):
        service = await running(driver, await create(driver, carried))
        await asyncio.to_thread(daemon.stop)
        await driver.eventually(lambda: driver.engine._compute.state.problem, timeout_s=20)
        assert "container engine" in driver.engine._compute.state.problem
        assert (await driver.describe(service)).status is ServiceStatus.RUNNING

        await asyncio.to_thread(daemon.start)
        await driver.eventually(lambda: not driver.engine._compute.state.problem, timeout_s=20)
        await serves(driver, service, (200, "hello"))
        await ready(driver, service)
        assert len(view(driver, service).instances) == 1

    async def test_holds_up_a_deployment_until_it_is_back(self, driver, daemon, carried):
        await running(driver, await create(driver, carried, "first-service"))
        await asyncio.to_thread(daemon.stop)
        await driver.eventually(lambda: driver.engine._compute.state.problem, timeout_s=20)
        service = await create(driver, carried, "second-service")
        await driver.eventually(lambda: "container engine" in view(driver, service).waiting, timeout_s=20)
        assert (await driver.describe(service)).status is ServiceStatus.OPERATION_IN_PROGRESS

        await asyncio.to_thread(daemon.start)
        service = await running(driver, service)
        assert await driver.get(service) == (200, "hello")
        assert await driver.operations(service) == ["CREATE_SERVICE SUCCEEDED"]

    async def test_keeps_a_deletion_waiting_and_nothing_is_left(self, driver, daemon, carried):
        service = await running(driver, await create(driver, carried))
        await asyncio.to_thread(daemon.stop)
        await driver.eventually(lambda: driver.engine._compute.state.problem, timeout_s=20)
        await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
        await asyncio.to_thread(daemon.start)
        assert (await driver.settled(service)).status is ServiceStatus.DELETED

        with contextlib.closing(daemon.client()) as there:
            await driver.eventually(lambda: there.api.containers(all=True) == [])
            assert [tag for image in there.images.list() for tag in image.tags] == [carried]

    async def test_that_was_away_when_the_engine_started_is_found_when_it_is_back(
        self, home, engine_settings, daemon, carried
    ):
        driver = Driver(await Engine.open(home, engine_settings), home)
        service = await running(driver, await create(driver, carried))
        await driver.engine.close()
        await asyncio.to_thread(daemon.stop)
        driver = Driver(await Engine.open(home, engine_settings), home)
        try:
            assert driver.engine._compute.state.problem
            assert (await driver.describe(service)).status is ServiceStatus.RUNNING
            await asyncio.to_thread(daemon.start)
            await serves(driver, service, (200, "hello"))
        finally:
            await driver.engine.close(stop_instances=True)


class TestNoEngine:
    """Nothing answers: the engine opens all the same, and says what is missing."""

    @pytest.fixture
    def engine_settings(self, engine_settings, tmp_path):
        return replace(engine_settings, docker_host=f"unix://{tmp_path}/none.sock")

    async def test_is_said_and_fails_what_needs_it_with_what_to_do(self, driver, tmp_path):
        assert f"There is no container engine at unix://{tmp_path}/none.sock" in driver.engine._compute.state.problem
        failure = await failed(driver, await create(driver, "python:3.11"), FailureKind.COMPUTE)

        assert failure.message == f"There is no container engine at unix://{tmp_path}/none.sock."
        assert "systemctl start docker" in failure.hint

    async def test_is_no_matter_for_what_runs_as_processes(self, home, engine_settings, repository):
        driver = Driver(await Engine.open(home, replace(engine_settings, compute="auto")), home)
        try:
            assert driver.engine._compute.state.name == "process"
            repository.service("a process")
            assert await driver.get(await running(driver, await driver.create(repository.path))) == (200, "a process")
        finally:
            await driver.engine.close(stop_instances=True)


async def test_a_socket_that_may_not_be_used_is_said_with_what_to_do(home, engine_settings, tmp_path):
    standin = FakeEngine(tmp_path / "engine.sock")
    await standin.start()
    (tmp_path / "engine.sock").chmod(0)
    assert stat.S_ISSOCK((tmp_path / "engine.sock").stat().st_mode)
    compute = DockerCompute(home, replace(engine_settings, docker_host=standin.address), SystemClock(), {})
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may use every socket
    try:
        await compute.open(lambda: None)
        problem = compute.state.problem
    finally:
        os.seteuid(user)
        await compute.close()
        await standin.stop()

    assert f"The container engine at {standin.address} may not be used by this user." in problem
    assert "usermod -aG docker" in problem


class TestAnOldEngine:
    """It speaks an API that Homerun does not."""

    @pytest.fixture
    async def engine_settings(self, engine_settings, tmp_path):
        standin = FakeEngine(tmp_path / "engine.sock")
        standin.answers["GET /version"] = {"Version": "17.05.0-ce", "ApiVersion": "1.24", "MinAPIVersion": "1.12"}
        await standin.start()
        yield replace(engine_settings, docker_host=standin.address)
        await standin.stop()

    async def test_is_said_with_what_to_do(self, driver):
        problem = driver.engine._compute.state.problem
        assert "(docker 17.05.0-ce) is too old: it speaks API 1.24, and Homerun needs 1.41" in problem

        failure = await failed(driver, await create(driver, "python:3.11"), FailureKind.COMPUTE)
        assert "too old" in failure.message
        assert "Docker 20.10" in failure.hint


class TestANewerEngine:
    """It knows nothing of the oldest API any more, and leaves out what it has not sent for long."""

    @pytest.fixture
    async def newer(self, docker_address, tmp_path):
        newer = NewerEngine(tmp_path / "newer.sock", docker_address)
        await newer.start()
        yield newer
        await newer.stop()

    @pytest.fixture
    def engine_settings(self, engine_settings, newer):
        return replace(engine_settings, docker_host=newer.address)

    async def test_runs_services_all_the_same(self, driver, newer, image, client):
        service = await running(driver, await create(driver, image("hello")))
        assert await driver.get(service) == (200, "hello")
        assert driver.engine._compute.state.version == "29.0.0"

        (before,) = view(driver, service).instances
        client.containers.get(before.handle.container_id).kill()
        await driver.eventually(lambda: [i.id for i in view(driver, service).instances] != [before.id], timeout_s=8)
        await ready(driver, service)
        assert await driver.get(service) == (200, "hello")

        await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
        assert (await driver.settled(service)).status is ServiceStatus.DELETED
        assert "GET /events" in newer.calls
