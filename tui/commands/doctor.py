"""`homerun doctor`: what this machine offers, and what to do about what is missing."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path

from engine import __version__
from engine.api.claim import read_record
from engine.api.settings import load_settings
from engine.compute.docker.diagnose import diagnose
from engine.compute.process.choose import Interpreter
from engine.compute.process.interpreters import found_interpreters
from engine.model.base import Value
from engine.model.errors import HomerunError
from engine.model.home import Home
from engine.model.plan import RuntimeFamily
from engine.model.settings import DEFAULT_API, DEFAULT_EDGE


class State(StrEnum):
    OK = "ok"
    MISSING = "missing"
    """Homerun works without it, with less."""
    BROKEN = "broken"
    """Homerun cannot work like this."""


class Finding(Value, frozen=True, kw_only=True):
    what: str
    state: State
    found: str
    advice: str = ""


def run(home: Home, *, as_json: bool) -> int:
    """Exit code 1 when something is broken."""
    findings = examine(home)
    if as_json:
        import msgspec

        print(json.dumps(msgspec.to_builtins(findings), indent=2))
    else:
        print("\n".join(render(findings)))
    return 1 if any(finding.state is State.BROKEN for finding in findings) else 0


def render(findings: list[Finding]) -> list[str]:
    """A line for each finding and, below it, what to do."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<8} {finding.what:<{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':<8} {'':<{width}}  -> {finding.advice}")
    return lines


def examine(home: Home) -> list[Finding]:
    with tempfile.TemporaryDirectory() as cache:
        interpreters = found_interpreters(Path(cache) / "interpreters.json")
    return [
        Finding(what="homerun", state=State.OK, found=f"{__version__} on Python {sys.version.split()[0]}"),
        _home(home),
        _interpreters(interpreters, RuntimeFamily.PYTHON, "install one, for instance with `uv python install 3.11`"),
        _interpreters(interpreters, RuntimeFamily.NODEJS, "install Node.js (nvm, fnm or volta do) for Node services"),
        _program("git", "install git: sources in repositories need it"),
        _docker(home),
        _port("edge", DEFAULT_EDGE, home),
        _port("api", DEFAULT_API, home),
        _names(),
    ]


def _home(home: Home) -> Finding:
    folder = home.path
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding(
            what="data folder",
            state=State.BROKEN,
            found=f"{home.path} cannot be written",
            advice="make it writable, or choose another with --home or HOMERUN_HOME",
        )
    free_gb = shutil.disk_usage(folder).free / 1e9
    state = State.OK if free_gb >= 1 else State.MISSING
    return Finding(
        what="data folder",
        state=state,
        found=f"{home.path} ({free_gb:.1f} GB free)",
        advice="" if state is State.OK else "free some space: builds need room",
    )


def _interpreters(interpreters: tuple[Interpreter, ...], family: RuntimeFamily, advice: str) -> Finding:
    found = [interpreter for interpreter in interpreters if interpreter.family is family]
    versions = ", ".join(dict.fromkeys(interpreter.version for interpreter in found))
    state = State.OK if found else State.MISSING
    return Finding(what=family.value, state=state, found=versions or "none", advice="" if found else advice)


def _program(name: str, advice: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(what=name, state=State.MISSING, found="not on PATH", advice=advice)
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)
    version = (answer.stdout or answer.stderr).strip().splitlines()[:1]
    return Finding(what=name, state=State.OK, found=version[0] if version else path)


def _docker(home: Home) -> Finding:
    """Asks the engine itself: the command alone says nothing about one."""
    try:
        docker_host = load_settings(home).docker_host
    except HomerunError:  # said when Homerun is started
        docker_host = ""
    found = diagnose(docker_host, os.environ)
    if not found.found:
        without = "Services from repositories run without it, as plain processes; those from images do not."
        advice = " ".join(filter(None, (found.advice, without)))
        return Finding(what="docker", state=State.MISSING, found=found.problem, advice=advice)
    notes = f"; {', '.join(found.notes)}" if found.notes else ""
    return Finding(
        what="docker",
        state=State.OK,
        found=f"{found.name} {found.version} (API {found.api_version}) at {found.address}{notes}",
    )


def _port(what: str, address: str, home: Home) -> Finding:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            if read_record(home) is not None or home.edge_record.exists():
                return Finding(what=f"{what} port", state=State.OK, found=f"{address} is in use, probably by Homerun")
            return Finding(
                what=f"{what} port",
                state=State.MISSING,
                found=f"{address} is taken by another program",
                advice=f"Homerun takes a free one; choose your own with --{what} HOST:PORT",
            )
    return Finding(what=f"{what} port", state=State.OK, found=f"{address} is free")


def _names() -> Finding:
    name = "check.us-east-1.homerun.localhost"
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, 80)}
    except OSError:
        found = set()
    if found & {"127.0.0.1", "::1"}:
        return Finding(what="names", state=State.OK, found="*.localhost resolves to this machine")
    return Finding(
        what="names",
        state=State.MISSING,
        found="*.localhost does not resolve here",
        advice="browsers and curl resolve it by themselves; for other programs send the name as the Host header",
    )
