"""The claim on a home: one engine at a time, held by a lock that the kernel gives back whatever happens."""

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import Self

import msgspec

from engine.model.base import Value
from engine.model.errors import HomerunError
from engine.model.home import Home

_ATTEMPTS = 5
_RETRY_S = 0.02


class EngineRecord(Value, frozen=True, kw_only=True):
    """The ready line of the engine that owns a home, and when it started (seconds since the epoch)."""

    ready: bool = True
    home: str
    api: str
    """http://HOST:PORT."""
    edge: str
    """http://HOST:PORT."""
    socket: str
    pid: int
    started_at: float


class HomeInUse(HomerunError):  # noqa: N818 - named for what it says
    """Another engine owns the home; `record` says which, None while it is still starting."""

    def __init__(self, home: Home, record: EngineRecord | None) -> None:
        who = f"by process {record.pid}" if record else "by another Homerun that is just starting"
        super().__init__(f"{home.path} is in use {who}.")
        self.record = record


class HomeUnusable(HomerunError):  # noqa: N818 - named for what it says
    """The home's folder cannot be used for a reason that the user can act on."""


class Claim:
    """Holds a home until released. Its folders exist, and only their owner may look into them."""

    def __init__(self, home: Home, descriptor: int) -> None:
        self._home = home
        self._descriptor = descriptor

    @classmethod
    def take(cls, home: Home) -> Self:
        """Claim the home, making its folders where they are missing. Quick, and blocks only for the disk.

        Raises HomeInUse, HomeUnusable.
        """
        try:
            _make_home(home.path)
            descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock(home, descriptor)
                home.engine_record.unlink(missing_ok=True)  # of an engine that was killed
                for folder in (home.engine_log.parent, home.credentials.parent, home.sockets):
                    _make_private(folder)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise _unusable(home, error) from error
        return cls(home, descriptor)

    def announce(self, record: EngineRecord) -> None:
        """Write the record, whole or not at all. Raises HomeUnusable."""
        path = self._home.engine_record
        try:
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".engine-")  # 0600
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(record) + b"\n")
                Path(draft).replace(path)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unusable(self._home, error) from error

    def release(self) -> None:
        """Give the home back: no record, no socket, no lock."""
        with contextlib.suppress(OSError):
            self._home.engine_record.unlink(missing_ok=True)
        os.close(self._descriptor)


def read_record(home: Home) -> EngineRecord | None:
    """The record of the engine that owns the home, or last did; None when there is none."""
    try:
        return msgspec.json.decode(home.engine_record.read_bytes(), type=EngineRecord)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _lock(home: Home, descriptor: int) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            record = read_record(home)
            if record is not None or attempt == _ATTEMPTS - 1:
                raise HomeInUse(home, record) from None
            time.sleep(_RETRY_S)  # without a record it may be about to let go
        else:
            return


def _make_home(path: Path) -> None:
    """The home itself is made private when it is new; a folder with things of the user's is not touched."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.scandir(path) as entries:
        is_new = next(entries, None) is None
    if is_new:
        path.chmod(0o700)


def _make_private(folder: Path) -> None:
    """Make a folder (and its parent) 0700; one that belongs to somebody else, as it can in /tmp, is refused."""
    for each in (folder.parent, folder):
        each.mkdir(mode=0o700, exist_ok=True)
    for each in (folder.parent, folder):
        status = each.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            raise HomeUnusable(f"{each} belongs to somebody else: remove it, or choose another home.")
    folder.chmod(0o700)


def _unusable(home: Home, error: OSError) -> HomeUnusable:
    match error.errno:
        case errno.EROFS | errno.EACCES | errno.EPERM:
            reason = "it cannot be written to"
            remedy = "choose another folder with --home, or change its permissions"
        case errno.ENOSPC | errno.EDQUOT:
            reason, remedy = "the disk is full", "free some space"
        case errno.ENOTDIR | errno.EEXIST:
            reason, remedy = "it is not a folder", "choose another one with --home"
        case errno.ENOLCK | errno.ENOTSUP:
            reason, remedy = "its file system has no locks", "choose another folder with --home"
        case errno.ENOENT:
            reason, remedy = "it cannot be made there", "choose another folder with --home"
        case _:
            reason, remedy = (error.strerror or str(error)), "choose another folder with --home"
    return HomeUnusable(f"{home.path} cannot be used as a home, because {reason}: {remedy}.")
