"""telemetry.db: what is stored is found again, in whole transactions, and goes a little at a time."""

import random
import sqlite3
from functools import reduce

import pytest

from engine.model.log import LogKind, LogLine, LogQuery, LogSelector
from engine.model.metric import MetricName
from engine.store.cell import Cell, added, same_second
from engine.store.telemetry_db import RESOLUTIONS, TelemetryDb

APP = LogKind.APPLICATION
EVERYTHING = LogSelector(service_id="", kind=APP)


@pytest.fixture
async def db(tmp_path):
    db = await TelemetryDb.open(tmp_path / "telemetry.db")
    yield db
    await db.close()


def line(seq, text="x", *, service_id="web", kind=APP, stream="i1", at=0.0):
    return LogLine(seq=seq, at=at, service_id=service_id, kind=kind, stream=stream, text=text)


async def find(db, selector=EVERYTHING, **query):
    return await db.find_lines(LogQuery(selector=selector, **query), 1000, 30.0)


async def count(db, sql):
    return next(iter(await db._writer.execute_fetchall(sql)))[0]


async def test_lines_come_back_as_they_were(db):
    lines = [
        line(1, "one"),
        line(2, "zwei ü 🙂", stream="i2", at=1.5),
        line(5, "", service_id="other", at=2.0),
    ]
    assert await db.add_lines(lines, {}, now=3.0) == 3
    assert await find(db) == lines
    assert await db.next_seq() == 6


async def test_storing_lines_again_changes_nothing(db):
    await db.add_lines([line(1), line(2)], {"i1": 4}, now=0.0)
    await db.add_lines([line(1), line(2)], {"i1": 4}, now=0.0)
    assert len(await find(db)) == 2


async def test_lines_and_positions_are_stored_together_or_not_at_all(db):
    await db.add_lines([line(1)], {"i1": 10}, now=0.0)
    with pytest.raises(sqlite3.Error):
        await db.add_lines([line(2, stream="new")], {"i1": {}}, now=0.0)

    assert [each.seq for each in await find(db)] == [1]
    assert await db.positions() == {"i1": 10}
    assert await db.next_seq() == 2
    await db.add_lines([line(2, stream="new")], {"i1": 20}, now=0.0)  # its subject went with the failed transaction
    assert [each.stream for each in await find(db)] == ["i1", "new"]
    assert await db.positions() == {"i1": 20}


async def test_positions_go_when_nobody_follows_any_more(db):
    await db.add_lines([], {"old": 1, "followed": 2}, now=100.0)
    await db.add_lines([], {"new": 3}, now=200.0)
    await db.drop_positions({"followed"}, older_than=150.0)
    assert await db.positions() == {"followed": 2, "new": 3}


async def test_the_newest_lines_of_one_service_and_kind_stay(db):
    await db.add_lines([line(seq, service_id=f"s{seq % 2}") for seq in range(1, 101)], {}, now=0.0)
    selector = LogSelector(service_id="s0", kind=APP)

    assert await db.drop_beyond("s0", APP, keep=10, limit=30) == 30
    assert await db.drop_beyond("s0", APP, keep=10, limit=30) == 10
    assert await db.drop_beyond("s0", APP, keep=10, limit=30) == 0
    assert await db.drop_beyond("unknown", APP, keep=10, limit=30) == 0
    assert [each.seq for each in await find(db, selector)] == list(range(82, 101, 2))
    assert len(await find(db)) == 60


async def test_old_lines_go_in_steps(db):
    await db.add_lines([line(seq, at=float(seq)) for seq in range(1, 11)], {}, now=0.0)
    assert await db.drop_older(6.0, 0, 4, ()) == 4
    assert await db.drop_older(6.0, 4, 4, ()) == 8
    assert await db.drop_older(6.0, 8, 4, ()) == 0
    assert [each.seq for each in await find(db)] == [6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("selector", "index"),
    [
        (LogSelector(service_id="web", kind=APP), "INDEX log_of_service (service=? AND kind=? AND seq<?)"),
        (LogSelector(service_id="", kind=LogKind.EVENTS), "INDEX log_of_kind (kind=? AND seq<?)"),
        (EVERYTHING, "INTEGER PRIMARY KEY (rowid<?)"),
    ],
)
async def test_a_page_is_found_without_reading_what_is_not_on_it(db, monkeypatch, selector, index):
    plans = []
    fetch = db._log_reader.fetch

    async def explained(sql, values, timeout_s):
        plans.extend(row[3] for row in await fetch("EXPLAIN QUERY PLAN " + sql, values, timeout_s))
        return []

    monkeypatch.setattr(db._log_reader, "fetch", explained)
    await find(db, selector, before_seq=100)
    assert any(index in plan for plan in plans), plans


async def test_cells_added_in_any_pieces_are_the_same_at_every_resolution(db):
    rng = random.Random(1)
    cells: dict[int, Cell] = {}
    first = 0
    for _ in range(60):
        batch = {}
        for _ in range(5):
            second = 7200 + rng.randrange(7200)
            cell = Cell(
                requests=rng.randrange(9),
                latency={rng.randrange(5): 1},
                samples=1,
                cpu_percent=float(rng.randrange(100)),
                active_instances=rng.randrange(4),
            )
            key = ("web", "", second)
            batch[key] = same_second(batch[key], cell) if key in batch else cell
            cells[second] = same_second(cells[second], cell) if second in cells else cell
        await db.add_cells(batch, now=0.0)
        first = first or min(cells)

    for resolution in RESOLUTIONS:
        for step in (resolution, resolution * 2):
            found, since = await db.cells(
                "web",
                "",
                resolution=resolution,
                start=7200,
                end=14400,
                step=step,
                metrics=(MetricName.LATENCY_P50,),
            )
            expected: dict[int, list[Cell]] = {}
            for second, cell in cells.items():
                expected.setdefault((second - 7200) // step, []).append(cell)
            assert found == {number: reduce(added, group) for number, group in expected.items()}
            assert since == first


async def test_parts_of_one_second_keep_its_peak_and_seconds_add_theirs(db):
    for second, in_flight in ((60, 3.0), (60, 5.0), (61, 2.0)):
        await db.add_cells({("web", "", second): Cell(in_flight=in_flight, edge_seconds=1)}, now=0.0)
    found, _ = await db.cells("web", "", resolution=1, start=60, end=62, step=1, metrics=())
    assert [(cell.in_flight, cell.edge_seconds) for cell in found.values()] == [(5.0, 1), (2.0, 1)]

    for second in range(120, 130):
        await db.add_cells({("web", "", second): Cell(in_flight=2.0, edge_seconds=1)}, now=0.0)
    found, _ = await db.cells("web", "", resolution=60, start=120, end=180, step=60, metrics=())
    assert (found[0].in_flight, found[0].edge_seconds) == (20.0, 10)


async def test_old_cells_go_in_steps(db):
    for second in range(50):
        await db.add_cells({(service, "", second): Cell(requests=1) for service in "ab"}, now=0.0)
    deleted = []
    while not deleted or deleted[-1]:
        deleted.append(await db.drop_cells(1, before=40, limit=30))
    assert sum(deleted) == 80
    assert max(deleted) <= 32
    assert await count(db, "SELECT min(at) FROM metric WHERE resolution = 1") == 40


async def test_a_forgotten_service_goes_in_steps_and_leaves_the_others(db):
    await db.add_lines([line(seq, service_id="ab"[seq % 2], stream=f"i{seq % 4}") for seq in range(1, 41)], {}, now=0.0)
    await db.add_cells({(name, "", 60 * minute): Cell(requests=1) for name in "ab" for minute in range(20)}, now=0.0)
    await db.forget("a")
    assert await db.forgotten() == ["a"]
    steps = 0
    while await db.drop_forgotten("a", 10):
        steps += 1

    assert steps > 3
    assert await db.forgotten() == []
    assert {each.service_id for each in await find(db)} == {"b"}
    assert await count(db, "SELECT count(*) FROM subject WHERE service_id = 'a'") == 0
    assert await count(db, "SELECT count(*) FROM metric WHERE resolution = 60") == 20
    found, _ = await db.cells("b", "", resolution=60, start=0, end=1200, step=1200, metrics=())
    assert found[0].requests == 20


async def test_names_that_nobody_writes_any_more_go(db):
    await db.add_lines([line(1)], {}, now=100.0)
    await db.add_lines([line(2, service_id="new")], {}, now=200.0)
    await db.drop_subjects(unseen_since=150.0)
    assert await count(db, "SELECT count(*) FROM subject") == 2
    await db.add_lines([line(3)], {}, now=300.0)
    assert [each.seq for each in await find(db, LogSelector(service_id="web", kind=APP))] == [3]


async def test_the_file_is_private(db, tmp_path):
    await db.add_lines([line(1)], {}, now=0.0)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
