"""A client's connection without sockets: strict parsing, splitting, timeouts. A valid request gets 503 here."""

from time import monotonic

import h11
import pytest

from engine.edge import downstream as module

GET = b"GET / HTTP/1.1\r\nHost: svc.localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: svc.localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

VALID = {
    "plain": GET + b"\r\n",
    "empty lines first": b"\r\n\r\n" + GET + b"\r\n",
    "host with port, upper case and final dot": b"GET / HTTP/1.1\r\nHost: SVC.LocalHost.:8800\r\n\r\n",
    "white space round values": b"GET / HTTP/1.1\r\nHost: \t svc.localhost \t\r\nX:\t a b \r\n\r\n",
    "empty value": GET + b"X:\r\n\r\n",
    "latin-1 value": GET + b"X: caf\xe9\r\n\r\n",
    "http 1.0": b"GET / HTTP/1.0\r\nHost: svc.localhost\r\nConnection: keep-alive\r\n\r\n",
    "absolute form": b"GET http://svc.localhost/a?b HTTP/1.1\r\nHost: svc.localhost\r\n\r\n",
    "absolute form without a path": b"GET http://svc.localhost HTTP/1.1\r\nHost: svc.localhost\r\n\r\n",
    "absolute form in http 1.0": b"GET http://svc.localhost/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: svc.localhost\r\n\r\n",
    "length": POST + b"Content-Length: 3\r\n\r\nabc",
    "length zero": POST + b"Content-Length: 0\r\n\r\n",
    "chunked": CHUNKED + b"3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n",
    "chunked with extension and trailer": CHUNKED + b'3;a="b"\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
    "coding in capitals": POST + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    "upgrade without connection": GET + b"Upgrade: websocket\r\n\r\n",
    "a hundred headers": GET + b"".join(b"X%d: y\r\n" % number for number in range(99)) + b"\r\n",
    "64 KiB of headers": GET + b"X: " + b"y" * (64 * 1024 - 60) + b"\r\n\r\n",
}

INVALID = {
    "both length and coding": (400, POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "both coding and length": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    "two different lengths": (400, POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "the same length twice": (400, POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "a list of lengths": (400, POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    "a signed length": (400, POST + b"Content-Length: +3\r\n\r\nabc"),
    "a negative length": (400, POST + b"Content-Length: -3\r\n\r\nabc"),
    "an empty length": (400, POST + b"Content-Length:\r\n\r\nabc"),
    "an endless length": (400, POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc"),
    "coding in http 1.0": (
        400,
        b"POST / HTTP/1.0\r\nHost: svc.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "an unknown coding": (501, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "identity": (501, POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "chunked not last": (400, POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "gzip before chunked": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunk size not a number": (400, CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n"),
    "chunk size negative": (400, CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with 0x": (400, CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size with a space": (400, CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n"),
    "chunk size endless": (400, CHUNKED + b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    "chunk size ended by a bare LF": (400, CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    "chunk ended by a bare LF": (400, CHUNKED + b"3\r\nabc\n0\r\n\r\n"),
    "chunk longer than its size": (400, CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n"),
    "control character in an extension": (400, CHUNKED + b"3;a=\x01\r\nabc\r\n0\r\n\r\n"),
    "length in the trailer": (400, CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n"),
    "space before the colon in the trailer": (400, CHUNKED + b"0\r\nX : 5\r\n\r\n"),
    "bare LF everywhere": (400, b"GET / HTTP/1.1\nHost: svc.localhost\n\n"),
    "bare LF after the request line": (400, b"GET / HTTP/1.1\nHost: svc.localhost\r\n\r\n"),
    "bare LF after a header": (400, GET + b"X: y\nZ: 1\r\n\r\n"),
    "bare LF at the end": (400, GET + b"\n"),
    "bare CR in a value": (400, GET + b"X: a\rb\r\n\r\n"),
    "bare CR after a header": (400, b"GET / HTTP/1.1\r\nHost: svc.localhost\rX: y\r\n\r\n"),
    "NUL in a value": (400, GET + b"X: a\0b\r\n\r\n"),
    "NUL in a name": (400, GET + b"X\0: b\r\n\r\n"),
    "NUL in the target": (400, b"GET /\0 HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "control character in a value": (400, GET + b"X: a\x01b\r\n\r\n"),
    "folded header": (400, GET + b"X: a\r\n b\r\n\r\n"),
    "folded first header": (400, b"GET / HTTP/1.1\r\n X: a\r\nHost: svc.localhost\r\n\r\n"),
    "space before the colon": (400, b"GET / HTTP/1.1\r\nHost : svc.localhost\r\n\r\n"),
    "tab before the colon": (400, GET + b"X\t: y\r\n\r\n"),
    "space in a name": (400, GET + b"X y: z\r\n\r\n"),
    "empty name": (400, GET + b": z\r\n\r\n"),
    "no colon": (400, GET + b"nonsense\r\n\r\n"),
    "brackets in a name": (400, GET + b"X(y): z\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\nX: y\r\n\r\n"),
    "two hosts": (400, GET + b"Host: svc.localhost\r\n\r\n"),
    "two hosts in http 1.0": (400, b"GET / HTTP/1.0\r\nHost: svc.localhost\r\nhost: x\r\n\r\n"),
    "a list of hosts": (400, b"GET / HTTP/1.1\r\nHost: svc.localhost, x\r\n\r\n"),
    "host with a user": (400, b"GET / HTTP/1.1\r\nHost: me@svc.localhost\r\n\r\n"),
    "host with a path": (400, b"GET / HTTP/1.1\r\nHost: svc.localhost/x\r\n\r\n"),
    "host with a bad port": (400, b"GET / HTTP/1.1\r\nHost: svc.localhost:http\r\n\r\n"),
    "host in another script": (400, "GET / HTTP/1.1\r\nHost: svcé.localhost\r\n\r\n".encode()),
    "another host in the target": (400, b"GET http://other/ HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "another port in the target": (400, b"GET http://svc.localhost:1/ HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "user in the target": (400, b"GET http://me@svc.localhost/ HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "another scheme": (400, b"GET ftp://svc.localhost/ HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "asterisk with GET": (400, b"GET * HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "target without a slash": (400, b"GET index.html HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "fragment in the target": (400, b"GET /a#b HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "raw byte in the target": (400, b"GET /\xff HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "space after the version": (400, b"GET / HTTP/1.1 \r\nHost: svc.localhost\r\n\r\n"),
    "unknown method": (400, b"FROB / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "method in lower case": (400, b"get / HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "CONNECT": (501, b"CONNECT svc.localhost:80 HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "a method of RTSP": (501, b"DESCRIBE / RTSP/1.0\r\nHost: svc.localhost\r\n\r\n"),
    "http 0.9": (505, b"GET /\r\n\r\n"),
    "http 1.2": (400, b"GET / HTTP/1.2\r\nHost: svc.localhost\r\n\r\n"),
    "http 2.0": (505, b"GET / HTTP/2.0\r\nHost: svc.localhost\r\n\r\n"),
    "http 2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "tls": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "a hundred and one headers": (431, GET + b"".join(b"X%d: y\r\n" % number for number in range(100)) + b"\r\n"),
    "too large a header": (431, GET + b"X: " + b"y" * (64 * 1024) + b"\r\n\r\n"),
    "too long a target": (431, b"GET /" + b"y" * (64 * 1024) + b" HTTP/1.1\r\nHost: svc.localhost\r\n\r\n"),
    "unknown expectation": (417, GET + b"Expect: more\r\n\r\n"),
    "websocket": (501, GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", VALID)
async def test_a_valid_request_is_accepted_and_the_next_one_too(new_wire, name, bytewise):
    wire = new_wire()
    wire.feed(VALID[name] + GET + b"\r\n", bytewise=bytewise)
    if wire.statuses() != [503, 503]:  # the answer may go out before the body has come, and then ends the connection
        assert bytewise
        assert wire.statuses() == [503]
        assert b"POST" in VALID[name]
        assert wire.ended
    else:
        assert not wire.ended


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", INVALID)
async def test_an_invalid_request_is_refused_and_the_connection_closed(new_wire, name, bytewise):
    status, request = INVALID[name]
    wire = new_wire()
    wire.feed(request + GET + b"\r\n", bytewise=bytewise)
    first = wire.statuses()[0]
    # a fault in a body can only be told if it came along with its head: the answer need not wait for the body
    assert first == status or (bytewise and first == 503 and request.startswith(CHUNKED))
    assert len(wire.statuses()) == 1, "nothing after a refused request is looked at"
    assert wire.ended
    assert b"Connection: close" in wire.transport.sent
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(wire.transport.sent)
    assert connection.next_event().status_code == first


async def test_a_refused_request_waits_for_the_answers_before_it(new_wire):
    wire = new_wire()
    wire.feed(GET + b"\r\n" + GET + b"Bad : x\r\n\r\n")
    assert wire.statuses() == [503, 400]
    assert wire.ended


async def test_nothing_after_connection_close_is_looked_at(new_wire):
    wire = new_wire()
    wire.feed(GET + b"Connection: close\r\n\r\n" + GET + b"\r\n")
    assert wire.statuses() == [503]
    assert wire.transport.closed


async def test_what_a_refused_client_still_sends_is_dropped_for_a_while(new_wire):
    wire = new_wire()
    wire.feed(b"nonsense\r\n\r\n")
    assert wire.transport.eof
    assert not wire.transport.closed
    assert wire.feed(b"more nonsense" * 1000) == b""
    assert wire.downstream.deadline - monotonic() <= module.LINGER_S
    wire.downstream.expire()
    assert wire.transport.aborted


async def test_an_idle_connection_is_closed_without_a_word(new_wire):
    wire = new_wire()
    assert 14 < wire.downstream.deadline - monotonic() <= module.HEADER_TIMEOUT_S
    wire.feed(GET + b"\r\n")
    assert 74 < wire.downstream.deadline - monotonic() <= module.IDLE_TIMEOUT_S
    wire.transport.sent = b""
    wire.downstream.expire()
    assert wire.transport.closed
    assert wire.transport.sent == b""


async def test_a_head_that_trickles_in_is_given_up(new_wire, monkeypatch):
    wire = new_wire()
    wire.feed(GET + b"\r\n" + b"GET / HT")
    first = wire.downstream.deadline
    assert first - monotonic() <= module.HEADER_TIMEOUT_S
    monkeypatch.setattr(module, "monotonic", lambda: first - 1)
    wire.feed(b"TP/1.1\r\nX: ")
    assert wire.downstream.deadline == first, "more bytes do not buy more time"
    wire.downstream.expire()
    assert wire.statuses() == [503, 408]
    assert wire.ended


async def test_a_request_after_a_slow_head_has_its_own_time(new_wire):
    wire = new_wire()
    wire.feed(b"GET / HT")
    wire.feed((GET + b"\r\n")[8:])
    assert wire.statuses() == [503]
    assert wire.downstream.deadline - monotonic() > module.HEADER_TIMEOUT_S


async def test_a_connection_leaves_nothing_behind(new_wire):
    wire = new_wire()
    assert wire.edge.downstreams == {wire.downstream}
    wire.feed(b"GET / HT")
    wire.downstream.connection_lost(None)
    assert wire.edge.downstreams == set()


async def test_a_failing_callback_is_an_error_of_ours_not_of_the_client(new_wire, monkeypatch, caplog):
    wire = new_wire()

    def broken(self, parser):
        raise RuntimeError("a bug")

    monkeypatch.setattr("engine.edge.request.Request.seal", broken)
    wire.feed(GET + b"\r\n")
    assert wire.statuses() == [500]
    assert "a bug" in caplog.text
