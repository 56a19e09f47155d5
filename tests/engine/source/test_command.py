"""Running git: output, limits, cancellation. A stand-in named git plays the awkward ones."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from engine.source.command import Ending, message_lines, run_git

pytestmark = pytest.mark.slow  # real processes, sockets or repositories


@pytest.fixture
def fake_git(tmp_path, monkeypatch):
    def make(script: str) -> dict[str, str]:
        place = tmp_path / "bin" / "git"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.parent}:{os.environ['PATH']}")
        return dict(os.environ)

    return make


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition, limit_s: float = 2.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def test_output_exit_code_and_last_errors_come_back(fake_git, tmp_path):
    environment = fake_git("cat; echo out; printf 'Receiving objects:  10%% (1/10)\\rfatal: no\\n' >&2; exit 3")
    output = await run_git(["x"], environment=environment, folder=tmp_path, stdin=b"in\n", limit_s=5)
    assert (output.ending, output.code, output.ok) == (Ending.EXIT, 3, False)
    assert output.text == "in\nout\n"
    assert output.errors == ("fatal: no",)


async def test_input_that_nobody_reads_is_no_error(fake_git, tmp_path):
    output = await run_git(["x"], environment=fake_git("exit 0"), folder=tmp_path, stdin=b"x" * 10**6, limit_s=5)
    assert output.ok


async def test_silence_is_a_stall_and_any_byte_ends_it(fake_git, tmp_path):
    environment = fake_git("for i in 1 2 3 4; do sleep 0.1; printf . >&2; done; sleep 60")
    began = time.monotonic()
    output = await run_git(["x"], environment=environment, folder=tmp_path, limit_s=30, stall_s=0.3)
    assert output.ending is Ending.STALLED
    assert 0.6 < time.monotonic() - began < 3


async def test_the_whole_time_is_bounded(fake_git, tmp_path):
    environment = fake_git("while :; do printf .; sleep 0.05; done")
    output = await run_git(["x"], environment=environment, folder=tmp_path, limit_s=0.2, stall_s=5)
    assert output.ending is Ending.LATE


async def test_a_flood_is_ended(fake_git, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.source.command._STDOUT_MOST", 100_000)
    output = await run_git(["x"], environment=fake_git("exec yes"), folder=tmp_path, limit_s=5)
    assert output.ending is Ending.FLOODED
    assert len(output.stdout) <= 100_000


async def test_cancelling_ends_git_and_everything_it_started(fake_git, tmp_path):
    environment = fake_git("sleep 60 & echo $! > child; echo $$ > pid; wait")
    task = asyncio.ensure_future(run_git(["x"], environment=environment, folder=tmp_path, limit_s=60))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    pids = [int((tmp_path / name).read_text()) for name in ("pid", "child")]
    assert all(is_running(pid) for pid in pids)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(is_running(pid) for pid in pids))


@pytest.mark.parametrize("turns", range(4))
async def test_cancelling_while_git_starts_ends_what_it_started(fake_git, tmp_path, turns):
    environment = fake_git("sleep 60 & echo $! > child; wait")
    began = time.monotonic()
    task = asyncio.ensure_future(run_git(["x"], environment=environment, folder=tmp_path, limit_s=60))
    for _ in range(turns):
        await asyncio.sleep(0)
    time.sleep(0.05)  # the loop sees nothing while the stand-in comes up
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 5
    mark = tmp_path / "child"
    if mark.exists() and (text := mark.read_text().strip()):
        await until(lambda: not is_running(int(text)))


async def test_one_that_ignores_sigterm_is_killed(fake_git, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.source.command._TERM_GRACE_S", 0.1)
    environment = fake_git("trap '' TERM; while :; do sleep 0.05; done")
    output = await run_git(["x"], environment=environment, folder=tmp_path, limit_s=0.2)
    assert output.ending is Ending.LATE
    assert output.code == -9


async def test_a_helper_that_stays_behind_with_the_pipes_is_not_waited_for(fake_git, tmp_path):
    environment = fake_git("sleep 3 & echo $! > child; echo done")
    began = time.monotonic()
    output = await run_git(["x"], environment=environment, folder=tmp_path, limit_s=30)
    assert output.ok
    assert output.text == "done\n"
    assert time.monotonic() - began < 2
    child = int((tmp_path / "child").read_text())
    assert is_running(child)
    os.kill(child, 9)


def test_message_lines_leave_progress_out():
    stderr = (
        "remote: Enumerating objects: 37, done.        \n"
        "remote: Counting objects:   2% (1/37)   \rremote: Counting objects: 100% (37/37), done.   \n"
        "remote: Total 37 (delta 0), reused 0 (delta 0), pack-reused 0   \n"
        "Receiving objects:  98% (36/37), 1.20 MiB | 2.3 MiB/s\r"
        "Updating files: 100% (5/5), done.\n"
        "remote: \nerror: RPC failed; curl 18 transfer closed\nfatal: early EOF\n"
    )
    assert message_lines(stderr) == ("remote:", "error: RPC failed; curl 18 transfer closed", "fatal: early EOF")
