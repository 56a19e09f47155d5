"""The build context: the source and what the build needs besides, as one tar file that is thrown away afterwards."""

import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

_LONG = 1 << 20
"""Bytes of a .dockerignore that are read."""
_NOBODYS = "homerun.Dockerfile"


def pack(source: Path, paths: Iterable[str], inside: str, files: Mapping[str, bytes], scratch: Path) -> BinaryIO:
    """An open, unnamed file with the tar; close it when it was sent. Blocks; raises OSError.

    The `paths` of the source go under `inside` ("" for the root); `files` as they are. Everything belongs to root in
    there, modes and links stay.
    """
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - the caller closes it
    try:
        # Engines tell a tar from a Dockerfile by its first bytes, and do not know those of the POSIX format.
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
            if inside:
                folder = tarfile.TarInfo(inside)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            for path in paths:
                name = f"{inside}/{path}" if inside else path
                tar.add(source / path, arcname=name, recursive=False, filter=_root_owned)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def wanted(source: Path, dockerfile: str = "") -> list[str]:
    """The paths that belong into the context, folders before what is in them. Blocks; raises OSError.

    What the .dockerignore leaves out is not among them, save the `dockerfile` itself; as with the docker command one
    that is named after the Dockerfile goes first.
    """
    patterns = _patterns(source, dockerfile)
    if not patterns:
        return sorted(_everything(source))
    from docker.utils.build import exclude_paths  # takes a moment to import

    kept = set(exclude_paths(os.fspath(source), patterns, dockerfile or _NOBODYS))
    with_folders = {parent for path in kept for parent in _parents(path)}
    return sorted(path for path in kept | with_folders if path)


def _patterns(source: Path, dockerfile: str) -> list[str]:
    own = (f"{dockerfile}.dockerignore",) if dockerfile else ()
    for name in (*own, ".dockerignore"):
        try:
            with (source / name).open("rb") as file:
                lines = file.read(_LONG).decode("utf-8-sig", "replace").splitlines()
        except OSError:
            continue
        return [line.strip() for line in lines if line.strip(" \t!") and not line.startswith("#")]
    return []


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _everything(source: Path) -> list[str]:
    found = []
    for here, folders, names in os.walk(source):
        relative = os.path.relpath(here, source)
        prefix = "" if relative == "." else f"{relative}/"
        found += [f"{prefix}{name}" for name in (*folders, *names)]
    return found


def _root_owned(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
