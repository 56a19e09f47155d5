"""Removes everything that a home has in the container engine: for homes that are thrown away."""

from engine.compute.docker.compute import DockerCompute
from engine.model.clock import SystemClock
from engine.model.home import Home
from engine.model.settings import Settings


async def forget_home(home: Home, settings: Settings) -> None:
    """Its containers, images and network. Nothing happens where no engine answers; no engine of ours may own it."""
    compute = DockerCompute(home, settings, SystemClock())
    try:
        await compute.open(lambda: None)
        await compute.sweep((), ())
    finally:
        await compute.close()
