"""Looking up the audit trail as CloudTrail does."""

from engine.audit.trail import Trail
from engine.control.paging import offset_of, token_for
from engine.model.actions.trail import Event, LookupEventsRequest, LookupEventsResponse, LookupKey, Resource
from engine.model.audit import AuditQuery, AuditRecord
from engine.model.errors import EngineError, ErrorCode

_PAGE = 50
_RESOURCE_TYPES = {
    "service": "AWS::AppRunner::Service",
    "autoscalingconfiguration": "AWS::AppRunner::AutoScalingConfiguration",
    "connection": "AWS::AppRunner::Connection",
    "observabilityconfiguration": "AWS::AppRunner::ObservabilityConfiguration",
    "vpcconnector": "AWS::AppRunner::VpcConnector",
    "vpcingressconnection": "AWS::AppRunner::VpcIngressConnection",
}


class LookUp:
    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    async def lookup(self, request: LookupEventsRequest) -> LookupEventsResponse:
        """Newest first. ResourceType filters the page afterwards: it may be short, or empty before the end."""
        if request.event_category is not None:
            raise _refused("InvalidEventCategoryException", "There are no insight events here.")
        start, end = request.start_time, request.end_time
        if start is not None and end is not None and start > end:
            raise _refused("InvalidTimeRangeException", "StartTime must not be after EndTime.")
        attributes = request.lookup_attributes or ()
        if len(attributes) > 1:
            raise _refused("InvalidLookupAttributesException", "Give at most one lookup attribute.")
        before: int | None = None
        if request.next_token is not None:
            try:
                before = offset_of(request.next_token)
            except EngineError as error:
                raise _refused("InvalidNextTokenException", error.message) from error
        wanted = {attribute.attribute_key: attribute.attribute_value for attribute in attributes}
        limit = request.max_results or _PAGE
        query = AuditQuery(
            id=wanted.get(LookupKey.EVENT_ID, ""),
            name=wanted.get(LookupKey.EVENT_NAME, ""),
            source=wanted.get(LookupKey.EVENT_SOURCE, ""),
            user=wanted.get(LookupKey.USERNAME),
            access_key_id=wanted.get(LookupKey.ACCESS_KEY_ID, ""),
            resource=wanted.get(LookupKey.RESOURCE_NAME, ""),
            read_only=_flag(wanted.get(LookupKey.READ_ONLY)),
            start=start,
            end=end,
            before_seq=before,
            limit=limit + 1,
        )
        found = await self._trail.find(query)
        page = found[:limit]
        events = tuple(_event(record) for record in page)
        kind = wanted.get(LookupKey.RESOURCE_TYPE)
        if kind is not None:
            events = tuple(event for event in events if any(each.resource_type == kind for each in event.resources))
        return LookupEventsResponse(events=events, next_token=token_for(page[-1].seq) if len(found) > limit else None)


def _event(record: AuditRecord) -> Event:
    return Event(
        event_id=record.id,
        event_name=record.name,
        read_only=str(record.read_only).lower(),
        access_key_id=record.access_key_id or None,
        event_time=record.at,
        event_source=record.source,
        username=record.user,
        resources=tuple(Resource(resource_type=_type_of(arn), resource_name=arn) for arn in record.resources),
        cloud_trail_event=record.event,
    )


def _type_of(arn: str) -> str:
    kind = arn.rpartition(":")[2].partition("/")[0]
    return _RESOURCE_TYPES.get(kind, "AWS::AppRunner::Resource")


def _flag(text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in {"true", "false"}:
        raise _refused("InvalidLookupAttributesException", "ReadOnly is true or false.")
    return text == "true"


def _refused(wire: str, message: str) -> EngineError:
    return EngineError(ErrorCode.INVALID_REQUEST, message, wire=wire)
