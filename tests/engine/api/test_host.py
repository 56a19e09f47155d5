"""The host: ready when it says so, one per home, addresses as asked for, nothing left behind."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from engine.api import host as host_module
from engine.api.attached import AttachedEngine
from engine.api.host import AddressInUse, HomeInUse, Host
from engine.api.stop import StopFailed, stop_engine
from engine.model.settings import DEFAULT_API, Settings

pytestmark = pytest.mark.slow  # real processes and sockets


async def fetch(url: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()

    return await asyncio.to_thread(get)


async def test_the_ready_line_is_true(host, home, engine):
    assert host.ready == {
        "ready": True,
        "home": str(home.path),
        "api": host.record.api,
        "edge": "http://127.0.0.1:8800",
        "socket": str(home.engine_socket),
        "pid": os.getpid(),
    }
    assert await fetch(host.ready["api"] + "/healthz") == (200, "ok\n")
    assert json.loads(home.engine_record.read_bytes()) == {**host.ready, "started_at": host.record.started_at}
    info = await host.engine.info()
    assert (info.api_url, info.socket) == (host.ready["api"], host.ready["socket"])
    assert host.engine is engine


async def test_the_socket_and_the_record_are_private(host, home):
    for path in (home.engine_socket, home.engine_record, home.credentials):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.sockets.stat().st_mode) == 0o700


async def test_after_closing_nothing_is_left(open_host, home, engine):
    async with open_host() as host:
        port = int(host.record.api.rpartition(":")[2])
    assert engine.closed_with is False
    assert not home.engine_socket.exists()
    assert not home.engine_record.exists()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    async with open_host():
        pass


async def test_closing_within_the_block_can_stop_the_instances_and_happens_once(open_host, engine):
    async with open_host() as host:
        await host.close(stop_instances=True)
        assert engine.closed_with is True
        engine.closed_with = None
    assert engine.closed_with is None


async def test_a_home_has_one_host(host, open_host):
    with pytest.raises(HomeInUse) as caught:
        async with open_host():
            pytest.fail("entered")
    assert caught.value.record == host.record


async def test_a_stale_socket_of_a_killed_engine_is_replaced(open_host, home):
    home.sockets.mkdir(parents=True)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(home.engine_socket))
    stale.close()
    async with open_host(), await AttachedEngine.connect(home.engine_socket) as attached:
        assert (await attached.info()).pid == os.getpid()


async def test_an_explicit_address_that_is_taken_is_an_error_that_says_what_to_do(open_host, home, engine):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(
            AddressInUse, match=f"{address} is in use by another program: choose another one with --api"
        ):
            async with open_host(api=address):
                pytest.fail("entered")
    assert engine.closed_with is None
    async with open_host():
        pass


async def test_the_default_address_gives_way_when_it_is_taken(open_host, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr("engine.api.host.DEFAULT_API", address)
        async with open_host(api=address) as host:
            assert host.record.api != f"http://{address}"
            assert (await fetch(host.record.api + "/healthz"))[0] == 200
    assert Settings().api == DEFAULT_API


@pytest.mark.parametrize("api", ["203.0.113.1:0", "no-such-host.invalid:0"])
async def test_an_address_of_another_machine_is_one_sentence(open_host, api, monkeypatch):
    def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if "invalid" in api:
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AddressInUse, match="cannot be used: "):
        async with open_host(api=api):
            pytest.fail("entered")


async def test_an_engine_that_does_not_open_leaves_nothing(home, open_host):
    async def broken(_home, _settings):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        async with Host.open(home, Settings(api="127.0.0.1:0"), engine_factory=broken):
            pytest.fail("entered")
    assert not home.engine_socket.exists()
    async with open_host():
        pass


async def test_leaving_while_the_engine_is_still_imported_leaves_no_edge(home, monkeypatch):
    def slow(_name):
        deadline = time.monotonic() + 10
        while not home.edge_record.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        edges.append(json.loads(home.edge_record.read_bytes())["pid"])
        raise ImportError("no")

    edges = []
    monkeypatch.setattr(host_module.importlib, "import_module", slow)
    with pytest.raises(ImportError):
        async with Host.open(home, Settings(api="127.0.0.1:0", edge="127.0.0.1:0")):
            pytest.fail("entered")

    assert not psutil.pid_exists(edges[0])


async def test_calls_in_flight_are_answered_before_the_engine_closes(open_host, home, engine, eventually):
    service = engine.add("hello")
    engine.hold.clear()
    async with open_host():
        reader, writer = await asyncio.open_unix_connection(str(home.engine_socket))
        body = json.dumps({"ServiceArn": service.service_arn}).encode()
        writer.write(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AppRunner.PauseService\r\n"
            b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await eventually(lambda: engine.requests)
        asyncio.get_running_loop().call_later(0.05, engine.hold.set)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert engine.finished == ["pause_service"]


@pytest.mark.parametrize("instances", [False, True])
async def test_stop_ends_the_host_and_returns_when_the_home_is_free(open_host, home, engine, instances):
    async def serve() -> None:
        async with open_host() as host:
            started.set_result(host.record)
            host.stop_instances = await host.stop_requested()

    started = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve())
    record = await started
    assert await stop_engine(home, instances=instances) == record
    assert engine.closed_with is instances
    async with open_host():
        pass
    await serving


async def test_stop_without_an_engine_says_none(home):
    assert await stop_engine(home, instances=False) is None


async def test_stop_says_when_the_engine_does_not_end(host, home):
    with pytest.raises(StopFailed, match="has not ended within"):
        await stop_engine(home, instances=False, timeout_s=0.2)


def test_a_host_needs_neither_botocore_nor_cryptography_nor_a_screen():
    """Start-up stays quick: what is heavy is not imported."""
    script = (
        "import sys, engine.api.host, engine.api.attached, engine.api.stop\n"
        "heavy = ('botocore', 'cryptography', 'textual', 'rich', 'yaml', 'docker')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


async def test_a_home_with_a_long_path_still_has_its_socket(home, engine, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(home.path.parent))
    deep = type(home)(path=home.path / ("x" * 120))

    async def factory(_home, _settings):
        return engine

    async with Host.open(deep, Settings(api="127.0.0.1:0"), engine_factory=factory) as host:
        assert len(host.record.socket) <= 100
        async with await AttachedEngine.connect(Path(host.record.socket)) as attached:
            await attached.info()
