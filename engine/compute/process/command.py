"""One build command: run, streamed line by line, and ended with everything that it started."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from engine.compute.files import in_thread
from engine.compute.process.lines import LineSplitter

TAIL_LINES = 20
"""How much of a failing command's output is kept as evidence."""
_READ_SIZE = 1 << 16
_LATE_OUTPUT_S = 0.2  # how long a pipe may stay open after its command has ended


def build_shell() -> str:
    """App Runner's images have bash as their sh, and build lines count on it."""
    return shutil.which("bash") or "/bin/sh"


async def run_command(
    line: str,
    *,
    cwd: Path,
    env: Mapping[str, str],
    emit: Callable[[str], None],
    started: Callable[[int], None],
    end_daemons: Callable[[], Awaitable[None]],
) -> tuple[int, tuple[str, ...]]:
    """Run one shell line; output, stderr included, goes to `emit` as it comes; `started` gets its
    pid, in a thread; `end_daemons` ends what left its process group.

    Returns the exit code (negative: the signal) and the last lines. Background processes end with the command, as
    they do in an image build. Cancelling kills the whole process group.
    """
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    splitter = LineSplitter()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_READ_SIZE)
    read_end, write_end = os.pipe()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )

    def show(lines: list[str]) -> None:
        for each in lines:
            tail.append(each)
            emit(each)

    async def pump() -> None:
        while data := await reader.read(_READ_SIZE):
            show(splitter.feed(data))

    try:
        try:
            process = await asyncio.create_subprocess_exec(
                build_shell(),
                "-c",
                line,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        pumping = asyncio.create_task(pump())
        try:
            await in_thread(started, process.pid)
            code = await process.wait()
            _kill_group(process.pid)
            if not await _done_within(pumping, _LATE_OUTPUT_S):
                await end_daemons()
                await _done_within(pumping, _LATE_OUTPUT_S)
        finally:
            _kill_group(process.pid)
            pumping.cancel()
            await asyncio.gather(pumping, process.wait(), return_exceptions=True)
    finally:
        transport.close()
    show(splitter.flush())
    return code, tuple(tail)


async def _done_within(task: asyncio.Task[None], seconds: float) -> bool:
    done, _ = await asyncio.wait([task], timeout=seconds)
    return bool(done)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
