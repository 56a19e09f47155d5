"""The reconciler's mind: what to do next so that the world becomes what is desired. Pure; time is a value."""

from collections.abc import Iterable

from engine.model.base import Value
from engine.model.instance import InstanceState
from engine.model.operation import OperationStatus, OperationType
from engine.model.record import DesiredMode
from engine.model.version import VersionState


class InstanceFacts(Value, frozen=True, kw_only=True):
    """What the planner knows of one instance that has not ended."""

    id: str
    version_id: str
    state: InstanceState
    in_flight: int = 0
    draining_since: float | None = None
    stopping: bool = False
    """A stop is under way already."""


class OperationFacts(Value, frozen=True, kw_only=True):
    type: OperationType
    status: OperationStatus
    failed: bool = False
    """A step has failed and said why."""


class World(Value, frozen=True, kw_only=True):
    """One service: what is wanted and what there is."""

    mode: DesiredMode
    target: str | None
    """Version that should run."""
    target_state: VersionState | None
    serving: str | None
    """Version to fall back to."""
    want: int
    """Instances of the target."""
    operation: OperationFacts | None
    """The open one."""
    instances: tuple[InstanceFacts, ...]
    routed: frozenset[str]
    """Instances that the edge has acknowledged as backends."""
    building: bool = False
    may_start_at: float = 0.0
    """After instances died: not before this time."""
    failed_starts: int = 0
    """In a row, since one became healthy."""
    drain_timeout_s: float = 120.0
    cleaned: bool = False
    """Of a service to be deleted: nothing of it is left on disk."""


class Begin(Value, frozen=True, kw_only=True):
    """Take the pending operation up."""


class Build(Value, frozen=True, kw_only=True):
    """Fetch the source, plan and build the version."""

    version_id: str


class Start(Value, frozen=True, kw_only=True):
    version_id: str
    count: int


class Route(Value, frozen=True, kw_only=True):
    """Make exactly these instances the service's backends."""

    instance_ids: frozenset[str]


class Promote(Value, frozen=True, kw_only=True):
    """The target has the traffic: it is what a rollback returns to from now on."""

    version_id: str


class Drain(Value, frozen=True, kw_only=True):
    """No new requests go there any more; let those in flight end."""

    instance_id: str


class Stop(Value, frozen=True, kw_only=True):
    instance_id: str


class RollBack(Value, frozen=True, kw_only=True):
    """Want the serving version and its configuration again."""


class GiveUp(Value, frozen=True, kw_only=True):
    """There is nothing to roll back to: want nothing (create) or go back to being paused (resume)."""


class CleanUp(Value, frozen=True, kw_only=True):
    """Remove everything a deleted service has on disk."""


class Finish(Value, frozen=True, kw_only=True):
    status: OperationStatus


Action = Begin | Build | Start | Route | Promote | Drain | Stop | RollBack | GiveUp | CleanUp | Finish


class Plan(Value, frozen=True, kw_only=True):
    """Actions in their order, what is being waited for, and when to look again without being woken."""

    actions: tuple[Action, ...] = ()
    waiting: str = ""
    look_again_at: float | None = None


ROLLBACK_ATTEMPTS = 5
"""Failed starts of the old version after which a rollback is declared failed (and still goes on being tried)."""


def plan(world: World, now: float) -> Plan:
    """The next step towards what is desired; an empty plan for a world that is as it should be.

    Doing the actions and planning again converges; doing them twice changes nothing more.
    """
    operation = world.operation
    if operation and operation.status is OperationStatus.PENDING:
        return Plan(actions=(Begin(),))
    # A failed step ends the attempt: back to what served, or to nothing.
    attempting = world.mode is DesiredMode.SERVING and world.target is not None and not _promoted(world)
    if operation and operation.failed and operation.status is OperationStatus.IN_PROGRESS and attempting:
        if world.serving and world.serving != world.target:
            return Plan(actions=(RollBack(),))
        return Plan(actions=(GiveUp(),))
    if world.mode is DesiredMode.SERVING and world.target:
        return _serve(world, world.target, now)
    return _wind_down(world, now)


def _serve(world: World, target: str, now: float) -> Plan:
    actions: list[Action] = []
    waiting: list[str] = []
    wake: list[float] = []
    ours = [i for i in world.instances if i.version_id == target]
    others = [i for i in world.instances if i.version_id != target]
    ready = [i for i in _live(ours) if i.state is InstanceState.READY]
    built = world.target_state is VersionState.BUILT
    complete = built and len(ready) >= world.want

    # Traffic moves to the target when all of it is healthy, or when nothing else could take it.
    fallback = [i for i in _live(others) if i.state is InstanceState.READY]
    routes = frozenset(i.id for i in (ready[: world.want] if complete or not fallback else fallback))
    settled = complete and routes == world.routed

    # The target must exist first.
    if not built:
        if world.target_state is VersionState.NEW and not world.building:
            actions.append(Build(version_id=target))
        waiting.append("the build")

    # As many as wanted, of the target and, until it has the traffic, of what serves;
    # after deaths not faster than the back-off allows.
    hold = [(target, ours)] if built else []
    if world.serving and world.serving != target and not settled:
        hold.append((world.serving, [i for i in others if i.version_id == world.serving]))
    for version_id, instances in hold:
        missing = world.want - len(_live(instances))
        if missing <= 0:
            continue
        if now >= world.may_start_at:
            actions.append(Start(version_id=version_id, count=missing))
        else:
            wake.append(world.may_start_at)
            pause_s = world.may_start_at - now
            waiting.append(f"{pause_s:.0f} s before the next start, after {world.failed_starts} that failed")

    if routes != world.routed:
        actions.append(Route(instance_ids=routes))
    if built and not complete and _live(ours):
        waiting.append(f"health checks: {len(ready)} of {world.want} healthy")
    if settled and world.serving != target:
        actions.append(Promote(version_id=target))

    # What gets no traffic any more ends: the sick, too many of ours, and other versions: those that never
    # served at once (unless nothing else could take the traffic), the one that does when the target has it.
    sick = [i for i in world.instances if i.state in (InstanceState.UNHEALTHY, InstanceState.DRAINING)]
    surplus = [i for i in ready if i.id not in routes] if complete else []
    old = [i for i in _live(others) if settled or (i.version_id != world.serving and i.id not in routes)]
    ending, ended_waiting, ended_wake = _end([*sick, *surplus, *old], world, now)
    actions += ending
    waiting += ended_waiting
    wake += ended_wake

    operation = world.operation
    if operation and operation.status is OperationStatus.IN_PROGRESS and (settled or _promoted(world)):
        actions.append(Finish(status=OperationStatus.SUCCEEDED))
    elif operation and operation.status is OperationStatus.ROLLBACK_IN_PROGRESS:
        if settled and not others:
            actions.append(Finish(status=OperationStatus.ROLLBACK_SUCCEEDED))
        elif not settled and world.failed_starts >= ROLLBACK_ATTEMPTS:
            actions.append(Finish(status=OperationStatus.ROLLBACK_FAILED))
    return Plan(actions=tuple(actions), waiting="; ".join(waiting), look_again_at=min(wake, default=None))


def _promoted(world: World) -> bool:
    """The open deployment has done its work: the target had the traffic. What becomes of it now is another matter."""
    operation = world.operation
    resuming = operation is not None and operation.type is OperationType.RESUME_SERVICE
    return operation is not None and not resuming and world.serving is not None and world.serving == world.target


def _live(instances: Iterable[InstanceFacts]) -> list[InstanceFacts]:
    """Those that serve or are about to."""
    return [i for i in instances if i.state in (InstanceState.STARTING, InstanceState.READY) and not i.stopping]


def _wind_down(world: World, now: float) -> Plan:
    """Paused, deleted, or a create that failed: no traffic, no instances; then the operation ends."""
    actions: list[Action] = []
    if world.routed:
        actions.append(Route(instance_ids=frozenset()))
    ended, waiting, wake = _end(world.instances, world, now)
    actions += ended
    if not world.instances and not world.routed:
        operation = world.operation
        if world.mode is DesiredMode.DELETED and operation and not operation.failed and not world.cleaned:
            return Plan(actions=(CleanUp(),))
        if operation and operation.status is OperationStatus.IN_PROGRESS:
            status = OperationStatus.FAILED if operation.failed else OperationStatus.SUCCEEDED
            return Plan(actions=(Finish(status=status),))
        if operation and operation.status is OperationStatus.ROLLBACK_IN_PROGRESS:
            return Plan(actions=(Finish(status=OperationStatus.ROLLBACK_FAILED),))
    return Plan(actions=tuple(actions), waiting="; ".join(waiting), look_again_at=min(wake, default=None))


def _end(instances: Iterable[InstanceFacts], world: World, now: float) -> tuple[list[Action], list[str], list[float]]:
    """End these: those that had traffic drain first, the others stop at once."""
    actions: list[Action] = []
    wake: list[float] = []
    in_flight = 0
    stopping = 0
    for instance in instances:
        if instance.stopping:
            stopping += 1
        elif instance.state is InstanceState.READY:
            actions.append(Drain(instance_id=instance.id))
        elif instance.state is not InstanceState.DRAINING or instance.draining_since is None:
            actions.append(Stop(instance_id=instance.id))
        elif instance.id in world.routed:
            pass  # its route goes first; the edge's word on what is in flight counts only after that
        elif instance.in_flight == 0 or now >= instance.draining_since + world.drain_timeout_s:
            actions.append(Stop(instance_id=instance.id))
        else:
            in_flight += instance.in_flight
            wake.append(instance.draining_since + world.drain_timeout_s)
    waiting = []
    if in_flight:
        waiting.append(f"{in_flight} request{'s' if in_flight > 1 else ''} in flight on the old instances")
    if stopping:
        waiting.append(f"{stopping} instance{'s' if stopping > 1 else ''} to stop")
    return actions, waiting, wake
