"""ProcessCompute: builds and instances as plain processes of this machine, nothing but Python or Node.js needed."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec
import psutil

from engine.compute.base import BuildJob, Emit, InstanceSpec, LocalImage, OnProgress, Pulled, PullJob, Started, ignore
from engine.compute.failures import disk_failure
from engine.compute.files import delete_tree, in_thread
from engine.compute.process.build import Build, end_unfinished, runtime_line
from engine.compute.process.choose import Choice, Interpreter, choose_interpreter
from engine.compute.process.instance import instance_mark, start_instance, started
from engine.compute.process.interpreters import found_interpreters
from engine.compute.process.layout import read_artifact
from engine.compute.process.port import PortPool
from engine.compute.process.record import InstanceFolder, InstanceRecord
from engine.compute.process.sampler import Sampler
from engine.compute.process.tree import Identity, is_alive, reap
from engine.compute.process.trees import Trees, take_scan
from engine.model.clock import Clock
from engine.model.errors import DeployError, FailureKind
from engine.model.home import Home
from engine.model.instance import Address, Exit, Instance, ProcessHandle
from engine.model.metric import InstanceSample
from engine.model.plan import BuildPlan
from engine.model.version import Artifact
from engine.model.watch import ComputeState
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import ImageReference

logger = logging.getLogger(__name__)

NETWORK_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_POLL_S = 0.2  # only where the kernel has no pidfd


class ProcessCompute:
    """The compute of a machine without Docker. `environ` stands for the user's environment."""

    name = "process"

    def __init__(self, home: Home, clock: Clock, environ: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._trees = Trees(clock)
        self._ports = PortPool()
        self._records: dict[str, InstanceRecord] = {}
        self._building: set[Path] = set()
        self._stopping: set[str] = set()
        self._starting: dict[str, asyncio.Lock] = {}
        self._sampler = Sampler(self._record)

    def found_interpreters(self) -> tuple[Interpreter, ...]:
        """Every Python and Node.js that can serve, as `homerun doctor` shows them. Blocks, briefly."""
        return found_interpreters(self._home.cache / "interpreters.json", self._environ)

    @property
    def state(self) -> ComputeState:
        return ComputeState(name=self.name)

    async def open(self, changed: Callable[[], None]) -> None:
        """There is nothing to begin, and nothing that could go away."""

    async def close(self) -> None:
        """There is nothing to end."""

    async def available(self) -> None:
        """Always."""

    async def pull(self, job: PullJob, emit: Emit, on_progress: OnProgress = ignore) -> Pulled:  # noqa: ARG002 - images cannot run here
        raise DeployError.of(FailureKind.COMPUTE, f"The image {job.reference.display} needs Docker to run.")

    async def local_image(self, reference: ImageReference) -> LocalImage | None:  # noqa: ARG002 - images cannot run here
        return None

    async def remote_digest(self, reference: ImageReference, credentials: Credentials | None) -> str:  # noqa: ARG002 - as above
        return ""

    def on_images(self, heard: Callable[[], None]) -> None:
        """There are none."""

    async def build(self, job: BuildJob, emit: Emit, on_progress: OnProgress = ignore) -> Artifact:  # noqa: ARG002 - lines tell it
        choice = await asyncio.to_thread(self._choose, job.plan)
        emit(runtime_line(choice))
        if choice.notice:
            emit(f"[AppRunner] {choice.notice}")
        self._building.add(job.target)
        try:
            build = Build(job, choice, emit, cache=self._home.cache, trees=self._trees, environ=self._environ)
            return await build.run()
        finally:
            self._building.discard(job.target)

    async def start(self, spec: InstanceSpec) -> Started:
        lock = self._starting.setdefault(spec.instance_id, asyncio.Lock())
        async with lock:
            if not self._records:
                await asyncio.to_thread(self._read_all_records)
            record = await start_instance(
                spec,
                self._folder(spec.instance_id),
                cache=self._home.cache,
                ports=self._ports,
                ports_in_use={record.address.port for record in self._records.values()},
                trees=self._trees,
                clock=self._clock,
                environ=self._environ,
            )
            self._records[spec.instance_id] = record
        return started(record)

    async def wait(self, instance: Instance) -> Exit:
        process = self._process(instance)
        if process:
            await self._ended(process)
        if instance.id not in self._stopping:
            # What outlives its main process would be gone in a container, too.
            await self._trees.end(process, instance_mark(instance.id), grace_s=0)
        return await self._exit(instance.id, killed=False)

    async def stop(self, instance: Instance, grace_s: float) -> Exit:
        folder = self._folder(instance.id)
        process = self._process(instance)
        running = process is not None and is_alive(process)
        self._stopping.add(instance.id)
        try:
            if running:
                with contextlib.suppress(OSError):  # a full disk does not keep an instance alive
                    await asyncio.to_thread(folder.stopping.touch)
            await self._trees.end(process, instance_mark(instance.id), grace_s=grace_s)
            if process:
                reap(process.pid)
        finally:
            self._stopping.discard(instance.id)
        end = await self._exit(instance.id, killed=running)
        return msgspec.structs.replace(end, expected=True) if running else end

    def is_running(self, instance: Instance) -> bool:
        process = self._process(instance)
        return process is not None and is_alive(process)

    def listening_ports(self, instance: Instance) -> tuple[Address, ...]:
        process = self._process(instance)
        found: dict[Address, None] = {}
        for pid in take_scan().members(process, instance_mark(instance.id)):
            with contextlib.suppress(psutil.Error):
                for connection in psutil.Process(pid).net_connections(kind="tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        found[Address(host=connection.laddr.ip, port=connection.laddr.port)] = None
        return tuple(sorted(found, key=lambda address: (address.port, address.host)))

    def socket_tables(self, instance: Instance) -> tuple[Path, ...]:  # noqa: ARG002 - all live in one network
        return NETWORK_TABLES

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        return self._sampler.sample(instances, now)

    def output(self, instance_id: str) -> Path:
        return self._home.instance_output(instance_id)

    async def remove(self, instance: Instance) -> None:
        await self._remove(instance.id)

    async def _remove(self, instance_id: str) -> None:
        record = await asyncio.to_thread(self._record, instance_id)
        await self._trees.end(record.process if record else None, instance_mark(instance_id), grace_s=0)
        if record and record.process:
            reap(record.process.pid)
        await self._delete(self._home.instance(instance_id), "delete an instance's files")
        self._records.pop(instance_id, None)
        self._starting.pop(instance_id, None)

    async def discard(self, artifact: Artifact) -> None:
        await self._delete(Path(artifact.path), "delete a version's build")

    async def sweep(self, instances: Collection[Instance], artifacts: Collection[Artifact]) -> None:  # noqa: ARG002 - a build that ended is told by its record
        keep = {instance.id for instance in instances}
        for folder in await asyncio.to_thread(_folders, self._home.instances):
            if folder.name not in keep:
                try:
                    await self._remove(folder.name)
                except DeployError as error:  # what nobody can delete must not keep the engine from starting
                    logger.warning("%s is left behind: %s", folder, error)
        for service in await asyncio.to_thread(_folders, self._home.artifacts):
            for target in await asyncio.to_thread(_folders, service):
                finished = await asyncio.to_thread(read_artifact, target)
                if finished is None and target not in self._building:
                    await end_unfinished(target, self._trees)

    def _choose(self, plan: BuildPlan) -> Choice:
        """First among the likely interpreters, so that a first deployment does not have to start all there are."""
        cache, environ = self._home.cache / "interpreters.json", self._environ
        with contextlib.suppress(DeployError):
            likely = found_interpreters(cache, environ, likely_for=plan.runtime)
            choice = choose_interpreter(plan.runtime, likely, strict=plan.strict)
            if not choice.notice:
                return choice
        return choose_interpreter(plan.runtime, self.found_interpreters(), strict=plan.strict)

    async def _delete(self, folder: Path, doing: str) -> None:
        try:
            await in_thread(delete_tree, folder)
        except OSError as error:
            raise disk_failure(error, doing, FailureKind.INTERNAL) from error

    def _folder(self, instance_id: str) -> InstanceFolder:
        return InstanceFolder(root=self._home.instance(instance_id))

    def _record(self, instance_id: str) -> InstanceRecord | None:
        if record := self._records.get(instance_id):
            return record
        record = self._folder(instance_id).read_record()
        if record and record.process:
            self._records[instance_id] = record
        return record

    def _read_all_records(self) -> None:
        for folder in _folders(self._home.instances):
            self._record(folder.name)

    def _process(self, instance: Instance) -> Identity | None:
        """The supervisor's process; None when it was never started or the record is gone."""
        record = self._record(instance.id)
        if record is None or record.process is None:
            return None
        handle = instance.handle
        if isinstance(handle, ProcessHandle) and handle.pid != record.process.pid:
            return None
        return record.process

    async def _ended(self, process: Identity) -> None:
        """Return when the process has ended, whoever started it."""
        if sys.platform != "linux":
            while is_alive(process):
                await self._clock.sleep(_POLL_S)
            reap(process.pid)
            return
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:  # gone, or an old kernel
            while is_alive(process):
                await self._clock.sleep(_POLL_S)
            reap(process.pid)
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            if is_alive(process):  # else the pid is somebody else's by now
                await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        reap(process.pid)

    async def _exit(self, instance_id: str, *, killed: bool) -> Exit:
        return await asyncio.to_thread(self._folder(instance_id).read_exit, killed=killed, now=self._clock.now())


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if path.is_dir())
    except OSError:
        return []
