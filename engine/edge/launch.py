"""Starting, finding and ending the edge's process, from the engine's side. Nothing here keeps the process alive."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil

import engine
from engine.edge.address import parse_address
from engine.edge.process import EXIT_ADDRESS_IN_USE
from engine.edge.record import EdgeRecord, private_folder, read_record
from engine.model.errors import HomerunError
from engine.model.home import Home

START_TIMEOUT_S = 10.0
KILL_AFTER_S = 3.0
"""From the end of the grace to SIGKILL."""
_POLL_S = 0.01
_SAME_START_S = 1.0
"""The boot time that start times are reckoned from may be adjusted by a second."""
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class EdgeError(HomerunError):
    """The edge cannot be started or reached."""


class AddressInUse(EdgeError):  # noqa: N818 - the name says it all
    """Something else listens where the edge should."""

    def __init__(self, listen: str) -> None:
        super().__init__(
            f"The edge cannot listen on {listen} because another program does; stop that program or choose another "
            "port (0 takes a free one)."
        )
        self.listen = listen


def living(record: EdgeRecord) -> bool:
    """Whether the recorded process still runs: the same pid with the same start time, and no zombie."""
    return is_running(record.pid, record.started_at)


def is_running(pid: int, started_at: float | None = None) -> bool:
    try:
        process = psutil.Process(pid)
        if started_at is not None and abs(process.create_time() - started_at) > _SAME_START_S:
            return False
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_time(pid: int) -> float | None:
    """When that process started; None when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def check_free(listen: str) -> None:
    """Raises AddressInUse where something listens already. Only a check: the edge itself finds out for good."""
    host, port = parse_address(listen)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressInUse(listen) from error


async def launch(home: Home, listen: str) -> "tuple[subprocess.Popen[bytes], EdgeRecord]":
    """Start an edge and wait until it listens. Raises AddressInUse, EdgeError."""
    try:
        process, log_start = await asyncio.to_thread(_spawn, home, listen)
    except OSError as error:
        raise EdgeError(f"The edge cannot be started: {error}.") from error
    try:
        record = await _record_of(process, home)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if record is not None:
        return process, record
    raise _failure(home, listen, process.returncode, log_start)


async def end(pid: int, started_at: float | None, child: "subprocess.Popen[bytes] | None", grace_s: float) -> None:
    """Wait for the process to end, with SIGKILL when the grace has passed. `child` is reaped if it is one of ours."""
    deadline = monotonic() + grace_s + KILL_AFTER_S
    killed = False
    while not (child.poll() is not None if child is not None else not is_running(pid, started_at)):
        if monotonic() > deadline:
            if killed:
                raise EdgeError(f"The edge (process {pid}) does not end.")
            killed, deadline = True, monotonic() + KILL_AFTER_S
            send_signal(pid, started_at, signal.SIGKILL)
        await asyncio.sleep(_POLL_S)


def send_signal(pid: int, started_at: float | None, number: signal.Signals) -> None:
    """Nothing happens when that process is gone."""
    if is_running(pid, started_at):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def disown(child: "subprocess.Popen[bytes]") -> None:
    """Leave the process running for good: Popen must neither warn about it nor wait for it."""
    if child.poll() is None:
        child.returncode = 0


async def _record_of(process: "subprocess.Popen[bytes]", home: Home) -> EdgeRecord | None:
    """The record that the process writes once it listens; None when it has ended instead."""
    deadline = monotonic() + START_TIMEOUT_S
    while monotonic() < deadline:
        record = read_record(home.edge_record)
        if record is not None and record.pid == process.pid:
            return record
        if process.poll() is not None:
            return None
        await asyncio.sleep(_POLL_S)
    raise EdgeError(f"The edge did not start within {START_TIMEOUT_S:g} seconds; see {home.edge_log}.")


def _spawn(home: Home, listen: str) -> "tuple[subprocess.Popen[bytes], int]":
    private_folder(home.sockets)
    home.edge_log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(home.edge_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "engine.edge", "--listen", listen),
                *("--control", os.fspath(home.edge_socket), "--record", os.fspath(home.edge_record)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
        return process, os.fstat(handle).st_size
    finally:
        os.close(handle)


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = os.fspath(Path(engine.__file__).resolve().parent.parent)
    return environment


def _failure(home: Home, listen: str, exit_code: int, log_start: int) -> EdgeError:
    if exit_code == EXIT_ADDRESS_IN_USE:
        return AddressInUse(listen)
    with suppress(OSError), home.edge_log.open("rb") as log:
        log.seek(log_start)
        lines = log.read(64 * 1024).decode(errors="replace").splitlines()
        if lines:
            return EdgeError(f"The edge ended with exit code {exit_code} as it started: {lines[-1]}")
    return EdgeError(f"The edge ended with exit code {exit_code} as it started; see {home.edge_log}.")
