"""Application logs come from files that outlive the engine: nothing is lost or doubled, whenever it ends."""

import asyncio
import signal
import subprocess
import sys
import textwrap

import pytest

from engine.model.clock import SystemClock
from engine.model.log import LogKind, LogQuery, LogSelector
from engine.telemetry import Telemetry

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

WEB = LogSelector(service_id="web", kind=LogKind.APPLICATION)


async def lines_of(telemetry):
    page = await telemetry.query_logs(LogQuery(selector=WEB, limit=10_000))
    return [(line.stream, line.text) for line in page.lines]


def append(path, text):
    with path.open("a") as out:
        out.write(text)


async def test_what_instances_print_becomes_log_lines(home, clock, instance, tmp_path):
    telemetry = await Telemetry.open(home, clock)
    telemetry.follow(instance("i1"), tmp_path / "one.log")
    telemetry.follow(instance("i2"), tmp_path / "two.log")  # appears later
    append(tmp_path / "one.log", "hello\nwor")
    async with telemetry.watch_logs(WEB) as batches:
        await anext(batches)
        await telemetry._follower.look()
        append(tmp_path / "two.log", "second\n")
        append(tmp_path / "one.log", "ld\n")
        await telemetry._follower.look()
        batch = await asyncio.wait_for(anext(batches), 5)
    expected = [("i1", "hello"), ("i1", "world"), ("i2", "second")]
    assert [(line.stream, line.text) for line in batch.lines] == expected
    assert await lines_of(telemetry) == expected
    await telemetry.close()


async def test_the_file_is_looked_at_several_times_a_second(telemetry, clock, instance, tmp_path):
    telemetry.follow(instance("i1"), tmp_path / "one.log")
    append(tmp_path / "one.log", "hello\n")
    for _ in range(100):
        await clock.advance(0.2)
        if await lines_of(telemetry):
            break
    assert await lines_of(telemetry) == [("i1", "hello")]


async def test_a_new_engine_goes_on_where_the_last_one_stopped(home, clock, instance, tmp_path):
    path = tmp_path / "one.log"
    for part in ("one\ntw", "o\nthree\n", "four"):
        append(path, part)
        telemetry = await Telemetry.open(home, clock)
        telemetry.follow(instance("i1"), path)
        await telemetry.close()
    telemetry = await Telemetry.open(home, clock)
    telemetry.follow(instance("i1"), path)
    await telemetry.unfollow("i1")
    assert await lines_of(telemetry) == [("i1", text) for text in ("one", "two", "three", "four")]

    telemetry.follow(instance("i1"), path)  # found again by a reconciler that was interrupted
    await telemetry.unfollow("i1")
    await telemetry.unfollow("unknown")
    assert len(await lines_of(telemetry)) == 4
    await telemetry.prune(older_than=0.0)
    await telemetry.close()


async def test_letting_go_reads_to_the_end_however_much_it_is(telemetry, instance, tmp_path):
    path = tmp_path / "one.log"
    append(path, "".join(f"{number}\n" for number in range(60_000)) + "the end")
    telemetry.follow(instance("i1"), path)
    await telemetry.unfollow("i1")
    await telemetry.flush()
    page = await telemetry.query_logs(LogQuery(selector=WEB, limit=10_000))
    assert page.lines[-1].text == "the end"
    oldest = await telemetry.query_logs(LogQuery(selector=WEB, limit=1, newest=False))
    assert oldest.lines[0].text == "0"


async def test_a_file_that_cannot_be_read_is_said_once_and_disturbs_no_other(telemetry, instance, tmp_path, caplog):
    (tmp_path / "folder").mkdir()
    append(tmp_path / "one.log", "hello\n")
    telemetry.follow(instance("bad"), tmp_path / "folder")
    telemetry.follow(instance("i1"), tmp_path / "one.log")
    await telemetry._follower.look()
    await telemetry._follower.look()

    assert await lines_of(telemetry) == [("i1", "hello")]
    assert [record.message for record in caplog.records if "instance bad" in record.message] == [
        caplog.records[0].message
    ]


async def test_every_line_is_there_once_after_kill_9_in_the_middle(home, instance, tmp_path):
    path = tmp_path / "one.log"
    follower = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from engine.model.clock import SystemClock
        from engine.model.home import Home
        from engine.model.instance import Instance, InstanceState
        from engine.telemetry import Telemetry

        async def main():
            telemetry = await Telemetry.open(Home(path=Path({str(home.path)!r})), SystemClock())
            instance = Instance(id="i1", service_id="web", version_id="v", compute="process",
                                state=InstanceState.READY, created_at=0.0)
            telemetry.follow(instance, Path({str(path)!r}))
            with open({str(path)!r}, "a", buffering=1) as out:
                number = sum(1 for _ in open({str(path)!r}))
                while True:
                    for _ in range(50):
                        print("line", number, file=out)
                        number += 1
                    await asyncio.sleep(0.005)

        asyncio.run(main())
        """
    )
    path.touch()
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", follower]) as engine:
            await asyncio.sleep(0.6)
            engine.send_signal(signal.SIGKILL)

    telemetry = await Telemetry.open(home, SystemClock())
    stored = len(await lines_of(telemetry))
    telemetry.follow(instance("i1"), path)
    await telemetry.unfollow("i1")
    found, after = [], 0
    while page := (await telemetry.query_logs(LogQuery(selector=WEB, after_seq=after, newest=False))).lines:
        found += [line.text for line in page]
        after = page[-1].seq
    await telemetry.close()

    assert stored > 0
    assert found == path.read_text().splitlines()
