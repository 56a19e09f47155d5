"""All reconcilers together: start them on what the store and the machine hold, wake them, end them."""

import asyncio
import logging
import shutil

from engine.lifecycle.instances import retire
from engine.lifecycle.reconciler import Reconciler
from engine.lifecycle.rooms import Rooms
from engine.model.home import Home
from engine.model.instance import Instance, InstanceState
from engine.model.service import ServiceStatus
from engine.model.watch import Progress
from engine.store.state import Changed

logger = logging.getLogger(__name__)


class Lifecycle:
    """One Reconciler for every service that is not deleted."""

    def __init__(self, rooms: Rooms, home: Home) -> None:
        self._rooms = rooms
        self._home = home
        self._reconcilers: dict[str, Reconciler] = {}
        self._closing = False

    async def start(self) -> None:
        """Adopt what runs, sweep what nobody knows, tell the edge, then let every service converge."""
        rooms = self._rooms
        known = [i for i in rooms.store.instances.values() if i.handle is not None]
        for lost in [i for i in rooms.store.instances.values() if i.handle is None]:
            # The engine died between writing the record and starting it.
            await rooms.store.write(lambda tx, lost=lost: tx.remove(Instance, lost.id))  # type: ignore[misc]
        artifacts = [version.artifact for version in rooms.store.versions.values() if version.artifact]
        await rooms.compute.sweep(known, artifacts)
        await asyncio.to_thread(shutil.rmtree, self._home.artifacts / "staging", ignore_errors=True)
        for instance in known:
            rooms.telemetry.follow(instance, rooms.compute.output(instance.id))
            if not rooms.compute.is_running(instance):
                await self._bury(instance)
        for record in rooms.store.services.values():
            if record.status is not ServiceStatus.DELETED:
                alive = [
                    instance
                    for instance in rooms.store.instances_of(record.id)
                    if instance.state is InstanceState.READY and rooms.compute.is_running(instance)
                ]
                rooms.routing.prepare(record, alive)
                rooms.telemetry.set_provisioned(record.id, len(alive))
        await rooms.routing.send()
        rooms.store.listen(self._on_change)
        for record in list(rooms.store.services.values()):
            if record.status is not ServiceStatus.DELETED:
                self._add(record.id)

    def waiting(self, service_id: str) -> str:
        """What a service's reconciler waits for; "" for nothing."""
        reconciler = self._reconcilers.get(service_id)
        return reconciler.waiting if reconciler else ""

    def progress(self, service_id: str) -> Progress | None:
        """How far a long step of the service's build is."""
        reconciler = self._reconcilers.get(service_id)
        return reconciler.progress if reconciler else None

    def wake_draining(self) -> None:
        """The edge said anew what is in flight."""
        for reconciler in self._reconcilers.values():
            if reconciler.is_draining:
                reconciler.wake()

    async def close(self) -> None:
        """End all tasks; instances go on running."""
        self._closing = True
        await asyncio.gather(*(reconciler.close() for reconciler in self._reconcilers.values()))

    async def stop_instances(self) -> None:
        """End every instance; call after `close`. The store keeps what is desired, so a next start brings them back."""
        rooms = self._rooms

        async def stop(instance: Instance) -> None:
            await rooms.compute.stop(instance, rooms.settings.stop_grace_s)
            await rooms.telemetry.unfollow(instance.id)
            await rooms.store.write(lambda tx: tx.remove(Instance, instance.id))
            await rooms.compute.remove(instance)

        results = await asyncio.gather(*(stop(i) for i in list(rooms.store.instances.values())), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                logger.error("an instance could not be stopped: %s", result)

    async def _bury(self, instance: Instance) -> None:
        """It ended while no engine was there: a reboot, perhaps. That says nothing about its version, so nobody is
        blamed for it; what is missing is started again, and then watched.
        """
        rooms = self._rooms
        exit_ = await rooms.compute.wait(instance)
        rooms.journal.event(
            instance.service_id, f"Instance {instance.id[:8]} {exit_.describe()} while Homerun was not running."
        )
        await retire(rooms, instance, exit_, exit_.describe())

    def _on_change(self, changed: Changed) -> None:
        if self._closing:
            return
        for service_id in changed.removed_services:
            self._reconcilers.pop(service_id, None)
        for service_id in changed.services:
            record = self._rooms.store.services.get(service_id)
            reconciler = self._reconcilers.get(service_id)
            if reconciler:
                reconciler.wake()
                if reconciler.is_done:
                    del self._reconcilers[service_id]
            elif record and record.status is not ServiceStatus.DELETED:
                self._add(service_id)

    def _add(self, service_id: str) -> None:
        reconciler = Reconciler(service_id, self._rooms)
        self._reconcilers[service_id] = reconciler
        reconciler.start()
