"""GitSource over HTTP: credentials, errors of hosts, stalls."""

import socket
import subprocess
import threading
from pathlib import Path

import pytest

from engine.model.errors import DeployError, FailureKind
from engine.source.git import GitSource
from engine.source.location import parse_location
from engine.source.mirror import Limits
from engine.source.open import open_source

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

SECRET = "s3cret/t0ken@word"
QUOTED = "s3cret%2Ft0ken%40word"


def with_credentials(url: str, credentials: str) -> str:
    return url.replace("http://", f"http://{credentials}@") + "/repo"


async def failure_of(awaitable):
    with pytest.raises(DeployError) as caught:
        await awaitable
    return caught.value.failure


async def test_a_repository_behind_http_deploys(repo, home, tmp_path, git_server):
    source = open_source(f"{git_server.url}/repo", home)
    assert await source.branches() == ("main",)
    first = await source.resolve("")
    newest = repo.commit({"app.py": "2"})
    second = await source.resolve("main")
    assert second.id == newest != first.id
    await source.export(second, tmp_path / "out")
    assert (tmp_path / "out" / "app.py").read_text() == "2"


async def test_a_plain_web_server_without_shallow_fetch_deploys(repo, home, tmp_path, git_server):
    repo.commit({"app.py": "2"})
    repo.git("gc", "-q")
    repo.git("update-server-info")
    git_server.dumb = True
    source = open_source(f"{git_server.url}/repo/.git", home)
    revision = await source.resolve("main")
    await source.export(revision, tmp_path / "out")
    assert (tmp_path / "out" / "app.py").read_text() == "2"


async def test_credentials_of_the_url_work_and_are_never_seen(repo, home, tmp_path, git_server):
    git_server.credentials = f"ada:{SECRET}"
    seen: list[str] = []

    def look() -> None:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(place.read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue

    git_server.during = look
    source = open_source(with_credentials(git_server.url, f"ada:{QUOTED}"), home)
    revision = await source.resolve("main")
    await source.export(revision, tmp_path / "out")
    assert (tmp_path / "out" / "app.py").exists()
    assert any("remote-http" in line for line in seen)
    assert not any("s3cret" in line for line in seen)
    kept = [place for place in home.path.rglob("*") if place.is_file()]
    assert kept
    assert not any(b"s3cret" in place.read_bytes() for place in kept)


async def test_wrong_credentials_are_named_as_the_cause_but_not_shown(repo, home, git_server):
    git_server.credentials = "ada:right"
    source = open_source(with_credentials(git_server.url, f"ada:{QUOTED}"), home)
    failure = await failure_of(source.resolve("main"))
    assert failure.message == f"The credentials in the URL were not accepted for {git_server.url}/repo."
    assert "s3cret" not in repr(failure)
    assert "t0ken" not in repr(failure)
    assert failure.exit_code == 128


async def test_a_token_as_the_user_name_works(repo, home, git_server):
    git_server.credentials = "ghp_token:"
    revision = await open_source(with_credentials(git_server.url, "ghp_token"), home).resolve("main")
    assert revision.title == "first"


async def test_a_user_name_in_the_url_asks_the_user_s_own_credential_helper(
    repo, home, git_server, tmp_path, monkeypatch
):
    git_server.credentials = "ada:stored"
    configuration = tmp_path / "gitconfig"
    (tmp_path / "store").write_text(f"{with_credentials(git_server.url, 'ada:stored').removesuffix('/repo')}\n")
    configuration.write_text(f"[credential]\n helper = store --file={tmp_path}/store\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    assert (await open_source(with_credentials(git_server.url, "ada"), home).resolve("main")).title == "first"
    assert (await open_source(f"{git_server.url}/repo", home).resolve("main")).title == "first"


async def test_credentials_go_to_no_other_host(repo, home, git_server, tmp_path):
    """A redirect to another host gets none of them."""
    got: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def redirect() -> None:
        connection, _ = listener.accept()
        with connection:
            got.append(connection.recv(4096).decode())
            target = f"{git_server.url.replace('127.0.0.1', 'localhost')}/repo/info/refs?service=git-upload-pack"
            connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

    thread = threading.Thread(target=redirect)
    thread.start()
    git_server.credentials = "ada:secret"
    source = open_source(f"http://ada:secret@127.0.0.1:{listener.getsockname()[1]}/repo", home)
    failure = await failure_of(source.resolve("main"))
    thread.join()
    listener.close()
    assert "not accepted" in failure.message
    assert got


async def test_credentials_that_are_needed_and_missing_are_asked_for_in_the_hint(repo, home, git_server):
    git_server.credentials = "ada:secret"
    failure = await failure_of(open_source(f"{git_server.url}/repo", home).resolve("main"))
    assert failure.message.startswith("There is no such repository, or credentials are needed")
    assert "credential.helper" in failure.hint


async def test_a_repository_that_does_not_exist(repo, home, git_server):
    failure = await failure_of(open_source(f"{git_server.url}/nothing", home).resolve("main"))
    assert failure.message == f"There is no repository at {git_server.url}/nothing."


@pytest.mark.parametrize(("status", "words"), [(403, "credentials are needed"), (503, "answered with an error")])
async def test_an_error_of_the_host(home, git_server, status, words):
    git_server.status = status
    assert words in (await failure_of(open_source(f"{git_server.url}/repo", home).resolve("main"))).message


async def test_a_missing_branch_lists_the_others(repo, home, git_server):
    failure = await failure_of(open_source(f"{git_server.url}/repo", home).resolve("mian"))
    assert failure.hint == "Did you mean main? Its branches: main."


async def test_a_host_that_refuses_the_connection(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    failure = await failure_of(open_source(f"http://127.0.0.1:{port}/app", home).resolve("main"))
    assert failure.message == f"The host 127.0.0.1 of http://127.0.0.1:{port}/app does not accept the connection."


async def test_a_host_that_is_unknown(home):
    failure = await failure_of(open_source("https://no-such-host.invalid/app", home).resolve("main"))
    assert failure.message == "The host no-such-host.invalid of https://no-such-host.invalid/app cannot be found."


async def test_a_host_that_never_answers_is_given_up(home):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        location = parse_location(f"http://127.0.0.1:{silent.getsockname()[1]}/app")
        source = GitSource(location, home, limits=Limits(stall_s=0.3))
        failure = await failure_of(source.resolve("main"))
    assert failure.kind is FailureKind.SOURCE
    assert failure.message.startswith("The host 127.0.0.1 stopped answering")
    assert failure.exit_code is None
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert location.url not in left


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at /proc")
async def test_a_broken_certificate_is_named(home, git_server):
    """A plain HTTP server answers a TLS handshake with nonsense."""
    failure = await failure_of(open_source(f"https://127.0.0.1:{git_server.port}/repo", home).resolve("main"))
    assert "TLS certificate" in failure.message or failure.message.startswith("Git failed on")
