"""Counting per second with a time that the tests own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.edge.counters import KEPT_S, Counters, Tally
from engine.edge.table import Backend
from engine.edge.target import Target
from engine.model.histogram import bucket_of, merged

EPOCH = 1_700_000_000
"""The wall clock shows this at monotonic zero."""


@pytest.fixture
def clock(monkeypatch):
    """Sets the wall clock that `tick` reads; returns a setter of the monotonic time it belongs to."""

    def at(now: float) -> float:
        monkeypatch.setattr("engine.edge.counters.time.time", lambda: EPOCH + now)
        return now

    at(0.0)
    monkeypatch.setattr("engine.edge.counters.time.monotonic", lambda: 0.0)
    return at


def target(name: str = "i1") -> Target:
    return Target(Backend(instance_id=name, host="127.0.0.1", port=1))


def tally_of(counters: Counters, *targets: Target) -> Tally:
    tally = counters.tally("s")
    tally.targets = targets
    return tally


def total(samples, field):
    return sum(getattr(sample, field) for sample in samples)


def test_statuses_and_latencies_are_counted_in_the_second_that_the_response_ended_in(clock):
    counters = Counters()
    one = target()
    tally = tally_of(counters, one)
    for status, ended in ((200, 0.5), (304, 0.6), (404, 0.7), (503, 1.5)):
        tally.claim(one, 0.1)
        tally.release(one, ended)
        tally.count(status, 0.1, ended)
    first, second = counters.take(2.5, 100)
    assert (first.second, first.service_id, first.requests) == (EPOCH, "s", 3)
    assert (first.status_2xx, first.status_3xx, first.status_4xx, first.status_5xx) == (1, 1, 1, 0)
    assert first.latency == merged([{bucket_of(0.4): 1}, {bucket_of(0.5): 1}, {bucket_of(0.6): 1}])
    assert (second.second, second.requests, second.status_5xx) == (EPOCH + 1, 1, 1)


def test_what_was_taken_is_not_taken_again_and_parts_of_a_second_add_up(clock):
    counters = Counters()
    tally = tally_of(counters)
    tally.count(200, 0.0, 0.1)
    assert total(counters.take(0.25, 100), "requests") == 1
    assert counters.take(0.3, 100) == ()
    tally.count(200, 0.3, 0.4)
    tally.count(200, 0.3, 0.5)
    [sample] = counters.take(0.75, 100)
    assert (sample.second, sample.requests) == (EPOCH, 2)


def test_the_mean_in_flight_is_over_the_whole_second_and_comes_when_it_is_over(clock):
    counters = Counters()
    one = target()
    tally = tally_of(counters, one)
    tally.claim(one, 0.25)
    tally.claim(one, 0.5)
    assert all(sample.in_flight == 0 for sample in counters.take(0.75, 100))
    tally.release(one, 0.75)
    tally.count(200, 0.25, 0.75)
    samples = counters.take(1.1, 100)
    assert [sample.second for sample in samples] == [EPOCH]
    assert samples[0].in_flight == pytest.approx(0.25 * 1 + 0.25 * 2 + 0.25 * 1)
    assert samples[0].active_instances == 1


def test_a_long_request_makes_its_instance_active_in_every_second(clock):
    counters = Counters()
    one, two = target("i1"), target("i2")
    tally = tally_of(counters, one, two)
    tally.claim(one, 0.5)
    tally.claim(two, 0.5)
    tally.release(two, 0.6)
    counters.tick(clock(3.2))
    samples = counters.take(3.2, 100)
    assert [(sample.second - EPOCH, sample.active_instances) for sample in samples] == [(0, 2), (1, 1), (2, 1)]
    assert [sample.in_flight for sample in samples] == pytest.approx([0.6, 1.0, 1.0])
    assert total(samples, "requests") == 0
    tally.release(one, 3.5)
    tally.count(200, 0.5, 3.5)
    [last] = counters.take(4.1, 100)
    assert (last.second - EPOCH, last.requests, last.active_instances) == (3, 1, 1)
    assert last.in_flight == pytest.approx(0.5)
    assert counters.take(9.0, 100) == (), "an idle service is silent"


def test_a_retry_on_another_instance_makes_both_active(clock):
    counters = Counters()
    one, two = target("i1"), target("i2")
    tally = tally_of(counters, one, two)
    for each in (one, two):
        tally.claim(each, 0.1)
        tally.release(each, 0.2)
    tally.count(200, 0.1, 0.2)
    [sample] = counters.take(1.0, 100)
    assert (sample.active_instances, sample.requests) == (2, 1)


def test_an_hour_is_kept_while_nobody_takes_it(clock):
    counters = Counters()
    tally = tally_of(counters)
    for second in range(0, KEPT_S + 600, 10):
        tally.count(200, float(second), second + 0.5)
        counters.tick(clock(second + 0.75))
    samples = counters.take(KEPT_S + 600.0, 100_000)
    assert len(samples) == KEPT_S / 10
    assert samples[0].second == EPOCH + 600
    assert [sample.second for sample in samples] == sorted(sample.second for sample in samples)


def test_samples_come_in_portions(clock):
    counters = Counters()
    tally = tally_of(counters)
    for second in range(5):
        tally.count(200, float(second), second + 0.5)
    portions = [counters.take(6.0, 2) for _ in range(4)]
    assert [[sample.second - EPOCH for sample in portion] for portion in portions] == [[0, 1], [2, 3], [4], []]


def test_a_clock_set_back_loses_nothing(clock, monkeypatch):
    counters = Counters()
    one = target()
    tally = tally_of(counters, one)
    tally.claim(one, 10.0)
    tally.count(200, 9.0, 10.5)
    monkeypatch.setattr("engine.edge.counters.time.time", lambda: EPOCH + 5.0)
    counters.tick(10.6)
    tally.count(200, 10.0, 10.7)
    tally.release(one, 10.8)
    tally.count(200, 10.0, 10.8)
    counters.tick(12.0)
    samples = counters.take(12.0, 100)
    assert total(samples, "requests") == 3
    assert all(0 <= sample.in_flight <= 1 for sample in samples)


def test_tallies_of_services_that_are_gone_and_idle_are_forgotten_but_not_their_counts(clock):
    counters = Counters()
    one = target()
    busy, idle = counters.tally("busy"), counters.tally("idle")
    busy.targets = (one,)
    busy.claim(one, 0.1)
    idle.count(200, 0.0, 0.1)
    counters.keep_only([])
    assert counters.tally("busy") is busy
    assert counters.tally("idle") is not idle
    assert {sample.service_id for sample in counters.take(0.2, 10) if sample.requests} == {"idle"}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, 5), st.sampled_from([200, 302, 404, 500]), st.integers(0, 2)),
        max_size=40,
    ),
    st.floats(0.05, 2),
)
def test_however_reports_fall_every_request_counts_once_and_the_means_add_up(requests, every):
    """The mean of every second times its length is the time that requests spent in flight."""
    counters = Counters()
    counters.offset = float(EPOCH)
    targets = tuple(target(f"i{number}") for number in range(3))
    tally = tally_of(counters, *targets)
    events = []
    for start, length, status, number in requests:
        events.append((start, 1, targets[number], status, start))
        events.append((start + length, 0, targets[number], status, start))
    end = max((event[0] for event in events), default=0.0) + 1.0
    at = every
    while at < end:
        events.append((at, 2, None, 0, 0.0))
        at += every
    samples = []
    # at the same instant: claims before releases, so that a request of no length is claimed first
    for now, kind, each, status, start in sorted(events, key=lambda event: (event[0], -event[1])):
        if kind == 1:
            tally.claim(each, now)
        elif kind == 0:
            tally.release(each, now)
            tally.count(status, start, now)
        else:
            samples += counters.take(now, 1000)
    samples += counters.take(end + 1, 1000)
    assert total(samples, "requests") == len(requests)
    assert total(samples, "status_4xx") == sum(1 for request in requests if request[2] == 404)
    assert sum(merged(sample.latency for sample in samples).values()) == len(requests)
    seconds = {}
    for sample in samples:
        seconds[sample.second] = max(seconds.get(sample.second, 0.0), sample.in_flight)
    assert sum(seconds.values()) == pytest.approx(sum(request[1] for request in requests), abs=1e-4)
    assert all(sample.active_instances <= 3 for sample in samples)
