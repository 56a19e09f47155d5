"""`homerun serve`: the engine without a screen. One line of JSON on stdout when it accepts calls."""

import asyncio
import json
import logging
import signal

from engine.api.host import Host, load_settings
from engine.model.home import Home
from tui.commands.logs import log_to


def run(home: Home, overrides: dict[str, object], *, stop_instances: bool) -> int:
    return asyncio.run(serve(home, overrides, stop_instances=stop_instances))


async def serve(home: Home, overrides: dict[str, object], *, stop_instances: bool) -> int:
    """Until SIGINT or SIGTERM. SIGUSR1 stops the instances, too: that is how `homerun stop --instances` asks."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    with_instances = stop_instances

    def stop(*, instances: bool) -> None:
        nonlocal with_instances
        with_instances = with_instances or instances
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: stop(instances=False))
    loop.add_signal_handler(signal.SIGUSR1, lambda: stop(instances=True))

    host = await Host.open(home, load_settings(home, overrides))
    log_to(home.engine_log, stderr=True)
    try:
        print(json.dumps(host.ready), flush=True)
        logging.getLogger("homerun").info("serving: %s", host.ready)
        await stopped.wait()
    finally:
        await host.close(stop_instances=with_instances)
    return 0
