"""Tables, draining, counting and stopping of a whole edge."""

import asyncio

import pytest

from engine.edge import target as target_module
from engine.edge.table import RoutingTable

GET = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\n\r\n"


class Gate:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, seen):
        await self.open.wait()
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_requests_go_to_the_instance_with_the_fewest_in_flight(harness):
    gates = [Gate(), Gate(), Gate()]
    apps = [await harness.app(gate) for gate in gates]
    harness.route(*apps)
    asks = [asyncio.create_task(harness.ask(LAST)) for _ in range(6)]
    await harness.until(lambda: sum(len(app.requests) for app in apps) == 6)
    assert [len(app.requests) for app in apps] == [2, 2, 2]
    assert harness.report().in_flight == {"i1": 2, "i2": 2, "i3": 2}
    gates[1].open.set()
    await harness.until(lambda: harness.report().in_flight == {"i1": 2, "i3": 2})
    more = asyncio.create_task(harness.ask(LAST))
    await more
    assert len(apps[1].requests) == 3
    for gate in gates:
        gate.open.set()
    await asyncio.gather(*asks)
    assert harness.report().in_flight == {}


async def test_an_instance_that_left_the_table_finishes_its_requests_and_gets_no_new_ones(harness):
    gate = Gate()
    old, new = await harness.app(gate), await harness.app()
    harness.route(old)
    ask = asyncio.create_task(harness.ask(GET + LAST))
    await harness.until(lambda: old.requests)
    harness.route(new)
    report = harness.report()
    assert (report.in_flight, report.table_version) == ({"i1": 1}, 2)
    assert (await harness.get()).body == b"hello"
    gate.open.set()
    answers = harness.parse(await ask, ["GET", "GET"])
    assert [answer.body for answer in answers] == [b"ok", b"hello"], "the connection goes on with the new instance"
    assert len(old.requests) == 1
    assert harness.report().in_flight == {}
    await harness.until(lambda: old.open == 0)


async def test_idle_connections_to_an_instance_that_left_are_closed(harness):
    old = await harness.app()
    harness.route(old)
    await harness.get()
    assert old.open == 1
    harness.route(await harness.app())
    await harness.until(lambda: old.open == 0)


async def test_idle_connections_are_closed_in_time(harness, monkeypatch):
    monkeypatch.setattr("engine.edge.server.IDLE_TIMEOUT_S", 0.0)
    app = await harness.app()
    harness.route(app)
    await harness.get()
    await harness.until(lambda: app.open == 0)
    assert target_module.IDLE_TIMEOUT_S < 5


async def test_an_instance_that_comes_back_while_it_drains_is_the_same(harness):
    gate = Gate()
    app = await harness.app(gate)
    harness.route(app)
    ask = asyncio.create_task(harness.ask(LAST))
    await harness.until(lambda: app.requests)
    harness.route(unavailable="The service is paused.")
    harness.route(app)
    assert harness.report().in_flight == {"i1": 1}
    gate.open.set()
    await ask
    await harness.get()
    assert app.connections == 1, "its connections are kept again"


async def test_an_older_or_equal_table_is_ignored(harness):
    harness.edge.apply(RoutingTable(version=5, routes=()))
    assert not harness.edge.apply(RoutingTable(version=5, routes=(harness.service(unavailable="x"),)))
    assert not harness.edge.apply(RoutingTable(version=4, routes=(harness.service(unavailable="x"),)))
    assert (await harness.get()).status == 404
    assert harness.edge.apply(RoutingTable(version=6, routes=(harness.service(unavailable="x"),)))
    assert (await harness.get()).status == 503


async def test_requests_are_counted_by_service_and_status(harness):
    def respond(seen):
        return b"HTTP/1.1 %b Whatever\r\nContent-Length: 0\r\n\r\n" % seen.target[1:]

    app = await harness.app(respond)
    harness.routes(
        harness.service(app, service_id="a", hosts=("a.localhost",)),
        harness.service(app, service_id="b", hosts=("b.localhost",)),
    )
    for status in (b"200", b"201", b"302", b"404", b"500"):
        await harness.get(b"/" + status, host=b"a.localhost")
    await harness.get(b"/200", host=b"b.localhost")
    samples = harness.report().samples
    sums = {
        service_id: [
            sum(getattr(sample, name) for sample in samples if sample.service_id == service_id)
            for name in ("requests", "status_2xx", "status_3xx", "status_4xx", "status_5xx")
        ]
        for service_id in ("a", "b")
    }
    assert sums == {"a": [5, 2, 1, 1, 1], "b": [1, 1, 0, 0, 0]}
    assert sum(sum(sample.latency.values()) for sample in samples) == 6
    assert all(sample.active_instances == 1 for sample in samples if sample.requests)


async def test_stopping_finishes_what_is_in_flight_and_closes_idle_connections_at_once(harness):
    gate = Gate()
    app = await harness.app(gate)
    harness.route(app)
    idle, _ = await harness.connect()
    ask = asyncio.create_task(harness.ask(GET))
    await harness.until(lambda: app.requests)
    stop = asyncio.create_task(harness.edge.stop(5.0))
    assert await idle.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await harness.connect()
    assert not stop.done()
    gate.open.set()
    answer = await ask
    assert answer.endswith(b"ok")
    assert b"Connection: close" in answer
    await stop


async def test_stopping_waits_no_longer_than_its_grace(harness):
    app = await harness.app(Gate())
    harness.route(app)
    ask = asyncio.create_task(harness.ask(GET))
    await harness.until(lambda: app.requests)
    await harness.edge.stop(0.05)
    assert await ask == b""
    assert harness.report().in_flight == {}
