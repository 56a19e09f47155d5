"""The demo's parts on a real engine: samples that run, one that fails as it should, and traffic that arrives."""

import asyncio

import pytest

from engine.engine import Engine
from engine.model.home import Home
from engine.model.service import ServiceStatus
from engine.model.settings import Settings
from tui.command import main
from tui.commands import demo
from tui.commands.demo import create_samples, send_traffic
from tui.demo.samples_home import available
from tui.demo.traffic import rate_at


@pytest.mark.slow
async def test_the_samples_run_fail_and_get_requests(tmp_path):
    home = Home(path=tmp_path / "home")
    home.path.mkdir(mode=0o700)
    engine = await Engine.open(home, Settings(api="127.0.0.1:0", edge="127.0.0.1:0", compute="process"))
    traffic = asyncio.create_task(send_traffic(engine))
    try:
        await create_samples(engine, tmp_path / "samples")
        views, busy = {}, set()
        async with asyncio.timeout(60), engine.watch_services() as changes:
            async for change in changes:
                views |= {view.service.service_name: view for view in change.changed}
                busy |= {pulse.service_id for pulse in change.pulses if pulse.requests_per_s > 0}
                statuses = {view.service.status for view in views.values()}
                served = {view.service.service_id for view in views.values() if view.version_number}
                settled = len(views) == len(available()) and ServiceStatus.OPERATION_IN_PROGRESS not in statuses
                if settled and served and served <= busy:
                    break
    finally:
        traffic.cancel()
        await asyncio.gather(traffic, return_exceptions=True)
        await engine.close(stop_instances=True)

    assert views["hello-python"].service.status is ServiceStatus.RUNNING
    broken = views["broken-start"]
    assert broken.service.status is ServiceStatus.CREATE_FAILED
    assert broken.failure.exit_code == 3
    assert any("DATABASE_URL" in line for line in broken.failure.evidence)
    assert all(view.service.status is ServiceStatus.RUNNING for name, view in views.items() if name != "broken-start")


def test_the_traffic_is_a_gentle_wave():
    rates = [rate_at(second, 10.0, 0.0) for second in range(90)]

    assert 1.9 < min(rates) < 2.1
    assert 9.9 < max(rates) <= 10.0


@pytest.mark.parametrize(
    ("arguments", "compute"), [((), "process"), (("--compute", "docker"), "docker"), (("--compute", "auto"), "auto")]
)
def test_the_samples_run_where_they_are_told_to(monkeypatch, arguments, compute):
    given, forgotten = [], []

    async def show(home, overrides, **_):
        given.append(overrides)
        return 0

    async def forget_home(home, settings):
        forgotten.append(home)

    monkeypatch.setattr("tui.command._need_terminal", lambda: None)
    monkeypatch.setattr(demo, "show", show)
    monkeypatch.setattr("engine.compute.docker.forget.forget_home", forget_home)
    assert main(["demo", "--no-traffic", *arguments]) == 0
    assert [overrides["compute"] for overrides in given] == [compute]
    assert len(forgotten) == (compute != "process"), "nothing of it stays in the container engine"
