"""Telemetry never keeps the engine from starting, whatever became of its file."""

import asyncio
import os

import pytest

from engine.model.log import LogKind, LogQuery, LogSelector
from engine.telemetry import Telemetry

WEB = LogSelector(service_id="web", kind=LogKind.EVENTS)


async def test_a_file_that_is_no_database_is_moved_aside(home, clock, caplog):
    home.telemetry_db.write_bytes(b"this is no database" * 1000)
    telemetry = await Telemetry.open(home, clock)
    telemetry.log("web", LogKind.EVENTS, "", "works")
    await telemetry.flush()

    assert [line.text for line in (await telemetry.query_logs(LogQuery(selector=WEB))).lines] == ["works"]
    await telemetry.close()
    (moved,) = home.path.glob("telemetry.db.corrupt-*")
    assert moved.read_bytes().startswith(b"this is no database")
    assert "is damaged" in caplog.text
    assert home.telemetry_db.stat().st_mode & 0o777 == 0o600


async def test_damage_found_while_running_starts_a_new_file_and_keeps_what_waits(home, clock, caplog):
    telemetry = await Telemetry.open(home, clock)
    for number in range(2000):
        telemetry.log("web", LogKind.EVENTS, "", f"{number} " + "x" * 100)
    await telemetry.close()
    with home.telemetry_db.open("r+b") as file:  # the schema and the newest lines are fine: it opens
        file.seek(4096 * 20)
        file.write(os.urandom(4096 * 20))

    telemetry = await Telemetry.open(home, clock)
    assert "is damaged" not in caplog.text
    for round_ in range(3):
        telemetry.log("web", LogKind.EVENTS, "", f"new {round_}")
        await telemetry.flush()
        await telemetry.query_logs(LogQuery(selector=WEB, search="needle"))
    page = await telemetry.query_logs(LogQuery(selector=WEB, search="new "))
    await telemetry.close()

    assert [line.text for line in page.lines][-1] == "new 2"
    assert len(list(home.path.glob("telemetry.db.corrupt-*"))) == 1
    assert "is damaged" in caplog.text


async def test_without_its_file_telemetry_works_in_memory_and_stores_as_soon_as_it_can(home, clock, caplog):
    home.telemetry_db.mkdir()  # something stands in its place
    telemetry = await Telemetry.open(home, clock)
    telemetry.log("web", LogKind.EVENTS, "", "kept")
    assert [line.text for line in (await telemetry.query_logs(LogQuery(selector=WEB))).lines] == ["kept"]
    await telemetry.flush()
    assert caplog.text.count("kept in memory only") == 1

    home.telemetry_db.rmdir()
    for _ in range(200):
        await clock.advance(6.0)
        if not telemetry._storage.failing:
            break
        await asyncio.sleep(0.01)
    await telemetry.close()
    again = await Telemetry.open(home, clock)
    assert [line.text for line in (await again.query_logs(LogQuery(selector=WEB))).lines] == ["kept"]
    await again.close()


async def test_opening_and_closing_leaves_no_task_behind(home, clock):
    before = asyncio.all_tasks()
    telemetry = await Telemetry.open(home, clock)
    await telemetry.close()
    assert asyncio.all_tasks() == before


async def test_cancelling_a_search_ends_it_and_the_next_one_works(telemetry):
    for number in range(5_000):
        telemetry.log("web", LogKind.EVENTS, "", f"line {number}")
    await telemetry.flush()
    reader = telemetry._storage._db._log_reader
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    search = asyncio.create_task(reader.fetch(endless))
    await asyncio.sleep(0.05)
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(search, 2)
    with pytest.raises(TimeoutError):
        await reader.fetch(endless, timeout_s=0.05)

    page = await telemetry.query_logs(LogQuery(selector=WEB, search="line 4999"))
    assert len(page.lines) == 1


async def test_questions_under_way_while_telemetry_closes_are_answered(home, clock, caplog):
    telemetry = await Telemetry.open(home, clock)
    telemetry.log("web", LogKind.EVENTS, "", "line")
    await telemetry.flush()
    questions = [asyncio.create_task(telemetry.query_logs(LogQuery(selector=WEB))) for _ in range(10)]
    await asyncio.sleep(0)
    await telemetry.close()
    await asyncio.gather(*questions)
    await telemetry.close()
    assert caplog.records == []


async def kept(telemetry, service_id, kind):
    page = await telemetry.query_logs(LogQuery(selector=LogSelector(service_id=service_id, kind=kind), limit=10_000))
    return [int(line.text) for line in page.lines]


async def test_pruning_keeps_to_the_times_of_single_services(telemetry):
    for number in range(10):
        for service_id in ("plain", "long", "short", "half"):
            for kind in LogKind:
                telemetry.log(service_id, kind, "s", str(number), at=float(number))
    await telemetry.flush()
    await telemetry.prune(
        5.0,
        {
            "long": dict.fromkeys(LogKind, 2.0),
            "short": dict.fromkeys(LogKind, 8.0),
            "half": {LogKind.APPLICATION: 1.0},
            "unknown": {LogKind.EVENTS: 9.0},
        },
    )
    for kind in LogKind:
        assert await kept(telemetry, "plain", kind) == list(range(5, 10))
        assert await kept(telemetry, "long", kind) == list(range(2, 10))
        assert await kept(telemetry, "short", kind) == list(range(8, 10))
    assert await kept(telemetry, "half", LogKind.EVENTS) == list(range(5, 10))
    assert await kept(telemetry, "half", LogKind.APPLICATION) == list(range(1, 10))


async def test_pruning_a_single_service_takes_as_many_steps_as_it_needs(telemetry, monkeypatch):
    monkeypatch.setattr("engine.telemetry.telemetry._PRUNE_AT_ONCE", 10)
    for number in range(55):
        telemetry.log("short", LogKind.EVENTS, "", str(number), at=float(number))
        telemetry.log("plain", LogKind.EVENTS, "", str(number), at=float(number))
    await telemetry.flush()
    await telemetry.prune(20.0, {"short": dict.fromkeys(LogKind, 45.0)})
    assert await kept(telemetry, "short", LogKind.EVENTS) == list(range(45, 55))
    assert await kept(telemetry, "plain", LogKind.EVENTS) == list(range(20, 55))


async def test_one_line_with_a_time_far_ahead_does_not_keep_older_ones_of_its_service(telemetry, monkeypatch):
    monkeypatch.setattr("engine.telemetry.telemetry._PRUNE_AT_ONCE", 10)
    telemetry.log("short", LogKind.EVENTS, "", "999", at=9e9)
    for number in range(30):
        telemetry.log("short", LogKind.EVENTS, "", str(number), at=float(number))
    await telemetry.flush()
    await telemetry.prune(0.0, {"short": dict.fromkeys(LogKind, 25.0)})
    assert await kept(telemetry, "short", LogKind.EVENTS) == [999, *range(25, 30)]
