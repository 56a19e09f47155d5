"""Instances outlive the engine: `kill -9` of the process that started them, then another one adopts."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.compute.base import InstanceSpec
from engine.compute.process import ProcessCompute
from engine.model.clock import SystemClock

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

ENGINE = """
import asyncio, sys
from pathlib import Path
import msgspec
from engine.compute.base import InstanceSpec
from engine.compute.process import ProcessCompute
from engine.model.clock import SystemClock
from engine.model.home import Home

async def main():
    spec = msgspec.json.decode(sys.stdin.read(), type=InstanceSpec)
    started = await ProcessCompute(Home(path=Path(sys.argv[1])), SystemClock()).start(spec)
    print(msgspec.json.encode(started).decode(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def orphaned(home, run):
    """Start an instance from an engine that is killed at once; returns the instance."""

    async def orphaned(spec: InstanceSpec):
        engine = subprocess.Popen(
            [sys.executable, "-c", ENGINE, home.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[4],
        )
        with engine:
            engine.stdin.write(msgspec.json.encode(spec))
            engine.stdin.close()
            line = await asyncio.to_thread(engine.stdout.readline)
            os.kill(engine.pid, signal.SIGKILL)
        assert line, "the engine started the instance"
        return await run.start(spec)  # what a next engine does with a record it finds unfinished

    return orphaned


async def test_it_serves_on_and_is_adopted(made, plan_of, run, orphaned, compute, processes_of):
    """Running, its output complete, its exit code known, although its engine was killed."""
    plan = plan_of(start="i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i; sleep 0.02; done; echo last; exit 42")
    instance = await orphaned(run.spec(made(), plan))
    assert compute.is_running(instance)
    before = len(compute.output(instance.id).read_text())
    waiting = asyncio.create_task(compute.wait(instance))
    await asyncio.sleep(0.1)
    assert not waiting.done()

    (compute.output(instance.id).parent / "app/stop").touch()
    end = await asyncio.wait_for(waiting, 10)
    printed = compute.output(instance.id).read_text()
    assert (end.code, end.signal, end.expected) == (42, None, False)
    assert len(printed) > before
    numbers = printed.split()[:-1]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert printed.endswith("last\n")
    assert not compute.is_running(instance)


async def test_one_that_ends_while_no_engine_runs_has_its_exit_code(made, plan_of, run, orphaned, compute):
    """The supervisor writes it down."""
    plan = plan_of(start="sleep 0.2; exit 9")
    instance = await orphaned(run.spec(made(), plan))
    await asyncio.sleep(0.5)

    assert (await compute.wait(instance)).code == 9


async def test_an_adopted_one_can_be_stopped_and_sampled(made, plan_of, run, orphaned, compute, home, environ):
    plan = plan_of(start="echo ready; exec sleep 60")
    instance = await orphaned(run.spec(made(), plan, cpu_units=256, memory_mb=512))
    next_engine = ProcessCompute(home, SystemClock(), environ)
    (sample,) = await asyncio.to_thread(next_engine.sample, [instance], SystemClock().now())
    end = await next_engine.stop(instance, 5)

    assert sample.memory_percent == pytest.approx(sample.memory_bytes / (512 << 20) * 100)
    assert (end.signal, end.expected) == (signal.SIGTERM, True)
    assert not compute.is_running(instance)
