"""audit.db: records come back as they were, in order, and leave a little at a time, changes last."""

import asyncio
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.model.audit import AuditQuery, AuditRecord
from engine.store.audit_db import AuditDb

ARN = "arn:aws:apprunner:us-east-1:000000000000:service/shop/" + "a" * 32
OTHER = "arn:aws:apprunner:us-east-1:000000000000:connection/hub-1/" + "b" * 32


def record(number=1, **changes):
    made = AuditRecord(
        id=f"id-{number}",
        at=float(number),
        source="apprunner.amazonaws.com",
        name="CreateService",
        read_only=False,
        refused=False,
        user="homerun",
        access_key_id="KEY",
        error_code="",
        resources=(ARN, OTHER),
        event='{"ü": "\\u0001"}',
    )
    return replace(made, **changes)


@pytest.fixture
async def db(tmp_path):
    db = await AuditDb.open(tmp_path / "audit.db")
    yield db
    await db.close()


async def seqs(db, **query):
    return [each.seq for each in await db.find(AuditQuery(**{"limit": 1000, **query}))]


async def test_records_come_back_as_they_were_newest_first(db):
    records = [
        record(1),
        record(2, read_only=True, resources=()),
        record(3, refused=True, error_code="X", resources=(ARN,)),
    ]
    assert await db.add(records) == 1
    assert await db.find(AuditQuery()) == [
        replace(each, seq=seq) for seq, each in reversed(list(enumerate(records, 1)))
    ]
    assert await db.add([record(4)]) == 4


async def test_records_are_there_after_opening_again(db, tmp_path):
    await db.add([record(1), record(2)])
    again = await AuditDb.open(tmp_path / "audit.db")
    assert await again.add([record(3)]) == 3
    assert await seqs(again) == [3, 2, 1]
    await again.close()


async def test_the_file_is_private(db, tmp_path):
    await db.add([record()])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


async def test_what_cannot_be_stored_whole_is_not_stored_at_all(db):
    with pytest.raises(sqlite3.Error):
        await db.add([record(1), record(2, event=None)])
    assert await seqs(db) == []
    assert await db.add([record(3)]) == 1


async def test_records_added_at_the_same_time_get_numbers_of_their_own(db):
    firsts = await asyncio.gather(*(db.add([record(n), record(n)]) for n in range(10)))
    assert sorted(firsts) == list(range(1, 21, 2))
    assert len(await seqs(db)) == 20


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        (ARN, True),
        (OTHER, True),
        ("shop", True),
        ("hub-1", True),
        ("sho", False),
        ("hop", False),
        (ARN[:-1], False),
        ("%", False),
        ("_", False),
    ],
)
async def test_a_resource_is_found_by_its_arn_or_its_name(db, resource, found):
    await db.add([record(1), record(2, resources=())])
    assert await seqs(db, resource=resource) == ([1] if found else [])


async def test_none_and_nothing_mean_any(db):
    await db.add([record(1, user=""), record(2)])
    assert await seqs(db) == [2, 1]
    assert await seqs(db, user="") == [1]


@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=25),
    keep=st.integers(0, 10),
    limit=st.integers(1, 7),
)
def test_dropping_keeps_all_changes_and_the_newest_of_the_rest(tmp_path_factory, kinds, keep, limit):
    async def dropped():
        db = await AuditDb.open(tmp_path_factory.mktemp("audit") / "audit.db")
        try:
            await db.add([record(n, read_only=r, error_code="No" * f) for n, (r, f) in enumerate(kinds, 1)])
            steps = [await db.drop(0.0, keep, limit)]
            while steps[-1]:
                steps.append(await db.drop(0.0, keep, limit))
            return steps, await seqs(db)
        finally:
            await db.close()

    steps, left = asyncio.run(dropped())
    minor = [n for n, (read_only, failed) in enumerate(kinds, 1) if read_only or failed]
    gone = minor[: max(len(minor) - keep, 0)]
    assert left == [n for n in range(len(kinds), 0, -1) if n not in gone]
    assert max(steps) <= limit
    assert sum(steps) == len(gone)


async def test_old_records_go_whatever_they_are_a_little_at_a_time(db):
    await db.add([record(n, read_only=n % 2 == 0) for n in range(1, 11)])
    assert await db.drop(8.0, 100, 3) == 3
    assert await seqs(db) == list(range(10, 3, -1))
    assert await db.drop(8.0, 100, 5) == 4
    assert await db.drop(8.0, 100, 5) == 0
    assert await seqs(db) == [10, 9, 8]


async def test_changes_are_found_among_many_reads(db):
    await db.add([record(n, read_only=n != 7) for n in range(1, 500)])
    assert await seqs(db, changes_only=True) == [7]


async def test_a_number_is_not_used_again_after_everything_was_dropped(db):
    await db.add([record(1), record(2)])
    await db.drop(10.0, 0, 100)
    assert await db.add([record(3)]) == 3


async def test_a_closed_database_answers_with_its_own_error(tmp_path):
    db = await AuditDb.open(tmp_path / "audit.db")
    await db.close()
    with pytest.raises(sqlite3.Error):
        await db.find(AuditQuery())
