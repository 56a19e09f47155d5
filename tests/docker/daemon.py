"""A container engine of a test's own, which it may stop and start."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import docker
import pytest


class Daemon:
    """dockerd with its data, its bridge and its socket; needs root. `clean_up` leaves nothing of it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hr-"))  # paths of sockets must be short
        self.address = f"unix://{self._folder}/docker.sock"
        self._bridge = f"hr{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Skips the test where there can be no such engine."""
        if os.geteuid() != 0:
            pytest.skip("an engine of its own needs root")
        if not shutil.which("dockerd") or not shutil.which("ip"):
            pytest.skip("dockerd or ip is not on this machine")
        for command in (
            ["ip", "link", "add", self._bridge, "type", "bridge"],
            ["ip", "addr", "add", f"172.29.{os.getpid() % 250}.1/24", "dev", self._bridge],
            ["ip", "link", "set", self._bridge, "up"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no bridge can be made here: {done.stderr.strip()}")

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    *("--data-root", self._folder / "data", "--exec-root", self._folder / "exec"),
                    *("--host", self.address, "--pidfile", self._folder / "pid", "--bridge", self._bridge),
                    # The rules of the machine's own engine are left alone.
                    *("--iptables=false", "--ip-masq=false"),
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            assert self._process.poll() is None, self._said()
            assert time.monotonic() < deadline, self._said()
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.connect(self.address.removeprefix("unix://"))
                probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                if b"200 OK" in probe.recv(1000):
                    return
            time.sleep(0.05)

    def stop(self) -> None:
        """As on a shutdown: what runs in it ends, too."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def client(self) -> docker.DockerClient:
        return docker.DockerClient(base_url=self.address, version="1.41")

    def clean_up(self) -> None:
        self.stop()
        subprocess.run(["ip", "link", "delete", self._bridge], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _said(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]
