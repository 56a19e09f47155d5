"""Instances as real containers: limits, labels, isolation, and hands off whatever is not ours."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import asyncio

import docker
import pytest
from msgspec.structs import replace

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.compute import DockerCompute
from engine.compute.docker.container import PIDS
from engine.compute.docker.labels import HOME, names_of
from engine.model.clock import SystemClock
from engine.model.errors import DeployError, FailureKind
from engine.model.home import Home
from engine.model.ids import new_id
from engine.model.settings import Settings
from engine.model.version import Artifact
from tests.engine.compute.kinds import BASE_IMAGE, Containers

pytestmark = [pytest.mark.docker, pytest.mark.slow]

LISTEN = (
    "import socket, sys, time; s = socket.create_server((sys.argv[1], 8080)); print('up', flush=True); time.sleep(60)"
)


def inspected(client, instance) -> dict:
    return client.containers.get(instance.handle.container_id).attrs


def address_of(client, instance) -> str:
    (network,) = inspected(client, instance)["NetworkSettings"]["Networks"].values()
    return network["IPAddress"]


async def test_every_limit_is_set(made, plan_of, run, client):
    instance = await run(made(), plan_of(start="sleep 60"), cpu_units=512, memory_mb=1024)
    host = inspected(client, instance)["HostConfig"]

    assert host["Memory"] == 1024 << 20
    if client.info()["SwapLimit"]:
        assert host["MemorySwap"] == 1024 << 20
    assert host["NanoCpus"] == 500_000_000
    assert host["PidsLimit"] == PIDS
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    assert not host["Privileged"]
    assert not host["Binds"]
    assert host["NetworkMode"] != "host"
    assert not host["PortBindings"], "the container itself can be reached from here"


async def test_labels_and_names_say_whose_it_is(made, plan_of, run, client, home):
    instance = await run(made(), plan_of(start="sleep 60"))
    container = client.containers.get(instance.handle.container_id)

    assert container.name == f"homerun-hello-{instance.id[:12]}"
    assert {name: value for name, value in container.labels.items() if name.startswith("homerun.")} == {
        "homerun.home": names_of(home).home,
        "homerun.service": instance.service_id,
        "homerun.version": instance.version_id,
        "homerun.instance": instance.id,
        "homerun.cpu": "1024",
        "homerun.memory": "2048",
    }


async def test_more_cpus_than_there_are_are_no_trouble(made, plan_of, run, client):
    instance = await run(made(), plan_of(start="sleep 60"), cpu_units=1024 * 1024)

    assert inspected(client, instance)["HostConfig"]["NanoCpus"] == client.info()["NCPU"] * 10**9


async def test_more_memory_than_it_has_ends_it_and_is_told_in_words(made, plan_of, run, compute):
    plan = plan_of(start=("python", "-c", "x = []\nwhile True: x.append(bytearray(b'x' * (8 << 20)))"))
    end = await compute.wait(await run(made(), plan, memory_mb=64))

    assert end.out_of_memory
    assert end.describe() == "was killed because it used more memory than its instance has"


async def test_a_kill_from_outside_is_no_want_of_memory(made, plan_of, run, compute, client):
    instance = await run(made(), plan_of(start="sleep 60"))
    client.containers.get(instance.handle.container_id).kill()
    end = await compute.wait(instance)

    assert (end.signal, end.out_of_memory) == (9, False)


async def test_a_container_that_somebody_removes_has_ended(made, plan_of, run, compute, client):
    instance = await run(made(), plan_of(start="sleep 60"))
    waiting = asyncio.create_task(compute.wait(instance))
    client.containers.get(instance.handle.container_id).remove(force=True)
    async with asyncio.timeout(15):
        await waiting

    assert not compute.is_running(instance)
    await compute.stop(instance, 0)
    await compute.remove(instance)


async def test_programs_cannot_gain_privileges(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="grep NoNewPrivs /proc/self/status"))
    await compute.wait(instance)

    assert run.printed(instance).split() == ["NoNewPrivs:", "1"]


async def test_no_more_processes_than_allowed(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max"))
    await compute.wait(instance)

    assert str(PIDS) in run.printed(instance).split()


async def test_instances_cannot_reach_one_another(made, plan_of, run, client):
    """But this machine reaches both."""
    artifact = made()
    server = await run(artifact, plan_of(start=("python", "-c", LISTEN, "0.0.0.0")))
    await run.output(server, "up")
    where = address_of(client, server)
    _, writer = await asyncio.open_connection(where, 8080)
    writer.close()
    await writer.wait_closed()

    code = f"import socket; s = socket.socket(); s.settimeout(2); print('got', s.connect_ex(('{where}', 8080)))"
    other = await run(artifact, plan_of(start=("python", "-c", code)))
    assert "got 0\n" not in await run.output(other, "got")


async def test_a_listener_on_loopback_only_is_seen_as_one(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start=("python", "-c", LISTEN, "127.0.0.1")))
    await run.output(instance, "up")

    assert [(a.host, a.port) for a in compute.listening_ports(instance)] == [("127.0.0.1", 8080)]


async def test_the_engines_own_name_server_is_no_listener_of_the_application(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="echo ready; sleep 60"))
    await run.output(instance, "ready")

    assert compute.listening_ports(instance) == ()


# Nothing but our own.


@pytest.fixture
def foreign(client, home, tmp_path):
    """Containers and images of somebody else, with names and labels much like ours; all removed at the end."""
    mine, theirs = names_of(home), names_of(Home(path=tmp_path / "another home"))
    kept = {"containers": [], "images": []}

    def container(**options):
        made = client.containers.create(BASE_IMAGE, ["sleep", "60"], **options)
        made.start()
        kept["containers"].append(made)
        return made

    def image(name):
        repository, _, tag = name.rpartition(":")
        client.images.get(BASE_IMAGE).tag(repository, tag)
        kept["images"].append(name)
        return name

    found = {
        "containers": [
            container(name=f"homerun-hello-{new_id()[:12]}"),
            container(labels={HOME: theirs.home, "homerun.instance": new_id()}),
            container(labels={HOME: mine.home + "0", "homerun.instance": new_id()}),
            container(labels={f"x.{HOME}": mine.home}),
        ],
        "images": [
            image(theirs.image("hello", "5" * 32, 1)),
            image(theirs.brought(client.images.get(BASE_IMAGE).id)),
            image(f"homerun-{mine.home}x/hello-55555555:v1"),
            image(f"homerun-{mine.home}:v1"),
            image(f"somebody/homerun-{mine.home}:v1"),
        ],
    }
    yield found
    for made in kept["containers"]:
        made.remove(force=True)
    for name in kept["images"]:
        client.images.remove(name)


def still_there(client, foreign) -> bool:
    running = all(client.containers.get(c.id).status == "running" for c in foreign["containers"])
    return running and all(client.images.get(name) for name in foreign["images"])


async def test_nothing_of_somebody_else_is_ever_touched(made, plan_of, run, compute, client, foreign):
    before = client.images.get(BASE_IMAGE).id
    artifact = made()
    instance = await run(artifact, plan_of(start="sleep 60"))
    await compute.sweep([instance], [artifact])
    assert still_there(client, foreign)

    await compute.stop(instance, 0)
    await compute.remove(instance)
    await compute.discard(artifact)
    await compute.discard(Artifact(path=names_of(compute._home).image("x", "1" * 32, 1), image=before))
    await compute.sweep((), ())

    assert still_there(client, foreign)
    assert client.images.get(BASE_IMAGE).id == before


@pytest.mark.parametrize("runs", [True, False], ids=["that runs", "that does not run"])
async def test_somebody_elses_container_with_the_very_name_is_left_alone(made, plan_of, run, compute, client, runs):
    """The instance gets another name."""
    spec = run.spec(made(), plan_of(start="sleep 60"))
    theirs = client.containers.create(BASE_IMAGE, ["sleep", "60"], name=f"homerun-hello-{spec.instance_id[:12]}")
    try:
        if runs:
            theirs.start()
        instance = await run.start(spec)
        assert instance.handle.container_id != theirs.id
        assert compute.is_running(instance)
        await compute.remove(instance)

        theirs.reload()
        assert (theirs.status == "running") == runs
    finally:
        theirs.remove(force=True)


# Obstacles.


async def test_an_image_that_somebody_removed_is_told(made, plan_of, run, compute, client, home):
    """It was built here and exists nowhere else."""
    artifact = made()
    client.images.remove(artifact.path)
    spec = run.spec(artifact, plan_of(start="sleep 60"))
    with pytest.raises(DeployError, match="no longer in the container engine") as caught:
        await compute.start(spec)

    assert caught.value.failure.kind is FailureKind.START
    assert "Deploy again" in caught.value.failure.hint
    assert client.api.containers(all=True, filters={"label": f"homerun.instance={spec.instance_id}"}) == []


async def test_a_network_that_somebody_pruned_is_made_again(made, plan_of, run, compute, client, home):
    """`docker system prune` takes a network that no container is on."""
    first = await run(made(), plan_of(start="sleep 60"))
    await compute.stop(first, 0)
    await compute.remove(first)
    client.networks.get(names_of(home).network).remove()

    assert compute.is_running(await run(made(), plan_of(start="sleep 60")))


async def test_a_start_that_was_interrupted_is_begun_again(made, plan_of, run, compute, client):
    """The engine died between creating and starting the container."""
    spec = run.spec(made(), plan_of(start="echo ready; sleep 60"))
    lost = await run.start(spec)
    client.containers.get(lost.handle.container_id).stop(timeout=0)
    found = await run.start(spec)

    assert found.handle != lost.handle
    assert compute.is_running(found)


async def test_a_start_that_is_cancelled_leaves_nothing_that_the_next_sweep_does_not_find(
    made, plan_of, run, compute, client
):
    """The container engine may be in the middle of making it, and go on."""
    artifact = made()
    spec = run.spec(artifact, plan_of(start="sleep 60"))
    mine = {"label": f"homerun.instance={spec.instance_id}"}
    starting = asyncio.create_task(compute.start(spec))
    async with asyncio.timeout(10):
        while not client.api.containers(all=True, filters=mine):
            await asyncio.sleep(0.001)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await compute.sweep((), [artifact])

    assert client.api.containers(all=True, filters=mine) == []


async def test_the_network_of_a_home_is_gone_when_nothing_is_on_it(made, plan_of, run, compute, client, home):
    names = names_of(home)
    instance = await run(made(), plan_of(start="sleep 60"))
    (network,) = client.networks.list([names.network])
    assert network.attrs["Labels"] == {HOME: names.home}
    assert network.attrs["Options"]["com.docker.network.bridge.enable_icc"] == "false"
    await compute.stop(instance, 0)
    await compute.remove(instance)
    await compute.close()

    assert client.networks.list([names.network]) == []


class TestAnAddressThatCannotBeUsed:
    """DOCKER_HOST names an engine on another machine."""

    @pytest.fixture
    async def elsewhere(self, home):
        compute = DockerCompute(home, Settings(), SystemClock(), {"DOCKER_HOST": "ssh://me@example.com"})
        await compute.open(lambda: None)
        yield compute
        await compute.close()

    async def test_is_said(self, elsewhere):
        assert "cannot be reached from here" in elsewhere.state.problem

    async def test_is_said_whatever_is_asked_of_it(self, elsewhere, plan_of, run):
        with pytest.raises(ComputeUnavailable, match=r"ssh://me@example\.com"):
            await elsewhere.start(run.spec(Artifact(path="x:v1", image="sha256:1"), plan_of(start="sleep 60")))


def test_the_small_helpers_of_these_tests_tell_the_truth(client, home, environ, docker_address):
    """An artifact that they make is an image of the engine, labelled as ours."""
    artifact = Containers(home, environ, docker_address, client).made(a__txt="x")
    try:
        assert client.images.get(artifact.path).id == artifact.image
        assert client.images.get(artifact.image).labels[HOME] == names_of(home).home
    finally:
        client.images.remove(artifact.path)
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get(artifact.image)
    assert replace(artifact, pulled="") == artifact
