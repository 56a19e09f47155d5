"""Ask the engine that owns a home to end, and wait until it has."""

import asyncio
import contextlib
import os

import msgspec

from engine.api.ask import ask
from engine.api.claim import EngineRecord, read_record
from engine.api.endpoint import StopRequest
from engine.model.errors import HomerunError
from engine.model.home import Home


class StopFailed(HomerunError):  # noqa: N818 - named for what it says
    """The engine was asked to end and did not."""


async def stop_engine(home: Home, *, instances: bool, timeout_s: float = 30.0) -> EngineRecord | None:
    """End the engine of a home (`instances`: and what it runs); its record, or None when none was running.

    Returns when the home can be claimed again. Raises StopFailed.
    """
    record = read_record(home)
    try:
        async with asyncio.timeout(timeout_s):
            if not await _ask(home, instances=instances):
                return None
            while await _answers(home) or _is_alive(read_record(home)):  # noqa: ASYNC110 - another process ends
                await asyncio.sleep(0.05)
    except TimeoutError:
        who = f" (process {record.pid})" if record else ""
        raise StopFailed(f"The engine of {home.path}{who} has not ended within {timeout_s:g} s.") from None
    return record


async def _ask(home: Home, *, instances: bool) -> bool:
    """Whether an engine was there to be asked."""
    status = await ask(home, "/stop", msgspec.json.encode(StopRequest(instances=instances)))
    if status not in (None, 202):
        raise StopFailed(f"What answers at {home.engine_socket} is no engine.")
    return status is not None


async def _answers(home: Home) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(home.engine_socket))
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _is_alive(record: EngineRecord | None) -> bool:
    """A closing engine takes its record away as the last thing; a killed one leaves it behind."""
    if record is None:
        return False
    try:
        os.kill(record.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
