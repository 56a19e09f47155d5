"""Which compute gets what: the setting decides for what is new, and what exists stays where it is."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.compute.base import BuildJob, InstanceSpec, Pulled, PullJob, Started
from engine.compute.computes import Computes
from engine.model.errors import DeployError, FailureKind
from engine.model.instance import Address, ContainerHandle, Exit, Instance, InstanceState
from engine.model.metric import InstanceSample
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.version import Artifact
from engine.model.watch import ComputeState
from engine.source.registry.reference import parse_reference

ADDRESS = Address(host="127.0.0.1", port=1)
FOLDER = Artifact(path="/folder")
IMAGE = Artifact(path="homerun-x/y:v1", image="sha256:1")


class SmallCompute:
    """Remembers what it was asked to do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = ComputeState(name=name)
        self.asked: list[str] = []

    def _did(self, what: str) -> None:
        self.asked.append(what)

    async def open(self, changed) -> None:
        self._did("open")

    async def close(self) -> None:
        self._did("close")

    async def available(self) -> None:
        self._did("available")

    async def pull(self, job, emit, on_progress=None) -> Pulled:
        self._did("pull")
        return Pulled(artifact=IMAGE, digest="sha256:2")

    async def local_image(self, reference):
        self._did("local_image")

    async def remote_digest(self, reference, credentials) -> str:
        self._did("remote_digest")
        return self.name

    def on_images(self, heard) -> None:
        self._did("on_images")

    async def build(self, job, emit, on_progress=None) -> Artifact:
        self._did("build")
        return IMAGE if self.name == "docker" else FOLDER

    async def start(self, spec) -> Started:
        self._did("start")
        return Started(handle=ContainerHandle(container_id="c"), address=ADDRESS)

    async def wait(self, instance) -> Exit:
        self._did("wait")
        return Exit(at=0.0)

    async def stop(self, instance, grace_s) -> Exit:
        self._did("stop")
        return Exit(at=0.0)

    def is_running(self, instance) -> bool:
        self._did("is_running")
        return True

    def listening_ports(self, instance):
        self._did("listening_ports")
        return (ADDRESS,)

    def socket_tables(self, instance):
        self._did("socket_tables")
        return (Path(self.name),)

    def sample(self, instances, now):
        self._did("sample")
        return tuple(
            InstanceSample(
                at=now, service_id="s", instance_id=i.id, cpu_percent=0.0, memory_bytes=0, memory_percent=0.0
            )
            for i in instances
        )

    def output(self, instance_id) -> Path:
        return Path(instance_id)

    async def remove(self, instance) -> None:
        self._did("remove")

    async def discard(self, artifact) -> None:
        self._did("discard")

    async def sweep(self, instances, artifacts) -> None:
        self._did(f"sweep {len(instances)} {len(artifacts)}")


@pytest.fixture
def process():
    return SmallCompute("process")


@pytest.fixture
def docker():
    return SmallCompute("docker")


def away(docker) -> None:
    docker.state = replace(docker.state, problem="There is no container engine.")


def job(family: RuntimeFamily, previous: Artifact | None = None) -> BuildJob:
    runtime = Runtime(name=f"{family.value}1", family=family, generation=BuildGeneration.REVISED, accepts=())
    start = StartCommand(text="x", argv=("x",), shell=False)
    plan = BuildPlan(runtime=runtime, source_directory="", start=start)
    return BuildJob(service_id="s", version_id="v", source=Path("/s"), target=Path("/t"), plan=plan, previous=previous)


PULL = PullJob(
    service_id="s", service_name="n", number=1, version_id="v", reference=parse_reference("example.com/a/b:1")
)
PYTHON, NODE, GO, DOCKERFILE = (
    RuntimeFamily.PYTHON,
    RuntimeFamily.NODEJS,
    RuntimeFamily.GO,
    RuntimeFamily.DOCKER,
)


@pytest.mark.parametrize(
    ("wanted", "there", "family", "previous", "where"),
    [
        ("auto", True, PYTHON, None, "docker"),
        ("auto", False, PYTHON, None, "process"),
        ("auto", False, NODE, None, "process"),
        ("auto", False, GO, None, "docker"),  # where it is told what is missing
        ("auto", True, PYTHON, FOLDER, "process"),
        ("auto", False, PYTHON, IMAGE, "docker"),
        ("auto", True, GO, FOLDER, "process"),
        ("auto", False, DOCKERFILE, FOLDER, "docker"),
        ("docker", False, PYTHON, None, "docker"),
        ("docker", True, PYTHON, FOLDER, "docker"),
        ("process", True, PYTHON, None, "process"),
        ("process", True, PYTHON, IMAGE, "process"),
        ("process", True, DOCKERFILE, None, "docker"),
    ],
)
async def test_where_something_is_built(process, docker, wanted, there, family, previous, where):
    """A service stays where its last build is; a new one goes to Docker if that is there."""
    if not there:
        away(docker)
    computes = Computes(process, docker, wanted)
    artifact = await computes.build(job(family, previous), lambda _: None)

    asked = docker if where == "docker" else process
    other = process if where == "docker" else docker
    assert asked.asked == ["build"]
    assert other.asked == []
    assert bool(artifact.image) == (where == "docker")


async def test_without_docker_everything_is_a_process(process):
    for wanted in ("auto", "process"):
        assert await Computes(process, None, wanted).build(job(PYTHON), lambda _: None) == FOLDER


async def test_processes_only_refuse_images_with_what_to_do(process):
    computes = Computes(process, None, "process")
    for doing in (
        computes.pull(PULL, lambda _: None),
        computes.build(job(DOCKERFILE), lambda _: None),
        computes.discard(IMAGE),
    ):
        with pytest.raises(DeployError) as caught:
            await doing
        assert caught.value.failure.kind is FailureKind.COMPUTE
        assert "needs Docker" in caught.value.failure.message
        assert "--compute auto" in caught.value.failure.hint
    assert process.asked == []


def instance(compute: str) -> Instance:
    return Instance(
        id=f"i-{compute}",
        service_id="s",
        version_id="v",
        compute=compute,
        state=InstanceState.READY,
        handle=ContainerHandle(container_id="c"),
        created_at=0.0,
    )


@pytest.mark.parametrize("wanted", ["auto", "process", "docker"])
async def test_what_exists_stays_where_it_is_whatever_the_setting_is_by_now(process, docker, wanted):
    computes = Computes(process, docker, wanted)
    of = {"process": process, "docker": docker}
    for name, compute in of.items():
        one = instance(name)
        await computes.wait(one)
        await computes.stop(one, 1.0)
        await computes.remove(one)
        computes.is_running(one)
        computes.listening_ports(one)
        assert computes.socket_tables(one) == (Path(name),)
        assert compute.asked == ["wait", "stop", "remove", "is_running", "listening_ports", "socket_tables"]


@pytest.mark.parametrize("wanted", ["auto", "process", "docker"])
async def test_an_artifact_is_started_and_discarded_where_it_was_made(process, docker, wanted):
    computes = Computes(process, docker, wanted)
    for artifact, compute in ((FOLDER, process), (IMAGE, docker)):
        spec = InstanceSpec(
            instance_id="i",
            service_id="s",
            service_name="n",
            version_id="v",
            artifact=artifact,
            plan=job(PYTHON).plan,
            env={},
            cpu_units=1024,
            memory_mb=2048,
        )
        await computes.start(spec)
        await computes.discard(artifact)
        assert compute.asked == ["start", "discard"]


def test_each_samples_its_own(process, docker):
    computes = Computes(process, docker, "auto")
    samples = computes.sample([instance("process"), instance("docker")], 1.0)
    assert {sample.instance_id for sample in samples} == {"i-process", "i-docker"}

    process.asked.clear()
    computes.sample([instance("docker")], 1.0)
    assert process.asked == [], "nobody is asked about nothing"


async def test_both_are_opened_swept_and_closed(process, docker):
    computes = Computes(process, docker, "auto")
    await computes.open(lambda: None)
    await computes.sweep([instance("docker")], [IMAGE, FOLDER])
    await computes.close()

    assert process.asked == docker.asked == ["open", "sweep 1 2", "close"]


async def test_questions_about_images_go_to_docker_where_there_is_one(process, docker):
    reference = parse_reference("example.com/a/b:1")
    for computes, asked in ((Computes(process, docker, "auto"), docker), (Computes(process, None, "process"), process)):
        await computes.local_image(reference)
        assert await computes.remote_digest(reference, None) == asked.name
        computes.on_images(lambda: None)
        assert asked.asked == ["local_image", "remote_digest", "on_images"]


class TestState:
    """What the screen says about where things run."""

    def test_docker_when_it_is_there(self, process, docker):
        assert Computes(process, docker, "auto").state.name == "docker"
        assert Computes(process, docker, "process").state.name == "docker"

    def test_processes_when_nothing_asks_for_the_docker_that_is_not_there(self, process, docker):
        away(docker)

        assert Computes(process, docker, "auto").state == process.state

    def test_processes_without_docker(self, process):
        assert Computes(process, None, "process").state == process.state

    def test_the_problem_when_docker_was_asked_for(self, process, docker):
        away(docker)

        assert Computes(process, docker, "docker").state.problem

    async def test_the_problem_once_something_needs_it(self, process, docker):
        for need in (
            lambda computes: computes.pull(PULL, lambda _: None),
            lambda computes: computes.build(job(DOCKERFILE), lambda _: None),
            lambda computes: computes.sweep([instance("docker")], []),
            lambda computes: computes.sweep([], [IMAGE]),
        ):
            away(docker)
            computes = Computes(process, docker, "auto")
            assert not computes.state.problem
            await need(computes)
            assert computes.state.problem

    async def test_no_problem_for_what_runs_as_processes(self, process, docker):
        away(docker)
        computes = Computes(process, docker, "auto")
        await computes.sweep([instance("process")], [FOLDER])

        assert not computes.state.problem
