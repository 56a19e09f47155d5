"""How fast the API answers: signed DescribeService calls on one keep-alive connection, 500 services behind it.

Run it: `python tests/benchmarks/bench_api.py [calls]`. The server has a process (and so a core) of its own; the client
signs every call anew, outside the measured time. Goal: 2,000 calls a second on one core, p99 under 10 ms.
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from engine.api.credentials import Credentials, load_or_create
from engine.api.message import Request
from engine.api.signature import ALGORITHM, Signed, signature_of
from engine.model.actions.service import DescribeServiceRequest, DescribeServiceResponse
from engine.model.audit import Caller
from engine.model.home import Home
from engine.model.ids import new_id, service_arn
from engine.model.service import (
    AutoScalingConfigurationSummary,
    CodeRepository,
    HealthCheckConfiguration,
    InstanceConfiguration,
    NetworkConfiguration,
    Service,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.settings import Settings
from engine.model.watch import EngineInfo

SERVICES = 500
GOAL_PER_S = 2000
GOAL_P99_MS = 10.0


class Described:
    """An engine that only describes; everything in front of it is the real thing."""

    def __init__(self) -> None:
        self.services = {service.service_arn: service for service in map(_service, range(SERVICES))}

    async def call(self, request: DescribeServiceRequest, *, caller: Caller) -> DescribeServiceResponse:
        return DescribeServiceResponse(service=self.services[request.service_arn])

    async def info(self) -> EngineInfo:
        fields = dict.fromkeys(("version", "home", "api_url", "edge_url", "socket", "region", "compute"), "")
        return EngineInfo(pid=0, **fields)

    def announce(self, **_: str) -> None: ...

    async def close(self, **_: bool) -> None: ...


def _service(number: int) -> Service:
    name, service_id = f"service-{number}", new_id()
    return Service(
        service_name=name,
        service_id=service_id,
        service_arn=service_arn("us-east-1", name, service_id),
        service_url=f"{service_id[:10]}.us-east-1.homerun.localhost:8800",
        created_at=time.time(),
        updated_at=time.time(),
        status=ServiceStatus.RUNNING,
        source_configuration=SourceConfiguration(
            code_repository=CodeRepository(
                repository_url="https://example.com/team/repository",
                source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
            ),
            auto_deployments_enabled=True,
        ),
        instance_configuration=InstanceConfiguration(cpu="1024", memory="2048"),
        health_check_configuration=HealthCheckConfiguration(interval=5, timeout=2, path="/"),
        auto_scaling_configuration_summary=AutoScalingConfigurationSummary(status="active", is_default=True),
        network_configuration=NetworkConfiguration(),
    )


async def serve(folder: str) -> None:
    """The server's process: prints where it is, runs until its stdin closes."""
    from engine.api.host import Host

    engine = Described()

    async def factory(_home: Home, _settings: Settings) -> Described:
        return engine

    async with Host.open(Home(path=Path(folder)), Settings(api="127.0.0.1:0"), engine_factory=factory) as host:
        print(json.dumps({"api": host.record.api, "arns": list(engine.services)}), flush=True)
        began = time.process_time()
        await asyncio.to_thread(sys.stdin.read)
        print(time.process_time() - began, flush=True)


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


def receive(connection: socket.socket) -> None:
    """Read one answer; anything but 200 is the end of the benchmark."""
    data = connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        sys.exit(data.decode())
    wanted = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < wanted:
        body += connection.recv(65536)


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="hr-") as folder:
        began = time.perf_counter()
        argv = [sys.executable, __file__, "--serve", folder]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            ready = json.loads(server.stdout.readline())
            start_up_ms = (time.perf_counter() - began) * 1000
            url, credentials = urlsplit(ready["api"]), load_or_create(Home(path=Path(folder)))
            requests = [signed_call(ready["arns"][n % SERVICES], url.netloc, credentials) for n in range(calls)]
            took = []
            with socket.create_connection((url.hostname, url.port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                began = time.perf_counter()
                for request in requests:
                    sent = time.perf_counter()
                    connection.sendall(request)
                    receive(connection)
                    took.append(time.perf_counter() - sent)
                seconds = time.perf_counter() - began
            server.stdin.close()
            cpu_s = float(server.stdout.readline())
    took.sort()
    p50, p99 = took[calls // 2] * 1000, took[calls * 99 // 100] * 1000
    per_s = calls / seconds
    print(f"{calls} signed DescribeService calls: {per_s:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    per_core = calls / cpu_s
    print(f"server: {cpu_s / calls * 1e6:.0f} us of CPU a call, {per_core:,.0f} calls/s on one core")
    print(f"process start to ready: {start_up_ms:.0f} ms")
    if per_core < GOAL_PER_S or p99 > GOAL_P99_MS:
        sys.exit(f"Missed the goal of {GOAL_PER_S}/s and p99 under {GOAL_P99_MS} ms.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2]))
    else:
        main()
