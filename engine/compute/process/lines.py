"""Bytes of a build's output, as they come, to whole lines of text. Pure."""

LINE_MAX = 1 << 16
"""Bytes; longer lines are split."""


class LineSplitter:
    """Splits at line ends, shows only the last state of a line that was redrawn with carriage returns, replaces what
    is not UTF-8. `feed` any number of times, then `flush` once.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(_last_state(line))]
        # A redrawn line keeps only what came after its last carriage return, unless that one ends the data: a
        # line feed may follow.
        bare = rest.rstrip(b"\r")
        rest = bare.rpartition(b"\r")[2] + (b"\r" if len(bare) < len(rest) else b"")
        while len(rest) > LINE_MAX:
            piece, rest = _cut(rest)
            lines.append(piece.decode(errors="replace"))
        self._rest = rest
        return lines

    def flush(self) -> list[str]:
        """What is left of a line that was never ended."""
        rest, self._rest = self._rest, b""
        return list(_pieces(_last_state(rest))) if rest.strip(b"\r") else []


def _last_state(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _pieces(line: bytes) -> list[str]:
    pieces = []
    while len(line) > LINE_MAX:
        piece, line = _cut(line)
        pieces.append(piece.decode(errors="replace"))
    return [*pieces, line.decode(errors="replace")]


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """The first LINE_MAX bytes and the rest, never within a character."""
    at = LINE_MAX
    while at > LINE_MAX - 4 and line[at] & 0xC0 == 0x80:
        at -= 1
    return line[:at], line[at:]
