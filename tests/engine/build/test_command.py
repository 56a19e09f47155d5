"""Start commands with and without a shell, and paths below /app. Shell texts are judged by a real sh."""

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.build.command import relocate_app, relocate_command, relocate_env, start_command, without_sudo
from engine.model.errors import DeployError


@pytest.mark.parametrize(
    ("text", "argv"),
    [
        ("python3 app.py", ("python3", "app.py")),
        ("  npm   start ", ("npm", "start")),
        ("gunicorn 'app:create_app()' -b :8080", ("gunicorn", "app:create_app()", "-b", ":8080")),
        ("gunicorn app:create_app() -b :8080", ("gunicorn", "app:create_app()", "-b", ":8080")),
        ('java -Dx="a b" -jar x.jar', ("java", "-Dx=a b", "-jar", "x.jar")),
        ("uvicorn a:b --forwarded-allow-ips *", ("uvicorn", "a:b", "--forwarded-allow-ips", "*")),
        ("uvicorn a:b --forwarded-allow-ips=*", ("uvicorn", "a:b", "--forwarded-allow-ips=*")),
        ("run --url http://x/?a=1&b=2;c", ("run", "--url", "http://x/?a=1&b=2;c")),
        (".venv/bin/python -m x", (".venv/bin/python", "-m", "x")),
        ("npm start \\", ("npm", "start")),
        ("gunicorn a:b \\\n  --workers 2", ("gunicorn", "a:b", "--workers", "2")),
        ("gunicorn a:b\n  --workers 2\n  -b :1", ("gunicorn", "a:b", "--workers", "2", "-b", ":1")),
        ("npm start x\\\\", ("npm", "start", "x\\")),
        ("# the server\nnpm start", ("npm", "start")),
        ("python3 -c 'import x;\nx.y()'", ("python3", "-c", "import x;\nx.y()")),
        ("node app.js 'a && b'", ("node", "app.js", "a && b")),
        ("echo '$PORT' \"it's\"", ("echo", "$PORT", "it's")),
        ('echo "price $ a$"', ("echo", "price $ a$")),
        ("echo price$ a$", ("echo", "price$", "a$")),
    ],
)
def test_a_plain_command_needs_no_shell(text, argv):
    command, notices = start_command(text, strict=False)
    assert (command.argv, command.shell, notices) == (argv, False, ())


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("cd x && npm start", "&&"),
        ("a || b", "||"),
        ("a | b", "|"),
        ("a; b", ";"),
        ("a > log", ">"),
        ("a 2>&1", ">"),
        ("a < in", "<"),
        ("a &", "&"),
        ("serve -p $PORT", "$PORT"),
        ('serve -p "${PORT}"', "${PORT}"),
        ("serve `cat x`", "`"),
        ("serve $(cat x)", "$("),
        ("PORT=3000 npm start", "PORT=… in front"),
        ("java -jar target/*.jar", "target/*.jar"),
        ("~/bin/serve", "~"),
        ("exec gunicorn a:b", "exec"),
        ("(cd x; y)", "("),
        ("a\nb", "its several lines"),
        ("npm start # it's a comment", "its comment"),
        ("serve http://x:$PORT", "$PORT"),
    ],
)
def test_shell_syntax_goes_to_a_shell_with_a_notice(text, sign):
    command, notices = start_command(text, strict=False)
    assert command.shell
    assert command.argv == ()
    assert len(notices) == 1
    assert sign in notices[0]
    assert "App Runner itself uses no shell" in notices[0]


def test_sh_dash_c_works_and_says_what_app_runner_does_with_it():
    command, notices = start_command('sh -c "cd x && npm start"', strict=False)
    assert (command.argv, command.shell) == (("sh", "-c", "cd x && npm start"), False)
    assert "sh -c would get the first word only" in notices[0]


def test_strict_splits_at_blanks_and_knows_no_shell():
    """`sh -c "a b"` breaks as it does on App Runner: sh gets the single word `"a`."""
    for text in ('sh -c "a b"', "a && b", "PORT=1 x $PORT", "x 'open", "a\nb"):
        command, notices = start_command(text, strict=True)
        assert (command.argv, command.shell, notices) == (tuple(text.split()), False, ())


def test_sudo_is_left_out_with_a_notice():
    command, notices = start_command("sudo -E node app.js", strict=False)
    assert command.argv == ("node", "app.js")
    assert "sudo" in notices[0]


@pytest.mark.parametrize(
    "text", ["", "   ", "\\", "# only a comment", pytest.param("x" * 40_000, id="long"), "a \x00", "'open", 'x "open']
)
def test_what_is_no_command_is_refused(text, refused):
    failure = refused(lambda: start_command(text, strict=False))
    assert failure.message.startswith("The start command cannot be read: ")


def sh(text: str, cwd: Path | None = None, **env: str) -> str:
    return subprocess.run(
        ["sh", "-c", text],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **env},
    ).stdout


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("cd . && echo $PORT app:create() *", "80 app:create() *\n"),
        ("echo --ips=* $PORT", "--ips=* 80\n"),
        ("echo http://x/?a=1&b=2 $PORT", "http://x/?a=1&b=2 80\n"),
        ("echo http://x:$PORT/;", "http://x:80/\n"),
        ("echo a\nfalse\necho b", "a\n"),
        ("A=$PORT sh -c 'echo $A'", "80\n"),
    ],
)
def test_words_that_were_never_meant_for_the_shell_are_quoted_for_it(text, out, tmp_path):
    """In a folder with files that the unquoted words would match."""
    for name in ("--ips=file", "file"):
        (tmp_path / name).touch()
    command, _ = start_command(text, strict=False)
    assert command.shell
    assert sh(command.text, tmp_path, PORT="80") == out


PLAIN = st.text("abcXYZ019-_./,:=%+@", min_size=1, max_size=8).filter(lambda word: word.strip("=") == word)


@given(st.lists(PLAIN | st.sampled_from(["'a b'", '"c d"', "e\\ f"]), min_size=1, max_size=6))
def test_a_command_without_signs_is_split_as_a_shell_splits_it(words):
    text = " ".join(["run", *words])
    command, notices = start_command(text, strict=False)
    assert command.argv == tuple(shlex.split(text))
    assert notices == ()


@settings(max_examples=200, deadline=None)
@given(st.text("abc $&|;<>()'\"`\\*?#~=\n\t{}sudo-", max_size=80), st.booleans())
@example("&#'", False)
@example("x (#'", False)
@example("\\ \\", False)
@example("\\ \\\n", False)
@example('"\n"\\', False)
@example("x\\\\", False)
@example("x\\\\\\", False)
def test_any_text_is_a_command_or_a_plain_refusal(text, strict):
    try:
        command, notices = start_command(text, strict)
    except DeployError:
        return
    assert command.shell or command.argv
    assert not (strict and (notices or command.shell))


@pytest.mark.parametrize(
    "text",
    [
        "sudo " * 6_000,
        "a" + " " * 30_000 + "b",
        "\\\n" * 15_000 + "a",
        "a\n" * 15_000,
        "''" * 15_000 + "a",
        "$(" * 15_000,
        "a>" * 15_000,
    ],
    ids=range(7),
)
def test_long_commands_are_read_quickly(text):
    started = time.process_time()
    start_command(text, strict=False)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("line", "bare"),
    [
        ("sudo npm i", "npm i"),
        ("cd x && sudo -E -H npm i; sudo -u root y", "cd x && npm i; y"),
        ("echo sudo x", "echo sudo x"),
        ("echo 'a && sudo b'", "echo 'a && sudo b'"),
        ("pseudo x", "pseudo x"),
        ("sudo", "sudo"),
        ("echo 'open && sudo x", "echo 'open && sudo x"),
    ],
)
def test_sudo_goes_only_where_a_command_begins(line, bare):
    assert without_sudo(line) == bare


# Paths below /app


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("/app", "/h"),
        ("/app/", "/h/"),
        ("ls /app/x /app", "ls /h/x /h"),
        ("A=/app/x", "A=/h/x"),
        ("/usr/bin:/app/bin:/app", "/usr/bin:/h/bin:/h"),
        ("'/app' \"/app/x\"", "'/h' \"/h/x\""),
        ("--chdir=/app;ls", "--chdir=/h;ls"),
        ("$(cat /app/x)", "$(cat /h/x)"),
        ("sqlite:////app/db.sqlite3", "sqlite:////h/db.sqlite3"),
        ("file:///app/x", "file:///h/x"),
        (">/app/log", ">/h/log"),
        ("/app /app", "/h /h"),
    ],
)
def test_paths_into_app_are_relocated(text, moved):
    assert relocate_app(text, "/h") == moved
    assert relocate_app(text, "/h/") == moved


@pytest.mark.parametrize(
    "text",
    [
        "/apple",
        "/var/app",
        "https://host/app",
        "https://host/app/x",
        "//app",
        "./app",
        "app/x",
        "/app.py",
        "/app-1",
        "/app_x",
        "x/app/y",
        "/App",
        "postgres:///app",
        "../app",
        "http://a:80/app",
    ],
)
def test_other_paths_stay(text):
    assert relocate_app(text, "/h") == text
    assert relocate_command(text, "/h") == text


@given(st.text("/ap.:=;\"' x", max_size=40))
def test_relocation_adds_nothing_but_the_folder(text):
    """Going back to /app restores the text; what holds no /app is untouched; doing it twice changes nothing."""
    moved = relocate_app(text, "/Q")
    assert moved.replace("/Q", "/app") == text
    assert relocate_app(moved, "/Q") == moved
    if "/app" not in text:
        assert moved == text


@given(st.text("abc/.-", max_size=20), st.sampled_from(["/apple", "/var/app", "https://host/app", "x/app"]))
def test_relocation_never_touches_what_only_looks_like_app(tail, start):
    text = start + tail.replace("app", "")
    assert relocate_app(text, "/h") == text


@pytest.mark.parametrize("folder", ["/tmp/a b", "/tmp/it's", '/tmp/q"', "/tmp/$x;y", "/tmp/plain"])
@pytest.mark.parametrize(
    "text", ["printf %s /app/x", 'printf %s "/app/x"', "printf %s '/app/x'", 'A=/app/x; printf %s "$A"']
)
def test_in_shell_text_the_folder_arrives_whole(folder, text):
    assert sh(relocate_command(text, folder)) == f"{folder}/x"


def test_variables_that_hold_url_paths_stay():
    env = {
        "HOME": "/app",
        "PYTHONPATH": "/app/src:/app",
        "BASE_PATH": "/app",
        "NEXT_PUBLIC_API_URL": "/app/api",
        "N": "1",
    }
    assert relocate_env(env, "/h") == env | {"HOME": "/h", "PYTHONPATH": "/h/src:/h"}
