"""Work on whole folders, off the event loop; deleting them whatever modes builds gave to what is inside."""

import asyncio
import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from engine.model.ids import new_id

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run blocking work in a thread. When cancelled, the work is finished first: nobody cleans up under its hands."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.gather(work, return_exceptions=True)
        raise


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, whoever else writes it at the same time. Blocks; raises OSError."""
    part = path.with_name(f".{path.name}.{new_id()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def move_tree(source: Path, target: Path) -> None:
    """Move a folder; instant on one file system. Blocks; raises OSError."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(source, target, symlinks=True)
        delete_tree(source)


def delete_tree(folder: Path) -> None:
    """Delete a folder and all in it; nothing happens if there is none. Blocks; raises OSError when something stays."""
    for last in (False, False, True):
        if not folder.is_dir() or folder.is_symlink():
            return
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:  # somebody else deletes it, too
            continue
        except OSError:
            if last:
                raise
            _make_writable(folder)


def _make_writable(folder: Path) -> None:
    """Folders without write or search permission (module caches make them) keep even their owner from deleting."""
    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IRWXU)
    for here, names, _ in os.walk(folder):
        for name in names:
            path = Path(here) / name
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(stat.S_IRWXU)
