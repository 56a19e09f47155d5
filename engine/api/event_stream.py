"""Event streams of AWS: messages of headers and a payload between two checksums. Pure."""

import binascii
import struct

_STRING = 7
"""The one type of header that is used here."""


def encode_event(event: str, payload: bytes, content_type: str = "application/json") -> bytes:
    """One event as it goes over the wire."""
    headers = b"".join(
        _header(name, value)
        for name, value in ((":message-type", "event"), (":event-type", event), (":content-type", content_type))
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + _checksum(prelude) + headers + payload
    return message + _checksum(message)


def _header(name: str, value: str) -> bytes:
    raw = value.encode()
    return bytes((len(name),)) + name.encode() + struct.pack(">BH", _STRING, len(raw)) + raw


def _checksum(data: bytes) -> bytes:
    return struct.pack(">I", binascii.crc32(data))
