"""A copy that appears whole or not at all: made in a hidden folder beside its place, checked, then renamed."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from engine.model.errors import DeployError, FailureKind
from engine.source.trouble import disk_failure

_NAMED = 10


@asynccontextmanager
async def staged(target: Path) -> AsyncIterator[Path]:
    """Yields an empty private folder; what the body leaves in its `tree` becomes `target`.

    Raises FileExistsError when there is a target already, DeployError of kind DISK when the disk refuses, and of
    kind SOURCE when a symbolic link leads out of the tree. On any failure nothing is left behind.
    """
    folder = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        await asyncio.to_thread(_begin, folder, target)
        yield folder
        await asyncio.to_thread(_finish, folder, target)
    except FileExistsError:
        raise
    except OSError as error:
        raise disk_failure(error, f"writing {target}") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _begin(folder: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists already")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)


def _finish(folder: Path, target: Path) -> None:
    tree = folder / "tree"
    if leaving := escaping_links(tree):
        raise DeployError.of(
            FailureKind.SOURCE,
            f"The symbolic link {leaving[0][0]} leads out of the source, to {leaving[0][1]}.",
            evidence=tuple(f"{name} -> {place}" for name, place in leaving[:_NAMED]),
            hint="Replace it with a copy, or with a relative link to something inside the source.",
        )
    tree.rename(target)


def escaping_links(root: Path) -> tuple[tuple[str, str], ...]:
    """Every symbolic link under root that is absolute or resolves to a place outside: (relative path, its text)."""
    real = os.path.realpath(root)
    inside = real + os.sep
    found: list[tuple[str, str]] = []
    folders = [real]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    text = os.readlink(entry.path)  # noqa: PTH115 - a Path would tidy the text
                    resolved = os.path.realpath(entry.path)
                    if text.startswith("/") or not (resolved == real or resolved.startswith(inside)):
                        found.append((os.path.relpath(entry.path, real), text))
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return tuple(sorted(found))
