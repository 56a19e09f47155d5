"""BuildKit's trace, read byte for byte as an engine sends it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compute.docker.buildkit import TRACE, Output, Vertex, events


def varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*parts: bytes) -> dict[str, object]:
    return {"id": TRACE, "aux": base64.b64encode(b"".join(parts)).decode()}


def vertex(name: str = "[build 2/3] RUN make", *, error: str = "", cached: bool = False, times: str = "sc") -> bytes:
    stamp = field(1, 1_700_000_000) + field(2, 5)
    body = field(1, "sha256:1") + field(2, "sha256:0") + field(3, name) + (field(4, 1) if cached else b"")
    body += (field(5, stamp) if "s" in times else b"") + (field(6, stamp) if "c" in times else b"")
    return field(1, body + (field(7, error) if error else b""))


def log(data: bytes, vertex_id: str = "sha256:1") -> bytes:
    return field(3, field(1, vertex_id) + field(2, field(1, 1)) + field(3, 1) + field(4, data))


def test_the_states_of_a_step():
    assert list(events(message(vertex(times="s"), vertex(error="exit code: 3"), vertex(cached=True)))) == [
        Vertex(id="sha256:1", name="[build 2/3] RUN make", started=True),
        Vertex(id="sha256:1", name="[build 2/3] RUN make", started=True, completed=True, error="exit code: 3"),
        Vertex(id="sha256:1", name="[build 2/3] RUN make", started=True, completed=True, cached=True),
    ]


def test_output_in_its_order_between_what_else_there_is():
    progress = field(2, field(1, "x") + field(3, "y") + field(4, 10))
    assert list(events(message(log(b"one\ntw"), progress, log("ö\n".encode(), "b")))) == [
        Output(vertex_id="sha256:1", data=b"one\ntw"),
        Output(vertex_id="b", data="ö\n".encode()),
    ]


def test_fields_of_newer_engines_are_passed_over():
    fixed = varint(90 << 3 | 1) + bytes(8) + varint(91 << 3 | 5) + bytes(4)
    unknown = field(15, "later") + field(16, 7) + fixed
    body = field(3, "name") + unknown + field(1, "id")
    assert list(events(message(unknown, field(1, body)))) == [Vertex(id="id", name="name")]


@pytest.mark.parametrize("other", [{}, {"stream": "x"}, {"id": "moby.image.id", "aux": {"ID": "x"}}, {"id": TRACE}])
def test_other_messages_say_nothing(other):
    assert list(events(other)) == []


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\xff" * 12, b"\x0b", b"\x0a", b"\x0a\x02\x0a\x05"])
def test_what_is_cut_off_or_something_else_is_refused(data):
    with pytest.raises(ValueError, match="trace"):
        list(events(message(data)))


@given(st.binary())
def test_anything_is_either_read_or_refused(data):
    try:
        for event in events(message(data)):
            assert isinstance(event, Vertex | Output)
    except ValueError:
        pass


@given(st.lists(st.tuples(st.text(), st.binary())))
def test_every_byte_of_output_arrives(pieces):
    found = list(events(message(*(log(data, name) for name, data in pieces))))
    assert found == [Output(vertex_id=name, data=data) for name, data in pieces]
