"""When dependencies may be taken over: the key changes with all that decides them and with nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.build.dependency_key import MAX_DEPTH, dependency_key, is_dependency_file
from engine.build.runtimes import runtime_of
from engine.model.plan import BuildPlan, StartCommand
from engine.model.service import ApiRuntime

PLAN = BuildPlan(
    runtime=runtime_of(ApiRuntime.PYTHON_311),
    source_directory="server",
    pre_build=("a",),
    build=("pip3 install -r ./deps.txt", "sh tools/build.sh"),
    build_env={"A": "b", "C": "d"},
    start=StartCommand(text="x", argv=("x",), shell=False),
)
FILES = {"requirements.txt": b"flask", "package.json": b"{}"}
KEY = dependency_key(PLAN, FILES, "3.11.7")


def test_a_key_is_stable_whatever_the_order():
    assert len(KEY) == 64
    assert dependency_key(PLAN, dict(reversed(FILES.items())), "3.11.7") == KEY
    assert dependency_key(replace(PLAN, build_env={"C": "d", "A": "b"}), FILES, "3.11.7") == KEY


@pytest.mark.parametrize(
    "change",
    [
        {"runtime": runtime_of(ApiRuntime.PYTHON_3)},
        {"source_directory": ""},
        {"pre_build": ()},
        {"build": ("pip3 install -r ./deps.txt",)},
        {"pre_build": (), "build": ("a", *PLAN.build)},
        {"pre_run": ("pip3 install x",)},
        {"build_env": {"A": "b"}},
    ],
)
def test_what_decides_dependencies_changes_the_key(change):
    assert dependency_key(replace(PLAN, **change), FILES, "3.11.7") != KEY


@pytest.mark.parametrize(
    "change",
    [
        {"start": StartCommand(text="y", argv=("y",), shell=False)},
        {"port": 1},
        {"run_env": {"A": "b"}},
        {"post_build": ("x",)},
        {"notices": ("x",)},
    ],
)
def test_what_only_concerns_the_running_application_does_not(change):
    assert dependency_key(replace(PLAN, **change), FILES, "3.11.7") == KEY


@pytest.mark.parametrize(
    ("files", "version"),
    [
        (FILES, "3.11.8"),
        (FILES | {"requirements.txt": b"flask2"}, "3.11.7"),
        ({"requirements.txt": b"flask"}, "3.11.7"),
        ({"a/requirements.txt": b"flask", "package.json": b"{}"}, "3.11.7"),
        ({"requirements.txt": b"{}", "package.json": b"flask"}, "3.11.7"),
    ],
)
def test_files_and_interpreter_change_the_key(files, version):
    assert dependency_key(PLAN, files, version) != KEY


PAIRS = st.dictionaries(st.text(max_size=3), st.binary(max_size=3), max_size=3)


@given(PAIRS, PAIRS)
def test_keys_are_equal_only_for_equal_files(one: dict[str, bytes], other: dict[str, bytes]):
    def key(files: dict[str, Any]) -> str:
        return dependency_key(PLAN, files, "3.11.7")

    assert (key(one) == key(other)) == (one == other)


@pytest.mark.parametrize(
    "path",
    [
        "requirements.txt",
        "requirements-dev.txt",
        "dev-requirements.txt",
        "requirements/prod.txt",
        "constraints.txt",
        "a/b/pyproject.toml",
        "setup.py",
        "Pipfile.lock",
        "uv.lock",
        "web/package.json",
        "web/package-lock.json",
        "yarn.lock",
        ".npmrc",
        ".python-version",
        "prisma/schema.prisma",
        "patches/left-pad+1.0.patch",
        "X.csproj",
    ],
)
def test_files_that_decide_dependencies(path):
    assert is_dependency_file(path)


@pytest.mark.parametrize(
    "path",
    [
        "app.py",
        "README.txt",
        "node_modules/x/package.json",
        "a/node_modules/x/package.json",
        ".git/package.json",
        "venv/lib/setup.py",
        ".venv/pyproject.toml",
        "deps.txt",
        "a/" * (MAX_DEPTH + 1) + "package.json",
    ],
)
def test_files_that_do_not(path):
    assert not is_dependency_file(path)


def test_files_that_the_commands_name_decide_too():
    for path in ("server/deps.txt", "server/tools/build.sh"):
        assert is_dependency_file(path, PLAN)
        assert not is_dependency_file(path)
    assert not is_dependency_file("server/app.py", PLAN)
    assert not is_dependency_file("server/node_modules/deps.txt", PLAN)
