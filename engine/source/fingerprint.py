"""A folder's fingerprint: equal for equal paths, permissions and contents. Remembers digests of unchanged files."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.source.folder import Check, Entry, unreadable_error

_SETTLED_NS = 2_000_000_000
"""A file touched more recently may change once more without its times showing it."""

Stamp = tuple[int, int, int, int]
Known = dict[str, tuple[Stamp, bytes]]
"""Size, mtime, ctime and inode of a file, and the SHA-256 of what it held then; by path."""


def fingerprint(root: Path, entries: Iterable[Entry], cache: Path, check: Check) -> str:
    """64 hex characters. Raises DeployError of kind SOURCE naming the files that cannot be read.

    Files that vanish meanwhile do not count. `cache` is a file, made when it is not there.
    """
    known = _load(cache)
    fresh: Known = {}
    unreadable: list[str] = []
    now_ns = time.time_ns()
    total = hashlib.sha256()
    for entry in entries:
        content = os.fsencode(entry.link)
        if entry.kind == "file":
            check()
            stamp = (entry.size, entry.modified_ns, entry.changed_ns, entry.inode)
            before = known.get(entry.path)
            if before is not None and before[0] == stamp:
                content = before[1]
            else:
                try:
                    content = _digest(root / entry.path)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    unreadable.append(f"{entry.path}: {error.strerror}")
                    continue
            if now_ns - max(entry.modified_ns, entry.changed_ns) > _SETTLED_NS:
                fresh[entry.path] = (stamp, content)
        line = f"{entry.kind} {entry.mode:o} {entry.size} ".encode() + os.fsencode(entry.path)
        total.update(b"%d:%b%d:%b" % (len(line), line, len(content), content))
    if unreadable:
        raise unreadable_error(root, unreadable)
    if fresh != known:
        _save(cache, fresh)
    return total.hexdigest()


def _digest(path: Path) -> bytes:
    # Not a pipe that took the file's place, which would block, nor a link.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
        return hashlib.file_digest(file, "sha256").digest()


def _load(cache: Path) -> Known:
    try:
        return msgspec.msgpack.decode(cache.read_bytes(), type=Known)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _save(cache: Path, known: Known) -> None:
    # Only ever a saving of time: without it the next fingerprint reads everything again.
    draft = cache.with_name(f".{cache.name}.{secrets.token_hex(4)}")
    with suppress(OSError, UnicodeEncodeError):
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(msgspec.msgpack.encode(known))
        draft.replace(cache)
    with suppress(OSError):
        draft.unlink(missing_ok=True)
