"""The audit trail's nouns: who called, what was asked, and the record of it in CloudTrail's shape."""

from engine.model.base import Value

OWNER = "homerun"
"""The one user that an account here has: whoever holds the home's keys."""


class Caller(Value, frozen=True, kw_only=True):
    """Who calls, and from where."""

    user: str = "screen"
    """"screen", "socket" for programs on the Unix socket, OWNER, "automatic" for Homerun itself, or "" for nobody
    known."""
    access_key_id: str = ""
    source_ip: str = ""
    user_agent: str = ""
    request_id: str = ""


SCREEN = Caller()
"""The screen that hosts the engine."""


AUTOMATIC = Caller(user="automatic")
"""Homerun itself: a deployment that a push brought about."""


class RefusedCall(Value, frozen=True, kw_only=True):
    """A call that was turned away before it reached the door: unsigned, garbled, unknown."""

    caller: Caller
    source: str
    """"apprunner.amazonaws.com", as far as one can tell."""
    name: str
    """The action, "" where none was named."""
    read_only: bool
    code: str
    message: str


class AuditRecord(Value, frozen=True, kw_only=True):
    """One call as the trail keeps it."""

    seq: int = 0
    """Grows with every call; the cursor for paging. 0 before it is stored."""
    id: str
    at: float
    source: str
    name: str
    read_only: bool
    refused: bool
    """Turned away before it reached the door."""
    user: str
    access_key_id: str
    error_code: str
    resources: tuple[str, ...]
    """ARNs that the call was about."""
    event: str
    """The whole record as JSON in CloudTrail's shape. Values in it are untrusted text."""

    @property
    def among_changes(self) -> bool:
        """What `AuditQuery.changes_only` asks for."""
        return self.refused or not self.read_only


class AuditQuery(Value, frozen=True, kw_only=True):
    """Which records, newest first. None and "" mean any."""

    id: str = ""
    name: str = ""
    source: str = ""
    user: str | None = None
    access_key_id: str = ""
    resource: str = ""
    """An ARN, or the name in it."""
    read_only: bool | None = None
    changes_only: bool = False
    """Only calls that change something, or tried to; and those that were turned away."""
    start: float | None = None
    end: float | None = None
    before_seq: int | None = None
    limit: int = 50


class AuditChange(Value, frozen=True, kw_only=True):
    """What a watch of the trail yields: newest last. The first one is the snapshot."""

    snapshot: bool = False
    records: tuple[AuditRecord, ...] = ()
