"""Copies of folder trees."""

import os
import stat
from pathlib import Path

from engine.compute.process.clone import clone_tree, dependency_folders, mentions, shebang


def write(path: Path, text: str = "x", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def same_file(one: Path, other: Path) -> bool:
    return one.stat().st_ino == other.stat().st_ino


def test_an_applications_own_files_are_real_copies_with_mode_and_time(tmp_path):
    """Applications write into their own source folder."""
    old = write(tmp_path / "a/run.sh", "echo", 0o755)
    os.utime(old, (1, 1))
    clone_tree(tmp_path / "a", tmp_path / "b", share=False)
    new = tmp_path / "b/run.sh"

    assert not same_file(old, new)
    assert new.read_text() == "echo"
    assert (stat.S_IMODE(new.stat().st_mode), new.stat().st_mtime) == (0o755, 1)


def test_installed_dependencies_are_shared(tmp_path):
    for name in ("node_modules/x/index.js", ".venv/lib/python3.11/site-packages/x.py", "node_modules/.pnpm/y/y.js"):
        write(tmp_path / "a" / name)
    write(tmp_path / "a/.venv/pyvenv.cfg")
    clone_tree(tmp_path / "a", tmp_path / "b", share=False)

    for name in ("node_modules/x/index.js", ".venv/lib/python3.11/site-packages/x.py", "node_modules/.pnpm/y/y.js"):
        assert same_file(tmp_path / "a" / name, tmp_path / "b" / name)


def test_what_tools_write_into_node_modules_is_copied(tmp_path):
    """Caches, generated clients and npm's own lock file are changed in place."""
    names = ("node_modules/.prisma/client/index.js", "node_modules/.cache/x", "node_modules/.package-lock.json")
    for name in names:
        write(tmp_path / "a" / name)
    (tmp_path / "b").mkdir()
    clone_tree(tmp_path / "a/node_modules", tmp_path / "b/node_modules", share=True)

    for name in names:
        assert not same_file(tmp_path / "a" / name, tmp_path / "b" / name)


def test_links_stay_links_and_those_into_the_tree_follow_it(tmp_path):
    write(tmp_path / "a/real.txt")
    (tmp_path / "a/relative").symlink_to("real.txt")
    (tmp_path / "a/absolute").symlink_to(tmp_path / "a/real.txt")
    (tmp_path / "a/dangling").symlink_to("nowhere")
    (tmp_path / "a/system").symlink_to("/usr/bin")
    clone_tree(tmp_path / "a", tmp_path / "b", share=False)

    links = {name: str((tmp_path / "b" / name).readlink()) for name in ("relative", "absolute", "dangling", "system")}
    assert links == {
        "relative": "real.txt",
        "absolute": str(tmp_path / "b/real.txt"),
        "dangling": "nowhere",
        "system": "/usr/bin",
    }


def test_pipes_and_sockets_are_left_out(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a/pipe")
    clone_tree(tmp_path / "a", tmp_path / "b", share=False)

    assert list((tmp_path / "b").iterdir()) == []


def test_a_folder_that_was_closed_to_writing_can_be_written_in_the_copy(tmp_path):
    write(tmp_path / "a/locked/x")
    (tmp_path / "a/locked").chmod(0o500)
    clone_tree(tmp_path / "a", tmp_path / "b", share=False)

    assert stat.S_IMODE((tmp_path / "b/locked").stat().st_mode) == 0o700
    (tmp_path / "a/locked").chmod(0o700)


def test_a_virtual_environments_texts_follow_it(tmp_path):
    """Shebangs, activate scripts, editable installs; a rewritten file gets a new time, so no stale bytecode fits it."""
    venv = tmp_path / "a/venv"
    site = "lib/python3.11/site-packages"
    write(venv / "pyvenv.cfg", f"command = python -m venv {venv}\n")
    old = write(venv / "bin/pip", f"#!{venv}/bin/python3\nprint()\n", 0o755)
    write(venv / "bin/activate", f'VIRTUAL_ENV="{venv}"\n')
    write(venv / site / "hello.pth", f"{tmp_path}/a/app/src\n")
    write(venv / site / "mod.py", f"# {venv}\n")
    os.utime(old, (1, 1))
    clone_tree(venv, tmp_path / "v2", share=True, moved={f"{tmp_path}/a": f"{tmp_path}/b"})

    assert (tmp_path / "v2/bin/pip").read_text() == f"#!{tmp_path}/v2/bin/python3\nprint()\n"
    assert stat.S_IMODE((tmp_path / "v2/bin/pip").stat().st_mode) == 0o755
    assert (tmp_path / "v2/bin/pip").stat().st_mtime > 1
    assert (tmp_path / "v2/bin/activate").read_text() == f'VIRTUAL_ENV="{tmp_path}/v2"\n'
    assert (tmp_path / "v2" / site / "hello.pth").read_text() == f"{tmp_path}/b/app/src\n"
    assert same_file(venv / site / "mod.py", tmp_path / "v2" / site / "mod.py")
    assert old.read_text() == f"#!{venv}/bin/python3\nprint()\n"


def test_an_editable_install_is_noticed(tmp_path):
    write(tmp_path / "venv/lib/python3.11/site-packages/distutils-precedence.pth", "import os")
    assert not mentions(tmp_path / "venv", tmp_path / "app")

    write(tmp_path / "venv/lib/python3.11/site-packages/__editable__.x.pth", str(tmp_path / "app/src"))
    assert mentions(tmp_path / "venv", tmp_path / "app")


def test_dependency_folders_are_the_outermost_ones(tmp_path):
    for name in ("node_modules/a/node_modules/b/x", "packages/p/node_modules/c/x", ".venv/pyvenv.cfg", "src/x"):
        write(tmp_path / name)

    assert {str(path) for path in dependency_folders(tmp_path)} == {"node_modules", "packages/p/node_modules", ".venv"}


def test_a_long_or_blank_path_still_starts_its_interpreter():
    assert shebang("/usr/bin/python3") == "#!/usr/bin/python3"
    assert shebang("/my home/python3").startswith("#!/bin/sh\n")
    assert shebang("/" + "x" * 200).startswith("#!/bin/sh\n")
