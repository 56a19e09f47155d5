"""Copy the entries of a folder: links as links, blocks shared where the file system can, nothing else followed."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from engine.source.folder import Check, Entry, unreadable_error

_CHUNK = 1024 * 1024
_NO_SHARING = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF}


def copy_entries(root: Path, entries: Iterable[Entry], tree: Path, check: Check) -> None:
    """Make `tree` a copy of the entries; it must not exist. Entries are in order: folders before what they hold.

    What vanishes or stops being a file meanwhile is left out. Raises DeployError of kind SOURCE naming what cannot
    be read, and OSError when the copy cannot be written.
    """
    unreadable: list[str] = []
    tree.mkdir(mode=0o700)
    for entry in entries:
        check()
        place = tree / entry.path
        if entry.kind == "folder":
            place.mkdir(mode=entry.mode | 0o700)
        elif entry.kind == "link":
            place.symlink_to(entry.link)
        else:
            try:
                reader = os.open(root / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
                    unreadable.append(f"{entry.path}: {error.strerror}")
                continue
            try:
                _copy_file(reader, place, entry.mode)
            finally:
                os.close(reader)
    if unreadable:
        raise unreadable_error(root, unreadable)


def _copy_file(reader: int, place: Path, mode: int) -> None:
    about = os.fstat(reader)
    if not stat.S_ISREG(about.st_mode):
        return
    writer = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode | 0o600)
    try:
        # Its size now: a log that grows all the time would never end.
        _transfer(reader, writer, about.st_size)
    finally:
        os.close(writer)


def _transfer(reader: int, writer: int, size: int) -> None:
    left = size - _share(reader, writer, size)
    while left > 0:
        data = os.read(reader, min(left, _CHUNK))
        if not data:
            return  # it got shorter
        left -= len(data)
        while data:
            data = data[os.write(writer, data) :]


def _share(reader: int, writer: int, size: int) -> int:
    """Let the kernel copy (or, on btrfs, XFS and the like, share) the blocks; the number of bytes it did."""
    if not hasattr(os, "copy_file_range"):
        return 0
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(reader, writer, size - done)
        except OSError as error:
            if error.errno in _NO_SHARING:
                return done
            raise
        if count == 0:
            return done
        done += count
    return done
