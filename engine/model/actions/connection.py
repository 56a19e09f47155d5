"""Actions on connections to source code providers."""

from enum import StrEnum

from engine.model.actions.paging import NextToken, Upto100
from engine.model.base import Request, Wire
from engine.model.service import Arn, ResourceName, Tag


class ProviderType(StrEnum):
    GITHUB = "GITHUB"
    BITBUCKET = "BITBUCKET"


class ConnectionStatus(StrEnum):
    PENDING_HANDSHAKE = "PENDING_HANDSHAKE"
    AVAILABLE = "AVAILABLE"
    ERROR = "ERROR"
    DELETED = "DELETED"


class Connection(Wire, frozen=True, kw_only=True):
    connection_name: str | None = None
    connection_arn: str | None = None
    provider_type: ProviderType | None = None
    status: ConnectionStatus | None = None
    created_at: float | None = None


class CreateConnectionResponse(Wire, frozen=True, kw_only=True):
    connection: Connection


class CreateConnectionRequest(Request[CreateConnectionResponse], frozen=True, kw_only=True):
    connection_name: ResourceName
    provider_type: ProviderType
    tags: tuple[Tag, ...] | None = None


class ListConnectionsResponse(Wire, frozen=True, kw_only=True):
    connection_summary_list: tuple[Connection, ...]
    """The API's ConnectionSummary has the same members as its Connection."""
    next_token: str | None = None


class ListConnectionsRequest(Request[ListConnectionsResponse], frozen=True, kw_only=True):
    connection_name: ResourceName | None = None
    max_results: Upto100 | None = None
    next_token: NextToken | None = None


class DeleteConnectionResponse(Wire, frozen=True, kw_only=True):
    connection: Connection | None = None


class DeleteConnectionRequest(Request[DeleteConnectionResponse], frozen=True, kw_only=True):
    connection_arn: Arn
