"""One git command: run in its own process group, watched for stalls, ended with everything it started."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import cast

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind

_STDERR_KEPT = 16 * 1024
_STDOUT_MOST = 64 * 1024 * 1024
_TERM_GRACE_S = 2.0
_PIPE_GRACE_S = 0.5
_PROGRESS = re.compile(r"(remote: )?[\w ]+: +\d+(% \(\d+/\d+\)|, done\.|\.\.\.)?.*|(remote: )?Total \d+ .*")


class Ending(StrEnum):
    EXIT = "exit"
    STALLED = "stalled"
    LATE = "late"
    FLOODED = "flooded"
    """More output than anything sensible has."""


class Output(Value, frozen=True, kw_only=True):
    """What a finished command left."""

    ending: Ending
    code: int
    """The exit code; negative for a signal."""
    stdout: bytes
    errors: tuple[str, ...]
    """The last lines of stderr, progress left out. Untrusted text."""

    @property
    def ok(self) -> bool:
        return self.ending is Ending.EXIT and self.code == 0

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class _Pipes(asyncio.SubprocessProtocol):
    """Collects what the command prints and knows when it last printed anything."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.heard = loop.time()
        self.flooded: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.heard = self._loop.time()
        if fd == 2:
            self.stderr += data
            del self.stderr[:-_STDERR_KEPT]
        elif len(self.stdout) + len(data) <= _STDOUT_MOST:
            self.stdout += data
        elif not self.flooded.done():
            self.flooded.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def run_git(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stdin: bytes = b"",
    limit_s: float,
    stall_s: float | None = None,
) -> Output:
    """Run git in `folder` for at most `limit_s`, and at most `stall_s` without a byte of output.

    It gets a session of its own, so nothing it starts can ask a question on our terminal; cancelling ends the
    whole group. Raises DeployError when git cannot be started.
    """
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(_start(arguments, environment, folder, has_stdin=bool(stdin)))
    try:
        transport, pipes = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio would kill git alone, and then wait for whatever git has started.
        await asyncio.wait({starting})
        if starting.exception() is None:
            transport, pipes = starting.result()
            await _end_group(transport.get_pid(), pipes)
            transport.close()
        raise
    try:
        if stdin:
            # PIPE was asked for, so the transport is there.
            pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
            pipe.write(stdin)
            pipe.write_eof()
        ending = await _watch(pipes, started=loop.time(), limit_s=limit_s, stall_s=stall_s)
        if ending is Ending.EXIT:
            # Helpers that stay behind (ssh masters, credential caches) may hold the pipes open: do not wait for them.
            await asyncio.wait({pipes.closed}, timeout=_PIPE_GRACE_S)
    finally:
        if not pipes.exited.done():
            await _end_group(transport.get_pid(), pipes)
        transport.close()
    code = transport.get_returncode()
    return Output(
        ending=ending,
        code=-signal.SIGKILL if code is None else code,
        stdout=bytes(pipes.stdout),
        errors=message_lines(pipes.stderr.decode("utf-8", "replace")),
    )


async def _start(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, *, has_stdin: bool
) -> tuple[asyncio.SubprocessTransport, _Pipes]:
    loop = asyncio.get_running_loop()
    try:
        return await loop.subprocess_exec(
            lambda: _Pipes(loop),
            "git",
            *arguments,
            stdin=asyncio.subprocess.PIPE if has_stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise DeployError.of(
            FailureKind.SOURCE,
            "Git cannot be started: it is not installed or not on PATH.",
            evidence=(str(error),),
            hint="Install git (https://git-scm.com/downloads) and try again.",
        ) from None


def message_lines(stderr: str) -> tuple[str, ...]:
    """The last 12 lines that say something: no progress, no blanks."""
    lines = (line.strip() for line in re.split(r"[\r\n]+", stderr))
    return tuple(line for line in lines if line and not _PROGRESS.fullmatch(line))[-12:]


async def _watch(pipes: _Pipes, *, started: float, limit_s: float, stall_s: float | None) -> Ending:
    loop = asyncio.get_running_loop()
    while True:
        now = loop.time()
        left = started + limit_s - now
        if left <= 0:
            return Ending.LATE
        if stall_s is not None:
            patience = pipes.heard + stall_s - now
            if patience <= 0:
                return Ending.STALLED
            left = min(left, patience)
        await asyncio.wait({pipes.exited, pipes.flooded}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if pipes.flooded.done():
            return Ending.FLOODED
        if pipes.exited.done():
            return Ending.EXIT


async def _end_group(pid: int, pipes: _Pipes) -> None:
    """SIGTERM first, so that git removes its half-written packs and lock files."""
    try:
        _signal(pid, signal.SIGTERM)
        await asyncio.wait({pipes.exited}, timeout=_TERM_GRACE_S)
    finally:
        _signal(pid, signal.SIGKILL)
    await asyncio.wait({pipes.exited}, timeout=_TERM_GRACE_S)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # all gone; macOS says so with EPERM
        return
