"""From a RepositoryUrl to a Source: the one place that decides which kind it is."""

import re
from pathlib import Path

from engine.model.errors import DeployError, FailureKind
from engine.model.home import Home
from engine.source.base import Source
from engine.source.directory import DirectorySource
from engine.source.git import GitSource
from engine.source.location import Location, parse_location
from engine.source.worktree import find_repository, is_committed, is_risky

_HOST_FIRST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}/[^/]+/[^/]+.*", re.IGNORECASE)


def open_source(repository_url: str, home: Home) -> Source:
    """The source that a RepositoryUrl names. Raises DeployError of kind SOURCE when it is not allowed or not there.

    Nothing is fetched. A path is looked up on this machine, a relative one from the current folder: call it in a
    thread (`asyncio.to_thread(open_source, …)`) where that must not block.
    """
    location = parse_location(repository_url)
    if not location.is_local:
        return GitSource(location, home)
    folder = _existing_folder(location)
    try:
        repository = find_repository(folder)
    except OSError as error:
        raise _unusable(location, error.strerror) from None
    if repository is None or (repository.subfolder and not is_committed(repository)):
        return DirectorySource(folder, home)
    if is_risky(repository):
        raise DeployError.of(
            FailureKind.SOURCE,
            f"The repository {repository.root} belongs to another user and its configuration could run commands.",
            hint="Clone it yourself and deploy your clone.",
        )
    return GitSource(Location(protocol="file", url=str(repository.root)), home, subfolder=repository.subfolder)


def _existing_folder(location: Location) -> Path:
    """The real, absolute path of a local location."""
    try:
        folder = Path(location.url).expanduser().resolve(strict=True)
        is_folder = folder.is_dir()
    except FileNotFoundError:
        is_address = _HOST_FIRST.fullmatch(location.url)
        raise DeployError.of(
            FailureKind.SOURCE,
            f"There is no folder {location.url}.",
            hint=f"Did you mean https://{location.url}?" if is_address else "Check the path, or give a repository URL.",
        ) from None
    except RuntimeError:  # pathlib's, for an unknown user and, before Python 3.13, for a circle of links
        reason = "there is no user of that name" if location.url.startswith("~") else "its links lead in a circle"
        raise DeployError.of(
            FailureKind.SOURCE, f"The folder {location.url} cannot be opened: {reason}.", hint="Check the path."
        ) from None
    except OSError as error:
        raise _unusable(location, error.strerror) from None
    if not is_folder:
        raise DeployError.of(
            FailureKind.SOURCE,
            f"{location.url} is a file, not a folder.",
            hint="Give the folder or repository it is in.",
        )
    return folder


def _unusable(location: Location, reason: str | None) -> DeployError:
    return DeployError.of(
        FailureKind.SOURCE, f"The folder {location.url} cannot be opened: {reason}.", hint="Check its permissions."
    )
