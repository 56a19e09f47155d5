"""How fast the API answers: signed DescribeService calls over keep-alive, on a real engine with 500 services.

    python tests/benchmarks/bench_api.py [calls]

The engine is `homerun serve` in a process of its own; every call passes the signature, the door and the audit trail.
The client signs each call anew, outside the measured time. Goals: 2,000 calls a second on one core, p99 under 10 ms;
the endpoint adds less than 150 ms to the start.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from full_home import SERVICES, fill

from engine.api.credentials import Credentials, load_or_create
from engine.api.message import Request
from engine.api.signature import ALGORITHM, Signed, signature_of
from engine.model.home import Home

GOAL_PER_S = 2000
GOAL_P99_MS = 10.0
GOAL_START_MS = 150.0
START_RUNS = 7

_START = """
import asyncio, pathlib, socket, tempfile, time
import engine.engine, engine.api.host, engine.api.settings
from engine.model.clock import SystemClock
from engine.model.home import Home

async def main():
    home = Home(path=pathlib.Path(tempfile.mkdtemp(prefix="hr-")))
    began = time.perf_counter()
    from engine.api.credentials import load_or_create
    from engine.api.endpoint import TcpEndpoint, aws_refusal
    from engine.api.http import HttpServer
    from engine.api.host import _listen_tcp
    sock = _listen_tcp("127.0.0.1:0")
    endpoint = TcpEndpoint(None, load_or_create(home), host="127.0.0.1", url="http://x", clock=SystemClock())
    server = HttpServer(endpoint.handle, refuse=aws_refusal)
    await server.listen(sock)
    print((time.perf_counter() - began) * 1000)
    await server.close()

asyncio.run(main())
"""
_IMPORTS = """
import sys, time
import engine.engine
began = time.perf_counter()
import engine.api.host
print((time.perf_counter() - began) * 1000)
"""


def signed_call(arn: str, host: str, credentials: Credentials) -> bytes:
    body = json.dumps({"ServiceArn": arn}).encode()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "host": host,
        "x-amz-date": stamp,
        "x-amz-target": "AppRunner.DescribeService",
    }
    request = Request(
        method="POST",
        target="/",
        headers=tuple((name.encode(), value.encode()) for name, value in headers.items()),
        body=body,
    )
    signed = Signed(
        access_key_id=credentials.access_key_id,
        date=stamp[:8],
        region="us-east-1",
        service="apprunner",
        headers=tuple(headers),
        signature="",
        timestamp=stamp,
    )
    signature = signature_of(signed, request, credentials.secret_access_key)
    headers["authorization"] = (
        f"{ALGORITHM} Credential={signed.access_key_id}/{signed.scope}, "
        f"SignedHeaders={';'.join(signed.headers)}, Signature={signature}"
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def receive(connection: socket.socket) -> bytes:
    """Read one answer; anything but 200 is the end of the benchmark."""
    data = connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        sys.exit(data.decode())
    wanted = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < wanted:
        body += connection.recv(65536)
    return body


def arns_of(home: Home) -> list[str]:
    import sqlite3

    with sqlite3.connect(home.state_db) as connection:
        return [row[0] for row in connection.execute("SELECT arn FROM services")]


def start_up() -> tuple[float, float]:
    """Milliseconds that the API's modules take to import after the engine's, and that its endpoint takes to listen."""
    runs = {"imports": _IMPORTS, "endpoint": _START}
    medians = {
        name: statistics.median(
            float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
            for _ in range(START_RUNS)
        )
        for name, code in runs.items()
    }
    return medians["imports"], medians["endpoint"]


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        home = Home(path=Path(folder))
        asyncio.run(fill(home.path))
        argv = [sys.executable, "-m", "tui.command", "serve", "--home", folder, "--api", "127.0.0.1:0"]
        argv += ["--edge", "127.0.0.1:0", "--stop-instances"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            ready = json.loads(server.stdout.readline())
            url, credentials, arns = urlsplit(ready["api"]), load_or_create(home), arns_of(home)
            process = psutil.Process(ready["pid"])
            took = []
            with socket.create_connection((url.hostname, url.port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                requests = [signed_call(arns[n % SERVICES], url.netloc, credentials) for n in range(calls)]
                before = process.cpu_times()
                began = time.perf_counter()
                for request in requests:
                    sent = time.perf_counter()
                    connection.sendall(request)
                    receive(connection)
                    took.append(time.perf_counter() - sent)
                seconds = time.perf_counter() - began
            time.sleep(1)  # the trail's last batch belongs to the cost
            after = process.cpu_times()
            server.terminate()
        cpu_s = after.user + after.system - before.user - before.system
    took.sort()
    p50, p99 = took[calls // 2] * 1000, took[calls * 99 // 100] * 1000
    print(f"{calls} signed DescribeService calls: {calls / seconds:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    per_core = calls / cpu_s
    print(f"engine: {cpu_s / calls * 1e6:.0f} us of CPU a call, {per_core:,.0f} calls/s on one core")
    imports_ms, endpoint_ms = start_up()
    added_ms = imports_ms + endpoint_ms
    print(f"the API adds {added_ms:.0f} ms to the start: imports {imports_ms:.0f}, listening {endpoint_ms:.0f}")
    if per_core < GOAL_PER_S or p99 > GOAL_P99_MS or added_ms > GOAL_START_MS:
        sys.exit(f"Missed: {GOAL_PER_S}/s, p99 under {GOAL_P99_MS} ms, {GOAL_START_MS} ms.")


if __name__ == "__main__":
    main()
