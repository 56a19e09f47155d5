"""The audit trail's table and what is told about one call: why it was refused, who asked, what for, what came of it."""

from collections.abc import Iterator

import msgspec
from textual.content import Content

from engine.model.audit import AuditRecord
from engine.model.base import Value
from tui.presenters.faces import Face
from tui.presenters.table import Cell, Cells, Column
from tui.presenters.units import age_text
from tui.text import clean

COLUMNS = (
    Column(key="call", title="Call", width=16, most=38, wish=22),
    Column(key="about", title="About", width=10, most=32, wish=14, rank=1),
    Column(key="outcome", title="Outcome", width=13, most=28, wish=21),
    Column(key="who", title="Who", width=7, most=16, rank=3),
    Column(key="ago", title="Ago", width=4, right=True, rank=2),
)

_MOST_SHOWN = 20_000
"""Characters of a part of the record: the answer to one call can be longer than anybody reads."""


class _Event(Value, frozen=True, kw_only=True):
    """The members of CloudTrail's record that a person asks for."""

    time: str = msgspec.field(name="eventTime", default="")
    error_message: str = msgspec.field(name="errorMessage", default="")
    source_ip: str = msgspec.field(name="sourceIPAddress", default="")
    user_agent: str = msgspec.field(name="userAgent", default="")
    request_id: str = msgspec.field(name="requestID", default="")
    parameters: msgspec.Raw = msgspec.field(name="requestParameters", default=msgspec.Raw(b"null"))
    elements: msgspec.Raw = msgspec.field(name="responseElements", default=msgspec.Raw(b"null"))


def call_cells(record: AuditRecord, now: float) -> Cells:
    """The cells of one call, in the order of COLUMNS."""
    role = "error" if record.refused else "muted" if record.read_only else "strong"
    return (
        Cell(_name(record), role),
        Cell(about(record)),
        outcome_face(record).cell,
        Cell(clean(record.user), "muted"),
        Cell(age_text(now - record.at), "muted"),
    )


def outcome_face(record: AuditRecord) -> Face:
    """Done, or the error's type; a call that was turned away at the front door has a glyph of its own."""
    if record.refused:
        return Face("⊘", _short(record.error_code) or "turned away", "error")
    if record.error_code:
        return Face("✕", _short(record.error_code), "error")
    return Face("✓", "ok", "success")


def about(record: AuditRecord) -> str:
    """The name of what a call was for: from the ARN of the kind that the call is named after, else as it was asked for.

    "-" where it was for nothing in particular.
    """
    paths = [arn.split(":", 5)[-1].split("/") for arn in record.resources]
    if paths:
        call = record.name.lower()
        path = max(paths, key=lambda path: len(path[0]) if path[0] in call else 0)
        return clean(path[1] if len(path) > 1 else path[0])
    return clean(_asked_for(record)) or "-"


def call_content(record: AuditRecord) -> Content:
    """Everything about one call, its refusal first, as lines for the detail under the table."""
    event = _event(record)
    return Content("\n").join(
        [
            *_refusal_lines(record, event),
            *_caller_lines(record, event),
            *_json_lines("Request parameters", event.parameters),
            *_json_lines("Response elements", event.elements),
        ]
    )


def empty_text(*, known: bool, reads: bool) -> str:
    """What stands in place of the table: the trail is not `known` yet, or there is nothing in it to show."""
    if not known:
        return "Reading the audit trail…"
    return "Nobody has asked for anything yet." if reads else "Nothing has been changed yet. Press a for all calls."


def _name(record: AuditRecord) -> str:
    return clean(record.name) or "-"


def _short(code: str) -> str:
    return clean(code).removesuffix("Exception")


def _event(record: AuditRecord) -> _Event:
    return msgspec.json.decode(record.event, type=_Event)


def _asked_for(record: AuditRecord) -> str:
    """The first name among a call's parameters: what was refused before it had an ARN."""
    parameters = msgspec.json.decode(_event(record).parameters)
    if not isinstance(parameters, dict):
        return ""
    return next((v for key, v in parameters.items() if key.endswith("Name") and isinstance(v, str)), "")


def _refusal_lines(record: AuditRecord, event: _Event) -> Iterator[Content]:
    if record.refused or record.error_code:
        glyph = outcome_face(record).glyph
        headline = f"{glyph} {clean(record.error_code)}" + (" · turned away" if record.refused else "")
        yield Content.styled(headline, "bold $text-error")
    if event.error_message:
        yield Content(clean(event.error_message))


def _caller_lines(record: AuditRecord, event: _Event) -> Iterator[Content]:
    key = f"key {record.access_key_id}" if record.access_key_id else ""
    address = f"from {event.source_ip}" if event.source_ip else ""
    request = f"request {event.request_id}" if event.request_id else ""
    for parts in (
        (event.time, record.source),
        (record.user, key, address),
        (event.user_agent,),
        (request,),
    ):
        said = " · ".join(clean(part) for part in parts if part)
        if said:
            yield Content.styled(said, "$text-muted")


def _json_lines(title: str, part: msgspec.Raw) -> Iterator[Content]:
    """A part of the record, indented; nothing for null."""
    if bytes(part) == b"null":
        return
    yield Content.styled(title, "bold $text-accent")
    text = msgspec.json.format(part, indent=2).decode()
    for line in text[:_MOST_SHOWN].split("\n"):
        yield Content(clean(line))
    if len(text) > _MOST_SHOWN:
        yield Content.styled(f"… and {len(text) - _MOST_SHOWN} characters more", "$text-muted")
