"""Health checks against real sockets, and what a row of answers means."""

import asyncio

import pytest

from engine.lifecycle.health import Answer, Health, Verdict, judge, next_probe_in, parse_status, probe
from engine.model.instance import Address
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol

TCP = HealthCheckConfiguration(protocol=HealthCheckProtocol.TCP, timeout=1, interval=5)
HTTP = HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path="/health", timeout=1, interval=5)


def answer(healthy: bool) -> Answer:
    return Answer(healthy=healthy, text="x", address=Address(host="127.0.0.1", port=1))


def test_thresholds_count_answers_in_a_row():
    config = HealthCheckConfiguration(healthy_threshold=2, unhealthy_threshold=3)
    health, verdicts = Health(), []
    for good in (True, False, True, True, False, False, False):
        health, verdict = judge(health, answer(good), config)
        verdicts.append(verdict)

    undecided, healthy, unhealthy = Verdict.UNDECIDED, Verdict.HEALTHY, Verdict.UNHEALTHY
    assert verdicts == [undecided, undecided, undecided, healthy, undecided, undecided, unhealthy]


def test_a_starting_instance_is_asked_often_and_a_ready_one_at_its_interval():
    assert next_probe_in(TCP, ready=True, age_s=0.0) == 5.0
    assert next_probe_in(TCP, ready=False, age_s=0.0) <= 0.05
    assert next_probe_in(TCP, ready=False, age_s=100.0) == 1.0


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n", (200, "OK")),
        (b"HTTP/1.0 503\r\n", (503, "")),
        (b"HTTP/1.1 2000 OK", None),
        (b"SSH-2.0-OpenSSH", None),
        (b"", None),
    ],
)
def test_a_status_line(head, expected):
    assert parse_status(head) == expected


@pytest.fixture
async def server():
    """Answers what it is told to (None: nothing, until the end), on IPv4 or IPv6 loopback."""
    servers, talks, over = [], set(), asyncio.Event()

    async def start(reply: bytes | None, host: str = "127.0.0.1") -> Address:
        async def handle(reader, writer):
            talks.add(asyncio.current_task())
            try:
                if reply is None:
                    await over.wait()
                else:
                    await reader.read(1024)
                    writer.write(reply)
            finally:
                writer.close()

        made = await asyncio.start_server(handle, host, 0)
        servers.append(made)
        return Address(host="127.0.0.1", port=made.sockets[0].getsockname()[1])

    yield start
    over.set()
    for made in servers:
        made.close()
    await asyncio.gather(*talks, return_exceptions=True)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("reply", "healthy", "text"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True, "HTTP 200 OK"),
        (b"HTTP/1.1 302 Found\r\n\r\n", True, "HTTP 302 Found"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", False, "HTTP 401 Unauthorized"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", False, "HTTP 500 Oops"),
        (b"220 smtp\r\n", False, "answered, but not in HTTP"),
        (b"", False, "closed the connection without an answer"),
    ],
)
async def test_http_answers(server, reply, healthy, text):
    got = await probe(await server(reply), HTTP)

    assert (got.healthy, got.text) == (healthy, text)


async def test_an_accepted_connection_is_enough_for_tcp(server):
    assert (await probe(await server(b""), TCP)).healthy


async def test_nothing_listening_is_said_so(unused_tcp_port):
    got = await probe(Address(host="127.0.0.1", port=unused_tcp_port), TCP)

    assert (got.healthy, got.text) == (False, "connection refused")


async def test_a_silent_application_is_waited_for_no_longer_than_the_timeout(server):
    got = await probe(await server(None), HTTP)

    assert (got.healthy, got.text) == (False, "no answer within 1 s")


async def test_an_application_on_ipv6_only_is_found(server):
    try:
        address = await server(b"HTTP/1.1 200 OK\r\n\r\n", "::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")

    got = await probe(address, HTTP)

    assert got.healthy
    assert got.address.host == "::1"
