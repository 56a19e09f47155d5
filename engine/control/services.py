"""Services and their operations: an action writes what is wanted in one transaction; the lifecycle makes it true."""

from collections.abc import Callable

from msgspec.structs import replace

from engine.control.account import Account, tags_from
from engine.control.auto_scaling import AutoScaling
from engine.control.connections import Connections
from engine.control.observability import Observability
from engine.control.paging import page
from engine.control.vpc import VpcConnectors
from engine.lifecycle.admission import (
    Admission,
    admit_delete,
    admit_deployment,
    admit_pause,
    admit_resume,
    admit_update,
)
from engine.lifecycle.configuration import needs_build, new_config, updated_config
from engine.lifecycle.image_watch import AFTER_RESUME
from engine.lifecycle.routing import default_host
from engine.model.actions.service import (
    CreateServiceRequest,
    CreateServiceResponse,
    DeleteServiceRequest,
    DeleteServiceResponse,
    DescribeServiceRequest,
    DescribeServiceResponse,
    ListOperationsRequest,
    ListOperationsResponse,
    ListServicesRequest,
    ListServicesResponse,
    PauseServiceRequest,
    PauseServiceResponse,
    ResumeServiceRequest,
    ResumeServiceResponse,
    StartDeploymentRequest,
    StartDeploymentResponse,
    UpdateServiceRequest,
    UpdateServiceResponse,
)
from engine.model.errors import invalid_request, quota_exceeded
from engine.model.ids import hex_of, new_id, new_label, new_operation_id, service_arn
from engine.model.operation import Operation, OperationStatus, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.resource import CustomDomainRecord, VpcIngressRecord
from engine.model.service import Service, ServiceStatus, ServiceSummary
from engine.model.version import Version, VersionState
from engine.store.state import Transaction


class Services:
    """`edge_address` answers where the edge listens now, HOST:PORT."""

    def __init__(
        self,
        account: Account,
        *,
        auto_scaling: AutoScaling,
        observability: Observability,
        connections: Connections,
        connectors: VpcConnectors,
        edge_address: Callable[[], str],
    ) -> None:
        self._account = account
        self._store = account.store
        self._auto_scaling = auto_scaling
        self._observability = observability
        self._connections = connections
        self._connectors = connectors
        self._edge_address = edge_address

    async def create(self, request: CreateServiceRequest) -> CreateServiceResponse:
        tags = tags_from(request.tags)
        now, service_id = self._account.clock.now(), new_id()

        def create(tx: Transaction) -> str:
            self._check_references(request)
            scaling = self._auto_scaling.chosen(request.auto_scaling_configuration_arn)
            config = new_config(request, scaling.arn)
            config = replace(config, observability=self._observability.chosen(config.observability))
            if self._store.named(request.service_name):
                raise invalid_request(f"Service with the provided name already exists: {request.service_name}.")
            held = sum(record.status is not ServiceStatus.DELETED for record in self._store.services.values())
            if held >= self._account.settings.service_quota:
                raise quota_exceeded(
                    f"The account has {held} services, as many as its quota allows. Delete one, or raise"
                    " service_quota in settings.yaml."
                )
            record = ServiceRecord(
                id=service_id,
                name=request.service_name,
                arn=service_arn(self._account.settings.region, request.service_name, service_id),
                subdomain=new_label(),
                status=ServiceStatus.OPERATION_IN_PROGRESS,
                config=config,
                mode=DesiredMode.SERVING,
                tags=tags,
                created_at=now,
                updated_at=now,
            )
            return self._open_deployment(tx, record, OperationType.CREATE_SERVICE, now)

        operation_id = await self._account.write(create)
        return CreateServiceResponse(service=self._current(service_id), operation_id=operation_id)

    async def describe(self, request: DescribeServiceRequest) -> DescribeServiceResponse:
        return DescribeServiceResponse(service=self.shape(self._account.find_service(request.service_arn)))

    async def list_all(self, request: ListServicesRequest) -> ListServicesResponse:
        listed = sorted(
            (record for record in self._store.services.values() if record.status is not ServiceStatus.DELETED),
            key=lambda record: (record.created_at, record.id),
        )
        found, token = page(listed, request.next_token, request.max_results)
        return ListServicesResponse(
            service_summary_list=tuple(
                ServiceSummary(
                    service_name=record.name,
                    service_id=record.id,
                    service_arn=record.arn,
                    service_url=self._url(record),
                    created_at=record.created_at,
                    updated_at=record.updated_at,
                    status=record.status,
                )
                for record in found
            ),
            next_token=token,
        )

    async def update(self, request: UpdateServiceRequest) -> UpdateServiceResponse:
        service_id, now = self._account.find_living_service(request.service_arn).id, self._account.clock.now()
        arn = request.auto_scaling_configuration_arn

        def update(tx: Transaction) -> str:
            record = tx.service(service_id)
            admit_update(record.status)
            if request == UpdateServiceRequest(service_arn=request.service_arn):
                raise invalid_request("No configurations provided in the UpdateService request.")
            self._check_references(request)
            scaling = self._auto_scaling.chosen(arn).arn if arn else None
            observability = self._observability.chosen(request.observability_configuration)
            config = updated_config(record.config, request, scaling or record.config.auto_scaling_arn)
            if observability is not None:
                config = replace(config, observability=observability)
            serving = record.serving_version_id
            reuse = serving if serving and not needs_build(record.config, config) else None
            record = replace(record, config=config, updated_at=now, status=ServiceStatus.OPERATION_IN_PROGRESS)
            return self._open_deployment(tx, record, OperationType.UPDATE_SERVICE, now, reuse_of=reuse)

        operation_id = await self._account.write(update)
        return UpdateServiceResponse(service=self._current(service_id), operation_id=operation_id)

    async def deploy(self, request: StartDeploymentRequest) -> StartDeploymentResponse:
        service_id, now = self._account.find_living_service(request.service_arn).id, self._account.clock.now()

        def deploy(tx: Transaction) -> str:
            record = tx.service(service_id)
            admit_deployment(record.status)
            record = replace(record, updated_at=now, status=ServiceStatus.OPERATION_IN_PROGRESS)
            return self._open_deployment(tx, record, OperationType.START_DEPLOYMENT, now)

        return StartDeploymentResponse(operation_id=await self._account.write(deploy))

    async def pause(self, request: PauseServiceRequest) -> PauseServiceResponse:
        service_id = self._account.find_living_service(request.service_arn).id

        def pause(tx: Transaction) -> str | None:
            record = tx.service(service_id)
            if admit_pause(record.status) is Admission.NOTHING_TO_DO:
                return None
            return self._open(tx, record, OperationType.PAUSE_SERVICE, mode=DesiredMode.PAUSED)

        operation_id = await self._account.write(pause)
        return PauseServiceResponse(service=self._current(service_id), operation_id=operation_id)

    async def resume(self, request: ResumeServiceRequest) -> ResumeServiceResponse:
        service_id = self._account.find_living_service(request.service_arn).id

        def resume(tx: Transaction) -> str | None:
            record = tx.service(service_id)
            if admit_resume(record.status) is Admission.NOTHING_TO_DO:
                return None
            # Nothing is deployed on resume: the version that was paused comes back.
            serving = record.serving_version_id
            # Not even an image that was pushed meanwhile.
            record = replace(record, target_version_id=serving, seen_digest=AFTER_RESUME)
            return self._open(tx, record, OperationType.RESUME_SERVICE, mode=DesiredMode.SERVING, version_id=serving)

        operation_id = await self._account.write(resume)
        return ResumeServiceResponse(service=self._current(service_id), operation_id=operation_id)

    async def delete(self, request: DeleteServiceRequest) -> DeleteServiceResponse:
        service_id = self._account.find_living_service(request.service_arn).id

        def delete(tx: Transaction) -> str:
            record = tx.service(service_id)
            admit_delete(record.status)
            for ingress in tx.resources(VpcIngressRecord):
                if ingress.target_arn == record.arn and ingress.deleted_at is None:
                    raise invalid_request(
                        f"The VPC ingress connection {ingress.name} leads to the service {record.name}:"
                        " delete it before the service."
                    )
            for domain in tx.resources(CustomDomainRecord):
                if domain.service_id == service_id:
                    tx.remove(CustomDomainRecord, domain.id)
            return self._open(tx, record, OperationType.DELETE_SERVICE, mode=DesiredMode.DELETED)

        operation_id = await self._account.write(delete)
        return DeleteServiceResponse(service=self._current(service_id), operation_id=operation_id)

    async def list_operations(self, request: ListOperationsRequest) -> ListOperationsResponse:
        record = self._account.find_service(request.service_arn)
        operations = await self._store.list_operations(record.id, limit=-1)
        found, token = page(operations, request.next_token, request.max_results)
        return ListOperationsResponse(
            operation_summary_list=tuple(operation.summary() for operation in found), next_token=token
        )

    # What clients see.

    def shape(self, record: ServiceRecord) -> Service:
        config = record.config
        return Service(
            service_name=record.name,
            service_id=record.id,
            service_arn=record.arn,
            service_url=self._url(record),
            created_at=record.created_at,
            updated_at=record.updated_at,
            deleted_at=record.deleted_at,
            status=record.status,
            source_configuration=config.source,
            instance_configuration=config.instance,
            encryption_configuration=config.encryption,
            health_check_configuration=config.health_check,
            auto_scaling_configuration_summary=self._auto_scaling.summary_for(config.auto_scaling_arn),
            network_configuration=config.network,
            observability_configuration=config.observability,
        )

    def _current(self, service_id: str) -> Service:
        return self.shape(self._store.services[service_id])

    def _url(self, record: ServiceRecord) -> str:
        """HOST[:PORT]; empty for a service that is not publicly accessible."""
        ingress = record.config.network.ingress_configuration
        if ingress is not None and ingress.is_publicly_accessible is False:
            return ""
        port = self._edge_address().rpartition(":")[2]
        host = default_host(record, self._account.settings.region)
        return host if port == "80" else f"{host}:{port}"

    # How.

    def _check_references(self, request: CreateServiceRequest | UpdateServiceRequest) -> None:
        """What the request names must be there and ready. Raises EngineError (InvalidRequestException)."""
        source = request.source_configuration
        if source is not None and source.authentication_configuration is not None:
            self._connections.check_usable(source.authentication_configuration.connection_arn)
        self._connectors.check_usable(request.network_configuration)

    def _open_deployment(
        self,
        tx: Transaction,
        record: ServiceRecord,
        kind: OperationType,
        now: float,
        *,
        reuse_of: str | None = None,
    ) -> str:
        """A new version as the service's target, and the operation that brings it up."""
        operation_id = new_operation_id()
        version = Version(
            id=hex_of(operation_id),
            service_id=record.id,
            number=max((v.number for v in self._store.versions_of(record.id)), default=0) + 1,
            operation_id=operation_id,
            state=VersionState.NEW,
            config=record.config,
            reuse_of=reuse_of,
            created_at=now,
        )
        record = replace(record, mode=DesiredMode.SERVING, target_version_id=version.id)
        tx.put(record)
        tx.put(version)
        tx.put(_operation(record, kind, operation_id, version.id, now))
        return operation_id

    def _open(
        self,
        tx: Transaction,
        record: ServiceRecord,
        kind: OperationType,
        *,
        mode: DesiredMode,
        version_id: str | None = None,
    ) -> str:
        operation_id, now = new_operation_id(), self._account.clock.now()
        tx.put(replace(record, mode=mode, status=ServiceStatus.OPERATION_IN_PROGRESS, updated_at=now))
        tx.put(_operation(record, kind, operation_id, version_id, now))
        return operation_id


def _operation(
    record: ServiceRecord, kind: OperationType, operation_id: str, version_id: str | None, now: float
) -> Operation:
    return Operation(
        id=operation_id,
        service_id=record.id,
        service_arn=record.arn,
        service_name=record.name,
        type=kind,
        status=OperationStatus.PENDING,
        version_id=version_id,
        started_at=now,
        updated_at=now,
    )
