"""A bare repository in the home that keeps what was fetched from one location; thrown away when it is damaged."""

import asyncio
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from engine.model.base import Value
from engine.model.errors import DeployError, Failure
from engine.model.home import Home
from engine.source.command import Output, run_git
from engine.source.environment import LOCAL_CONFIG, local_environment, network_environment, offline_environment
from engine.source.location import Location
from engine.source.trouble import disk_failure, known_failure, unknown_failure

_LOCK_POLL_S = 0.02
_LOOSE_MOST = 27  # of 256 folders: about 7,000 objects, git's own threshold
_PACKS_MOST = 50
_FETCH = (
    "fetch",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--force",
    "--update-shallow",
    "--progress",
)


class Limits(Value, frozen=True, kw_only=True):
    """How long git may take, in seconds."""

    stall_s: float = 60.0
    """Without a byte from a remote host."""
    network_s: float = 1800.0
    local_s: float = 600.0


class UnexplainedError(Exception):
    """Git failed in a way that may be our own copy's fault: worth one try with a new one."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Mirror:
    """The cached copy of one location. Services that deploy from the same place share it."""

    def __init__(self, location: Location, home: Home, limits: Limits) -> None:
        key = hashlib.sha256(location.url.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self.folder = home.mirrors / f"{key}.git"
        self._location = location
        self._limits = limits
        self._lock = home.mirrors / f"{key}.lock"
        self._local_config = home.mirrors / "local.gitconfig"

    @asynccontextmanager
    async def held(self, *, exclusive: bool) -> AsyncIterator[None]:
        """Keep other tasks and other processes from changing it (or, exclusive, from reading it too).

        flock on an open file of one's own does both. It is tried again and again rather than waited for, so that
        it can be cancelled.
        """
        await self._prepare()
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            while True:
                try:
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)

    async def _prepare(self) -> None:
        try:
            await asyncio.to_thread(self._prepare_folder)
        except OSError as error:
            raise disk_failure(error, f"preparing {self.folder.parent}") from error

    def _prepare_folder(self) -> None:
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.touch(mode=0o600)
        if self._location.is_local:
            _settle(self._local_config, LOCAL_CONFIG)

    async def ask_remote(self, *arguments: str) -> Output:
        """Run a git command that reads the location. Returns whatever git says; `checked` judges it."""
        await self._prepare()
        if self._location.is_local:
            environment = local_environment(os.environ, self._local_config)
            limit_s, stall_s = self._limits.local_s, None
        else:
            environment = network_environment(os.environ, self._location)
            limit_s, stall_s = self._limits.network_s, self._limits.stall_s
        # The home may lie inside somebody's work tree, whose configuration is none of our business.
        environment["GIT_CEILING_DIRECTORIES"] = str(self.folder.parent.parent)
        return await run_git(
            arguments, environment=environment, folder=self.folder.parent, limit_s=limit_s, stall_s=stall_s
        )

    async def git(self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> Output:
        """Run a git command on the mirror alone. Raises DeployError or UnexplainedError when it fails."""
        environment = self._offline() | dict(extra or {})
        output = await run_git(
            arguments,
            environment=environment,
            folder=self.folder.parent,
            stdin=stdin,
            limit_s=self._limits.local_s,
        )
        return self.checked(output)

    def _offline(self) -> dict[str, str]:
        return offline_environment(os.environ) | {"GIT_DIR": str(self.folder)}

    def checked(self, output: Output) -> Output:
        if output.ok:
            return output
        if failure := known_failure(output, self._location):
            raise DeployError(failure)
        raise UnexplainedError(unknown_failure(output, self._location))

    async def fetch(self, wanted: str, into: str) -> Output:
        """Fetch a ref or a commit into a ref of ours, without its history. The caller holds it exclusively.

        Returns whatever git says: a failure is the caller's to judge.
        """
        if not self.folder.exists():
            await self._create("sha1")
        output = await self._fetch(wanted, into, "--depth=1")
        said = "\n".join(output.errors)
        if not output.ok and "mismatched algorithms" in said:
            await self.discard()
            await self._create("sha256")
            output = await self._fetch(wanted, into, "--depth=1")
        elif not output.ok and "shallow" in said:
            # Plain web servers, and a few Git servers, know no shallow fetch: take the whole history.
            output = await self._fetch(wanted, into)
        if output.ok:
            await self._tidy()
        return output

    async def _fetch(self, wanted: str, into: str, *options: str) -> Output:
        where = f"--git-dir={self.folder}"
        return await self.ask_remote(where, *_FETCH, *options, "--", self._location.url, f"+{wanted}:{into}")

    async def _create(self, object_format: str) -> None:
        options = ("--quiet", "--bare", "--template=", f"--object-format={object_format}")
        await self.git("init", *options, "--", str(self.folder))
        await asyncio.to_thread(self._describe)

    def _describe(self) -> None:
        self.folder.chmod(0o700)
        (self.folder / "description").write_text(f"Homerun's copy of {self._location.display}\n")

    async def discard(self) -> None:
        """Throw it away; the next fetch makes a new one. The caller holds it exclusively."""
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _tidy(self) -> None:
        """Pack when small fetches have piled up. Its failure matters to nobody: the next fetch will try again."""
        if await asyncio.to_thread(self._is_untidy):
            await run_git(
                ("gc", "--quiet"),
                environment=self._offline(),
                folder=self.folder.parent,
                limit_s=self._limits.local_s,
            )

    def _is_untidy(self) -> bool:
        objects = self.folder / "objects"
        return _count(objects / "17") > _LOOSE_MOST or _count(objects / "pack") > 2 * _PACKS_MOST


def _settle(path: Path, text: str) -> None:
    """Make the file hold the text, at once or not at all."""
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def _count(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except FileNotFoundError:
        return 0
