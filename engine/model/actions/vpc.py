"""Actions on VPC connectors and VPC ingress connections: control plane only, nothing here makes a network."""

from enum import StrEnum

from engine.model.actions.observability import ResourceStatus
from engine.model.actions.paging import NextToken, Upto100
from engine.model.base import Request, Wire
from engine.model.service import Arn, ServiceName, Tag, Text


class VpcConnector(Wire, frozen=True, kw_only=True):
    vpc_connector_name: str | None = None
    vpc_connector_arn: str | None = None
    vpc_connector_revision: int | None = None
    subnets: tuple[str, ...] | None = None
    security_groups: tuple[str, ...] | None = None
    status: ResourceStatus | None = None
    created_at: float | None = None
    deleted_at: float | None = None


class CreateVpcConnectorResponse(Wire, frozen=True, kw_only=True):
    vpc_connector: VpcConnector


class CreateVpcConnectorRequest(Request[CreateVpcConnectorResponse], frozen=True, kw_only=True):
    vpc_connector_name: ServiceName
    subnets: tuple[Text, ...]
    security_groups: tuple[Text, ...] | None = None
    tags: tuple[Tag, ...] | None = None


class DescribeVpcConnectorResponse(Wire, frozen=True, kw_only=True):
    vpc_connector: VpcConnector


class DescribeVpcConnectorRequest(Request[DescribeVpcConnectorResponse], frozen=True, kw_only=True):
    vpc_connector_arn: Arn


class ListVpcConnectorsResponse(Wire, frozen=True, kw_only=True):
    vpc_connectors: tuple[VpcConnector, ...]
    next_token: str | None = None


class ListVpcConnectorsRequest(Request[ListVpcConnectorsResponse], frozen=True, kw_only=True):
    max_results: Upto100 | None = None
    next_token: NextToken | None = None


class DeleteVpcConnectorResponse(Wire, frozen=True, kw_only=True):
    vpc_connector: VpcConnector


class DeleteVpcConnectorRequest(Request[DeleteVpcConnectorResponse], frozen=True, kw_only=True):
    vpc_connector_arn: Arn


class IngressStatus(StrEnum):
    AVAILABLE = "AVAILABLE"
    PENDING_CREATION = "PENDING_CREATION"
    PENDING_UPDATE = "PENDING_UPDATE"
    PENDING_DELETION = "PENDING_DELETION"
    FAILED_CREATION = "FAILED_CREATION"
    FAILED_UPDATE = "FAILED_UPDATE"
    FAILED_DELETION = "FAILED_DELETION"
    DELETED = "DELETED"


class IngressVpcConfiguration(Wire, frozen=True, kw_only=True):
    vpc_id: Text | None = None
    vpc_endpoint_id: Text | None = None


class VpcIngressConnection(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection_arn: str | None = None
    vpc_ingress_connection_name: str | None = None
    service_arn: str | None = None
    status: IngressStatus | None = None
    account_id: str | None = None
    domain_name: str | None = None
    ingress_vpc_configuration: IngressVpcConfiguration | None = None
    created_at: float | None = None
    deleted_at: float | None = None


class VpcIngressConnectionSummary(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection_arn: str | None = None
    service_arn: str | None = None


class CreateVpcIngressConnectionResponse(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection: VpcIngressConnection


class CreateVpcIngressConnectionRequest(Request[CreateVpcIngressConnectionResponse], frozen=True, kw_only=True):
    service_arn: Arn
    vpc_ingress_connection_name: ServiceName
    ingress_vpc_configuration: IngressVpcConfiguration
    tags: tuple[Tag, ...] | None = None


class DescribeVpcIngressConnectionResponse(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection: VpcIngressConnection


class DescribeVpcIngressConnectionRequest(Request[DescribeVpcIngressConnectionResponse], frozen=True, kw_only=True):
    vpc_ingress_connection_arn: Arn


class ListVpcIngressConnectionsFilter(Wire, frozen=True, kw_only=True):
    service_arn: Arn | None = None
    vpc_endpoint_id: Text | None = None


class ListVpcIngressConnectionsResponse(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection_summary_list: tuple[VpcIngressConnectionSummary, ...]
    next_token: str | None = None


class ListVpcIngressConnectionsRequest(Request[ListVpcIngressConnectionsResponse], frozen=True, kw_only=True):
    filter: ListVpcIngressConnectionsFilter | None = None
    max_results: Upto100 | None = None
    next_token: NextToken | None = None


class UpdateVpcIngressConnectionResponse(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection: VpcIngressConnection


class UpdateVpcIngressConnectionRequest(Request[UpdateVpcIngressConnectionResponse], frozen=True, kw_only=True):
    vpc_ingress_connection_arn: Arn
    ingress_vpc_configuration: IngressVpcConfiguration


class DeleteVpcIngressConnectionResponse(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection: VpcIngressConnection


class DeleteVpcIngressConnectionRequest(Request[DeleteVpcIngressConnectionResponse], frozen=True, kw_only=True):
    vpc_ingress_connection_arn: Arn
