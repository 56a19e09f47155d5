"""Whether an application takes the connections that the kernel accepts in its name.

A server that listens before its workers have loaded the application (gunicorn, uvicorn with several workers) accepts
connections that nobody will ever answer when loading fails. Linux tells how many wait; elsewhere nothing is known.
"""

import asyncio
from pathlib import Path

from engine.model.base import Value

_LISTENING = "0A"
_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""How long a running application gets to take a connection, step by step."""


def queued(table: str, port: int) -> int:
    """Connections that wait to be taken on `port`, from the text of a /proc/net/tcp table; 0 where none listens."""
    waiting = 0
    for line in table.splitlines()[1:]:
        # slot, local address:port, remote, state, bytes to send:received; a listening socket counts connections there
        fields = line.split(maxsplit=5)
        if len(fields) > 4 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            waiting += int(fields[4].rpartition(":")[2], 16)
    return waiting


class Inside(Value, frozen=True, kw_only=True):
    """Where an application listens, seen from where it lives."""

    tables: tuple[Path, ...]
    """The kernel's tables of its network."""
    port: int
    proxied: bool = False
    """Something else takes connections in its place, and hangs up where nobody listens behind it."""


def is_behind(inside: Inside) -> bool:
    """Connections wait for an application that has not taken them yet. Blocks for a moment."""
    return any(queued(text, inside.port) for text in map(_read, inside.tables))


async def takes_connections(inside: Inside) -> bool:
    """Whether the application takes what waits within a tenth of a second; True where nothing is known."""
    for pause_s in _PAUSES_S:
        if not await asyncio.to_thread(is_behind, inside):
            return True
        await asyncio.sleep(pause_s)
    return not await asyncio.to_thread(is_behind, inside)


def _read(table: Path) -> str:
    try:
        return table.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
