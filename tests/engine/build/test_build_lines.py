"""Build commands and the habits that break them, judged by a real sh where that is what counts."""

import os
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.build.build_lines import build_lines


def lines(*commands: str) -> tuple[str, ...]:
    return build_lines(commands, "build.commands.build", strict=False)[0]


def notices(*commands: str) -> tuple[str, ...]:
    return build_lines(commands, "build.commands.build", strict=False)[1]


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "cd x && npm ci",
        "echo $(date) > build.txt",
        "pip install 'a>=1' \"b<2\" c==3 d~=4",
        "pip install x > log.txt",
        "pip install x>log.txt",
        "pip install x 2>1",
        "echo pkg>=1.0",
        "npm ci 'open quote",
        "yum install -y gcc",
        "cd x",
    ],
)
def test_what_needs_nothing_stays(command):
    assert build_lines((command,), "k", strict=False) == ((command,), ())


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (("cd a", "b"), ("cd a && b",)),
        (("x", "cd a/", "b", "c"), ("x", "cd a && b", "cd a && c")),
        (("cd a", "b", "cd ..", "c"), ("cd a && b", "c")),
        (("cd a", "cd b", "c"), ("cd a/b && c",)),
        (("cd a", "cd /app/x", "c"), ("cd /app/x && c",)),
        (("cd a", "b; c"), ("cd a || exit 1; b; c",)),
        (("cd a", "b # c"), ("cd a || exit 1; b # c",)),
        (("cd a", "b#c"), ("cd a && b#c",)),
        (("cd a;", "b && c"), ("cd a && b && c",)),
        (("export A=1", "b"), ("export A=1 && b",)),
        (("cd a", "export A=$B", "b | c"), ("cd a && export A=$B || exit 1; b | c",)),
        (("b", "cd a"), ("b", "cd a")),
        (("cd $DIR", "b"), ("cd $DIR", "b")),
    ],
)
def test_a_lone_cd_or_export_is_carried_into_the_lines_after_it(commands, expected):
    assert lines(*commands) == expected


def test_what_is_carried_is_said():
    first, second = notices("cd a", "export A=1", "b")
    assert first.startswith("build.commands.build command 1: cd holds for the commands after it. App Runner")
    assert second.startswith("build.commands.build command 2: export holds for the commands after it. App Runner")


def test_carried_lines_run_in_the_folder_and_fail_when_it_is_missing(tmp_path):
    (tmp_path / "a").mkdir()

    def run(text: str) -> tuple[int, str]:
        done = subprocess.run(["sh", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    for tail in ("pwd", "pwd; true", "pwd | cat", "false || pwd"):
        (here,) = lines("cd a", tail)
        assert run(here) == (0, f"{tmp_path / 'a'}\n")
        (missing,) = lines("cd none", tail)
        code, out = run(missing)
        assert code != 0
        assert out == ""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("pip install flask>=1.0", "pip install 'flask>=1.0'"),
        ("pip3 install -U a>=1.0 b<2,>=1 c", "pip3 install -U 'a>=1.0' 'b<2,>=1' c"),
        ("python -m pip install uvicorn[standard]>=0.20", "python -m pip install 'uvicorn[standard]>=0.20'"),
        ("cd x && pip --no-cache-dir install a>1 && echo b>1", "cd x && pip --no-cache-dir install 'a>1' && echo b>1"),
        ("uv pip install a<=2.*", "uv pip install 'a<=2.*'"),
    ],
)
def test_a_version_requirement_is_no_redirection(command, expected):
    assert lines(command) == (expected,)
    assert "is put in quotes" in notices(command)[0]


def test_sudo_goes_with_a_notice():
    assert lines("sudo yum install -y gcc") == ("yum install -y gcc",)
    assert notices("sudo x") == ("build.commands.build command 1: sudo is left out. App Runner itself has no sudo.",)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("source venv/bin/activate", ". venv/bin/activate"),
        ("source env.sh && x", ". ./env.sh && x"),
        ('source "$DIR/x"', '. "$DIR/x"'),
        ("echo source x", "echo source x"),
        ("source", "source"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_source_works_in_every_sh(command, expected, strict):
    assert build_lines((command,), "k", strict) == ((expected,), ())


def test_strict_changes_no_meaning():
    commands = ("cd a", "sudo b", "pip install x>=1", "export A=1", "c")
    assert build_lines(commands, "k", strict=True) == (commands, ())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("abc cdpiinstall>=1.0&|;'\"\\()#\n$sudo source", max_size=40), max_size=5))
def test_any_lines_are_taken_and_none_is_lost(commands):
    built, said = build_lines(tuple(commands), "k", strict=False)
    assert len(built) <= len(commands)
    if not said:
        assert len(built) == len(commands)
    assert len(build_lines(tuple(commands), "k", strict=True)[0]) == len(commands)


@pytest.mark.parametrize(
    "command",
    [
        "pip install " + "a>=1 " * 6_000,
        "pip install " + "a" * 30_000 + ">=1",
        "sudo a;" * 4_500,
        "source a;" * 3_500,
        "A=" * 15_000,
        "pip install a" + ",>=1" * 8_000,
    ],
    ids=range(6),
)
def test_long_lines_are_read_quickly(command):
    started = time.process_time()
    lines(command)
    assert time.process_time() - started < 1


def test_source_finds_a_file_beside_it(tmp_path):
    (tmp_path / "env.sh").write_text("A=1\n")
    (line,) = lines("source env.sh && echo $A")
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "1\n"
