"""The contract of `homerun serve` that other tools rely on, and what stop, doctor and credentials do."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_left(homerun):
    yield
    homerun("stop", "--instances")


def edges(home: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "engine.edge" in (process.info["cmdline"] or []) and str(home) in " ".join(process.info["cmdline"])
    ]


def test_the_ready_line_and_a_clean_end(serve, tmp_path):
    process, ready = serve()

    home = tmp_path / "home"
    assert set(ready) == {"ready", "home", "api", "edge", "socket", "pid"}
    assert ready["ready"] is True
    assert ready["home"] == str(home)
    assert ready["pid"] == process.pid
    assert ready["api"].startswith("http://127.0.0.1:")
    assert ready["edge"].startswith("http://127.0.0.1:")
    assert stat.S_IMODE(Path(ready["socket"]).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with urllib.request.urlopen(ready["api"] + "/", timeout=5) as answer:
        assert b"--endpoint-url" in answer.read()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(ready["edge"] + "/", timeout=5)
    assert caught.value.code == 404
    caught.value.close()

    process.send_signal(signal.SIGTERM)
    rest, log = process.communicate(timeout=20)

    assert process.returncode == 0
    assert rest == "", "stdout carries the ready line and nothing else"
    assert "Traceback" not in log
    assert not Path(ready["socket"]).exists()
    assert (home / "logs" / "engine.log").exists()
    assert edges(home) == [], "an edge without any service ends with its engine"


def test_stop_instances_ends_the_edge_too(serve, tmp_path):
    process, _ = serve("--stop-instances")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert process.returncode == 0
    assert edges(tmp_path / "home") == []


def test_a_second_engine_on_the_same_home_is_refused_in_words(serve, homerun):
    process, _ = serve()

    answer = homerun("serve", "--api", "127.0.0.1:0", "--edge", "127.0.0.1:0", check=False)

    assert answer.returncode == 1
    assert answer.stdout == ""
    assert str(process.pid) in answer.stderr
    assert "Traceback" not in answer.stderr


def test_stop_ends_the_engine_and_says_so(serve, homerun):
    process, _ = serve()

    answer = homerun("stop")

    assert f"pid {process.pid}" in answer.stderr
    assert process.wait(10) == 0
    assert "No engine runs" in homerun("stop").stderr


def test_an_address_that_is_taken_is_named(homerun):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for door in ("--api", "--edge"):
            other = {"--api": "--edge", "--edge": "--api"}[door]
            answer = homerun("serve", door, address, other, "127.0.0.1:0", check=False)
            assert answer.returncode == 1
            assert address in answer.stderr
            assert "Traceback" not in answer.stderr


def test_credentials_are_stable_and_private(homerun, tmp_path):
    first, second = json.loads(homerun("credentials").stdout), json.loads(homerun("credentials").stdout)

    assert first == second
    assert first["Version"] == 1
    assert set(first) == {"Version", "AccessKeyId", "SecretAccessKey"}
    (path,) = (tmp_path / "home" / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_doctor_says_what_is_there(homerun):
    text = homerun("doctor").stdout
    found = json.loads(homerun("doctor", "--json").stdout)

    by_name = {finding["what"]: finding for finding in found}
    assert by_name["python"]["state"] == "ok"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in by_name["python"]["found"]
    assert {"homerun", "data folder", "nodejs", "git", "docker", "edge port", "api port", "names"} <= set(by_name)
    assert all(finding["advice"] for finding in found if finding["state"] != "ok")
    assert "data folder" in text


def test_a_wrong_setting_is_named(homerun, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.yaml").write_text("strickt: true\n")

    answer = homerun("serve", check=False)

    assert answer.returncode == 1
    assert "strickt" in answer.stderr
    assert "settings.yaml" in answer.stderr


def test_the_command_itself_is_quick_and_light():
    """`homerun --help` and `serve` load neither the screen nor what only other commands need."""
    script = (
        "import sys\nfrom tui.command import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "import tui.commands.serve\n"
        "heavy = {'textual', 'rich', 'docker', 'botocore', 'cryptography'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)


@pytest.mark.parametrize("command", [(), ("demo",)])
def test_the_screen_without_a_terminal_says_so(homerun, command):
    answer = homerun(*command, check=False)

    assert answer.returncode == 1
    assert answer.stderr == "homerun: The screen needs a terminal. `homerun serve` hosts the engine without one.\n"


@pytest.mark.parametrize("instances", [(), ("--instances",)])
def test_stop_ends_an_engine_that_a_screen_hosts(homerun, tmp_path, instances):
    home = tmp_path / "home"
    terminal, inside = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tui.command", "--home", home, "--api", "127.0.0.1:0", "--edge", "127.0.0.1:0"],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm"},
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    drawn = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the process is gone
            while data := os.read(terminal, 65536):
                drawn.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        deadline = time.monotonic() + 20
        while not (home / "engine.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "ended" in homerun("stop", *instances).stderr
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        reader.join()
        os.close(terminal)
        homerun("stop", "--instances")
    assert b"`homerun stop` ended this engine." in drawn
