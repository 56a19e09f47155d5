"""What a plain folder holds, apart from what a build makes anew. Walks without following links or opening files."""

import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind

BYTES_MOST = 2 * 1024**3
FILES_MOST = 200_000
_NAMED = 10

Check = Callable[[], None]
"""Called now and then by long work in a thread; raises when the work should end."""


class Entry(Value, frozen=True, kw_only=True):
    """One thing in a folder."""

    path: str
    """Relative to the root."""
    kind: str
    """"file", "folder" or "link"."""
    mode: int
    """Permission bits; 0 for a link, where systems disagree."""
    size: int
    modified_ns: int
    changed_ns: int
    """ctime: moves on even when somebody sets the modification time back."""
    inode: int
    link: str = ""
    """What a link says."""


def scan(root: Path, *, skip: Collection[tuple[int, int]], check: Check) -> tuple[Entry, ...]:
    """Everything under root, sorted by path. Sockets, pipes, devices and what vanishes meanwhile are left out.

    `skip` holds (device, inode) of folders to leave out: a home or a copy may lie inside its own source.
    Raises DeployError of kind SOURCE when there is too much, or something cannot be read.
    """
    found: list[Entry] = []
    unreadable: list[str] = []
    sizes: dict[str, int] = {}
    total = 0
    folders = [""]
    while folders:
        inside = folders.pop()
        check()
        try:
            names = list_names(root / inside)
        except FileNotFoundError:
            if not inside:
                raise DeployError.of(FailureKind.SOURCE, f"There is no folder {root} any more.") from None
            continue
        except OSError as error:
            unreadable.append(f"{inside or '.'}: {error.strerror}")
            continue
        for name in names:
            path = f"{inside}/{name}" if inside else name
            entry = _entry(root, path, skip)
            if entry is None:
                continue
            found.append(entry)
            if entry.kind == "folder":
                folders.append(path)
                continue
            total += entry.size
            top = path.partition("/")[0]
            sizes[top] = sizes.get(top, 0) + entry.size
            if total > BYTES_MOST or len(found) > FILES_MOST:
                raise _too_much(root, sizes, len(found), total)
    if unreadable:
        raise unreadable_error(root, unreadable)
    return tuple(sorted(found, key=lambda entry: os.fsencode(entry.path)))


def list_names(folder: Path) -> list[str]:
    """The names in a folder that belong to a source: not what Git keeps or a build makes anew."""
    names = [place.name for place in folder.iterdir()]
    made = {".git", "__pycache__"}
    if "package.json" in names:
        made.add("node_modules")
    return [name for name in names if name not in made]


def _entry(root: Path, path: str, skip: Collection[tuple[int, int]]) -> Entry | None:
    place = f"{root}/{path}"
    try:
        about = os.lstat(place)
        link = os.readlink(place) if stat.S_ISLNK(about.st_mode) else ""  # noqa: PTH115 - a Path would tidy the text
    except OSError:  # gone, or no longer a link
        return None
    if stat.S_ISDIR(about.st_mode):
        # A virtual environment is known by this file, whatever its name. os.path, as it says no where Path raises.
        if (about.st_dev, about.st_ino) in skip or os.path.exists(f"{place}/pyvenv.cfg"):  # noqa: PTH110
            return None
        kind = "folder"
    elif stat.S_ISREG(about.st_mode):
        kind = "file"
    elif link:
        kind = "link"
    else:
        return None
    return Entry(
        path=path,
        kind=kind,
        mode=0 if kind == "link" else stat.S_IMODE(about.st_mode) & 0o777,
        size=about.st_size if kind == "file" else 0,
        modified_ns=about.st_mtime_ns,
        changed_ns=about.st_ctime_ns,
        inode=about.st_ino,
        link=link,
    )


def unreadable_error(root: Path, lines: list[str]) -> DeployError:
    """`lines` are "path: reason"."""
    count = "One thing" if len(lines) == 1 else f"{len(lines)} things"
    return DeployError.of(
        FailureKind.SOURCE,
        f"{count} in the folder {root} cannot be read: {lines[0]}.",
        evidence=tuple(lines[:_NAMED]),
        hint="Make it readable for the user that Homerun runs as, or move it out of the folder.",
    )


def _too_much(root: Path, sizes: dict[str, int], count: int, total: int) -> DeployError:
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    many = f"more than {FILES_MOST:,} files" if count > FILES_MOST else f"more than {BYTES_MOST // 1024**3} GiB"
    return DeployError.of(
        FailureKind.SOURCE,
        f"The folder {root} holds {many}, which is too much to deploy.",
        evidence=tuple(f"{name}: {size / 1024**2:,.0f} MiB" for name, size in largest if size * 20 > total),
        hint="Give the folder of the application itself, or put it into a Git repository and leave the data out.",
    )
