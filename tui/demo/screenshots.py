"""`make screenshots`: the real demo, driven without a terminal, as SVG pictures for the README."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import cast

from textual.pilot import Pilot

from engine.api.host import Host, load_settings
from engine.model.home import Home
from tui.app import HomerunApp, QuitChoice
from tui.commands.demo import OVERRIDES, create_samples, send_traffic

_TRAFFIC_S = 240.0
"""Enough history for the charts to have a shape."""

SHOTS: dict[str, tuple[tuple[int, int], tuple[str, ...]]] = {
    "dashboard": ((120, 40), ("select:hello-python",)),
    "failure": ((120, 40), ("select:broken-start",)),
    "logs": ((120, 40), ("select:hello-node", "3", "z")),
    "metrics": ((120, 40), ("select:hello-python", "4", "z")),
    "create": ((120, 40), ("n", "type:samples/hello-python")),
    "audit": ((120, 40), ("select:hello-python", "2", "A", "z")),
    "help": ((120, 40), ("question_mark",)),
    "small": ((80, 24), ("select:hello-python", "1")),
    "wide": ((200, 60), ("select:hello-python",)),
}
"""File name, size, and the keys that lead there."""


async def take(target: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="homerun-shots-"))
    home = Home(path=folder / "home")
    try:
        async with Host.open(home, load_settings(home, OVERRIDES)) as host:
            host.stop_instances = True
            traffic = asyncio.create_task(send_traffic(host.engine))
            try:
                await create_samples(host.engine, folder / "samples")
                await asyncio.sleep(_TRAFFIC_S)
                for name, (size, keys) in SHOTS.items():
                    await shoot(host, name, size, [k.replace("samples/", f"{folder}/samples/") for k in keys], target)
            finally:
                traffic.cancel()
                await asyncio.gather(traffic, return_exceptions=True)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def shoot(host: Host, name: str, size: tuple[int, int], keys: list[str], target: Path) -> None:
    """One picture: a new screen on the running engine, led there by `keys`."""
    app = HomerunApp(engine=host.engine)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(2.5)
        for key in keys:
            await press(pilot, key)
        await pilot.pause(1.5)
        app.save_screenshot(f"{name}.svg", str(target))


async def press(pilot: Pilot[QuitChoice], key: str) -> None:
    verb, _, rest = key.partition(":")
    if verb == "select":
        dashboard = cast("HomerunApp", pilot.app).dashboard
        services = dashboard.bridge.world.services.values()
        dashboard.select(next(view.service.service_id for view in services if view.service.service_name == rest))
    elif verb == "type":
        await pilot.press(*rest)
    else:
        await pilot.press(key)
    await pilot.pause(0.4)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
