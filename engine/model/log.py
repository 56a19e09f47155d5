"""Log lines and how to ask for them: App Runner's three kinds of stream."""

from enum import StrEnum

from engine.model.base import Value


class LogKind(StrEnum):
    EVENTS = "events"
    """One stream a service: what Homerun did, `[AppRunner]` lines."""
    DEPLOYMENT = "deployment"
    """One stream an operation, named by the operation id without dashes."""
    APPLICATION = "application"
    """One stream an instance, named by its id."""


class LogGroup(StrEnum):
    """CloudWatch Logs' two groups of a service: `/aws/apprunner/<name>/<id>/<group>`."""

    SERVICE = "service"
    """Streams `events` and `deployment/<32 hex>`."""
    APPLICATION = "application"
    """Streams `instance/<32 hex>`."""


class LogLine(Value, frozen=True, kw_only=True):
    """One line as it was printed. `text` has no line end, is valid Unicode and otherwise untrusted."""

    seq: int
    """Grows with every line stored, over all streams; the cursor for paging."""
    at: float
    service_id: str
    kind: LogKind
    stream: str
    """"" for events, the operation's 32 hex for deployment, the instance id for application."""
    text: str


class LogStream(Value, frozen=True, kw_only=True):
    """One stream that has lines, and when the first and the last of them came."""

    kind: LogKind
    stream: str
    first_at: float
    last_at: float


class LogSelector(Value, frozen=True, kw_only=True):
    """Which lines: all of a service's kind, or one stream of it. service_id "" means every service."""

    service_id: str
    kind: LogKind
    stream: str = ""
    """"" selects every stream of the kind (application logs combined)."""


class LogQuery(Value, frozen=True, kw_only=True):
    """A page of lines, newest last. `search` is a plain substring, matched without regard to case."""

    selector: LogSelector
    search: str = ""
    after_seq: int | None = None
    before_seq: int | None = None
    start: float | None = None
    """Inclusive, seconds since the epoch."""
    end: float | None = None
    """Exclusive."""
    limit: int = 1000
    newest: bool = True
    """With more matches than `limit`: keep the newest ones (True) or the oldest."""


class LogPage(Value, frozen=True, kw_only=True):
    lines: tuple[LogLine, ...]
    more: bool
    """Lines were left out on the side that `newest` does not keep."""


class LogBatch(Value, frozen=True, kw_only=True):
    """What a log subscription yields: lines in order of seq, and how many were dropped before them."""

    lines: tuple[LogLine, ...]
    dropped: int = 0
