"""Real repositories, and a real Git server on loopback, for the source room's tests."""

import base64
import os
import shutil
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


def forget_git(patch: pytest.MonkeyPatch, user: Path) -> None:
    """No configuration of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        patch.delenv(name)
    patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("HOME", str(user))
    for role in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{role}_NAME", "Ada")
        patch.setenv(f"GIT_{role}_EMAIL", "ada@example.com")


@pytest.fixture(autouse=True)
def plain_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_git(monkeypatch, tmp_path / "user")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(path=tmp_path / "home")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def new_repo(path: Path, files: dict[str, str] | None, *options: str) -> Repo:
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "-q", "--template=", "-b", "main", *options)
    if files is not None:
        repo.commit(files, "first")
    return repo


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    def make(files: dict[str, str] | None = None, name: str = "repo", *options: str) -> Repo:
        return new_repo(tmp_path / name, files, *options)

    return make


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copied for each test, which is quicker than five git commands."""
    folder = tmp_path_factory.mktemp("pattern")
    with pytest.MonkeyPatch.context() as patch:
        forget_git(patch, folder)
        return new_repo(folder / "repo", {"app.py": "print('one')\n", "lib/tool.py": "TOOL = 1\n"}).path


@pytest.fixture
def repo(pattern: Path, tmp_path: Path) -> Repo:
    shutil.copytree(pattern, tmp_path / "repo")
    return Repo(tmp_path / "repo")


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
