"""What surrounds an install command: the little of a source that decides whether it could run before the rest. Pure."""

import re
from collections.abc import Mapping

from engine.model.base import Value

Needs = frozenset[str]
"""Files that a command needs, relative to the source directory."""


class Surroundings(Value, frozen=True, kw_only=True):
    """A source directory as the build context has it, without what .dockerignore leaves out."""

    files: Mapping[str, str] = {}
    """Path to text of what may decide dependencies; only files that were read whole, no links."""
    names: frozenset[str] = frozenset()
    """Everything right in it."""
    above: frozenset[str] = frozenset()
    """Everything right in the folders above it, up to the root of the source."""
    variables: frozenset[str] = frozenset()
    """Names of what commands get besides the image's own environment."""


_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|tgz|tbz|txz|tlz|gz|bz2|xz|lzma|gem)\Z", re.IGNORECASE)
_REMOTE = re.compile(r"(?:git\+)?https?://[^\s'\"]+")


def is_archive(word: str) -> bool:
    """Whether a package manager would look for a file of that name."""
    return bool(_ARCHIVE.search(word))


def is_remote(word: str) -> bool:
    """Whether it is an address on the network, which needs nothing of the source."""
    return bool(_REMOTE.fullmatch(word))
