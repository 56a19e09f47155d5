"""CloudWatch Logs, read side: the log groups and streams that a service has. Members in camel case, times in ms."""

from enum import StrEnum
from typing import Annotated

from engine.model.base import Request, Wire
from engine.model.log import LogKind
from engine.model.service import Limit

GroupName = Annotated[str, Limit(pattern=r"\A[\.\-_/#A-Za-z0-9]+\Z", min_length=1, max_length=512)]
GroupIdentifier = Annotated[str, Limit(pattern=r"\A[\w#+=/:,.@-]*\Z", min_length=1, max_length=2048)]
"""A group's name or its ARN."""
StreamName = Annotated[str, Limit(pattern=r"\A[^:*]*\Z", min_length=1, max_length=512)]
GroupPattern = Annotated[str, Limit(pattern=r"\A[\.\-_/#A-Za-z0-9]*\Z", max_length=512)]
Account = Annotated[str, Limit(pattern=r"\A\d{12}\Z", min_length=12, max_length=12)]
Token = Annotated[str, Limit(min_length=1)]
Upto50 = Annotated[int, Limit(ge=1, le=50)]
Upto10000 = Annotated[int, Limit(ge=1, le=10000)]
Milliseconds = Annotated[int, Limit(ge=0)]
FilterPattern = Annotated[str, Limit(max_length=1024)]


class LogGroupClass(StrEnum):
    STANDARD = "STANDARD"
    INFREQUENT_ACCESS = "INFREQUENT_ACCESS"
    DELIVERY = "DELIVERY"
    ESSENTIALS = "ESSENTIALS"


class OrderBy(StrEnum):
    LOG_STREAM_NAME = "LogStreamName"
    LAST_EVENT_TIME = "LastEventTime"


class LogGroupShape(Wire, frozen=True, kw_only=True, rename="camel"):
    log_group_name: str
    creation_time: int
    retention_in_days: int | None = None
    metric_filter_count: int
    arn: str
    log_group_class: LogGroupClass
    log_group_arn: str


class DescribeLogGroupsResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    log_groups: tuple[LogGroupShape, ...]
    next_token: str | None = None


class DescribeLogGroupsRequest(Request[DescribeLogGroupsResponse], frozen=True, kw_only=True, rename="camel"):
    account_identifiers: Annotated[tuple[Account, ...], Limit(max_length=20)] | None = None
    log_group_name_prefix: GroupName | None = None
    log_group_name_pattern: GroupPattern | None = None
    next_token: Token | None = None
    limit: Upto50 | None = None
    include_linked_accounts: bool | None = None
    log_group_class: LogGroupClass | None = None
    log_group_identifiers: Annotated[tuple[GroupIdentifier, ...], Limit(min_length=1, max_length=50)] | None = None


class LogStreamShape(Wire, frozen=True, kw_only=True, rename="camel"):
    log_stream_name: str
    creation_time: int
    first_event_timestamp: int
    last_event_timestamp: int
    last_ingestion_time: int
    arn: str


class DescribeLogStreamsResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    log_streams: tuple[LogStreamShape, ...]
    next_token: str | None = None


class DescribeLogStreamsRequest(Request[DescribeLogStreamsResponse], frozen=True, kw_only=True, rename="camel"):
    log_group_name: GroupName | None = None
    log_group_identifier: GroupIdentifier | None = None
    log_stream_name_prefix: StreamName | None = None
    order_by: OrderBy | None = None
    descending: bool | None = None
    next_token: Token | None = None
    limit: Upto50 | None = None


class OutputLogEvent(Wire, frozen=True, kw_only=True, rename="camel"):
    timestamp: int
    message: str
    ingestion_time: int


class GetLogEventsResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    events: tuple[OutputLogEvent, ...]
    next_forward_token: str
    next_backward_token: str


class GetLogEventsRequest(Request[GetLogEventsResponse], frozen=True, kw_only=True, rename="camel"):
    log_group_name: GroupName | None = None
    log_group_identifier: GroupIdentifier | None = None
    log_stream_name: StreamName
    start_time: Milliseconds | None = None
    end_time: Milliseconds | None = None
    next_token: Token | None = None
    limit: Upto10000 | None = None
    start_from_head: bool | None = None
    unmask: bool | None = None


class FilteredLogEvent(Wire, frozen=True, kw_only=True, rename="camel"):
    log_stream_name: str
    timestamp: int
    message: str
    ingestion_time: int
    event_id: str


class SearchedLogStream(Wire, frozen=True, kw_only=True, rename="camel"):
    log_stream_name: str
    searched_completely: bool


class FilterLogEventsResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    events: tuple[FilteredLogEvent, ...]
    searched_log_streams: tuple[SearchedLogStream, ...]
    """Empty, as CloudWatch has it since 2019."""
    next_token: str | None = None


class FilterLogEventsRequest(Request[FilterLogEventsResponse], frozen=True, kw_only=True, rename="camel"):
    log_group_name: GroupName | None = None
    log_group_identifier: GroupIdentifier | None = None
    log_stream_names: Annotated[tuple[StreamName, ...], Limit(min_length=1, max_length=100)] | None = None
    log_stream_name_prefix: StreamName | None = None
    start_time: Milliseconds | None = None
    end_time: Milliseconds | None = None
    filter_pattern: FilterPattern | None = None
    next_token: Token | None = None
    limit: Upto10000 | None = None
    start_from_head: bool | None = None
    interleaved: bool | None = None
    unmask: bool | None = None


class PutRetentionPolicyResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    pass


class PutRetentionPolicyRequest(Request[PutRetentionPolicyResponse], frozen=True, kw_only=True, rename="camel"):
    log_group_name: GroupName
    retention_in_days: int


class DeleteRetentionPolicyResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    pass


class DeleteRetentionPolicyRequest(Request[DeleteRetentionPolicyResponse], frozen=True, kw_only=True, rename="camel"):
    log_group_name: GroupName


class LiveTailGroup(Wire, frozen=True, kw_only=True, rename="camel"):
    """A log group to follow, as the engine knows it."""

    identifier: str
    """As it was asked for."""
    service_id: str
    kinds: tuple[LogKind, ...]


class StartLiveTailResponse(Wire, frozen=True, kw_only=True, rename="camel"):
    """What is to be followed: CloudWatch's answer is a stream of events, made from it where the answer is written."""

    groups: tuple[LiveTailGroup, ...]


class StartLiveTailRequest(Request[StartLiveTailResponse], frozen=True, kw_only=True, rename="camel"):
    log_group_identifiers: Annotated[tuple[GroupIdentifier, ...], Limit(min_length=1, max_length=10)]
    log_stream_names: Annotated[tuple[StreamName, ...], Limit(min_length=1, max_length=100)] | None = None
    log_stream_name_prefixes: Annotated[tuple[StreamName, ...], Limit(min_length=1, max_length=100)] | None = None
    log_event_filter_pattern: FilterPattern | None = None
