"""The trail: changes on disk before they are answered, reads soon after, nothing lost, everything found and watched."""

import asyncio
import json
import sqlite3
import time

import pytest

from engine.audit.trail import Trail
from engine.control.trail import LookUp
from engine.model.actions.auto_scaling import (
    DeleteAutoScalingConfigurationRequest,
    DescribeAutoScalingConfigurationRequest,
)
from engine.model.actions.connection import CreateConnectionRequest, ProviderType
from engine.model.actions.table import ACTIONS
from engine.model.actions.trail import EventCategory, LookupAttribute, LookupEventsRequest, LookupKey
from engine.model.audit import AuditQuery, Caller, RefusedCall
from engine.model.errors import EngineError
from engine.store.audit_db import AuditDb

pytestmark = pytest.mark.slow

SCALING = f"arn:aws:apprunner:us-east-1:000000000000:autoscalingconfiguration/busy/1/{'b' * 32}"
CHANGES = AuditQuery(changes_only=True)


@pytest.fixture
def stored(tmp_path):
    """How many records another program sees in the file."""

    def count():
        connection = sqlite3.connect(tmp_path / "audit.db")
        try:
            return connection.execute("SELECT count(*) FROM call").fetchone()[0]
        finally:
            connection.close()

    return count


@pytest.fixture
def change(trail, caller):
    async def made(name="hub-1", *, by=caller, **error):
        request = CreateConnectionRequest(connection_name=name, provider_type=ProviderType.GITHUB)
        await trail.finished(ACTIONS[type(request)], by, request, None, **error)

    return made


@pytest.fixture
def read(trail, caller):
    async def made(arn=SCALING, *, by=caller):
        request = DescribeAutoScalingConfigurationRequest(auto_scaling_configuration_arn=arn)
        await trail.finished(ACTIONS[type(request)], by, request, None)

    return made


@pytest.fixture
def turn_away(trail):
    def made(name="DeleteService", *, read_only=False):
        trail.turned_away(
            RefusedCall(
                caller=Caller(user="", request_id="r"),
                source="apprunner.amazonaws.com",
                name=name,
                read_only=read_only,
                code="MissingAuthenticationTokenException",
                message="No.",
            )
        )

    return made


@pytest.fixture
def break_once(monkeypatch):
    """The disk refuses the next records, as often as said."""

    def broken(times=1):
        add, left = AuditDb.add, [times]

        async def failing(self, records):
            if left[0]:
                left[0] -= 1
                raise sqlite3.OperationalError("database or disk is full")
            return await add(self, records)

        monkeypatch.setattr(AuditDb, "add", failing)

    return broken


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


async def next_of(changes):
    return await asyncio.wait_for(anext(changes), 5)


def names(records):
    return [json.loads(record.event)["requestParameters"]["connectionName"] for record in records]


async def test_a_change_is_on_disk_before_it_is_answered(change, stored):
    await change()
    assert stored() == 1


async def test_a_change_that_was_refused_is_on_disk_too(change, stored, trail):
    await change(code="InvalidRequestException", message="No.")
    assert stored() == 1
    (record,) = await trail.find(AuditQuery())
    assert record.error_code == "InvalidRequestException"


async def test_reads_wait_for_each_other_and_are_stored_together(read, stored, clock, monkeypatch):
    batches, add = [], AuditDb.add

    async def counted(self, records):
        batches.append(len(records))
        return await add(self, records)

    monkeypatch.setattr(AuditDb, "add", counted)
    await until(lambda: True)
    for _ in range(5):
        await read()
    await until(lambda: clock.sleeping == 1)
    assert stored() == 0
    await clock.wake()
    await until(lambda: stored() == 5)
    assert batches == [5]


async def test_a_change_takes_the_reads_before_it_along_in_their_order(read, change, stored, trail):
    await read()
    await read()
    await change()
    assert stored() == 3
    assert [(each.seq, each.read_only) for each in await trail.find(AuditQuery())] == [(3, False), (2, True), (1, True)]


async def test_changes_at_the_same_time_are_all_kept(change, trail):
    await asyncio.gather(*(change(f"hub-{number}") for number in range(30)))
    found = await trail.find(AuditQuery())
    assert names(found[::-1]) == [f"hub-{number}" for number in range(30)]
    assert [each.seq for each in found] == list(range(30, 0, -1))
    assert len({each.id for each in found}) == 30


async def test_what_was_just_taken_is_found(read, turn_away, trail):
    await read()
    turn_away()
    assert len(await trail.find(AuditQuery())) == 2


async def test_closing_stores_what_waits(tmp_path, clock, caller):
    trail = await Trail.open(tmp_path / "audit.db", clock, "us-east-1")
    request = DescribeAutoScalingConfigurationRequest(auto_scaling_configuration_arn=SCALING)
    for _ in range(3):
        await trail.finished(ACTIONS[type(request)], caller, request, None)
    before = asyncio.all_tasks()
    await trail.close()
    assert len(before - asyncio.all_tasks()) == 1

    again = await Trail.open(tmp_path / "audit.db", clock, "us-east-1")
    assert len(await again.find(AuditQuery())) == 3
    await again.close()


async def test_a_failing_disk_keeps_records_for_later_and_says_so_once(
    *, read, change, stored, trail, break_once, caplog
):
    await read()
    break_once(times=2)
    await change("hub-1")
    await change("hub-2")
    assert stored() == 0
    assert caplog.text.count("kept in memory only") == 1
    await change("hub-3")
    assert stored() == 4
    assert names((await trail.find(CHANGES))[::-1]) == ["hub-1", "hub-2", "hub-3"]


async def test_a_disk_that_works_again_gets_what_waited_by_itself(change, stored, clock, break_once, caplog):
    break_once()
    await change()
    assert stored() == 0
    await until(lambda: clock.sleeping == 1)
    await clock.wake()
    await until(lambda: stored() == 1)
    assert "disk is full" in caplog.text


async def test_somebody_who_stops_looking_costs_no_record(read, trail, monkeypatch):
    await read()
    reached, add = asyncio.Event(), AuditDb.add

    async def slow(self, records):
        reached.set()
        await asyncio.sleep(0.02)
        return await add(self, records)

    monkeypatch.setattr(AuditDb, "add", slow)
    looking = asyncio.create_task(trail.find(AuditQuery()))
    await asyncio.wait_for(reached.wait(), 5)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    monkeypatch.undo()
    assert len(await trail.find(AuditQuery())) == 1


async def test_a_caller_that_goes_away_gets_its_change_recorded(change, stored, monkeypatch):
    reached, add = asyncio.Event(), AuditDb.add

    async def slow(self, records):
        reached.set()
        await asyncio.sleep(0.02)
        return await add(self, records)

    monkeypatch.setattr(AuditDb, "add", slow)
    calling = asyncio.create_task(change())
    await asyncio.wait_for(reached.wait(), 5)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await until(lambda: stored() == 1)


@pytest.fixture
async def mixed(change, read, turn_away, clock):
    """Four calls, a minute apart: a change, a read, a refusal, a change by somebody else."""
    await change("hub-1")
    clock.time += 60
    await read()
    clock.time += 60
    turn_away()
    clock.time += 60
    await change("hub-2", by=Caller(user="screen", access_key_id="", request_id="r-9"))


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ({}, [4, 3, 2, 1]),
        ({"name": "CreateConnection"}, [4, 1]),
        ({"name": "Nothing"}, []),
        ({"source": "apprunner.amazonaws.com"}, [4, 3, 2, 1]),
        ({"source": "logs.amazonaws.com"}, []),
        ({"user": "screen"}, [4]),
        ({"user": "unknown"}, [3]),
        ({"access_key_id": "HOMERUNAAA"}, [2, 1]),
        ({"resource": SCALING}, [2]),
        ({"resource": "busy"}, [2]),
        ({"resource": "usy"}, []),
        ({"read_only": True}, [2]),
        ({"read_only": False}, [4, 3, 1]),
        ({"changes_only": True}, [4, 3, 1]),
        ({"start": 1_800_000_060.0, "end": 1_800_000_120.0}, [3, 2]),
        ({"before_seq": 3}, [2, 1]),
        ({"limit": 2}, [4, 3]),
        ({"name": "CreateConnection", "user": "homerun"}, [1]),
    ],
)
async def test_records_are_found_by_each_attribute(trail, mixed, query, seqs):
    assert [each.seq for each in await trail.find(AuditQuery(**query))] == seqs


async def test_a_record_is_found_by_its_id(trail, mixed):
    everything = await trail.find(AuditQuery())
    for record in everything:
        assert await trail.find(AuditQuery(id=record.id)) == [record]


class TestWatch:
    async def test_a_watch_begins_with_what_there_is_and_goes_on_without_gap_or_repetition(self, trail, change, read):
        await change("hub-1")
        await read()
        async with trail.watch(AuditQuery()) as changes:
            first = await next_of(changes)
            assert first.snapshot
            assert [each.seq for each in first.records] == [1, 2]
            await change("hub-2")
            await change("hub-3")
            seen = []
            while len(seen) < 2:
                seen += (await next_of(changes)).records
            assert [each.seq for each in seen] == [3, 4]
        assert not trail._watchers

    async def test_records_taken_while_the_snapshot_is_looked_up_come_once(self, trail, change, monkeypatch):
        find = AuditDb.find

        async def and_one_more(self, query):
            monkeypatch.undo()
            found = await find(self, query)
            await change("meanwhile")
            return found

        await change("before")
        monkeypatch.setattr(AuditDb, "find", and_one_more)
        async with trail.watch(AuditQuery()) as changes:
            assert names((await next_of(changes)).records) == ["before"]
            assert names((await next_of(changes)).records) == ["meanwhile"]

    async def test_many_changes_at_the_same_time_as_a_watch_begins_come_once_and_in_order(self, trail, change):
        async def make():
            for number in range(40):
                await change(f"hub-{number}")

        making = asyncio.create_task(make())
        await asyncio.sleep(0.005)
        got = []
        async with trail.watch(AuditQuery(limit=1000)) as changes:
            while len(got) < 40:
                got += (await next_of(changes)).records
        await making
        assert names(got) == [f"hub-{number}" for number in range(40)]
        assert [each.seq for each in got] == list(range(1, 41))

    async def test_a_watch_of_changes_hears_of_changes_and_refusals_only(self, trail, change, read, turn_away):
        await read()
        await change("hub-1")
        async with trail.watch(CHANGES) as changes:
            assert [each.seq for each in (await next_of(changes)).records] == [2]
            await read()
            turn_away("ListServices", read_only=True)
            await change("hub-2")
            seen = []
            while len(seen) < 2:
                seen += (await next_of(changes)).records
            assert [(each.seq, each.name) for each in seen] == [(4, "ListServices"), (5, "CreateConnection")]

    async def test_an_empty_trail_has_an_empty_snapshot(self, trail, change):
        async with trail.watch(AuditQuery()) as changes:
            first = await next_of(changes)
            assert (first.snapshot, first.records) == (True, ())
            await change()
            second = await next_of(changes)
            assert (second.snapshot, len(second.records)) == (False, 1)

    async def test_the_snapshot_has_the_newest_and_ends_with_them(self, trail, change):
        for number in range(5):
            await change(f"hub-{number}")
        async with trail.watch(AuditQuery(limit=2)) as changes:
            assert names((await next_of(changes)).records) == ["hub-3", "hub-4"]

    async def test_a_watcher_sees_what_the_disk_refused_once_it_is_stored(self, trail, change, break_once, caplog):
        async with trail.watch(AuditQuery()) as changes:
            await next_of(changes)
            break_once()
            await change("hub-1")
            await change("hub-2")
            assert names((await next_of(changes)).records) == ["hub-1", "hub-2"]
        assert "kept in memory" in caplog.text


class TestTidy:
    async def test_records_leave_after_ninety_days(self, trail, change, clock):
        await change("old")
        clock.time += 30 * 86400
        await change("new")
        clock.time += 60 * 86400 + 1
        await trail.tidy()
        assert names(await trail.find(AuditQuery())) == ["new"]

    async def test_polling_does_not_push_changes_out(self, trail, change, read, turn_away, monkeypatch):
        monkeypatch.setattr("engine.audit.trail.KEEP_MINOR", 3)
        monkeypatch.setattr("engine.audit.trail._DROP_AT_ONCE", 2)
        await change("first")
        for _ in range(10):
            await read()
        turn_away()
        await trail.find(AuditQuery())
        await trail.tidy()
        left = await trail.find(AuditQuery())
        assert [each.seq for each in left] == [12, 11, 10, 1]


class TestLookUp:
    @pytest.fixture
    def look_up(self, trail):
        async def events(key=None, value="", **changes):
            attributes = (LookupAttribute(attribute_key=key, attribute_value=value),) if key else None
            return await LookUp(trail).lookup(LookupEventsRequest(lookup_attributes=attributes, **changes))

        return events

    async def test_an_event_is_shaped_as_cloudtrails(self, look_up, mixed):
        (event,) = (await look_up(LookupKey.RESOURCE_NAME, "busy")).events
        assert (event.event_name, event.event_source) == (
            "DescribeAutoScalingConfiguration",
            "apprunner.amazonaws.com",
        )
        assert (event.read_only, event.username, event.access_key_id) == ("true", "homerun", "HOMERUNAAA")
        assert event.event_time == 1_800_000_060.0
        (resource,) = event.resources
        assert (resource.resource_type, resource.resource_name) == (
            "AWS::AppRunner::AutoScalingConfiguration",
            SCALING,
        )
        assert json.loads(event.cloud_trail_event)["eventID"] == event.event_id

    @pytest.mark.parametrize(
        ("key", "value", "count"),
        [
            (LookupKey.EVENT_NAME, "CreateConnection", 2),
            (LookupKey.EVENT_SOURCE, "apprunner.amazonaws.com", 4),
            (LookupKey.USERNAME, "screen", 1),
            (LookupKey.ACCESS_KEY_ID, "HOMERUNAAA", 2),
            (LookupKey.RESOURCE_NAME, SCALING, 1),
            (LookupKey.RESOURCE_TYPE, "AWS::AppRunner::AutoScalingConfiguration", 1),
            (LookupKey.RESOURCE_TYPE, "AWS::EC2::Instance", 0),
            (LookupKey.READ_ONLY, "true", 1),
            (LookupKey.READ_ONLY, "false", 3),
            (LookupKey.EVENT_ID, "nothing", 0),
        ],
    )
    async def test_events_are_found_by_each_attribute(self, look_up, mixed, key, value, count):
        assert len((await look_up(key, value)).events) == count

    async def test_an_event_is_found_by_its_id(self, look_up, mixed):
        wanted = (await look_up()).events[1]
        assert (await look_up(LookupKey.EVENT_ID, wanted.event_id)).events == (wanted,)

    async def test_times_narrow_it_down(self, look_up, mixed):
        found = (await look_up(start_time=1_800_000_060.0, end_time=1_800_000_120.0)).events
        assert [each.event_time for each in found] == [1_800_000_120.0, 1_800_000_060.0]

    @pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
    async def test_pages_join_up_though_new_calls_come_in_between(self, look_up, change, size):
        for number in range(7):
            await change(f"hub-{number}")
        seen, token = [], None
        while True:
            answer = await look_up(max_results=size, next_token=token)
            seen += [
                json.loads(each.cloud_trail_event)["requestParameters"]["connectionName"] for each in answer.events
            ]
            token = answer.next_token
            if token is None:
                break
            await change("late")
        assert seen == [f"hub-{number}" for number in reversed(range(7))]

    @pytest.mark.parametrize(
        ("changes", "wire"),
        [
            ({"event_category": EventCategory.INSIGHT}, "InvalidEventCategoryException"),
            ({"start_time": 2.0, "end_time": 1.0}, "InvalidTimeRangeException"),
            ({"next_token": "nonsense"}, "InvalidNextTokenException"),
            ({"key": LookupKey.READ_ONLY, "value": "True"}, "InvalidLookupAttributesException"),
        ],
    )
    async def test_what_cannot_be_looked_up_is_refused_in_cloudtrails_words(self, look_up, changes, wire):
        with pytest.raises(EngineError) as caught:
            await look_up(**changes)
        assert caught.value.wire == wire

    async def test_one_attribute_at_a_time(self, trail):
        one = LookupAttribute(attribute_key=LookupKey.EVENT_NAME, attribute_value="x")
        with pytest.raises(EngineError) as caught:
            await LookUp(trail).lookup(LookupEventsRequest(lookup_attributes=(one, one)))
        assert caught.value.wire == "InvalidLookupAttributesException"

    async def test_a_token_beyond_every_record_is_refused(self, look_up):
        with pytest.raises(EngineError):
            await look_up(next_token="OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5")


async def test_deleting_is_told_with_what_it_was_about(trail, caller):
    request = DeleteAutoScalingConfigurationRequest(auto_scaling_configuration_arn=SCALING)
    await trail.finished(ACTIONS[type(request)], caller, request, None)
    (record,) = await trail.find(AuditQuery(resource=SCALING))
    assert record.name == "DeleteAutoScalingConfiguration"


async def test_a_damaged_file_is_moved_aside_and_calls_go_on_being_recorded(tmp_path, clock, caller, caplog):
    file = tmp_path / "audit.db"
    file.write_bytes(b"this is no database" * 1000)

    trail = await Trail.open(file, clock, "us-east-1")
    request = CreateConnectionRequest(connection_name="hub-1", provider_type=ProviderType.GITHUB)
    await trail.finished(ACTIONS[type(request)], caller, request, None)

    assert [record.name for record in await trail.find(AuditQuery())] == ["CreateConnection"]
    await trail.close()
    (moved,) = tmp_path.glob("audit.db.corrupt-*")
    assert moved.read_bytes().startswith(b"this is no database")
    assert "is damaged" in caplog.text


async def test_somebody_elses_lock_holds_up_no_change(tmp_path, change, trail):
    other = sqlite3.connect(tmp_path / "audit.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        await change("while-locked")
        assert time.monotonic() - began < 2
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert names(await trail.find(AuditQuery())) == ["while-locked"]


async def test_without_a_disk_changes_are_kept_before_all_others(change, read, trail, monkeypatch, break_once):
    monkeypatch.setattr("engine.audit.trail._WAITING_AT_MOST", 5)
    break_once(3)
    await change("first")
    for _ in range(20):
        await read()
    await change("second")
    await trail._flush()
    found = await trail.find(AuditQuery())
    assert names(r for r in found if not r.read_only) == ["second", "first"]
    assert len(found) <= 6


async def test_a_trail_that_cannot_be_read_never_says_that_nothing_happened(change, trail, monkeypatch):
    await change()

    async def refuse(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(AuditDb, "find", refuse)
    with pytest.raises(EngineError, match="cannot be read"):
        await trail.find(AuditQuery())
