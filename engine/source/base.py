"""The protocol every kind of source keeps."""

from pathlib import Path
from typing import Protocol

from engine.model.version import Revision


class Source(Protocol):
    """A place that versions come from. Methods raise DeployError of kind SOURCE (or DISK)."""

    kind: str
    """"git" or "directory"."""

    subfolder: str
    """Where the path that was given lies inside the repository that is the source ("services/api"); "" for its root."""

    async def default_branch(self) -> str:
        """The branch a plain clone would check out; "" for a directory."""
        ...

    async def branches(self) -> tuple[str, ...]:
        """At most 200 names, sorted."""
        ...

    async def resolve(self, branch: str) -> Revision:
        """The newest revision of the branch ("" for the default one), fetched so that `export` needs no network.

        A missing branch says which ones there are.
        """
        ...

    async def read(self, revision: Revision, path: str) -> bytes | None:
        """One file of the revision, None when absent; `path` is relative, without `..`."""
        ...

    async def names(self, revision: Revision, folder: str) -> tuple[str, ...]:
        """The entries of one folder of the revision ("" for the root), folders with a trailing slash."""
        ...

    async def export(self, revision: Revision, target: Path) -> None:
        """A clean copy of the revision in `target` (created; must not exist): no .git, no hooks run, symlinks that
        would leave the copy refused. All or nothing: a failed export leaves no `target`.
        """
        ...

    async def forget(self) -> None:
        """Throw away what is cached for it; using it again fetches it again. Raises nothing."""
        ...
