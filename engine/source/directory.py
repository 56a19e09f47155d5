"""DirectorySource: a plain folder that is no repository. Its revision is a fingerprint of what it holds."""

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engine.model.errors import DeployError, FailureKind
from engine.model.home import Home
from engine.model.version import Revision
from engine.source.copying import copy_entries
from engine.source.fingerprint import fingerprint
from engine.source.folder import Check, list_names, scan
from engine.source.paths import relative_path
from engine.source.staging import staged

T = TypeVar("T")

_READ_MOST = 64 * 1024 * 1024


class DirectorySource:
    """A folder as it is now. It has one revision, the present one: an export copies what is there at that time.

    Left out is what a build makes anew or no build wants: .git, __pycache__, virtual environments, node_modules
    beside a package.json, sockets, pipes, devices, and Homerun's own data folder should it lie inside.
    """

    kind = "directory"
    subfolder = ""

    def __init__(self, root: Path, home: Home) -> None:
        """`root` is absolute and real."""
        self.root = root
        self._home = home
        self._cache = home.cache / "folders" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.msgpack"

    async def default_branch(self) -> str:
        return ""

    async def branches(self) -> tuple[str, ...]:
        return ()

    async def resolve(self, branch: str) -> Revision:  # noqa: ARG002 - a folder has no branches
        return await _in_thread(self._resolve)

    async def read(self, revision: Revision, path: str) -> bytes | None:  # noqa: ARG002 - there is only the present
        """Links inside the folder are followed. Raises ValueError for a path with `..`."""
        return await asyncio.to_thread(self._read, relative_path(path))

    async def names(self, revision: Revision, folder: str) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """() when there is no such folder."""
        return await asyncio.to_thread(self._names, relative_path(folder))

    async def export(self, revision: Revision, target: Path) -> None:  # noqa: ARG002 - as above
        """Raises FileExistsError when `target` exists."""
        async with staged(target) as folder:
            await _in_thread(lambda check: self._copy(folder, check))

    async def forget(self) -> None:
        """Nothing of the folder itself is kept."""

    def _resolve(self, check: Check) -> Revision:
        entries = scan(self.root, skip=_identities(self._home.path), check=check)
        newest = max((entry.modified_ns for entry in entries), default=None)
        return Revision(
            id="dir-" + fingerprint(self.root, entries, self._cache, check),
            kind="directory",
            at=None if newest is None else newest / 1e9,
        )

    def _copy(self, folder: Path, check: Check) -> None:
        entries = scan(self.root, skip=_identities(self._home.path, folder), check=check)
        copy_entries(self.root, entries, folder / "tree", check)

    def _read(self, path: str) -> bytes | None:
        place = self._inside(path)
        if place is None:
            return None
        try:
            if not place.is_file():
                return None
            with place.open("rb") as file:
                content = file.read(_READ_MOST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DeployError.of(FailureKind.SOURCE, f"{place} cannot be read: {error.strerror}.") from None
        if len(content) > _READ_MOST:
            raise DeployError.of(FailureKind.SOURCE, f"{place} is larger than {_READ_MOST // 1024**2} MiB.")
        return content

    def _names(self, folder: str) -> tuple[str, ...]:
        place = self._inside(folder)
        if place is None:
            return ()
        try:
            return tuple(sorted(name + "/" * _is_folder(place / name) for name in list_names(place)))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise DeployError.of(FailureKind.SOURCE, f"{place} cannot be read: {error.strerror}.") from None

    def _inside(self, path: str) -> Path | None:
        """The real place of a relative path, None when links lead out of the folder."""
        place = Path(os.path.realpath(self.root / path))
        return place if place.is_relative_to(self.root) else None


def _is_folder(place: Path) -> bool:
    try:
        return stat.S_ISDIR(place.lstat().st_mode)
    except OSError:  # gone meanwhile
        return False


def _identities(*folders: Path) -> frozenset[tuple[int, int]]:
    found = set()
    for folder in folders:
        try:
            about = folder.stat()
        except OSError:
            continue
        found.add((about.st_dev, about.st_ino))
    return frozenset(found)


class _Cancelled(Exception):  # noqa: N818 - never an error: how a thread learns that nobody waits for it
    pass


async def _in_thread(work: Callable[[Check], T]) -> T:
    """Run work in a thread. When cancelled, its next `check` ends it, and it has ended when this returns."""
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise _Cancelled

    task = asyncio.ensure_future(asyncio.to_thread(work, check))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen: nobody waits for it
        raise
