"""How the log view bears a flood: 20,000 lines a second for some seconds, and a full log's filter, wrap and scrolling.

Run: python tests/benchmarks/bench_log_view.py
"""

import asyncio
import statistics
import time
from collections.abc import Callable

from textual.app import App, ComposeResult

from engine.model.log import LogKind, LogLine
from tui.widgets.log_lines import CAPACITY
from tui.widgets.log_view import LogView

LINES_PER_S = 20_000
SECONDS = 5
BATCHES_PER_S = 100
TEXT = '127.0.0.1 - - [23/Nov/2026 13:18:01] "GET /items/{} HTTP/1.1" 200 12 "-" "\x1b[32mcurl/8.5.0\x1b[0m"'


class OneLog(App[None]):
    def compose(self) -> ComposeResult:
        yield LogView()


def lines(first: int, count: int) -> list[LogLine]:
    return [
        LogLine(seq=n, at=float(n), service_id="", kind=LogKind.APPLICATION, stream=f"{n % 5}", text=TEXT.format(n))
        for n in range(first, first + count)
    ]


async def watch_loop(gaps: list[float]) -> None:
    """How late the loop comes back to a task that asked for 5 ms: what a key would have to wait."""
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.005)
        gaps.append(time.perf_counter() - started - 0.005)


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


async def main() -> None:
    async with OneLog().run_test(size=(120, 40)) as pilot:
        view = pilot.app.query_one(LogView)
        view.show_time = view.show_stream = True
        size = LINES_PER_S // BATCHES_PER_S
        batches = [lines(n * size, size) for n in range(BATCHES_PER_S * SECONDS)]
        gaps: list[float] = []
        watcher = asyncio.create_task(watch_loop(gaps))
        cpu, wall = time.process_time(), time.perf_counter()
        for number, batch in enumerate(batches, 1):
            view.append(batch)
            await asyncio.sleep(max(0.0, wall + number / BATCHES_PER_S - time.perf_counter()))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        watcher.cancel()
        await pilot.pause(0.1)
        total = len(batches) * size
        gaps.sort()
        print(f"{total:,} lines in {wall:.2f} s ({total / wall:,.0f}/s), {100 * cpu / wall:.0f} % of a core")
        print(
            f"loop lateness: median {1000 * statistics.median(gaps):.1f} ms, "
            f"p99 {1000 * gaps[int(len(gaps) * 0.99)]:.1f} ms, worst {1000 * gaps[-1]:.1f} ms"
        )
        print(f"held: {view.line_count:,} of at most {CAPACITY:,} lines")

        def set_to(name: str, value: object) -> Callable[[], None]:
            return lambda: setattr(view, name, value)

        print(f"filter 'items/77': {timed(set_to('filter_text', 'items/77')):.1f} ms")
        print(f"filter off: {timed(set_to('filter_text', '')):.1f} ms")
        print(f"wrap on: {timed(set_to('wrap', True)):.1f} ms")
        print(f"filter while wrapping: {timed(set_to('filter_text', 'items/77')):.1f} ms")
        view.filter_text = ""
        view.action_oldest()
        view.focus()
        keys = []
        for _ in range(30):
            started = time.perf_counter()
            await pilot.press("pagedown")
            keys.append((time.perf_counter() - started) * 1000)
        print(f"page down, key to drawn: median {statistics.median(keys):.1f} ms (the pilot's own pauses included)")


if __name__ == "__main__":
    asyncio.run(main())
