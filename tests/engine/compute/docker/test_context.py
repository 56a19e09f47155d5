"""The build context: what is in the tar, as what, and what is left out."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.compute.docker.context import pack, wanted


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    def source(*names: str, **texts: str) -> Path:
        folder = tmp_path / "source"
        for name in (*names, *texts):
            path = folder / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts.get(name, name))
        return folder

    return source


def test_everything_belongs_there_without_a_dockerignore(source):
    folder = source("a", "b/c", ".hidden", ".git/config")
    (folder / "empty").mkdir()
    assert wanted(folder) == [".git", ".git/config", ".hidden", "a", "b", "b/c", "empty"]


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ("*.log\n", ["a.txt", "sub", "sub/b.log", "sub/deep", "sub/deep/c.txt"]),
        ("**/*.log\n", ["a.txt", "sub", "sub/deep", "sub/deep/c.txt"]),
        ("sub/\n", ["a.log", "a.txt"]),
        ("/sub\n", ["a.log", "a.txt"]),
        ("*\n!sub/deep/c.txt\n", ["sub", "sub/deep", "sub/deep/c.txt"]),
        ("sub\n!sub/b.log", ["a.log", "a.txt", "sub", "sub/b.log"]),
        ("\ufeff# why\n\n  a.*  \r\n!\n", ["sub", "sub/b.log", "sub/deep", "sub/deep/c.txt"]),
        ("*.l[o]g\n[\n", ["a.txt", "sub", "sub/b.log", "sub/deep", "sub/deep/c.txt"]),
    ],
)
def test_a_dockerignore_leaves_out_what_docker_leaves_out(source, patterns, kept):
    folder = source("a.txt", "a.log", "sub/b.log", "sub/deep/c.txt", __dockerignore=patterns)
    assert [path for path in wanted(folder) if path != ".dockerignore"] == kept


def test_the_dockerfile_itself_is_never_left_out(source):
    folder = source("deploy/Dockerfile", "deploy/x", "a", __dockerignore="deploy\n")
    assert wanted(folder, "deploy/Dockerfile") == [".dockerignore", "a", "deploy", "deploy/Dockerfile"]
    assert wanted(folder) == [".dockerignore", "a"]


def test_a_dockerignore_of_the_dockerfiles_own_goes_first(source):
    folder = source("Dockerfile", "a", "b", __dockerignore="a\n", Dockerfile__dockerignore="b\n")
    assert "a" in wanted(folder, "Dockerfile")
    assert "b" not in wanted(folder, "Dockerfile")
    assert "a" not in wanted(folder)


def test_the_tar_keeps_modes_and_links_and_belongs_to_root(source, tmp_path):
    folder = source("run.sh", "sub/data")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("sub/data")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to("sub")
    os.mkfifo(folder / "pipe")
    with (
        pack(folder, wanted(folder), "source", {"homerun/env": b"x"}, tmp_path / "scratch") as file,
        tarfile.open(fileobj=file) as tar,
    ):
        found = {info.name: info for info in tar}

    assert (found["source"].isdir(), found["source/sub"].isdir()) == (True, True)
    assert found["source/run.sh"].mode == 0o755
    assert [found[f"source/{name}"].linkname for name in ("link", "out", "folder")] == [
        "sub/data",
        "/etc/passwd",
        "sub",
    ]
    assert "source/folder/data" not in found  # a link is never followed
    assert {(info.uid, info.gid, info.uname) for info in found.values()} == {(0, 0, "")}
    assert not list((tmp_path / "scratch").iterdir())  # the file has no name


def test_files_of_ours_cannot_be_taken_for_the_sources(source, tmp_path):
    folder = source("homerun/env", "homerun.Dockerfile")
    ours = {"homerun/env": b"ours", "homerun.Dockerfile": b"FROM x"}
    with pack(folder, wanted(folder), "source", ours, tmp_path) as file, tarfile.open(fileobj=file) as tar:
        texts = {info.name: file.read() for info in tar if (file := tar.extractfile(info))}

    assert texts == ours | {"source/homerun/env": b"homerun/env", "source/homerun.Dockerfile": b"homerun.Dockerfile"}


def test_odd_names_and_long_paths_survive(source, tmp_path):
    names = ["sp ace", "ümlaut", "new\nline", "-r", f"{'d' * 120}/{'e' * 120}"]
    folder = source(*names)
    (folder / os.fsdecode(b"\xff\xfe")).write_text("x")
    with pack(folder, wanted(folder), "", {}, tmp_path) as file, tarfile.open(fileobj=file) as tar:
        assert {os.fsdecode(b"\xff\xfe"), *names} <= set(tar.getnames())


def test_a_file_that_cannot_be_packed_leaves_nothing(source, tmp_path):
    folder = source("a")
    with pytest.raises(OSError, match="gone"):
        pack(folder, ["a", "gone"], "source", {}, tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir())
