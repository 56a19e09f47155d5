"""Ask the engine that owns a home one thing, over its Unix socket."""

import asyncio
import contextlib

from engine.model.home import Home


async def ask(home: Home, path: str, body: bytes = b"") -> int | None:
    """POST to the engine; the status of its answer, None when no engine is there to be asked."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(home.engine_socket))
    except OSError:
        return None
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        writer.write(head.encode() + body)
        answer = await reader.read()
    except ConnectionError:
        return None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    status = answer[9:12]
    return int(status) if answer.startswith(b"HTTP/1.1 ") and status.isdigit() else 0
