"""A clock that only tests move, a home, and telemetry on both."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.model.home import Home
from engine.model.instance import Instance, InstanceState
from engine.telemetry import Telemetry


class FakeClock:
    """Starts at epoch second 1,800,000,000, a full hour."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.time + seconds, event))
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, waking whoever is due, in order, and letting each do its work."""
        end = self.time + seconds
        while True:
            for _ in range(5):
                await asyncio.sleep(0)
            due = min((sleeper for sleeper in self._sleepers if sleeper[0] <= end), key=lambda s: s[0], default=None)
            if due is None:
                break
            self._sleepers.remove(due)
            self.time = max(self.time, due[0])
            due[1].set()
            await asyncio.sleep(0.001)
        self.time = end


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(path=tmp_path)


@pytest.fixture
async def telemetry(home: Home, clock: FakeClock) -> AsyncIterator[Telemetry]:
    telemetry = await Telemetry.open(home, clock)
    yield telemetry
    await telemetry.close()


@pytest.fixture
def instance() -> Callable[[str, str], Instance]:
    def make(instance_id: str, service_id: str = "web") -> Instance:
        return Instance(
            id=instance_id,
            service_id=service_id,
            version_id="v",
            compute="process",
            state=InstanceState.READY,
            created_at=0.0,
        )

    return make
