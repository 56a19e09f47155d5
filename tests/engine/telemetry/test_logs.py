"""Log lines: numbered when taken, seen at once, found whether stored or not, kept within bounds."""

import asyncio
import logging
import sqlite3
import threading

import pytest

from engine.model.errors import EngineError
from engine.model.log import LogKind, LogQuery, LogSelector
from engine.store.storage import Storage
from engine.store.telemetry_db import TelemetryDb
from engine.telemetry import Telemetry
from engine.telemetry.logs import Logs

pytestmark = pytest.mark.slow  # real processes and sockets

APP = LogKind.APPLICATION
WEB = LogSelector(service_id="web", kind=APP)


def texts(page):
    return [line.text for line in page.lines]


async def next_of(batches):
    return await asyncio.wait_for(anext(batches), 5)


@pytest.fixture(params=["waiting", "stored", "both"])
async def filled(request, telemetry):
    """Ten lines 0 … 9 of web at times 100 … 109 in two streams, and lines of others."""
    for number in range(10):
        telemetry.log("web", APP, f"i{number % 2}", f"Line {number} ÄRGER 100%", at=100.0 + number)
        telemetry.log("other", APP, "i9", f"Line {number}", at=100.0 + number)
        if request.param == "both" and number == 4:
            await telemetry.flush()
    telemetry.log("web", LogKind.EVENTS, "", "[AppRunner] Service status is set to RUNNING.", at=50.0)
    if request.param == "stored":
        await telemetry.flush()
    return telemetry


async def test_pages_go_both_ways_from_a_cursor(filled):
    everything = await filled.query_logs(LogQuery(selector=WEB))
    assert [text[5] for text in texts(everything)] == list("0123456789")
    assert not everything.more

    newest = await filled.query_logs(LogQuery(selector=WEB, limit=3))
    assert [text[5] for text in texts(newest)] == list("789")
    assert newest.more
    before = await filled.query_logs(LogQuery(selector=WEB, limit=3, before_seq=newest.lines[0].seq))
    assert [text[5] for text in texts(before)] == list("456")
    after = await filled.query_logs(LogQuery(selector=WEB, limit=3, after_seq=everything.lines[0].seq, newest=False))
    assert [text[5] for text in texts(after)] == list("123")
    assert after.more
    last = await filled.query_logs(LogQuery(selector=WEB, limit=3, after_seq=newest.lines[-1].seq))
    assert last.lines == ()
    assert not last.more


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        (LogSelector(service_id="web", kind=APP, stream="i1"), 5),
        (LogSelector(service_id="", kind=APP), 20),
        (LogSelector(service_id="", kind=APP, stream="i9"), 10),
        (LogSelector(service_id="", kind=LogKind.EVENTS), 1),
        (LogSelector(service_id="web", kind=LogKind.EVENTS), 1),
        (LogSelector(service_id="web", kind=LogKind.DEPLOYMENT), 0),
        (LogSelector(service_id="nobody", kind=APP), 0),
    ],
)
async def test_a_selector_picks_a_service_a_kind_and_a_stream(filled, selector, count):
    assert len((await filled.query_logs(LogQuery(selector=selector))).lines) == count


@pytest.mark.parametrize(
    ("search", "count"),
    [("line 3", 1), ("LINE", 10), ("ärger", 10), ("100%", 10), ("100_", 0), ("%", 10), ("e 3 ä", 1), ("\\", 0)],
)
async def test_search_is_a_plain_substring_whatever_the_case(filled, search, count):
    assert len((await filled.query_logs(LogQuery(selector=WEB, search=search))).lines) == count


async def test_time_ranges_include_their_start_and_not_their_end(filled):
    page = await filled.query_logs(LogQuery(selector=WEB, start=102.0, end=104.0))
    assert [text[5] for text in texts(page)] == ["2", "3"]


async def test_numbers_go_on_after_a_restart_even_when_every_line_was_deleted(home, clock):
    first = await Telemetry.open(home, clock)
    first.log("web", APP, "i", "old", at=1.0)
    seq = (await first.query_logs(LogQuery(selector=WEB))).lines[0].seq
    await first.close()
    second = await Telemetry.open(home, clock)
    await second.prune(older_than=2.0)
    assert (await second.query_logs(LogQuery(selector=WEB))).lines == ()
    await second.close()

    third = await Telemetry.open(home, clock)
    third.log("web", APP, "i", "new")
    assert (await third.query_logs(LogQuery(selector=WEB))).lines[0].seq > seq
    await third.close()


async def test_lines_are_stored_within_a_moment_by_themselves(telemetry, clock, home):
    telemetry.log("web", APP, "i", "hello")
    stored = []
    for _ in range(100):
        await clock.advance(0.1)
        connection = sqlite3.connect(home.telemetry_db)
        stored = connection.execute("SELECT text FROM log").fetchall()
        connection.close()
        if stored:
            break
    assert stored == [("hello",)]


async def test_nothing_that_is_logged_can_make_storing_fail(telemetry, clock):
    telemetry.log("web", APP, "i", "nul \0 surrogate \udc80 escape \x1b[31m")
    telemetry.log("web", APP, "i", "two\nlines")
    telemetry.log("web", APP, "i", None)  # a defect of the caller: said in the log, not raised
    await telemetry.flush()

    page = await telemetry.query_logs(LogQuery(selector=WEB))
    assert texts(page) == ["nul � surrogate ? escape \x1b[31m", "two", "lines"]
    assert all(line.at == clock.time for line in page.lines)


async def test_a_watch_begins_with_the_newest_lines_and_goes_on_without_gap_or_repetition(telemetry):
    for number in range(10):
        telemetry.log("web", APP, "i", str(number))
    await telemetry.flush()
    telemetry.log("web", APP, "i", "10")
    async with telemetry.watch_logs(WEB, tail=3) as batches:
        telemetry.log("web", APP, "i", "11")
        telemetry.log("other", APP, "i", "not for us")
        telemetry.log("web", LogKind.EVENTS, "", "nor this")
        assert [line.text for line in (await next_of(batches)).lines] == ["8", "9", "10"]
        assert [line.text for line in (await next_of(batches)).lines] == ["11"]
        telemetry.log("web", APP, "j", "12")
        assert [line.text for line in (await next_of(batches)).lines] == ["12"]
    assert telemetry._logs._subscriptions == []


async def test_lines_logged_while_the_first_batch_is_looked_up_come_once(telemetry, monkeypatch):
    find_lines = TelemetryDb.find_lines

    async def and_one_more(*arguments):
        monkeypatch.undo()
        telemetry.log("web", APP, "i", "meanwhile")
        await telemetry.flush()
        return await find_lines(*arguments)

    monkeypatch.setattr(TelemetryDb, "find_lines", and_one_more)
    telemetry.log("web", APP, "i", "before")
    async with telemetry.watch_logs(WEB) as batches:
        assert [line.text for line in (await next_of(batches)).lines] == ["before"]
        assert [line.text for line in (await next_of(batches)).lines] == ["meanwhile"]


async def test_lines_logged_from_threads_while_a_watch_begins_come_once_and_in_order(telemetry):
    def log_many(stream):
        for number in range(500):
            telemetry.log("web", APP, stream, str(number))

    threads = [threading.Thread(target=log_many, args=(f"i{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    got = []
    async with telemetry.watch_logs(WEB, tail=10_000) as batches:
        while len(got) < 2000:
            got += (await next_of(batches)).lines
    for thread in threads:
        thread.join()

    assert [line.seq for line in got] == sorted({line.seq for line in got})
    for number in range(4):
        assert [line.text for line in got if line.stream == f"i{number}"] == [str(each) for each in range(500)]


async def test_an_empty_snapshot_comes_too_and_a_watch_ends_with_telemetry(home, clock):
    telemetry = await Telemetry.open(home, clock)
    async with telemetry.watch_logs(LogSelector(service_id="", kind=APP), tail=0) as batches:
        assert (await next_of(batches)).lines == ()
        telemetry.log("web", APP, "i", "last")
        await telemetry.close()
        assert [line.text for line in (await next_of(batches)).lines] == ["last"]
        with pytest.raises(StopAsyncIteration):
            await next_of(batches)
    telemetry.log("web", APP, "i", "too late")


async def test_a_watcher_that_is_too_slow_loses_the_oldest_lines_and_is_told(telemetry):
    async with telemetry.watch_logs(WEB) as batches:
        for number in range(12_000):
            telemetry.log("web", APP, "i", str(number))
        assert (await next_of(batches)).lines == ()
        batch = await next_of(batches)
        assert batch.dropped == 2_000
        assert batch.lines[0].text == "2000"
        assert (await next_of(batches)).dropped == 0


async def test_only_the_newest_lines_of_a_service_and_kind_are_kept(home, clock):
    storage = Storage(home.telemetry_db, clock, TelemetryDb.open_sound, "Logs and metrics")
    await storage.open()
    logs = Logs(storage, clock, 1, keep=dict.fromkeys(LogKind, 100))
    for number in range(1000):
        logs.log("loud", APP, "i", str(number))
    logs.log("quiet", APP, "j", "still here")
    logs.log("loud", LogKind.EVENTS, "", "still here")
    await logs.flush()
    await logs.trim()

    loud = await logs.query(LogQuery(selector=LogSelector(service_id="loud", kind=APP)))
    assert texts(loud) == [str(number) for number in range(900, 1000)]
    for selector in (
        LogSelector(service_id="quiet", kind=APP),
        LogSelector(service_id="loud", kind=LogKind.EVENTS),
    ):
        assert texts(await logs.query(LogQuery(selector=selector))) == ["still here"]
    await storage.close()


async def test_pruning_deletes_old_lines_and_those_of_forgotten_services(telemetry):
    for number in range(12_000):
        telemetry.log("web", APP, "i", str(number), at=float(number))
    telemetry.log("gone", APP, "g", "x", at=20_000.0)
    telemetry.log("gone", LogKind.EVENTS, "", "x", at=20_000.0)
    await telemetry.flush()
    await telemetry.forget("gone")
    await telemetry.prune(older_than=11_990.0)

    assert texts(await telemetry.query_logs(LogQuery(selector=WEB))) == [str(n) for n in range(11_990, 12_000)]
    for kind in LogKind:
        gone = LogSelector(service_id="gone", kind=kind)
        assert (await telemetry.query_logs(LogQuery(selector=gone))).lines == ()
    telemetry.log("gone", APP, "g", "back")
    await telemetry.flush()
    back = await telemetry.query_logs(LogQuery(selector=LogSelector(service_id="gone", kind=APP)))
    assert texts(back) == ["back"]


async def test_one_line_with_a_time_far_ahead_does_not_keep_older_ones_from_being_pruned(telemetry):
    telemetry.log("web", APP, "i", "the clock was wrong", at=9e9)
    telemetry.log("web", APP, "i", "old", at=1.0)
    await telemetry.flush()
    await telemetry.prune(older_than=2.0)

    assert texts(await telemetry.query_logs(LogQuery(selector=WEB))) == ["the clock was wrong"]


async def test_a_search_that_takes_too_long_says_what_to_do(telemetry, monkeypatch):
    async def slow(*_):
        raise TimeoutError

    monkeypatch.setattr(TelemetryDb, "find_lines", slow)
    with pytest.raises(EngineError, match="Choose a shorter time range"):
        await telemetry.query_logs(LogQuery(selector=WEB, search="x"))


async def test_a_full_disk_costs_nothing_but_the_oldest_lines_and_is_said_once(telemetry, caplog):
    caplog.set_level(logging.INFO)
    telemetry.log("web", APP, "i", "before")
    await telemetry.flush()
    writer = telemetry._storage._db._writer
    pages = (await writer.execute_fetchall("PRAGMA page_count"))[0][0]
    await writer.execute(f"PRAGMA max_page_count = {pages}")

    async with telemetry.watch_logs(WEB) as batches:
        await next_of(batches)
        for number in range(300):
            telemetry.log("web", APP, "i", "x" * 100 + str(number))
        await telemetry.flush()
        await telemetry.flush()
        assert len((await next_of(batches)).lines) == 300
    page = await telemetry.query_logs(LogQuery(selector=WEB))
    assert len(page.lines) == 301
    assert [record.message for record in caplog.records if "full" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1

    await writer.execute("PRAGMA max_page_count = 1000000")
    await telemetry.flush()
    assert caplog.records[-1].message == "Logs and metrics are stored again."
    assert len(telemetry._logs._buffer) == 0
    assert (await telemetry.query_logs(LogQuery(selector=WEB))).lines == page.lines
