"""Copies of folder trees: hard links for installed dependencies, real copies for what an application may write.

Package managers replace files instead of writing into them (uv and pnpm share files the same way), so dependency
folders are cheap to clone. The exceptions are copied: dot-folders in node_modules (caches, generated clients) and
the files of a virtual environment that hold absolute paths, which are rewritten.
"""
# ruff: noqa: PTH102, PTH115, PTH116, PTH119, PTH123, PTH211 - thousands of files: strings cost a third of Paths here

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

_TEXT_MAX = 1 << 20  # scripts in a bin folder that are larger are programs, not text
_SHEBANG_MAX = 127  # what every kernel reads; newer ones read 255


def clone_tree(source: Path, target: Path, *, share: bool, moved: Mapping[str, str] | None = None) -> None:
    """Clone the folder `source` as `target` (must not exist), symlinks kept, times and modes too.

    `share` hard-links files; without it only dependency folders inside are shared. `moved` maps absolute folders to
    where they are in the clone: symlinks and the texts of virtual environments that name them are rewritten.
    Sockets, pipes and devices are left out. Raises OSError.
    """
    moved = {str(source): str(target), **(moved or {})}
    # (from, to, share, inside a virtual environment)
    stack = [(os.fspath(source), os.fspath(target), share, False)]
    while stack:
        old, new, shared, in_venv = stack.pop()
        os.mkdir(new, stat.S_IMODE(os.stat(old).st_mode) | stat.S_IRWXU)
        with os.scandir(old) as scan:
            entries = list(scan)
        is_venv = any(entry.name == "pyvenv.cfg" for entry in entries)
        in_venv = in_venv or is_venv
        in_node_modules = os.path.basename(old) == "node_modules"
        shared = shared or is_venv or in_node_modules
        for entry in entries:
            goal = f"{new}/{entry.name}"
            if entry.is_symlink():
                os.symlink(_relocated(os.readlink(entry.path), moved), goal)
            elif entry.is_dir(follow_symlinks=False):
                own = in_node_modules and entry.name.startswith(".") and entry.name != ".pnpm"
                stack.append((entry.path, goal, shared and not own, in_venv))
            elif entry.is_file(follow_symlinks=False):
                own = in_node_modules or (in_venv and _holds_paths(old, entry.name))
                if in_venv and own and _rewrite(entry, goal, moved):
                    continue
                if not shared or own or not _link(entry.path, goal):
                    copy_file(entry.path, goal)


def dependency_folders(app: Path) -> Iterator[Path]:
    """Folders of installed dependencies inside `app` (node_modules, virtual environments), relative, outermost only."""
    for folder, names, files in os.walk(app):
        here = Path(folder)
        if here.name == "node_modules" or ("pyvenv.cfg" in files and here != app):
            names.clear()
            yield here.relative_to(app)
        elif ".git" in names:
            names.remove(".git")


def copy_file(source: str, target: str) -> None:
    """A real copy with mode and times; shares blocks where the file system can."""
    with open(source, "rb", buffering=0) as reader, open(target, "xb", buffering=0) as writer:
        info = os.fstat(reader.fileno())
        if not _copy_range(reader.fileno(), writer.fileno(), info.st_size):
            shutil.copyfileobj(reader, writer, 1 << 20)
        os.fchmod(writer.fileno(), stat.S_IMODE(info.st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        os.utime(writer.fileno(), ns=(info.st_atime_ns, info.st_mtime_ns))


def mentions(venv: Path, folder: Path) -> bool:
    """Whether an installed package of the virtual environment points into `folder`: an editable install."""
    needle = os.fsencode(folder)
    for site in venv.glob("lib/python*/site-packages"):
        for path in (*site.glob("*.pth"), *site.glob("*.egg-link"), *site.glob("__editable__*.py")):
            if needle in path.read_bytes():
                return True
    return False


def shebang(python: str) -> str:
    """The first line of a script for that interpreter, whatever the length of its path and the blanks in it."""
    line = f"#!{python}"
    if len(os.fsencode(line)) <= _SHEBANG_MAX and " " not in python:
        return line
    return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''"


def _copy_range(reader: int, writer: int, size: int) -> bool:
    """False where the kernel or the file system cannot; nothing is written then."""
    if not hasattr(os, "copy_file_range"):
        return False
    copied = 0
    try:
        while count := os.copy_file_range(reader, writer, max(size - copied, 1 << 16)):
            copied += count
    except OSError:
        if copied:
            raise
        return False
    return copied > 0 or size == 0


def _link(source: str, target: str) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, too many links, or links refused: a copy serves
        return False
    return True


def _holds_paths(folder: str, name: str) -> bool:
    """Whether a file of a virtual environment holds absolute paths."""
    return (
        name in {"pyvenv.cfg", "direct_url.json"}
        or name.endswith((".pth", ".egg-link"))
        or (name.startswith("__editable__") and name.endswith(".py"))
        or os.path.basename(folder) == "bin"
    )


def _rewrite(entry: os.DirEntry[str], goal: str, moved: Mapping[str, str]) -> bool:
    """Write `goal` with the paths changed; False where there is nothing to change. The new file's time is now, so
    that no compiled form of the old one fits it.
    """
    info = entry.stat(follow_symlinks=False)
    if info.st_size > _TEXT_MAX:
        return False
    old = Path(entry.path).read_bytes()
    new = old
    for before, after in moved.items():
        if new.startswith(b"#!" + os.fsencode(before)):
            first, _, rest = new.partition(b"\n")
            python = os.fsdecode(first[2:]).replace(before, after, 1)
            new = os.fsencode(shebang(python)) + b"\n" + rest
        new = new.replace(os.fsencode(before), os.fsencode(after))
    if new == old:
        return False
    with open(goal, "xb") as file:
        file.write(new)
        os.fchmod(file.fileno(), stat.S_IMODE(info.st_mode) | stat.S_IRUSR | stat.S_IWUSR)
    return True


def _relocated(link: str, moved: Mapping[str, str]) -> str:
    for before, after in moved.items():
        if link == before or link.startswith(before + "/"):
            return after + link[len(before) :]
    return link
