"""VPC connectors and VPC ingress connections: control plane only, there is no network to connect to."""

from msgspec.structs import replace

from engine.control.account import Account, tags_from
from engine.control.paging import page
from engine.model.actions.observability import ResourceStatus
from engine.model.actions.vpc import (
    CreateVpcConnectorRequest,
    CreateVpcConnectorResponse,
    CreateVpcIngressConnectionRequest,
    CreateVpcIngressConnectionResponse,
    DeleteVpcConnectorRequest,
    DeleteVpcConnectorResponse,
    DeleteVpcIngressConnectionRequest,
    DeleteVpcIngressConnectionResponse,
    DescribeVpcConnectorRequest,
    DescribeVpcConnectorResponse,
    DescribeVpcIngressConnectionRequest,
    DescribeVpcIngressConnectionResponse,
    IngressStatus,
    IngressVpcConfiguration,
    ListVpcConnectorsRequest,
    ListVpcConnectorsResponse,
    ListVpcIngressConnectionsRequest,
    ListVpcIngressConnectionsResponse,
    UpdateVpcIngressConnectionRequest,
    UpdateVpcIngressConnectionResponse,
    VpcConnector,
    VpcIngressConnection,
    VpcIngressConnectionSummary,
)
from engine.model.errors import EngineError, ErrorCode, invalid_request, quota_exceeded
from engine.model.ids import ACCOUNT_ID, new_id, new_label
from engine.model.resource import VpcConnectorRecord, VpcIngressRecord
from engine.model.service import NetworkConfiguration
from engine.store.state import Transaction

CONNECTORS_AT_MOST, INGRESS_AT_MOST = 10, 1
"""App Runner's quotas."""

_PENDING_S = 1.0
"""An ingress connection is pending this long, as clients expect to see it."""


class VpcConnectors:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store

    def check_usable(self, network: NetworkConfiguration | None) -> None:
        """For a service that names a connector. Raises EngineError (InvalidRequestException)."""
        egress = network.egress_configuration if network else None
        if egress is not None and egress.vpc_connector_arn is not None:
            record = self._find(egress.vpc_connector_arn, missing=ErrorCode.INVALID_REQUEST)
            if record.deleted_at is not None:
                raise invalid_request(f"The VPC connector {record.name} was deleted.")

    async def create(self, request: CreateVpcConnectorRequest) -> CreateVpcConnectorResponse:
        name, connector_id, now = request.vpc_connector_name, new_id(), self._account.clock.now()
        tags = tags_from(request.tags)
        if not request.subnets or not all(request.subnets):
            raise invalid_request("Subnets must name at least one subnet.")

        def create(tx: Transaction) -> VpcConnectorRecord:
            known = [record for record in tx.resources(VpcConnectorRecord) if record.deleted_at is None]
            if any(record.name == name for record in known):
                raise invalid_request(f"VPC connector with the provided name already exists: {name}.")
            if len(known) >= CONNECTORS_AT_MOST:
                raise quota_exceeded(f"The account has {len(known)} VPC connectors, as many as it can.")
            record = VpcConnectorRecord(
                id=connector_id,
                arn=self._account.arn("vpcconnector", name, 1, connector_id),
                name=name,
                revision=1,  # App Runner has one revision per name
                subnets=request.subnets,
                security_groups=request.security_groups or (),
                tags=tags,
                created_at=now,
            )
            tx.put(record)
            return record

        return CreateVpcConnectorResponse(vpc_connector=_connector(await self._account.write(create)))

    async def describe(self, request: DescribeVpcConnectorRequest) -> DescribeVpcConnectorResponse:
        return DescribeVpcConnectorResponse(vpc_connector=_connector(self._find(request.vpc_connector_arn)))

    async def list_all(self, request: ListVpcConnectorsRequest) -> ListVpcConnectorsResponse:
        records = [record for record in self._store.resources(VpcConnectorRecord) if record.deleted_at is None]
        found, token = page(records, request.next_token, request.max_results)
        return ListVpcConnectorsResponse(vpc_connectors=tuple(_connector(record) for record in found), next_token=token)

    async def delete(self, request: DeleteVpcConnectorRequest) -> DeleteVpcConnectorResponse:
        now = self._account.clock.now()

        def delete(tx: Transaction) -> VpcConnectorRecord:
            record = self._find(request.vpc_connector_arn)
            if record.deleted_at is not None:
                raise invalid_request("The VPC connector you specified has been deleted.")
            for service, config in self._account.configurations_in_use():
                egress = config.network.egress_configuration
                if egress is not None and egress.vpc_connector_arn == record.arn:
                    raise invalid_request(
                        f"The VPC connector {record.name} is used by the service {service.name} and cannot be deleted."
                    )
            record = replace(record, deleted_at=now)
            tx.put(record)
            return record

        return DeleteVpcConnectorResponse(vpc_connector=_connector(await self._account.write(delete)))

    def _find(self, arn: str, *, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND) -> VpcConnectorRecord:
        return self._account.find_resource(VpcConnectorRecord, arn, what="VPC connector", missing=missing)


class VpcIngressConnections:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store

    async def create(self, request: CreateVpcIngressConnectionRequest) -> CreateVpcIngressConnectionResponse:
        name, connection_id, now = request.vpc_ingress_connection_name, new_id(), self._account.clock.now()
        tags = tags_from(request.tags)
        vpc_id, endpoint_id = _endpoint(request.ingress_vpc_configuration)
        service_id = self._account.find_living_service(request.service_arn, missing=ErrorCode.INVALID_REQUEST).id

        def create(tx: Transaction) -> VpcIngressRecord:
            service = tx.service(service_id)
            ingress = service.config.network.ingress_configuration
            if ingress is None or ingress.is_publicly_accessible is not False:
                raise invalid_request(
                    f"The service {service.name} is publicly accessible: set IsPubliclyAccessible to false first."
                )
            known = [record for record in tx.resources(VpcIngressRecord) if record.deleted_at is None]
            if any(record.name == name for record in known):
                raise invalid_request(f"VPC ingress connection with the provided name already exists: {name}.")
            if len(known) >= INGRESS_AT_MOST:
                raise quota_exceeded(f"The account has {len(known)} VPC ingress connection, as many as it can.")
            record = VpcIngressRecord(
                id=connection_id,
                arn=self._account.arn("vpcingressconnection", name, connection_id),
                name=name,
                target_arn=service.arn,
                vpc_id=vpc_id,
                vpc_endpoint_id=endpoint_id,
                domain_name=f"{new_label()}.{self._account.settings.region}.homerun.localhost",
                tags=tags,
                created_at=now,
                updated_at=now,
            )
            tx.put(record)
            return record

        record = await self._account.write(create)
        return CreateVpcIngressConnectionResponse(vpc_ingress_connection=self._shape(record))

    async def describe(self, request: DescribeVpcIngressConnectionRequest) -> DescribeVpcIngressConnectionResponse:
        record = self._find(request.vpc_ingress_connection_arn)
        return DescribeVpcIngressConnectionResponse(vpc_ingress_connection=self._shape(record))

    async def list_all(self, request: ListVpcIngressConnectionsRequest) -> ListVpcIngressConnectionsResponse:
        wanted = request.filter
        records = [
            record
            for record in self._store.resources(VpcIngressRecord)
            if record.deleted_at is None
            and (wanted is None or wanted.service_arn in (None, record.target_arn))
            and (wanted is None or wanted.vpc_endpoint_id in (None, record.vpc_endpoint_id))
        ]
        found, token = page(records, request.next_token, request.max_results)
        return ListVpcIngressConnectionsResponse(
            vpc_ingress_connection_summary_list=tuple(
                VpcIngressConnectionSummary(vpc_ingress_connection_arn=record.arn, service_arn=record.target_arn)
                for record in found
            ),
            next_token=token,
        )

    async def update(self, request: UpdateVpcIngressConnectionRequest) -> UpdateVpcIngressConnectionResponse:
        vpc_id, endpoint_id = _endpoint(request.ingress_vpc_configuration)
        now = self._account.clock.now()

        def update(tx: Transaction) -> VpcIngressRecord:
            record = self._find(request.vpc_ingress_connection_arn)
            self._admit("updated", record, now)
            record = replace(record, vpc_id=vpc_id, vpc_endpoint_id=endpoint_id, updated_at=now)
            tx.put(record)
            return record

        record = await self._account.write(update)
        return UpdateVpcIngressConnectionResponse(vpc_ingress_connection=self._shape(record))

    async def delete(self, request: DeleteVpcIngressConnectionRequest) -> DeleteVpcIngressConnectionResponse:
        now = self._account.clock.now()

        def delete(tx: Transaction) -> VpcIngressRecord:
            record = self._find(request.vpc_ingress_connection_arn)
            self._admit("deleted", record, now)
            record = replace(record, deleted_at=now)
            tx.put(record)
            return record

        record = await self._account.write(delete)
        return DeleteVpcIngressConnectionResponse(vpc_ingress_connection=self._shape(record))

    def _find(self, arn: str) -> VpcIngressRecord:
        return self._account.find_resource(VpcIngressRecord, arn, what="VPC ingress connection")

    @staticmethod
    def _admit(done: str, record: VpcIngressRecord, now: float) -> None:
        status = ingress_status(record, now)
        if status is not IngressStatus.AVAILABLE:
            raise EngineError(
                ErrorCode.INVALID_STATE,
                f"VPC ingress connection cannot be {done} in the current state: {status.value}.",
            )

    def _shape(self, record: VpcIngressRecord) -> VpcIngressConnection:
        return VpcIngressConnection(
            vpc_ingress_connection_arn=record.arn,
            vpc_ingress_connection_name=record.name,
            service_arn=record.target_arn,
            status=ingress_status(record, self._account.clock.now()),
            account_id=ACCOUNT_ID,
            domain_name=record.domain_name,
            ingress_vpc_configuration=IngressVpcConfiguration(
                vpc_id=record.vpc_id, vpc_endpoint_id=record.vpc_endpoint_id
            ),
            created_at=record.created_at,
            deleted_at=record.deleted_at,
        )


def ingress_status(record: VpcIngressRecord, now: float) -> IngressStatus:
    """Pending for a moment after each change, then settled: nothing here can fail."""
    if record.deleted_at is not None:
        return IngressStatus.PENDING_DELETION if now - record.deleted_at < _PENDING_S else IngressStatus.DELETED
    if now - record.updated_at >= _PENDING_S:
        return IngressStatus.AVAILABLE
    return IngressStatus.PENDING_CREATION if record.updated_at == record.created_at else IngressStatus.PENDING_UPDATE


def _endpoint(wanted: IngressVpcConfiguration) -> tuple[str, str]:
    if not wanted.vpc_id or not wanted.vpc_endpoint_id:
        raise invalid_request("VpcId and VpcEndpointId must be given in IngressVpcConfiguration.")
    return wanted.vpc_id, wanted.vpc_endpoint_id


def _connector(record: VpcConnectorRecord) -> VpcConnector:
    return VpcConnector(
        vpc_connector_name=record.name,
        vpc_connector_arn=record.arn,
        vpc_connector_revision=record.revision,
        subnets=record.subnets,
        security_groups=record.security_groups,
        status=ResourceStatus.ACTIVE if record.deleted_at is None else ResourceStatus.INACTIVE,
        created_at=record.created_at,
        deleted_at=record.deleted_at,
    )
