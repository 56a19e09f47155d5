"""Paths inside a source, as callers write them. Pure."""

from pathlib import PurePosixPath


def relative_path(path: str) -> str:
    """Turn "/a//b/./c" into "a/b/c" and "/" into "". Raises ValueError for one with `..` or a NUL."""
    parts = PurePosixPath(path.lstrip("/")).parts
    if ".." in parts or "\0" in path:
        raise ValueError(f"not a path inside a source: {path!r}")
    return "/".join(parts)
