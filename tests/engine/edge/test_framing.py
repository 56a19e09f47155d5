"""How bodies are delimited."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.edge.framing import LAST_CHUNK, Framing, chunk, framing_towards_client, request_framing, response_framing
from engine.edge.problem import Refused


@settings(deadline=None)
@given(st.lists(st.lists(st.binary(max_size=50), max_size=4), max_size=6))
def test_chunks_read_back_as_the_same_body(flushes):
    data = b"".join(map(chunk, flushes)) + LAST_CHUNK
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    body = b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            body += bytes(event.data)
    assert body == b"".join(part for parts in flushes for part in parts)


def test_requests():
    assert request_framing([], [], http11=True) == (Framing.NONE, 0)
    assert request_framing([b" 12 "], [], http11=False) == (Framing.LENGTH, 12)
    assert request_framing([], [b"chunked "], http11=True) == (Framing.CHUNKED, 0)


@pytest.mark.parametrize(
    ("lengths", "codings", "http11"),
    [
        ([b"1"], [b"chunked"], True),
        ([b"1", b"1"], [], True),
        ([b"1,1"], [], True),
        ([b"+1"], [], True),
        ([b"1_0"], [], True),
        ([b"\xd9\xa1"], [], True),
        ([b""], [], True),
        ([b"9" * 19], [], True),
        ([], [b"chunked", b"chunked"], True),
        ([], [b"gzip, chunked"], True),
        ([], [b"chunked"], False),
    ],
)
def test_ambiguous_requests_are_refused(lengths, codings, http11):
    with pytest.raises(Refused):
        request_framing(lengths, codings, http11=http11)


@pytest.mark.parametrize(
    ("status", "lengths", "codings", "head", "expected"),
    [
        (200, [b"5"], [], False, (Framing.LENGTH, 5)),
        (200, [], [b"chunked"], False, (Framing.CHUNKED, None)),
        (200, [], [], False, (Framing.CLOSE, None)),
        (200, [b"5"], [], True, (Framing.NONE, 5)),
        (200, [], [b"chunked"], True, (Framing.NONE, None)),
        (304, [b"5"], [], False, (Framing.NONE, 5)),
        (204, [b"5"], [], False, (Framing.NONE, None)),
    ],
)
def test_responses(status, lengths, codings, head, expected):
    assert response_framing(status, lengths, codings, head=head) == expected


def test_an_unknown_length_is_chunked_only_for_http_1_1():
    assert framing_towards_client(Framing.CLOSE, http11=True) is Framing.CHUNKED
    assert framing_towards_client(Framing.CHUNKED, http11=False) is Framing.CLOSE
    assert framing_towards_client(Framing.LENGTH, http11=False) is Framing.LENGTH
    assert framing_towards_client(Framing.NONE, http11=True) is Framing.NONE
