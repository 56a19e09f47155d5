"""Actions on the tags of any resource."""

from engine.model.base import Request, Wire
from engine.model.service import Arn, Tag, TagKey


class TagResourceResponse(Wire, frozen=True, kw_only=True):
    pass


class TagResourceRequest(Request[TagResourceResponse], frozen=True, kw_only=True):
    resource_arn: Arn
    tags: tuple[Tag, ...]


class UntagResourceResponse(Wire, frozen=True, kw_only=True):
    pass


class UntagResourceRequest(Request[UntagResourceResponse], frozen=True, kw_only=True):
    resource_arn: Arn
    tag_keys: tuple[TagKey, ...]


class ListTagsForResourceResponse(Wire, frozen=True, kw_only=True):
    tags: tuple[Tag, ...]


class ListTagsForResourceRequest(Request[ListTagsForResourceResponse], frozen=True, kw_only=True):
    resource_arn: Arn
