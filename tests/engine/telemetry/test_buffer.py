"""Waiting lines stay in order and bounded, and a flood costs its own service only."""

from hypothesis import given
from hypothesis import strategies as st

from engine.model.log import LogKind, LogLine
from engine.telemetry.buffer import Chunk, LineBuffer


def chunk(seq, service="web", *, count=1, kind=LogKind.APPLICATION, stream="i", text="x", position=None):
    lines = [
        LogLine(seq=seq + number, at=0.0, service_id=service, kind=kind, stream=stream, text=text)
        for number in range(count)
    ]
    return Chunk(lines, position)


def lines_of(buffer):
    return [line for each in buffer.chunks() for line in each.lines]


def test_a_flood_drops_its_own_oldest_lines_and_says_how_many():
    buffer = LineBuffer(max_lines=100)
    buffer.add(chunk(0, "quiet", text="here"))
    buffer.add(chunk(1, "homerun", kind=LogKind.EVENTS, stream="", text="event"))
    for seq in range(2, 1002):
        buffer.add(chunk(seq, "loud", position=seq * 10))

    left = lines_of(buffer)
    assert {line.text for line in left if line.service_id != "loud"} == {"here", "event"}
    loud = [line for line in left if line.service_id == "loud"]
    assert loud[-1].seq == 1001
    missing = 1000 - (len(loud) - 1)
    assert loud[0].text == f"[AppRunner] {missing} lines are missing here: they came faster than they could be stored."
    assert loud[0].seq == loud[1].seq - 1
    assert len(left) <= 100
    notice = next(each for each in buffer.chunks() if each.dropped)
    assert notice.position == notice.lines[0].seq * 10


def test_huge_lines_are_bounded_by_their_size():
    buffer = LineBuffer(max_lines=1000, max_bytes=1_000_000)
    for seq in range(100):
        buffer.add(chunk(seq, text="x" * 64_000))

    assert sum(len(line.text) for line in lines_of(buffer)) < 1_000_000


def test_what_homerun_says_is_bounded_too():
    buffer = LineBuffer(max_lines=100)
    for seq in range(1000):
        buffer.add(chunk(seq, kind=LogKind.DEPLOYMENT))

    assert len(lines_of(buffer)) <= 100


def test_lines_being_written_are_found_until_they_are_stored_and_wait_again_when_they_are_not():
    buffer = LineBuffer()
    for seq in range(3):
        buffer.add(chunk(seq))

    assert [each.lines[0].seq for each in buffer.take(2)] == [0, 1]
    assert [line.seq for line in lines_of(buffer)] == [0, 1, 2]
    buffer.failed()
    assert len(buffer) == 3
    buffer.take(2)
    buffer.written()
    assert [line.seq for line in lines_of(buffer)] == [2]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30), st.sampled_from(list(LogKind)))), st.data())
def test_whatever_comes_it_is_bounded_in_order_and_every_line_is_there_or_counted(adds, data):
    buffer = LineBuffer(max_lines=50)
    seq = stored = 0
    for service, count, kind in adds:
        buffer.add(chunk(seq, service, count=count, kind=kind, stream=kind))
        seq += count
        action = data.draw(st.sampled_from(["", "store", "fail"]))
        if action:
            taken = sum(each.dropped or len(each.lines) for each in buffer.take(20))
            if action == "fail":
                buffer.failed()
            else:
                buffer.written()
                stored += taken

    left = list(buffer.chunks())
    assert sum(each.dropped or len(each.lines) for each in left) + stored == seq
    assert len(buffer) == sum(len(each.lines) for each in left)
    assert len(buffer) <= 50 + 9  # notices of three services' three streams may come on top
    assert len({line.seq for each in left for line in each.lines}) == len(buffer)
