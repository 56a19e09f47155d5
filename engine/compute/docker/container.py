"""A container for an instance: what the engine is told to create, and why it could not be started. Pure."""

import re

from engine.compute.base import InstanceSpec
from engine.compute.docker import labels
from engine.compute.docker.labels import Names
from engine.model.base import Value
from engine.model.errors import DeployError, Failure, FailureKind
from engine.model.plan import BuildPlan, RuntimeFamily

PIDS = 4096
"""Processes and threads that an instance may have at a time: more than servers need, and no fork bomb."""
_NANO = 1_000_000_000
_UNITS_PER_CPU = 1024


class Machine(Value, frozen=True, kw_only=True):
    """The engine that containers are created in."""

    podman: bool = False
    cpus: int = 1
    has_init: bool = False
    swap_limit: bool = True
    architecture: str = ""


class Network(Value, frozen=True, kw_only=True):
    """What containers are connected to."""

    name: str = ""
    """Homerun's own; "" for the engine's default one."""
    bridged: bool = False
    """A container's own address can be reached from here, so that nothing has to be published. It is also faster by a
    third than a published port, behind which a program of the engine's copies every byte, and it refuses a connection
    where nobody listens, which that program takes."""


def create_body(spec: InstanceSpec, names: Names, machine: Machine, network: Network) -> dict[str, object]:
    """The body of POST /containers/create."""
    plan, port = spec.plan, f"{spec.plan.port}/tcp"
    memory = spec.memory_mb << 20
    host: dict[str, object] = {
        # An engine refuses more CPUs than it has; Fargate's sizes go up to four.
        "NanoCpus": int(min(spec.cpu_units / _UNITS_PER_CPU, machine.cpus) * _NANO),
        "Memory": memory,
        "PidsLimit": PIDS,
        "SecurityOpt": ["no-new-privileges"],
        "RestartPolicy": {"Name": "no"},
    }
    if machine.swap_limit:
        host["MemorySwap"] = memory
    if machine.has_init:
        # As process 1 an application would ignore SIGTERM unless it handles it, and reap nobody.
        host["Init"] = True
    if not machine.podman:
        host["LogConfig"] = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
        host["ExtraHosts"] = ["host.docker.internal:host-gateway"]
    if network.name:
        host["NetworkMode"] = network.name
    if not network.bridged:
        host["PortBindings"] = {port: [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    body: dict[str, object] = {
        "Image": spec.artifact.image,
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "ExposedPorts": {port: {}},
        "Labels": {
            labels.HOME: names.home,
            labels.SERVICE: spec.service_id,
            labels.VERSION: spec.version_id,
            labels.INSTANCE: spec.instance_id,
            labels.CPU: str(spec.cpu_units),
            labels.MEMORY: str(spec.memory_mb),
        },
        "HostConfig": host,
    }
    if command := _command(plan):
        body["Cmd"] = command
    return body


def environment(spec: InstanceSpec) -> dict[str, str]:
    """The application's variables; the port's win over what its settings say."""
    defaults = {"PYTHONUNBUFFERED": "1"} if spec.plan.runtime.family is RuntimeFamily.PYTHON else {}
    env = {**defaults, **spec.env, "PORT": str(spec.plan.port)}
    if spec.plan.port_env:
        env[spec.plan.port_env] = str(spec.plan.port)
    return env


def _command(plan: BuildPlan) -> list[str]:
    """In place of the image's CMD; its ENTRYPOINT, if it has one, stays as with App Runner."""
    if plan.start is None:
        return []
    return ["/bin/sh", "-c", plan.start.text] if plan.start.shell else list(plan.start.argv)


_NOT_FOUND = re.compile(
    r"exec: \\?\"([^\"\\]+)\\?\":.*(?:executable file not found|no such file or directory)"
    r"|executable file `([^`]+)` not found"
)
_NOT_PERMITTED = re.compile(r"exec: \\?\"([^\"\\]+)\\?\":.*permission denied")


def start_failure(message: str) -> DeployError:
    """Why the engine could not start a container, from its own words."""
    kind, cause, hint, code = FailureKind.START, "", "", None
    if match := _NOT_FOUND.search(message):
        cause = f"The start command's program '{match.group(1) or match.group(2)}' is not in the image."
        hint = "Check its spelling, and that a build command installs it."
        code = 127
    elif match := _NOT_PERMITTED.search(message):
        cause = f"The start command's program '{match.group(1)}' may not be executed."
        hint = "Check its permissions (git keeps the executable bit) and its first line."
        code = 126
    elif "exec format error" in message:
        cause = "The image's program is for another kind of processor than this machine has."
        hint = "Build the image for this machine's architecture."
    elif "No command specified" in message or "no command" in message.lower():
        cause = "The image says nothing about how it is started."
        hint = "Give the service a start command."
    elif "no space left on device" in message:
        kind, cause, hint = FailureKind.DISK, "The disk of the container engine is full.", "Free some space there."
    elif "cannot allocate memory" in message.lower():
        cause = "This machine has not enough memory for another instance."
        hint = "Choose smaller instances, or stop something else."
    else:
        cause = f"The container engine could not start the application: {message.strip().rstrip('.')}."
    return DeployError(Failure(kind=kind, message=cause, evidence=(message.strip(),), hint=hint, exit_code=code))
