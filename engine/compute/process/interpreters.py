"""The Python and Node.js interpreters on this machine: where they are looked for, and which of them really work."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from engine.compute.files import write_whole
from engine.compute.process.choose import Interpreter, parse_version
from engine.model.plan import Runtime, RuntimeFamily

_PYTHON_NAME = re.compile(r"python3(\.\d+)?")
_VERSION = re.compile(r"(\d+\.\d+(?:\.\d+)?)")
_COMMON = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin")
_PROBE_TIMEOUT_S = 10.0
_PROBE = """
import sys, os
lib = os.path.dirname(os.__file__)
print(
    "%d.%d.%d" % sys.version_info[:3],
    sys.version_info[3],
    sys.implementation.name,
    "t" in getattr(sys, "abiflags", ""),
    all(os.path.exists(os.path.join(lib, name, "__init__.py")) for name in ("venv", "ensurepip")),
)
"""


def found_interpreters(
    cache: Path,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
    *,
    likely_for: Runtime | None = None,
) -> tuple[Interpreter, ...]:
    """Every usable interpreter, in the order in which they were found: PATH, version managers, common folders.

    Runs each one that is not in the file `cache` yet (about 20 ms apiece, several at a time). `likely_for` leaves out
    those that, by their path, will not be the runtime's. Blocks.
    """
    environ = os.environ if environ is None else environ
    candidates = [
        candidate
        for candidate in _candidates(environ, home or Path(environ.get("HOME") or Path.home()))
        if likely_for is None or _is_likely(*candidate, likely_for)
    ]
    known = _read_cache(cache)
    stamps = {executable: _stamp(executable) for _, executable in candidates}
    unknown = [(family, exe) for family, exe in candidates if known.get(stamps[exe]) is None]
    if unknown:
        with ThreadPoolExecutor(max_workers=4) as pool:
            versions = pool.map(lambda one: _probe(*one), unknown)
            known |= {stamps[exe]: version for (_, exe), version in zip(unknown, versions, strict=True)}
        _write_cache(cache, known)
    return tuple(
        Interpreter(family=family, executable=exe, version=version)
        for family, exe in candidates
        if (version := known[stamps[exe]])
    )


def _candidates(environ: Mapping[str, str], home: Path) -> Iterator[tuple[RuntimeFamily, str]]:
    """Executables, each once. A virtual environment's python stands for the one it was made from."""
    seen: set[tuple[RuntimeFamily, str]] = set()
    for family, path in (*_pythons(environ, home), *_nodes(environ, home)):
        real = os.path.realpath(path)
        stem = "python" if family is RuntimeFamily.PYTHON else "node"
        if (family, real) in seen or not Path(real).name.startswith(stem) or not os.access(real, os.X_OK):
            continue  # the launchers of version managers have names of their own
        seen.add((family, real))
        yield family, real if (path.parent.parent / "pyvenv.cfg").exists() else os.fspath(path)


def _pythons(environ: Mapping[str, str], home: Path) -> Iterator[tuple[RuntimeFamily, Path]]:
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    managed = (
        *_matches(pyenv, "versions/*/bin/python3"),
        *_matches(Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python"), "*/bin/python3"),
        *_matches(data / "mise/installs/python", "*/bin/python3"),
        *_matches(home / ".asdf/installs/python", "*/bin/python3"),
        *_matches(Path("/Library/Frameworks/Python.framework/Versions"), "3.*/bin/python3"),
    )
    on_path, common = (
        [
            folder / name
            for folder in folders
            if folder != pyenv / "shims"  # they start whatever version is selected, or fail
            for name in sorted(_names(folder))
            if _PYTHON_NAME.fullmatch(name)
        ]
        for folders in (_path_folders(environ), [Path(folder) for folder in _COMMON])
    )
    for path in (*on_path, *managed, *common):
        yield RuntimeFamily.PYTHON, path


def _nodes(environ: Mapping[str, str], home: Path) -> Iterator[tuple[RuntimeFamily, Path]]:
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    on_path = [folder / "node" for folder in _path_folders(environ) if (folder / "node").exists()]
    managed = (
        *_matches(Path(environ.get("NVM_DIR") or home / ".nvm"), "versions/node/*/bin/node"),
        *_matches(Path(environ.get("FNM_DIR") or data / "fnm"), "node-versions/*/installation/bin/node"),
        *_matches(Path(environ.get("VOLTA_HOME") or home / ".volta"), "tools/image/node/*/bin/node"),
        *_matches(data / "mise/installs/node", "*/bin/node"),
        *_matches(home / ".asdf/installs/nodejs", "*/bin/node"),
        *_matches(Path("/opt/homebrew/opt"), "node*/bin/node"),
    )
    for path in (*on_path, *managed, *(Path(folder) / "node" for folder in _COMMON)):
        if path.exists():
            yield RuntimeFamily.NODEJS, path


def _is_likely(family: RuntimeFamily, executable: str, runtime: Runtime) -> bool:
    """Whether the version in the path, if there is one, goes with one that the runtime wants."""
    if family is not runtime.family:
        return False
    match = _VERSION.search(executable) or _VERSION.search(os.path.realpath(executable))
    hint = parse_version(match.group(1)) if match else ()
    wanted = map(parse_version, (*runtime.accepts, *filter(None, [runtime.locked])))
    return any(hint[: len(version)] == version[: len(hint)] for version in wanted)


def _path_folders(environ: Mapping[str, str]) -> list[Path]:
    return [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder.startswith("/")]


def _matches(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _probe(family: RuntimeFamily, executable: str) -> str:
    """The interpreter's version, "" where it cannot serve."""
    arguments = ["-I", "-S", "-c", _PROBE] if family is RuntimeFamily.PYTHON else ["--version"]
    try:
        done = subprocess.run(
            [executable, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": os.defpath},
            timeout=_PROBE_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    answer = done.stdout.decode(errors="replace").strip()
    if family is RuntimeFamily.NODEJS:
        return answer[1:] if re.fullmatch(r"v\d+\.\d+\.\d+", answer) else ""
    version, _, rest = answer.partition(" ")
    return version if rest == "final cpython False True" else ""


def _stamp(executable: str) -> str:
    """Names one state of an interpreter: a changed file is asked again."""
    real = Path(os.path.realpath(executable))
    info = real.stat()
    return f"{real}:{info.st_mtime_ns}:{info.st_size}"


def _read_cache(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _write_cache(path: Path, known: Mapping[str, str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, msgspec.json.encode(known))
    except OSError:
        return  # a cache that cannot be kept costs a moment next time
