"""Choosing among instances, and the pool of idle connections."""

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.edge import target as module
from engine.edge.table import Backend
from engine.edge.target import Target, choose


def make(in_flight: int = 0) -> Target:
    target = Target(Backend(instance_id="i", host="127.0.0.1", port=1))
    target.in_flight = in_flight
    return target


class Connection:
    """An idle upstream, as far as the pool cares."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.closed = False
        self.transport = SimpleNamespace(is_closing=lambda: self.closed, close=self.close)

    def close(self) -> None:
        self.closed = True


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 100), st.sets(st.integers(0, 7)))
def test_the_least_busy_untried_target_is_chosen(loads, turn, tried_at):
    targets = [make(load) for load in loads]
    tried = [targets[at] for at in tried_at if at < len(targets)]
    left = [target for target in targets if target not in tried]
    chosen = choose(targets, turn, tried)
    if not left:
        assert chosen is None
    else:
        assert chosen in left
        assert chosen.in_flight == min(target.in_flight for target in left)


def test_ties_rotate():
    targets = [make(), make(), make(1), make()]
    picks = [targets.index(choose(targets, turn)) for turn in range(8)]
    assert set(picks) == {0, 1, 3}


def test_the_connection_used_last_is_used_next_and_closed_ones_never():
    target = make()
    first, second, third = Connection(), Connection(), Connection()
    for at, each in enumerate((first, second, third)):
        target.put(each, float(at))
    third.closed = True
    assert target.take(3.0, repeatable=True) is second
    assert target.take(3.0, repeatable=True) is first
    assert target.take(3.0, repeatable=True) is None


def test_a_request_that_cannot_be_repeated_gets_only_a_fresh_connection():
    target = make()
    connection = Connection()
    target.put(connection, 10.0)
    assert target.take(10.0 + module.FRESH_S + 0.1, repeatable=False) is None
    assert target.take(10.0 + module.FRESH_S - 0.1, repeatable=False) is connection


def test_idle_connections_are_bounded_and_closed_in_time():
    target = make()
    connections = [Connection() for _ in range(module.MAX_IDLE + 5)]
    for at, each in enumerate(connections):
        target.put(each, float(at))
    assert target.idle_count == module.MAX_IDLE
    assert all(each.closed for each in connections[module.MAX_IDLE :])
    target.close_idle(10.0)
    assert [each.closed for each in connections[:12]] == [True] * 10 + [False] * 2


def test_a_retired_target_keeps_no_connection():
    target = make()
    before, after = Connection(), Connection()
    target.put(before, 1.0)
    target.retire()
    target.put(after, 2.0)
    assert before.closed
    assert after.closed
    assert target.idle_count == 0
