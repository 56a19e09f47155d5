"""DockerCompute: versions are images, instances are containers of a Docker engine (or of Podman in its place)."""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import psutil
from msgspec.structs import replace

from engine.compute.base import (
    BuildJob,
    ComputeUnavailable,
    Emit,
    InstanceSpec,
    LocalImage,
    OnProgress,
    Pulled,
    PullJob,
    Started,
    ignore,
)
from engine.compute.docker import labels, sockets
from engine.compute.docker.api import ApiError, DockerApi, EngineVersion
from engine.compute.docker.build import Supplies, build_image
from engine.compute.docker.container import Machine, Network, create_body, start_failure
from engine.compute.docker.http import Endpoint
from engine.compute.docker.labels import names_of
from engine.compute.docker.locate import AddressError, locate
from engine.compute.docker.output import OutputCopy
from engine.compute.docker.pull import Puller, exposed_ports
from engine.compute.docker.sampler import Limits, Sampler, Usage, usage_of
from engine.compute.docker.times import seconds
from engine.compute.docker.watch import ContainerWatch, exit_of
from engine.compute.files import delete_tree, in_thread
from engine.model.clock import Clock
from engine.model.errors import DeployError, FailureKind, HomerunError
from engine.model.home import Home
from engine.model.ids import new_id
from engine.model.instance import Address, ContainerHandle, Exit, Instance
from engine.model.metric import InstanceSample
from engine.model.settings import Settings
from engine.model.version import Artifact
from engine.model.watch import ComputeState
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import ImageReference

logger = logging.getLogger(__name__)

_STOP_MARGIN_S = 30.0
_STATISTICS_S = 5.0
_FIRST_ANSWER_S = 3.0
_LAST_CALL_S = 2.0
_AWAY_PAUSE_S = 0.3
_START_S = 60.0
_NO_NETWORK = re.compile(r"network \S+ not found")
_ENGINES_DNS = "127.0.0.11"
"""In containers on a network of their own an engine's name server listens here."""


class Place(Limits, frozen=True, kw_only=True):
    """A running container: how to find it, and what it was given."""

    container_id: str
    address: Address


class DockerCompute:
    """`environ` stands for the user's environment: where the engine and registry credentials are found."""

    name = "docker"

    def __init__(self, home: Home, settings: Settings, clock: Clock, environ: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._environ = os.environ if environ is None else environ
        self._names = names_of(home)
        self._state = ComputeState(name=self.name)
        self._changed: Callable[[], None] = lambda: None
        self._machine: Machine | None = None
        self._version: EngineVersion | None = None
        self._network: Network | None = None
        self._networking = asyncio.Lock()
        self._starting: dict[str, asyncio.Lock] = {}
        self._unswept: set[str] | None = None
        """Instances that a sweep was to keep while the engine was away."""
        self._places: dict[str, Place] = {}
        self._copies: dict[str, OutputCopy] = {}
        self._to_remove: set[str] = set()
        """Containers that could not be removed while the engine was away."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sampler = Sampler(self._places.get, self._statistics)
        self._use(Endpoint(path="/var/run/docker.sock"))

    def _use(self, endpoint: Endpoint, refusal: str = "") -> None:
        self._api = DockerApi(endpoint, refusal)
        self._puller = Puller(self._api, self._names, self._environ)
        self._watch = ContainerWatch(self._api, self._clock, self._names.label, self._on_state)

    @property
    def state(self) -> ComputeState:
        return self._state

    async def open(self, changed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        try:
            self._use(await asyncio.to_thread(locate, self._settings.docker_host, self._environ))
        except AddressError as error:
            self._use(Endpoint(), str(error))
            self._state = replace(self._state, problem=str(error))
            return
        try:
            async with asyncio.timeout(_FIRST_ANSWER_S):  # one that hangs must not keep the screen away
                await self._get_ready()
                await self._watch.look()
        except HomerunError as error:
            self._state = replace(self._state, problem=str(error))
        except TimeoutError:
            where = self._api.endpoint.display
            self._state = replace(self._state, problem=f"The container engine at {where} does not answer.")
        self._watch.start()

    async def close(self) -> None:
        await self._watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(copy.close() for copy in self._copies.values()))
        self._copies.clear()
        if self._machine and not self._machine.podman:
            with contextlib.suppress(HomerunError, TimeoutError):  # it stays while a container is on it
                async with asyncio.timeout(_LAST_CALL_S):
                    await self._api.call("DELETE", f"/networks/{self._names.network}")

    async def available(self) -> None:
        await self._watch.available()

    async def pull(self, job: PullJob, emit: Emit, on_progress: OnProgress = ignore) -> Pulled:
        machine = await self._get_ready()
        return await self._puller.pull(job, emit, on_progress, machine.architecture)

    async def local_image(self, reference: ImageReference) -> LocalImage | None:
        image = await self._puller.inspect(reference.display)
        return LocalImage(id=image["Id"], ports=exposed_ports(image)) if image else None

    async def remote_digest(self, reference: ImageReference, credentials: Credentials | None) -> str:
        return await self._puller.remote_digest(reference, credentials)

    def on_images(self, heard: Callable[[], None]) -> None:
        self._watch.on_images = heard

    async def build(self, job: BuildJob, emit: Emit, on_progress: OnProgress = ignore) -> Artifact:
        await self._get_ready()
        name = self._names.image(job.service_name, job.service_id, job.number)
        image = await build_image(
            self._api,
            job,
            emit,
            tag=name,
            labels={
                labels.HOME: self._names.home,
                labels.SERVICE: job.service_id,
                labels.VERSION: job.version_id,
            },
            supplies=Supplies(
                base_images=self._settings.base_images,
                settings=self._settings.build,
                environ=self._environ,
                scratch=self._home.artifacts / "staging",
                ensure_image=lambda base: self._puller.ensure(base, emit, on_progress),
            ),
        )
        return Artifact(path=name, image=image)

    async def start(self, spec: InstanceSpec) -> Started:
        machine = await self._get_ready()
        name = self._names.container(spec.service_name, spec.instance_id)
        async with self._starting.setdefault(spec.instance_id, asyncio.Lock()):
            inspected = await self._inspect(name)
            if inspected is not None and (inspected["Config"]["Labels"] or {}).get(labels.INSTANCE) != spec.instance_id:
                inspected, name = None, f"{name}-{new_id()[:8]}"  # somebody else's, with the very name
            if inspected is not None and not inspected["State"]["Running"]:
                await self._delete(inspected["Id"])  # a start that was interrupted
                inspected = None
            if inspected is None:
                inspected = await self._start(spec, name, machine)
            place = self._adopt(spec.instance_id, inspected)
        return Started(handle=ContainerHandle(container_id=place.container_id), address=place.address)

    async def wait(self, instance: Instance) -> Exit:
        container_id = _container_id(instance)
        while instance.id not in self._places:
            try:
                inspected = await self._inspect(container_id)
            except ComputeUnavailable:
                await self._clock.sleep(_AWAY_PAUSE_S)  # the watch may not have noticed yet
                await self._watch.available()
                continue
            if inspected is None:
                return Exit(at=self._clock.now())
            self._adopt(instance.id, inspected)
        end = await self._watch.ended(container_id)
        await self._last_words(instance.id)
        return end

    async def stop(self, instance: Instance, grace_s: float) -> Exit:
        container_id = _container_id(instance)
        inspected = await self._inspect(container_id)
        if inspected is None:
            return Exit(at=self._clock.now(), expected=True)
        running = bool(inspected["State"]["Running"])
        if running:
            query = {"t": str(max(0, round(grace_s)))}
            try:
                await self._api.call(
                    "POST", f"/containers/{container_id}/stop", query=query, timeout_s=grace_s + _STOP_MARGIN_S
                )
            except ApiError as error:
                if error.status not in (304, 404):
                    raise
            inspected = await self._inspect(container_id) or inspected
        await self._last_words(instance.id)
        end = exit_of(inspected, self._clock.now())
        return replace(end, expected=True, out_of_memory=False) if running else end

    def is_running(self, instance: Instance) -> bool:
        handle = instance.handle
        return isinstance(handle, ContainerHandle) and self._watch.is_running(handle.container_id)

    def listening_ports(self, instance: Instance) -> tuple[Address, ...]:
        found: dict[Address, None] = {}
        for table in self.socket_tables(instance):
            try:
                text = table.read_text(encoding="ascii", errors="replace")
            except OSError:
                continue
            found.update(dict.fromkeys(a for a in sockets.listening(text) if a.host != _ENGINES_DNS))
        return tuple(sorted(found, key=lambda address: (address.port, address.host)))

    def socket_tables(self, instance: Instance) -> tuple[Path, ...]:
        place = self._places.get(instance.id)
        return sockets.tables(place.pid) if place and place.pid else ()

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        return self._sampler.sample(instances, now)

    def output(self, instance_id: str) -> Path:
        return self._home.instance_output(instance_id)

    async def remove(self, instance: Instance) -> None:
        instance_id = instance.id
        await self._last_words(instance_id)
        self._places.pop(instance_id, None)
        self._starting.pop(instance_id, None)
        handle = instance.handle
        try:
            if isinstance(handle, ContainerHandle):
                await self._delete(handle.container_id)
            else:
                await self._delete_instance(instance_id)
        except ComputeUnavailable:
            self._to_remove.add(instance_id)
        await in_thread(delete_tree, self._home.instance(instance_id))

    async def discard(self, artifact: Artifact) -> None:
        if not artifact.image:
            return
        try:
            await self._puller.release(artifact.path)
        except ComputeUnavailable as error:
            logger.info("The image %s is removed when Homerun starts again: %s", artifact.path, error)

    async def sweep(self, instances: Collection[Instance], artifacts: Collection[Artifact]) -> None:
        ids = {instance.id for instance in instances}
        if self._state.problem:
            self._unswept = ids  # what hangs is not asked again and again while Homerun starts
            return
        try:
            await self._sweep(ids, {artifact.path for artifact in artifacts if artifact.image})
        except ComputeUnavailable:
            self._unswept = ids

    # How.

    async def _sweep(self, instance_ids: set[str], names: set[str]) -> None:
        await self._sweep_containers(instance_ids)
        images = await self._api.call(
            "GET", "/images/json", query={"filters": {"reference": [f"{self._names.images}*"]}}
        )
        for image in images:
            for tag in image.get("RepoTags") or ():
                name = tag.removeprefix("localhost/")  # Podman's way
                is_ours = name.startswith(self._names.images) and not name.startswith(f"{self._names.images}pulled:")
                if is_ours and name not in names:
                    await self.discard(Artifact(path=name, image=image["Id"]))
            await self._puller.drop_brought(image["Id"])

    async def _sweep_containers(self, instance_ids: Collection[str]) -> None:
        await self._get_ready()
        for listed in await self._list():
            if listed["Labels"].get(labels.INSTANCE) not in instance_ids:
                await self._delete(listed["Id"])

    async def _get_ready(self) -> Machine:
        """What the engine is and offers; asked again after it was away. Raises ComputeUnavailable."""
        if self._state.problem and self._machine is None:
            self._api.forget_version()
        version = await self._api.version()
        if self._machine is None or version is not self._version:
            info = await self._api.call("GET", "/info")
            self._machine = await self._made_ready(version, info)
            self._version = version
            self._set_state(ComputeState(name=version.name, version=version.version))
        return self._machine

    async def _made_ready(self, version: EngineVersion, info: dict[str, Any]) -> Machine:
        podman = version.name == "podman"
        if info.get("OSType", "linux") != "linux":
            raise ComputeUnavailable(
                f"The container engine at {self._api.endpoint.display} runs Windows containers.",
                "Switch it to Linux containers.",
            )
        return Machine(
            podman=podman,
            cpus=max(1, int(info.get("NCPU") or 1)),
            has_init=bool(info.get("InitBinary")) and not podman,
            swap_limit=bool(info.get("SwapLimit", True)),
            architecture=str(info.get("Architecture") or ""),
        )

    async def _connected(self, machine: Machine) -> Network:
        """The network for instances, made when the first one starts."""
        async with self._networking:
            if self._network is None:
                self._network = Network() if machine.podman else await self._own_network()
            return self._network

    async def _own_network(self) -> Network:
        """A bridge on which instances cannot reach one another."""
        name = self._names.network
        body = {
            "Name": name,
            "CheckDuplicate": True,
            "Driver": "bridge",
            "Labels": {labels.HOME: self._names.home},
            "Options": {"com.docker.network.bridge.enable_icc": "false"},
        }
        try:
            try:
                network = await self._api.call("GET", f"/networks/{name}")
            except ApiError:
                await self._api.call("POST", "/networks/create", body=body)
                network = await self._api.call("GET", f"/networks/{name}")
        except ApiError as error:
            logger.warning("Instances share the engine's default network: %s", error)
            name = ""
            network = await self._api.call("GET", "/networks/bridge")
        gateways = {config.get("Gateway") for config in (network.get("IPAM") or {}).get("Config") or ()}
        mine = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
        return Network(name=name, bridged=bool(gateways & mine))

    async def _start(self, spec: InstanceSpec, name: str, machine: Machine) -> dict[str, Any]:
        """Raises DeployError; leaves nothing behind then, or when cancelled."""
        # An engine goes on with what it was told when nobody waits for the answer any more: so somebody always does.
        starting = asyncio.ensure_future(self._start_again(spec, name, machine))
        try:
            return await asyncio.shield(starting)
        except ApiError as error:
            await self._delete_instance(spec.instance_id)
            raise start_failure(error.message) from None
        except BaseException:
            await asyncio.gather(starting, return_exceptions=True)
            await asyncio.shield(self._delete_instance(spec.instance_id))
            raise

    async def _start_again(self, spec: InstanceSpec, name: str, machine: Machine) -> dict[str, Any]:
        """Once more where somebody pruned the network while no instance was on it."""
        try:
            return await self._create_and_start(spec, name, machine)
        except ApiError as error:
            if not _NO_NETWORK.search(error.message):
                raise
        await self._delete_instance(spec.instance_id)
        self._network = None
        return await self._create_and_start(spec, name, machine)

    async def _create_and_start(self, spec: InstanceSpec, name: str, machine: Machine) -> dict[str, Any]:
        body = create_body(spec, self._names, machine, await self._connected(machine))
        container_id = await self._create(name, body, spec.artifact)
        await self._api.call("POST", f"/containers/{container_id}/start", timeout_s=_START_S)
        self._watch.started(container_id)
        inspected = await self._inspect(container_id)
        if inspected is None:
            raise DeployError.of(FailureKind.START, "The container was removed while it started.")
        return inspected

    async def _delete_instance(self, instance_id: str) -> None:
        """Whatever there is of it, told by its label: a name may be somebody else's."""
        for container_id in await self._containers_of(instance_id):
            await self._delete(container_id)

    async def _create(self, name: str, body: dict[str, object], artifact: Artifact) -> str:
        for last in (False, True):
            try:
                answer = await self._api.call("POST", "/containers/create", query={"name": name}, body=body)
                return str(answer["Id"])
            except ApiError as error:
                if error.status != 404 or last:
                    raise
            # Somebody removed the image. What came from a registry may still be there.
            if not await self._puller.again(artifact):
                raise DeployError.of(
                    FailureKind.START,
                    "The image of this version is no longer in the container engine.",
                    evidence=(artifact.path, artifact.image),
                    hint="Deploy again.",
                )
        raise AssertionError("unreachable: the second failure is raised")

    def _adopt(self, instance_id: str, inspected: dict[str, Any]) -> Place:
        """Know a container: its place, its output."""
        marks, state = inspected["Config"]["Labels"] or {}, inspected["State"]
        place = Place(
            container_id=inspected["Id"],
            address=_address(inspected),
            cpu_units=int(marks.get(labels.CPU, 1024)),
            memory_mb=int(marks.get(labels.MEMORY, 2048)),
            started_at=seconds(str(state.get("StartedAt", ""))) or self._clock.now(),
            pid=int(state.get("Pid") or 0),
        )
        self._places[instance_id] = place
        if state.get("Running"):
            self._watch.started(place.container_id)
        if instance_id not in self._copies:
            file = self._home.instance_output(instance_id)
            file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            self._copies[instance_id] = OutputCopy(self._api, place.container_id, file)
        return place

    async def _last_words(self, instance_id: str) -> None:
        copy = self._copies.get(instance_id)
        if copy is not None:
            await copy.finish()
            self._copies.pop(instance_id, None)

    async def _inspect(self, container: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = await self._api.call("GET", f"/containers/{container}/json")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return answer

    async def _delete(self, container: str) -> None:
        """Nothing happens when it is not there."""
        self._watch.forget(container)
        try:
            await self._api.call("DELETE", f"/containers/{container}", query={"force": "1", "v": "1"}, timeout_s=60)
        except ApiError as error:
            if error.status not in (404, 409):  # 409: a removal is under way already
                raise

    async def _list(self) -> list[dict[str, Any]]:
        query = {"all": "1", "filters": {"label": [self._names.label]}}
        found: list[dict[str, Any]] = await self._api.call("GET", "/containers/json", query=query)
        return found

    async def _containers_of(self, instance_id: str) -> list[str]:
        return [c["Id"] for c in await self._list() if c["Labels"].get(labels.INSTANCE) == instance_id]

    def _statistics(self, container_ids: Collection[str]) -> dict[str, Usage]:
        """From the engine, for all at once; called in the sampling thread."""
        if self._loop is None:
            return {}
        asking = asyncio.run_coroutine_threadsafe(self._ask_statistics(tuple(container_ids)), self._loop)
        try:
            return asking.result(_STATISTICS_S)
        except TimeoutError:
            asking.cancel()
            return {}

    async def _ask_statistics(self, container_ids: Collection[str]) -> dict[str, Usage]:
        async def ask(container_id: str) -> Usage | None:
            try:
                query = {"stream": "0", "one-shot": "1"}
                return usage_of(await self._api.call("GET", f"/containers/{container_id}/stats", query=query))
            except HomerunError:
                return None

        answers = await asyncio.gather(*map(ask, container_ids))
        return {cid: usage for cid, usage in zip(container_ids, answers, strict=True) if usage is not None}

    # The engine comes and goes.

    def _on_state(self, problem: str) -> None:
        if problem:
            self._machine = self._network = None
            self._set_state(replace(self._state, problem=problem))
            return
        task = asyncio.get_running_loop().create_task(self._welcome_back(), name="the container engine is back")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _welcome_back(self) -> None:
        try:
            await self._get_ready()
            for instance_id in list(self._to_remove):
                await self._delete_instance(instance_id)
                self._to_remove.discard(instance_id)
            if self._unswept is not None:
                await self._sweep_containers({*self._unswept, *self._places, *self._starting})
                self._unswept = None
        except HomerunError as error:
            logger.warning("The container engine is back, but: %s", error)

    def _set_state(self, state: ComputeState) -> None:
        if state != self._state:
            self._state = state
            self._changed()


def _container_id(instance: Instance) -> str:
    if not isinstance(instance.handle, ContainerHandle):
        raise TypeError(f"instance {instance.id} is no container")
    return instance.handle.container_id


def _address(inspected: dict[str, Any]) -> Address:
    """Where the container answers: its own address, or the loopback port that it is published on."""
    settings = inspected.get("NetworkSettings") or {}
    port = next((int(p.partition("/")[0]) for p in inspected["Config"].get("ExposedPorts") or {}), 8080)
    for name, value in (e.partition("=")[::2] for e in inspected["Config"].get("Env") or ()):
        if name == "PORT" and value.isdigit():
            port = int(value)
    published = (settings.get("Ports") or {}).get(f"{port}/tcp") or ()
    for place in published:
        return Address(host=place.get("HostIp") or "127.0.0.1", port=int(place["HostPort"]))
    for network in (settings.get("Networks") or {}).values():
        if network.get("IPAddress"):
            return Address(host=network["IPAddress"], port=port)
    return Address(host="127.0.0.1", port=port)
