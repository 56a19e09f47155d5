"""What the subscriptions said so far."""

import msgspec

from engine.model.audit import AuditChange
from engine.model.metric import Pulse
from engine.model.watch import ComputeState, OperationsChange, ServicesChange
from tui.world import MOST_CALLS, World


def test_changes_add_up(fake):
    world = World()
    a, b = fake.view(fake.service("a", 1)), fake.view(fake.service("b", 2))
    pulse = Pulse(service_id=fake.hexed(1), requests_per_s=1, cpu_percent=1, memory_bytes=1)
    world.apply_services(ServicesChange(snapshot=True, changed=(a, b), pulses=(pulse,)))
    assert world.loaded
    assert world.take_news() == (True, False, False)
    world.apply_services(ServicesChange(removed=(fake.hexed(1),)))
    assert list(world.services) == [fake.hexed(2)]
    assert world.pulses == {}
    assert world.take_news() == (True, False, False)
    assert world.take_news() == (False, False, False)


def test_a_new_snapshot_forgets_what_is_gone(fake):
    world = World()
    world.apply_services(ServicesChange(snapshot=True, changed=(fake.view(fake.service("a", 1)),)))
    world.apply_services(ServicesChange(snapshot=True, changed=(fake.view(fake.service("b", 2)),)))
    assert list(world.services) == [fake.hexed(2)]


def test_an_older_word_about_an_operation_does_not_win(fake):
    world = World()
    new = fake.operation(fake.service("a", 1), 1)
    old = msgspec.structs.replace(new, updated_at=new.updated_at - 1, note="old")
    world.apply_operations(OperationsChange(snapshot=True, changed=(new,)))
    world.take_news()
    world.apply_operations(OperationsChange(snapshot=True, changed=(old,)))
    assert world.history() == [new]
    assert world.take_news() == (False, False, False), "the same again is no news"


def test_history_is_newest_first_and_of_one_service_when_asked(fake):
    world = World()
    a, b = fake.service("a", 1), fake.service("b", 2)
    first, second, third = (
        fake.operation(a, 1, ago_s=30),
        fake.operation(b, 2, ago_s=20),
        fake.operation(a, 3, ago_s=10),
    )
    world.apply_operations(OperationsChange(changed=(first, second, third)))
    assert world.history() == [third, second, first]
    assert world.history(a.service_id) == [third, first]


def test_the_trail_is_newest_first_bounded_and_starts_over_with_a_snapshot(fake):
    world = World()
    assert world.calls(reads=True) is None, "not known yet"
    world.apply_audit(AuditChange(snapshot=True))
    assert world.take_news() == (False, False, True)
    assert world.calls(reads=True) == []
    for number in range(MOST_CALLS + 50):
        world.apply_audit(AuditChange(records=(fake.record("ListServices", number),)))
    calls = world.calls(reads=True)
    assert [calls[0].seq, calls[-1].seq, len(calls)] == [MOST_CALLS + 49, 50, MOST_CALLS]
    world.apply_audit(AuditChange(snapshot=True, records=(fake.record("ListServices", 7),)))
    assert [call.seq for call in world.calls(reads=True)] == [7]


def test_without_reads_the_trail_keeps_changes_and_what_was_turned_away(fake):
    world = World()
    pause, read = fake.record("PauseService", 1), fake.record("ListServices", 2)
    away = fake.record("ListServices", 3, error=("X", "y"), refused=True)
    world.apply_audit(AuditChange(snapshot=True, records=(pause, read, away)))
    assert world.calls(reads=True) == [away, read, pause]
    assert world.calls(reads=False) == [away, pause]


def test_the_history_is_bounded(fake):
    world = World()
    a = fake.service("a", 1)
    for number in range(2100):
        world.apply_operations(OperationsChange(changed=(fake.operation(a, number, ago_s=5000 - number),)))
    assert 1000 <= len(world.operations) <= 2000
    assert world.history()[0].started_at == fake.NOW - 5000 + 2099


def test_the_newest_word_about_the_compute_stays():
    world = World()
    docker = ComputeState(name="docker", version="28.2.2")
    away = msgspec.structs.replace(docker, problem="It does not answer.")
    world.apply_services(ServicesChange(snapshot=True, compute=docker))
    world.apply_services(ServicesChange())
    assert world.compute == docker
    world.take_news()
    world.apply_services(ServicesChange(compute=away))
    assert world.compute == away
    assert world.take_news().services


def test_the_compute_crosses_the_attach_socket_unchanged():
    change = ServicesChange(compute=ComputeState(name="podman", version="5.1", problem="gone"))
    assert msgspec.json.decode(msgspec.json.encode(change), type=ServicesChange) == change
