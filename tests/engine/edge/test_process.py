"""The edge as a process of its own: what it writes, how it ends, what it survives."""

import asyncio
import json
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from engine.edge.process import EXIT_ADDRESS_IN_USE, EXIT_FAILED, EXIT_USAGE
from engine.edge.table import Hello, Report, RoutingTable, Stop
from engine.edge.wire import frame, to_engine

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

ROOT = Path(__file__).parents[3]


class Running:
    def __init__(self, folder: Path, listen: str = "127.0.0.1:0") -> None:
        self.control = folder / "run" / "edge.sock"
        self.record = folder / "edge.json"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "engine.edge", "--listen", listen),
                *("--control", str(self.control), "--record", str(self.record)),
            ],
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def wait_ready(self) -> dict:
        deadline = monotonic() + 10
        while not self.record.exists():
            assert self.process.poll() is None, self.process.stderr.read()
            assert monotonic() < deadline
            sleep(0.005)
        return json.loads(self.record.read_bytes())

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def start(tmp_path):
    started = []

    def start(listen: str = "127.0.0.1:0", name: str = "home") -> Running:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        started.append(Running(folder, listen))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def test_the_record_is_true_and_everything_is_private(start):
    running = start()
    record = running.wait_ready()
    assert record["pid"] == running.process.pid
    assert record["started_at"] == pytest.approx(psutil.Process(record["pid"]).create_time(), abs=0.011)
    assert record["control"] == str(running.control)
    host, port = record["address"].split(":")
    socket.create_connection((host, int(port))).close()
    assert stat.S_IMODE(running.control.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.control.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(running.record.stat().st_mode) == 0o600


def test_sighup_and_sigint_are_ignored_and_sigterm_ends_it_cleanly(start):
    running = start()
    running.wait_ready()
    running.process.send_signal(signal.SIGHUP)
    running.process.send_signal(signal.SIGINT)
    sleep(0.05)
    assert running.process.poll() is None
    running.process.terminate()
    code, out, err = running.end()
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    assert not running.record.exists()
    assert not running.control.exists()


def test_a_taken_port_is_told_apart_from_other_failures(start):
    taken = start()
    address = taken.wait_ready()["address"]
    second = start(address, "other")
    code, _, err = second.end()
    assert code == EXIT_ADDRESS_IN_USE
    assert f"cannot listen on {address}" in err
    assert "Traceback" not in err
    assert not second.record.exists()


def test_two_edges_cannot_share_a_control_socket(start):
    first = start()
    first.wait_ready()
    before = first.record.read_bytes()
    code, _, err = start().end()
    assert code == EXIT_FAILED
    assert "Another edge is in charge" in err
    assert first.record.read_bytes() == before
    assert first.control.exists()


def test_a_socket_left_behind_by_a_killed_edge_is_no_obstacle(start):
    first = start()
    first.wait_ready()
    first.process.kill()
    first.end()
    assert first.control.exists()
    first.record.unlink()
    second = start()
    assert second.wait_ready()["pid"] == second.process.pid


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "example.com:80", "127.0.0.1"])
def test_it_listens_on_loopback_only(start, listen):
    code, _, err = start(listen).end()
    assert code == EXIT_USAGE
    assert "Traceback" not in err


def test_only_light_modules_are_imported():
    """A quick start, and nothing of the engine above it."""
    code = "import sys, engine.edge.process; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    modules = {name for name in out.stdout.decode().split() if name not in sys.stdlib_module_names}
    modules = {name for name in modules if "cython" not in name and not name.startswith("_")}
    assert modules <= {"engine", "uvloop", "httptools", "msgspec", "typing_extensions"}


async def converse(running: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Hello]:
    reader, writer = await asyncio.open_unix_connection(str(running.control))
    hello = await receive(reader)
    return reader, writer, hello


async def receive_all(reader: asyncio.StreamReader) -> None:
    while True:
        await receive(reader)


async def receive(reader: asyncio.StreamReader):
    async with asyncio.timeout(5):
        return to_engine(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))


async def test_the_control_socket_says_hello_acknowledges_at_once_and_reports_four_times_a_second(start):
    running = start()
    record = running.wait_ready()
    reader, writer, hello = await converse(running)
    assert hello == Hello(pid=record["pid"], address=record["address"], table_version=0)
    writer.write(frame(RoutingTable(version=7, routes=())))
    began = monotonic()
    reports = [await receive(reader) for _ in range(5)]
    assert any(report.table_version == 7 for report in reports[:2])
    assert 0.5 < monotonic() - began < 2.5
    assert all(isinstance(report, Report) for report in reports)
    writer.close()


async def test_a_newer_engine_takes_over_and_nonsense_is_shown_the_door(start):
    running = start()
    running.wait_ready()
    first, first_writer, _ = await converse(running)
    second, second_writer, hello = await converse(running)
    with pytest.raises(asyncio.IncompleteReadError):
        await receive_all(first)
    second_writer.write(b"\xff\xff\xff\xff")
    with pytest.raises(asyncio.IncompleteReadError):
        await receive_all(second)
    _, third_writer, again = await converse(running)
    assert again == hello
    for writer in (first_writer, second_writer, third_writer):
        writer.close()


async def test_a_stop_message_ends_it(start):
    running = start()
    running.wait_ready()
    _, writer, _ = await converse(running)
    writer.write(frame(Stop(grace_s=0.1)))
    code, _, _ = await asyncio.to_thread(running.end)
    assert code == 0
    assert not running.control.exists()
    writer.close()


def test_a_home_that_cannot_be_written_is_one_sentence(start, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "run").write_text("a file where the folder should be")
    code, _, err = start().end()
    assert code == EXIT_FAILED
    assert "The edge cannot start" in err
    assert "Traceback" not in err
