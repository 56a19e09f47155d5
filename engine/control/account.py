"""Account: what every part of the control plane works with, and what they ask about one another's things."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from engine.model.clock import Clock
from engine.model.errors import EngineError, ErrorCode, invalid_request
from engine.model.ids import resource_arn, service_id_of
from engine.model.record import ServiceRecord
from engine.model.resource import ConnectionRecord, VpcConnectorRecord, VpcIngressRecord
from engine.model.service import ServiceStatus, Tag
from engine.model.settings import Settings
from engine.model.version import ServiceConfig
from engine.store.sqlite import StoreError
from engine.store.state import StateStore, Transaction

T = TypeVar("T")
N = TypeVar("N", ConnectionRecord, VpcConnectorRecord, VpcIngressRecord)

_MOST_TAGS = 50


@dataclass(frozen=True, slots=True)
class Account:
    store: StateStore
    clock: Clock
    settings: Settings

    def arn(self, *path: str | int) -> str:
        return resource_arn(self.settings.region, *path)

    async def write(self, decide: Callable[[Transaction], T]) -> T:
        """One transaction. Raises what `decide` raises, and EngineError when the disk refuses."""
        try:
            return await self.store.write(decide)
        except StoreError as error:
            raise EngineError(ErrorCode.INTERNAL, str(error)) from error

    def find_service(self, arn: str, *, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND) -> ServiceRecord:
        """Deleted ones included while they can be described. Raises EngineError with the code `missing`."""
        record = self.store.services.get(service_id_of(arn) or "")
        if record is None or record.arn != arn:
            raise EngineError(missing, f"Service with the provided ARN does not exist: {arn}.")
        return record

    def find_living_service(self, arn: str, *, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND) -> ServiceRecord:
        """A deleted service can be described for a while, and nothing else."""
        record = self.find_service(arn, missing=missing)
        if record.status is ServiceStatus.DELETED:
            raise EngineError(missing, f"Service with the provided ARN was deleted: {arn}.")
        return record

    def find_resource(
        self, kind: type[N], arn: str, *, what: str, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND
    ) -> N:
        """A resource by its full ARN, a deleted one included while it is known. Raises EngineError (`missing`)."""
        record = self.store.resource(kind, arn.rpartition("/")[2])
        if record is None or record.arn != arn:
            raise EngineError(missing, f"{what} with the provided ARN does not exist: {arn}.")
        return record

    def configurations_in_use(self) -> Iterator[tuple[ServiceRecord, ServiceConfig]]:
        """What services have, and what they return to when the update under way fails."""
        for record in self.store.services.values():
            if record.status is not ServiceStatus.DELETED:
                yield record, record.config
                serving = self.store.versions.get(record.serving_version_id or "")
                if serving is not None and serving.config is not record.config:
                    yield record, serving.config


def tags_from(tags: Sequence[Tag] | None, already: dict[str, str] | None = None) -> dict[str, str]:
    """`already` with these tags put over it. Raises EngineError (InvalidRequestException)."""
    result = dict(already or {})
    for tag in tags or ():
        if tag.key is None:
            raise invalid_request("Every tag needs a Key.")
        result[tag.key] = tag.value or ""
    if len(result) > _MOST_TAGS:
        raise invalid_request(f"A resource can have at most {_MOST_TAGS} tags; this would make {len(result)}.")
    return result
