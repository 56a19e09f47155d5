"""The table of connections to providers of source code, and the sentence about the highlighted one."""

from typing import Any

import msgspec

from engine.model.actions.connection import Connection, ConnectionStatus, ProviderType
from engine.model.actions.homerun import Token
from engine.model.service import ResourceName
from tui.presenters.faces import Face
from tui.presenters.table import Cell, Cells, Column
from tui.presenters.units import age_text
from tui.text import clean

COLUMNS = (
    Column(key="name", title="Connection", width=14, most=32),
    Column(key="provider", title="Provider", width=9),
    Column(key="status", title="Status", width=19),
    Column(key="age", title="Age", width=4, right=True, rank=1),
)

NOTHING = "A connection holds what proves to GitHub or Bitbucket who you are. Press n to make one."

PROVIDERS = {ProviderType.GITHUB: "GitHub", ProviderType.BITBUCKET: "Bitbucket"}

_FACES = {
    ConnectionStatus.PENDING_HANDSHAKE: Face("○", "Pending handshake", "warning"),
    ConnectionStatus.AVAILABLE: Face("●", "Available", "success"),
    ConnectionStatus.ERROR: Face("✕", "Error", "error"),
    ConnectionStatus.DELETED: Face("○", "Deleted", "muted"),
}
_SENTENCES = {
    ConnectionStatus.PENDING_HANDSHAKE: "Press Enter to complete the handshake with a token or an SSH key.",
    ConnectionStatus.AVAILABLE: "Services can name it. Enter replaces its token or key.",
    ConnectionStatus.ERROR: "It does not work. Enter replaces its token or key.",
    ConnectionStatus.DELETED: "It is deleted.",
}


def connection_name(connection: Connection) -> str:
    return clean(connection.connection_name or "")


def provider_name(connection: Connection) -> str:
    return PROVIDERS[connection.provider_type] if connection.provider_type is not None else "the provider"


def connection_cells(connection: Connection, now: float) -> Cells:
    """The cells of one connection, in the order of COLUMNS."""
    nothing = Cell("-", "muted")
    return (
        Cell(connection_name(connection), "strong"),
        Cell(provider_name(connection)) if connection.provider_type is not None else nothing,
        _FACES[connection.status].cell if connection.status is not None else nothing,
        Cell(age_text(now - connection.created_at), "muted") if connection.created_at is not None else nothing,
    )


def connection_sentence(connection: Connection) -> str:
    """What is to be done about it."""
    return _SENTENCES[connection.status] if connection.status is not None else ""


def name_problem(name: str) -> str:
    """What is wrong with a name for a connection; "" for nothing."""
    return (
        ""
        if _holds(name, ResourceName)
        else ("A name has 4 to 32 letters, digits, - and _, and begins with a letter or a digit.")
    )


def token_problem(token: str) -> str:
    """What is wrong with an access token; "" for nothing."""
    return (
        "" if _holds(token, Token) else ("That is no token: it has spaces or special characters in it, or is too long.")
    )


def _holds(text: str, kind: Any) -> bool:
    """Whether it is what the engine takes."""
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True
