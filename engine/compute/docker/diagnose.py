"""What `homerun doctor` says about the container engine."""

import asyncio
from collections.abc import Mapping
from typing import Any

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.api import ApiError, DockerApi, EngineVersion
from engine.compute.docker.locate import AddressError, locate
from engine.model.base import Value
from engine.model.errors import HomerunError


class Diagnosis(Value, frozen=True, kw_only=True):
    """An engine that answers, or why none does."""

    found: bool
    name: str = ""
    """"docker" or "podman"."""
    version: str = ""
    api_version: str = ""
    address: str = ""
    notes: tuple[str, ...] = ()
    """What is worth knowing about it, a few words each."""
    problem: str = ""
    advice: str = ""


def diagnose(docker_host: str, environ: Mapping[str, str]) -> Diagnosis:
    """Ask the engine that Homerun would use. Blocks, for seconds where one hangs."""
    try:
        endpoint = locate(docker_host, environ)
    except AddressError as error:
        return Diagnosis(found=False, problem=str(error))
    api = DockerApi(endpoint)

    async def ask() -> Diagnosis:
        version = await api.version()
        return _found(version, await api.call("GET", "/info"), endpoint.display)

    try:
        return asyncio.run(ask())
    except ComputeUnavailable as error:
        return Diagnosis(found=False, address=endpoint.display, problem=error.cause, advice=error.hint)
    except (ApiError, HomerunError) as error:
        return Diagnosis(found=False, address=endpoint.display, problem=str(error))


def _found(version: EngineVersion, info: Mapping[str, Any], address: str) -> Diagnosis:
    return Diagnosis(
        found=True,
        name=version.name,
        version=version.version,
        api_version=version.api,
        address=address,
        notes=notes_of(info),
    )


def notes_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """What limits or marks an engine, from its /info."""
    notes = []
    if any("rootless" in str(option) for option in info.get("SecurityOptions") or ()):
        notes.append("rootless")
    if cgroups := info.get("CgroupVersion"):
        notes.append(f"cgroup v{cgroups}")
    missing = [
        what
        for key, what in (("MemoryLimit", "memory"), ("CpuCfsQuota", "CPU"), ("PidsLimit", "process"))
        if info.get(key) is False
    ]
    if missing:
        notes.append(f"no {' or '.join(missing)} limits")
    if info.get("OSType", "linux") != "linux":
        notes.append("Windows containers, which cannot be used")
    if system := info.get("OperatingSystem"):
        notes.append(str(system))
    return tuple(notes)
