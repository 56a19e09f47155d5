"""Frames and messages of the control socket."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.edge.table import Backend, Hello, Report, Route, RoutingTable, Stop
from engine.edge.wire import MAX_FRAME, Frames, WireError, frame, to_edge, to_engine
from engine.model.metric import EdgeSample

TABLE = RoutingTable(
    version=3,
    routes=(Route(service_id="s", hosts=("a",), backends=(Backend(instance_id="i", host="127.0.0.1", port=1),)),),
)
REPORT = Report(table_version=3, in_flight={"i": 2}, samples=(EdgeSample(second=1, service_id="s", latency={3: 4}),))


@pytest.mark.parametrize("message", [TABLE, Stop(grace_s=1.5)])
def test_messages_to_the_edge_read_back(message):
    assert to_edge(frame(message)[4:]) == message


@pytest.mark.parametrize("message", [REPORT, Hello(pid=1, address="127.0.0.1:1", table_version=2)])
def test_messages_to_the_engine_read_back(message):
    assert to_engine(frame(message)[4:]) == message


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 50))
def test_frames_survive_any_splitting(payloads, size):
    data = b"".join(len(each).to_bytes(4, "big") + each for each in payloads)
    frames = Frames()
    got = [payload for at in range(0, len(data), size) for payload in frames.feed(data[at : at + size])]
    assert got == payloads


def test_nonsense_is_refused():
    with pytest.raises(WireError):
        Frames().feed((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(WireError):
        to_edge(b"nonsense")
    with pytest.raises(WireError):
        to_edge(frame(REPORT)[4:])
    with pytest.raises(WireError):
        to_engine(frame(TABLE)[4:])
