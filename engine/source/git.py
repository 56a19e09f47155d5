"""GitSource: branches, revisions, files and clean copies of a Git repository, through the git command."""

import asyncio
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from engine.model.errors import DeployError, Failure, FailureKind
from engine.model.home import Home
from engine.model.version import Revision
from engine.source.commit import Reply, notices_of, parse_commit, parse_replies
from engine.source.location import Location
from engine.source.mirror import Limits, Mirror, UnexplainedError
from engine.source.paths import relative_path
from engine.source.refs import Listing, check_branch, default_branch, missing_branch, parse_listing
from engine.source.staging import staged

T = TypeVar("T")

_BRANCHES_MOST = 200
_DISK_FULL_BYTES = 1024 * 1024
_COMMIT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NO_SUCH_REF = "couldn't find remote ref"


class GitSource:
    """A repository that git can fetch from. It is only ever read: a local one keeps its index, hooks and checkout.

    A commit is copied as a clone would check it out, `export-ignore` or not, except that no filter of anybody's
    configuration (Git LFS among them) and no hook ever runs.
    """

    kind = "git"

    def __init__(self, location: Location, home: Home, *, subfolder: str = "", limits: Limits | None = None) -> None:
        """`subfolder` is where the path that somebody gave lies inside the repository; "" for its root."""
        self.location = location
        self.subfolder = subfolder
        self._mirror = Mirror(location, home, limits or Limits())

    async def default_branch(self) -> str:
        """The empty string when HEAD is detached at a commit that no branch names."""
        listing = await self._listing()
        branch = default_branch(listing)
        if not branch and not listing.head_commit:
            raise missing_branch("", listing, self.location.display)
        return branch

    async def branches(self) -> tuple[str, ...]:
        return tuple(sorted((await self._listing()).branches)[:_BRANCHES_MOST])

    async def resolve(self, branch: str) -> Revision:
        if branch:
            check_branch(branch)
        async with self._mirror.held(exclusive=True):
            return await self._healed(lambda: self._resolve(branch))

    async def read(self, revision: Revision, path: str) -> bytes | None:
        """Links inside the repository are followed. Raises ValueError for a path with `..`."""
        name = relative_path(path)
        if "\n" in name:
            return None
        reply = await self._reading(revision, lambda: self._object(revision, name))
        return reply.content if reply.kind == "blob" else None

    async def names(self, revision: Revision, folder: str) -> tuple[str, ...]:
        """() when there is no such folder."""
        name = relative_path(folder)
        if "\n" in name:
            return ()
        reply = await self._reading(revision, lambda: self._object(revision, name))
        if reply.kind != "tree":
            return ()
        listed = await self._reading(revision, lambda: self._mirror.git("ls-tree", "-z", reply.id))
        entries = [entry.partition(b"\t") for entry in listed.stdout.split(b"\0") if entry]
        return tuple(
            sorted(os.fsdecode(entry) + ("/" if b" blob " not in about else "") for about, _, entry in entries)
        )

    async def export(self, revision: Revision, target: Path) -> None:
        """Raises FileExistsError when `target` exists."""
        async with staged(target) as folder:
            await self._reading(revision, lambda: self._check_out(revision, folder))

    async def forget(self) -> None:
        with suppress(DeployError):
            async with self._mirror.held(exclusive=True):
                await self._mirror.discard()

    async def _listing(self, *more: str) -> Listing:
        arguments = ("ls-remote", "--symref", "--", self.location.url, "HEAD", "refs/heads/*", *more)
        try:
            return parse_listing(self._mirror.checked(await self._mirror.ask_remote(*arguments)).text)
        except UnexplainedError as error:  # our own copy has no part in this
            raise DeployError(error.failure) from None

    async def _healed(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work; when our copy may be to blame for a failure, do it once more with a new one."""
        try:
            return await work()
        except DeployError as error:
            if error.failure.kind is FailureKind.DISK:
                # Half a fetch would go on filling the disk.
                await self._mirror.discard()
            raise
        except UnexplainedError:
            await self._mirror.discard()
        try:
            return await work()
        except UnexplainedError as error:
            raise DeployError(error.failure) from None

    async def _reading(self, revision: Revision, work: Callable[[], Awaitable[T]]) -> T:
        """Do work that needs the revision; when it is not in our copy any more (or that is damaged) fetch it again."""
        if not _COMMIT_ID.fullmatch(revision.id):
            raise ValueError(f"not a commit id: {revision.id!r}")
        try:
            async with self._mirror.held(exclusive=False):
                return await work()
        except UnexplainedError:
            pass

        async def fetched() -> T:
            self._mirror.checked(await self._mirror.fetch(revision.id, f"refs/homerun/commits/{revision.id}"))
            return await work()

        async with self._mirror.held(exclusive=True):
            return await self._healed(fetched)

    async def _resolve(self, branch: str) -> Revision:
        wanted = f"refs/heads/{branch}"
        if not branch:
            listing = await self._listing()
            branch = default_branch(listing)
            if not branch and not listing.head_commit:
                raise missing_branch("", listing, self.location.display)
            wanted = f"refs/heads/{branch}" if branch else "HEAD"
        # A digest, as "a" and "a/b" may both have been branches, but not at the same time.
        kept = f"refs/homerun/{hashlib.sha256(branch.encode()).hexdigest()[:32]}"
        output = await self._mirror.fetch(wanted, kept)
        if not output.ok and _NO_SUCH_REF in "\n".join(output.errors):
            raise missing_branch(branch, await self._listing(f"refs/tags/{branch}"), self.location.display)
        self._mirror.checked(output)
        commit, gitmodules, gitattributes = await self._objects(kept, f"{kept}:.gitmodules", f"{kept}:.gitattributes")
        notices = notices_of(gitmodules.content, gitattributes.content)
        if self.subfolder:
            whole = (
                f"/{self.subfolder} is a folder of the repository {self.location.display}, and the source is all of it"
            )
            notices = (f"{whole}: the source directory says which folder to build.", *notices)
        return parse_commit(commit.id, commit.content, branch, notices)

    async def _objects(self, commit: str, *names: str) -> tuple[Reply, ...]:
        """The objects; those that are not there have kind "missing", except that the commit must be there."""
        asked = "".join(f"{name}\n" for name in (commit, *names)).encode("utf-8", "surrogateescape")
        output = await self._mirror.git("cat-file", "--batch", "--follow-symlinks", stdin=asked)
        try:
            replies = parse_replies(output.stdout)
        except ValueError:
            replies = ()
        if len(replies) != 1 + len(names) or replies[0].kind != "commit":
            raise UnexplainedError(
                Failure(
                    kind=FailureKind.SOURCE,
                    message=f"The commit {commit} of {self.location.display} cannot be read.",
                    evidence=output.errors,
                )
            )
        return replies

    async def _object(self, revision: Revision, name: str) -> Reply:
        return (await self._objects(revision.id, f"{revision.id}:{name}"))[1]

    async def _check_out(self, revision: Revision, folder: Path) -> None:
        """read-tree with an index of its own is `git checkout` without the hooks, HEAD and everything to undo."""
        tree, index = folder / "tree", folder / "index"
        await asyncio.to_thread(_empty, tree, index)
        variables = {"GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(index)}
        try:
            await self._mirror.git("read-tree", "--reset", "-u", revision.id, extra=variables)
        except (DeployError, UnexplainedError):
            # "unable to write file" is all that git says here, whatever the reason.
            if (await asyncio.to_thread(shutil.disk_usage, folder)).free < _DISK_FULL_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
            raise


def _empty(tree: Path, index: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    index.unlink(missing_ok=True)
    tree.mkdir(mode=0o700)
