"""Requests and responses through a whole edge: real sockets, h11 reading both sides."""

import asyncio
from contextlib import suppress

import h11
import pytest

from engine.edge.table import Backend

pytestmark = pytest.mark.slow  # real processes and sockets

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\n\r\n"


async def test_a_get_reaches_the_instance_and_its_answer_comes_back(harness):
    app = await harness.app()
    harness.route(app)
    answer = await harness.get(b"/path?q=1%20x", headers=[b"Accept: text/html", b"Cookie: a=b"])
    assert (answer.status, answer.body) == (200, b"hello")
    [seen] = app.requests
    assert (seen.method, seen.target) == (b"GET", b"/path?q=1%20x")
    assert seen.one(b"host") == b"svc.localhost"
    assert (seen.one(b"accept"), seen.one(b"cookie")) == (b"text/html", b"a=b")


async def test_forwarded_headers_and_request_id_are_set(harness):
    app = await harness.app()
    harness.route(app)
    await harness.get()
    await harness.get(host=b"svc.localhost:4321")
    first, second = app.requests
    assert first.one(b"x-forwarded-for") == b"127.0.0.1"
    assert first.one(b"x-forwarded-proto") == b"http"
    assert first.one(b"x-forwarded-host") == b"svc.localhost"
    assert first.one(b"x-forwarded-port") == str(harness.edge.port).encode()
    assert second.one(b"host") == second.one(b"x-forwarded-host") == b"svc.localhost:4321"
    assert second.one(b"x-forwarded-port") == b"4321"
    made = {seen.one(b"x-request-id") for seen in app.requests}
    assert len(made) == 2
    assert all(len(each) == 32 for each in made)


async def test_forwarded_for_is_appended_to_and_the_others_are_replaced(harness):
    app = await harness.app()
    harness.route(app)
    await harness.get(
        headers=[
            b"X-Forwarded-For: 1.2.3.4",
            b"x-forwarded-for: 5.6.7.8",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Host: evil",
            b"X-Forwarded-Port: 1",
            b"X-Request-ID: mine-1",
        ]
    )
    [seen] = app.requests
    assert seen.one(b"x-forwarded-for") == b"1.2.3.4, 5.6.7.8, 127.0.0.1"
    assert seen.one(b"x-forwarded-proto") == b"http"
    assert seen.one(b"x-forwarded-host") == b"svc.localhost"
    assert seen.one(b"x-forwarded-port") == str(harness.edge.port).encode()
    assert seen.one(b"x-request-id") == b"mine-1"


async def test_hop_by_hop_headers_end_at_the_edge_in_both_directions(harness):
    app = await harness.app(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\n"
        b"X-Private: 1\r\nX-Public: 2\r\nProxy-Connection: x\r\nTrailer: Foo\r\n\r\nok"
    )
    harness.route(app)
    answer = await harness.get(
        headers=[
            b"Connection: X-Secret, close, Host",
            b"X-Secret: 1",
            b"X-Open: 2",
            b"Keep-Alive: timeout=5",
            b"TE: trailers",
            b"Trailer: Foo",
            b"Proxy-Authorization: Basic eA==",
            b"Proxy-Connection: keep-alive",
        ]
    )
    names = {name for name, _ in app.requests[0].headers}
    assert names == {
        *(b"host", b"x-open", b"x-request-id"),
        *(b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port"),
    }
    assert {name for name, _ in answer.headers} == {b"content-length", b"x-public", b"connection"}
    assert answer.one(b"connection") == b"close"


async def test_both_connections_are_kept_alive(harness):
    app = await harness.app()
    harness.route(app)
    reader, writer = await harness.connect()
    for _ in range(5):
        writer.write(b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"onnection" not in head
        assert await reader.readexactly(5) == b"hello"
    assert app.connections == 1
    assert len(app.requests) == 5


async def test_pipelined_requests_are_answered_in_order_one_at_a_time(harness):
    async def slow_first(seen):
        await asyncio.sleep(0.02 if seen.target == b"/0" else 0)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + seen.target

    app = await harness.app(slow_first)
    harness.route(app)
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: svc.localhost\r\n\r\n" % number for number in range(9))
    requests += b"POST /9 HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    answers = harness.parse(await harness.ask(requests), ["GET"] * 9 + ["POST"])
    assert [answer.body for answer in answers] == [b"/%d" % number for number in range(10)]
    assert app.requests[-1].body == b"abc"
    assert app.connections == 1


async def test_pipelined_requests_in_separate_packets_wait_their_turn(harness):
    async def slow(seen):
        await asyncio.sleep(0.01)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + seen.target

    harness.route(await harness.app(slow))
    pieces = [b"GET /%d HTTP/1.1\r\nHost: svc.localhost\r\n\r\n" % number for number in range(4)]
    answers = harness.parse(await harness.ask(*pieces, GET.replace(b"/ ", b"/4 ")), ["GET"] * 5)
    assert [answer.body for answer in answers] == [b"/%d" % number for number in range(5)]


async def test_thousands_of_pipelined_requests_do_not_recurse(harness):
    harness.route(unavailable="The service is paused.")
    count = 3000
    requests = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n" * count + GET
    answers = await harness.ask(requests)
    assert answers.count(b"HTTP/1.1 503 ") == count + 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_bodies_pass_in_both_directions(harness, framing):
    body = bytes(range(256)) * 2000

    def echo(seen):
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen.body) + seen.body

    app = await harness.app(echo)
    harness.route(app)
    head = b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\n"
    if framing == "length":
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(body[at : at + 9973]), body[at : at + 9973]) for at in range(0, len(body), 9973)
        )
        request = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
    [answer] = harness.parse(await harness.ask(request), ["POST"])
    assert answer.body == body
    [seen] = app.requests
    assert seen.body == body
    assert seen.framing == framing


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
    b"3;ext=1\r\nabc\r\n1\r\nd\r\n0\r\nX-T: 1\r\n\r\n"
)


async def test_a_chunked_answer_is_chunked_for_http_1_1_without_its_trailers(harness):
    app = await harness.app(CHUNKED)
    harness.route(app)
    data = await harness.ask(GET)
    [answer] = harness.parse(data)
    assert answer.body == b"abcd"
    assert answer.one(b"transfer-encoding") == b"chunked"
    assert b"X-T" not in data


async def test_a_chunked_answer_is_close_delimited_for_http_1_0(harness):
    harness.route(await harness.app(CHUNKED))
    data = await harness.ask(b"GET / HTTP/1.0\r\nHost: svc.localhost\r\nConnection: keep-alive\r\n\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == b"abcd"
    assert b"Connection: close" in head
    assert b"chunked" not in head


async def test_http_1_0_clients_are_kept_alive_only_when_they_ask(harness):
    harness.route(await harness.app())
    once = await harness.ask(b"GET / HTTP/1.0\r\nHost: svc.localhost\r\n\r\n")
    assert once.endswith(b"Connection: close\r\n\r\nhello")
    reader, writer = await harness.connect()
    for _ in range(2):
        writer.write(b"GET / HTTP/1.0\r\nHost: svc.localhost\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: keep-alive" in await reader.readuntil(b"hello")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_that_ends_with_its_connection_is_passed_on_whole(harness, version):
    async def respond(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/%b 200 OK\r\nContent-Type: text/plain\r\n\r\nfirst " % version)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b"second")

    harness.route(await harness.raw_app(respond))
    [answer] = harness.parse(await harness.ask(GET))
    assert answer.body == b"first second"
    assert answer.one(b"transfer-encoding") == b"chunked"
    old = await harness.ask(b"GET / HTTP/1.0\r\nHost: svc.localhost\r\n\r\n")
    assert old.partition(b"\r\n\r\n")[2] == b"first second"


async def test_a_client_stays_connected_after_an_answer_that_ended_with_the_instances_connection(harness):
    async def respond(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")

    harness.route(await harness.raw_app(respond))
    request = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"
    answers = harness.parse(await harness.ask(request + request + GET), ["GET"] * 3)
    assert [answer.body for answer in answers] == [b"hello"] * 3


@pytest.mark.parametrize(
    ("status", "head"),
    [
        (b"200 OK", b"Content-Length: 5\r\n"),
        (b"200 OK", b"Transfer-Encoding: chunked\r\n"),
        (b"200 OK", b""),
        (b"404 Not Found", b"Content-Length: 0\r\n"),
    ],
)
async def test_head_has_the_headers_and_no_body(harness, status, head):
    app = await harness.app(b"HTTP/1.1 " + status + b"\r\nX-A: 1\r\n" + head + b"\r\n")
    harness.route(app)
    request = b"HEAD / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"
    answers = harness.parse(await harness.ask(request * 2 + GET.replace(b"GET", b"HEAD")), ["HEAD"] * 3)
    assert [answer.status for answer in answers] == [int(status[:3])] * 3
    assert all(answer.body == b"" for answer in answers)
    assert (answers[0].one(b"content-length") == b"5") == (head == b"Content-Length: 5\r\n")
    assert app.connections == (3 if head == b"" else 1)


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body_end_with_their_head(harness, status):
    head = b"HTTP/1.1 %d Whatever\r\nETag: x\r\n" % status + (b"Content-Length: 9\r\n" if status == 304 else b"")
    app = await harness.app(head + b"\r\n")
    harness.route(app)
    request = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"
    answers = harness.parse(await harness.ask(request + GET), ["GET", "GET"])
    assert [answer.status for answer in answers] == [status, status]
    assert answers[0].one(b"content-length") == (b"9" if status == 304 else None)
    assert answers[0].one(b"transfer-encoding") is None
    assert app.connections == 1


async def test_a_body_after_204_does_not_reach_the_client_and_costs_the_connection(harness):
    app = await harness.app(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    harness.route(app)
    request = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"
    answers = harness.parse(await harness.ask(request + GET), ["GET", "GET"])
    assert [answer.status for answer in answers] == [204, 204]
    assert app.connections == 2


async def test_early_hints_are_passed_on_and_100_is_not(harness):
    app = await harness.app(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    harness.route(app)
    [answer] = harness.parse(await harness.ask(GET))
    assert (answer.interim, answer.status, answer.body) == ([103], 200, b"ok")
    old = await harness.ask(b"GET / HTTP/1.0\r\nHost: svc.localhost\r\n\r\n")
    assert b"103" not in old
    assert app.connections == 1


async def test_expect_100_continue_is_answered_once_an_instance_is_connected(harness):
    app = await harness.app()
    harness.route(app)
    reader, writer = await harness.connect()
    writer.write(
        b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\n"
        b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    assert await reader.readexactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not app.requests
    writer.write(b"abc")
    [answer] = harness.parse(await reader.read(), ["POST"])
    assert (answer.status, answer.body) == (200, b"hello")
    [seen] = app.requests
    assert seen.body == b"abc"
    assert seen.one(b"expect") is None


async def test_expect_100_continue_without_an_instance_is_refused_before_the_body(harness):
    harness.route(unavailable="The service is paused.")
    data = await harness.ask(
        b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    [answer] = harness.parse(data, ["POST"])
    assert (answer.status, answer.interim) == (503, [])
    assert answer.one(b"connection") == b"close"


async def test_another_expectation_is_417(harness):
    harness.route(await harness.app())
    answer = await harness.get(headers=[b"Expect: the-unexpected"])
    assert answer.status == 417


async def test_an_early_answer_arrives_although_the_request_is_still_coming(harness):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()
        await asyncio.sleep(5)

    harness.route(await harness.raw_app(refuse))
    head = b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nContent-Length: 100000000\r\n\r\n"
    reader, writer = await harness.connect()
    writer.write(head + b"x" * 1000)
    data = await reader.readuntil(b"big")
    [answer] = harness.parse(data, ["POST"], closed=False)
    assert answer.status == 413
    assert answer.one(b"connection") == b"close"
    writer.write(b"x" * 1000)  # still read, so that the answer is not lost to a reset
    assert await reader.read() == b""


@pytest.mark.parametrize(
    "body", [b"", b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"]
)
async def test_an_offer_of_http_2_is_ignored(harness, body):
    """Java's client makes it with every request, whatever the body."""
    app = await harness.app()
    harness.route(app)
    head = (
        b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    )
    request = head + (body or b"\r\n")
    for pieces in ([request + request + GET], [bytes([byte]) for byte in request + request + GET]):
        app.requests.clear()
        answers = harness.parse(await harness.ask(*pieces), ["POST", "POST", "GET"])
        assert [answer.status for answer in answers] == [200, 200, 200]
        expected = b"abc" if b"abc" in body else b"a" if body else b""
        assert [seen.body for seen in app.requests] == [expected, expected, b""]
        assert not {b"upgrade", b"http2-settings", b"connection"} & {name for name, _ in app.requests[0].headers}


async def test_a_websocket_is_refused_with_a_clear_sentence(harness):
    app = await harness.app()
    harness.route(app)
    data = await harness.ask(
        b"GET /ws HTTP/1.1\r\nHost: svc.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    [answer] = harness.parse(data)
    assert answer.status == 501
    assert answer.one(b"x-homerun-error") == b"upgrade-unsupported"
    assert b"WebSockets" in answer.body
    assert not app.requests


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"3\r\nabcX", 400), (b"0\r\nX: " + b"y" * (130 * 1024), 431)],
    ids=["chunk", "endless trailer"],
)
async def test_a_body_that_turns_out_to_be_invalid_is_refused_and_the_instance_let_go(harness, body, status):
    left = asyncio.Event()

    async def waits(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        try:
            await reader.read()
        finally:
            left.set()

    harness.route(await harness.raw_app(waits))
    reader, writer = await harness.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    await harness.until(lambda: harness.report().in_flight)
    writer.write(body)
    [answer] = harness.parse(await reader.readuntil(b".\n"), ["POST"], closed=False)
    assert answer.status == status
    async with asyncio.timeout(2):
        await left.wait()
    assert await reader.read() == b""


# When something fails


async def test_an_unknown_host_is_404_with_its_name(harness):
    harness.route(await harness.app())
    answer = await harness.get(host=b"Other.localhost:1234")
    assert answer.status == 404
    assert answer.one(b"x-homerun-error") == b"unknown-host"
    assert answer.one(b"content-type") == b"text/plain; charset=utf-8"
    assert b'"other.localhost"' in answer.body
    assert harness.report().samples == ()


async def test_a_paused_service_is_503_with_its_reason(harness):
    harness.route(unavailable="The service is paused.")
    answer = await harness.get()
    assert (answer.status, answer.body) == (503, b"The service is paused.\n")
    assert answer.one(b"x-homerun-error") == b"unavailable"
    assert answer.one(b"retry-after") is None


async def test_a_starting_service_asks_to_try_again(harness):
    harness.route(unavailable="The service is starting.", starting=True)
    answer = await harness.get()
    assert (answer.status, answer.one(b"retry-after")) == (503, b"1")


async def test_edge_errors_keep_the_connection_and_head_gets_no_body(harness):
    harness.route(unavailable="The service is paused.")
    request = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"
    data = await harness.ask(request, request.replace(b"GET", b"HEAD"), GET)
    answers = harness.parse(data, ["GET", "HEAD", "GET"])
    assert [answer.status for answer in answers] == [503, 503, 503]


async def test_a_refused_connection_moves_on_to_another_instance_even_with_a_body(harness):
    app = await harness.app()
    harness.route(await harness.dead(), app, await harness.dead())
    request = b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    for _ in range(3):
        [answer] = harness.parse(await harness.ask(request), ["POST"])
        assert answer.status == 200
    assert [seen.body for seen in app.requests] == [b"abc"] * 3
    assert harness.report().in_flight == {}


async def test_502_when_every_instance_refuses(harness):
    harness.route(await harness.dead(), await harness.dead())
    answer = await harness.get()
    assert (answer.status, answer.one(b"x-homerun-error")) == (502, b"instance-unreachable")
    report = harness.report()
    assert sum(sample.status_5xx for sample in report.samples) == 1
    assert report.in_flight == {}


async def test_502_when_the_table_names_an_impossible_address(harness, caplog):
    harness.route(Backend(instance_id="i", host="127.0.0.1", port=70_000))
    assert (await harness.get()).status == 502
    assert harness.report().in_flight == {}


async def test_502_when_the_instance_closes_without_an_answer_and_a_post_is_not_repeated(harness):
    first = await harness.app(b"")
    second = await harness.app(b"")
    harness.route(first, second)
    request = b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    [answer] = harness.parse(await harness.ask(request), ["POST"])
    assert (answer.status, answer.one(b"x-homerun-error")) == (502, b"instance-no-answer")
    assert len(first.requests) + len(second.requests) == 1


async def test_a_get_whose_instance_closes_without_an_answer_is_repeated_once(harness):
    bad = await harness.app(b"")
    good = await harness.app()
    harness.route(bad, good)
    answers = [await harness.get() for _ in range(4)]
    assert {answer.status for answer in answers} == {200}
    assert len(bad.requests) >= 1
    alone = await harness.app(b"")
    harness.route(alone)
    assert (await harness.get()).status == 502
    assert len(alone.requests) == 2


async def test_a_stale_connection_is_no_error(harness):
    """The instance closes a kept connection just as the next request is on its way."""
    connections = 0

    async def closes_after_one(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.read(1)  # the next request has arrived, and is never answered

    harness.route(await harness.raw_app(closes_after_one))
    for _ in range(4):
        assert (await harness.get()).status == 200
    assert connections == 4


async def test_a_request_that_cannot_be_repeated_takes_no_connection_that_was_idle_for_long(harness, monkeypatch):
    app = await harness.app()
    harness.route(app)
    request = b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
    await harness.ask(request)
    await harness.ask(request)
    assert app.connections == 1
    monkeypatch.setattr("engine.edge.target.FRESH_S", -1.0)
    await harness.ask(request)
    assert app.connections == 2
    await harness.get()
    assert app.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"this is not HTTP\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
    ],
    ids=["garbage", "101", "both framings", "two lengths", "gzip", "header name", "huge head"],
)
async def test_an_answer_that_is_no_proper_http_is_502(harness, answer):
    app = await harness.app(answer)
    harness.route(app)
    got = await harness.get()
    assert (got.status, got.one(b"x-homerun-error")) == (502, b"instance-bad-answer")
    assert len(app.requests) == 1
    assert harness.report().in_flight == {}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nXYZ\r\n",
    ],
)
async def test_an_answer_that_breaks_off_breaks_off_for_the_client_too(harness, answer):
    app = await harness.app(answer)
    app.keep_open = False
    harness.route(app)
    reader, writer = await harness.connect()
    writer.write(GET)
    data = b""
    try:
        while piece := await reader.read(1000):
            data += piece
    except ConnectionResetError:
        pass
    assert not data.endswith(b"0\r\n\r\n")
    assert data.count(b"HTTP/1.1") <= 1
    assert harness.report().in_flight == {}


async def test_an_old_client_that_cannot_see_the_end_gets_a_reset_when_an_answer_breaks_off(harness):
    app = await harness.app(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
    app.keep_open = False
    harness.route(app)
    with pytest.raises(ConnectionResetError):
        await harness.ask(b"GET / HTTP/1.0\r\nHost: svc.localhost\r\n\r\n")


async def test_504_when_the_request_takes_too_long(harness):
    async def never(reader, writer):
        await reader.read()

    harness.route(await harness.raw_app(never), request_timeout_s=0.05)
    answer = await harness.get()
    assert (answer.status, answer.one(b"x-homerun-error")) == (504, b"request-timeout")
    assert b"0.05 seconds" in answer.body
    report = harness.report()
    assert sum(sample.status_5xx for sample in report.samples) == 1
    assert report.in_flight == {}


async def test_a_response_that_takes_too_long_is_cut(harness):
    async def trickle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
        await reader.read()

    harness.route(await harness.raw_app(trickle), request_timeout_s=0.05)
    with pytest.raises(h11.RemoteProtocolError, match="received 4 bytes, expected 1000"):
        harness.parse(await harness.ask(GET))
    assert harness.report().in_flight == {}


async def test_the_instance_notices_when_the_client_leaves(harness):
    left = asyncio.Event()

    async def waits(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        left.set()

    harness.route(await harness.raw_app(waits))
    _, writer = await harness.connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n")
    await harness.until(lambda: harness.report().in_flight)
    writer.close()
    async with asyncio.timeout(2):
        await left.wait()
    await harness.until(lambda: not harness.report().in_flight)
    assert all(sample.requests == 0 for sample in harness.report().samples)


async def test_a_client_that_leaves_in_the_middle_of_its_body_takes_the_instances_connection_along(harness):
    left = asyncio.Event()

    async def waits(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionResetError):
            await reader.read()
        left.set()

    harness.route(await harness.raw_app(waits))
    _, writer = await harness.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nContent-Length: 100\r\n\r\nabc")
    await harness.until(lambda: harness.report().in_flight)
    writer.close()
    async with asyncio.timeout(2):
        await left.wait()


# Flow control


async def test_a_slow_client_holds_the_instance_back(harness):
    """The instance produces 64 MB; the edge holds a small part of it at any time."""
    sent = 0
    total = 64 * 1024 * 1024
    block = b"x" * 65536

    async def flood(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(block)
            await writer.drain()
            sent += len(block)

    harness.route(await harness.raw_app(flood))
    reader, writer = await harness.connect()
    writer.transport.pause_reading()
    writer.write(GET)
    previous = -1
    while sent != previous:  # until nothing moves any more: every buffer on the way is full
        previous = sent
        await asyncio.sleep(0.1)
    held = max(each.transport.get_write_buffer_size() for each in harness.edge.downstreams)
    assert 0 < held <= 64 * 1024 + 256 * 1024
    assert sent < total / 2
    writer.transport.resume_reading()
    await reader.readuntil(b"\r\n\r\n")
    received = 0
    while piece := await reader.read(1 << 20):
        received += len(piece)
    assert received == total


async def test_a_slow_instance_holds_the_client_back(harness):
    go = asyncio.Event()
    received = 0

    async def slow(reader, writer):
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        while received < total:
            received += len(await reader.read(1 << 20))
        writer.write(OK)
        await writer.drain()

    total = 64 * 1024 * 1024
    harness.route(await harness.raw_app(slow))
    reader, writer = await harness.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: svc.localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % total)
    block = b"x" * 65536
    sent = 0
    while sent < total:
        writer.write(block)
        try:
            async with asyncio.timeout(0.2):
                await writer.drain()
        except TimeoutError:
            sent += len(block)
            break
        sent += len(block)
    assert sent < total / 2
    go.set()
    while sent < total:
        writer.write(block)
        await writer.drain()
        sent += len(block)
    [answer] = harness.parse(await reader.read(), ["POST"])
    assert answer.status == 200
    assert received == total


async def test_server_sent_events_are_passed_on_as_they_come(harness):
    more = asyncio.Event()

    async def events(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
            await more.wait()
            more.clear()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    harness.route(await harness.raw_app(events))
    reader, writer = await harness.connect()
    writer.write(GET)
    for number in range(3):
        async with asyncio.timeout(2):
            await reader.readuntil(b"data: %d\n\n" % number)
        more.set()
    assert (await reader.read()).endswith(b"0\r\n\r\n")


async def test_a_pipelining_client_that_does_not_read_is_not_served_into_memory(harness):
    body = b"x" * 100_000
    app = await harness.app(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    harness.route(app)
    reader, writer = await harness.connect()
    writer.transport.pause_reading()
    count = 300
    writer.write(b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n" * count + GET)
    previous = -1
    while len(app.requests) != previous:
        previous = len(app.requests)
        await asyncio.sleep(0.1)
    assert previous < count / 2
    writer.transport.resume_reading()
    answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 OK") == count + 1
