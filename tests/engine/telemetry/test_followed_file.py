"""Each byte of an output file becomes part of one line, once, however it is written and whenever we restart."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.telemetry import followed_file
from engine.telemetry.followed_file import FollowedFile


class Lines:
    """A sink, and what of it would be in the database."""

    def __init__(self):
        self.has_room = True
        self.texts = []
        self.times = []
        self.positions = [(0, 0)]  # (lines, position)

    def ingest(self, service_id, kind, stream, texts, *, at, position=None):
        self.texts += texts
        self.times.append(at)
        self.positions.append((len(self.texts), position))


STEPS = st.lists(
    st.one_of(
        st.lists(st.sampled_from([b"\n", b"a", b"long line ", b"\r\n", "é".encode()[:1], "é".encode()[1:]]))
        .map(b"".join)
        .map(lambda data: ("write", data)),
        st.just(("look", None)),
        st.integers(0, 10).map(lambda back: ("crash", back)),
    ),
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_any_writes_and_restarts_give_the_same_lines_once(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("out") / "output.log"
    path.write_bytes(b"")
    written = b"".join(data for step, data in steps if step == "write")
    sink, file = Lines(), FollowedFile("i", "web", path)
    for step, what in steps:
        if step == "write":
            with path.open("ab") as out:
                out.write(what)
        elif step == "look":
            while file.look(sink, 0.0, 0.0):
                pass
        else:  # what the last few transactions stored is not there: lines and position went together
            del sink.positions[max(1, len(sink.positions) - what) :]
            count, position = sink.positions[-1]
            del sink.texts[count:]
            file = FollowedFile("i", "web", path, position)
    while file.look(sink, 0.0, 0.0, ended=True):
        pass

    once = Lines()
    path.write_bytes(written)
    FollowedFile("i", "web", path).look(once, 0.0, 0.0, ended=True)
    assert sink.texts == once.texts


def test_a_line_without_its_end_is_shown_after_a_second_and_its_end_is_no_line(tmp_path):
    path = tmp_path / "output.log"
    path.write_text("ready\nName? ")
    sink, file = Lines(), FollowedFile("i", "web", path)
    file.look(sink, 0.0, 10.0)
    file.look(sink, 0.0, 10.9)
    assert sink.texts == ["ready"]

    file.look(sink, 0.0, 11.0)
    assert sink.texts == ["ready", "Name? "]

    with path.open("a") as out:
        out.write("\nJane\n")
    file.look(sink, 0.0, 12.0)
    assert sink.texts == ["ready", "Name? ", "Jane"]


def test_a_file_that_was_emptied_is_read_from_its_start(tmp_path):
    path = tmp_path / "output.log"
    path.write_text("before\n")
    sink, file = Lines(), FollowedFile("i", "web", path)
    file.look(sink, 0.0, 0.0)
    path.write_text("new\n")
    file.look(sink, 0.0, 0.0)

    assert sink.texts == ["before", "new"]


def test_lines_written_while_nobody_looked_keep_their_time(tmp_path):
    path = tmp_path / "output.log"
    path.write_text("an hour ago\n")
    os.utime(path, (1000.0, 1000.0))
    sink = Lines()
    FollowedFile("i", "web", path).look(sink, 4600.0, 0.0)

    assert sink.times == [1000.0]


def test_without_room_the_lines_wait_in_the_file(tmp_path):
    path = tmp_path / "output.log"
    path.write_text("one\n")
    sink, file = Lines(), FollowedFile("i", "web", path)
    sink.has_room = False
    assert file.look(sink, 0.0, 0.0)
    assert sink.texts == []

    sink.has_room = True
    assert not file.look(sink, 0.0, 0.0)
    assert sink.texts == ["one"]


def test_a_flood_that_outruns_us_is_left_out_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(followed_file, "_MAX_BEHIND", 3 * 1024 * 1024)
    path = tmp_path / "output.log"
    line = "x" * 1023 + "\n"
    path.write_text(line * 4096)
    sink, file = Lines(), FollowedFile("i", "web", path)
    while file.look(sink, 0.0, 0.0):
        pass

    assert "3 MiB of output were left out here" in sink.texts[0]
    assert 1000 < len(sink.texts) < 1100
    assert set(sink.texts[1:]) == {line[:-1]}


def test_disk_space_of_stored_lines_is_given_back_and_positions_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(followed_file, "_FREE_EVERY", 1024 * 1024)
    path = tmp_path / "output.log"
    path.write_text(("x" * 1023 + "\n") * 4096)
    sink, file = Lines(), FollowedFile("i", "web", path)
    while file.look(sink, 0.0, 0.0):
        pass
    before = path.stat()
    file.stored = file.position
    with path.open("a") as out:
        out.write("after\n")
    file.look(sink, 0.0, 0.0)
    after = path.stat()

    assert sink.texts[-1] == "after"
    assert after.st_size == before.st_size + 6
    if file._freed < float("inf"):  # file systems that cannot keep all of it
        assert after.st_blocks * 512 < 2 * 1024 * 1024
    FollowedFile("i", "web", path, file.position - 6).look(again := Lines(), 0.0, 0.0)
    assert again.texts == ["after"]
