"""Configurations that have revisions: which is the latest, what an ARN means, what the next number is. Pure."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from engine.model.errors import EngineError, ErrorCode, quota_exceeded
from engine.model.ids import resource_arn


class Revisioned(Protocol):
    @property
    def arn(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def deleted_at(self) -> float | None: ...


R = TypeVar("R", bound=Revisioned)


def active(records: Sequence[R], name: str | None = None) -> list[R]:
    """Those not deleted, by name and revision; of one name where it is given."""
    found = [r for r in records if r.deleted_at is None and name in (None, r.name)]
    return sorted(found, key=lambda r: (r.name, r.revision))


def latest(records: Sequence[R], name: str) -> R | None:
    """The highest active revision of a name."""
    return max(active(records, name), key=lambda r: r.revision, default=None)


def is_latest(record: Revisioned, records: Sequence[Revisioned]) -> bool:
    newest = latest(records, record.name)
    return newest is not None and newest.arn == record.arn


def next_revision(records: Sequence[Revisioned], name: str, *, what: str, names: int, revisions: int) -> int:
    """One more than any that is still known, deleted ones included: a number never means two things.

    `names` and `revisions` are how many there can be, of `what`. Raises EngineError (ServiceQuotaExceededException).
    """
    others = {r.name for r in active(records)} - {name}
    if len(others) >= names:
        raise quota_exceeded(f"The account has {len(others)} {what}s, as many as it can. Delete one first.")
    held = len(active(records, name))
    if held >= revisions:
        raise quota_exceeded(f"The {what} {name} has {held} revisions, as many as it can. Delete one first.")
    return max((r.revision for r in records if r.name == name), default=0) + 1


def find(arn: str, records: Sequence[R], region: str, kind: str, *, missing: ErrorCode, what: str) -> R:
    """What an ARN means, see `meant_by`. Raises EngineError with the code `missing`."""
    record = meant_by(arn, records, region, kind)
    if record is None:
        raise EngineError(missing, f"{what.capitalize()} with the provided ARN does not exist: {arn}.")
    return record


def meant_by(arn: str, records: Sequence[R], region: str, kind: str) -> R | None:
    """What a full ARN names, or one that ends with name/revision, or with the name: its highest active revision.

    Where there is none that is active, a deleted one is meant, as long as it is known.
    """
    for record in records:
        if arn == record.arn:
            return record
    name, slash, revision = arn.removeprefix(resource_arn(region, kind, "")).partition("/")
    named = [r for r in records if r.name == name and (not slash or str(r.revision) == revision)]
    return max(named, key=lambda r: (r.deleted_at is None, r.revision), default=None)
