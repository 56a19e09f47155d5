"""`homerun stop`: end the engine that owns a home, wherever it runs."""

import asyncio
import sys

from engine.api.host import Host, load_settings
from engine.api.stop import stop_engine
from engine.model.home import Home


def run(home: Home, *, instances: bool) -> int:
    """Waits until it has ended. Nothing to stop is fine."""
    print(asyncio.run(stop(home, instances=instances)), file=sys.stderr)
    return 0


async def stop(home: Home, *, instances: bool) -> str:
    """What was done, in a sentence."""
    record = await stop_engine(home, instances=instances)
    if record:
        what = "and everything it ran have" if instances else "has"
        return f"The engine (pid {record.pid}) {what} ended."
    if not instances or not home.state_db.exists():
        return f"No engine runs on {home.path}."
    # Instances outlive their engine: one that adopts them can end them.
    async with Host.open(home, load_settings(home, {"api": "127.0.0.1:0"})) as host:
        host.stop_instances = True
    return f"No engine ran on {home.path}; the instances that were left have ended."
