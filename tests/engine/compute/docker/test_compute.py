"""The compute against engines that do not answer as they should: it says so, and holds up nobody."""

import asyncio
import signal

import pytest

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.compute import DockerCompute
from engine.compute.docker.http import Endpoint
from engine.model.clock import SystemClock
from engine.model.instance import ContainerHandle, Instance, InstanceState
from engine.model.settings import Settings
from engine.source.registry.reference import parse_reference


@pytest.fixture
async def compute_at(home):
    """A compute on the engine that listens there; closed at the end."""
    computes = []

    def compute_at(endpoint: Endpoint) -> DockerCompute:
        computes.append(DockerCompute(home, Settings(docker_host=endpoint.display), SystemClock(), {}))
        return computes[-1]

    yield compute_at
    for compute in computes:
        await compute.close()


ANSWERS = {
    "GET /info": {"OSType": "linux", "NCPU": 4, "Architecture": "x86_64"},
    "GET /containers/json": [],
}


async def test_an_engine_that_answers_is_ready(fake_engine, compute_at):
    fake_engine.answers |= ANSWERS
    compute = compute_at(fake_engine.endpoint)
    heard = []
    await compute.open(lambda: heard.append(compute.state))
    await asyncio.wait_for(compute.available(), 5)

    assert (compute.state.name, compute.state.version, compute.state.problem) == ("docker", "20.10.24", "")
    assert heard == [compute.state]


async def test_windows_containers_are_refused_with_what_to_do(fake_engine, compute_at):
    fake_engine.answers["GET /info"] = {"OSType": "windows"}
    compute = compute_at(fake_engine.endpoint)
    await compute.open(lambda: None)

    assert "runs Windows containers. Switch it to Linux containers." in compute.state.problem


async def back(compute) -> None:
    async with asyncio.timeout(5):
        await compute.available()
        while compute.state.problem:
            await asyncio.sleep(0.01)


async def test_nobody_there_is_said_until_somebody_is(fake_engine, compute_at):
    fake_engine.answers |= ANSWERS
    await fake_engine.stop()
    compute = compute_at(fake_engine.endpoint)
    await compute.open(lambda: None)
    assert "There is no container engine" in compute.state.problem
    with pytest.raises(ComputeUnavailable):
        await compute.local_image(parse_reference("nginx:1"))
    async with asyncio.timeout(5):
        while not compute._watch.problem:
            await asyncio.sleep(0.01)

    await fake_engine.start()
    await back(compute)


async def test_an_engine_that_comes_up_while_homerun_starts_is_noticed(fake_engine, compute_at):
    """It did not answer the first call, and it answers the next one."""
    fake_engine.answers |= ANSWERS
    await fake_engine.stop()
    compute = compute_at(fake_engine.endpoint)
    await compute.open(lambda: None)
    await fake_engine.start()

    await back(compute)


async def hang(reader, writer):
    """An engine that takes every call and never answers."""
    await reader.read()


async def test_an_engine_that_hangs_does_not_keep_the_screen_away(raw_server, compute_at):
    compute = compute_at(await raw_server(hang))
    async with asyncio.timeout(8):
        await compute.open(lambda: None)

    assert "does not answer" in compute.state.problem


@pytest.mark.slow
async def test_an_engine_that_hangs_does_not_hold_up_the_sweep_of_a_starting_engine(raw_server, compute_at):
    compute = compute_at(await raw_server(hang))
    await compute.open(lambda: None)
    async with asyncio.timeout(8):
        await compute.sweep((), ())


async def test_something_else_at_its_address_is_said(raw_server, compute_at):
    """A web server of another kind: Homerun starts all the same."""

    async def web(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nIt works!")

    compute = compute_at(await raw_server(web))
    await compute.open(lambda: None)

    assert compute.state.problem


async def test_waiting_for_an_instance_leaves_the_loop_to_others_while_the_engine_is_away(tmp_path, compute_at):
    """It has gone away a moment ago, and the watch has not noticed yet."""
    compute = compute_at(Endpoint(path=str(tmp_path / "none.sock")))
    compute._use(Endpoint(path=str(tmp_path / "none.sock")))
    compute._watch._available.set()
    instance = Instance(
        id="a" * 32,
        service_id="s",
        version_id="v",
        compute="docker",
        state=InstanceState.READY,
        handle=ContainerHandle(container_id="c"),
        created_at=0.0,
    )

    def give_up(*_: object) -> None:
        raise AssertionError("nobody else runs any more")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 2.0)
    waiting = asyncio.create_task(compute.wait(instance))
    try:
        await asyncio.sleep(0.2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        waiting.cancel()
        (end,) = await asyncio.gather(waiting, return_exceptions=True)

    assert not isinstance(end, AssertionError)
