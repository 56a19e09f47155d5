"""What the edge costs: requests a second and added latency, through it and straight to the same application.

Run it on a quiet machine: `python tests/benchmarks/bench_edge.py`. Uses wrk where it is on PATH, an asyncio loop
otherwise. Edge, application and load share the machine's cores, so the figures are lower bounds. Takes ten seconds.
"""

import asyncio
import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.edge.client import EdgeClient
from engine.edge.table import Backend, Route, RoutingTable
from engine.model.home import Home

HOST = "svc.localhost"
CONNECTIONS = 32
ROUNDS = 3
ROUND_S = 1.0
SERIAL_REQUESTS = 1500
BULK_BYTES = 64 * 1024 * 1024

APPLICATION = """
import asyncio, sys, uvloop

ANSWER = (b"HTTP/1.1 200 OK\\r\\nServer: bench\\r\\nDate: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n"
          b"Content-Type: text/plain\\r\\nContent-Length: 13\\r\\n\\r\\nhello, world\\n")
BULK = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n"

class Application(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.ready = asyncio.Event()
        self.ready.set()

    def data_received(self, data):
        if data.startswith(b"GET /bulk"):
            self.task = asyncio.get_running_loop().create_task(self.bulk(int(sys.argv[1])))
        else:
            self.transport.write(ANSWER * data.count(b"\\r\\n\\r\\n"))

    async def bulk(self, size):
        self.transport.write(BULK % size)
        block = b"x" * 65536
        for _ in range(size // len(block)):
            self.transport.write(block)
            await self.ready.wait()

    def pause_writing(self):
        self.ready.clear()

    def resume_writing(self):
        self.ready.set()

async def main():
    server = await asyncio.get_running_loop().create_server(Application, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

uvloop.run(main())
"""


def load(port: int) -> float:
    """Requests a second over CONNECTIONS keep-alive connections."""
    if shutil.which("wrk"):
        out = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S:g}s", "-H", f"Host: {HOST}", f"http://127.0.0.1:{port}/"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(f"the load met errors:\n{out}")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    return uvloop.run(_load(port))


class Caller(asyncio.Protocol):
    """Sends the next request as soon as an answer is there."""

    def __init__(self) -> None:
        self.done = 0
        self.request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"hello, world\n"):
            self.done += 1
            self.transport.write(self.request)


async def _load(port: int) -> float:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(Caller, "127.0.0.1", port) for _ in range(CONNECTIONS)]
    before = sum(caller.done for _, caller in pairs)
    start = time.perf_counter()
    await asyncio.sleep(ROUND_S)
    rate = (sum(caller.done for _, caller in pairs) - before) / (time.perf_counter() - start)
    for transport, _ in pairs:
        transport.close()
    return rate


async def serial(port: int) -> list[float]:
    """Seconds of each of SERIAL_REQUESTS requests, one after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    taken = []
    for _ in range(SERIAL_REQUESTS):
        start = time.perf_counter()
        writer.write(request)
        await reader.readuntil(b"hello, world\n")
        taken.append(time.perf_counter() - start)
    writer.close()
    return sorted(taken)


async def bulk(port: int) -> float:
    """Megabytes a second of one large answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    start = time.perf_counter()
    writer.write(f"GET /bulk HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    left = BULK_BYTES
    while left:
        left -= len(await reader.read(1 << 20))
    writer.close()
    return BULK_BYTES / 1e6 / (time.perf_counter() - start)


async def main() -> None:
    application = subprocess.Popen(
        [sys.executable, "-c", APPLICATION, str(BULK_BYTES)], stdout=subprocess.PIPE, text=True
    )
    with contextlib.ExitStack() as stack:
        stack.callback(application.wait)
        stack.callback(application.kill)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        direct = int(application.stdout.readline())
        start = time.perf_counter()
        client = await EdgeClient.start(Home(path=Path(folder)), "127.0.0.1:0")
        ready = time.perf_counter() - start
        try:
            backend = Backend(instance_id="i", host="127.0.0.1", port=direct)
            await client.apply(
                RoutingTable(version=1, routes=(Route(service_id="s", hosts=(HOST,), backends=(backend,)),))
            )
            edge = int(client.address.rpartition(":")[2])
            ports = {"direct": direct, "edge": edge}
            rates: dict[str, list[float]] = {name: [] for name in ports}
            for _ in range(ROUNDS):
                for name, port in ports.items():
                    rates[name].append(await asyncio.to_thread(load, port))
            times = {name: await serial(port) for name, port in ports.items()}
            throughput = {name: await bulk(port) for name, port in ports.items()}
        finally:
            await client.stop()
    print(f"start until connected: {ready * 1000:.0f} ms")
    print(f"load: {'wrk' if shutil.which('wrk') else 'asyncio'}, {CONNECTIONS} connections, {ROUNDS} rounds, medians")
    for name in ports:
        p50, p99 = times[name][len(times[name]) // 2], times[name][len(times[name]) * 99 // 100]
        print(
            f"{name:>6}: {statistics.median(rates[name]):>9,.0f} requests/s   one at a time p50 {p50 * 1e6:4.0f} us, "
            f"p99 {p99 * 1e6:4.0f} us   bulk {throughput[name]:,.0f} MB/s"
        )
    added = [
        (times["edge"][at] - times["direct"][at]) * 1e6 for at in (SERIAL_REQUESTS // 2, SERIAL_REQUESTS * 99 // 100)
    ]
    print(f" added: p50 {added[0]:.0f} us, p99 {added[1]:.0f} us")


if __name__ == "__main__":
    uvloop.run(main())
