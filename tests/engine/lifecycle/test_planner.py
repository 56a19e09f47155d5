"""The planner against a simulated world: it converges, keeps serving while it deploys, and rests when it is done."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

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
    Promote,
    RollBack,
    Route,
    Start,
    Stop,
    World,
    plan,
)
from engine.model.instance import InstanceState
from engine.model.operation import OperationStatus, OperationType
from engine.model.record import DesiredMode
from engine.model.version import VersionState

S = InstanceState


def world(**changes) -> World:
    start = World(
        mode=DesiredMode.SERVING,
        target="v1",
        target_state=VersionState.BUILT,
        serving="v1",
        want=1,
        operation=None,
        instances=(),
        routed=frozenset(),
    )
    return replace(start, **changes)


def ready(name: str, version: str = "v1", **changes) -> InstanceFacts:
    return InstanceFacts(**{"id": name, "version_id": version, "state": S.READY, **changes})


def open_operation(kind=OperationType.START_DEPLOYMENT, status=OperationStatus.IN_PROGRESS, **changes):
    return OperationFacts(type=kind, status=status, **changes)


def actions(w: World, now: float = 100.0) -> tuple[Action, ...]:
    return plan(w, now).actions


class TestServing:
    def test_a_converged_world_wants_nothing(self):
        w = world(instances=(ready("a"),), routed=frozenset({"a"}))

        assert actions(w) == ()

    def test_a_pending_operation_is_taken_up_first(self):
        w = world(operation=open_operation(status=OperationStatus.PENDING), instances=(ready("a"),))

        assert actions(w) == (Begin(),)

    def test_a_new_version_is_built_while_the_old_one_serves(self):
        w = world(
            target="v2",
            target_state=VersionState.NEW,
            operation=open_operation(),
            instances=(ready("a"),),
            routed=frozenset({"a"}),
        )

        assert actions(w) == (Build(version_id="v2"),)
        assert actions(replace(w, building=True)) == ()

    def test_an_old_instance_that_dies_during_a_build_is_replaced(self):
        w = world(target="v2", target_state=VersionState.NEW, building=True, operation=open_operation())

        assert actions(w) == (Start(version_id="v1", count=1),)

    def test_traffic_moves_only_when_all_of_the_target_is_healthy(self):
        w = world(
            target="v2",
            want=2,
            operation=open_operation(),
            instances=(
                ready("a"),
                ready("b"),
                ready("c", "v2"),
                InstanceFacts(id="d", version_id="v2", state=S.STARTING),
            ),
            routed=frozenset({"a", "b"}),
        )
        assert actions(w) == ()
        assert "1 of 2" in plan(w, 100.0).waiting

        w = replace(w, instances=(*w.instances[:3], ready("d", "v2")))
        assert actions(w) == (Route(instance_ids=frozenset({"c", "d"})),)

    def test_old_instances_drain_after_the_traffic_moved_and_the_operation_succeeds(self):
        w = world(
            target="v2",
            operation=open_operation(),
            instances=(ready("a"), ready("b", "v2")),
            routed=frozenset({"b"}),
        )

        assert actions(w) == (
            Promote(version_id="v2"),
            Drain(instance_id="a"),
            Finish(status=OperationStatus.SUCCEEDED),
        )

    def test_a_draining_instance_stops_when_its_requests_have_ended_or_the_time_is_up(self):
        draining = ready("a", "v0", state=S.DRAINING, in_flight=3, draining_since=90.0)
        w = world(instances=(ready("b"), draining), routed=frozenset({"b"}), drain_timeout_s=30.0)

        assert actions(w) == ()
        assert plan(w, 100.0).look_again_at == 120.0
        assert "3 requests in flight" in plan(w, 100.0).waiting
        assert actions(w, now=120.0) == (Stop(instance_id="a"),)
        assert actions(replace(w, instances=(ready("b"), replace(draining, in_flight=0)))) == (Stop(instance_id="a"),)

    def test_a_sick_instance_loses_its_traffic_and_is_replaced(self):
        sick = ready("a", state=S.UNHEALTHY)
        w = world(want=2, instances=(sick, ready("b")), routed=frozenset({"a", "b"}))

        assert actions(w) == (
            Start(version_id="v1", count=1),
            Route(instance_ids=frozenset({"b"})),
            Stop(instance_id="a"),
        )

    def test_after_deaths_the_back_off_is_kept(self):
        w = world(may_start_at=103.0, failed_starts=3)

        assert actions(w) == ()
        assert plan(w, 100.0).look_again_at == 103.0
        assert actions(w, now=103.0) == (Start(version_id="v1", count=1),)


class TestFailing:
    def test_a_failed_deployment_rolls_back_to_what_served(self):
        w = world(target="v2", operation=open_operation(failed=True), instances=(ready("a"),), routed=frozenset({"a"}))

        assert actions(w) == (RollBack(),)

    def test_a_rollback_ends_when_nothing_of_the_failed_version_is_left(self):
        operation = open_operation(status=OperationStatus.ROLLBACK_IN_PROGRESS, failed=True)
        failed = InstanceFacts(id="b", version_id="v2", state=S.UNHEALTHY)
        w = world(operation=operation, instances=(ready("a"), failed), routed=frozenset({"a"}))

        assert actions(w) == (Stop(instance_id="b"),)
        assert actions(replace(w, instances=(ready("a"),))) == (Finish(status=OperationStatus.ROLLBACK_SUCCEEDED),)

    def test_a_failed_create_wants_nothing_any_more(self):
        operation = open_operation(OperationType.CREATE_SERVICE, failed=True)
        w = world(serving=None, operation=operation)
        assert actions(w) == (GiveUp(),)

        w = replace(w, target=None, instances=(ready("a", state=S.STARTING),))
        assert actions(w) == (Stop(instance_id="a"),)
        assert actions(replace(w, instances=())) == (Finish(status=OperationStatus.FAILED),)


class TestAfterThePromotion:
    """The target had the traffic: the deployment is over, whatever comes between that and its end."""

    def test_a_deployment_succeeds_although_its_instance_has_died_by_then(self):
        w = world(operation=open_operation(), routed=frozenset({"gone"}))

        assert actions(w) == (
            Start(version_id="v1", count=1),
            Route(instance_ids=frozenset()),
            Finish(status=OperationStatus.SUCCEEDED),
        )

    def test_a_late_failure_does_not_take_the_only_version_away(self):
        w = world(operation=open_operation(failed=True), instances=(ready("a"),), routed=frozenset({"a"}))

        assert actions(w) == (Finish(status=OperationStatus.SUCCEEDED),)

    def test_a_resume_that_fails_is_given_up_although_its_version_has_served_before(self):
        w = world(operation=open_operation(OperationType.RESUME_SERVICE, failed=True))

        assert actions(w) == (GiveUp(),)


class TestWindingDown:
    def test_pausing_takes_the_traffic_away_before_instances_stop(self):
        operation = open_operation(OperationType.PAUSE_SERVICE)
        w = world(mode=DesiredMode.PAUSED, operation=operation, instances=(ready("a"),), routed=frozenset({"a"}))

        assert actions(w) == (Route(instance_ids=frozenset()), Drain(instance_id="a"))

    def test_deleting_cleans_up_before_it_ends(self):
        operation = open_operation(OperationType.DELETE_SERVICE)
        w = world(mode=DesiredMode.DELETED, operation=operation)

        assert actions(w) == (CleanUp(),)
        assert actions(replace(w, cleaned=True)) == (Finish(status=OperationStatus.SUCCEEDED),)

    def test_a_deletion_that_cannot_clean_up_ends_and_rests_until_it_is_asked_for_again(self):
        operation = open_operation(OperationType.DELETE_SERVICE, failed=True)
        w = world(mode=DesiredMode.DELETED, operation=operation)

        assert actions(w) == (Finish(status=OperationStatus.FAILED),)
        assert actions(replace(w, operation=None)) == ()


@dataclass
class Simulation:
    """Does what the planner says, with instances that get healthy or die as the script wants."""

    world: World
    lives: list[bool]
    now: float = 0.0
    born: int = 0
    below: list[str] = field(default_factory=list)

    def step(self) -> bool:
        before = {i.id for i in self.world.instances if i.state is S.READY} & self.world.routed
        todo = plan(self.world, self.now)
        for action in todo.actions:
            self.perform(action)
        after = {i.id for i in self.world.instances if i.state is S.READY} & self.world.routed
        if before and not after and self.world.mode is DesiredMode.SERVING and self.world.target:
            self.below.append(str(todo.actions))
        self.time_passes()
        return bool(todo.actions)

    def perform(self, action: Action) -> None:
        w = self.world
        match action:
            case Begin():
                assert w.operation
                self.world = replace(w, operation=replace(w.operation, status=OperationStatus.IN_PROGRESS))
            case Build():
                built = self.lives.pop() if self.lives else True
                state = VersionState.BUILT if built else VersionState.FAILED
                operation = w.operation and replace(w.operation, failed=w.operation.failed or not built)
                self.world = replace(w, target_state=state, operation=operation)
            case Start(version_id=version, count=count):
                new = []
                for _ in range(count):
                    self.born += 1
                    new.append(InstanceFacts(id=f"i{self.born}", version_id=version, state=S.STARTING))
                self.world = replace(w, instances=(*w.instances, *new))
            case Route(instance_ids=ids):
                assert ids <= {i.id for i in w.instances}
                self.world = replace(w, routed=ids)
            case Promote(version_id=version):
                self.world = replace(w, serving=version)
            case Drain(instance_id=name):
                self.change(name, state=S.DRAINING, draining_since=self.now, in_flight=1)
            case Stop(instance_id=name):
                self.world = replace(w, instances=tuple(i for i in w.instances if i.id != name))
            case RollBack():
                assert w.operation
                self.world = replace(
                    w,
                    target=w.serving,
                    target_state=VersionState.BUILT,
                    operation=replace(w.operation, status=OperationStatus.ROLLBACK_IN_PROGRESS),
                )
            case GiveUp():
                self.world = replace(w, target=None)
            case CleanUp():
                self.world = replace(w, cleaned=True)
            case Finish(status=status):
                assert w.operation
                assert not status.is_open
                self.world = replace(w, operation=None)

    def change(self, name: str, **changes) -> None:
        self.world = replace(
            self.world,
            instances=tuple(replace(i, **changes) if i.id == name else i for i in self.world.instances),
        )

    def time_passes(self) -> None:
        self.now += 1.0
        for instance in self.world.instances:
            if instance.state is S.DRAINING:
                self.change(instance.id, in_flight=0)
            if instance.state is not S.STARTING:
                continue
            if not self.lives or self.lives.pop():
                self.change(instance.id, state=S.READY)
                continue
            w = self.world
            deploying = w.operation and w.operation.status is OperationStatus.IN_PROGRESS
            if deploying and instance.version_id == w.target and w.operation:
                w = replace(w, operation=replace(w.operation, failed=True))
            self.world = replace(
                w,
                instances=tuple(i for i in w.instances if i.id != instance.id),
                failed_starts=w.failed_starts + 1,
                may_start_at=self.now + 1,
            )


_kinds = st.sampled_from(
    [
        (OperationType.START_DEPLOYMENT, DesiredMode.SERVING, "v2", VersionState.NEW),
        (OperationType.CREATE_SERVICE, DesiredMode.SERVING, "v2", VersionState.NEW),
        (OperationType.PAUSE_SERVICE, DesiredMode.PAUSED, "v1", VersionState.BUILT),
        (OperationType.RESUME_SERVICE, DesiredMode.SERVING, "v1", VersionState.BUILT),
        (OperationType.DELETE_SERVICE, DesiredMode.DELETED, "v1", VersionState.BUILT),
    ]
)


@settings(max_examples=300, deadline=None)
@given(kind=_kinds, want=st.integers(1, 4), have=st.integers(0, 4), lives=st.lists(st.booleans(), max_size=12))
def test_every_operation_ends_and_the_world_comes_to_rest(kind, want, have, lives):
    operation_type, mode, target, target_state = kind
    creating = operation_type is OperationType.CREATE_SERVICE
    instances = () if creating else tuple(ready(f"old{n}") for n in range(have))
    simulation = Simulation(
        world=world(
            mode=mode,
            target=target,
            target_state=target_state,
            serving=None if creating else "v1",
            want=want,
            operation=open_operation(operation_type, OperationStatus.PENDING),
            instances=instances,
            routed=frozenset(i.id for i in instances),
        ),
        lives=list(lives),
    )

    quiet = 0
    for _ in range(200):
        quiet = 0 if simulation.step() else quiet + 1
        if quiet > 5:
            break

    w = simulation.world
    assert w.operation is None, "the operation never ended"
    assert plan(w, simulation.now).actions == (), "a converged world was planned again"
    serving = mode is DesiredMode.SERVING and w.target is not None
    assert len(w.instances) == (want if serving else 0)
    assert w.routed == frozenset(i.id for i in w.instances)
    assert all(i.version_id == w.target for i in w.instances)
    assert simulation.below == [], "there was a moment without a backend although one was there before"


@pytest.mark.parametrize("failed_starts", [4, 5])
def test_a_rollback_that_cannot_get_its_version_up_is_declared_failed(failed_starts):
    operation = open_operation(status=OperationStatus.ROLLBACK_IN_PROGRESS, failed=True)
    w = world(operation=operation, failed_starts=failed_starts, may_start_at=200.0)

    ended = Finish(status=OperationStatus.ROLLBACK_FAILED) in actions(w)

    assert ended == (failed_starts >= 5)
