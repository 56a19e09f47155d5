"""CloudWatch Logs over a real telemetry.db: names, pages that miss and repeat nothing, times, filters, retention."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.control.logs import RETENTION_DAYS, LogReader, retentions
from engine.model.actions.log import (
    DeleteRetentionPolicyRequest,
    DescribeLogGroupsRequest,
    DescribeLogStreamsRequest,
    FilterLogEventsRequest,
    GetLogEventsRequest,
    LogGroupClass,
    OrderBy,
    PutRetentionPolicyRequest,
)
from engine.model.errors import ErrorCode
from engine.model.log import LogGroup, LogKind, LogQuery, LogSelector
from engine.model.service import ServiceStatus

pytestmark = pytest.mark.slow

DAY = 86400
DEPLOYMENT, INSTANCE, OTHER_INSTANCE = "d" * 32, "1" * 32, "2" * 32
EVENTS_ARN = "arn:aws:logs:us-east-1:000000000000:log-group"


@pytest.fixture
def reader(account, telemetry):
    return LogReader(account, telemetry)


@pytest.fixture
async def shop(add_service):
    return await add_service("shop")


@pytest.fixture
def service_group(shop):
    return f"/aws/apprunner/shop/{shop.id}/service"


@pytest.fixture
def application_group(shop):
    return f"/aws/apprunner/shop/{shop.id}/application"


@pytest.fixture
def log(telemetry, clock, shop):
    """One line; it is stored at the next flush."""

    def one(kind, text, *, stream="", at=None, service=shop):
        telemetry.log(service.id, kind, stream, text, at=clock.time if at is None else at)

    return one


@pytest.fixture
async def lines(log, telemetry, clock, shop, add_service):
    """Thirty lines by turns in three streams of the service group, ten in one of the application's, some elsewhere."""
    other = await add_service("other")
    for number in range(30):
        at = clock.time - 100 + number
        match number % 3:
            case 0:
                log(LogKind.EVENTS, f"event {number}", at=at)
            case 1:
                log(LogKind.DEPLOYMENT, f"build {number}", stream=DEPLOYMENT, at=at)
            case 2:
                log(LogKind.DEPLOYMENT, f"build {number}", stream="e" * 32, at=at)
        if number >= 20:
            log(LogKind.APPLICATION, f"printed {number}", stream=INSTANCE, at=at)
            log(LogKind.EVENTS, "not for us", service=other, at=at)
    await telemetry.flush()


@pytest.fixture
def events(reader, service_group):
    async def got(stream="events", **changes):
        request = GetLogEventsRequest(**{"log_group_name": service_group, "log_stream_name": stream, **changes})
        return await reader.events(request)

    return got


@pytest.fixture
def found(reader, service_group):
    """All messages that a filter finds, over as many pages as it takes."""

    async def messages(**changes):
        seen, token = [], None
        for _ in range(100):
            request = FilterLogEventsRequest(**{"log_group_name": service_group, "next_token": token, **changes})
            answer = await reader.filter(request)
            assert len(answer.events) <= (changes.get("limit") or 10_000)
            seen += answer.events
            token = answer.next_token
            if token is None:
                break
        else:
            raise AssertionError("it never came to an end")
        assert len({each.event_id for each in seen}) == len(seen)
        return [each.message for each in seen]

    return messages


def messages_of(answer):
    return [each.message for each in answer.events]


class TestGroups:
    @pytest.fixture
    def groups(self, reader):
        async def got(**changes):
            return (await reader.groups(DescribeLogGroupsRequest(**changes))).log_groups

        return got

    async def test_a_service_has_a_group_for_itself_and_one_for_what_it_printed(
        self, groups, service_group, application_group, shop, lines
    ):
        found = {each.log_group_name: each for each in await groups() if shop.id in each.log_group_name}
        assert list(found) == [application_group, service_group]
        group = found[service_group]
        assert group.arn == f"{EVENTS_ARN}:{service_group}:*"
        assert group.log_group_arn == f"{EVENTS_ARN}:{service_group}"
        assert (group.creation_time, group.retention_in_days, group.log_group_class) == (1000, 14, "STANDARD")

    async def test_the_application_group_is_there_once_an_instance_has_printed(
        self, groups, log, telemetry, service_group, application_group
    ):
        assert [each.log_group_name for each in await groups()] == [service_group]
        log(LogKind.APPLICATION, "hello", stream=INSTANCE)
        await telemetry.flush()
        assert [each.log_group_name for each in await groups()] == [application_group, service_group]

    async def test_groups_can_be_picked(self, groups, service_group, application_group, lines):
        async def names(**wanted):
            return [each.log_group_name for each in await groups(**wanted)]

        assert await names(log_group_name_prefix="/aws/apprunner/shop/") == [application_group, service_group]
        assert await names(log_group_name_prefix="/aws/lambda") == []
        assert await names(log_group_name_pattern="shop") == [application_group, service_group]
        assert await names(log_group_identifiers=(service_group,)) == [service_group]
        assert await names(log_group_identifiers=(f"{EVENTS_ARN}:{service_group}:*",)) == [service_group]
        assert await names(log_group_identifiers=("/nothing",)) == []
        assert await names(log_group_class=LogGroupClass.INFREQUENT_ACCESS) == []

    async def test_a_prefix_and_a_pattern_together_are_refused(self, groups, refused):
        with refused(ErrorCode.INVALID_REQUEST, "either"):
            await groups(log_group_name_prefix="/aws", log_group_name_pattern="shop")

    async def test_pages_of_groups_join_up(self, reader, groups, lines):
        everything = await groups()
        seen, token = [], None
        while True:
            answer = await reader.groups(DescribeLogGroupsRequest(limit=1, next_token=token))
            seen += answer.log_groups
            token = answer.next_token
            if token is None:
                break
        assert tuple(seen) == everything
        assert len(seen) == 3


class TestStreams:
    @pytest.fixture
    def streams(self, reader, service_group):
        async def got(**changes):
            request = DescribeLogStreamsRequest(**{"log_group_name": service_group, **changes})
            return (await reader.streams(request)).log_streams

        return got

    async def test_streams_say_when_they_began_and_ended(self, streams, clock, lines, service_group):
        events = (await streams(log_stream_name_prefix="events"))[0]
        first, last = int(clock.time - 100) * 1000, int(clock.time - 73) * 1000
        assert (events.log_stream_name, events.first_event_timestamp, events.last_event_timestamp) == (
            "events",
            first,
            last,
        )
        assert events.arn == f"{EVENTS_ARN}:{service_group}:log-stream:events"

    async def test_streams_come_by_name_or_by_their_newest_line(self, streams, application_group, lines):
        names = ["deployment/" + DEPLOYMENT, "deployment/" + "e" * 32, "events"]
        by_time = ["events", *names[:2]]

        async def listed(**changes):
            return [each.log_stream_name for each in await streams(**changes)]

        assert await listed() == names
        assert await listed(descending=True) == names[::-1]
        assert await listed(order_by=OrderBy.LAST_EVENT_TIME) == by_time
        assert await listed(order_by=OrderBy.LAST_EVENT_TIME, descending=True) == by_time[::-1]
        assert await listed(log_stream_name_prefix="deployment/") == names[:2]
        assert await listed(log_group_name=application_group) == ["instance/" + INSTANCE]

    async def test_a_prefix_goes_with_the_order_by_name_only(self, streams, lines, refused):
        with refused(ErrorCode.INVALID_REQUEST, "logStreamNamePrefix"):
            await streams(order_by=OrderBy.LAST_EVENT_TIME, log_stream_name_prefix="e")

    async def test_pages_of_streams_join_up(self, reader, streams, lines, service_group):
        seen, token = [], None
        while True:
            answer = await reader.streams(
                DescribeLogStreamsRequest(log_group_name=service_group, limit=2, next_token=token)
            )
            seen += answer.log_streams
            token = answer.next_token
            if token is None:
                break
        assert tuple(seen) == await streams()


@pytest.mark.parametrize("where", ["log_group_name", "log_group_identifier"])
async def test_a_group_that_is_not_there_is_not_found(*, reader, shop, events, lines, refused, where):
    for name in (
        f"/aws/apprunner/shop/{shop.id}/nothing",
        f"/aws/apprunner/shop/{shop.id}/service/more",
        f"/aws/apprunner/other/{shop.id}/service",
        f"/aws/apprunner/shop/{'0' * 32}/service",
        "/aws/lambda/shop",
        "service",
    ):
        wanted = {"log_group_name": None, where: name}
        with refused(ErrorCode.RESOURCE_NOT_FOUND, "The specified log group does not exist"):
            await events(**wanted)
        with refused(ErrorCode.RESOURCE_NOT_FOUND, "The specified log group does not exist"):
            await reader.filter(FilterLogEventsRequest(**wanted))


async def test_a_group_is_named_in_one_way(events, service_group, lines, refused):
    arn = f"{EVENTS_ARN}:{service_group}"
    assert messages_of(await events(log_group_name=None, log_group_identifier=arn)) == messages_of(await events())
    for wanted in ({"log_group_name": None}, {"log_group_identifier": arn}):
        with refused(ErrorCode.INVALID_REQUEST, "either logGroupName or logGroupIdentifier"):
            await events(**wanted)


async def test_a_stream_that_is_not_there_is_not_found(events, lines, refused):
    others = ("deployment/", "deployment/" + "f" * 32, "instance/" + INSTANCE)
    for stream in ("nothing", "event", "events/", *others):
        with refused(ErrorCode.RESOURCE_NOT_FOUND, "The specified log stream does not exist"):
            await events(stream)


async def test_events_are_those_of_the_stream_with_their_times(events, application_group, clock, lines):
    answer = await events("instance/" + INSTANCE, log_group_name=application_group)
    assert messages_of(answer) == [f"printed {number}" for number in range(20, 30)]
    assert [each.timestamp for each in answer.events] == [int(clock.time - 100 + n) * 1000 for n in range(20, 30)]
    assert messages_of(await events()) == [f"event {number}" for number in range(0, 30, 3)]
    assert messages_of(await events("deployment/" + DEPLOYMENT)) == [f"build {n}" for n in range(1, 30, 3)]


async def test_the_newest_lines_come_first_unless_the_head_is_asked_for(events, lines):
    assert messages_of(await events(limit=2)) == ["event 24", "event 27"]
    assert messages_of(await events(limit=2, start_from_head=False)) == ["event 24", "event 27"]
    assert messages_of(await events(limit=2, start_from_head=True)) == ["event 0", "event 3"]


EVENT_LINES = [f"event {number}" for number in range(0, 30, 3)]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 12), turn=st.integers(0, 6))
async def test_paging_forward_and_back_visits_every_line_once(events, lines, size, turn):
    seen, answer = [], await events(limit=size, start_from_head=True)
    for _ in range(turn):
        seen += messages_of(answer)
        answer = await events(limit=size, next_token=answer.next_forward_token)
    while answer.events:
        seen += messages_of(answer)
        forward = answer.next_forward_token
        answer = await events(limit=size, next_token=forward)
    assert seen == EVENT_LINES
    assert (
        answer.next_forward_token == (await events(limit=size, next_token=answer.next_forward_token)).next_forward_token
    )

    back, answer = [], await events(limit=size, next_token=answer.next_backward_token)
    while answer.events:
        back = messages_of(answer) + back
        answer = await events(limit=size, next_token=answer.next_backward_token)
    assert back == EVENT_LINES
    again = await events(limit=size, next_token=answer.next_backward_token)
    assert again.next_backward_token == answer.next_backward_token
    assert messages_of(await events(limit=20, next_token=again.next_forward_token)) == EVENT_LINES


async def test_from_any_page_both_tokens_lead_to_its_neighbours(events, lines):
    middle = await events(limit=3, next_token=(await events(limit=3, start_from_head=True)).next_forward_token)
    assert messages_of(middle) == EVENT_LINES[3:6]
    assert messages_of(await events(limit=3, next_token=middle.next_forward_token)) == EVENT_LINES[6:9]
    assert messages_of(await events(limit=3, next_token=middle.next_backward_token)) == EVENT_LINES[:3]


async def test_the_forward_token_at_the_end_stays_and_finds_what_comes_later(events, log, telemetry, lines):
    end = await events()
    for _ in range(2):
        later = await events(next_token=end.next_forward_token)
        assert (messages_of(later), later.next_forward_token) == ([], end.next_forward_token)
    log(LogKind.EVENTS, "new")
    assert messages_of(await events(next_token=end.next_forward_token)) == ["new"]
    await telemetry.flush()
    new = await events(next_token=end.next_forward_token)
    assert messages_of(new) == ["new"]
    assert messages_of(await events(next_token=new.next_forward_token)) == []


async def test_a_range_without_lines_gives_tokens_that_go_on_working(events, lines, clock):
    empty = await events(start_time=int(clock.time) * 1000)
    assert messages_of(empty) == []
    assert messages_of(await events(next_token=empty.next_forward_token)) == EVENT_LINES
    assert messages_of(await events(next_token=empty.next_backward_token)) == []


async def test_times_include_the_start_and_not_the_end(events, clock, lines):
    start = int(clock.time - 100) * 1000
    assert messages_of(await events(start_time=start + 3000, end_time=start + 9000)) == ["event 3", "event 6"]
    assert messages_of(await events(start_time=start + 3001, end_time=start + 9001)) == ["event 6", "event 9"]
    assert messages_of(await events(end_time=start)) == []


async def test_a_token_that_was_never_given_out_is_refused(events, reader, service_group, lines, refused):
    zeros = "0" * 20
    for token in ("x", "f/", "f/1", "b/-" + zeros[1:], "f/" + "9" * 20, "f/" + "1" * 21, "f/" + "\u00b2" * 20, zeros):
        for ours in (token, token.replace("f", "a")):
            with refused(ErrorCode.INVALID_REQUEST, "nextToken is invalid"):
                await events(next_token=ours)
            with refused(ErrorCode.INVALID_REQUEST, "nextToken is invalid"):
                await reader.filter(FilterLogEventsRequest(log_group_name=service_group, next_token=ours))
    with refused(ErrorCode.INVALID_REQUEST, "nextToken is invalid"):
        await events(next_token="a/" + zeros)
    with refused(ErrorCode.INVALID_REQUEST, "nextToken is invalid"):
        await reader.filter(FilterLogEventsRequest(log_group_name=service_group, next_token="f/" + zeros))


async def test_an_answer_has_a_megabyte_at_most_and_at_least_one_line(events, log, telemetry, found):
    texts = [f"{number}" + "ü" * 15_000 for number in range(60)]
    for text in texts:
        log(LogKind.EVENTS, text)
    await telemetry.flush()
    newest = await events()
    oldest = await events(start_from_head=True)
    assert 30 <= len(newest.events) < 60
    assert sum(len(each.message.encode()) for each in newest.events) <= 1_048_576
    assert messages_of(newest)[-1] == texts[-1]
    assert messages_of(oldest)[0] == texts[0]
    rest = await events(next_token=oldest.next_forward_token)
    assert messages_of(oldest) + messages_of(rest) == texts[: len(oldest.events) + len(rest.events)]
    assert await found() == texts


async def test_an_empty_line_is_a_message_still(events, log, telemetry):
    log(LogKind.EVENTS, "first")
    log(LogKind.EVENTS, "")
    await telemetry.flush()
    assert messages_of(await events()) == ["first", " "]


class TestFilter:
    async def test_a_filter_goes_over_all_streams_of_the_group_in_order(self, found, reader, service_group, lines):
        everything = [f"build {number}" if number % 3 else f"event {number}" for number in range(30)]
        assert await found() == everything
        answer = await reader.filter(FilterLogEventsRequest(log_group_name=service_group, limit=3))
        assert [each.log_stream_name for each in answer.events] == [
            "events",
            "deployment/" + DEPLOYMENT,
            "deployment/" + "e" * 32,
        ]
        assert answer.searched_log_streams == ()

    @pytest.mark.parametrize("look", [1, 4, 10_000])
    async def test_small_pages_and_short_looks_miss_and_repeat_nothing(self, found, lines, monkeypatch, look):
        monkeypatch.setattr("engine.control.logs._LOOKED_AT_ONCE", look)
        for limit in (1, 2, 7, 29, 30, 31):
            assert await found(limit=limit) == [f"build {n}" if n % 3 else f"event {n}" for n in range(30)]
            assert await found(limit=limit, filter_pattern="build") == [f"build {n}" for n in range(30) if n % 3]
            assert await found(limit=limit, filter_pattern='"event 27"') == ["event 27"]
            assert await found(limit=limit, filter_pattern="nowhere") == []

    async def test_a_search_that_finds_little_goes_on_at_the_next_call(
        self, reader, found, service_group, lines, monkeypatch
    ):
        monkeypatch.setattr("engine.control.logs._LOOKED_AT_ONCE", 2)
        monkeypatch.setattr("engine.control.logs._LOOKS_AT_MOST", 2)
        pattern = '-build -"event 0"'
        first = await reader.filter(FilterLogEventsRequest(log_group_name=service_group, filter_pattern=pattern))
        assert len(first.events) < 9
        assert first.next_token is not None
        assert await found(filter_pattern=pattern) == EVENT_LINES[1:]

    async def test_a_filter_counts_case(self, found, log, telemetry):
        for text in ("ERROR one", "error two", "ÄRGER", "ärger"):
            log(LogKind.EVENTS, text)
        await telemetry.flush()
        assert await found(filter_pattern="ERROR") == ["ERROR one"]
        assert await found(filter_pattern="?Ä ?error") == ["error two", "ÄRGER"]

    async def test_a_filter_can_be_narrowed_to_streams(self, found, lines, refused):
        builds = [f"build {number}" for number in range(1, 30, 3)]
        assert await found(log_stream_names=("deployment/" + DEPLOYMENT,)) == builds
        assert await found(log_stream_names=("events", "deployment/" + "e" * 32), limit=2) == [
            f"build {n}" if n % 3 else f"event {n}" for n in range(30) if n % 3 != 1
        ]
        assert await found(log_stream_name_prefix="deployment/") == [f"build {n}" for n in range(30) if n % 3]
        assert await found(log_stream_name_prefix="nothing") == []
        with refused(ErrorCode.INVALID_REQUEST, "either logStreamNames or logStreamNamePrefix"):
            await found(log_stream_names=("events",), log_stream_name_prefix="e")

    async def test_times_include_both_ends(self, found, clock, lines):
        start = int(clock.time - 100) * 1000
        assert await found(start_time=start + 3000, end_time=start + 5000) == ["event 3", "build 4", "build 5"]
        assert await found(start_time=start + 3001, end_time=start + 4999) == ["build 4"]

    async def test_lines_within_the_last_millisecond_belong_to_it(self, found, log, telemetry):
        log(LogKind.EVENTS, "in", at=1000.0009)
        log(LogKind.EVENTS, "after", at=1000.0011)
        await telemetry.flush()
        assert await found(end_time=1_000_000) == ["in"]

    async def test_the_application_group_has_its_own_lines(self, found, application_group, lines):
        assert await found(log_group_name=application_group, limit=4) == [f"printed {n}" for n in range(20, 30)]

    async def test_lines_that_wait_to_be_stored_are_found(self, found, log):
        log(LogKind.EVENTS, "waiting")
        assert await found() == ["waiting"]

    @pytest.mark.parametrize("pattern", ["{ $.a = 1 }", '"open'])
    async def test_a_pattern_that_is_not_understood_is_refused(self, found, lines, refused, pattern):
        with refused(ErrorCode.INVALID_REQUEST):
            await found(filter_pattern=pattern)


class TestRetention:
    @pytest.fixture
    def keep(self, reader, service_group):
        async def put(days, group=service_group):
            request = PutRetentionPolicyRequest(log_group_name=group, retention_in_days=days)
            await reader.put_retention(request)

        return put

    @pytest.fixture
    def days(self, reader, shop):
        async def of_groups():
            answer = await reader.groups(DescribeLogGroupsRequest(log_group_name_prefix="/aws/apprunner/shop/"))
            return {each.log_group_name.rpartition("/")[2]: each.retention_in_days for each in answer.log_groups}

        return of_groups

    async def test_each_group_has_its_own_until_it_is_taken_away(
        self, *, reader, keep, days, lines, service_group, application_group
    ):
        await keep(3)
        await keep(365, application_group)
        assert await days() == {"application": 365, "service": 3}
        await keep(5)
        assert await days() == {"application": 365, "service": 5}
        await reader.delete_retention(DeleteRetentionPolicyRequest(log_group_name=service_group))
        assert await days() == {"application": 365, "service": 14}
        await reader.delete_retention(DeleteRetentionPolicyRequest(log_group_name=service_group))

    @pytest.mark.parametrize("number", [0, 2, 15, 10_000, -1])
    async def test_other_numbers_of_days_are_refused(self, keep, days, lines, refused, number):
        with refused(ErrorCode.INVALID_REQUEST, f"not {number}"):
            await keep(number)
        assert (await days())["service"] == 14

    async def test_cloudwatchs_numbers_of_days_are_taken(self, keep, days, lines):
        for number in sorted(RETENTION_DAYS):
            await keep(number)
            assert (await days())["service"] == number

    async def test_a_group_that_is_not_there_keeps_nothing(self, reader, keep, refused):
        with refused(ErrorCode.RESOURCE_NOT_FOUND):
            await keep(3, "/aws/apprunner/none/" + "0" * 32 + "/service")
        with refused(ErrorCode.RESOURCE_NOT_FOUND):
            await reader.delete_retention(DeleteRetentionPolicyRequest(log_group_name="/aws/lambda/x"))

    async def test_the_times_follow_from_the_policies(self, shop, add_service):
        kept = await add_service("kept", retention={LogGroup.SERVICE: 3, LogGroup.APPLICATION: 30})
        half = await add_service("half", retention={LogGroup.APPLICATION: 1})
        assert retentions([shop, kept, half], now=100.0 * DAY) == {
            kept.id: {
                LogKind.EVENTS: 97.0 * DAY,
                LogKind.DEPLOYMENT: 97.0 * DAY,
                LogKind.APPLICATION: 70.0 * DAY,
            },
            half.id: {LogKind.APPLICATION: 99.0 * DAY},
        }

    async def test_pruning_keeps_to_the_policy_of_each_group(
        self, *, keep, log, telemetry, store, clock, application_group, add_service
    ):
        other = await add_service("other")
        for age in (400, 20, 10, 2, 0):
            at = clock.time - age * DAY
            log(LogKind.EVENTS, str(age), at=at)
            log(LogKind.DEPLOYMENT, str(age), stream=DEPLOYMENT, at=at)
            log(LogKind.APPLICATION, str(age), stream=INSTANCE, at=at)
            log(LogKind.EVENTS, str(age), at=at, service=other)
        await telemetry.flush()
        await keep(3)
        await keep(30, application_group)
        await telemetry.prune(clock.time - 14 * DAY, retentions(store.services.values(), clock.time))

        async def ages(service, kind):
            page = await telemetry.query_logs(LogQuery(selector=LogSelector(service_id=service.id, kind=kind)))
            return [int(line.text) for line in page.lines]

        shop = store.named("shop")
        assert await ages(shop, LogKind.EVENTS) == [2, 0]
        assert await ages(shop, LogKind.DEPLOYMENT) == [2, 0]
        assert await ages(shop, LogKind.APPLICATION) == [20, 10, 2, 0]
        assert await ages(other, LogKind.EVENTS) == [10, 2, 0]


async def test_a_deleted_services_groups_stay_while_it_is_known(reader, put, shop, lines):
    await put(replace(shop, status=ServiceStatus.DELETED))
    answer = await reader.groups(DescribeLogGroupsRequest(log_group_name_prefix="/aws/apprunner/shop/"))
    assert len(answer.log_groups) == 2
