"""Computes: both places where instances can run, as one. What exists stays where it is; what is built is sent on."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from engine.compute.base import (
    BuildJob,
    Compute,
    Emit,
    InstanceSpec,
    LocalImage,
    OnProgress,
    Pulled,
    PullJob,
    Started,
    ignore,
)
from engine.model.errors import DeployError, FailureKind
from engine.model.instance import Address, Exit, Instance
from engine.model.metric import InstanceSample
from engine.model.plan import RuntimeFamily
from engine.model.version import Artifact
from engine.model.watch import ComputeState
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import ImageReference

_ON_PROCESSES = frozenset({RuntimeFamily.PYTHON, RuntimeFamily.NODEJS})


class Computes:
    """`wanted` is the setting: auto, process or docker. With `docker` None this home has nothing to do with Docker."""

    name = "computes"

    def __init__(self, process: Compute, docker: Compute | None, wanted: str) -> None:
        self._process = process
        self._docker = docker
        self._wanted = wanted
        self._uses_docker = wanted == "docker"

    @property
    def _all(self) -> tuple[Compute, ...]:
        return (self._process, self._docker) if self._docker else (self._process,)

    @property
    def state(self) -> ComputeState:
        """Of Docker, unless nothing here asks for it and it is not there either."""
        if self._docker is None or (self._docker.state.problem and not self._uses_docker):
            return self._process.state
        return self._docker.state

    async def open(self, changed: Callable[[], None]) -> None:
        await asyncio.gather(*(compute.open(changed) for compute in self._all))

    async def close(self) -> None:
        await asyncio.gather(*(compute.close() for compute in self._all))

    async def available(self) -> None:
        if self._docker:
            await self._docker.available()

    async def pull(self, job: PullJob, emit: Emit, on_progress: OnProgress = ignore) -> Pulled:
        self._uses_docker = True
        return await self._need_docker("An image service").pull(job, emit, on_progress)

    async def local_image(self, reference: ImageReference) -> LocalImage | None:
        return await (self._docker or self._process).local_image(reference)

    async def remote_digest(self, reference: ImageReference, credentials: Credentials | None) -> str:
        return await (self._docker or self._process).remote_digest(reference, credentials)

    def on_images(self, heard: Callable[[], None]) -> None:
        (self._docker or self._process).on_images(heard)

    async def build(self, job: BuildJob, emit: Emit, on_progress: OnProgress = ignore) -> Artifact:
        if not self._builds_images(job):
            return await self._process.build(job, emit, on_progress)
        self._uses_docker = True
        docker = self._need_docker(f"The runtime '{job.plan.runtime.name}'")
        return await docker.build(job, emit, on_progress)

    async def start(self, spec: InstanceSpec) -> Started:
        return await self._of_artifact(spec.artifact).start(spec)

    async def wait(self, instance: Instance) -> Exit:
        return await self._of(instance).wait(instance)

    async def stop(self, instance: Instance, grace_s: float) -> Exit:
        return await self._of(instance).stop(instance, grace_s)

    def is_running(self, instance: Instance) -> bool:
        return self._of(instance).is_running(instance)

    def listening_ports(self, instance: Instance) -> tuple[Address, ...]:
        return self._of(instance).listening_ports(instance)

    def socket_tables(self, instance: Instance) -> tuple[Path, ...]:
        return self._of(instance).socket_tables(instance)

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        samples: tuple[InstanceSample, ...] = ()
        for compute in self._all:
            mine = [instance for instance in instances if self._of(instance) is compute]
            samples += compute.sample(mine, now) if mine else ()
        return samples

    def output(self, instance_id: str) -> Path:
        return self._process.output(instance_id)

    async def remove(self, instance: Instance) -> None:
        await self._of(instance).remove(instance)

    async def discard(self, artifact: Artifact) -> None:
        await self._of_artifact(artifact).discard(artifact)

    async def sweep(self, instances: Collection[Instance], artifacts: Collection[Artifact]) -> None:
        for compute in self._all:
            await compute.sweep(instances, artifacts)
        self._uses_docker |= any(self._of(i) is self._docker for i in instances) or any(a.image for a in artifacts)

    def _builds_images(self, job: BuildJob) -> bool:
        """Under `auto` a service stays where its last build is; a new one goes to Docker if that is there."""
        family = job.plan.runtime.family
        if family is RuntimeFamily.DOCKER or self._wanted == "docker":
            return True
        if self._wanted == "process" or self._docker is None:
            return False
        if job.previous is not None:
            return bool(job.previous.image)
        return not self._docker.state.problem or family not in _ON_PROCESSES

    def _need_docker(self, what: str) -> Compute:
        if self._docker is None:
            raise DeployError.of(
                FailureKind.COMPUTE,
                f"{what} needs Docker, and this engine was started for processes only.",
                hint="Start Homerun with --compute auto or --compute docker (or set `compute` in settings.yaml).",
            )
        return self._docker

    def _of(self, instance: Instance) -> Compute:
        return self._docker if self._docker and instance.compute == self._docker.name else self._process

    def _of_artifact(self, artifact: Artifact) -> Compute:
        return self._need_docker("An image") if artifact.image else self._process
