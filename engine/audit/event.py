"""From a call to its record in CloudTrail's shape, with what must not be told left out. Pure."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.model.actions.table import Action
from engine.model.audit import AuditRecord, Caller, RefusedCall
from engine.model.base import Value, Wire
from engine.model.constraints import SENSITIVE
from engine.model.ids import ACCOUNT_ID, PARTITION
from engine.source.location import redacted

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""App Runner's own word in its records."""

_URLS = frozenset({"repositoryUrl"})
_PART_MAX = 32 * 1024
_TIMES = frozenset({"createdAt", "updatedAt", "deletedAt", "startedAt", "endedAt"})
"""Epoch seconds on the wire, ISO 8601 in a record."""


class FinishedCall(Value, frozen=True, kw_only=True):
    """A call that reached the door, and what came of it."""

    id: str
    at: float
    action: Action
    caller: Caller
    request: Wire
    answer: Wire | None
    """None for one that was refused."""
    error_code: str = ""
    error_message: str = ""


class TurnedAway(Value, frozen=True, kw_only=True):
    id: str
    at: float
    call: RefusedCall


def record_of(call: FinishedCall | TurnedAway, region: str) -> AuditRecord:
    if isinstance(call, TurnedAway):
        refused = call.call
        return _record(
            call.id,
            call.at,
            refused.caller,
            source=refused.source,
            name=refused.name,
            read_only=refused.read_only,
            refused=True,
            region=region,
            parameters=None,
            elements=None,
            error=(refused.code, refused.message),
        )
    elements = _plain(call.answer) if call.action.mutates else None  # as CloudTrail: reads leave no answers
    return _record(
        call.id,
        call.at,
        call.caller,
        source=f"{call.action.api.value}.amazonaws.com",
        name=call.action.name,
        read_only=not call.action.mutates,
        refused=False,
        region=region,
        parameters=_plain(call.request),
        elements=elements,
        error=(call.error_code, call.error_message),
    )


def _record(
    event_id: str,
    at: float,
    caller: Caller,
    *,
    source: str,
    name: str,
    read_only: bool,
    refused: bool,
    region: str,
    parameters: Any,
    elements: Any,
    error: tuple[str, str],
) -> AuditRecord:
    event: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": _identity(caller),
        "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": source,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": caller.source_ip,
        "userAgent": caller.user_agent,
    }
    code, message = error
    if code:
        event |= {"errorCode": code, "errorMessage": redacted(message)}
    event |= {
        "requestParameters": _bounded(parameters),
        "responseElements": _bounded(elements),
        "requestID": caller.request_id,
        "eventID": event_id,
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT_ID,
        "eventCategory": "Management",
    }
    return AuditRecord(
        id=event_id,
        at=at,
        source=source,
        name=name,
        read_only=read_only,
        refused=refused,
        user=caller.user or "unknown",
        access_key_id=caller.access_key_id,
        error_code=code,
        resources=tuple(sorted({*_arns(parameters), *_arns(elements)})),
        event=_encode(event),
    )


def _identity(caller: Caller) -> dict[str, str]:
    """Nobody in particular where it was not proved who calls: an access key is then only what was claimed."""
    if not caller.user:
        return {"type": "Unknown", "accessKeyId": caller.access_key_id}
    return {
        "type": "IAMUser",
        "principalId": caller.user,
        "arn": f"arn:{PARTITION}:iam::{ACCOUNT_ID}:user/{caller.user}",
        "accountId": ACCOUNT_ID,
        "accessKeyId": caller.access_key_id,
        "userName": caller.user,
    }


def _plain(value: Wire | None) -> Any:
    """As it went over the wire, members in lower camel case, secrets hidden."""
    return None if value is None else _shown(msgspec.to_builtins(value))


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        shown = {}
        for key, inner in value.items():
            name = key[0].lower() + key[1:]
            if name in SENSITIVE:
                shown[name] = HIDDEN
            elif name in _URLS and isinstance(inner, str):
                shown[name] = redacted(inner)  # people put tokens into URLs
            elif name in _TIMES and isinstance(inner, float):
                shown[name] = datetime.fromtimestamp(inner, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
            else:
                shown[name] = _shown(inner)
        return shown
    if isinstance(value, (list, tuple)):
        return [_shown(each) for each in value]
    return value


def _bounded(part: Any) -> Any:
    """A part of a record, or how large it would have been: CloudTrail leaves large ones out, too."""
    if part is None:
        return None
    size = len(_encode(part))
    return part if size <= _PART_MAX else {"omitted": f"{size} bytes"}


def _arns(value: Any) -> set[str]:
    """Of the resources that a call names or made: the first level, and the first below."""
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for key, inner in value.items():
        if isinstance(inner, dict):
            found |= {each for name, each in inner.items() if name.endswith("Arn") and isinstance(each, str)}
        elif key.endswith("Arn") and isinstance(inner, str):
            found.add(inner)
    return found


def _encode(event: Any) -> str:
    try:
        return msgspec.json.encode(event).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(event)).decode()


def _encodable(value: Any) -> Any:
    """Without halves of characters, which no JSON can carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(each) for each in value]
    return value
