"""A container's output in a file: frames torn anywhere, and exactly once whatever dies in between."""

import asyncio
import os
import stat
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.compute.docker import output as output_module
from engine.compute.docker.api import DockerApi
from engine.compute.docker.output import Mark, OutputCopy, _Writer, since, split

Entry = tuple[str, bytes]
"""Time and text, as `split` gives them."""


def stamp_of(nanoseconds: int) -> str:
    """As an engine writes it."""
    return f"2026-11-26T16:55:{nanoseconds // 10**9:02d}.{nanoseconds % 10**9:09d}Z"


def frame(entry: Entry, stream: int = 1) -> bytes:
    data = entry[0].encode() + b" " + entry[1]
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


texts = st.one_of(st.binary(max_size=30).map(lambda text: text + b"\n"), st.binary(max_size=30))
"""The last one of a line that was too long for one entry has the newline."""


@st.composite
def logs(draw, *, ordered: bool = True) -> list[Entry]:
    """A log: entries whose times may be equal; with `ordered=False` two streams may have come out of order."""
    step = st.sampled_from([0, 1, 10**6, 6 * 10**8, 2 * 10**9])
    steps = draw(st.lists(st.tuples(step, texts), max_size=12))
    times = list(accumulate(step for step, _ in steps))
    entries = [(stamp_of(at), text) for at, (_, text) in zip(times, steps, strict=True)]
    if not ordered:
        for at in draw(st.lists(st.integers(0, 10), max_size=4)):
            if at + 1 < len(entries) and steps[at + 1][0] < 10**9:
                entries[at : at + 2] = reversed(entries[at : at + 2])
                steps[at : at + 2] = (steps[at + 1], (10**9, b""))  # no further than that
    return entries


@given(logs(), st.lists(st.integers(0, 2000), max_size=10))
def test_frames_may_be_torn_at_any_byte(entries, cuts):
    data = b"".join(frame(entry, stream=1 + at % 2) for at, entry in enumerate(entries))
    places = sorted(min(cut, len(data)) for cut in cuts)
    found, rest = [], b""
    for start, end in pairwise([0, *places, len(data)]):
        rest, whole = split(rest + data[start:end])
        found += whole

    assert found == entries
    assert rest == b""


def test_an_entry_may_hold_anything():
    text = bytes(range(256)) + b"  \n\n 2026-11-26T16:55:00Z "

    assert split(frame((stamp_of(0), text))) == (b"", [(stamp_of(0), text)])


def test_times_are_asked_for_as_the_api_takes_them():
    seconds = int(datetime(2026, 11, 26, 16, 55, 58, tzinfo=UTC).timestamp())

    assert since("2026-11-26T16:55:58.373996294Z") == f"{seconds}.373996294"
    assert since("2026-11-26T16:55:58.37Z") == f"{seconds}.370000000"
    assert since("2026-11-26T16:55:58Z") == f"{seconds}.000000000"


def test_times_with_an_offset_are_the_same_moment():
    assert since("2026-11-26T18:55:58.5+02:00") == since("2026-11-26T16:55:58.5Z")


def replayed(log: list[Entry], mark: Mark) -> list[Entry]:
    """What an engine sends of its log when it is asked for everything since the mark."""
    return [entry for entry in log if not mark.stamp or entry[0] >= mark.stamp]


class Died(BaseException):
    """kill -9."""


def copy_until(folder: Path, log: list[Entry], pieces: list[int], die_at: int | None, *, note: str) -> None:
    """Copy what the engine sends, in batches of these sizes. Dies in the course of batch `die_at`.

    `note` is when the mark is written down: "always", or "never" (each time less than a second has passed).
    """
    file, mark_file = folder / "output.log", folder / "output.mark"
    try:
        mark = msgspec.json.decode(mark_file.read_bytes(), type=Mark)
    except FileNotFoundError:
        mark = Mark()
    writer = _Writer(file, mark_file, mark)
    entries = replayed(log, mark)
    at = 0
    for number, size in enumerate([*pieces, len(entries)]):
        batch = entries[at : at + size]
        at += size
        if number == die_at:
            # Between the append and the mark, with any part of the append on disk.
            data_before = file.stat().st_size
            writer._noted_at = float("inf")
            writer.write(batch)
            torn = data_before + (file.stat().st_size - data_before) * (number % 3) // 2
            os.truncate(file, torn)
            raise Died
        writer._noted_at = float("-inf") if note == "always" else float("inf")
        writer.write(batch)
    writer.note()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    log=logs(),
    lives=st.lists(
        st.tuples(
            st.integers(0, 12),
            st.lists(st.integers(0, 4), max_size=6),
            st.one_of(st.none(), st.integers(0, 6)),
            st.sampled_from(["always", "never"]),
        ),
        max_size=5,
    ),
)
def test_every_byte_is_copied_once_whatever_dies_in_between(log, lives):
    """Each life sees a longer log, copies some of it, and dies or ends; the last one sees the end."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        length = 0
        for more, pieces, die_at, note in lives:
            length = min(len(log), length + more)
            try:
                copy_until(folder, log[:length], pieces, die_at, note=note)
            except Died:
                continue
        copy_until(folder, log, [], None, note="always")

        assert (folder / "output.log").read_bytes() == b"".join(text for _, text in log)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
@example(log=[(stamp_of(2), b"two\n"), (stamp_of(1), b"one\n"), (stamp_of(3), b"three\n")], first=2)
@given(log=logs(ordered=False), first=st.integers(0, 12))
def test_entries_of_two_streams_may_be_out_of_order(log, first):
    """An engine stamps what comes on stdout and on stderr in two threads, and writes it down as it comes."""
    with TemporaryDirectory() as name:
        copy_until(Path(name), log[:first], [], None, note="always")
        copy_until(Path(name), log, [], None, note="always")

        assert (Path(name) / "output.log").read_bytes() == b"".join(text for _, text in log)


def test_a_log_that_was_rotated_away_meanwhile_costs_nothing_of_what_is_still_there(tmp_path):
    log = [(stamp_of(at * 10**9), b"line %d\n" % at) for at in range(6)]
    copy_until(tmp_path, log[:1], [], None, note="always")
    with pytest.raises(Died):  # two lines are in the file, beyond the mark: with die_at 2 all of them
        copy_until(tmp_path, log[:3], [1, 1], 2, note="never")
    copy_until(tmp_path, log[4:], [], None, note="always")  # the engine has lost the fourth

    assert (tmp_path / "output.log").read_bytes() == b"line 0\nline 1\nline 2\nline 4\nline 5\n"


def test_a_mark_that_cannot_be_read_begins_anew_without_doubling(tmp_path):
    log = [(stamp_of(at * 10**9), b"line %d\n" % at) for at in range(6)]
    copy_until(tmp_path, log[:3], [], None, note="always")
    (tmp_path / "output.mark").unlink()
    copy_until(tmp_path, log, [], None, note="always")

    assert (tmp_path / "output.log").read_bytes() == b"".join(text for _, text in log)


class LogOfAContainer:
    """What a fake engine answers to a call for a container's log: so far, and what comes as it comes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ended = False
        self.calls: list[dict[str, str]] = []
        self._news = asyncio.Event()

    def say(self, *texts: bytes) -> None:
        for text in texts:
            self.entries.append((stamp_of(len(self.entries) * 10**9), text))
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    async def __call__(self, call, send) -> None:
        self.calls.append(call.query)
        asked = Decimal(call.query.get("since", "0"))
        sent = 0
        while True:
            self._news.clear()
            for stamp, text in self.entries[sent:]:
                if Decimal(since(stamp)) >= asked:
                    await send(frame((stamp, text)))
                sent += 1
            if self.ended:
                return
            await self._news.wait()


@pytest.fixture
def log(fake_engine):
    log = LogOfAContainer()
    fake_engine.answers["GET /containers/c/logs"] = log
    return log


@pytest.fixture
async def copying(fake_engine, tmp_path):
    """`copying()` begins a copy of container "c"; all of them have ended at the end."""
    copies = []

    def begin() -> OutputCopy:
        copies.append(OutputCopy(DockerApi(fake_engine.endpoint), "c", tmp_path / "output.log"))
        return copies[-1]

    yield begin
    for copy in copies:
        await copy.close()


async def holds(file: Path, text: bytes) -> None:
    async with asyncio.timeout(10):
        while not file.exists() or file.read_bytes() != text:
            await asyncio.sleep(0.005)


async def test_output_is_copied_as_it_comes(log, copying, tmp_path):
    copy = copying()
    log.say(b"one\n", b"two\n")
    await holds(tmp_path / "output.log", b"one\ntwo\n")
    log.say(b"three\n")
    await holds(tmp_path / "output.log", b"one\ntwo\nthree\n")

    log.end()
    await copy.finish()
    assert log.calls[0] == {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "1"}
    assert stat.S_IMODE((tmp_path / "output.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "output.mark").stat().st_mode) == 0o600


async def test_the_next_copy_goes_on_where_the_one_before_was(log, copying, tmp_path, monkeypatch):
    """It asks for what came since, not for everything."""
    monkeypatch.setattr(output_module, "_MARK_EVERY_S", 0.0)
    monkeypatch.setattr(output_module, "_SETTLED_NS", 0)
    first = copying()
    log.say(b"one\n", b"two\n")
    await holds(tmp_path / "output.log", b"one\ntwo\n")
    await first.close()
    log.say(b"three\n")
    log.end()
    await copying().finish()

    assert (tmp_path / "output.log").read_bytes() == b"one\ntwo\nthree\n"
    asked = Decimal(log.calls[1]["since"])
    assert asked <= Decimal(since(stamp_of(10**9))), "not after what was copied last"


async def test_last_words_are_waited_for(log, copying, tmp_path):
    """The container has ended and the engine still sends."""
    copy = copying()
    log.say(b"one\n")
    await holds(tmp_path / "output.log", b"one\n")
    finishing = asyncio.create_task(copy.finish())
    log.say(b"last words\n")
    log.end()
    await finishing

    assert (tmp_path / "output.log").read_bytes() == b"one\nlast words\n"


async def test_last_words_that_a_followed_log_lacks_are_read_again(copying, fake_engine, tmp_path):
    """Docker 20.10 under load ends the stream with the container, before it has sent all of its log."""
    log = [(stamp_of(at * 10**9), b"line %d\n" % at) for at in range(6)]
    begun, died = asyncio.Event(), asyncio.Event()

    async def logs(call, send) -> None:
        asked = Decimal(call.query.get("since", "0"))
        follows = call.query.get("follow") in {"1", "true"}
        for entry in log[:2] if follows else log:
            if Decimal(since(entry[0])) >= asked:
                await send(frame(entry))
        if follows:
            begun.set()
            await died.wait()

    fake_engine.answers["GET /containers/c/logs"] = logs
    copy = copying()
    await begun.wait()
    finishing = asyncio.create_task(copy.finish())
    died.set()
    await finishing

    assert (tmp_path / "output.log").read_bytes() == b"".join(text for _, text in log)


async def test_last_words_are_not_waited_for_for_ever(log, copying, tmp_path, monkeypatch):
    """An engine that never ends the stream keeps nobody."""
    monkeypatch.setattr(output_module, "_LAST_WORDS_S", 0.1)
    copy = copying()
    log.say(b"one\n")
    await holds(tmp_path / "output.log", b"one\n")
    async with asyncio.timeout(5):
        await copy.finish()


async def test_an_engine_that_goes_away_and_comes_back_costs_no_line_and_doubles_none(
    log, copying, fake_engine, tmp_path, monkeypatch
):
    monkeypatch.setattr(output_module, "_RETRY_S", 0.01)
    copying()
    log.say(b"one\n", b"two\n")
    await holds(tmp_path / "output.log", b"one\ntwo\n")
    await fake_engine.stop()
    log.say(b"three\n")
    await fake_engine.start()

    await holds(tmp_path / "output.log", b"one\ntwo\nthree\n")


async def test_a_container_that_is_gone_ends_the_copy(copying, fake_engine):
    fake_engine.answers["GET /containers/c/logs"] = (404, {"message": "No such container: c"})
    copy = copying()
    async with asyncio.timeout(5):
        await copy._task


async def test_a_log_that_cannot_be_read_is_tried_again(log, copying, fake_engine, tmp_path, monkeypatch):
    monkeypatch.setattr(output_module, "_RETRY_S", 0.01)
    fake_engine.answers["GET /containers/c/logs"] = (500, {"message": "log driver is asleep"})
    copying()
    async with asyncio.timeout(5):
        while len(fake_engine.called("GET /containers/c/logs")) < 2:
            await asyncio.sleep(0.005)
    log.say(b"one\n")
    fake_engine.answers["GET /containers/c/logs"] = log

    await holds(tmp_path / "output.log", b"one\n")


async def test_an_end_while_the_engine_is_away_keeps_nobody(log, copying, fake_engine, tmp_path):
    copy = copying()
    log.say(b"one\n")
    await holds(tmp_path / "output.log", b"one\n")
    await fake_engine.stop()
    async with asyncio.timeout(4):
        await copy.finish()
