"""The keys of an apprunner.yaml: what there is, what people write instead, and what belongs elsewhere."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from engine.model.base import Value

Path = tuple[str, ...]

SECTIONS: Mapping[Path, tuple[str, ...]] = {
    (): ("version", "runtime", "build", "run"),
    ("build",): ("commands", "env", "dockerfile"),
    ("build", "commands"): ("pre-build", "build", "post-build"),
    ("run",): ("runtime-version", "pre-run", "command", "network", "env", "secrets"),
    ("run", "network"): ("port", "env"),
}
"""Every mapping of the file and its keys; whatever is not a section is a value."""

COMMAND_LISTS: frozenset[Path] = frozenset(
    {
        ("build", "commands", "pre-build"),
        ("build", "commands", "build"),
        ("build", "commands", "post-build"),
        ("run", "pre-run"),
    }
)

EXAMPLES: Mapping[Path, dict[str, Any]] = {
    (): {
        "version": 1.0,
        "runtime": "python311",
        "build": {"commands": {"build": ["pip3 install -r requirements.txt"]}},
        "run": {"command": "python3 app.py", "network": {"port": 8080}},
    },
    ("build",): {"build": {"commands": {"build": ["pip3 install -r requirements.txt"]}}},
    ("build", "commands"): {"build": {"commands": {"build": ["pip3 install -r requirements.txt"]}}},
    ("run",): {"run": {"command": "python3 app.py", "network": {"port": 8080}}},
    ("run", "network"): {"run": {"network": {"port": 8080, "env": "APP_PORT"}}},
}
"""Each section as it should look, for hints."""

_PRE_BUILD = ("build", "commands", "pre-build")
_BUILD = ("build", "commands", "build")
_POST_BUILD = ("build", "commands", "post-build")
_PRE_RUN = ("run", "pre-run")
_COMMAND = ("run", "command")
_PORT = ("run", "network", "port")
_VERSION = ("run", "runtime-version")

_MOVED: Mapping[Path, Mapping[str, Path]] = {
    (): {
        "network": ("run", "network"),
        "command": _COMMAND,
        "startcommand": _COMMAND,
        "port": _PORT,
        "secrets": ("run", "secrets"),
        "runtimeversion": _VERSION,
        "prerun": _PRE_RUN,
        "commands": ("build", "commands"),
        "dockerfile": ("build", "dockerfile"),
        "prebuild": _PRE_BUILD,
        "postbuild": _POST_BUILD,
        "buildcommand": _BUILD,
        "buildcommands": ("build", "commands"),
        "runcommand": _COMMAND,
    },
    ("build",): {
        "run": ("run",),
        "buildcommands": ("build", "commands"),
        "prebuild": _PRE_BUILD,
        "build": _BUILD,
        "postbuild": _POST_BUILD,
        "command": _BUILD,
        "prerun": _PRE_RUN,
        "environment": ("build", "env"),
        "environmentvariables": ("build", "env"),
        "envvars": ("build", "env"),
        "variables": ("build", "env"),
    },
    ("build", "commands"): {
        "run": ("run",),
        "pre": _PRE_BUILD,
        "post": _POST_BUILD,
        "prerun": _PRE_RUN,
        "env": ("build", "env"),
    },
    ("run",): {
        "runtime": ("runtime",),
        "port": _PORT,
        "start": _COMMAND,
        "startcommand": _COMMAND,
        "cmd": _COMMAND,
        "environment": ("run", "env"),
        "environmentvariables": ("run", "env"),
        "envvars": ("run", "env"),
        "variables": ("run", "env"),
    },
}
"""Section, squashed key -> where it belongs. Only what can mean one thing is here."""

_ELSEWHERE: Mapping[str, str] = {
    "healthcheck": "the health check is set on the service (HealthCheckConfiguration)",
    "healthcheckpath": "the health check is set on the service (HealthCheckConfiguration)",
    "health": "the health check is set on the service (HealthCheckConfiguration)",
    "autodeploy": "automatic deployments are set on the service (AutoDeploymentsEnabled)",
    "autodeployment": "automatic deployments are set on the service (AutoDeploymentsEnabled)",
    "autodeployments": "automatic deployments are set on the service (AutoDeploymentsEnabled)",
    "autodeploymentsenabled": "automatic deployments are set on the service (AutoDeploymentsEnabled)",
    "sourcedirectory": "the source directory is set on the service (SourceDirectory)",
    "source": "the source is set on the service (SourceConfiguration)",
    "branch": "the branch is set on the service (SourceCodeVersion)",
    "cpu": "CPU and memory are set on the service (InstanceConfiguration)",
    "memory": "CPU and memory are set on the service (InstanceConfiguration)",
    "instance": "CPU and memory are set on the service (InstanceConfiguration)",
    "instanceconfiguration": "CPU and memory are set on the service (InstanceConfiguration)",
    "resources": "CPU and memory are set on the service (InstanceConfiguration)",
    "instancerole": "the instance role is set on the service (InstanceRoleArn)",
    "autoscaling": "scaling is set on the service (AutoScalingConfiguration)",
    "scaling": "scaling is set on the service (AutoScalingConfiguration)",
    "concurrency": "scaling is set on the service (AutoScalingConfiguration)",
    "maxconcurrency": "scaling is set on the service (AutoScalingConfiguration)",
    "minsize": "scaling is set on the service (AutoScalingConfiguration)",
    "maxsize": "scaling is set on the service (AutoScalingConfiguration)",
    "ingress": "who may reach the service is set on the service (NetworkConfiguration)",
    "egress": "where the service may connect to is set on the service (NetworkConfiguration)",
    "vpc": "the VPC is set on the service (NetworkConfiguration)",
    "protocol": "a service always speaks HTTP; the health check's protocol is set on the service",
    "dockerfile": "App Runner builds no Dockerfile; name a managed runtime, or deploy the image itself",
    "image": "App Runner builds no image from this file; name a managed runtime, or deploy the image itself",
    "name": "the name is set on the service (ServiceName)",
    "servicename": "the name is set on the service (ServiceName)",
    "tags": "tags are set on the service",
    "region": "the region is set with the service",
    "domain": "custom domains are associated with the service",
    "env": "say for what the variables are: build.env for the build, run.env for the application",
    "environment": "say for what the variables are: build.env for the build, run.env for the application",
    "timeout": "App Runner has no such setting",
    "workingdirectory": "every command runs in the source directory, which is set on the service (SourceDirectory)",
    "workdir": "every command runs in the source directory, which is set on the service (SourceDirectory)",
}
"""Squashed key -> what to do instead of writing it into this file."""

_MAX_KEY = 60


class Place(Value, frozen=True, kw_only=True):
    """Where a key belongs."""

    path: Path
    exact: bool
    """Written as App Runner spells it, where App Runner looks for it."""


def squash(key: str) -> str:
    """A key without capitals and separators: preBuild, pre_build and "pre build" are one."""
    return re.sub(r"[^a-z0-9]", "", key[: 2 * _MAX_KEY].lower())


def place(section: Path, key: str) -> Place | None:
    """Where `key`, found in `section`, belongs; None for a key that means nothing."""
    known = SECTIONS[section]
    if key in known:
        return Place(path=(*section, key), exact=True)
    squashed = squash(key)
    for name in known:
        if squash(name) == squashed:
            return Place(path=(*section, name), exact=False)
    moved = _MOVED.get(section, {}).get(squashed)
    return Place(path=moved, exact=False) if moved else None


def elsewhere(key: str) -> str:
    """What to do instead of writing this key into the file; "" when it is not one that people know from elsewhere."""
    return _ELSEWHERE.get(squash(key), "")


def likely(section: Path, key: str) -> str:
    """The key that a misspelt one resembles, or ""."""
    close = difflib.get_close_matches(key[:_MAX_KEY].lower(), SECTIONS[section], n=1, cutoff=0.7)
    return close[0] if close else ""


def dotted(path: Path) -> str:
    return ".".join(path)


def nested(path: Path, value: Any) -> dict[str, Any]:
    """`value` at its place in the file, as plain data."""
    data: Any = value
    for key in reversed(path):
        data = {key: data}
    return data if isinstance(data, dict) else {}
