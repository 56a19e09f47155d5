"""HOST:PORT."""

import pytest

from engine.edge.address import format_address, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8800", ("127.0.0.1", 8800)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:80", ("::1", 80)),
        ("127.1.2.3:65535", ("127.1.2.3", 65535)),
    ],
)
def test_loopback_addresses(text, expected):
    assert parse_address(text) == expected
    assert parse_address(format_address(*expected)) == expected


@pytest.mark.parametrize("text", ["0.0.0.0:80", "example.com:80", "192.168.0.1:80", ":80", "[::]:80", "8800", ""])
def test_other_hosts_are_refused(text):
    with pytest.raises(ValueError, match="this machine alone"):
        parse_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:²"])
def test_other_ports_are_refused(text):
    with pytest.raises(ValueError, match="no port between"):
        parse_address(text)
