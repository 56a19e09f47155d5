"""A gentle traffic generator: a few requests a second to the demo's services through the edge, in slow waves."""

import asyncio
import contextlib
import math
import random

from engine.model.base import Value

_STEP_S = 0.1
_WAVE_S = 90.0


class Target(Value, frozen=True, kw_only=True):
    """Where to send requests: a service's host name and paths with their weights."""

    host: str
    paths: dict[str, int]
    peak_per_s: float


def rate_at(seconds: float, peak_per_s: float, phase: float) -> float:
    """Requests a second: a wave between a fifth of the peak and the peak."""
    return peak_per_s * (0.6 + 0.4 * math.sin(2 * math.pi * (seconds / _WAVE_S + phase)))


async def generate(edge: tuple[str, int], targets: list[Target]) -> None:
    """Send until cancelled; answers are read and thrown away, failures do not matter."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        while True:
            for number, target in enumerate(targets):
                rate = rate_at(loop.time() - started, target.peak_per_s, number / max(1, len(targets)))
                expected = rate * _STEP_S
                count = int(expected) + (random.random() < expected % 1)  # noqa: S311 - nothing depends on it
                for _ in range(count):
                    path = random.choices(list(target.paths), list(target.paths.values()))[0]  # noqa: S311
                    group.create_task(_request(edge, target.host, path))
            await asyncio.sleep(_STEP_S)


async def _request(edge: tuple[str, int], host: str, path: str) -> None:
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(*edge)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                await reader.read()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
