"""One reconciler per service: looks at the world, asks the planner, does the next small step, looks again.

Level-triggered: nothing but the store and the running instances says where an operation stands, so a start after
`kill -9` is the same loop as any other turn.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TypeVar, assert_never

from msgspec.structs import replace

from engine.compute.base import ComputeUnavailable
from engine.lifecycle import events, transitions
from engine.lifecycle.failures import compute_away, died_at_start, internal, with_output
from engine.lifecycle.instances import Instances
from engine.lifecycle.pacing import Pacing, back_off_s
from engine.lifecycle.planner import (
    Action,
    Begin,
    Build,
    CleanUp,
    Drain,
    Finish,
    GiveUp,
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
from engine.lifecycle.rooms import Rooms
from engine.lifecycle.storing import store_fact
from engine.lifecycle.watcher import Died, Healthy, NeverHealthy, Outcome, Sick
from engine.model.errors import DeployError, Failure, HomerunError
from engine.model.instance import Address, Exit, Instance, InstanceState
from engine.model.operation import Operation, OperationStatus, OperationStep, OperationType
from engine.model.record import ServiceRecord
from engine.model.resource import AutoScalingRecord
from engine.model.service import ServiceStatus
from engine.model.version import Version
from engine.model.watch import Progress
from engine.store.state import Transaction

logger = logging.getLogger(__name__)

T = TypeVar("T")

_STEADY_S = 60.0
"""An instance that lived this long did not fail to start; its death does not count towards the back-off."""

COMPUTE_WAIT_S = 60.0
"""How long a deployment waits for a compute that has gone away."""
_AWAY_LOOK_S = 2.0
_AWAY_PAUSE_S = 0.2
_PROGRESS_EVERY_S = 0.1

_CLEAN_UPS = 3
"""Attempts to remove what a deleted service has on disk; then the deletion has failed, with the reason."""


class Reconciler:
    """Owns every task that one service needs; `close` ends them and leaves the instances running."""

    def __init__(self, service_id: str, rooms: Rooms) -> None:
        self.service_id = service_id
        self.waiting = ""
        """What it waits for, for people."""
        self.progress: Progress | None = None
        """How far a long step of the build is."""
        self._rooms = rooms
        self._news = asyncio.Event()
        self._instances = Instances(service_id, rooms, heed=self._heed, wake=self.wake)
        self._pacing = Pacing()
        self._loop_task: asyncio.Task[None] | None = None
        self._build_task: asyncio.Task[None] | None = None
        self._cleaned = False
        self._failed_clean_ups = 0
        self._away_since: float | None = None
        """When the compute was first found not to answer."""
        self._away = ""
        """Why a build waits for the compute."""
        self._told_progress_at = 0.0

    # Owning.

    def start(self) -> None:
        self._instances.adopt()
        self._loop_task = asyncio.create_task(self._loop(), name=f"reconcile {self.service_id}")

    def wake(self) -> None:
        """Something may have changed."""
        self._news.set()

    @property
    def is_done(self) -> bool:
        """The service is deleted and nothing is left to do."""
        return self._loop_task is not None and self._loop_task.done()

    @property
    def is_draining(self) -> bool:
        return self._instances.is_draining

    async def close(self) -> None:
        tasks = [task for task in (self._loop_task, self._build_task) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._instances.close()

    # The loop.

    async def _loop(self) -> None:
        trouble = 0
        while True:
            self._news.clear()
            try:
                record = self._record
                planned = plan(self.observe(record), self._rooms.clock.now())
                self._say_waiting(self._away or planned.waiting)
                for action in planned.actions:
                    await self._perform(action)
                trouble, self._away_since = 0, None
            except ComputeUnavailable as error:
                await self._sit_out(error)
                continue
            except (HomerunError, OSError) as error:
                # The disk may be full, the edge away: the world is as it was, so try again.
                trouble += 1
                logger.warning("service %s: %s", self.service_id, error)
                await self._rooms.clock.sleep(back_off_s(trouble))
                continue
            except Exception as error:
                trouble += 1
                logger.exception("service %s: reconciling failed", self.service_id)
                await self._fail_operation(internal(error))
                await self._rooms.clock.sleep(back_off_s(trouble))
                continue
            if planned.actions:
                continue
            if record.status is ServiceStatus.DELETED:
                return
            await self._wait(planned)

    async def _sit_out(self, error: ComputeUnavailable) -> None:
        """The compute does not answer: a deployment waits for a while, what serves for as long as it takes."""
        now = self._rooms.clock.now()
        self._away_since = self._away_since or now
        self._say_waiting(str(error))
        if now - self._away_since >= COMPUTE_WAIT_S:
            operation = self._rooms.store.open_operation(self.service_id)
            if operation and operation.version_id and self._is_deploying(operation.version_id):
                await self._fail_operation(compute_away(error))
        await self._until_available(_AWAY_LOOK_S)

    async def _until_available(self, seconds: float) -> None:
        """Until the compute answers, or that long; never less than a moment."""
        back = asyncio.ensure_future(self._rooms.compute.available())
        sleeping = asyncio.ensure_future(self._rooms.clock.sleep(seconds))
        try:
            await asyncio.wait({back, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            await self._rooms.clock.sleep(_AWAY_PAUSE_S)
        finally:
            back.cancel()
            sleeping.cancel()
            await asyncio.gather(back, sleeping, return_exceptions=True)

    async def _wait(self, planned: Plan) -> None:
        if planned.look_again_at is None:
            await self._news.wait()
            return
        delay_s = max(0.0, planned.look_again_at - self._rooms.clock.now())
        waking = asyncio.ensure_future(self._news.wait())
        sleeping = asyncio.ensure_future(self._rooms.clock.sleep(delay_s))
        try:
            await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            sleeping.cancel()
            await asyncio.gather(waking, sleeping, return_exceptions=True)

    def observe(self, record: ServiceRecord) -> World:
        """The planner's view of this service now."""
        store = self._rooms.store
        operation = store.open_operation(self.service_id)
        target = store.versions.get(record.target_version_id or "")
        return World(
            mode=record.mode,
            target=record.target_version_id,
            target_state=target.state if target else None,
            serving=record.serving_version_id,
            want=self._min_size(target),
            operation=OperationFacts(type=operation.type, status=operation.status, failed=operation.failure is not None)
            if operation
            else None,
            instances=self._instances.facts(),
            routed=self._rooms.routing.routed(self.service_id),
            building=self._build_task is not None,
            may_start_at=self._pacing.may_start_at,
            failed_starts=self._pacing.failed_starts,
            drain_timeout_s=self._rooms.settings.drain_timeout_s,
            cleaned=self._cleaned,
        )

    def _min_size(self, target: Version | None) -> int:
        """Instances that are there whatever happens; the autoscaler, once there is one, adds to them."""
        arn = target.config.auto_scaling_arn if target else ""
        scaling = self._rooms.store.resource(AutoScalingRecord, arn.rpartition("/")[2])
        return scaling.min_size if scaling else 1

    def _say_waiting(self, waiting: str) -> None:
        if waiting != self.waiting:
            self.waiting = waiting
            self._rooms.journal.waiting_changed(self.service_id)

    def _say_progress(self, progress: Progress | None) -> None:
        now = self._rooms.clock.monotonic()
        if progress is None or now - self._told_progress_at >= _PROGRESS_EVERY_S:
            self._told_progress_at = now
            self.progress = progress
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
                await self._write(transitions.promote, version_id)
                self._event(events.ROUTED)
            case Drain(instance_id=instance_id):
                await self._instances.drain(instance_id)
            case Stop(instance_id=instance_id):
                self._instances.stop(instance_id)
            case RollBack():
                await self._roll_back()
            case GiveUp():
                await self._write(transitions.give_up)
            case CleanUp():
                await self._clean_up()
            case Finish(status=status):
                await self._finish(status)
            case _:
                assert_never(action)

    # The steps.

    async def _begin(self) -> None:
        operation = await self._write(transitions.begin)
        if operation:
            self._pacing.reset()
            self._rooms.journal.operation_begun(self._record, operation)

    async def _build(self, version_id: str) -> None:
        """A task of its own: takes as long as it takes, the service goes on being looked after meanwhile."""
        rooms = self._rooms
        built: Version | None = None
        failure: Failure | None = None
        operation = rooms.store.open_operation(self.service_id)
        try:
            if operation is None:
                failure = internal(RuntimeError("a version was to be built without an operation"))
            else:
                built = await self._built(version_id, operation)
        except DeployError as error:
            failure = error.failure
        except Exception as error:
            logger.exception("service %s: the build of %s failed", self.service_id, version_id)
            failure = internal(error)
        try:
            await self._store_fact(transitions.end_build, version_id, built, failure)
        finally:
            self._build_task = None
            self.wake()

    async def _built(self, version_id: str, operation: Operation) -> Version:
        """The build, begun anew when the compute went away in the middle of it. Raises DeployError."""
        rooms = self._rooms
        give_up_at = rooms.clock.now() + COMPUTE_WAIT_S
        try:
            while True:
                try:
                    version = rooms.store.versions[version_id]
                    return await rooms.deployer.build(self._record, version, operation, self._say_progress)
                except ComputeUnavailable as error:
                    seen = bool(rooms.compute.state.version)
                    if not seen or rooms.clock.now() >= give_up_at:
                        raise DeployError(compute_away(error)) from error
                    rooms.journal.deployment(operation, f"{events.PREFIX}{error} The build begins anew then.")
                    self._away = str(error)
                    self.wake()
                    await self._until_available(give_up_at - rooms.clock.now())
                    self._away = ""
        finally:
            self._away = ""
            self._say_progress(None)

    async def _start(self, version_id: str, count: int) -> None:
        await self._write(transitions.set_step, OperationStep.START)
        record, version = self._record, self._rooms.store.versions[version_id]
        starts = (self._instances.start(record.name, version) for _ in range(count))
        ends = await asyncio.gather(*starts, return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        failures = [end for end in ends if isinstance(end, Failure)]
        if failures:
            await self._start_failed(version_id, failures[0])
        else:
            await self._write(transitions.set_step, OperationStep.HEALTH_CHECK)

    async def _route(self, instance_ids: frozenset[str]) -> None:
        rooms = self._rooms
        if instance_ids:
            await self._write(transitions.set_step, OperationStep.ROUTE)
        instances = [i for i in rooms.store.instances_of(self.service_id) if i.id in instance_ids]
        await rooms.routing.set(self._record, instances)
        rooms.telemetry.set_provisioned(self.service_id, len(instances))

    async def _roll_back(self) -> None:
        self._pacing.reset()
        operation = await self._write(transitions.roll_back)
        if operation:
            self._rooms.journal.rolling_back(self._record, operation)

    async def _clean_up(self) -> None:
        await self._write(transitions.set_step, OperationStep.CLEAN_UP)
        try:
            await self._rooms.deployer.remove_everything_of(self._record)
        except DeployError as error:
            self._failed_clean_ups += 1
            if self._failed_clean_ups < _CLEAN_UPS:
                raise
            self._failed_clean_ups = 0
            await self._fail_operation(error.failure)
        else:
            self._cleaned = True

    async def _finish(self, status: OperationStatus) -> None:
        rooms = self._rooms
        # Whoever sees the end sees nothing left of what failed or was deleted.
        await rooms.deployer.discard_old_versions(self._record)
        operation = await self._write(transitions.finish, status)
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

    async def _heed(self, instance: Instance, outcome: Outcome) -> None:
        match outcome:
            case Healthy(address=address):
                if instance.state is InstanceState.STARTING and await self._store_ready(instance, address):
                    self._event(events.HEALTHY)
            case NeverHealthy(failure=failure):
                version = self._rooms.store.versions[instance.version_id]
                port = version.plan.port if version.plan else 8080
                self._event(events.health_check_failed(version.config.health_check, port))
                tail = await self._instances.tail(instance.id)
                # The failure first: an unhealthy instance alone would only be replaced.
                await self._start_failed(instance.version_id, with_output(failure, tail))
                await self._instances.set_state(instance.id, InstanceState.UNHEALTHY, failure.message)
            case Sick(reason=reason):
                self._event(f"Instance {instance.id[:8]} {reason}. It is being replaced.")
                await self._instances.set_state(instance.id, InstanceState.UNHEALTHY, reason)
            case Died(exit=exit_):
                await self._died(instance, exit_)
            case _:
                assert_never(outcome)

    async def _store_ready(self, instance: Instance, address: Address) -> bool:
        """Whether it was still wanted by then."""
        ready_at = self._rooms.clock.now()

        def become_ready(tx: Transaction) -> bool:
            with contextlib.suppress(KeyError):  # it has ended
                now = tx.instance(instance.id)
                if now.state is InstanceState.STARTING:
                    tx.put(replace(now, state=InstanceState.READY, address=address, ready_at=ready_at, reason=""))
                    return True
            return False

        return await store_fact(self._rooms, become_ready)

    async def _died(self, instance: Instance, exit_: Exit) -> None:
        lived_s = max(0.0, exit_.at - instance.created_at)
        self._event(events.application_stopped(exit_))
        if instance.ready_at is not None and lived_s >= _STEADY_S:
            self._pacing.reset()
        else:
            self._pacing.failed(self._rooms.clock.now())
        if self._is_deploying(instance.version_id):
            # The failure first: seeing the instance gone without it would start another one.
            tail = await self._instances.tail(instance.id)
            await self._fail_operation(died_at_start(exit_, tail, lived_s))
        else:
            self._event(f"Instance {instance.id[:8]} {exit_.describe()} after {lived_s:.0f} s. It is being replaced.")
        await self._instances.remove(instance, exit_, exit_.describe())

    async def _start_failed(self, version_id: str, failure: Failure) -> None:
        self._pacing.failed(self._rooms.clock.now())
        self._event(failure.message)
        if self._is_deploying(version_id):
            await self._fail_operation(failure)

    def _is_deploying(self, version_id: str) -> bool:
        """The open operation is the one that brings this version up, and has not done so yet."""
        operation = self._rooms.store.open_operation(self.service_id)
        if operation is None or operation.status is not OperationStatus.IN_PROGRESS:
            return False
        # What a resume brings up has served before.
        promoted = version_id == self._record.serving_version_id and operation.type is not OperationType.RESUME_SERVICE
        return operation.version_id == version_id and not promoted

    async def _fail_operation(self, failure: Failure) -> None:
        try:
            await self._store_fact(transitions.fail, failure)
        except HomerunError as error:
            logger.warning("service %s: its failure could not be stored: %s", self.service_id, error)

    # Short ways.

    async def _write(self, transition: Callable[..., T], *arguments: object) -> T:
        """Apply one of `transitions` to this service, now."""
        now = self._rooms.clock.now()
        return await self._rooms.store.write(lambda tx: transition(tx, self.service_id, *arguments, now=now))

    async def _store_fact(self, transition: Callable[..., T], *arguments: object) -> T:
        """The same for what has happened already: a full disk is waited out."""
        now = self._rooms.clock.now()
        return await store_fact(self._rooms, lambda tx: transition(tx, self.service_id, *arguments, now=now))

    def _event(self, text: str) -> None:
        self._rooms.journal.event(self.service_id, text)

    @property
    def _record(self) -> ServiceRecord:
        return self._rooms.store.services[self.service_id]
