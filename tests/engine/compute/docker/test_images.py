"""Images from a real registry on loopback: by digest, kept for as long as they are wanted, and no longer."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import asyncio
import base64
import contextlib
import json
import shutil

import docker
import pytest

from engine.compute.base import Pulled, PullJob
from engine.compute.docker.compute import DockerCompute
from engine.compute.docker.labels import names_of
from engine.model.clock import SystemClock
from engine.model.errors import DeployError, FailureKind
from engine.model.home import Home
from engine.model.ids import new_id
from engine.model.settings import Settings
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import parse_reference
from tests.docker.registry import PROGRAM, Registry, pushed, remove_images_of, with_config
from tests.engine.compute.kinds import image_with

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which(PROGRAM), reason="docker-registry is not on this machine"),
]

TOOLS = "homerun-tests/tools:1"
SERVICE = "5" * 32
USER = "me:$2b$04$wPBztOa4Tgjg7iLJRviIZeN4VFQtWF4zB1xntdaFeBDtx6HhyJNuS\n"
PASSWORD = "secret"


@pytest.fixture(autouse=True)
def registry_at(client, tmp_path):
    """`registry_at("folder")` is one of its own. The last to go: nothing that came from one is left."""
    registries = []

    def registry_at(folder: str, **options: str) -> Registry:
        (tmp_path / folder).mkdir()
        registries.append(Registry(tmp_path / folder, **options))
        registries[-1].start()
        return registries[-1]

    yield registry_at
    for registry in registries:
        registry.stop()
        remove_images_of(client, registry.address)


@pytest.fixture
def registry(registry_at):
    return registry_at("registry")


@pytest.fixture
def private_registry(registry_at):
    return registry_at("private", users=USER)


@pytest.fixture
def image(client):
    """`image("text")` is one on this machine that prints the text; all of them are removed at the end."""
    made = []

    def image(text: str, *changes: str) -> str:
        name = f"homerun-tests/{new_id()[:12]}:1"
        changes = ("WORKDIR /app", 'CMD ["cat", "said"]', "EXPOSE 5000/tcp 53/udp", *changes)
        made.extend((name, image_with(client, name, {"app/said": text}, changes=changes, base=TOOLS)))
        return name

    yield image
    for left in made:  # by its id, too: a test may have moved the name
        with contextlib.suppress(docker.errors.ImageNotFound):
            client.images.remove(left, force=True)


@pytest.fixture
def push(client, image):
    """Push an image that says `text`, so that the registry alone has it; its digest."""

    def push(text: str, name: str, *changes: str, credentials: dict[str, str] | None = None) -> str:
        local = image(text, *changes)
        digest = pushed(client, local, name, credentials)
        client.images.remove(local)
        return digest

    return push


class Puller:
    """Pulls for the versions of one service; remembers what was said."""

    def __init__(self, compute: DockerCompute) -> None:
        self.compute = compute
        self.log: list[str] = []
        self.progress: list[object] = []
        self.number = 0

    async def __call__(self, name: str, **options: object) -> Pulled:
        self.number += 1
        job = PullJob(
            service_id=SERVICE,
            service_name="shop",
            number=self.number,
            version_id=new_id(),
            reference=parse_reference(name),
            **options,  # type: ignore[arg-type]
        )
        return await self.compute.pull(job, self.log.append, self.progress.append)


@pytest.fixture
def pull(compute):
    return Puller(compute)


@pytest.fixture
def says(run, compute, plan_of, client):
    """What an instance of an image prints, as the engine has it."""

    async def says(pulled: Pulled) -> str:
        instance = await run(pulled.artifact, plan_of(start=("cat", "said")))
        await compute.wait(instance)
        return client.containers.get(instance.handle.container_id).logs().decode()

    return says


def names_here(client) -> set[str]:
    listed = client.api.images()
    return {name for image in listed for name in (*(image["RepoTags"] or ()), *(image["RepoDigests"] or ()))}


async def failure_of(doing):
    with pytest.raises(DeployError) as caught:
        await doing
    failure = caught.value.failure
    assert failure.message.endswith(".")
    assert "\n" not in failure.message
    return failure


async def test_an_image_is_brought_by_digest_and_kept_under_a_name_of_our_own(registry, push, pull, says, client, home):
    digest = push("one", f"{registry.address}/shop:latest")
    pulled = await pull(f"{registry.address}/shop:latest")

    assert pulled.digest == digest
    assert pulled.artifact.pulled == f"{registry.address}/shop@{digest}"
    assert pulled.artifact.path == names_of(home).image("shop", SERVICE, 1)
    assert client.images.get(pulled.artifact.path).id == pulled.artifact.image
    assert (pulled.ports, pulled.has_command) == ((5000,), True)
    assert f"{registry.address}/shop:latest" not in names_here(client), "no tag of the user's is made"
    assert await says(pulled) == "one"


async def test_a_tag_that_moves_changes_nothing_that_is_deployed(registry, push, pull, says):
    push("one", f"{registry.address}/shop:latest")
    first = await pull(f"{registry.address}/shop:latest")
    push("two", f"{registry.address}/shop:latest")
    assert await says(first) == "one"

    second = await pull(f"{registry.address}/shop:latest")
    assert await says(second) == "two"
    assert await says(first) == "one"
    assert first.digest != second.digest


async def test_a_digest_is_taken_by_its_word(registry, push, pull, says):
    digest = push("one", f"{registry.address}/shop:latest")
    push("two", f"{registry.address}/shop:latest")
    pulled = await pull(f"{registry.address}/shop@{digest}")

    assert pulled.digest == digest
    assert await says(pulled) == "one"


async def test_what_is_deployed_does_not_need_its_registry_any_more(registry, push, pull, says):
    push("one", f"{registry.address}/shop:latest")
    pulled = await pull(f"{registry.address}/shop:latest")
    registry.stop()

    assert await says(pulled) == "one"
    assert await says(pulled) == "one"


async def test_an_image_that_is_here_is_not_brought_again(registry, push, pull):
    push("one", f"{registry.address}/shop:latest")
    first = await pull(f"{registry.address}/shop:latest")
    pull.progress.clear()
    second = await pull(f"{registry.address}/shop:latest")

    assert second.artifact.image == first.artifact.image
    assert second.artifact.path != first.artifact.path
    assert any("on this machine already" in line for line in pull.log)
    assert pull.progress == [None]


async def test_progress_is_told_and_is_over_at_the_end(registry, push, pull):
    push("one", f"{registry.address}/shop:latest")
    await pull(f"{registry.address}/shop:latest")

    *during, end = pull.progress
    assert during
    assert all(0 <= progress.done <= progress.total for progress in during)
    assert during[-1].done == during[-1].total
    assert "layers" in during[-1].text
    assert end is None
    assert any(line.startswith("[AppRunner] Pulled:") for line in pull.log)


# What goes wrong.


async def test_a_tag_that_is_not_there_is_said(registry, push, pull, client, home):
    push("one", f"{registry.address}/shop:latest")
    failure = await failure_of(pull(f"{registry.address}/shop:nightly"))

    assert failure.kind is FailureKind.IMAGE
    assert f"{registry.address} has no image {registry.address}/shop:nightly" in failure.message
    assert not [name for name in names_here(client) if name.startswith(names_of(home).images)]
    assert pull.progress == [None]


async def test_a_repository_that_is_not_there_is_said(registry, pull):
    failure = await failure_of(pull(f"{registry.address}/nothing:latest"))

    assert failure.kind is FailureKind.IMAGE
    assert "nothing" in failure.message


async def test_a_digest_that_is_not_there_is_said(registry, push, pull):
    push("one", f"{registry.address}/shop:latest")
    failure = await failure_of(pull(f"{registry.address}/shop@sha256:{'0' * 64}"))

    assert failure.kind is FailureKind.IMAGE


async def test_a_registry_that_does_not_answer_is_said(registry, pull):
    registry.stop()
    failure = await failure_of(pull(f"{registry.address}/shop:latest"))

    assert failure.kind is FailureKind.IMAGE
    assert f"The registry {registry.address} does not accept the connection" in failure.message


class TestPrivate:
    """A registry that asks who reads."""

    @pytest.fixture
    def name(self, private_registry, push):
        name = f"{private_registry.address}/shop:latest"
        push("private", name, credentials={"username": "me", "password": PASSWORD})
        return name

    async def test_nobody_is_denied(self, name, pull):
        failure = await failure_of(pull(name))

        assert failure.kind is FailureKind.IMAGE
        assert "credentials" in failure.message
        assert "docker login" in failure.hint

    async def test_a_wrong_password_is_refused_and_not_repeated(self, name, pull):
        wrong = Credentials(username="me", password="n0t-this-0ne", registry=parse_reference(name).registry)
        failure = await failure_of(pull(name, credentials=wrong))

        assert failure.kind is FailureKind.IMAGE
        assert "n0t-this-0ne" not in str(failure) + "".join(pull.log)

    async def test_a_connections_credentials_open_it(self, name, pull, says):
        mine = Credentials(username="me", password=PASSWORD, registry=parse_reference(name).registry)
        pulled = await pull(name, credentials=mine)

        assert await says(pulled) == "private"
        assert PASSWORD not in "".join(pull.log)

    async def test_what_docker_login_stored_opens_it(self, name, environ, tmp_path, pull, says):
        auth = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
        config = {"auths": {parse_reference(name).registry: {"auth": auth}}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        environ["DOCKER_CONFIG"] = str(tmp_path)

        assert await says(await pull(name)) == "private"


async def test_an_image_for_another_processor_is_said(image, pull, client):
    name = f"homerun-tests/{new_id()[:12]}:arm"
    with_config(client, image("arm"), name, lambda config: config.update(architecture="arm64"))
    try:
        failure = await failure_of(pull(name))
    finally:
        client.images.remove(name)

    assert failure.kind is FailureKind.IMAGE
    assert "made for arm64 processors" in failure.message


async def test_an_image_for_another_processor_that_was_brought_is_not_kept(registry, image, pull, client, home):
    name = f"homerun-tests/{new_id()[:12]}:arm"
    with_config(client, image("arm"), name, lambda config: config.update(architecture="arm64"))
    try:
        pushed(client, name, f"{registry.address}/shop:arm")
    finally:
        client.images.remove(name)
    await failure_of(pull(f"{registry.address}/shop:arm"))
    left = {name for name in names_here(client) if name.startswith((names_of(home).images, registry.address))}
    for name in left:
        client.images.remove(name)

    assert left == set()


# Images that are here.


async def test_an_image_that_exists_here_only_is_used_as_it_is(image, pull, says, client, compute):
    name = image("local")
    pulled = await pull(name)

    assert pulled.digest == pulled.artifact.image == client.images.get(name).id
    assert pulled.artifact.pulled == ""
    assert any("exists on this machine only" in line for line in pull.log)
    assert await says(pulled) == "local"
    assert await compute.local_image(parse_reference(name)) is not None
    assert await compute.local_image(parse_reference(f"{name}0")) is None


async def test_a_name_here_that_moves_changes_nothing_that_is_deployed(image, pull, says, client):
    name, other = image("one"), image("two")
    pulled = await pull(name)
    client.images.get(other).tag(*name.split(":"))

    assert await says(pulled) == "one"


async def test_a_name_here_that_moves_is_heard_of(image, client, compute):
    heard = asyncio.Event()
    compute.on_images(heard.set)
    name, other = image("one"), image("two")
    await asyncio.sleep(0)
    heard.clear()
    async with asyncio.timeout(10):
        while not heard.is_set():
            client.images.get(other).tag(*name.split(":"))
            await asyncio.sleep(0.1)


async def test_without_its_registry_the_users_own_copy_is_used(registry, push, pull, says, client):
    """Unless one is strict: then only what the registry says counts."""
    name = f"{registry.address}/shop:latest"
    push("mine", name)
    client.images.pull(name)
    registry.stop()
    try:
        failure = await failure_of(pull(name, strict=True))
        assert failure.kind is FailureKind.IMAGE
        pulled = await pull(name)
        assert any("The copy on this machine is used instead" in line for line in pull.log)
        assert await says(pulled) == "mine"
        await pull.compute.discard(pulled.artifact)
        assert client.images.get(name)
    finally:
        client.images.remove(name, force=True)


async def test_the_users_own_tag_is_never_moved_and_never_removed(registry, push, pull, compute, client):
    name = f"{registry.address}/shop:latest"
    push("one", name)
    mine = client.images.pull(name).id
    push("two", name)
    try:
        pulled = await pull(name)
        assert pulled.artifact.image != mine
        assert client.images.get(name).id == mine

        await compute.discard(pulled.artifact)
        assert client.images.get(name).id == mine
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get(pulled.artifact.image)
    finally:
        client.images.remove(name)


async def test_what_the_user_pulled_is_kept_when_homerun_has_no_more_use_for_it(registry, push, pull, compute, client):
    name = f"{registry.address}/shop:latest"
    push("one", name)
    mine = client.images.pull(name)
    try:
        pulled = await pull(name)
        assert pulled.artifact.image == mine.id
        await compute.discard(pulled.artifact)

        assert client.images.get(name).id == mine.id
        assert client.images.get(mine.id).attrs["RepoDigests"] == mine.attrs["RepoDigests"]
    finally:
        client.images.remove(name)


# How long they are kept.


async def test_versions_that_share_an_image_keep_it_until_the_last_goes(registry, push, pull, says, compute, client):
    push("one", f"{registry.address}/shop:latest")
    first, second = await pull(f"{registry.address}/shop:latest"), await pull(f"{registry.address}/shop:latest")
    await compute.discard(first.artifact)
    await compute.discard(first.artifact)
    assert await says(second) == "one"

    instances = client.containers.list(all=True, filters={"label": f"homerun.service={SERVICE}"})
    for container in instances:
        container.remove(force=True)
    await compute.discard(second.artifact)
    assert not [name for name in names_here(client) if name.startswith(registry.address)]
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(second.artifact.image)


async def test_homes_that_share_an_image_do_not_take_it_from_one_another(
    registry, push, pull, compute, client, tmp_path, environ, docker_address
):
    push("one", f"{registry.address}/shop:latest")
    (tmp_path / "other").mkdir()
    other = DockerCompute(Home(path=tmp_path / "other"), Settings(docker_host=docker_address), SystemClock(), environ)
    await other.open(lambda: None)
    try:
        mine, theirs = await pull(f"{registry.address}/shop:latest"), None
        theirs = await Puller(other)(f"{registry.address}/shop:latest")
        await compute.discard(mine.artifact)
        assert client.images.get(theirs.artifact.path).id == mine.artifact.image
        await other.sweep((), [theirs.artifact])
        assert client.images.get(theirs.artifact.path)
    finally:
        await other.sweep((), ())
        await other.close()
        for name in names_here(client):
            if name.startswith(names_of(compute._home).images):
                client.images.remove(name)


async def test_a_sweep_removes_the_images_of_versions_that_nobody_knows(registry, push, pull, compute, client):
    push("one", f"{registry.address}/shop:one")
    push("two", f"{registry.address}/shop:two")
    known, unknown = await pull(f"{registry.address}/shop:one"), await pull(f"{registry.address}/shop:two")
    await compute.sweep((), [known.artifact])

    assert client.images.get(known.artifact.path)
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(unknown.artifact.image)


def removed_by_somebody(client, artifact) -> None:
    for name in client.images.get(artifact.image).tags:
        client.images.remove(name, force=True)
    try:
        client.images.remove(artifact.image, force=True)
    except docker.errors.ImageNotFound:
        return


async def test_an_image_that_somebody_removed_is_brought_again(registry, push, pull, says, client):
    push("one", f"{registry.address}/shop:latest")
    pulled = await pull(f"{registry.address}/shop:latest")
    removed_by_somebody(client, pulled.artifact)

    assert await says(pulled) == "one"


async def test_an_image_that_was_brought_again_is_discarded_with_its_version(
    registry, push, pull, says, client, compute
):
    push("one", f"{registry.address}/shop:latest")
    pulled = await pull(f"{registry.address}/shop:latest")
    removed_by_somebody(client, pulled.artifact)
    await says(pulled)
    for container in client.containers.list(all=True, filters={"label": f"homerun.service={SERVICE}"}):
        container.remove(force=True)
    await compute.discard(pulled.artifact)
    left = [name for name in names_here(client) if name.startswith(registry.address)]
    for name in left:
        client.images.remove(name)

    assert left == []


async def test_an_image_that_nobody_has_any_more_is_said(registry, push, pull, run, plan_of, client):
    push("one", f"{registry.address}/shop:latest")
    pulled = await pull(f"{registry.address}/shop:latest")
    removed_by_somebody(client, pulled.artifact)
    registry.stop()
    failure = await failure_of(run(pulled.artifact, plan_of(start=("cat", "said"))))

    assert failure.kind is FailureKind.START
    assert "no longer in the container engine" in failure.message


async def test_the_registry_is_asked_what_a_tag_means_without_bringing_anything(registry, push, compute, client):
    digest = push("one", f"{registry.address}/shop:latest")
    reference = parse_reference(f"{registry.address}/shop:latest")

    assert await compute.remote_digest(reference, None) == digest
    assert not [name for name in names_here(client) if name.startswith(registry.address)]
