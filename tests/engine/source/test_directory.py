"""DirectorySource: a plain folder's fingerprint and copy."""

import asyncio
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest

from engine.model.errors import DeployError, FailureKind
from engine.source import copying, fingerprint
from engine.source.directory import DirectorySource
from engine.source.open import open_source


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "app"
    (root / "lib").mkdir(parents=True)
    (root / "app.py").write_text("print('one')\n")
    (root / "lib" / "tool.py").write_text("TOOL = 1\n")
    return root


def tree(folder: Path) -> set[str]:
    return {str(place.relative_to(folder)) for place in folder.rglob("*")}


def age(folder: Path) -> None:
    """As if everything had been there for an hour; the change time is the system's own and stays."""
    for place in folder.rglob("*"):
        os.utime(place, (time.time() - 3600,) * 2, follow_symlinks=False)


async def failure_of(awaitable):
    with pytest.raises(DeployError) as caught:
        await awaitable
    return caught.value.failure


async def test_a_plain_folder_has_one_revision_and_no_branches(folder, home):
    source = open_source(str(folder), home)
    assert isinstance(source, DirectorySource)
    revision = await source.resolve("main")
    assert revision.kind == "directory"
    assert revision.id.startswith("dir-")
    assert len(revision.id) == 4 + 64
    assert revision.branch == ""
    assert revision.at == pytest.approx(max(place.stat().st_mtime for place in folder.rglob("*")))
    assert await source.branches() == ()
    assert await source.default_branch() == ""


async def test_the_same_content_elsewhere_has_the_same_id(folder, home, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    first = await open_source(str(folder), home).resolve("")
    second = await open_source(str(tmp_path / "copy"), home).resolve("")
    assert first.id == second.id


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app.py").write_text("print('two')\n"),
        lambda root: (root / "app.py").chmod(0o755),
        lambda root: (root / "app.py").rename(root / "main.py"),
        lambda root: (root / "empty").mkdir(),
        lambda root: (root / "link").symlink_to("app.py"),
        lambda root: (root / "new").touch(),
        lambda root: (root / "lib" / "tool.py").unlink(),
    ],
)
async def test_every_change_changes_the_id_and_undoing_it_is_seen_too(folder, home, tmp_path, change):
    source = open_source(str(folder), home)
    before = await source.resolve("")
    shutil.copytree(folder, tmp_path / "kept", symlinks=True)
    change(folder)
    assert (await source.resolve("")).id != before.id
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kept", folder, symlinks=True)
    assert (await source.resolve("")).id == before.id


async def test_a_change_that_keeps_size_and_modification_time_is_seen(folder, home):
    source = open_source(str(folder), home)
    age(folder)
    before = await source.resolve("")
    about = (folder / "app.py").stat()
    (folder / "app.py").write_text("print('two')\n")
    os.utime(folder / "app.py", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (await source.resolve("")).id != before.id


async def test_what_did_not_change_is_not_read_again(folder, home, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -(10**12))  # nothing counts as too fresh
    read: list[str] = []
    digest = fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda path: read.append(path.name) or digest(path))
    source = open_source(str(folder), home)
    first = await source.resolve("")
    assert sorted(read) == ["app.py", "tool.py"]
    read.clear()
    assert (await open_source(str(folder), home).resolve("")).id == first.id
    assert read == []
    (folder / "app.py").write_text("print('2')\n")
    await source.resolve("")
    assert read == ["app.py"]
    (cache,) = (home.cache / "folders").iterdir()
    assert cache.stat().st_mode & 0o777 == 0o600
    cache.write_bytes(b"garbage")
    assert (await source.resolve("")).id != first.id
    assert len(read) == 3


async def test_a_file_touched_a_moment_ago_is_read_again(folder, home):
    """Within the clock's grain a second change would not show in its times."""
    await open_source(str(folder), home).resolve("")
    assert not (home.cache / "folders").exists() or fingerprint._load(next((home.cache / "folders").iterdir())) == {}


async def test_an_export_copies_files_folders_links_and_permissions(folder, home, tmp_path):
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "read-only").write_text("x")
    (folder / "read-only").chmod(0o444)
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("lib/tool.py")
    (folder / "big").write_bytes(os.urandom(3_000_000))
    source = open_source(str(folder), home)
    await source.export(await source.resolve(""), tmp_path / "out")
    out = tmp_path / "out"
    assert tree(out) == tree(folder)
    assert (out / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (out / "read-only").stat().st_mode & 0o777 == 0o644
    assert (out / "link").readlink() == Path("lib/tool.py")
    assert (out / "big").read_bytes() == (folder / "big").read_bytes()
    assert out.stat().st_mode & 0o777 == 0o700
    (out / "app.py").write_text("the copy is its own")
    assert (folder / "app.py").read_text() == "print('one')\n"


async def test_copying_without_help_from_the_kernel_gives_the_same(folder, home, tmp_path, monkeypatch):
    (folder / "big").write_bytes(os.urandom(3_000_000))
    monkeypatch.setattr(copying, "_share", lambda _reader, _writer, _size: 0)
    source = open_source(str(folder), home)
    await source.export(await source.resolve(""), tmp_path / "out")
    assert (tmp_path / "out" / "big").read_bytes() == (folder / "big").read_bytes()


async def test_what_a_build_makes_anew_is_left_out(folder, home, tmp_path):
    for name in (".git/config", "sub/.git", "__pycache__/x.pyc", "lib/__pycache__/y.pyc", ".venv/pyvenv.cfg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name in ("package.json", "node_modules/left-pad/index.js", "vendor/node_modules/kept.js", "venv/kept.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    source = open_source(str(folder), home)
    revision = await source.resolve("")
    await source.export(revision, tmp_path / "out")
    assert tree(tmp_path / "out") == {
        "app.py", "lib", "lib/tool.py", "package.json", "sub",
        "vendor", "vendor/node_modules", "vendor/node_modules/kept.js", "venv", "venv/kept.py",
    }  # fmt: skip
    shutil.rmtree(folder / "node_modules")
    shutil.rmtree(folder / ".venv")
    assert (await source.resolve("")).id == revision.id


async def test_sockets_and_pipes_are_left_out(folder, home, tmp_path):
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path must be short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        source = open_source(str(folder), home)
        await source.export(await source.resolve(""), tmp_path / "out")
    assert tree(tmp_path / "out") == {"app.py", "lib", "lib/tool.py"}


async def test_a_home_and_a_copy_inside_the_folder_do_not_copy_themselves(folder, home):
    inner = type(home)(path=folder / ".homerun")
    source = open_source(str(folder), inner)
    first = await source.resolve("")
    for number in range(3):
        await source.export(first, inner.artifacts / "s" / f"v{number}")
    assert tree(inner.artifacts / "s" / "v2") == {"app.py", "lib", "lib/tool.py"}
    assert (await source.resolve("")).id == first.id
    await source.export(first, folder / "out")
    assert tree(folder / "out") == {"app.py", "lib", "lib/tool.py"}


@pytest.mark.parametrize("text", ["/etc/passwd", "../outside"])
async def test_a_link_that_leads_out_is_refused_and_never_followed(folder, home, tmp_path, text):
    (tmp_path / "outside").write_text("secret")
    (folder / "link").symlink_to(text)
    source = open_source(str(folder), home)
    revision = await source.resolve("")
    assert await source.read(revision, "link") is None
    failure = await failure_of(source.export(revision, tmp_path / "out"))
    assert failure.message == f"The symbolic link link leads out of the source, to {text}."
    assert [place.name for place in tmp_path.iterdir() if "out" in place.name] == ["outside"]


async def test_files_are_read_and_named(folder, home):
    (folder / "link").symlink_to("lib")
    (folder / "__pycache__").mkdir()
    os.mkfifo(folder / "pipe")
    source = open_source(str(folder), home)
    revision = await source.resolve("")
    assert await source.read(revision, "lib/tool.py") == b"TOOL = 1\n"
    assert await source.read(revision, "/link/tool.py") == b"TOOL = 1\n"
    for absent in ("nothing", "lib", "app.py/x", "pipe", ""):
        assert await source.read(revision, absent) is None
    with pytest.raises(ValueError, match="not a path"):
        await source.read(revision, "../x")
    assert await source.names(revision, "") == ("app.py", "lib/", "link", "pipe")
    assert await source.names(revision, "lib") == ("tool.py",)
    assert await source.names(revision, "nothing") == ()
    assert await source.names(revision, "app.py") == ()


@pytest.fixture
def somebody_else():
    """An open folder, and this process as somebody who is not root."""
    root = Path(tempfile.mkdtemp(dir="/tmp"))
    root.chmod(0o777)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield root
    if is_root:
        os.seteuid(0)
    for place in root.rglob("*"):
        place.chmod(0o700)
    shutil.rmtree(root)


async def test_what_cannot_be_read_is_named(somebody_else, home):
    root = somebody_else / "app"
    root.mkdir()
    for name in ("a.key", "b.key"):
        (root / name).touch(mode=0o000)
    (root / "closed").mkdir(mode=0o000)
    inner = type(home)(path=somebody_else / "home")
    source = open_source(str(root), inner)
    failure = await failure_of(source.resolve(""))
    assert failure.evidence == ("closed: Permission denied",)
    (root / "closed").rmdir()
    for attempt in (source.resolve(""), source.export(None, somebody_else / "out")):
        failure = await failure_of(attempt)
        assert failure.kind is FailureKind.SOURCE
        assert failure.message == (f"2 things in the folder {root} cannot be read: a.key: Permission denied.")
        assert failure.evidence == ("a.key: Permission denied", "b.key: Permission denied")
    assert not (somebody_else / "out").exists()


async def test_a_home_that_cannot_be_written_fails_the_copy_but_not_the_fingerprint(somebody_else, home):
    root = somebody_else / "app"
    root.mkdir()
    (root / "x").touch()
    shut = somebody_else / "home"
    shut.mkdir(mode=0o500)
    source = open_source(str(root), type(home)(path=shut))
    revision = await source.resolve("")
    failure = await failure_of(source.export(revision, shut / "artifacts" / "v"))
    assert failure.kind is FailureKind.DISK
    assert failure.message.endswith("failed: Permission denied.")


async def test_a_full_disk_is_named_and_what_was_half_written_is_gone(folder, home, small_disk):
    (folder / "big").write_bytes(os.urandom(2_000_000))
    failure = await failure_of(open_source(str(folder), home).export(None, small_disk / "out"))
    assert (failure.kind, failure.message) == (
        FailureKind.DISK,
        f"The disk is full: writing {small_disk}/out failed.",
    )
    assert list(small_disk.iterdir()) == []


async def test_too_much_is_refused_and_says_where_it_is(folder, home):
    with (folder / "model.bin").open("wb") as file:
        file.truncate(2 * 1024**3 + 1)
    failure = await failure_of(open_source(str(folder), home).resolve(""))
    assert failure.message == f"The folder {folder} holds more than 2 GiB, which is too much to deploy."
    assert failure.evidence == ("model.bin: 2,048 MiB",)


async def test_too_many_files_are_refused(folder, home, monkeypatch):
    monkeypatch.setattr("engine.source.folder.FILES_MOST", 2)
    assert "more than 2 files" in (await failure_of(open_source(str(folder), home).resolve(""))).message


async def test_a_folder_that_has_gone_is_a_clear_failure(folder, home, tmp_path):
    source = open_source(str(folder), home)
    shutil.rmtree(folder)
    for attempt in (source.resolve(""), source.export(None, tmp_path / "out")):
        assert (await failure_of(attempt)).message == f"There is no folder {folder} any more."


async def test_files_that_come_go_and_grow_meanwhile_are_tolerated(folder, home, tmp_path):
    stop = threading.Event()

    def disturb() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            place = folder / "lib" / f"log{number % 50}"
            if place.exists():
                place.unlink()
            else:
                place.write_text("x" * number)
            with (folder / "growing.log").open("a") as log:
                log.write("line\n" * 100)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        source = open_source(str(folder), home)
        for number in range(10):
            await source.export(await source.resolve(""), tmp_path / f"out{number}")
            assert (tmp_path / f"out{number}" / "app.py").read_text() == "print('one')\n"
    finally:
        stop.set()
        thread.join()


async def test_cancelling_ends_the_thread_and_leaves_nothing(folder, home, tmp_path, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()
    copy = copying._copy_file

    def slow(reader: int, place: Path, mode: int) -> None:
        entered.set()
        go_on.wait(5)
        copy(reader, place, mode)

    monkeypatch.setattr(copying, "_copy_file", slow)
    source = open_source(str(folder), home)
    task = asyncio.ensure_future(source.export(None, tmp_path / "out"))
    await asyncio.to_thread(entered.wait, 5)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()  # it waits for its thread
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [place.name for place in tmp_path.iterdir() if "out" in place.name] == []


async def test_odd_names_are_kept(folder, home, tmp_path):
    names = ["-rf", "with space", "new\nline", "Ünïcode", os.fsdecode(b"latin-\xe9"), "$(touch x)"]
    for name in names:
        (folder / name).write_text(name, errors="surrogateescape")
    source = open_source(str(folder), home)
    revision = await source.resolve("")
    await source.export(revision, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(folder)
    assert (await source.resolve("")).id == revision.id
