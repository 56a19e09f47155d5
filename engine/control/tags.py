"""Tags of any resource: found by its ARN, put over what there is, taken away, listed."""

from typing import Any

from msgspec.structs import replace

from engine.control.account import Account, tags_from
from engine.model.actions.tag import (
    ListTagsForResourceRequest,
    ListTagsForResourceResponse,
    TagResourceRequest,
    TagResourceResponse,
    UntagResourceRequest,
    UntagResourceResponse,
)
from engine.model.errors import EngineError, ErrorCode
from engine.model.record import ServiceRecord
from engine.model.resource import (
    AutoScalingRecord,
    ConnectionRecord,
    ObservabilityRecord,
    VpcConnectorRecord,
    VpcIngressRecord,
)
from engine.model.service import ServiceStatus, Tag
from engine.store.state import StateStore, Transaction

_KINDS: tuple[type[Any], ...] = (
    AutoScalingRecord,
    ObservabilityRecord,
    ConnectionRecord,
    VpcConnectorRecord,
    VpcIngressRecord,
)

Tagged = (
    ServiceRecord | AutoScalingRecord | ObservabilityRecord | ConnectionRecord | VpcConnectorRecord | VpcIngressRecord
)


class Tags:
    def __init__(self, account: Account) -> None:
        self._account = account

    async def tag(self, request: TagResourceRequest) -> TagResourceResponse:
        def put(tx: Transaction) -> None:
            resource = self._find(request.resource_arn)
            tx.put(replace(resource, tags=tags_from(request.tags, resource.tags)))

        await self._account.write(put)
        return TagResourceResponse()

    async def untag(self, request: UntagResourceRequest) -> UntagResourceResponse:
        def take(tx: Transaction) -> None:
            resource = self._find(request.resource_arn)
            tx.put(replace(resource, tags={k: v for k, v in resource.tags.items() if k not in request.tag_keys}))

        await self._account.write(take)
        return UntagResourceResponse()

    async def list_all(self, request: ListTagsForResourceRequest) -> ListTagsForResourceResponse:
        tags = self._find(request.resource_arn).tags
        return ListTagsForResourceResponse(tags=tuple(Tag(key=key, value=value) for key, value in sorted(tags.items())))

    def _find(self, arn: str) -> Tagged:
        """Raises EngineError (ResourceNotFoundException), for deleted resources too."""
        found = _by_arn(self._account.store, arn)
        if found is None:
            raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, f"Resource with the provided ARN does not exist: {arn}.")
        return found


def _by_arn(store: StateStore, arn: str) -> Tagged | None:
    resource_id = arn.rpartition("/")[2]
    service = store.services.get(resource_id)
    if service is not None and service.arn == arn and service.status is not ServiceStatus.DELETED:
        return service
    for kind in _KINDS:
        found: Tagged | None = store.resource(kind, resource_id)
        if found is not None and found.arn == arn and getattr(found, "deleted_at", None) is None:
            return found
    return None
