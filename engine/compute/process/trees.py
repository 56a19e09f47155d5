"""Whole process trees: who belongs to one, and how to end all of it.

A process belongs to a tree when it descends from the tree's root, is in the root's session, or carries the tree's
mark in the environment it was started with (which also finds daemons that left both).
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Mapping

from engine.compute.process.tree import Identity, Row, boot_id, children_of, environment, read_table, runs, tree_of
from engine.model.base import Value
from engine.model.clock import Clock

MARK_PREFIX = b"HOMERUN_"
_POLL_S = 0.05
_SPARE_ROOT_S = 0.2
_KILL_PATIENCE_S = 5.0  # a process in uninterruptible sleep cannot be ended; nobody waits for it for ever


class Scan(Value, frozen=True, kw_only=True):
    """One look at all processes, good for any number of trees."""

    table: Mapping[int, Row]
    children: Mapping[int, list[int]]
    marked: Mapping[bytes, list[int]]

    def members(self, root: Identity | None, mark: str) -> dict[int, Row]:
        """Everything that belongs to a tree: by its root while that is alive, and by its mark ("HOMERUN_X=value")."""
        pids = set(self.marked.get(os.fsencode(mark), ()))
        if root and root.boot_id == boot_id() and (row := self.table.get(root.pid)) and row.start == root.start:
            pids |= tree_of(root.pid, self.table, self.children)
        return {pid: self.table[pid] for pid in pids}


def take_scan() -> Scan:
    """About 30 microseconds a process. Blocks."""
    table = read_table()
    marked: dict[bytes, list[int]] = {}
    for pid in table:
        if pid != os.getpid() and MARK_PREFIX in (variables := environment(pid)):
            for variable in variables.split(b"\0"):
                if variable.startswith(MARK_PREFIX):
                    marked.setdefault(variable, []).append(pid)
    return Scan(table=table, children=children_of(table), marked=marked)


class Trees:
    """Ends trees. Everyone who asks at the same time shares one look at the processes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered = 0
        self._scan: Scan | None = None

    async def end(self, root: Identity | None, mark: str, *, grace_s: float) -> None:
        """SIGTERM to all of a tree, and to what it starts meanwhile, SIGKILL after `grace_s` to what is left.

        Returns when nothing is left. With no grace SIGKILL comes at once. The root dies last, so that it can write
        down how its child ended.
        """
        clock = self._clock
        deadline = clock.monotonic() + grace_s
        while clock.monotonic() < deadline:
            members = await self.members(root, mark)
            if not members:
                return
            _send(members, signal.SIGTERM)
            pause = _POLL_S / 10
            while clock.monotonic() < deadline and any(runs(row) for row in members.values()):
                await clock.sleep(pause)
                pause = min(pause * 2, _POLL_S)
        begun = clock.monotonic()
        while members := await self.members(root, mark):
            spared = {root.pid} if root and len(members) > 1 and clock.monotonic() < begun + _SPARE_ROOT_S else set()
            _send(members.keys() - spared, signal.SIGKILL)
            if clock.monotonic() >= begun + _KILL_PATIENCE_S:
                return
            await clock.sleep(_POLL_S / 10)

    async def members(self, root: Identity | None, mark: str) -> dict[int, Row]:
        """Who belongs to the tree, by a look that begins after this call."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._scan is None or self._answered < mine:
                asked = self._asked
                self._scan = await asyncio.to_thread(take_scan)
                self._answered = asked
            return self._scan.members(root, mark)


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
