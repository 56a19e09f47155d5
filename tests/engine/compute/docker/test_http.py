"""HTTP to an engine: bodies of every framing, refusals in the middle of an upload, connections that break."""

import asyncio
import io
import socket
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.compute.docker.http import Broken, Endpoint, Response, exchange

MEGABYTE = 1 << 20


@pytest.fixture
def answering(raw_server):
    """Starts an engine that reads a request, sends these parts and hangs up."""

    async def answering(*parts: bytes) -> Endpoint:
        async def handler(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)

        return await raw_server(handler)

    return answering


async def fetched(endpoint, method="GET", target="/x", **options) -> tuple[int, bytes]:
    async with asyncio.timeout(10), exchange(endpoint, method, target, headers={}, **options) as response:
        return response.status, await response.whole()


async def test_a_body_of_known_length(answering):
    assert await fetched(await answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"lo")) == (200, b"hello")


async def test_a_body_in_chunks(answering):
    head = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert await fetched(await answering(head, b"5\r\nhel", b"lo\r\n6\r\n world\r\n", b"0\r\n\r\n")) == (
        201,
        b"hello world",
    )


async def test_a_body_until_the_connection_ends(answering):
    assert await fetched(await answering(b"HTTP/1.1 200 OK\r\n\r\n", b"until ", b"the end")) == (200, b"until the end")


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body(answering, status):
    assert await fetched(await answering(b"HTTP/1.1 %d X\r\n\r\n" % status)) == (status, b"")


async def test_interim_answers_are_passed_over(answering):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"

    assert await fetched(await answering(interim, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) == (200, b"ok")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_an_answer_may_be_torn_at_any_byte(data):
    """In chunks or with its length, whatever the pieces it comes in."""
    body = data.draw(st.binary(max_size=300))
    if data.draw(st.booleans()):
        sent = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: y\r\n\r\n%b" % (len(body), body)
    else:
        sizes = data.draw(st.lists(st.integers(1, 60), max_size=8))
        chunks, rest = [], body
        for size in sizes:
            if rest[:size]:
                chunks.append(rest[:size])
                rest = rest[size:]
        chunks += [rest] if rest else []
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))

    async def read() -> bytes:
        reader = asyncio.StreamReader()
        response = Response(reader)

        async def feed() -> None:
            for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
                if sent[start:end]:
                    reader.feed_data(sent[start:end])
                await asyncio.sleep(0)
            reader.feed_eof()

        feeding = asyncio.create_task(feed())
        await response.head()
        answer = await response.whole()
        await feeding
        return answer

    assert asyncio.run(read()) == body


async def test_what_is_sent_arrives(raw_server):
    """Method, target, headers and a body of known length; one connection a request."""
    got = []

    async def handler(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        got.extend((head, await reader.readexactly(4)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    endpoint = await raw_server(handler)
    async with exchange(endpoint, "POST", "/a?b=c", headers={"X-One": "1"}, body=b"body") as response:
        assert await response.whole() == b""
    head, body = got

    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n")
    assert b"X-One: 1\r\n" in head
    assert b"Content-Length: 4\r\n" in head
    assert body == b"body"


async def test_a_file_is_sent_in_chunks_from_where_it_stands(fake_engine):
    fake_engine.answers["POST /load"] = {"ok": True}
    data = bytes(range(256)) * 8192  # more than one part
    file = io.BytesIO(b"not this" + data)
    file.seek(8)

    assert await fetched(fake_engine.endpoint, "POST", "/load", body=file) == (200, b'{"ok": true}')
    assert fake_engine.calls[0].body == data


async def test_a_refusal_is_heard_while_a_large_body_is_still_uploaded(raw_server):
    """The engine answers without having read what comes, as Go's server does: it hangs up half a second later."""
    answered = asyncio.Event()

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nno build!")
        writer.write_eof()
        await answered.wait()

    endpoint = await raw_server(handler)
    file = io.BytesIO(bytes(64 * MEGABYTE))
    assert await fetched(endpoint, "POST", "/build", body=file) == (400, b"no build!")
    answered.set()

    assert file.tell() < 64 * MEGABYTE


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n32\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
    ids=["nothing", "a torn head", "a length", "a torn chunk", "no last chunk", "an interim answer"],
)
async def test_an_answer_cut_off_in_the_middle_is_broken(answering, sent):
    endpoint = await answering(sent)
    with pytest.raises(Broken, match="ended in the middle"):
        await fetched(endpoint)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x03\x00\x02\x02\x50",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    ],
    ids=["another protocol", "a TLS alert", "no chunk", "no length"],
)
async def test_garbage_is_broken(answering, sent):
    endpoint = await answering(sent)
    with pytest.raises(Broken):
        await fetched(endpoint)


async def test_a_head_without_an_end_is_not_read_for_ever(raw_server):
    async def handler(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-Filler: " + b"y" * 1000 + b"\r\n")
            await writer.drain()

    endpoint = await raw_server(handler)
    with pytest.raises(Broken):
        await fetched(endpoint)


async def test_what_came_before_the_cut_is_given_before_it_is_told(answering):
    endpoint = await answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    async with exchange(endpoint, "GET", "/x", headers={}) as response:
        parts = response.parts()
        assert await anext(parts) == b"half"
        with pytest.raises(Broken):
            await anext(parts)


async def test_leaving_ends_the_connection_whatever_is_still_to_come(raw_server):
    """An endless stream: the engine sees the end of it."""
    ended = asyncio.Event()

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nline\r\n")
        assert await reader.read() == b""
        ended.set()

    endpoint = await raw_server(handler)
    async with exchange(endpoint, "GET", "/events", headers={}) as response:
        parts = response.parts()
        assert await anext(parts) == b"line"
        await parts.aclose()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_cancelling_an_upload_ends_it(raw_server):
    """And nobody is left reading the file."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await asyncio.sleep(0.05)  # the upload stands still meanwhile
        try:
            while await reader.read(MEGABYTE):
                pass
        finally:
            ended.set()

    endpoint = await raw_server(handler)
    file = io.BytesIO(bytes(64 * MEGABYTE))
    uploading = asyncio.create_task(fetched(endpoint, "POST", "/build", body=file))
    await begun.wait()
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    async with asyncio.timeout(5):
        await ended.wait()

    assert file.tell() < 64 * MEGABYTE


async def test_nobody_there_is_broken_with_the_systems_reason(tmp_path, unused_tcp_port):
    (tmp_path / "stale.sock").touch()
    with pytest.raises(Broken) as caught:
        await fetched(Endpoint(path=str(tmp_path / "none.sock")))
    assert isinstance(caught.value.cause, FileNotFoundError)

    with pytest.raises(Broken) as caught:
        await fetched(Endpoint(path=str(tmp_path / "stale.sock")))
    assert isinstance(caught.value.cause, ConnectionRefusedError)

    with pytest.raises(Broken) as caught:
        await fetched(Endpoint(host="127.0.0.1", port=unused_tcp_port))
    assert isinstance(caught.value.cause, ConnectionRefusedError)


async def test_a_connection_that_is_reset_is_broken_with_the_systems_reason():
    """Over TCP the other side may reset it."""

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        with pytest.raises(Broken) as caught:
            await fetched(Endpoint(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))

    assert isinstance(caught.value.cause, OSError) or "middle" in str(caught.value)
