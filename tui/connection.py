"""Connection: how the screen stands with its engine. A lost engine is a state to show, never an exception."""

from enum import StrEnum

from engine.model.base import Value
from engine.model.watch import EngineInfo


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    """The first attempt did not succeed; the user decides what next."""
    RECONNECTING = "reconnecting"
    """It was connected; attempts go on by themselves."""


class Connection(Value, frozen=True, kw_only=True):
    state: ConnectionState = ConnectionState.CONNECTING
    reason: str = ""
    """Why it failed or was lost; one sentence."""
    info: EngineInfo | None = None
    """Who answers, or who answered last."""

    @property
    def is_up(self) -> bool:
        return self.state is ConnectionState.CONNECTED
