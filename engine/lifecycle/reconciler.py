"""One reconciler per service: looks at the world, asks the planner, does the next small step, looks again.

Level-triggered: nothing but the store and the running instances says where an operation stands, so a start after
`kill -9` is the same loop as any other turn.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from msgspec.structs import replace

from engine.compute.base import Compute, InstanceSpec
from engine.lifecycle import events
from engine.lifecycle.deployer import Deployer
from engine.lifecycle.failures import died_at_start, internal
from engine.lifecycle.journal import Journal
from engine.lifecycle.planner import (
    Action,
    Begin,
    Build,
    CleanUp,
    Drain,
    Finish,
    GiveUp,
    InstanceFacts,
    OperationFacts,
    Plan,
    Promote,
    RollBack,
    Route,
    Start,
    Stop,
    World,
    plan,
)
from engine.lifecycle.routing import Routing
from engine.lifecycle.watcher import Died, Healthy, NeverHealthy, Outcome, Sick, Watcher
from engine.model.clock import Clock
from engine.model.errors import DeployError, Failure, HomerunError
from engine.model.ids import new_id
from engine.model.instance import Exit, Instance, InstanceState
from engine.model.operation import Operation, OperationStatus, OperationStep, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.scaling import AutoScalingConfiguration
from engine.model.service import ServiceStatus
from engine.model.settings import Settings
from engine.model.version import Version, VersionState
from engine.store.state import StateStore, Transaction
from engine.telemetry.telemetry import Telemetry

logger = logging.getLogger(__name__)

_STEADY_S = 60.0
"""An instance that lived this long did not fail to start; its death does not count towards the back-off."""
_EVIDENCE_LINES = 20


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a reconciler works with; one set for all of them."""

    store: StateStore
    compute: Compute
    telemetry: Telemetry
    routing: Routing
    deployer: Deployer
    journal: Journal
    clock: Clock
    settings: Settings
    scaling: AutoScalingConfiguration


def back_off_s(failed_starts: int) -> float:
    """Seconds before the next start after so many failed ones in a row: 1, 2, 4 … at most a minute."""
    return min(60.0, 2.0 ** max(0, failed_starts - 1)) if failed_starts else 0.0


class Reconciler:
    """Owns every task that one service needs; `close` ends them and leaves the instances running."""

    def __init__(self, service_id: str, rooms: Rooms) -> None:
        self.service_id = service_id
        self.waiting = ""
        """What it waits for, for people."""
        self._rooms = rooms
        self._wake = asyncio.Event()
        self._loop_task: asyncio.Task[None] | None = None
        self._build_task: asyncio.Task[None] | None = None
        self._stop_tasks: dict[str, asyncio.Task[None]] = {}
        self._watch_tasks: dict[str, asyncio.Task[None]] = {}
        self._draining_since: dict[str, float] = {}
        self._failed_starts = 0
        self._may_start_at = 0.0
        self._cleaned = False

    # Owning.

    def start(self) -> None:
        for instance in self._rooms.store.instances_of(self.service_id):
            if instance.handle:
                self._watch(instance)
        self._loop_task = asyncio.create_task(self._loop(), name=f"reconcile {self.service_id}")

    def wake(self) -> None:
        """Something may have changed."""
        self._wake.set()

    @property
    def is_done(self) -> bool:
        """The service is deleted and nothing is left to do."""
        return self._loop_task is not None and self._loop_task.done()

    @property
    def is_draining(self) -> bool:
        """Waits for requests in flight."""
        return bool(self._draining_since)

    async def close(self) -> None:
        tasks = [self._loop_task, self._build_task, *self._stop_tasks.values(), *self._watch_tasks.values()]
        for task in tasks:
            if task:
                task.cancel()
        for task in tasks:
            if task:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    # The loop.

    async def _loop(self) -> None:
        trouble = 0
        while True:
            self._wake.clear()
            try:
                record = self._rooms.store.services[self.service_id]
                world = self.observe(record)
                plan_ = plan(world, self._rooms.clock.now())
                self._set_waiting(plan_)
                for action in plan_.actions:
                    await self._perform(action)
                if not plan_.actions and record.status is ServiceStatus.DELETED:
                    return
                trouble = 0
            except (HomerunError, OSError) as error:
                # The disk may be full, the edge away: the world is as it was, so try again.
                trouble += 1
                logger.warning("service %s: %s", self.service_id, error)
                await self._rooms.clock.sleep(back_off_s(trouble))
                continue
            except Exception as error:
                trouble += 1
                logger.exception("service %s: reconciling failed", self.service_id)
                await self._fail_open_operation(internal(error))
                await self._rooms.clock.sleep(back_off_s(trouble))
                continue
            if not plan_.actions:
                await self._wait(plan_)

    async def _wait(self, plan_: Plan) -> None:
        if plan_.look_again_at is None:
            await self._wake.wait()
            return
        delay_s = max(0.0, plan_.look_again_at - self._rooms.clock.now())
        waking = asyncio.ensure_future(self._wake.wait())
        sleeping = asyncio.ensure_future(self._rooms.clock.sleep(delay_s))
        try:
            await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            sleeping.cancel()
            await asyncio.gather(waking, sleeping, return_exceptions=True)

    def observe(self, record: ServiceRecord) -> World:
        """The planner's view of this service now."""
        store, routing = self._rooms.store, self._rooms.routing
        operation = store.open_operation(self.service_id)
        target = store.versions.get(record.target_version_id or "")
        return World(
            mode=record.mode,
            target=record.target_version_id,
            target_state=target.state if target else None,
            serving=record.serving_version_id,
            want=self._rooms.scaling.min_size,
            operation=OperationFacts(type=operation.type, status=operation.status, failed=operation.failure is not None)
            if operation
            else None,
            instances=tuple(
                InstanceFacts(
                    id=instance.id,
                    version_id=instance.version_id,
                    state=instance.state,
                    in_flight=routing.in_flight(instance.id),
                    draining_since=self._draining_since.get(instance.id),
                    stopping=instance.id in self._stop_tasks,
                )
                for instance in store.instances_of(self.service_id)
            ),
            routed=routing.routed(self.service_id),
            building=self._build_task is not None,
            may_start_at=self._may_start_at,
            failed_starts=self._failed_starts,
            drain_timeout_s=self._rooms.settings.drain_timeout_s,
            cleaned=self._cleaned,
        )

    def _set_waiting(self, plan_: Plan) -> None:
        if plan_.waiting != self.waiting:
            self.waiting = plan_.waiting
            self._rooms.journal.waiting_changed(self.service_id)

    async def _perform(self, action: Action) -> None:
        match action:
            case Begin():
                await self._begin()
            case Build(version_id=version_id):
                self._build_task = asyncio.create_task(self._build(version_id), name=f"build {version_id}")
            case Start(version_id=version_id, count=count):
                await self._start(version_id, count)
            case Route(instance_ids=instance_ids):
                await self._route(instance_ids)
            case Promote(version_id=version_id):
                await self._promote(version_id)
            case Drain(instance_id=instance_id):
                await self._drain(instance_id)
            case Stop(instance_id=instance_id):
                self._stop(instance_id)
            case RollBack():
                await self._roll_back()
            case GiveUp():
                await self._give_up()
            case CleanUp():
                await self._clean_up()
            case Finish(status=status):
                await self._finish(status)
            case _:
                assert_never(action)

    # The steps.

    async def _begin(self) -> None:
        now = self._rooms.clock.now()

        def begin(tx: Transaction) -> Operation | None:
            operation = tx.open_operation(self.service_id)
            if operation:
                operation = replace(operation, updated_at=now, status=OperationStatus.IN_PROGRESS)
                tx.put(operation)
            return operation

        operation = await self._rooms.store.write(begin)
        if operation:
            self._failed_starts, self._may_start_at = 0, 0.0
            self._rooms.journal.operation_begun(self._record, operation)

    async def _build(self, version_id: str) -> None:
        """A task of its own: takes as long as it takes, the service goes on being looked after meanwhile."""
        rooms = self._rooms
        failure: Failure | None = None
        built: Version | None = None
        operation = rooms.store.open_operation(self.service_id)
        try:
            if operation:
                built = await rooms.deployer.build(self._record, rooms.store.versions[version_id], operation)
        except DeployError as error:
            failure = error.failure
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("service %s: the build of %s failed", self.service_id, version_id)
            failure = internal(error)
        now = rooms.clock.now()

        def end(tx: Transaction) -> None:
            version = built or replace(tx.version(version_id), state=VersionState.FAILED)
            tx.put(version)
            operation = tx.open_operation(self.service_id)
            if operation and failure:
                tx.put(replace(operation, updated_at=now, failure=failure))

        try:
            if built or failure:
                await _persist(rooms, end)
        finally:
            self._build_task = None
            self.wake()

    async def _start(self, version_id: str, count: int) -> None:
        await self._step(OperationStep.START)
        await asyncio.gather(*(self._start_one(version_id) for _ in range(count)))
        await self._step(OperationStep.HEALTH_CHECK)

    async def _start_one(self, version_id: str) -> None:
        rooms, record = self._rooms, self._record
        version = rooms.store.versions[version_id]
        if version.plan is None or version.artifact is None:
            await self._start_failed(version_id, internal(RuntimeError("its build is not there any more")))
            return
        instance = Instance(
            id=new_id(),
            service_id=record.id,
            version_id=version_id,
            compute=rooms.compute.name,
            state=InstanceState.STARTING,
            created_at=rooms.clock.now(),
        )
        # The record comes first: after a crash in between, the sweep knows that this id never got anywhere.
        await rooms.store.write(lambda tx: tx.put(instance))
        try:
            secrets = await rooms.deployer.secrets(version.plan)
            started = await rooms.compute.start(
                InstanceSpec(
                    instance_id=instance.id,
                    service_id=record.id,
                    service_name=record.name,
                    version_id=version_id,
                    artifact=version.artifact,
                    plan=version.plan,
                    env={**version.plan.run_env, **secrets},
                    cpu_units=int(version.config.instance.cpu or 1024),
                    memory_mb=int(version.config.instance.memory or 2048),
                )
            )
        except DeployError as error:
            await self._remove(instance, Exit(at=rooms.clock.now()), error.failure.message)
            await self._start_failed(version_id, error.failure)
            return
        instance = replace(instance, handle=started.handle, address=started.address)
        await rooms.store.write(lambda tx: tx.put(instance))
        rooms.telemetry.follow(instance, rooms.compute.output(instance.id))
        rooms.journal.instance_started(record, version, instance)
        self._watch(instance)

    async def _start_failed(self, version_id: str, failure: Failure) -> None:
        self._failed_starts += 1
        self._may_start_at = self._rooms.clock.now() + back_off_s(self._failed_starts)
        self._rooms.journal.event(self.service_id, failure.message)
        await self._fail_deployment(version_id, failure)

    async def _route(self, instance_ids: frozenset[str]) -> None:
        rooms = self._rooms
        if instance_ids:
            await self._step(OperationStep.ROUTE)
        instances = [i for i in rooms.store.instances_of(self.service_id) if i.id in instance_ids]
        await rooms.routing.set(self._record, instances)
        rooms.telemetry.set_provisioned(self.service_id, len(instances))

    async def _promote(self, version_id: str) -> None:
        now = self._rooms.clock.now()

        def promote(tx: Transaction) -> None:
            tx.put(replace(tx.service(self.service_id), updated_at=now, serving_version_id=version_id))

        await self._rooms.store.write(promote)
        self._rooms.journal.event(self.service_id, events.ROUTED)

    async def _drain(self, instance_id: str) -> None:
        self._draining_since.setdefault(instance_id, self._rooms.clock.now())
        await self._set_state(instance_id, InstanceState.DRAINING, "replaced or no longer wanted")

    def _stop(self, instance_id: str) -> None:
        instance = self._rooms.store.instances.get(instance_id)
        if instance and instance_id not in self._stop_tasks:
            self._stop_tasks[instance_id] = asyncio.create_task(
                self._stop_instance(instance), name=f"stop {instance_id}"
            )

    async def _stop_instance(self, instance: Instance) -> None:
        rooms = self._rooms
        try:
            watch = self._watch_tasks.pop(instance.id, None)
            if watch:
                watch.cancel()
            if instance.handle:
                exit_ = await rooms.compute.stop(instance, rooms.settings.stop_grace_s)
            else:
                exit_ = Exit(at=rooms.clock.now(), expected=True)
            await self._remove(instance, exit_, instance.reason)
        except (HomerunError, OSError) as error:
            logger.warning("instance %s could not be stopped: %s", instance.id, error)
            await rooms.clock.sleep(1.0)
        finally:
            self._stop_tasks.pop(instance.id, None)
            self.wake()

    async def _remove(self, instance: Instance, exit_: Exit, reason: str) -> None:
        """It has ended: keep its last lines, forget its files, write down how it ended."""
        rooms = self._rooms
        await rooms.telemetry.unfollow(instance.id)
        ended = replace(instance, state=InstanceState.STOPPED, exit=exit_, ended_at=exit_.at, reason=reason)
        await rooms.store.write(lambda tx: tx.put(ended))
        self._draining_since.pop(instance.id, None)
        await rooms.compute.remove(instance.id)

    async def _roll_back(self) -> None:
        """Back to the version that serves, with the configuration that it was deployed with."""
        rooms, now = self._rooms, self._rooms.clock.now()

        def roll_back(tx: Transaction) -> None:
            record = tx.service(self.service_id)
            serving = tx.version(record.serving_version_id or "")
            tx.put(replace(record, updated_at=now, target_version_id=serving.id, config=serving.config))
            operation = tx.open_operation(self.service_id)
            if operation:
                tx.put(replace(operation, updated_at=now, status=OperationStatus.ROLLBACK_IN_PROGRESS))
                _give_version_up(tx, operation, record)

        operation = rooms.store.open_operation(self.service_id)
        await rooms.store.write(roll_back)
        self._failed_starts, self._may_start_at = 0, 0.0
        if operation:
            rooms.journal.rolling_back(self._record, operation)

    async def _give_up(self) -> None:
        now = self._rooms.clock.now()

        def give_up(tx: Transaction) -> None:
            record = tx.service(self.service_id)
            operation = tx.open_operation(self.service_id)
            if operation and operation.type is OperationType.RESUME_SERVICE:
                tx.put(replace(record, updated_at=now, mode=DesiredMode.PAUSED))
                return
            tx.put(replace(record, updated_at=now, target_version_id=None))
            if operation:
                _give_version_up(tx, operation, record)

        await self._rooms.store.write(give_up)

    async def _clean_up(self) -> None:
        await self._step(OperationStep.CLEAN_UP)
        await self._rooms.deployer.remove_everything_of(self._record)
        self._cleaned = True

    async def _finish(self, status: OperationStatus) -> None:
        rooms, now = self._rooms, self._rooms.clock.now()

        def finish(tx: Transaction) -> Operation | None:
            operation = tx.open_operation(self.service_id)
            if operation is None:
                return None
            record = tx.service(self.service_id)
            after = _status_after(record)
            tx.put(
                replace(
                    record,
                    updated_at=now,
                    status=after,
                    deleted_at=now if after is ServiceStatus.DELETED else record.deleted_at,
                )
            )
            operation = replace(operation, updated_at=now, status=status, step=OperationStep.DONE, ended_at=now)
            tx.put(operation)
            return operation

        # Whoever sees the end sees nothing left of what failed or was deleted.
        await rooms.deployer.discard_old_versions(self._record)
        operation = await rooms.store.write(finish)
        if operation is None:
            return
        record = self._record
        rooms.journal.operation_ended(record, operation)
        if record.status is ServiceStatus.DELETED:
            await rooms.routing.forget(record.id)
            return
        # The reason that the edge gives for an empty route follows the status.
        routed = rooms.routing.routed(record.id)
        await rooms.routing.set(record, [i for i in rooms.store.instances_of(record.id) if i.id in routed])

    # What instances do by themselves.

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
        task = asyncio.create_task(self._attend(watcher), name=f"watch {instance.id}")
        self._watch_tasks[instance.id] = task

    async def _attend(self, watcher: Watcher) -> None:
        instance_id = watcher.instance.id
        try:
            async for outcome in watcher.outcomes():
                await self._heed(instance_id, outcome)
                self.wake()
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("instance %s: watching failed", instance_id)
            await self._set_state(instance_id, InstanceState.UNHEALTHY, "it could not be watched")
            self.wake()

    async def _heed(self, instance_id: str, outcome: Outcome) -> None:
        rooms = self._rooms
        instance = rooms.store.instances.get(instance_id)
        if instance is None:
            return
        match outcome:
            case Healthy(address=address):
                self._failed_starts, self._may_start_at = 0, 0.0
                ready = replace(
                    instance,
                    state=InstanceState.READY,
                    address=address,
                    ready_at=instance.ready_at or rooms.clock.now(),
                    reason="",
                )
                if instance.state is InstanceState.STARTING:
                    await rooms.store.write(lambda tx: tx.put(ready))
                    rooms.journal.event(self.service_id, events.HEALTHY)
            case NeverHealthy(failure=failure):
                version = rooms.store.versions[instance.version_id]
                port = version.plan.port if version.plan else 8080
                rooms.journal.event(self.service_id, events.health_check_failed(version.config.health_check, port))
                tail = await self._tail(instance_id)
                # The failure first: an unhealthy instance alone would only be replaced.
                await self._start_failed(instance.version_id, replace(failure, evidence=(*failure.evidence, *tail)))
                await self._set_state(instance_id, InstanceState.UNHEALTHY, failure.message)
            case Sick(reason=reason):
                rooms.journal.event(self.service_id, f"Instance {instance_id[:8]} {reason}. It is being replaced.")
                await self._set_state(instance_id, InstanceState.UNHEALTHY, reason)
            case Died(exit=exit_):
                await self._died(instance, exit_)
            case _:
                assert_never(outcome)

    async def _died(self, instance: Instance, exit_: Exit) -> None:
        rooms = self._rooms
        if instance.id in self._stop_tasks:
            return  # expected; the stop writes it down
        self._watch_tasks.pop(instance.id, None)
        tail = await self._tail(instance.id)
        lived_s = max(0.0, exit_.at - instance.created_at)
        failure = died_at_start(exit_, tail, lived_s)
        code = exit_.code if exit_.code is not None else 128 + (exit_.signal or 0)
        rooms.journal.event(
            self.service_id,
            f"Your application stopped or failed to start. See logs for more information.  Container exit code: {code}",
        )
        deploying = self._is_deploying(instance.version_id)
        if not deploying:
            rooms.journal.event(
                self.service_id,
                f"Instance {instance.id[:8]} {exit_.describe()} after {lived_s:.0f} s. It is being replaced.",
            )
        if instance.ready_at is None or lived_s < _STEADY_S:
            self._failed_starts += 1
            self._may_start_at = rooms.clock.now() + back_off_s(self._failed_starts)
        # The failure first: seeing the instance gone without it would start another one.
        await self._fail_deployment(instance.version_id, failure)
        await self._remove(instance, exit_, exit_.describe())

    def _is_deploying(self, version_id: str) -> bool:
        operation = self._rooms.store.open_operation(self.service_id)
        return (
            operation is not None
            and operation.status is OperationStatus.IN_PROGRESS
            and operation.version_id == version_id
        )

    async def _fail_deployment(self, version_id: str, failure: Failure) -> None:
        """The open operation fails if it is this version that it brings up."""
        if self._is_deploying(version_id):
            await self._fail_open_operation(failure)

    async def _fail_open_operation(self, failure: Failure) -> None:
        now = self._rooms.clock.now()

        def fail(tx: Transaction) -> None:
            operation = tx.open_operation(self.service_id)
            if operation and operation.failure is None:
                tx.put(replace(operation, updated_at=now, failure=failure))

        try:
            await self._rooms.store.write(fail)
        except HomerunError as error:
            logger.warning("service %s: its failure could not be stored: %s", self.service_id, error)

    async def _tail(self, instance_id: str) -> tuple[str, ...]:
        """The last lines that an instance printed."""
        return await asyncio.to_thread(last_lines, self._rooms.compute.output(instance_id), _EVIDENCE_LINES)

    async def _set_state(self, instance_id: str, state: InstanceState, reason: str) -> None:
        def change(tx: Transaction) -> None:
            instance = tx.instance(instance_id)
            if instance.state is not state:
                tx.put(replace(instance, state=state, reason=reason))

        with contextlib.suppress(KeyError):
            await self._rooms.store.write(change)

    async def _step(self, step: OperationStep) -> None:
        now = self._rooms.clock.now()

        def change(tx: Transaction) -> None:
            operation = tx.open_operation(self.service_id)
            if operation and operation.step is not step:
                tx.put(replace(operation, updated_at=now, step=step))

        await self._rooms.store.write(change)

    @property
    def _record(self) -> ServiceRecord:
        return self._rooms.store.services[self.service_id]


def _give_version_up(tx: Transaction, operation: Operation, record: ServiceRecord) -> None:
    """A version whose deployment failed is nothing to go back to, though its build may have succeeded."""
    if operation.version_id and operation.version_id != record.serving_version_id:
        tx.put(replace(tx.version(operation.version_id), state=VersionState.FAILED))


def _status_after(record: ServiceRecord) -> ServiceStatus:
    """The status that a service has once its operation is over."""
    if record.mode is DesiredMode.DELETED:
        return ServiceStatus.DELETED
    if record.mode is DesiredMode.PAUSED:
        return ServiceStatus.PAUSED
    return ServiceStatus.RUNNING if record.serving_version_id else ServiceStatus.CREATE_FAILED


async def _persist(rooms: Rooms, decide: Callable[[Transaction], None]) -> None:
    """Write a result that must not be lost: a full disk is waited out."""
    attempts = 0
    while True:
        try:
            await rooms.store.write(decide)
        except HomerunError as error:
            attempts += 1
            logger.warning("%s", error)
            await rooms.clock.sleep(back_off_s(attempts))
        else:
            return


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
