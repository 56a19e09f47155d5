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
