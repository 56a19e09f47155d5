"""The whole path once more, with nothing but keys on the real screen, on a real engine."""

import asyncio
import time

import pytest

from engine.engine import Engine
from engine.model.service import ServiceStatus
from tests.engine.computes import on_both
from tui.app import HomerunApp

pytestmark = pytest.mark.slow


@pytest.fixture
async def engine(home, engine_settings):
    engine = await Engine.open(home, engine_settings)
    yield engine
    await engine.close(stop_instances=True)


class Person:
    """Presses keys and looks at the screen."""

    def __init__(self, pilot) -> None:
        self.pilot = pilot
        self.app = pilot.app

    def screen(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def sees(self, text: str, timeout_s: float = 45) -> None:
        deadline = time.monotonic() + timeout_s
        while text not in self.screen():
            assert time.monotonic() < deadline, f"{text!r} never appeared on:\n{self.screen()}"
            await asyncio.sleep(0.05)

    async def status(self, status: ServiceStatus, timeout_s: float = 45) -> None:
        deadline = time.monotonic() + timeout_s
        while (view := self.app.dashboard.view) is None or view.service.status is not status:
            assert time.monotonic() < deadline, f"never {status}:\n{self.screen()}"
            await asyncio.sleep(0.05)
        await self.pilot.pause()


@on_both
async def test_create_watch_change_deploy_pause_resume_delete(engine, repository, driver_for):
    repository.service("one")
    driver = driver_for(engine)
    app = HomerunApp(engine=engine, embeds=lambda: False)
    async with app.run_test(size=(120, 40)) as pilot:
        person = Person(pilot)
        await person.sees("No services yet")
        await person.press("n")
        await person.sees("Create a service")

        # A repository with an apprunner.yaml needs only its path.
        await person.type(str(repository.path))
        await person.press("enter")
        await person.sees("apprunner.yaml")
        await person.press("ctrl+s")
        await person.status(ServiceStatus.RUNNING)
        await person.sees("Running")
        service = app.dashboard.view.service
        assert await driver.get(service, "/from-the-screen") == (200, "one")

        # Logs and metrics show it.
        await person.press("3")
        while "request /from-the-screen" not in person.screen():
            await person.press("tab" if "Application" not in person.screen() else "right")
            await asyncio.sleep(0.2)

        # Change, commit, deploy.
        repository.service("two")
        await person.press("1", "d", "enter")
        await person.sees("v2 ")
        await person.status(ServiceStatus.RUNNING)
        assert await driver.get(service) == (200, "two")

        await person.press("1", "p", "enter")
        await person.status(ServiceStatus.PAUSED)
        await person.sees("Paused")
        assert (await driver.get(service))[0] == 503
        await person.press("p")
        await person.status(ServiceStatus.RUNNING)
        assert await driver.get(service) == (200, "two")

        # Deleting wants the name.
        await person.press("x")
        await person.type(service.service_name)
        await person.press("enter")
        deadline = time.monotonic() + 30
        while app.dashboard.bridge.world.services:
            assert time.monotonic() < deadline, person.screen()
            await asyncio.sleep(0.05)
        assert (await driver.get(service))[0] == 404
        assert list(driver.home.instances.iterdir()) == []
