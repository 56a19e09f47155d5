"""Following the output files of instances, which outlive the engine.

One task looks at all files several times a second, in a thread. How far a file was read is stored together with the
lines read from it, so an engine that starts goes on exactly there, however the one before ended.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from engine.model.clock import Clock
from engine.model.instance import Instance
from engine.telemetry.followed_file import FollowedFile, Sink
from engine.telemetry.thread import in_thread

LOOK_EVERY_S = 0.15

_log = logging.getLogger(__name__)


class Follower:
    """`positions` are those stored, by instance id."""

    def __init__(self, sink: Sink, clock: Clock, positions: Mapping[str, int]) -> None:
        self._sink = sink
        self._clock = clock
        self._positions = dict(positions)
        self._files: dict[str, FollowedFile] = {}
        self._lock = asyncio.Lock()

    @property
    def followed(self) -> Collection[str]:
        """Instance ids."""
        return self._files.keys()

    def follow(self, instance: Instance, path: Path) -> None:
        """Start where the last reader stopped; the file may be absent yet. Nothing happens when it is followed."""
        if instance.id not in self._files:
            position = self._positions.get(instance.id, 0)
            self._files[instance.id] = FollowedFile(instance.id, instance.service_id, path, position)

    async def unfollow(self, instance_id: str, make_room: Callable[[], Awaitable[object]]) -> None:
        """Read the file of an instance that ended to its end, then let go of it."""
        file = self._files.get(instance_id)
        while file is not None and await self._look((file,), ended=True):
            if not self._sink.has_room:
                await make_room()
        if self._files.pop(instance_id, None) is not None and file is not None:
            self._positions[instance_id] = file.position

    async def look(self) -> bool:
        """Look at every file once; True when there is more to read at once."""
        return await self._look(tuple(self._files.values())) if self._files else False

    async def run(self) -> None:
        """Look for ever."""
        while True:
            if not await self.look() or not self._sink.has_room:
                await self._clock.sleep(LOOK_EVERY_S)

    def on_stored(self, positions: Mapping[str, int]) -> None:
        """The lines up to these positions are durable."""
        self._positions |= positions
        for instance_id, position in positions.items():
            if instance_id in self._files:
                self._files[instance_id].stored = position

    async def _look(self, files: Collection[FollowedFile], *, ended: bool = False) -> bool:
        async with self._lock:
            return await in_thread(self._look_at, files, ended=ended)

    def _look_at(self, files: Collection[FollowedFile], *, ended: bool) -> bool:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        more = False
        for file in files:
            try:
                more |= file.look(self._sink, now, monotonic, ended=ended)
                file.unreadable = False
            except OSError as error:
                if not file.unreadable:
                    file.unreadable = True
                    _log.warning("Cannot read the output of instance %s: %s", file.instance_id, error)
        return more
