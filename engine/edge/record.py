"""The edge's record on disk and the private folder for its socket: how an engine finds an edge that outlived one."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.model.base import Value


class EdgeRecord(Value, frozen=True, kw_only=True):
    """Written once the edge listens, removed when it ends; a killed one leaves it behind."""

    pid: int
    started_at: float
    """Of that pid, as psutil's `create_time()` gives it."""
    address: str
    control: str
    """Path of the control socket."""


def write_record(path: Path, record: EdgeRecord) -> None:
    """Replace the record as a whole, mode 0600."""
    fresh = path.with_name(f"{path.name}.{record.pid}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(record) + b"\n")
    fresh.replace(path)


def read_record(path: Path) -> EdgeRecord | None:
    """None where there is none, or nothing that reads as one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=EdgeRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def remove_record(path: Path, pid: int) -> None:
    """Remove the record if it is that process's own."""
    record = read_record(path)
    if record is not None and record.pid == pid:
        with suppress(OSError):
            path.unlink()


def private_folder(path: Path) -> None:
    """Make the folder and its missing parents, mode 0700. Raises OSError, also where others could get in."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    details = path.lstat()
    if not stat.S_ISDIR(details.st_mode) or details.st_uid != os.getuid():
        raise PermissionError(f"{path} is not a folder of this user, so no socket can be put there safely.")
    if stat.S_IMODE(details.st_mode) != 0o700:
        path.chmod(0o700)
    above = path.parent.stat()
    shared = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX
    if shared or above.st_uid not in {os.getuid(), 0}:
        raise PermissionError(f"{path.parent} can be changed by others, so no socket can be put below it safely.")


def own_start_time() -> float:
    """When this process started, as psutil's `create_time()` gives it; without psutil where /proc can tell."""
    own = Path("/proc/self/stat")
    if own.exists():
        fields = own.read_bytes().rpartition(b")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_bytes().splitlines() if line.startswith(b"btime"))
        return float(fields[19]) / os.sysconf("SC_CLK_TCK") + float(boot.split()[1])
    import psutil

    return psutil.Process().create_time()
