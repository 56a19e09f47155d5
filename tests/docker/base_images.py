"""Small base images for tests, packed from what this machine has: no registry is needed, and none is asked.

`python tests/docker/base_images.py` makes those that are missing in the engine that DOCKER_HOST names.
"""

import io
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import docker

PYTHON = Path(sys.base_prefix)
NODE = Path("/usr/bin/node")
TOOLS = (
    *("sh", "ls", "cat", "cp", "mv", "rm", "mkdir", "rmdir", "chmod", "chown", "ln", "touch", "echo", "printf", "pwd"),
    *("env", "id", "sleep", "head", "tail", "wc", "sort", "uniq", "tr", "cut", "sed", "grep", "find", "xargs", "date"),
    *("dirname", "basename", "readlink", "test", "true", "false", "uname", "hostname", "stat", "mktemp", "tee", "seq"),
    *("kill", "ps", "tar", "gzip"),
)
PACKED = "homerun-tests.packed"
"""A label: what the image was made of."""
REAL = "the real one"
_NOT_NEEDED = re.compile(
    r"/(?:test|tests|idlelib|turtledemo|__pycache__|config-3[^/]*|ensurepip|lib2to3|tkinter)(?:/|$)"
    r"|/site-packages/(?!pip|setuptools|_distutils_hack|distutils-precedence)|/include/|/share/|_tkinter"
)


def libraries(files: Iterable[Path]) -> set[Path]:
    """Every shared library that these programs load, as ldd says."""
    paths = [str(path) for path in files]
    answer = subprocess.run(["ldd", *paths], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(/[^\s:()]+\.so[^\s:()]*)", answer)}


def which(name: str) -> Path | None:
    return next((Path(d) / name for d in ("/bin", "/usr/bin") if (Path(d) / name).exists()), None)


class Packer:
    """A root file system as a tar."""

    def __init__(self) -> None:
        self._data = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._data, mode="w")  # noqa: SIM115 - `finish` closes it
        self._seen: set[str] = set()
        for folder in ("tmp", "root", "etc", "usr", "usr/bin", "usr/local", "usr/local/bin", "run", "var", "var/tmp"):
            self.folder(folder, 0o1777 if folder.endswith("tmp") else 0o755)
        self.link("bin", "usr/bin")
        self.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n")
        self.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
        self.text("etc/nsswitch.conf", "hosts: files dns\n")

    def folder(self, name: str, mode: int = 0o755) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self._add(info)

    def link(self, name: str, target: str) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._add(info)

    def text(self, name: str, text: str, mode: int = 0o644) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(text.encode()), mode
        self._add(info, io.BytesIO(text.encode()))

    def file(self, source: Path, name: str) -> None:
        if name in self._seen or not source.exists():
            return
        data = source.read_bytes()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), source.stat().st_mode & 0o755 | 0o444
        self._add(info, io.BytesIO(data))

    def libraries(self, files: Iterable[Path]) -> None:
        for library in libraries(files):
            where = str(library).lstrip("/")
            self.file(library.resolve(), where if where.startswith(("lib64/", "usr/")) else f"usr/{where}")
        if "lib" not in self._seen:
            self.link("lib", "usr/lib")

    def tools(self) -> None:
        found = [path for path in map(which, TOOLS) if path]
        for path in found:
            self.file(path.resolve(), f"usr/bin/{path.name}")
        self.libraries(path.resolve() for path in found)
        self.file(Path("/etc/ssl/certs/ca-certificates.crt"), "etc/ssl/certs/ca-certificates.crt")

    def python(self) -> None:
        """The interpreter that runs this, with pip, under /usr/local."""
        minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
        binary = (PYTHON / "bin" / f"python{minor}").resolve()
        self.file(binary, f"usr/local/bin/python{minor}")
        for name in ("python3", "python"):
            self.link(f"usr/local/bin/{name}", f"python{minor}")
        for name in ("pip", "pip3", f"pip{minor}"):
            self.text(
                f"usr/local/bin/{name}",
                "#!/usr/local/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n",
                0o755,
            )
        lib = PYTHON / "lib"
        for path in sorted((lib / f"python{minor}").rglob("*")):
            if path.is_file() and not _NOT_NEEDED.search(f"/{path.relative_to(lib)}"):
                self.file(path.resolve(), f"usr/local/lib/{path.relative_to(lib)}")
        for path in lib.glob("libpython*.so*"):
            self.file(path.resolve(), f"usr/lib/x86_64-linux-gnu/{path.name}")
        self.libraries([binary, *(lib / f"python{minor}" / "lib-dynload").glob("*.so")])

    def node(self) -> None:
        real = NODE.resolve()
        self.file(real, "usr/local/bin/node")
        modules = Path("/usr/lib/node_modules/npm")
        for path in sorted(modules.rglob("*")):
            if path.is_file():
                self.file(path, f"usr/local/lib/node_modules/npm/{path.relative_to(modules)}")
        self.link("usr/local/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js")
        self.link("usr/local/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js")
        self.file(Path("/usr/bin/env"), "usr/bin/env")
        self.libraries([real])

    def finish(self) -> bytes:
        self._tar.close()
        return self._data.getvalue()

    def _add(self, info: tarfile.TarInfo, data: io.BytesIO | None = None) -> None:
        if info.name not in self._seen:
            self._seen.add(info.name)
            self._tar.addfile(info, data)


def _imported(client: docker.DockerClient, data: bytes, names: Iterable[str], made_of: str) -> None:
    first, *others = names
    repository, _, tag = first.rpartition(":")
    client.api.import_image_from_data(
        data,
        repository=repository,
        tag=tag,
        changes=[
            "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            "ENV LANG=C.UTF-8",
            'CMD ["/bin/sh"]',
            f"LABEL {PACKED}={made_of}",
        ],
    )
    for name in others:
        client.images.get(first).tag(*name.rsplit(":", 1))


def ensure(client: docker.DockerClient) -> None:
    """The base images of the runtimes that tests use: the names of the real ones, the contents from this machine."""
    node = NODE.resolve().stat().st_size if NODE.exists() else 0
    for names, pack, version in (
        (("python:3.11", "python:3.11-slim", "python:3.8"), Packer.python, sys.version.split()[0]),
        (("node:22", "node:18", "node:16"), Packer.node, node),
        (("homerun-tests/tools:1",), _nothing, ""),
    ):
        made_of = f"2-{version}"
        known = [_packed(client, name) for name in names]
        # An image of that name that is no work of ours is the real one, and stays.
        missing = [name for name, made in zip(names, known, strict=True) if made not in (made_of, REAL)]
        if missing:
            packer = Packer()
            packer.tools()
            pack(packer)
            _imported(client, packer.finish(), missing, made_of)


def _nothing(packer: Packer) -> None:
    """The tools are enough."""


def _packed(client: docker.DockerClient, name: str) -> str:
    """What an image was packed from; REAL for one that somebody else made, "" for none."""
    try:
        return str(client.images.get(name).labels.get(PACKED, REAL))
    except docker.errors.ImageNotFound:
        return ""


if __name__ == "__main__":
    ensure(docker.from_env())
