"""One watcher of log lines: the snapshot first, then every line, bounded."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from engine.model.log import LogBatch, LogKind, LogLine, LogSelector

MAX_WAITING = 10_000
MAX_BATCH = 2_000


class Subscription(AsyncIterator[LogBatch]):
    """`offer` is called under the lock of the logs, from any thread; iteration happens on the event loop."""

    def __init__(self, selector: LogSelector, lock: threading.Lock, wake: Callable[[Callable[[], None]], None]) -> None:
        self._selector = selector
        self._lock = lock
        self._wake = wake
        self._snapshot: LogBatch | None = None
        self._waiting: deque[LogLine] = deque()
        self._dropped = 0
        self._ready = asyncio.Event()
        self._closed = False

    def wants(self, service_id: str, kind: LogKind, stream: str) -> bool:
        wanted = self._selector
        return (
            kind is wanted.kind
            and wanted.service_id in {"", service_id}
            and (not wanted.stream or wanted.stream == stream)
        )

    def start_with(self, snapshot: LogBatch) -> None:
        self._snapshot = snapshot

    def offer(self, lines: Sequence[LogLine]) -> None:
        """Take lines for the watcher; the oldest go where it is too slow."""
        was_empty = not self._waiting
        self._waiting.extend(lines)
        for _ in range(len(self._waiting) - MAX_WAITING):
            self._waiting.popleft()
            self._dropped += 1
        if was_empty:
            self._wake(self._ready.set)

    def close(self) -> None:
        """End the iteration after what is waiting."""
        self._closed = True
        self._ready.set()

    async def __anext__(self) -> LogBatch:
        if self._snapshot is not None:
            snapshot, self._snapshot = self._snapshot, None
            return snapshot
        while True:
            with self._lock:
                self._ready.clear()
                if self._waiting:
                    dropped, self._dropped = self._dropped, 0
                    lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
                    return LogBatch(lines=tuple(lines), dropped=dropped)
            if self._closed:
                raise StopAsyncIteration
            await self._ready.wait()
