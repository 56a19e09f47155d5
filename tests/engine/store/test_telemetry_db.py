"""telemetry.db: what is stored is found again, in whole transactions, and goes a little at a time."""

import random
import sqlite3
from functools import reduce

import pytest

from engine.model.log import LogKind, LogLine, LogQuery, LogSelector, LogStream
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


async def test_old_lines_of_some_services_stay(db):
    await db.add_lines(
        [line(seq, service_id=("web", "kept", "also")[seq % 3], at=float(seq)) for seq in range(1, 13)], {}, now=0.0
    )
    seq, steps = 0, []
    while seq := await db.drop_older(10.0, seq, 5, {"kept", "also", "unknown"}):
        steps.append(seq)
    assert steps == [5, 10]
    assert [each.seq for each in await find(db) if each.service_id == "web"] == [12]
    assert len(await find(db)) == 9


async def test_lines_that_are_kept_do_not_hide_old_ones_behind_them(db):
    kept = [line(seq, service_id="kept", at=0.0) for seq in range(1, 21)]
    await db.add_lines([*kept, line(21, at=1.0), line(22, at=9.0)], {}, now=0.0)
    seq = 0
    while seq := await db.drop_older(5.0, seq, 4, {"kept"}):
        pass
    assert [each.seq for each in await find(db)] == [*range(1, 21), 22]


async def test_a_name_like_a_list_of_services_is_one_name(db):
    await db.add_lines([line(1, service_id='a", "web'), line(2)], {}, now=0.0)
    await db.drop_older(5.0, 0, 10, {'a", "web'})
    assert [each.seq for each in await find(db)] == [1]


async def test_old_lines_of_one_kind_of_a_service_go_in_steps(db):
    lines = [
        line(seq, service_id=("web", "other")[seq % 2], kind=(APP, LogKind.EVENTS)[seq % 4 // 2], at=float(seq))
        for seq in range(1, 41)
    ]
    await db.add_lines(lines, {}, now=0.0)
    steps = [0]
    while len(steps) == 1 or steps[-1]:
        steps.append(await db.drop_older_of("web", APP, 30.0, steps[-1], 3))
    doomed = [each for each in lines if each.service_id == "web" and each.kind is APP and each.at < 30.0]
    assert len(doomed) > 3
    assert steps == [*sorted(steps[:-1]), 0], "each step goes on where the one before has ended"
    assert len(steps) - 2 == -(-len(doomed) // 3), "none looks at more lines than it may"
    for kind in (APP, LogKind.EVENTS):
        left = await find(db, LogSelector(service_id="", kind=kind))
        assert left == [each for each in lines if each not in doomed and each.kind is kind]
    assert await db.drop_older_of("unknown", APP, 30.0, 0, 3) == 0


async def test_the_time_of_a_line_is_what_counts_and_not_its_place(db):
    await db.add_lines([line(1, at=99.0), line(2, at=1.0), line(3, at=50.0)], {}, now=0.0)
    assert await db.drop_older_of("web", APP, 50.0, 0, 10) == 3
    assert [each.seq for each in await find(db)] == [1, 3]


async def test_the_streams_of_a_service_are_told_with_their_first_and_last_line(db):
    await db.add_lines(
        [
            line(1, stream="i2", at=1.0),
            line(2, stream="i1", at=2.0),
            line(3, stream="i2", at=3.0),
            line(4, stream="d1", kind=LogKind.DEPLOYMENT, at=4.0),
            line(5, stream="", kind=LogKind.EVENTS, at=5.0),
            line(6, stream="", kind=LogKind.EVENTS, at=6.0),
            line(7, stream="i3", service_id="other", at=7.0),
        ],
        {},
        now=0.0,
    )
    assert await db.streams("web", APP) == [
        LogStream(kind=APP, stream="i2", first_at=1.0, last_at=3.0),
        LogStream(kind=APP, stream="i1", first_at=2.0, last_at=2.0),
    ]
    assert await db.streams("web", LogKind.EVENTS) == [
        LogStream(kind=LogKind.EVENTS, stream="", first_at=5.0, last_at=6.0)
    ]
    assert [each.stream for each in await db.streams("web", LogKind.DEPLOYMENT)] == ["d1"]
    assert await db.streams("other", LogKind.EVENTS) == []
    assert await db.streams("unknown", APP) == []


async def test_a_stream_leaves_with_its_last_line(db):
    await db.add_lines([line(1, at=1.0), line(2, stream="i2", at=2.0), line(3, stream="i2", at=3.0)], {}, now=0.0)
    await db.drop_older_of("web", APP, 2.5, 0, 10)
    assert await db.streams("web", APP) == [LogStream(kind=APP, stream="i2", first_at=3.0, last_at=3.0)]


async def test_services_with_a_kind_are_those_that_have_lines_of_it(db):
    await db.add_lines(
        [line(1), line(2, service_id="other", kind=LogKind.EVENTS), line(3, service_id="both")], {}, now=0
    )
    await db.add_lines([line(4, service_id="both", kind=LogKind.EVENTS)], {}, now=0)
    await db.add_cells({("measured", "", 60): Cell(requests=1)}, now=0.0)
    assert await db.services_with(APP) == {"web", "both"}
    assert await db.services_with(LogKind.EVENTS) == {"other", "both"}
    assert await db.services_with(LogKind.DEPLOYMENT) == set()
    await db.drop_older_of("web", APP, 10.0, 0, 10)
    assert await db.services_with(APP) == {"both"}


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
