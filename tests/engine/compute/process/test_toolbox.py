"""Stand-ins on PATH in a build."""

import os
import shutil
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


@pytest.fixture
def program(tmp_path):
    """Put a shell script on PATH, after the stand-ins."""

    def program(name: str, script: str) -> None:
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    return program


def test_n_leaves_the_machines_node_as_it_is(sh, program):
    program("node", "echo v20.1.0")
    program("n", "echo changed the machine")

    assert sh("n 14.18.3").startswith("[AppRunner] Warning: 'n 14.18.3' does nothing here: Node.js v20.1.0 stays.")


@pytest.mark.parametrize("name", ["yarn", "pnpm"])
def test_a_package_manager_that_is_there_is_used(sh, program, name):
    program(name, 'echo "$0 $2"')
    program("npm", "exit 1")

    assert sh(f"{name} run 'a b'").endswith(f"bin/{name} a b\n")


@pytest.mark.parametrize(("name", "version"), [("yarn", "yarn@1"), ("pnpm", "pnpm@10")])
def test_a_package_manager_that_is_not_there_is_installed_into_the_version(sh, program, tmp_path, name, version):
    folder = tmp_path / "a version/bin"
    made = f"{folder}/{name}"
    program("npm", f'echo "npm $*"; "{shutil.which("cp")}" "{tmp_path}/made" "{made}"')
    program("../made", f'echo "{name} by npm: $*"')
    folder.mkdir(parents=True)
    # Only what is made here is on PATH: this machine may have the package manager.
    line = f"PATH=${{PATH%%:/*bin:*}}:'{tmp_path}/bin:{folder}'; {name} install --frozen-lockfile; {name} --version"
    out = sh(line, npm_config_prefix=str(folder.parent)).splitlines()

    assert out[0].startswith(f"[AppRunner] '{name}' is not on this machine")
    assert out[1].startswith("npm install --global")
    assert out[1].endswith(f" {version}")
    assert out[2:] == [f"{name} by npm: install --frozen-lockfile", f"{name} by npm: --version"]


@pytest.mark.parametrize("name", ["yarn", "pnpm"])
def test_without_npm_a_package_manager_is_just_not_found(sh, name, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    line = f'PATH="${{PATH%%:*}}:{bare}"; {name} install 2>&1 || echo "ended with $?"'

    assert sh(line) == f"{name}: command not found\nended with 127\n"


def test_stand_ins_are_made_once(tmp_path):
    first = ensure_toolbox(tmp_path, with_pip=False)
    stamp = (first / "yum").stat().st_mtime_ns

    assert ensure_toolbox(tmp_path, with_pip=False) == first
    assert (first / "yum").stat().st_mtime_ns == stamp
    assert not (first / "pip").exists()
    assert ensure_toolbox(tmp_path, with_pip=True) != first
