"""Repositories on this machine: which one a folder belongs to. Looks at files; runs git only to ask what is tracked."""

import os
import subprocess
from pathlib import Path

from engine.model.base import Value
from engine.source.environment import offline_environment

_ASK_LIMIT_S = 10.0
_RISKY = (b"promisor", b"partialclone", b"include")


class Repository(Value, frozen=True, kw_only=True):
    """A repository that a folder belongs to."""

    root: Path
    """The top of the work tree, or the bare repository itself. What git fetches from."""
    git_dir: Path
    """`.git` (a folder, or the file of a linked work tree), or the bare repository."""
    subfolder: str = ""
    """The folder asked for, relative to the root; "" for the root."""


def find_repository(folder: Path) -> Repository | None:
    """The innermost repository around an absolute folder, None for a plain folder."""
    if _is_git_dir(folder):
        return Repository(root=folder, git_dir=folder)
    for root in (folder, *folder.parents):
        marker = root / ".git"
        if marker.is_file() or _is_git_dir(marker):
            subfolder = folder.relative_to(root).as_posix()
            return Repository(root=root, git_dir=marker, subfolder="" if subfolder == "." else subfolder)
    return None


def _is_git_dir(folder: Path) -> bool:
    return os.path.lexists(folder / "HEAD") and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def is_committed(repository: Repository) -> bool:
    """Whether the newest commit holds anything of the subfolder. One that holds nothing is a plain folder that
    only happens to lie there: a build result, or a project below a home folder that is a repository itself.
    """
    try:
        answer = subprocess.run(
            ["git", "ls-tree", "--full-tree", "-z", "HEAD", "--", repository.subfolder],
            env=offline_environment(os.environ) | {"GIT_DIR": str(repository.git_dir)},
            cwd=repository.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_ASK_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return answer.returncode != 0 or bool(answer.stdout)


def is_risky(repository: Repository) -> bool:
    """Whether reading it could run what its owner, somebody else, put into its configuration.

    upload-pack of older Git versions completes a partial clone with the command that the repository names.
    """
    try:
        if repository.git_dir.stat().st_uid in {os.geteuid(), 0}:
            return False
        if repository.git_dir.is_file():
            return True  # its configuration is elsewhere
        configuration = (repository.git_dir / "config").read_bytes().lower()
    except OSError:
        return False
    return any(word in configuration for word in _RISKY)
