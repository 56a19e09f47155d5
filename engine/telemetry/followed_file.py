"""One output file of an instance: what is new in it, cut into lines, each byte part of one line once. Blocking."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from engine.model.log import LogKind
from engine.telemetry.lines import MAX_LINE_BYTES, complete, split
from engine.telemetry.punch import punch_hole

_SILENCE_S = 1.0  # a line without an end is shown after this long; what follows is a line of its own
_READS_A_LOOK = 16  # of MAX_LINE_BYTES each, then the next file has its turn
_MAX_BEHIND = 256 * 1024 * 1024  # beyond it a flood outruns us, and most of it would not be kept anyway
_RESUME_BEHIND = 1024 * 1024
_FREE_EVERY = 64 * 1024 * 1024
_FREE_MARGIN = 1024 * 1024  # stays on disk: a power cut may take the newest transactions back
_BLOCK = 4096


class Sink(Protocol):
    """Where lines go; called from a thread."""

    @property
    def has_room(self) -> bool: ...

    def ingest(
        self,
        service_id: str,
        kind: LogKind,
        stream: str,
        texts: Sequence[str],
        *,
        at: float,
        position: int | None = None,
    ) -> None: ...


class FollowedFile:
    """Used by one thread at a time."""

    def __init__(self, instance_id: str, service_id: str, path: Path, position: int = 0) -> None:
        self.instance_id = instance_id
        self.service_id = service_id
        self._path = path
        self._name = str(path)
        self.position = position
        """Bytes handed to the sink so far."""
        self.stored = position
        """Bytes whose lines are durable."""
        self.unreadable = False
        """The last look failed."""
        self._size = -1
        self._grown_at = 0.0
        self._unfinished = False
        self._freed: float = 0

    def look(self, sink: Sink, now: float, monotonic: float, *, ended: bool = False) -> bool:
        """Hand over what is new; True when there is more. `ended`: nobody writes to the file any more.

        Raises OSError.
        """
        try:
            state = os.stat(self._name)  # noqa: PTH116 - all that an idle file costs, and half of it with a Path
        except FileNotFoundError:
            return False
        size = state.st_size
        if size == self.position == self._size:
            return False
        if size < self.position:
            self.position = self.stored = 0  # somebody emptied it
            self._freed = 0
        if size != self._size:
            self._size = size
            self._grown_at = monotonic
            self._unfinished = False
        at_rest = ended or monotonic - self._grown_at >= _SILENCE_S
        if size == self.position or (self._unfinished and not at_rest):
            return False
        with self._path.open("rb", buffering=0) as file:
            if size - self.position > _MAX_BEHIND:
                self._skip(file, sink, size, now)
            at = min(now, state.st_mtime)  # what was written while nobody looked keeps its time, nearly
            for _ in range(_READS_A_LOOK):
                if not sink.has_room:
                    return True
                if not self._read(file, sink, at, at_rest=at_rest):
                    break
        self._free()
        return self.position < size and not self._unfinished

    def _read(self, file: BinaryIO, sink: Sink, at: float, *, at_rest: bool) -> bool:
        start = max(self.position - 1, 0)
        file.seek(start)
        data = file.read(self.position - start + MAX_LINE_BYTES)
        before, data = data[: self.position - start], data[self.position - start :]
        count = complete(data) or (len(data) if at_rest else 0)
        if not count:
            self._unfinished = True
            return False
        self.position += count
        texts = split(data[:count], cut=before not in {b"", b"\n"})
        sink.ingest(self.service_id, LogKind.APPLICATION, self.instance_id, texts, at=at, position=self.position)
        return True

    def _skip(self, file: BinaryIO, sink: Sink, size: int, now: float) -> None:
        resume = size - _RESUME_BEHIND
        file.seek(resume)
        resume += file.read(MAX_LINE_BYTES).find(b"\n") + 1
        text = (
            f"[AppRunner] {(resume - self.position) // 1024**2} MiB of output were left out here:"
            " the application prints faster than it can be stored."
        )
        self.position = resume
        sink.ingest(self.service_id, LogKind.APPLICATION, self.instance_id, [text], at=now, position=resume)

    def _free(self) -> None:
        """Give the disk back what is stored elsewhere now."""
        end = (self.stored - _FREE_MARGIN) // _BLOCK * _BLOCK
        if end - self._freed < _FREE_EVERY:
            return
        try:
            punch_hole(self._path, int(self._freed), end)
            self._freed = end
        except OSError:
            self._freed = math.inf  # not on this system: the file goes with its instance
