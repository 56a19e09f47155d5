"""Merging cells loses nothing: merged parts are the same as the whole, in any order and any grouping."""

from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.metric import EdgeSample, InstanceSample
from engine.store.cell import EMPTY, MAXIMA, NUMBERS, PER_SECOND, SUMS, Cell, added, of_edge, of_instances, same_second

COUNTS = st.integers(0, 1000)
CELLS = st.builds(
    Cell,
    **dict.fromkeys(NUMBERS, COUNTS),
    latency=st.dictionaries(st.integers(0, 400), st.integers(1, 100), max_size=5),
)


def test_every_member_of_a_cell_has_one_way_to_merge():
    assert sorted((*SUMS, *MAXIMA, *PER_SECOND, "latency")) == sorted(Cell.__struct_fields__)


@settings(max_examples=40)
@given(CELLS, CELLS, CELLS)
def test_order_and_grouping_do_not_matter(a, b, c):
    for merge in (same_second, added):
        assert merge(merge(a, b), c) == merge(a, merge(b, c))
        assert merge(a, b) == merge(b, a)
        assert merge(a, EMPTY) == a


@settings(max_examples=40)
@given(st.lists(CELLS, min_size=1, max_size=12), st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_the_merge_of_parts_is_the_merge_of_the_whole(cells, sizes):
    parts, rest = [], list(cells)
    for size in sizes:
        if rest:
            parts.append(reduce(added, rest[:size]))
            rest = rest[size:]
    assert reduce(added, parts) == reduce(added, cells)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 300)), min_size=1))
def test_an_edge_report_in_parts_is_the_report_as_one(requests):
    """Each request: (active instances at the time, in flight, latency bucket)."""
    parts = [
        of_edge(
            EdgeSample(
                second=1,
                service_id="web",
                requests=1,
                status_2xx=1,
                latency={bucket: 1},
                active_instances=active,
                in_flight=float(in_flight),
            )
        )
        for active, in_flight, bucket in requests
    ]
    whole = reduce(same_second, parts)
    assert whole.requests == whole.status_2xx == len(requests) == sum(whole.latency.values())
    assert whole.active_instances == max(active for active, _, _ in requests)
    assert whole.in_flight == max(in_flight for _, in_flight, _ in requests)
    assert whole.edge_seconds == 1


def test_samples_of_one_tick_are_sums_with_their_number():
    samples = [
        InstanceSample(
            at=1.0, service_id="web", instance_id=name, cpu_percent=cpu, memory_bytes=100, memory_percent=10.0
        )
        for name, cpu in (("a", 10.0), ("b", 30.0))
    ]
    assert of_instances(samples) == Cell(cpu_percent=40.0, memory_percent=20.0, memory_bytes=200, samples=2, ticks=1)
