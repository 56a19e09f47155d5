"""The instances of one service: started, watched, drained and stopped. What their fate means is decided elsewhere."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from engine.compute.base import ComputeUnavailable, InstanceSpec
from engine.lifecycle.failures import internal
from engine.lifecycle.planner import InstanceFacts
from engine.lifecycle.rooms import Rooms
from engine.lifecycle.storing import store_fact
from engine.lifecycle.watcher import Outcome, Watcher
from engine.model.errors import DeployError, Failure
from engine.model.ids import new_id
from engine.model.instance import Exit, Instance, InstanceState
from engine.model.version import Version
from engine.store.state import Transaction

logger = logging.getLogger(__name__)

_EVIDENCE_LINES = 20

Heed = Callable[[Instance, Outcome], Awaitable[None]]
"""Called with each outcome of an instance that is not being stopped, one after the other."""


class Instances:
    """Owns a task per watched instance and one per instance being stopped; `close` ends the tasks only."""

    def __init__(self, service_id: str, rooms: Rooms, *, heed: Heed, wake: Callable[[], None]) -> None:
        self._service_id = service_id
        self._rooms = rooms
        self._heed = heed
        self._wake = wake
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._draining_since: dict[str, float] = {}

    def adopt(self) -> None:
        """Watch what an earlier engine left running (or dead: then that is the first outcome)."""
        for instance in self._rooms.store.instances_of(self._service_id):
            if instance.state is InstanceState.DRAINING:
                # Its requests survived the engine, too; nobody wrote down since when they drain.
                self._draining_since[instance.id] = self._rooms.clock.now()
            if instance.handle:
                self._watch(instance)

    async def close(self) -> None:
        tasks = [*self._watching.values(), *self._stopping.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def is_draining(self) -> bool:
        """One of them waits for its requests in flight."""
        return bool(self._draining_since)

    def facts(self) -> tuple[InstanceFacts, ...]:
        """For the planner: every instance that has not ended."""
        return tuple(
            InstanceFacts(
                id=instance.id,
                version_id=instance.version_id,
                state=instance.state,
                in_flight=self._rooms.routing.in_flight(instance.id),
                draining_since=self._draining_since.get(instance.id),
                stopping=instance.id in self._stopping,
            )
            for instance in self._rooms.store.instances_of(self._service_id)
        )

    async def start(self, service_name: str, version: Version) -> Failure | None:
        """Start one of this version; the reason when that was not possible.

        Raises ComputeUnavailable: it says nothing about the version.
        """
        rooms = self._rooms
        if version.plan is None or version.artifact is None:
            return internal(RuntimeError("the build of this version is not there any more"))
        instance = Instance(
            id=new_id(),
            service_id=self._service_id,
            version_id=version.id,
            compute="docker" if version.artifact.image else "process",
            state=InstanceState.STARTING,
            created_at=rooms.clock.now(),
        )
        # The record comes first: after a crash in between, the sweep knows that this id never got anywhere.
        await rooms.store.write(lambda tx: tx.put(instance))
        try:
            started = await rooms.compute.start(
                InstanceSpec(
                    instance_id=instance.id,
                    service_id=self._service_id,
                    service_name=service_name,
                    version_id=version.id,
                    artifact=version.artifact,
                    plan=version.plan,
                    env={**version.plan.run_env, **await rooms.deployer.secrets(version.plan)},
                    cpu_units=int(version.config.instance.cpu or 1024),
                    memory_mb=int(version.config.instance.memory or 2048),
                )
            )
        except ComputeUnavailable:
            await rooms.store.write(lambda tx: tx.remove(Instance, instance.id))
            raise
        except DeployError as error:
            failure = error.failure
        except Exception as error:
            # Nobody watches it yet: left as "starting" it would be waited for until the next start of the engine.
            logger.exception("service %s: an instance could not be started", self._service_id)
            failure = internal(error)
        else:
            running = replace(instance, handle=started.handle, address=started.address)
            await self._started(version, running)
            return None
        await self.remove(instance, Exit(at=rooms.clock.now()), failure.message)
        return failure

    async def _started(self, version: Version, running: Instance) -> None:
        rooms = self._rooms
        await store_fact(rooms, lambda tx: tx.put(running))
        rooms.telemetry.follow(running, rooms.compute.output(running.id))
        rooms.journal.instance_started(version, running)
        self._watch(running)

    async def drain(self, instance_id: str) -> None:
        """It gets no new requests; remember since when."""
        self._draining_since.setdefault(instance_id, self._rooms.clock.now())
        await self.set_state(instance_id, InstanceState.DRAINING, "replaced or no longer wanted")

    def stop(self, instance_id: str) -> None:
        """Begin to stop it; the store forgets it when it has ended."""
        instance = self._rooms.store.instances.get(instance_id)
        if instance and instance_id not in self._stopping:
            self._stopping[instance_id] = asyncio.create_task(self._stop(instance), name=f"stop {instance_id}")

    async def remove(self, instance: Instance, exit_: Exit, reason: str) -> None:
        """It has ended."""
        await retire(self._rooms, instance, exit_, reason)
        self._draining_since.pop(instance.id, None)

    async def set_state(self, instance_id: str, state: InstanceState, reason: str) -> None:
        """Nothing happens to one that has ended."""

        def change(tx: Transaction) -> None:
            instance = tx.instance(instance_id)
            if instance.state is not state:
                tx.put(replace(instance, state=state, reason=reason))

        with contextlib.suppress(KeyError):
            await store_fact(self._rooms, change)

    async def tail(self, instance_id: str) -> tuple[str, ...]:
        """The last lines that it printed."""
        return await asyncio.to_thread(last_lines, self._rooms.compute.output(instance_id), _EVIDENCE_LINES)

    async def _stop(self, instance: Instance) -> None:
        rooms = self._rooms
        try:
            watch = self._watching.pop(instance.id, None)
            if watch:
                watch.cancel()
            exit_ = Exit(at=rooms.clock.now(), expected=True)
            if instance.handle:
                exit_ = await rooms.compute.stop(instance, rooms.settings.stop_grace_s)
            await self.remove(instance, exit_, instance.reason)
        except ComputeUnavailable as error:
            logger.info("instance %s cannot be stopped now: %s", instance.id, error)
            await rooms.clock.sleep(1.0)
        except Exception:
            logger.exception("instance %s could not be stopped", instance.id)
            await rooms.clock.sleep(1.0)
        finally:
            self._stopping.pop(instance.id, None)
            self._wake()

    def _watch(self, instance: Instance) -> None:
        version = self._rooms.store.versions.get(instance.version_id)
        if version is None or version.plan is None:
            return
        watcher = Watcher(
            instance=instance,
            config=version.config.health_check,
            service_port=version.plan.port,
            compute=self._rooms.compute,
            clock=self._rooms.clock,
            settings=self._rooms.settings,
        )
        self._watching[instance.id] = asyncio.create_task(self._attend(watcher), name=f"watch {instance.id}")

    async def _attend(self, watcher: Watcher) -> None:
        instance_id = watcher.instance.id
        try:
            async with contextlib.aclosing(watcher.outcomes()) as outcomes:
                async for outcome in outcomes:
                    instance = self._rooms.store.instances.get(instance_id)
                    if instance and instance_id not in self._stopping:
                        await self._heed(instance, outcome)
                    self._wake()
        except Exception:
            logger.exception("instance %s: watching failed", instance_id)
            await self.set_state(instance_id, InstanceState.UNHEALTHY, "it could not be watched")
        finally:
            if self._watching.get(instance_id) is asyncio.current_task():
                del self._watching[instance_id]
            self._wake()


async def retire(rooms: Rooms, instance: Instance, exit_: Exit, reason: str) -> None:
    """An instance has ended: keep its last lines, remove what is left of it, write down how it ended."""
    await rooms.telemetry.unfollow(instance.id)
    # First: whoever reads that it has ended may remove its build, which nothing may use by then.
    await rooms.compute.remove(instance)
    ended = replace(instance, state=InstanceState.STOPPED, exit=exit_, ended_at=exit_.at, reason=reason)
    await store_fact(rooms, lambda tx: tx.put(ended))


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The end of a text file that may be long, still written to, absent, or no text at all. Blocking."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - count * 2048))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-count:])
