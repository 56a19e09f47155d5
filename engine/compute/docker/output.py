"""A container's output, copied from the engine's log into a file as it comes; exactly once across restarts of Homerun.

The engine keeps the log while Homerun is away. Beside the copy lies a place that both have: a time, and how long the
copy was before the first entry of that time; what the copy has beyond is skipped when the log is read from there again.
The place is a second old at least, since an engine stamps the two streams of a container in two threads, not quite in
order.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.api import ApiError, DockerApi
from engine.compute.docker.times import nanoseconds
from engine.compute.files import in_thread, write_whole
from engine.model.base import Value

logger = logging.getLogger(__name__)

_MARK_EVERY_S = 1.0
_RETRY_S = 0.5
_LAST_WORDS_S = 5.0
_FOLLOWED_S = 0.5
_SETTLED_NS = 10**9


class Mark(Value, frozen=True, kw_only=True):
    """A place that the log and the copy have in common. Times are as the engine wrote them; "" for none."""

    size: int = 0
    """Of the copy before the entry of `stamp`."""
    stamp: str = ""
    """Every entry before it is older, every later one is not; "" for the beginning."""
    first: str = ""
    """Of the first entry of the log."""
    last: str = ""
    """The newest time that was copied."""


class OutputCopy:
    """Owns one task that copies the log of `container_id` to `file`."""

    def __init__(self, api: DockerApi, container_id: str, file: Path) -> None:
        self._api = api
        self._container_id = container_id
        self._file = file
        self._mark_file = file.with_name("output.mark")
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"output of {container_id[:12]}")

    async def finish(self) -> None:
        """The container has ended: return when its last words are in the file."""
        self._ended.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FOLLOWED_S):
                await asyncio.shield(self._task)
        await self.close()
        # A followed log can end with its container before all of it was sent, or not end at all: so once more.
        with contextlib.suppress(TimeoutError, ComputeUnavailable):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._try(follow=False)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(ComputeUnavailable):
                if not await self._try(follow=True):
                    return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await self._ended.wait()

    async def _try(self, *, follow: bool) -> bool:
        """Copy what there is; False when there is no such container any more. Raises ComputeUnavailable."""
        try:
            await self._copy(follow=follow)
        except ApiError as error:
            if error.status == 404:
                return False
            logger.warning("The output of container %s cannot be read: %s", self._container_id[:12], error)
        except OSError as error:
            logger.warning("The output of container %s cannot be kept: %s", self._container_id[:12], error)
        return True

    async def _copy(self, *, follow: bool) -> None:
        mark = await asyncio.to_thread(self._read_mark)
        writer = _Writer(self._file, self._mark_file, mark)
        query = {"follow": "1" if follow else "0", "stdout": "1", "stderr": "1", "timestamps": "1"}
        if mark.stamp:
            query["since"] = since(mark.stamp)
        path = f"/containers/{self._container_id}/logs"
        async with self._api.stream("GET", path, query=query) as parts:
            async for entries in _entries(parts):
                await in_thread(writer.write, entries)
        await in_thread(writer.note)

    def _read_mark(self) -> Mark:
        try:
            return msgspec.json.decode(self._mark_file.read_bytes(), type=Mark)
        except (OSError, msgspec.MsgspecError):
            return Mark()


class _Writer:
    """Appends entries to the copy, skipping those that it has; used in one thread at a time."""

    def __init__(self, file: Path, mark_file: Path, mark: Mark) -> None:
        file.touch(mode=0o600)
        self._file, self._mark_file, self._mark = file, mark_file, mark
        self._size = file.stat().st_size
        self._skip = max(0, self._size - mark.size)
        self._expected = mark.stamp or mark.first
        self._first, self._last = mark.first, mark.last
        self._newest = nanoseconds(mark.stamp)
        self._places: list[tuple[int, int, str]] = []
        """Candidates for the mark, oldest first: time in nanoseconds, size of the copy, time as it was written."""
        self._noted_at = 0.0

    def write(self, entries: list[tuple[str, bytes]]) -> None:
        """Raises OSError."""
        entries = self._still_there(entries)
        texts: list[bytes] = []
        place = self._size - self._skip
        for stamp, text in entries:
            at = nanoseconds(stamp)
            while self._places and self._places[-1][0] > at:
                self._places.pop()
            if at > self._newest or not self._places:
                self._places.append((at, place, stamp))
            if at >= self._newest:
                self._newest, self._last = at, stamp
            self._first = self._first or stamp
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            texts.append(text[skipped:])
            place += len(text)
        data = b"".join(texts)
        if data:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                rest = data
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            finally:
                os.close(descriptor)
        self._size += len(data)
        if time.monotonic() - self._noted_at > _MARK_EVERY_S:
            self.note()

    def _still_there(self, entries: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """The entries; when the engine has thrown the mark's away meanwhile, without those that the copy has."""
        expected, self._expected = self._expected, ""
        if not entries or not expected or nanoseconds(entries[0][0]) == nanoseconds(expected):
            return entries
        self._skip = 0
        known = nanoseconds(self._mark.last)
        return [entry for entry in entries if nanoseconds(entry[0]) > known]

    def note(self) -> None:
        """Write down how far it is. Raises OSError."""
        settled = [place for place in self._places if place[0] <= self._newest - _SETTLED_NS]
        if settled:
            _, size, stamp = settled[-1]
            self._mark = Mark(size=size, stamp=stamp)
            self._places = self._places[len(settled) - 1 :]
        self._mark = replace(self._mark, first=self._first, last=self._last)
        write_whole(self._mark_file, msgspec.json.encode(self._mark))
        self._noted_at = time.monotonic()


async def _entries(parts: AsyncIterator[bytes]) -> AsyncIterator[list[tuple[str, bytes]]]:
    """The entries of each part: (time, text). Frames have a head of eight bytes: stream, three zeros, length."""
    rest = b""
    async for part in parts:
        rest, found = split(rest + part)
        if found:
            yield found


def split(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """What is no whole frame yet, and the entries of those that are whole."""
    found = []
    at = 0
    while len(data) - at >= 8:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")
        if end > len(data):
            break
        stamp, _, text = data[at + 8 : end].partition(b" ")
        found.append((stamp.decode("ascii", "replace"), text))
        at = end
    return data[at:], found


def since(stamp: str) -> str:
    """An entry's time as the API takes it: seconds and nanoseconds since the epoch."""
    whole, rest = divmod(nanoseconds(stamp), 10**9)
    return f"{whole}.{rest:09d}"
