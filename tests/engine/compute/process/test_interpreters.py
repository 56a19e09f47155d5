"""Looking for interpreters on a machine made of small scripts."""

from pathlib import Path

import pytest

from engine.compute.process.interpreters import found_interpreters
from engine.model.plan import BuildGeneration, Runtime, RuntimeFamily


def script(path: Path, answer: str, counter: Path | None = None) -> Path:
    """A program that prints `answer`, and leaves a mark each time it is run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f"echo run >> {counter}\n" if counter else ""
    path.write_text(f"#!/bin/sh\n{mark}{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def python(path: Path, version: str, rest: str = "final cpython False True", counter: Path | None = None) -> Path:
    return script(path, f'echo "{version} {rest}"', counter)


@pytest.fixture
def find(tmp_path):
    """Versions found with a PATH of `bin` and a user's home in `tmp_path`, those of this machine left out."""

    def find(family=RuntimeFamily.PYTHON, likely_for=None, **environ: str) -> dict[str, str]:
        env = {"PATH": str(tmp_path / "bin"), **environ}
        found = found_interpreters(tmp_path / "cache.json", env, tmp_path, likely_for=likely_for)
        inside = [i for i in found if i.family is family and i.executable.startswith(str(tmp_path))]
        return {i.version: str(Path(i.executable).relative_to(tmp_path)) for i in inside}

    return find


def test_pythons_come_from_path_and_the_folders_of_version_managers(tmp_path, find):
    python(tmp_path / "bin/python3.12", "3.12.1")
    python(tmp_path / ".pyenv/versions/3.8.18/bin/python3", "3.8.18")
    python(tmp_path / ".local/share/uv/python/cpython-3.11.7-linux/bin/python3", "3.11.7")

    assert find().keys() == {"3.12.1", "3.8.18", "3.11.7"}


def test_nodes_come_from_path_nvm_fnm_and_volta(tmp_path, find):
    script(tmp_path / "bin/node", "echo v20.20.2")
    script(tmp_path / ".nvm/versions/node/v18.1.0/bin/node", "echo v18.1.0")
    script(tmp_path / ".local/share/fnm/node-versions/v16.2.0/installation/bin/node", "echo v16.2.0")
    script(tmp_path / ".volta/tools/image/node/22.3.0/bin/node", "echo v22.3.0")

    assert find(RuntimeFamily.NODEJS).keys() == {"20.20.2", "18.1.0", "16.2.0", "22.3.0"}


def test_one_that_fails_lies_or_lacks_venv_is_left_out(tmp_path, find):
    script(tmp_path / "bin/python3.9", "exit 127")
    python(tmp_path / "bin/python3.10", "3.10.1", "final cpython False False")
    python(tmp_path / "bin/python3.13", "3.13.0", "final cpython True True")
    python(tmp_path / "bin/python3.14", "3.14.0", "candidate cpython False True")
    python(tmp_path / "bin/python3.11", "3.11.1", "final pypy False True")
    script(tmp_path / "bin/node", "echo nonsense")

    assert find() == {}
    assert find(RuntimeFamily.NODEJS) == {}


def test_the_launchers_of_pyenv_are_not_asked(tmp_path, find):
    """They start what is selected somewhere else, or fail."""
    python(tmp_path / ".pyenv/shims/python3", "3.9.9")
    python(tmp_path / ".pyenv/versions/3.9.9/bin/python3", "3.9.9")

    found = find(PATH=f"{tmp_path}/.pyenv/shims:{tmp_path}/bin")
    assert found == {"3.9.9": ".pyenv/versions/3.9.9/bin/python3"}


def test_the_python_of_a_virtual_environment_stands_for_its_base(tmp_path, find):
    base = python(tmp_path / "opt/bin/python3.11", "3.11.7")
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "bin/python3").symlink_to(base)
    (tmp_path / "bin/python3.11").symlink_to(base)

    assert find() == {"3.11.7": "opt/bin/python3.11"}


def test_each_is_run_once_until_it_changes(tmp_path, find):
    counter = tmp_path / "runs"
    python(tmp_path / "bin/python3", "3.11.7", counter=counter)
    assert find().keys() == {"3.11.7"}
    assert find().keys() == {"3.11.7"}
    assert counter.read_text().count("run") == 1

    python(tmp_path / "bin/python3", "3.11.14", counter=counter)
    assert find().keys() == {"3.11.14"}


def test_only_likely_ones_are_run_for_a_runtime(tmp_path, find):
    """A first deployment does not start every interpreter there is."""
    counter = tmp_path / "runs"
    for version in ("3.8.18", "3.11.7", "3.12.1"):
        python(tmp_path / f".pyenv/versions/{version}/bin/python3", version, counter=counter)
    python(tmp_path / "bin/python3", "3.11.9", counter=counter)
    runtime = Runtime(
        name="python311", family=RuntimeFamily.PYTHON, generation=BuildGeneration.REVISED, accepts=("3.11",)
    )

    assert find(likely_for=runtime).keys() == {"3.11.7", "3.11.9"}
    assert counter.read_text().count("run") == 2
    assert find().keys() == {"3.8.18", "3.11.7", "3.11.9", "3.12.1"}
    assert counter.read_text().count("run") == 4


def test_a_cache_that_cannot_be_written_or_read_costs_nothing_but_time(tmp_path, find):
    python(tmp_path / "bin/python3", "3.11.7")
    (tmp_path / "cache.json").mkdir()

    assert find().keys() == {"3.11.7"}
