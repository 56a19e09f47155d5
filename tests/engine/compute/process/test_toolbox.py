"""Stand-ins on PATH in a build."""

import os
import subprocess

import pytest

from engine.compute.process.toolbox import ensure_toolbox


@pytest.fixture
def sh(tmp_path):
    """Run a line with the stand-ins first on PATH and a `python` that shows its arguments."""
    toolbox = ensure_toolbox(tmp_path / "cache", with_pip=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text('#!/bin/sh\necho "python: $*"\n')
    (tmp_path / "bin/python").chmod(0o755)

    def sh(line: str, **env: str) -> str:
        env = {"PATH": f"{toolbox}:{tmp_path}/bin:{os.defpath}", **env}
        return subprocess.run(["sh", "-ec", line], env=env, capture_output=True, text=True, check=True).stdout

    return sh


@pytest.mark.parametrize(
    ("line", "packages"),
    [
        ("yum install -y gcc libpq-devel", "gcc libpq-devel"),
        ("dnf -y install gcc", "gcc"),
        ("apt-get update && apt-get install -y --no-install-recommends ffmpeg", "ffmpeg"),
        ("apk add --no-cache git", "git"),
        ("sudo -E apt-get install -y curl", "curl"),
        ("sudo -u root yum -y install tar", "tar"),
    ],
)
def test_package_managers_succeed_and_name_what_was_not_installed(sh, line, packages):
    assert f"Not installed: {packages}. " in sh(line)


def test_package_managers_say_so_when_they_do_nothing(sh):
    assert sh("yum clean all") == "[AppRunner] Warning: 'yum clean' does nothing here.\n"


def test_sudo_executes_its_arguments_with_their_environment(sh):
    assert sh("sudo A=1 sh -c 'echo $A $1' x 'two words'") == "1 two words\n"


def test_pip_is_the_python_that_is_first_on_path(sh):
    assert sh("pip install 'a b' c; pip3 --version") == "python: -m pip install a b c\npython: -m pip --version\n"


def test_pip_install_user_goes_where_pythonuserbase_says(sh):
    assert "python: -m pip install x --prefix /app/base" in sh("pip install --user x", PYTHONUSERBASE="/app/base")
    assert "python: -m pip install x\n" in sh("pip install x --user")


def test_stand_ins_are_made_once(tmp_path):
    first = ensure_toolbox(tmp_path, with_pip=False)
    stamp = (first / "yum").stat().st_mtime_ns

    assert ensure_toolbox(tmp_path, with_pip=False) == first
    assert (first / "yum").stat().st_mtime_ns == stamp
    assert not (first / "pip").exists()
    assert ensure_toolbox(tmp_path, with_pip=True) != first
