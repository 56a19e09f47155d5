"""Branches: which names Git allows, what `ls-remote` answers, and which branch is the default one. Pure."""

import difflib
import re
from collections.abc import Iterable

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_HEADS = "refs/heads/"
_SHOWN = 10


class Listing(Value, frozen=True, kw_only=True):
    """The branches of a repository and what its HEAD says."""

    branches: dict[str, str]
    """Commit by branch name."""
    head: str = ""
    """The branch that HEAD names; "" when it is detached."""
    head_commit: str = ""
    """"" when HEAD names a branch without commits."""
    tags: frozenset[str] = frozenset()


def check_branch(branch: str) -> None:
    """Raise DeployError of kind SOURCE unless Git would take this as the name of a branch."""
    parts = branch.split("/")
    if (
        branch in {"", "@", "HEAD"}
        or branch.startswith("-")
        or branch.endswith(".")
        or _FORBIDDEN.search(branch)
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        or not _encodable(branch)
    ):
        shown = f" {branch!r}" if branch and branch.isprintable() else ""
        raise DeployError.of(
            FailureKind.SOURCE,
            f"The branch name{shown} is not one that Git allows." if branch else "The branch name is empty.",
            hint="Give the name as `git branch` shows it, without refs/heads/.",
        )


def _encodable(branch: str) -> bool:
    try:
        return len(branch.encode()) <= 1000
    except UnicodeEncodeError:
        return False


def parse_listing(text: str) -> Listing:
    """Read the answer of `git ls-remote --symref`."""
    branches: dict[str, str] = {}
    tags: set[str] = set()
    head = head_commit = ""
    for line in text.split("\n"):
        value, _, name = line.partition("\t")
        if name == "HEAD" and value.startswith("ref: "):
            head = value.removeprefix("ref: ").removeprefix(_HEADS)
        elif name == "HEAD":
            head_commit = value
        elif name.startswith(_HEADS):
            branches[name.removeprefix(_HEADS)] = value
        elif name.startswith("refs/tags/"):
            tags.add(name.removeprefix("refs/tags/").removesuffix("^{}"))
    return Listing(branches=branches, head=head, head_commit=head_commit, tags=frozenset(tags))


def default_branch(listing: Listing) -> str:
    """The branch that a plain clone would check out.

    With a detached HEAD: a branch at the same commit. With a HEAD that names no existing branch: main, master or
    the only one. "" when nothing points to one.
    """
    if listing.head in listing.branches:
        return listing.head
    usual = [name for name in ("main", "master") if name in listing.branches]
    if listing.head_commit:
        same = sorted(name for name, commit in listing.branches.items() if commit == listing.head_commit)
        return next((name for name in usual if name in same), same[0] if same else "")
    if usual:
        return usual[0]
    return next(iter(listing.branches)) if len(listing.branches) == 1 else ""


def missing_branch(branch: str, listing: Listing, place: str) -> DeployError:
    """Why the branch ("" for the default one) cannot be deployed, and which ones can."""
    if not listing.branches and not listing.head_commit:
        return DeployError.of(
            FailureKind.SOURCE, f"The repository {place} has no commits yet.", hint="Commit and push something first."
        )
    hint = _known(listing.branches)
    if not branch:
        return DeployError.of(
            FailureKind.SOURCE, f"The repository {place} has no default branch: give the name of one.", hint=hint
        )
    if branch in listing.tags:
        return DeployError.of(
            FailureKind.SOURCE, f"{branch!r} is a tag of {place}, not a branch, and only branches deploy.", hint=hint
        )
    folded = {name.casefold(): name for name in listing.branches}
    close = difflib.get_close_matches(branch.casefold().removeprefix(_HEADS), folded, n=1, cutoff=0.6)
    suggestion = f"Did you mean {folded[close[0]]}? " if close else ""
    return DeployError.of(
        FailureKind.SOURCE, f"The repository {place} has no branch {branch!r}.", hint=f"{suggestion}{hint}".strip()
    )


def _known(branches: Iterable[str]) -> str:
    names = sorted(branches)
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"Its branches: {', '.join(names[:_SHOWN])}{more}."
