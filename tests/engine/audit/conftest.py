"""A clock that only tests move, callers, and a trail on a real audit.db."""

import asyncio

import pytest

from engine.audit.trail import Trail
from engine.model.audit import Caller

REGION = "us-east-1"


class OwnClock:
    """Whoever sleeps is woken by `wake`, and only then."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self._woken = asyncio.Condition()
        self.sleeping = 0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.sleeping += 1
        try:
            async with self._woken:
                await self._woken.wait()
        finally:
            self.sleeping -= 1

    async def wake(self) -> None:
        async with self._woken:
            self._woken.notify_all()


@pytest.fixture
def clock():
    return OwnClock()


@pytest.fixture
def caller():
    return Caller(
        user="homerun", access_key_id="HOMERUNAAA", source_ip="127.0.0.1", user_agent="aws-cli/2", request_id="r-1"
    )


@pytest.fixture
async def trail(tmp_path, clock):
    trail = await Trail.open(tmp_path / "audit.db", clock, REGION)
    yield trail
    await trail.close()
