"""The HTTP server over real sockets: order, limits, time-outs, strictness, closing; garbage gets at most a 4xx."""

import asyncio
import contextlib
import re
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.api.http import HttpServer
from engine.api.message import Limits, Request, Response, text

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

QUICK = Limits(
    body=1024, head=2048, headers=20, header_timeout_s=0.2, body_timeout_s=0.2, idle_timeout_s=0.4, linger_s=0.1
)
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Echo:
    """Answers with what it saw; `/slow` waits for `release`, `/boom` raises, `/big` is large."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.release = asyncio.Event()

    async def handle(self, request: Request) -> Response:
        self.seen.append(request)
        if request.path == "/slow":
            await self.release.wait()
        if request.path == "/boom":
            raise RuntimeError("secret detail")
        if request.path == "/big":
            return Response(status=200, body=b"x" * 3_000_000)
        if request.path == "/switch":
            return Response(status=101, headers=(("Upgrade", "echo"), ("Connection", "Upgrade")), session=self._session)
        return text(200, f"{request.method} {request.target} {request.body.decode('latin-1')}")

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data.upper())
            await writer.drain()


@pytest.fixture
async def echo():
    return Echo()


@pytest.fixture
async def server(echo):
    server = HttpServer(echo.handle, limits=QUICK, upgrades=frozenset({b"echo"}))
    sock = socket.create_server(("127.0.0.1", 0))
    server.address = sock.getsockname()
    await server.listen(sock)
    yield server
    await server.close(0.5)


@pytest.fixture
async def connect(server):
    writers = []

    async def connected():
        reader, writer = await asyncio.open_connection(*server.address)
        writers.append(writer)
        return reader, writer

    yield connected
    for writer in writers:
        writer.close()


@pytest.fixture
def ask(connect):
    """Send bytes (closing our half unless told not to) and return all that comes back."""

    async def asked(*pieces: bytes, half_close: bool = False) -> bytes:
        reader, writer = await connect()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()

    return asked


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(answer)]


async def test_a_connection_serves_one_request_after_the_other(connect, server):
    reader, writer = await connect()
    for number in range(3):
        writer.write(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" % number)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
        assert await reader.readexactly(len(b"POST /0 ab\n")) == b"POST /%d ab\n" % number


async def test_pipelined_requests_are_answered_in_order(ask, echo):
    """A slow first one holds back the answers of those behind it, not their order."""
    asyncio.get_running_loop().call_later(0.05, echo.release.set)
    slow = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    many = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(200))
    answer = await ask(slow + many + LAST)
    assert re.findall(rb"GET (/\w+) \n", answer) == [b"/slow", *(b"/%d" % number for number in range(200)), b"/last"]


async def test_a_request_byte_by_byte_is_the_same_request(connect, echo):
    reader, writer = await connect()
    whole = b"POST /x?y=1 HTTP/1.1\r\nHost: a\r\nX-One:  two \r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    for byte in whole:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert b"POST /x?y=1 abc\n" in await reader.read()
    (request,) = echo.seen
    assert (request.path, request.query, request.header(b"x-one")) == ("/x", "y=1", b"two")


async def test_a_chunked_body_is_put_together_and_its_trailers_are_no_headers(ask, echo):
    answer = await ask(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nab\r\n",
        b"1\r\nc\r\n0\r\nX-Trailer: t\r\n\r\n",
    )
    assert b"POST / abc\n" in answer
    assert echo.seen[0].header(b"x-trailer") is None


async def test_head_is_answered_with_the_headers_of_get(ask):
    answer = await ask(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + LAST)
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert b"Content-Length: 8\r\n" in first
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"GET /last \n")


async def test_continue_is_said_when_the_body_is_waited_for(connect):
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ab")
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")


async def test_continue_is_said_in_its_turn(connect, echo):
    """Never before the answer to the request in front of it."""
    reader, writer = await connect()
    writer.write(
        b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    await asyncio.sleep(0.02)
    echo.release.set()
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len("GET /slow \n"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(ask):
    answer = await ask(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n")
    assert statuses(answer) == [413]


@pytest.mark.parametrize("head", [b"Content-Length: 5000000", b"Transfer-Encoding: chunked"])
async def test_a_client_that_sends_too_much_still_gets_to_see_the_413(connect, head):
    """The rest is read and thrown away instead of resetting the connection under the answer."""
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n")
    if head.startswith(b"T"):
        writer.write(b"4c4b40\r\n")
    for _ in range(50):
        writer.write(b"x" * 100_000)
        await writer.drain()
    assert statuses(await reader.read()) == [413]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(30)) + b"\r\n", 431),
        (b"GET /" + b"x" * 3000, 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_what_is_ambiguous_or_too_much_is_refused_and_the_connection_closed(ask, echo, sent, status):
    assert statuses(await ask(sent + GET)) == [status]
    assert not echo.seen


async def test_what_was_asked_before_the_garbage_is_answered_first(ask):
    assert statuses(await ask(GET + b"garbage\r\n\r\n")) == [200, 400]


async def test_nothing_is_answered_after_connection_close(ask, echo):
    assert statuses(await ask(LAST + GET)) == [200]
    assert len(echo.seen) == 1


async def test_http_1_0_gets_its_answer_and_a_close(ask):
    assert statuses(await ask(b"GET / HTTP/1.0\r\n\r\n")) == [200]


async def test_a_half_closed_client_still_gets_its_answers(ask, echo):
    asyncio.get_running_loop().call_later(0.05, echo.release.set)
    answer = await ask(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET, half_close=True)
    assert statuses(answer) == [200, 200]


async def test_an_unexpected_error_is_a_500_without_details(ask, caplog):
    answer = await ask(b"GET /boom HTTP/1.1\r\nHost: a\r\n\r\n")
    assert statuses(answer) == [500]
    assert b"secret detail" not in answer
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("offer", [b"h2c", b"websocket"])
async def test_an_upgrade_that_is_not_ours_is_ignored(ask, echo, offer):
    """Some clients offer h2c on every request, with a body too: they get plain answers, on the same connection."""
    one = (
        b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + offer + b"\r\nContent-Length: 2\r\n\r\nab"
    )
    answer = await ask(one + GET + one * 50 + LAST)
    assert statuses(answer) == [200] * 53
    assert [request.body for request in echo.seen[:3]] == [b"ab", b"", b"ab"]


async def test_an_upgrade_of_ours_gets_the_connection_with_what_was_already_sent(connect):
    reader, writer = await connect()
    writer.write(b"GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    assert await reader.readexactly(5) == b"EARLY"
    writer.write(b"late")
    assert await reader.readexactly(4) == b"LATE"


async def test_an_upgrade_that_the_handler_does_not_make_is_an_answer_and_a_close(ask):
    answer = await ask(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nzzz")
    assert statuses(answer) == [200]


async def test_slow_headers_are_cut_off(ask):
    assert statuses(await ask(b"GET / HTTP/1.1\r\nHost:")) == [408]


async def test_a_slow_body_is_cut_off(ask):
    assert statuses(await ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")) == [408]


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", GET])
async def test_an_idle_connection_is_closed(ask, sent):
    assert statuses(await ask(sent)) == ([200] if sent == GET else [])


async def test_a_slow_handler_is_waited_for_longer_than_any_time_out(ask, echo):
    asyncio.get_running_loop().call_later(0.7, echo.release.set)
    assert statuses(await ask(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == [200]


async def test_a_client_that_does_not_read_is_cut_off(echo, eventually):
    """Its answers do not pile up: no further request of it is looked at meanwhile."""
    limits = Limits(write_timeout_s=0.2, header_timeout_s=0.2)
    server = HttpServer(echo.handle, limits=limits)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.listen(sock)
    client = socket.create_connection(sock.getsockname())
    client.setblocking(False)
    await asyncio.get_running_loop().sock_sendall(client, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
    await asyncio.sleep(0.1)
    assert len(echo.seen) < 5
    await eventually(lambda: not server._connections)
    client.close()
    await server.close()


async def test_closing_finishes_what_is_in_flight_and_closes_what_is_idle(connect, server, echo):
    idle_reader, _ = await connect()
    reader, writer = await connect()
    writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.02)
    closing = asyncio.create_task(server.close(2))
    assert await idle_reader.read() == b""
    with pytest.raises(OSError):
        await asyncio.open_connection(*server.address)
    echo.release.set()
    answer = await reader.read()
    assert statuses(answer) == [200]
    assert b"Connection: close\r\n" in answer
    await closing


async def test_closing_cuts_off_what_does_not_end(connect, server):
    reader, writer = await connect()
    writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.02)
    async with asyncio.timeout(1):
        await server.close(0.05)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""


async def test_closing_ends_upgraded_connections_at_once(connect, server):
    reader, writer = await connect()
    writer.write(b"GET /switch HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(0.5):
        await server.close(5)
    assert await reader.read() == b""


PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            GET,
            LAST,
            b"GET / HTTP/1.1\r\n",
            b"POST / HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"Content-Length: 3\r\n",
            b"Content-Length: 99999999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Expect: 100-continue\r\n",
            b"Connection: Upgrade\r\nUpgrade: echo\r\n",
            b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
            b"\r\n",
            b"3\r\nabc\r\n",
            b"0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ]
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=12))
def test_any_bytes_get_at_most_a_4xx_and_an_end(pieces):
    """Whatever is sent, in whatever pieces: no 500, no hang, and the server is still well afterwards."""

    async def scenario() -> None:
        echo = Echo()
        server = HttpServer(echo.handle, limits=QUICK, upgrades=frozenset({b"echo"}))
        sock = socket.create_server(("127.0.0.1", 0))
        address = sock.getsockname()
        await server.listen(sock)
        answers = []
        for sent in (pieces, [LAST]):
            reader, writer = await asyncio.open_connection(*address)
            try:
                for piece in sent:
                    writer.write(piece)
                    await writer.drain()
                writer.write_eof()
                async with asyncio.timeout(3):
                    answers.append(await reader.read())
            except ConnectionError:
                answers.append(b"")
            finally:
                writer.close()
        assert all(status in {100, 200, 501, 505} or 400 <= status < 500 for status in statuses(answers[0]))
        assert statuses(answers[1]) == [200]
        await server.close(0.5)

    asyncio.run(scenario())
