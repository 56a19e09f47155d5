"""Small files that only their owner may read: written whole or not at all. Blocking; they are few and small."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def create_once(path: Path, content: bytes) -> None:
    """Write the file unless it exists: never half, never twice; whoever comes first wins. Raises OSError."""
    with _draft(path, content) as draft, contextlib.suppress(FileExistsError):
        os.link(draft, path)


def replace_whole(path: Path, content: bytes) -> None:
    """Put the file in the place of what is there. Raises OSError."""
    with _draft(path, content) as draft:
        draft.replace(path)


@contextlib.contextmanager
def _draft(path: Path, content: bytes) -> Iterator[Path]:
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
