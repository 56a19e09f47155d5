"""Lines that wait to be stored: in order, bounded, and fair when one service floods."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from engine.model.log import LogKind, LogLine

MAX_LINES = 100_000
MAX_BYTES = 64 * 1024 * 1024
_LINE_BYTES = 200  # what a line costs besides its text
_KEEP_SHARE = 0.9  # drop a tenth at once, so that a flood pays for the search rarely
_APPLICATION_FIRST = 4  # what Homerun itself says is dropped only when there is this many times more of it

Owner = tuple[str, LogKind]


@dataclass(slots=True)
class Chunk:
    """Lines of one stream that are stored together, or not at all. There is at least one."""

    lines: Sequence[LogLine]
    position: int | None = None
    """For lines from a followed file: how far it has been read with them, in bytes."""
    dropped: int = 0
    """Set where the only line says how many are missing."""
    owner: Owner = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.owner = (self.lines[0].service_id, self.lines[0].kind)
        self.size = sum(len(line.text) for line in self.lines) + _LINE_BYTES * len(self.lines)


class LineBuffer:
    """Not safe for threads by itself: its owner holds a lock."""

    def __init__(self, max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._waiting: deque[Chunk] = deque()
        self._writing: list[Chunk] = []
        self._lines = 0
        self._bytes = 0
        self._by_owner: dict[Owner, int] = {}

    def __len__(self) -> int:
        """Lines that wait, those being written left out."""
        return self._lines

    def add(self, chunk: Chunk) -> None:
        self._waiting.append(chunk)
        self._count(chunk, 1)
        if self._lines > self._max_lines or self._bytes > self._max_bytes:
            self._drop()

    def take(self, lines: int) -> list[Chunk]:
        """The oldest chunks, about `lines` lines; they can still be found here until `written` or `failed`."""
        taken = 0
        while self._waiting and taken < lines:
            chunk = self._waiting.popleft()
            self._count(chunk, -1)
            self._writing.append(chunk)
            taken += len(chunk.lines)
        return self._writing

    def written(self) -> None:
        """What `take` gave is stored."""
        self._writing = []

    def failed(self) -> None:
        """What `take` gave is not stored, and waits again."""
        for chunk in reversed(self._writing):
            self._waiting.appendleft(chunk)
            self._count(chunk, 1)
        self._writing = []
        if self._lines > self._max_lines or self._bytes > self._max_bytes:
            self._drop()

    def chunks(self) -> Iterator[Chunk]:
        """Everything not stored yet, oldest first."""
        return chain(self._writing, self._waiting)

    def _count(self, chunk: Chunk, sign: int) -> None:
        self._lines += sign * len(chunk.lines)
        self._bytes += sign * chunk.size
        left = self._by_owner.get(chunk.owner, 0) + sign * chunk.size
        if left:
            self._by_owner[chunk.owner] = left
        else:
            del self._by_owner[chunk.owner]

    def _drop(self) -> None:
        """Drop the oldest lines of who floods, and say so in their place."""
        while self._lines > self._max_lines * _KEEP_SHARE or self._bytes > self._max_bytes * _KEEP_SHARE:
            before = self._lines, self._bytes
            self._drop_oldest_of(max(self._by_owner, key=self._weight))
            if (self._lines, self._bytes) >= before:
                return  # only notices are left of it

    def _weight(self, owner: Owner) -> int:
        return self._by_owner[owner] * (_APPLICATION_FIRST if owner[1] is LogKind.APPLICATION else 1)

    def _drop_oldest_of(self, owner: Owner) -> None:
        excess_lines = self._lines - self._max_lines * _KEEP_SHARE
        excess_bytes = self._bytes - self._max_bytes * _KEEP_SHARE
        last: dict[str, Chunk] = {}
        counts: dict[str, int] = {}
        kept: deque[Chunk] = deque()
        for chunk in self._waiting:
            if chunk.owner != owner or (excess_lines <= 0 and excess_bytes <= 0):
                kept.append(chunk)
                continue
            self._count(chunk, -1)
            excess_lines -= len(chunk.lines)
            excess_bytes -= chunk.size
            stream = chunk.lines[0].stream
            counts[stream] = counts.get(stream, 0) + (chunk.dropped or len(chunk.lines))
            last[stream] = chunk
        for stream, chunk in last.items():
            notice = _notice(chunk, counts[stream])
            self._count(notice, 1)
            kept.appendleft(notice)
        self._waiting = kept


def _notice(last: Chunk, count: int) -> Chunk:
    """Takes the place of `last` and of those before it, and the position in the file with it."""
    text = f"[AppRunner] {count} lines are missing here: they came faster than they could be stored."
    return Chunk([msgspec.structs.replace(last.lines[-1], text=text)], position=last.position, dropped=count)
