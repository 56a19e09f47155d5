"""Log groups and streams as CloudWatch Logs has them: what the names mean, pages of lines, and how long they are kept.

A group is `/aws/apprunner/<name>/<id>/service` with the streams `events` and `deployment/<32 hex>`, or `…/application`
with `instance/<32 hex>`, which appears once an instance has printed something.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from itertools import islice

from msgspec.structs import replace

from engine.control.account import Account
from engine.control.log_filter import LogFilter, parse_filter
from engine.control.paging import page
from engine.model.actions.log import (
    DeleteRetentionPolicyRequest,
    DeleteRetentionPolicyResponse,
    DescribeLogGroupsRequest,
    DescribeLogGroupsResponse,
    DescribeLogStreamsRequest,
    DescribeLogStreamsResponse,
    FilteredLogEvent,
    FilterLogEventsRequest,
    FilterLogEventsResponse,
    GetLogEventsRequest,
    GetLogEventsResponse,
    LiveTailGroup,
    LogGroupClass,
    LogGroupShape,
    LogStreamShape,
    OrderBy,
    OutputLogEvent,
    PutRetentionPolicyRequest,
    PutRetentionPolicyResponse,
    StartLiveTailRequest,
    StartLiveTailResponse,
)
from engine.model.base import Value
from engine.model.errors import EngineError, ErrorCode, invalid_request
from engine.model.ids import ACCOUNT_ID, PARTITION
from engine.model.log import LogGroup, LogKind, LogLine, LogQuery, LogSelector, LogStream
from engine.model.record import ServiceRecord
from engine.store.state import Transaction
from engine.telemetry.telemetry import Telemetry

RETENTION_DAYS = frozenset(
    {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)
"""What CloudWatch Logs accepts."""

_GROUP = re.compile(r"/aws/apprunner/[A-Za-z0-9_-]{4,40}/(?P<id>[0-9a-f]{32})/(?P<group>service|application)")
_KINDS = {LogGroup.SERVICE: (LogKind.EVENTS, LogKind.DEPLOYMENT), LogGroup.APPLICATION: (LogKind.APPLICATION,)}
_PREFIXES = {LogKind.EVENTS: "events", LogKind.DEPLOYMENT: "deployment/", LogKind.APPLICATION: "instance/"}
_PAGE = 50
_EVENTS = 10_000
_BYTES = 1_048_576
"""Of text in one answer, as CloudWatch has it."""
_LOOKED_AT_ONCE = 10_000
_LOOKS_AT_MOST = 20
"""A search that finds little hands out a token and goes on at the next call."""


class Group(Value, frozen=True, kw_only=True):
    service: ServiceRecord
    group: LogGroup

    @property
    def name(self) -> str:
        return f"/aws/apprunner/{self.service.name}/{self.service.id}/{self.group.value}"

    @property
    def kinds(self) -> tuple[LogKind, ...]:
        return _KINDS[self.group]


class LogReader:
    def __init__(self, account: Account, telemetry: Telemetry) -> None:
        self._account = account
        self._store = account.store
        self._telemetry = telemetry

    async def groups(self, request: DescribeLogGroupsRequest) -> DescribeLogGroupsResponse:
        prefix, part = request.log_group_name_prefix, request.log_group_name_pattern
        if prefix is not None and part is not None:
            raise invalid_request("Give either logGroupNamePrefix or logGroupNamePattern.")
        wanted = frozenset(request.log_group_identifiers or ())
        groups = [
            group
            for group in await self._all_groups()
            if group.name.startswith(prefix or "") and (part or "") in group.name
            if not wanted or not wanted.isdisjoint(self._identifiers(group))
            if request.log_group_class in (None, LogGroupClass.STANDARD)
        ]
        found, token = page(groups, request.next_token, request.limit or _PAGE)
        return DescribeLogGroupsResponse(log_groups=tuple(self._group(each) for each in found), next_token=token)

    async def streams(self, request: DescribeLogStreamsRequest) -> DescribeLogStreamsResponse:
        group = self._find(request.log_group_name, request.log_group_identifier)
        by_time = request.order_by is OrderBy.LAST_EVENT_TIME
        prefix = request.log_stream_name_prefix
        if by_time and prefix is not None:
            raise invalid_request("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = [each for each in await self._streams(group) if stream_name(each).startswith(prefix or "")]
        streams.sort(
            key=(lambda each: (each.last_at, stream_name(each)))
            if by_time
            else (lambda each: (0.0, stream_name(each))),
            reverse=bool(request.descending),
        )
        found, token = page(streams, request.next_token, request.limit or _PAGE)
        return DescribeLogStreamsResponse(
            log_streams=tuple(self._stream(group, each) for each in found), next_token=token
        )

    async def events(self, request: GetLogEventsRequest) -> GetLogEventsResponse:
        group = self._find(request.log_group_name, request.log_group_identifier)
        name = request.log_stream_name
        kind, stream = await self._known_stream(group, name)
        after, before = _cursor(request.next_token)
        forward = after is not None or (before is None and bool(request.start_from_head))
        limit = request.limit or _EVENTS
        answer = await self._telemetry.query_logs(
            LogQuery(
                selector=LogSelector(service_id=group.service.id, kind=kind, stream=stream),
                after_seq=after,
                before_seq=before,
                start=None if request.start_time is None else request.start_time / 1000,
                end=None if request.end_time is None else request.end_time / 1000,
                limit=limit,
                newest=not forward,
            )
        )
        lines = _within(answer.lines, newest=not forward)
        # Without lines the tokens stay where they are: what comes later is found by them.
        last = lines[-1].seq if lines else (after or 0) if before is None else before - 1
        first = lines[0].seq if lines else last + 1
        return GetLogEventsResponse(
            events=tuple(
                OutputLogEvent(timestamp=_ms(line), message=_message(line), ingestion_time=_ms(line)) for line in lines
            ),
            next_forward_token=f"f/{last:020}",
            next_backward_token=f"b/{first:020}",
        )

    async def filter(self, request: FilterLogEventsRequest) -> FilterLogEventsResponse:
        group = self._find(request.log_group_name, request.log_group_identifier)
        wants = _stream_test(request.log_stream_names, request.log_stream_name_prefix)
        pattern = parse_filter(request.filter_pattern or "")
        limit = request.limit or _EVENTS
        after = _after(request.next_token)
        found: list[LogLine] = []
        more = True
        for _ in range(_LOOKS_AT_MOST):
            lines, more = await self._look(group, request, pattern, after)
            found += await asyncio.to_thread(_matching, lines, wants, pattern, limit + 1 - len(found))
            after = lines[-1].seq if lines else after
            if not more or len(found) > limit:
                break
        kept = _within(found[:limit], newest=False)
        if len(kept) < len(found):
            after, more = kept[-1].seq, True
        return FilterLogEventsResponse(
            events=tuple(
                FilteredLogEvent(
                    log_stream_name=name_of(line.kind, line.stream),
                    timestamp=_ms(line),
                    message=_message(line),
                    ingestion_time=_ms(line),
                    event_id=f"{line.seq:056}",
                )
                for line in kept
            ),
            searched_log_streams=(),
            next_token=f"a/{after:020}" if more else None,
        )

    async def live_tail(self, request: StartLiveTailRequest) -> StartLiveTailResponse:
        """What the request wants followed; raises EngineError where it cannot be."""
        parse_filter(request.log_event_filter_pattern or "")
        one_group = len(request.log_group_identifiers) == 1
        if (request.log_stream_names or request.log_stream_name_prefixes) and not one_group:
            raise invalid_request("Streams can be chosen in one log group only.")
        if request.log_stream_names and request.log_stream_name_prefixes:
            raise invalid_request("Give either logStreamNames or logStreamNamePrefixes.")
        groups = {identifier: self._find(None, identifier) for identifier in request.log_group_identifiers}
        return StartLiveTailResponse(
            groups=tuple(
                LiveTailGroup(identifier=identifier, service_id=group.service.id, kinds=group.kinds)
                for identifier, group in groups.items()
            )
        )

    async def put_retention(self, request: PutRetentionPolicyRequest) -> PutRetentionPolicyResponse:
        if request.retention_in_days not in RETENTION_DAYS:
            raise invalid_request(
                f"retentionInDays must be one of {', '.join(map(str, sorted(RETENTION_DAYS)))},"
                f" not {request.retention_in_days}."
            )
        await self._set_retention(request.log_group_name, request.retention_in_days)
        return PutRetentionPolicyResponse()

    async def delete_retention(self, request: DeleteRetentionPolicyRequest) -> DeleteRetentionPolicyResponse:
        await self._set_retention(request.log_group_name, None)
        return DeleteRetentionPolicyResponse()

    async def _set_retention(self, name: str, days: int | None) -> None:
        group = self._find(name, None)

        def put(tx: Transaction) -> None:
            record = tx.service(group.service.id)
            others = {each: kept for each, kept in record.retention.items() if each is not group.group}
            tx.put(replace(record, retention=others if days is None else {**others, group.group: days}))

        await self._account.write(put)

    # How.

    async def _look(
        self, group: Group, request: FilterLogEventsRequest, pattern: LogFilter, after: int
    ) -> tuple[list[LogLine], bool]:
        """The next lines of all kinds in the group, in their order; whether there are more behind them."""
        pages = [
            await self._telemetry.query_logs(
                LogQuery(
                    selector=LogSelector(service_id=group.service.id, kind=kind),
                    search=pattern.hint,
                    after_seq=after,
                    start=None if request.start_time is None else request.start_time / 1000,
                    # What is stamped within the last millisecond belongs to it.
                    end=None if request.end_time is None else (request.end_time + 1) / 1000,
                    limit=_LOOKED_AT_ONCE,
                    newest=False,
                )
            )
            for kind in group.kinds
        ]
        lines = list(merge(*(each.lines for each in pages), key=lambda line: line.seq))
        # Beyond the end of a page that was cut there may be lines that were not seen.
        safe = min((each.lines[-1].seq for each in pages if each.more), default=None)
        return [line for line in lines if safe is None or line.seq <= safe], safe is not None

    async def _all_groups(self) -> list[Group]:
        printed = await self._telemetry.services_with(LogKind.APPLICATION)
        groups = [
            Group(service=service, group=group)
            for service in self._store.services.values()
            for group in LogGroup
            if group is LogGroup.SERVICE or service.id in printed
        ]
        return sorted(groups, key=lambda group: group.name)

    async def _streams(self, group: Group) -> list[LogStream]:
        return [stream for kind in group.kinds for stream in await self._telemetry.log_streams(group.service.id, kind)]

    def _find(self, name: str | None, identifier: str | None) -> Group:
        """Raises EngineError."""
        if (name is None) == (identifier is None):
            raise invalid_request("Give either logGroupName or logGroupIdentifier.")
        match = _GROUP.search(name or identifier or "")
        service = self._store.services.get(match["id"]) if match else None
        if match is not None and service is not None:
            group = Group(service=service, group=LogGroup(match["group"]))
            if (name or identifier) in self._identifiers(group)[: 1 if name else None]:
                return group
        raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, "The specified log group does not exist.")

    async def _known_stream(self, group: Group, name: str) -> tuple[LogKind, str]:
        for kind in group.kinds:
            prefix = _PREFIXES[kind]
            if name == prefix == "events" or (prefix != "events" and name.startswith(prefix)):
                stream = name.removeprefix(prefix)
                if await self._telemetry.has_log_stream(group.service.id, kind, stream):
                    return kind, stream
        raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, "The specified log stream does not exist.")

    def _identifiers(self, group: Group) -> tuple[str, ...]:
        """Its name, and its ARN in both forms."""
        return group.name, self._arn(group), f"{self._arn(group)}:*"

    def _arn(self, group: Group) -> str:
        return f"arn:{PARTITION}:logs:{self._account.settings.region}:{ACCOUNT_ID}:log-group:{group.name}"

    def _group(self, group: Group) -> LogGroupShape:
        arn = self._arn(group)
        days = group.service.retention.get(group.group, int(self._account.settings.log_retention_days))
        return LogGroupShape(
            log_group_name=group.name,
            creation_time=int(group.service.created_at * 1000),
            retention_in_days=days,
            metric_filter_count=0,
            arn=f"{arn}:*",
            log_group_class=LogGroupClass.STANDARD,
            log_group_arn=arn,
        )

    def _stream(self, group: Group, stream: LogStream) -> LogStreamShape:
        name = stream_name(stream)
        first, last = int(stream.first_at * 1000), int(stream.last_at * 1000)
        return LogStreamShape(
            log_stream_name=name,
            creation_time=first,
            first_event_timestamp=first,
            last_event_timestamp=last,
            last_ingestion_time=last,
            arn=f"{self._arn(group)}:log-stream:{name}",
        )


def retentions(services: Iterable[ServiceRecord], now: float) -> dict[str, dict[LogKind, float]]:
    """For each service with a retention policy the times before which its lines are to go, by kind."""
    return {
        service.id: {kind: now - days * 86400 for group, days in service.retention.items() for kind in _KINDS[group]}
        for service in services
        if service.retention
    }


def _matching(
    lines: Sequence[LogLine], wants: Callable[[LogLine], bool], pattern: LogFilter, most: int
) -> list[LogLine]:
    return list(islice((line for line in lines if wants(line) and pattern.matches(line.text)), most))


def name_of(kind: LogKind, stream: str) -> str:
    return _PREFIXES[kind] + stream


def stream_name(stream: LogStream) -> str:
    return name_of(stream.kind, stream.stream)


def _stream_test(names: Sequence[str] | None, prefix: str | None) -> Callable[[LogLine], bool]:
    if names is not None and prefix is not None:
        raise invalid_request("Give either logStreamNames or logStreamNamePrefix.")
    if names is not None:
        wanted = frozenset(names)
        return lambda line: name_of(line.kind, line.stream) in wanted
    return lambda line: name_of(line.kind, line.stream).startswith(prefix or "")


def _cursor(token: str | None) -> tuple[int | None, int | None]:
    """(after, before) of a token that GetLogEvents gave out."""
    if token is None:
        return None, None
    side, _, number = token.partition("/")
    if side not in {"f", "b"} or not _is_number(number):
        raise invalid_request("The specified nextToken is invalid.")
    return (int(number), None) if side == "f" else (None, int(number))


def _after(token: str | None) -> int:
    if token is None:
        return 0
    side, _, number = token.partition("/")
    if side != "a" or not _is_number(number):
        raise invalid_request("The specified nextToken is invalid.")
    return int(number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) == 20 and int(text) < 2**63


def _within(lines: Sequence[LogLine], *, newest: bool) -> Sequence[LogLine]:
    """As many as fit into one answer, from the end that counts; at least one."""
    size, count = 0, 0
    for line in reversed(lines) if newest else lines:
        size += len(line.text.encode("utf-8", "replace")) + 26  # CloudWatch's own overhead for an event
        if size > _BYTES and count:
            break
        count += 1
    return lines[len(lines) - count :] if newest else lines[:count]


def _ms(line: LogLine) -> int:
    return int(line.at * 1000)


def _message(line: LogLine) -> str:
    return line.text or " "  # CloudWatch has no empty messages
