"""Real repositories, and a real Git server on loopback, for the source room's tests."""

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.model.home import Home


class Repo:
    """A repository to deploy from."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            place = self.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def commit(self, files: dict[str, str], message: str = "a change") -> str:
        """Commit the files, with everything else there is; the commit's id."""
        self.write(files)
        self.git("add", "-A", ".")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(path=tmp_path / "home")


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    def make(files: dict[str, str] | None = None, name: str = "repo", *options: str) -> Repo:
        path = tmp_path / name
        path.mkdir(parents=True)
        repo = Repo(path)
        repo.git("init", "-q", "-b", "main", *options)
        if files is not None:
            repo.commit(files, "first")
        return repo

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    return make_repo({"app.py": "print('one')\n", "lib/tool.py": "TOOL = 1\n"})


class GitServer:
    """`git http-backend` behind http.server."""

    def __init__(self, url: str, port: int) -> None:
        self.url = url
        self.port = port
        self.credentials = ""
        """"user:password" when asked for."""
        self.dumb = False
        """Serve the files of a repository as they are."""
        self.status = 0
        """Answer everything with this."""
        self.during: Callable[[], None] = lambda: None
        """Called while a request waits for its answer."""


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    """Serves every repository under tmp_path by its relative path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.during()
            wanted = "Basic " + base64.b64encode(state.credentials.encode()).decode()
            if state.credentials and self.headers.get("Authorization") != wanted:
                self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')])
            elif state.status:
                self.answer(state.status, [])
            elif state.dumb:
                place = tmp_path / self.path.partition("?")[0].lstrip("/")
                self.answer(200, [], place.read_bytes()) if place.is_file() else self.answer(404, [])
            else:
                self.run_backend()

        def do_POST(self) -> None:
            self.do_GET()

        def run_backend(self) -> None:
            path, _, query = self.path.partition("?")
            environment = os.environ | {
                "GIT_PROJECT_ROOT": str(tmp_path),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            answer = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
            ).stdout
            head, _, content = answer.partition(b"\r\n\r\n")
            headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
            status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
            self.answer(status, [pair for pair in headers if pair[0] != "Status"], content)

        def answer(self, status: int, headers: list, content: bytes = b"") -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state = GitServer(f"http://127.0.0.1:{server.server_port}", server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
