"""What the engine is told to create for an instance, and its refusals in plain words."""

import pytest
from msgspec.structs import replace

from engine.compute.base import InstanceSpec
from engine.compute.docker.container import PIDS, Machine, Network, create_body, environment, start_failure
from engine.compute.docker.labels import Names
from engine.model.errors import FailureKind
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.version import Artifact

NAMES = Names("0123456789ab")
PYTHON = Runtime(name="python311", family=RuntimeFamily.PYTHON, generation=BuildGeneration.REVISED, accepts=("3.11",))
IMAGE = Runtime(name="image", family=RuntimeFamily.DOCKER, generation=BuildGeneration.REVISED, accepts=())
MACHINE = Machine(cpus=8, has_init=True)
NETWORK = Network(name="homerun-0123456789ab", bridged=True)


def spec_of(start: StartCommand | None = None, **changes: object) -> InstanceSpec:
    plan = {
        "runtime": changes.pop("runtime", IMAGE),
        "source_directory": "",
        "start": start,
        "port": changes.pop("port", 8080),
        "port_env": changes.pop("port_env", ""),
    }
    spec = InstanceSpec(
        instance_id="1" * 32,
        service_id="2" * 32,
        service_name="shop",
        version_id="3" * 32,
        artifact=Artifact(image="sha256:" + "4" * 64, path="homerun-0123456789ab/shop-22222222:v1"),
        plan=BuildPlan(**plan),  # type: ignore[arg-type]
        env={},
        cpu_units=1024,
        memory_mb=2048,
    )
    return replace(spec, **changes)


def host_of(spec: InstanceSpec, network: Network = NETWORK, **machine: object) -> dict:
    return create_body(spec, NAMES, replace(MACHINE, **machine), network)["HostConfig"]


@pytest.mark.parametrize(("units", "cpus", "nano"), [(256, 8, 0.25), (1024, 8, 1), (4096, 8, 4), (4096, 2, 2)])
def test_cpu_is_what_was_asked_for_and_no_more_than_there_is(units, cpus, nano):
    assert host_of(spec_of(cpu_units=units), cpus=cpus)["NanoCpus"] == nano * 10**9


def test_every_limit_is_set():
    host = host_of(spec_of(memory_mb=512))

    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert host["PidsLimit"] == PIDS
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["Init"] is True
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not host.get("Privileged")
    assert "Binds" not in host


def test_what_an_engine_cannot_do_it_is_not_asked_for():
    bare = host_of(spec_of(), Network(), swap_limit=False, has_init=False, podman=True)

    assert not {"MemorySwap", "Init", "NetworkMode", "LogConfig", "ExtraHosts"} & bare.keys()


def test_only_where_containers_cannot_be_reached_a_port_is_published_on_loopback_alone():
    assert "PortBindings" not in host_of(spec_of())
    published = host_of(spec_of(port=5000), Network())["PortBindings"]

    assert published == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}


def test_it_is_on_homeruns_own_network_and_reaches_this_machine():
    host = host_of(spec_of())

    assert host["NetworkMode"] == "homerun-0123456789ab"
    assert host["ExtraHosts"] == ["host.docker.internal:host-gateway"]


def test_the_image_is_named_by_its_id_and_labels_say_whose_it_is():
    body = create_body(spec_of(cpu_units=256, memory_mb=512), NAMES, MACHINE, NETWORK)

    assert body["Image"] == "sha256:" + "4" * 64
    assert body["Labels"] == {
        "homerun.home": "0123456789ab",
        "homerun.service": "2" * 32,
        "homerun.version": "3" * 32,
        "homerun.instance": "1" * 32,
        "homerun.cpu": "256",
        "homerun.memory": "512",
    }


def test_the_port_wins_over_what_the_settings_say():
    env = environment(spec_of(port=9000, port_env="LISTEN", env={"PORT": "1", "LISTEN": "2", "MODE": "prod"}))

    assert env == {"MODE": "prod", "PORT": "9000", "LISTEN": "9000"}


def test_python_prints_at_once_unless_it_is_told_otherwise():
    assert environment(spec_of(runtime=PYTHON))["PYTHONUNBUFFERED"] == "1"
    assert environment(spec_of(runtime=PYTHON, env={"PYTHONUNBUFFERED": ""}))["PYTHONUNBUFFERED"] == ""
    assert "PYTHONUNBUFFERED" not in environment(spec_of())


def test_variables_are_passed_as_they_are():
    body = create_body(spec_of(env={"A": "x=y\nz ü $HOME"}), NAMES, MACHINE, NETWORK)

    assert body["Env"] == ["A=x=y\nz ü $HOME", "PORT=8080"]


@pytest.mark.parametrize(
    ("start", "command"),
    [
        (None, None),
        (StartCommand(text="a | b", argv=(), shell=True), ["/bin/sh", "-c", "a | b"]),
        (StartCommand(text="x", argv=("a b", "$HOME", '"'), shell=False), ["a b", "$HOME", '"']),
    ],
)
def test_the_start_command_takes_the_place_of_the_images(start, command):
    body = create_body(spec_of(start), NAMES, MACHINE, NETWORK)

    assert body.get("Cmd") == command
    assert "Entrypoint" not in body


RUNC = "OCI runtime create failed: container_linux.go:380: starting container process caused: "


@pytest.mark.parametrize(
    ("message", "kind", "said", "code"),
    [
        (RUNC + 'exec: "gunicorm": executable file not found in $PATH: unknown', "start", "'gunicorm' is not in", 127),
        (
            RUNC + 'exec: "/app/run.sh": stat /app/run.sh: no such file or directory: unknown',
            "start",
            "'/app/run.sh' is not in the image",
            127,
        ),
        (RUNC + 'exec: "./run.sh": permission denied: unknown', "start", "'./run.sh' may not be executed", 126),
        (
            "crun: executable file `gunicorm` not found in $PATH: No such file or directory: OCI runtime attempted",
            "start",
            "'gunicorm' is not in",
            127,
        ),
        (RUNC + "exec /app/x: exec format error", "start", "another kind of processor", None),
        ("No command specified", "start", "nothing about how it is started", None),
        ("no command or entrypoint provided, and no CMD or ENTRYPOINT from image", "start", "nothing about how", None),
        ("mkdir /var/lib/docker/overlay2/x: no space left on device", "disk", "disk of the container engine", None),
        (RUNC + "fork/exec: Cannot allocate memory", "start", "not enough memory", None),
        ("driver failed programming external connectivity.", "start", "driver failed programming", None),
    ],
)
def test_why_it_could_not_start_is_told_in_words(message, kind, said, code):
    failure = start_failure(message).failure

    assert failure.kind is FailureKind(kind)
    assert said in failure.message
    assert failure.message.endswith(".")
    assert not failure.message.endswith("..")
    assert failure.evidence == (message.strip(),)
    assert failure.exit_code == code
