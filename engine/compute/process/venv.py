"""Virtual environments in milliseconds: a template per interpreter, made once, and clones of it.

`python -m venv` spends seconds in installing pip; here the interpreter's own bundled wheels are unpacked instead.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.compute.process.choose import Interpreter, parse_version
from engine.compute.process.clone import clone_tree, shebang
from engine.model.errors import DeployError, FailureKind

_MAKE_TIMEOUT_S = 120.0
_COMPLETE = "complete"
_DISTRIBUTION_WHEELS = Path("/usr/share/python-wheels")  # Debian, Fedora: taken out of ensurepip
_PIP_SCRIPT = """
import runpy, sys
sys.exit(runpy.run_module("pip", run_name="__main__", alter_sys=True))
"""


def template_folder(cache: Path, interpreter: Interpreter) -> Path:
    """Where the interpreter's template is. Its scripts hold its path, so another path is another template."""
    real = Path(os.path.realpath(interpreter.executable))
    folder = Path(os.path.realpath(cache)) / "venvs"
    stamp = f"{folder}:{interpreter.executable}:{real}:{interpreter.version}:{real.stat().st_mtime_ns}"
    return folder / f"{interpreter.version}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"


def make_venv(cache: Path, interpreter: Interpreter, target: Path, *, also_named: str = "") -> None:
    """A new virtual environment at `target`, with pip (and setuptools, where Python still ships it).

    `also_named` is a further name that starts its python ("python3.11"). Blocks for about 50 ms, the first time for
    an interpreter about 250 ms. Raises DeployError of kind RUNTIME, or OSError.
    """
    template = template_folder(cache, interpreter)
    with _held(template.with_name(f"{template.name}.lock")):
        if not (template / _COMPLETE).exists():
            try:
                _make_template(template, interpreter)
            except BaseException:
                shutil.rmtree(template, ignore_errors=True)
                raise
    clone_tree(template / "venv", target, share=True)
    if also_named and not (target / "bin" / also_named).exists():
        (target / "bin" / also_named).symlink_to("python3")


async def compile_template(cache: Path, interpreter: Interpreter) -> None:
    """Compile pip in the template, so that later clones start it faster. Ends early, harmlessly, when cancelled."""
    template = template_folder(cache, interpreter)
    done = template / "compiled"
    if done.exists():
        return
    process = await asyncio.create_subprocess_exec(
        template / "venv/bin/python3",
        "-m",
        "compileall",
        "-q",
        template / "venv/lib",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath},
    )
    try:
        await process.wait()
        await asyncio.to_thread(done.touch)
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    """Two builds that need the same template first must not make it at the same time. Blocks."""
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_template(template: Path, interpreter: Interpreter) -> None:
    shutil.rmtree(template, ignore_errors=True)
    template.mkdir(parents=True, mode=0o700)
    venv = template / "venv"
    wheels = _bundled_wheels(interpreter)
    _run_venv(interpreter, venv, *(["--without-pip"] if wheels else []))
    if wheels:
        (site,) = venv.glob("lib/python3*/site-packages")
        for wheel in wheels:
            _unpack(wheel, site)
        python = venv / "bin" / "python3"
        line = ".".join(interpreter.version.split(".")[:2])
        for name in ("pip", "pip3", f"pip{line}"):
            script = venv / "bin" / name
            script.write_text(shebang(os.fspath(python)) + _PIP_SCRIPT, encoding="utf-8")
            script.chmod(0o755)
    (template / _COMPLETE).touch()


def _run_venv(interpreter: Interpreter, venv: Path, *options: str) -> None:
    try:
        subprocess.run(
            [interpreter.executable, "-I", "-m", "venv", *options, venv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath},
            timeout=_MAKE_TIMEOUT_S,
            check=True,
        )
    except subprocess.SubprocessError as error:
        output = getattr(error, "output", None) or b""
        raise DeployError.of(
            FailureKind.RUNTIME,
            f"Python {interpreter.version} ({interpreter.executable}) cannot make a virtual environment.",
            evidence=tuple(output.decode(errors="replace").splitlines()[-20:]),
            hint="Install its venv module (on Debian and Ubuntu: the package python3-venv), then deploy again.",
        ) from error


def _bundled_wheels(interpreter: Interpreter) -> list[Path]:
    """The newest wheel each of pip and setuptools that comes with the interpreter; [] where they are not found."""
    line = parse_version(interpreter.version)[:2]
    prefix = Path(os.path.realpath(interpreter.executable)).parent.parent
    ensurepip = prefix / f"lib/python{line[0]}.{line[1]}/ensurepip"
    folder = ensurepip / "_bundled"
    if prefix == Path("/usr") and ensurepip.is_dir() and not folder.is_dir():
        folder = _DISTRIBUTION_WHEELS
    wheels = sorted(folder.glob("*.whl"), key=lambda path: parse_version(path.name.split("-")[1]))
    newest = {path.name.split("-")[0]: path for path in wheels}
    if "pip" not in newest:
        return []
    wanted = ["pip", "setuptools"] if line < (3, 12) else ["pip"]
    return [newest[name] for name in wanted if name in newest]


def _unpack(wheel: Path, site: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (info,) = site.glob(f"{wheel.name.split('-')[0]}-*.dist-info")
    (info / "INSTALLER").write_text("pip\n", encoding="ascii")
    # What is not on record stays behind when pip replaces itself, and looks like a broken second pip from then on.
    with (info / "RECORD").open("a", encoding="utf-8") as record:
        record.write(f"{info.name}/INSTALLER,,\n")
