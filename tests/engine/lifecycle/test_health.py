"""Health checks against real sockets, and what a row of answers means."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from engine.compute.process.compute import NETWORK_TABLES
from engine.lifecycle.accepting import Inside, queued
from engine.lifecycle.health import NOT_TAKEN, Answer, Health, Verdict, judge, next_probe_in, parse_status, probe
from engine.model.instance import Address
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol

TCP = HealthCheckConfiguration(protocol=HealthCheckProtocol.TCP, timeout=1, interval=5)
HTTP = HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path="/health", timeout=1, interval=5)


async def ask(address: Address, config: HealthCheckConfiguration, *, starting: bool = False) -> Answer:
    """Probe an application on this machine's own network, as a plain process is."""
    return await probe(address, config, Inside(tables=NETWORK_TABLES, port=address.port), starting=starting)


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
    got = await ask(await server(reply), HTTP)

    assert (got.healthy, got.text) == (healthy, text)


async def test_an_accepted_connection_is_enough_for_tcp(server):
    assert (await ask(await server(b""), TCP)).healthy


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_a_starting_server_whose_workers_take_no_connection_is_not_healthy_until_one_does(family, host):
    with socket.socket(family) as listening:
        try:
            listening.bind((host, 0))
        except OSError:
            pytest.skip("no IPv6 on this machine")
        listening.listen()
        address = Address(host=host, port=listening.getsockname()[1])
        early = [await ask(address, TCP, starting=True) for _ in range(3)]
        running = await ask(address, TCP)
        while queued_on(address.port):
            listening.accept()[0].close()
        server = await asyncio.start_server(lambda _, writer: writer.close(), sock=listening)
        async with server:
            late = await ask(address, TCP, starting=True)

    assert [answer.healthy for answer in early] == [False] * 3
    assert {answer.text for answer in early} == {NOT_TAKEN}
    assert running.healthy, "an instance that serves may be busy"
    assert late.healthy


def queued_on(port: int) -> int:
    return sum(queued(Path(table).read_text(), port) for table in ("/proc/net/tcp", "/proc/net/tcp6"))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells")
async def test_checks_of_a_starting_server_do_not_pile_up_before_it():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        for _ in range(3):
            await ask(Address(host="127.0.0.1", port=port), TCP, starting=True)

        assert queued_on(port) == 1


def test_the_kernels_table_is_read_by_state_and_port():
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    listening = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 1 1\n"
    connected = "   1: 0100007F:1F90 0100007F:C001 01 00000000:0000FFFF 00:00000000 00000000     0        0 2 1\n"

    assert queued(head + connected + listening + "rubbish\n", 8080) == 3
    assert queued(head + listening, 8081) == 0
    assert queued("", 8080) == 0


async def test_nothing_listening_is_said_so(unused_tcp_port):
    got = await ask(Address(host="127.0.0.1", port=unused_tcp_port), TCP)

    assert (got.healthy, got.text) == (False, "connection refused")


async def test_a_silent_application_is_waited_for_no_longer_than_the_timeout(server):
    got = await ask(await server(None), HTTP)

    assert (got.healthy, got.text) == (False, "no answer within 1 s")


async def test_an_application_on_ipv6_only_is_found(server):
    with contextlib.ExitStack() as holding:
        for _ in range(10):
            try:
                address = await server(b"HTTP/1.1 200 OK\r\n\r\n", "::1")
            except OSError:
                pytest.skip("no IPv6 on this machine")
            elsewhere = holding.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # another program has it over IPv4: then not this port
                elsewhere.bind(("127.0.0.1", address.port))  # so that nobody answers there meanwhile
                break
        got = await ask(address, HTTP)

    assert got.healthy
    assert got.address.host == "::1"
