"""Event streams as botocore's own decoder reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api.event_stream import encode_event

eventstream = pytest.importorskip("botocore.eventstream")


def decoded(data: bytes, size: int) -> list[tuple[dict[str, str], bytes]]:
    buffer = eventstream.EventStreamBuffer()
    found = []
    for at in range(0, len(data), size):
        buffer.add_data(data[at : at + size])
        found += [(dict(message.headers), message.payload) for message in buffer]
    return found


@given(events=st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=2000)), max_size=4), size=st.integers(1, 700))
def test_what_is_encoded_is_read_back_however_it_arrives(events, size):
    data = b"".join(encode_event(name, payload) for name, payload in events)

    assert decoded(data, size) == [
        ({":message-type": "event", ":event-type": name, ":content-type": "application/json"}, payload)
        for name, payload in events
    ]


def test_a_damaged_message_does_not_pass():
    data = bytearray(encode_event("sessionUpdate", b"{}"))
    data[-6] ^= 1
    with pytest.raises(eventstream.ChecksumMismatch):
        decoded(bytes(data), len(data))
