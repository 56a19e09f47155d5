"""The command as a process, on a home of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def homerun(tmp_path):
    """Run the command to its end, with a home of its own."""

    def run(*arguments: str, check: bool = True, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tui.command", *arguments],
            cwd=ROOT,
            env={**os.environ, "HOMERUN_HOME": str(tmp_path / "home")},
            input=given,
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    return run


@pytest.fixture
def serve(tmp_path):
    """Start `homerun serve` and read its ready line."""
    processes = []

    def start(*more: str):
        process = subprocess.Popen(
            [sys.executable, "-m", "tui.command", "serve", "--home", tmp_path / "home", "--api", "127.0.0.1:0",
             "--edge", "127.0.0.1:0", "--compute", "process", *more],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        processes.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
