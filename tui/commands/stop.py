"""`homerun stop`: end the engine that owns a home, wherever it runs."""

import asyncio
import json
import os
import signal
import sys
import time

from engine.api.host import end_instances
from engine.model.errors import HomerunError
from engine.model.home import Home

_PATIENCE_S = 60.0


def run(home: Home, *, instances: bool) -> int:
    """Waits until it has ended. Nothing to stop is fine."""
    pid = owner_of(home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE_S
        while owner_of(home) == pid:
            if time.monotonic() > deadline:
                raise HomerunError(f"The engine (pid {pid}) did not end within {_PATIENCE_S:.0f} s.")
            time.sleep(0.05)
        print(f"The engine (pid {pid}) has ended.", file=sys.stderr)
    else:
        print(f"No engine runs on {home.path}.", file=sys.stderr)
    if instances:
        count = asyncio.run(end_instances(home))
        print(f"{count} instance{'' if count == 1 else 's'} and the edge have ended.", file=sys.stderr)
    return 0


def owner_of(home: Home) -> int | None:
    """Pid of the engine that holds this home's lock; None where nobody does."""
    import fcntl

    try:
        descriptor = os.open(home.lock, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            pid: int = json.loads(home.engine_record.read_text())["pid"]
        except (OSError, ValueError, KeyError):
            return None
        return pid
    else:
        return None
    finally:
        os.close(descriptor)
