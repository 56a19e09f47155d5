"""`homerun serve`: the engine without a screen. One line of JSON on stdout when it accepts calls."""

import asyncio
import json
import signal

from engine.api.host import Host, load_settings
from engine.model.home import Home
from tui.commands.logs import hold_log, log_to


def run(home: Home, overrides: dict[str, object], *, stop_instances: bool) -> int:
    return asyncio.run(serve(home, overrides, stop_instances=stop_instances))


async def serve(home: Home, overrides: dict[str, object], *, stop_instances: bool) -> int:
    """Until SIGINT, SIGTERM or `homerun stop`; the latter may want the instances to end, too."""
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled.set)
    settings = load_settings(home, overrides)
    early = hold_log()
    async with Host.open(home, settings) as host:
        log_to(home.engine_log, stderr=True, early=early)
        print(json.dumps(host.ready), flush=True)
        signal_ = asyncio.create_task(signalled.wait())
        request = asyncio.create_task(host.stop_requested())
        try:
            await asyncio.wait({signal_, request}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            signal_.cancel()
            request.cancel()
        asked_for_instances = request.done() and not request.cancelled() and request.result()
        host.stop_instances = stop_instances or asked_for_instances
    return 0
