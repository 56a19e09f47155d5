"""The engine's hold on real edge processes."""

import asyncio
import gc
import os
import signal
import socket

import psutil
import pytest

from engine.edge.client import EdgeClient
from engine.edge.launch import AddressInUse, EdgeError, is_running
from engine.edge.record import read_record, write_record
from engine.edge.table import Backend, Route, RoutingTable
from engine.model.home import Home

pytestmark = pytest.mark.slow  # real processes, sockets or repositories


@pytest.fixture
async def home(tmp_path):
    """A home whose edge, if any is left, is ended after the test."""
    home = Home(path=tmp_path / "home")
    home.path.mkdir(mode=0o700)
    yield home
    record = read_record(home.edge_record)
    if record is not None and is_running(record.pid, record.started_at):
        os.kill(record.pid, signal.SIGKILL)
        while is_running(record.pid, record.started_at):
            await asyncio.sleep(0.01)


@pytest.fixture
async def app():
    """An application on its own server; `hold` keeps its answers back."""

    class App:
        hold: asyncio.Event | None = None

    async def handle(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if App.hold is not None:
                    await App.hold.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    App.backend = Backend(instance_id="i1", host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    yield App
    server.close()


def table(version: int, *backends: Backend) -> RoutingTable:
    return RoutingTable(version=version, routes=(Route(service_id="s", hosts=("svc",), backends=backends),))


async def ask(address: str) -> bytes:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        data = await reader.read()
    writer.close()
    return data


async def until(condition, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_new_edge_serves_a_table_as_soon_as_it_is_applied_and_stop_ends_it(home, app):
    client = await EdgeClient.start(home, "127.0.0.1:0")
    assert client.table_version == 0
    await client.apply(table(1, app.backend))
    assert client.table_version == 1
    assert (await ask(client.address)).endswith(b"ok")
    pid = client.pid
    assert os.getsid(pid) == pid != os.getsid(0)
    assert set(psutil.Process(pid).environ()) <= {
        *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"),
        "PYTHONPATH",
        "LD_LIBRARY_PATH",
    }
    assert home.edge_log.stat().st_mode & 0o777 == 0o600
    await client.stop()
    assert not is_running(pid)
    assert not home.edge_record.exists()
    with pytest.raises(EdgeError, match="closed"):
        await client.apply(table(2))


async def test_an_edge_serves_on_without_its_engine_and_the_next_one_gets_the_missed_counts(home, app):
    first = await EdgeClient.start(home, "127.0.0.1:0")
    await first.apply(table(3, app.backend))
    address, pid = first.address, first.pid
    await first.close()
    del first
    gc.collect()  # a child left running on purpose warns nobody
    for _ in range(3):
        assert (await ask(address)).endswith(b"ok")
    reports = []
    second = await EdgeClient.start(home, "127.0.0.1:0", on_report=reports.append)
    assert (second.address, second.pid, second.table_version) == (address, pid, 3)
    await until(lambda: sum(sample.requests for report in reports for sample in report.samples) == 3)
    await second.stop()


async def test_an_explicit_address_adopts_only_the_edge_that_has_it(home):
    first = await EdgeClient.start(home, "127.0.0.1:0")
    address, pid = first.address, first.pid
    await first.close()
    same = await EdgeClient.start(home, address.replace("127.0.0.1", "localhost"))
    assert same.pid == pid
    await same.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        other = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(AddressInUse) as refused:
            await EdgeClient.start(home, other)
        assert other in str(refused.value)
        assert is_running(pid), "the old one serves on when the new address is taken"
    moved = await EdgeClient.start(home, other)
    assert (moved.address, moved.pid != pid) == (other, True)
    assert not is_running(pid)
    await moved.stop()


async def test_a_taken_address_is_a_clear_error(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressInUse, match="another program does") as refused:
            await EdgeClient.start(home, listen)
    assert refused.value.listen == listen
    assert read_record(home.edge_record) is None


async def test_a_dead_edge_comes_back_on_its_address_with_its_table(home, app):
    restarts = []
    client = await EdgeClient.start(home, "127.0.0.1:0", on_restart=lambda: restarts.append(1))
    await client.apply(table(1, app.backend))
    address, pid = client.address, client.pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: restarts)
    assert (client.address, client.pid != pid) == (address, True)
    await client.apply(table(2, app.backend))
    assert (await ask(address)).endswith(b"ok")
    await client.stop()


async def test_a_table_applied_while_the_edge_is_away_is_in_force_when_apply_returns(home, app):
    client = await EdgeClient.start(home, "127.0.0.1:0")
    os.kill(client.pid, signal.SIGKILL)
    await client.apply(table(1, app.backend))
    assert (await ask(client.address)).endswith(b"ok")
    await client.stop()


async def test_a_record_of_a_dead_or_another_process_is_not_believed(home):
    client = await EdgeClient.start(home, "127.0.0.1:0")
    record = read_record(home.edge_record)
    await client.stop()
    write_record(home.edge_record, record)
    second = await EdgeClient.start(home, "127.0.0.1:0")
    assert second.pid != record.pid
    await second.stop()
    # a pid that lives, but started at another time: it must not be touched
    write_record(home.edge_record, type(record)(**{**_fields(record), "pid": os.getpid()}))
    third = await EdgeClient.start(home, "127.0.0.1:0")
    assert third.pid not in {record.pid, os.getpid()}
    await third.stop()


def _fields(record) -> dict:
    return {name: getattr(record, name) for name in record.__struct_fields__}


async def test_an_edge_whose_record_is_lost_is_replaced(home):
    first = await EdgeClient.start(home, "127.0.0.1:0")
    pid = first.pid
    await first.close()
    home.edge_record.unlink()
    second = await EdgeClient.start(home, "127.0.0.1:0")
    assert second.pid != pid
    assert not is_running(pid)
    await second.stop()


async def test_an_edge_of_another_protocol_is_replaced(home, monkeypatch):
    first = await EdgeClient.start(home, "127.0.0.1:0")
    pid = first.pid
    await first.close()
    monkeypatch.setattr("engine.edge.client._PROTOCOL", 2)
    second = await EdgeClient.start(home, "127.0.0.1:0")
    assert second.pid != pid
    assert not is_running(pid)
    await second.stop()


async def test_an_edge_that_hangs_is_replaced(home, monkeypatch):
    monkeypatch.setattr("engine.edge.client.HELLO_TIMEOUT_S", 0.2)
    monkeypatch.setattr("engine.edge.launch.KILL_AFTER_S", 0.2)
    first = await EdgeClient.start(home, "127.0.0.1:0")
    pid = first.pid
    await first.close()
    os.kill(pid, signal.SIGSTOP)
    second = await EdgeClient.start(home, "127.0.0.1:0")
    assert second.pid != pid
    assert not is_running(pid)
    await second.stop()


async def test_drained_waits_for_the_last_request_of_an_instance(home, app):
    app.hold = asyncio.Event()
    client = await EdgeClient.start(home, "127.0.0.1:0")
    await client.apply(table(1, app.backend))
    request = asyncio.create_task(ask(client.address))
    await until(lambda: client.in_flight("i1") == 1)
    await client.apply(table(2))
    assert client.in_flight("i1") == 1
    drained = asyncio.create_task(client.drained("i1"))
    await asyncio.sleep(0.3)
    assert not drained.done()
    app.hold.set()
    assert (await request).endswith(b"ok")
    async with asyncio.timeout(2):
        await drained
    await client.stop()


async def test_a_failing_callback_does_not_stop_the_reports(home, caplog):
    calls = []

    def fails(report):
        calls.append(report)
        raise RuntimeError("a bug in the caller")

    client = await EdgeClient.start(home, "127.0.0.1:0", on_report=fails)
    await client.apply(table(1))
    await client.apply(table(2))
    assert len(calls) >= 2
    assert "a bug in the caller" in caplog.text
    await client.stop()


async def test_whoever_waits_is_told_when_the_client_closes(home, app):
    app.hold = asyncio.Event()
    client = await EdgeClient.start(home, "127.0.0.1:0")
    await client.apply(table(1, app.backend))
    request = asyncio.create_task(ask(client.address))
    await until(lambda: client.in_flight("i1") == 1)
    drained = asyncio.create_task(client.drained("i1"))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(EdgeError, match="closed"):
        await drained
    app.hold.set()
    assert (await request).endswith(b"ok")


async def test_a_home_that_cannot_hold_the_log_is_a_clear_error(tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(EdgeError, match="The edge cannot be started"):
        await EdgeClient.start(Home(path=tmp_path / "home"), "127.0.0.1:0")
