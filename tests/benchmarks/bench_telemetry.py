"""How fast telemetry takes lines in, finds them again, watches idle files and draws charts.

Run: python tests/benchmarks/bench_telemetry.py
"""

import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.model.clock import SystemClock
from engine.model.home import Home
from engine.model.instance import Instance, InstanceState
from engine.model.log import LogKind, LogQuery, LogSelector
from engine.model.metric import EdgeSample, InstanceSample, MetricName, MetricQuery
from engine.telemetry import Telemetry, logs

WORDS = ("GET", "/api/users", "200", "database", "connection", "error", "timeout", "handled", "request", "login")
APP = LogKind.APPLICATION


def instance(number: int) -> Instance:
    return Instance(
        id=f"i{number}",
        service_id=f"s{number}",
        version_id="v",
        compute="process",
        state=InstanceState.READY,
        created_at=0.0,
    )


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def lines(count: int, seed: int) -> str:
    rng = random.Random(seed)
    return "".join(
        f"2026-01-01T00:00:00Z INFO {number} {' '.join(rng.choices(WORDS, k=10))}\n" for number in range(count)
    )


async def ingestion(folder: Path, home: Home, count: int) -> dict[str, float]:
    """Lines in four output files until they are found in the database; a watcher looks on. Then `log` by itself."""
    for number in range(4):
        (folder / f"{number}.log").write_text(lines(count // 4, number))
    telemetry = await Telemetry.open(home, SystemClock())
    longest = 0.0

    async def watch() -> None:
        async with telemetry.watch_logs(LogSelector(service_id="s0", kind=APP)) as batches:
            async for _ in batches:
                pass

    async def lag() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before - 0.005)

    tasks = [asyncio.create_task(watch()), asyncio.create_task(lag())]
    began, used = time.perf_counter(), cpu_s()
    for number in range(4):
        telemetry.follow(instance(number), folder / f"{number}.log")
    for number in range(4):
        await telemetry.unfollow(f"i{number}")
    await telemetry.flush()
    took, used = time.perf_counter() - began, cpu_s() - used
    text = "2026-01-01T00:00:00Z INFO " + " ".join(WORDS)
    log_began = time.perf_counter()
    for number in range(100_000):
        telemetry.log("direct", APP, "i", text)
        if number % 1000 == 0:
            await asyncio.sleep(0)
    await telemetry.flush()
    log_took = time.perf_counter() - log_began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await telemetry.close()
    return {
        "ingested_lines_per_s": round(count / took),
        "ingest_cpu_us_per_line": round(used / count * 1e6, 1),
        "longest_loop_stall_ms": round(longest * 1000, 1),
        "log_calls_per_s": round(100_000 / log_took),
    }


async def searches(home: Home) -> dict[str, float]:
    """Over a million stored lines."""
    telemetry = await Telemetry.open(home, SystemClock())
    one = LogSelector(service_id="s1", kind=APP)
    every = LogSelector(service_id="", kind=APP)
    result = {}
    for name, query in {
        "first_page": LogQuery(selector=one),
        "first_page_all_services": LogQuery(selector=every),
        "search_common_word": LogQuery(selector=one, search="DATABASE"),
        "search_one_hit": LogQuery(selector=one, search="info 7 "),
        "search_one_hit_all_services": LogQuery(selector=every, search="info 249999 "),
        "search_no_hit_all_services": LogQuery(selector=every, search="nowhere"),
        "search_beyond_ascii_all_services": LogQuery(selector=every, search="ärger"),
    }.items():
        began = time.perf_counter()
        await telemetry.query_logs(query)
        result[f"{name}_ms"] = round((time.perf_counter() - began) * 1000, 1)
    await telemetry.close()
    result["file_mib"] = round(home.telemetry_db.stat().st_size / 1024**2)
    return result


async def idle_files(folder: Path, home: Home, count: int) -> dict[str, float]:
    """CPU for files that nobody writes to."""
    telemetry = await Telemetry.open(home, SystemClock())
    for number in range(count):
        path = folder / f"idle-{number}.log"
        path.write_text("started\n")
        telemetry.follow(instance(number + 100), path)
    await asyncio.sleep(2)
    used = cpu_s()
    await asyncio.sleep(5)
    used = cpu_s() - used
    await telemetry.close()
    return {"idle_files": count, "idle_cpu_ms_per_s": round(used / 5 * 1000, 2)}


async def charts(home: Home, services: int) -> dict[str, float]:
    """An hour of `services` busy services, one instance each."""
    clock = SystemClock()
    telemetry = await Telemetry.open(home, clock)
    metrics = telemetry._metrics  # the past is recorded as if it were now
    end = int(clock.now())
    rng = random.Random(1)
    took, used = [], []
    for second in range(end - 3600, end):
        metrics.beat(second)
        telemetry.record_edge(
            [
                EdgeSample(
                    second=second,
                    service_id=f"s{number}",
                    requests=20,
                    status_2xx=20,
                    latency={rng.randrange(100, 200): 1 for _ in range(20)},
                    active_instances=1,
                    in_flight=0.5,
                )
                for number in range(services)
            ]
        )
        telemetry.record_instances(
            [
                InstanceSample(
                    at=float(second),
                    service_id=f"s{number}",
                    instance_id=f"i{number}",
                    cpu_percent=5.0,
                    memory_bytes=10**8,
                    memory_percent=5.0,
                )
                for number in range(services)
            ]
        )
        began, cpu = time.perf_counter(), cpu_s()
        await metrics.store(everything=True)
        took.append(time.perf_counter() - began)
        used.append(cpu_s() - cpu)
    result = {
        "services": services,
        "store_a_second_ms": round(sorted(took)[len(took) // 2] * 1000, 1),
        "store_a_second_cpu_ms": round(sum(used) / len(used) * 1000, 1),
    }
    for name, length in (("5_min", 300), ("1_h", 3600), ("1_d", 86400)):
        latencies = []
        for number in range(20):
            began, end = time.perf_counter(), clock.now()
            await telemetry.query_metrics(
                MetricQuery(service_id=f"s{number}", metrics=tuple(MetricName), start=end - length, end=end)
            )
            latencies.append(time.perf_counter() - began)
        result[f"all_metrics_{name}_ms"] = round(sorted(latencies)[10] * 1000, 1)
    began = time.perf_counter()
    telemetry.pulse(clock.now())
    result["pulse_ms"] = round((time.perf_counter() - began) * 1000, 2)
    await telemetry.close()
    return result


async def main() -> None:
    logs.KEEP_LINES[APP] = 1_000_000  # a million lines to search, whatever is kept usually
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = Home(path=folder)
        print(json.dumps(await ingestion(folder, home, 1_000_000)))
        print(json.dumps(await searches(home)))
        (folder / "idle").mkdir()
        print(json.dumps(await idle_files(folder / "idle", home, 500)))
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(await charts(Home(path=Path(name)), 100)))


if __name__ == "__main__":
    asyncio.run(main())
