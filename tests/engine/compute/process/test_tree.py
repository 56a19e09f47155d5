"""Who belongs to a process tree, and ending all of it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time

import psutil
import pytest
from msgspec.structs import replace

from engine.compute.process.tree import (
    identify,
    identify_child,
    is_alive,
    memory_bytes,
    read_table,
    reap,
    tree_of,
)
from engine.compute.process.trees import Trees, take_scan
from engine.model.clock import SystemClock

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

MARK = "HOMERUN_TEST_TREE"


@pytest.fixture
def spawn(tmp_path):
    """Start a shell line in a session of its own, marked; everything marked ends with the test."""
    mark = f"{tmp_path.name}-{time.monotonic_ns()}"
    children = []

    def spawn(line: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(["sh", "-c", line], start_new_session=True, env={**os.environ, MARK: mark})
        children.append(child)
        return child

    spawn.mark = f"{MARK}={mark}"
    yield spawn
    for pid in take_scan().members(None, spawn.mark):
        os.kill(pid, signal.SIGKILL)
    for child in children:
        child.wait()


async def members(spawn, root, sleeping):
    """The members, once as many of them sleep."""
    async with asyncio.timeout(5):
        while True:
            found = take_scan().members(root, spawn.mark)
            with contextlib.suppress(psutil.NoSuchProcess):
                if sum(psutil.Process(pid).name() == "sleep" for pid in found) == sleeping:
                    return found
            await asyncio.sleep(0.01)


async def test_a_reused_pid_is_somebody_else(spawn):
    """Pid, start time and boot together are one process."""
    child = spawn("exec sleep 60")
    identity = identify(child.pid)

    assert is_alive(identity)
    assert not is_alive(replace(identity, start=identity.start + 1))
    assert not is_alive(replace(identity, boot_id="another"))


async def test_an_ended_child_is_not_alive_but_can_be_identified(spawn):
    child = spawn("exit 0")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert identify(child.pid) is None
    assert identify_child(child.pid) is not None
    child.wait()
    assert identify_child(child.pid) is None


async def test_children_and_orphans_in_the_session_are_in_the_tree(spawn):
    child = spawn("(sleep 60 & sleep 60 &) & sleep 60 & wait")
    await members(spawn, identify(child.pid), 3)
    tree = tree_of(child.pid, read_table())

    assert child.pid in tree
    assert tree >= set(take_scan().members(None, spawn.mark))


async def test_everything_ends_daemons_too(spawn):
    """Those that left group, session and parent are found by their mark."""
    child = spawn("setsid sleep 60 & (setsid sh -c 'sleep 60 & sleep 60' &) ; sleep 60")
    root = identify(child.pid)
    found = await members(spawn, root, 4)
    reaping = asyncio.create_task(asyncio.to_thread(child.wait))
    await Trees(SystemClock()).end(root, spawn.mark, grace_s=5)

    assert take_scan().members(root, spawn.mark) == {}
    assert not any(is_alive(identity) for pid in found if (identity := identify(pid)))
    await reaping


async def test_what_ignores_sigterm_is_killed_after_the_grace(spawn):
    child = spawn("trap '' TERM; while :; do sleep 0.05; done")
    root = identify(child.pid)
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    reaping = asyncio.create_task(asyncio.to_thread(child.wait))
    await Trees(SystemClock()).end(root, spawn.mark, grace_s=0.3)

    assert 0.3 <= time.monotonic() - begun < 2
    assert await reaping == -signal.SIGKILL


async def test_what_minds_sigterm_has_its_grace(spawn, tmp_path):
    done = tmp_path / "done"
    child = spawn(f"trap 'sleep 0.1; touch {done}; exit 0' TERM; while :; do sleep 0.02; done")
    await asyncio.sleep(0.1)
    reaping = asyncio.create_task(asyncio.to_thread(child.wait))
    await Trees(SystemClock()).end(identify(child.pid), spawn.mark, grace_s=5)

    assert done.exists()
    await reaping


async def test_ending_nothing_is_done_at_once(spawn):
    await Trees(SystemClock()).end(None, spawn.mark, grace_s=60)


async def test_those_who_ask_together_share_one_look(spawn, monkeypatch):
    """And nobody gets a look that began before the question."""
    looks = []
    go_on = threading.Event()

    def look():
        looks.append(1)
        assert go_on.wait(10)
        return take_scan()

    monkeypatch.setattr("engine.compute.process.trees.take_scan", look)
    trees = Trees(SystemClock())
    first = asyncio.create_task(trees.members(None, spawn.mark))
    while not looks:
        await asyncio.sleep(0.001)
    child = spawn("sleep 60")
    asked = asyncio.gather(*(trees.members(None, spawn.mark) for _ in range(20)))
    await asyncio.sleep(0)
    go_on.set()

    later = await asked
    await first
    assert len(looks) == 2
    assert all(child.pid in members for members in later)


def test_reaping_a_stranger_does_nothing():
    reap(1)


def test_memory_counts_what_a_process_has(spawn):
    assert 1 << 20 < memory_bytes([os.getpid()]) < 4 << 30
    assert memory_bytes([]) == 0
