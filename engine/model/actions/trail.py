"""CloudTrail: looking up what was called."""

from enum import StrEnum
from typing import Annotated

from engine.model.actions.metric import Timestamp
from engine.model.base import Request, Wire
from engine.model.service import Limit


class LookupKey(StrEnum):
    EVENT_ID = "EventId"
    EVENT_NAME = "EventName"
    READ_ONLY = "ReadOnly"
    USERNAME = "Username"
    RESOURCE_TYPE = "ResourceType"
    RESOURCE_NAME = "ResourceName"
    EVENT_SOURCE = "EventSource"
    ACCESS_KEY_ID = "AccessKeyId"


class EventCategory(StrEnum):
    INSIGHT = "insight"


class LookupAttribute(Wire, frozen=True, kw_only=True):
    attribute_key: LookupKey
    attribute_value: Annotated[str, Limit(min_length=1, max_length=2000)]


class Resource(Wire, frozen=True, kw_only=True):
    resource_type: str
    resource_name: str


class Event(Wire, frozen=True, kw_only=True):
    event_id: str
    event_name: str
    read_only: str
    """ "true" or "false", as text."""
    access_key_id: str | None = None
    event_time: Timestamp
    event_source: str
    username: str
    resources: tuple[Resource, ...]
    cloud_trail_event: str
    """The whole record as JSON."""


class LookupEventsResponse(Wire, frozen=True, kw_only=True):
    events: tuple[Event, ...]
    next_token: str | None = None


class LookupEventsRequest(Request[LookupEventsResponse], frozen=True, kw_only=True):
    lookup_attributes: tuple[LookupAttribute, ...] | None = None
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    event_category: EventCategory | None = None
    max_results: Annotated[int, Limit(ge=1, le=50)] | None = None
    next_token: str | None = None
