"""The machine's process table: who runs, who belongs to whom, what it uses."""
# ruff: noqa: PTH123, PTH208 - read every second for every process: strings cost a third of Paths here

import contextlib
import functools
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec
import psutil

from engine.model.base import Value

_LINUX = sys.platform.startswith("linux")
_PROC = "/proc"
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Row(msgspec.Struct, frozen=True):
    """One line of the process table. Zombies are not in it."""

    pid: int
    parent: int
    group: int
    session: int
    cpu_s: float
    """Its own and that of its ended children that were waited for."""
    start: float
    """Start time in a unit of the platform's own; only equality means anything."""


Table = Mapping[int, Row]


class Identity(Value, frozen=True, kw_only=True):
    """One process for good: a reused pid has another start, another boot another id."""

    pid: int
    start: float
    boot_id: str


@functools.cache
def boot_id() -> str:
    """Names the time since the machine was started; "" where there is no such name."""
    try:
        return Path(f"{_PROC}/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def identify(pid: int) -> Identity | None:
    """The identity of a running process; None when there is none (a zombie is none)."""
    row = _read_row(pid)
    return Identity(pid=pid, start=row.start, boot_id=boot_id()) if row else None


def identify_child(pid: int) -> Identity | None:
    """The identity of a child of ours that nobody has waited for, even if it has ended already."""
    start = _start_of(pid)
    return Identity(pid=pid, start=start, boot_id=boot_id()) if start is not None else None


def reap(pid: int) -> None:
    """Take note of the end of a child; nothing happens when it runs, or was the child of an earlier engine."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def is_alive(identity: Identity) -> bool:
    return identity.boot_id == boot_id() and identify(identity.pid) == identity


def read_table() -> dict[int, Row]:
    """Every process: about 15 µs each on Linux."""
    pids = [int(name) for name in os.listdir(_PROC) if name.isdecimal()] if _LINUX else psutil.pids()
    return {pid: row for pid in pids if (row := _read_row(pid))}


def tree_of(root: int, table: Table, children: Mapping[int, Collection[int]] | None = None) -> set[int]:
    """The root, its descendants and its session, as far as they are in the table. The root must be verified."""
    children = children_of(table) if children is None else children
    members: set[int] = set()
    todo = [pid for pid in (root, *children.get(-root, ())) if pid in table]
    while todo:
        pid = todo.pop()
        if pid not in members:
            members.add(pid)
            todo.extend(children.get(pid, ()))
    return members


def children_of(table: Table) -> dict[int, list[int]]:
    """Pids by parent, and by session under the session's negative number."""
    children: dict[int, list[int]] = {}
    for row in table.values():
        children.setdefault(row.parent, []).append(row.pid)
        if row.session > 0:
            children.setdefault(-row.session, []).append(row.pid)
    return children


def memory_bytes(pids: Iterable[int]) -> int:
    """What a tree has in memory: private pages of each, and shared ones once (the largest share stands for them)."""
    private, shared = 0, 0
    for pid in pids:
        own, common = _memory(pid)
        private += own
        shared = max(shared, common)
    return private + shared


def runs(row: Row) -> bool:
    """Whether that very process still runs."""
    now = _read_row(row.pid)
    return now is not None and now.start == row.start


def environment(pid: int) -> bytes:
    """The environment that a process was started with, `NAME=value` between NULs; empty when it is another user's."""
    return _environment(pid)


if _LINUX:

    def _read_stat(pid: int) -> list[bytes]:
        """The fields after the command's name, [] where there is no such process."""
        try:
            with open(f"{_PROC}/{pid}/stat", "rb", buffering=0) as file:
                return file.read(1024).rpartition(b")")[2].split()
        except OSError:
            return []

    def _start_of(pid: int) -> float | None:
        fields = _read_stat(pid)
        return float(fields[19]) if fields else None

    def _read_row(pid: int) -> Row | None:
        fields = _read_stat(pid)
        if not fields or fields[0] in b"ZXx":
            return None
        return Row(
            pid=pid,
            parent=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            cpu_s=sum(map(int, fields[11:15])) / _TICK,
            start=float(fields[19]),
        )

    def _memory(pid: int) -> tuple[int, int]:
        try:
            with open(f"{_PROC}/{pid}/statm", "rb", buffering=0) as file:
                _, resident, shared = file.read(256).split()[:3]
        except (OSError, ValueError):
            return 0, 0
        return (int(resident) - int(shared)) * _PAGE, int(shared) * _PAGE

    def _environment(pid: int) -> bytes:
        try:
            with open(f"{_PROC}/{pid}/environ", "rb", buffering=0) as file:
                return file.read(1 << 20)
        except OSError:
            return b""

else:

    def _start_of(pid: int) -> float | None:
        try:
            return psutil.Process(pid).create_time()
        except psutil.Error:
            return None

    def _read_row(pid: int) -> Row | None:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                return Row(
                    pid=pid,
                    parent=process.ppid(),
                    group=os.getpgid(pid),
                    session=os.getsid(pid),
                    cpu_s=_cpu_seconds(process),
                    start=process.create_time(),
                )
        except (psutil.Error, OSError):
            return None

    def _cpu_seconds(process: psutil.Process) -> float:
        try:
            times = process.cpu_times()
        except psutil.AccessDenied:  # another user's
            return 0.0
        return times.user + times.system + times.children_user + times.children_system

    def _memory(pid: int) -> tuple[int, int]:
        try:
            return psutil.Process(pid).memory_info().rss, 0
        except psutil.Error:
            return 0, 0

    def _environment(pid: int) -> bytes:
        try:
            pairs = psutil.Process(pid).environ()
        except (psutil.Error, OSError):
            return b""
        return b"\0".join(os.fsencode(f"{name}={value}") for name, value in pairs.items())
