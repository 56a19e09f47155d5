"""Virtual environments from a template."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine.compute.process.choose import Interpreter, parse_version
from engine.compute.process.venv import compile_template, make_venv, template_folder
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import RuntimeFamily

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

PYTHON = Interpreter(
    family=RuntimeFamily.PYTHON,
    executable=str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"),
    version=".".join(map(str, sys.version_info[:3])),
)


def ask(python: Path, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


async def test_a_new_environment_has_its_own_python_and_pip(tmp_path):
    """Two of them, from one template, know nothing of each other."""
    for name in ("one", "two"):
        make_venv(tmp_path / "cache", PYTHON, tmp_path / name, also_named="python3.99")
        bin_folder = tmp_path / name / "bin"
        assert ask(bin_folder / "python", "import sys; print(sys.prefix)") == str(tmp_path / name)
        assert ask(bin_folder / "python3.99", "import pip; print(pip.__file__)").startswith(str(tmp_path / name))
        pip = (bin_folder / "pip").read_text()
        assert str(bin_folder / "python3") in pip
        assert "cache" not in pip

    (tmp_path / "one/lib/extra").touch()
    assert not (tmp_path / "two/lib/extra").exists()
    assert len(list((tmp_path / "cache/venvs").glob("*/venv"))) == 1


def test_pip_leaves_nothing_behind_when_it_is_taken_out(tmp_path):
    """`pip install --upgrade pip` does that; a folder of the old one would look like a second, broken pip."""
    make_venv(tmp_path / "cache", PYTHON, tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip"], check=True, capture_output=True)

    assert not [*tmp_path.glob("venv/lib/python*/site-packages/pip*")]


async def test_two_first_builds_at_once_share_one_template(tmp_path):
    await asyncio.gather(
        *(asyncio.to_thread(make_venv, tmp_path / "cache", PYTHON, tmp_path / name) for name in ("one", "two", "three"))
    )

    for name in ("one", "two", "three"):
        assert (tmp_path / name / "bin/pip").exists()
        assert (tmp_path / name / "pyvenv.cfg").exists()


async def test_a_template_that_was_interrupted_is_made_anew(tmp_path):
    """The engine was killed while it made one."""
    template = template_folder(tmp_path / "cache", PYTHON)
    (template / "venv/bin").mkdir(parents=True)
    make_venv(tmp_path / "cache", PYTHON, tmp_path / "one")

    assert (tmp_path / "one/bin/python").exists()


@pytest.mark.slow
async def test_the_template_is_compiled_for_later_clones(tmp_path):
    make_venv(tmp_path / "cache", PYTHON, tmp_path / "one")
    await compile_template(tmp_path / "cache", PYTHON)
    make_venv(tmp_path / "cache", PYTHON, tmp_path / "two")

    assert not list((tmp_path / "one").rglob("pip/__pycache__/__main__*.pyc"))
    assert list((tmp_path / "two").rglob("pip/__pycache__/__main__*.pyc"))


def test_an_interpreter_that_cannot_make_one_is_a_runtime_failure(tmp_path):
    broken = tmp_path / "lib/bin/python3"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\necho 'ensurepip is not available'\nexit 1\n")
    broken.chmod(0o755)
    interpreter = Interpreter(family=RuntimeFamily.PYTHON, executable=str(broken), version="3.11.7")
    with pytest.raises(DeployError) as caught:
        make_venv(tmp_path / "cache", interpreter, tmp_path / "one")

    assert caught.value.failure.kind is FailureKind.RUNTIME
    assert caught.value.failure.evidence == ("ensurepip is not available",)


@pytest.mark.slow
async def test_the_oldest_and_the_newest_python_here_get_a_working_pip(tmp_path, compute):
    """From 3.6 on."""
    pythons = [i for i in compute.found_interpreters() if i.family is RuntimeFamily.PYTHON]
    pythons.sort(key=lambda interpreter: parse_version(interpreter.version))
    for interpreter in {pythons[0], pythons[-1]}:
        venv = tmp_path / interpreter.version
        make_venv(tmp_path / "cache", interpreter, venv)
        said = subprocess.run([venv / "bin/pip", "--version"], capture_output=True, text=True, check=True).stdout
        assert str(venv) in said, interpreter
