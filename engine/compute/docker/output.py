"""A container's output, copied from the engine's log into a file as it comes; exactly once across restarts of Homerun.

The engine keeps the log while Homerun is away. Beside the copy lies how far it was read: a time, and how long the copy
was before the first entry of that time; what the copy has beyond is skipped when the log is read from there again.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.api import ApiError, DockerApi
from engine.compute.files import write_whole
from engine.model.base import Value

logger = logging.getLogger(__name__)

_MARK_EVERY_S = 1.0
_RETRY_S = 0.5
_LAST_WORDS_S = 5.0


class Mark(Value, frozen=True, kw_only=True):
    """How far a log was copied."""

    size: int = 0
    """Of the copy before the first entry of `stamp`."""
    stamp: str = ""
    """Time of an entry as the engine wrote it; "" for the beginning."""


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
            async with asyncio.timeout(_LAST_WORDS_S):
                await asyncio.shield(self._task)
        await self.close()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._copy()
                if self._ended.is_set():
                    return
            except ComputeUnavailable:
                if self._ended.is_set():
                    return
            except ApiError as error:
                if error.status == 404:
                    return
                logger.warning("The output of container %s cannot be read: %s", self._container_id[:12], error)
            except OSError as error:
                logger.warning("The output of container %s cannot be kept: %s", self._container_id[:12], error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S):
                    await self._ended.wait()

    async def _copy(self) -> None:
        mark = await asyncio.to_thread(self._read_mark)
        writer = _Writer(self._file, self._mark_file, mark)
        query = {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "1"}
        if mark.stamp:
            query["since"] = since(mark.stamp)
        path = f"/containers/{self._container_id}/logs"
        async with self._api.stream("GET", path, query=query) as parts:
            async for entries in _entries(parts):
                await asyncio.to_thread(writer.write, entries)
        await asyncio.to_thread(writer.note)

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
        self._noted_at = 0.0

    def write(self, entries: list[tuple[str, bytes]]) -> None:
        """Raises OSError."""
        texts = []
        size, mark = self._size, self._mark
        for stamp, text in entries:
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            if stamp != mark.stamp:
                mark = Mark(size=size - self._skip - skipped, stamp=stamp)
            texts.append(text[skipped:])
            size += len(text) - skipped
        data = b"".join(texts)
        if data:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
        self._size, self._mark = size, mark
        if time.monotonic() - self._noted_at > _MARK_EVERY_S:
            self.note()

    def note(self) -> None:
        """Write down how far it is. Raises OSError."""
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
    main, _, rest = stamp.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(main[:19]).replace(tzinfo=UTC).timestamp())
    nanoseconds = "".join(_digits(rest)).ljust(9, "0")[:9]
    return f"{seconds}.{nanoseconds}"


def _digits(text: str) -> Iterator[str]:
    for letter in text:
        if not letter.isdigit():
            return
        yield letter
