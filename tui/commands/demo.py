"""`homerun demo`: sample applications on a throw-away home, with a little traffic; nothing of it stays."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from engine.model.api import EngineApi
from engine.model.home import Home
from engine.model.settings import Settings
from tui.commands.screen import show
from tui.demo.samples_home import available, create_request, write_repository
from tui.demo.traffic import Target, generate

OVERRIDES: dict[str, object] = {"api": "127.0.0.1:0", "edge": "127.0.0.1:0", "compute": "process"}
"""Without Docker it needs nothing from anywhere, and is there in seconds."""


def run(*, traffic: bool, compute: str = "process") -> int:
    return asyncio.run(demo(traffic=traffic, compute=compute))


async def demo(*, traffic: bool, compute: str = "process") -> int:
    folder = Path(tempfile.mkdtemp(prefix="homerun-demo-"))
    tasks: list[asyncio.Task[None]] = []

    async def fill(engine: EngineApi) -> None:
        if traffic:
            tasks.append(asyncio.create_task(send_traffic(engine), name="demo traffic"))
        await create_samples(engine, folder / "samples")

    try:
        return await show(
            Home(path=folder / "home"), OVERRIDES | {"compute": compute}, after_start=fill, throw_away=True
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if compute != "process":
            from engine.compute.docker.forget import forget_home  # only here: it takes a moment to import

            await forget_home(Home(path=folder / "home"), Settings())
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def create_samples(engine: EngineApi, parent: Path) -> None:
    """Write the samples' repositories and create a service of each."""
    await asyncio.to_thread(parent.mkdir, parents=True, exist_ok=True)
    for sample in available():
        repository = await asyncio.to_thread(write_repository, sample, parent)
        await engine.call(create_request(sample, repository))


async def send_traffic(engine: EngineApi) -> None:
    """Requests to every sample that has paths, from the moment that its service is known."""
    info = await engine.info()
    host, _, port = info.edge_url.removeprefix("http://").rpartition(":")
    wanted = {sample.name: sample for sample in available() if sample.paths}
    targets: list[Target] = []
    async with asyncio.TaskGroup() as group, engine.watch_services() as changes:
        group.create_task(generate((host, int(port)), targets))
        async for change in changes:
            for view in change.changed:
                sample = wanted.pop(view.service.service_name, None)
                if sample and view.service.service_url:
                    targets.append(
                        Target(host=view.service.service_url, paths=sample.paths, peak_per_s=sample.peak_per_s)
                    )
