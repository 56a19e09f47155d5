"""Engine: the one façade and the one door. Everything that reads or changes services comes through here."""

import asyncio
import base64
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self, TypeVar

import msgspec
from msgspec.structs import replace

from engine import __version__
from engine.compute.base import Compute
from engine.edge.client import EdgeClient, let_go, start_edge
from engine.edge.table import Report
from engine.lifecycle.admission import (
    Admission,
    admit_delete,
    admit_deployment,
    admit_pause,
    admit_resume,
    admit_update,
)
from engine.lifecycle.configuration import needs_build, new_config, updated_config
from engine.lifecycle.deployer import Deployer
from engine.lifecycle.inspect import inspect_source
from engine.lifecycle.journal import Journal
from engine.lifecycle.lifecycle import Lifecycle
from engine.lifecycle.rooms import Rooms
from engine.lifecycle.routing import Routing, default_host
from engine.lifecycle.watchers import Watchers
from engine.model.actions import (
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
from engine.model.base import Wire
from engine.model.clock import Clock, SystemClock
from engine.model.constraints import explain
from engine.model.errors import EngineError, ErrorCode, HomerunError
from engine.model.home import Home
from engine.model.ids import hex_of, new_id, new_operation_id, new_subdomain, service_arn, service_id_of
from engine.model.log import LogBatch, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from engine.model.operation import Operation, OperationStatus, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.scaling import AutoScalingConfiguration, built_in, names_it
from engine.model.service import Service, ServiceStatus, ServiceSummary
from engine.model.settings import Settings
from engine.model.version import ServiceConfig, Version, VersionState
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
    ServiceView,
)
from engine.store.sqlite import StoreError
from engine.store.state import Changed, StateStore, Transaction
from engine.telemetry.telemetry import Telemetry

logger = logging.getLogger(__name__)

_RequestT = TypeVar("_RequestT", bound=Wire)
_T = TypeVar("_T")
_Item = TypeVar("_Item")
_HOUSEKEEPING_S = 60.0


class Engine:
    """Implements EngineApi. Made by `await Engine.open(home, settings)`, ended by `close`."""

    def __init__(
        self,
        *,
        home: Home,
        settings: Settings,
        clock: Clock,
        store: StateStore,
        telemetry: Telemetry,
        edge: EdgeClient,
        compute: Compute,
        rooms_closing: AsyncExitStack,
    ) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._store = store
        self._telemetry = telemetry
        self._edge = edge
        self._compute = compute
        self._closing = rooms_closing
        self._scaling: AutoScalingConfiguration = built_in(settings.region)
        self._watchers = Watchers(self._view)
        journal = Journal(telemetry, lambda service_id: self._watchers.services_changed({service_id}))
        self._lifecycle = Lifecycle(
            Rooms(
                store=store,
                compute=compute,
                telemetry=telemetry,
                routing=Routing(edge, settings.region),
                deployer=Deployer(
                    home=home, store=store, compute=compute, journal=journal, clock=clock, settings=settings
                ),
                journal=journal,
                clock=clock,
                settings=settings,
                scaling=self._scaling,
            ),
            home,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._api_url = ""
        self._socket = ""

    @classmethod
    async def open(
        cls,
        home: Home,
        settings: Settings,
        *,
        clock: Clock | None = None,
        compute: Compute | None = None,
        starting: "asyncio.Future[EdgeClient] | None" = None,
    ) -> Self:
        """Open the stores, adopt or start the edge, adopt instances, begin to reconcile.

        `starting` is an edge that is being started already; the engine takes it over.

        The caller owns the home (its lock). Raises HomerunError: StoreError, AddressInUse, a compute that is not there.
        """
        clock = clock or SystemClock()
        starting = starting or asyncio.ensure_future(start_edge(home, settings))
        async with AsyncExitStack() as closing:
            closing.push_async_callback(let_go, starting)
            if settings.compute == "docker":
                raise HomerunError("Docker compute is not there yet: use --compute process, or auto.")
            store = await StateStore.open(home.state_db)
            closing.push_async_callback(store.close)
            telemetry = await Telemetry.open(home, clock)
            closing.push_async_callback(telemetry.close)
            edge = await starting
            if compute is None:
                from engine.compute.process.compute import ProcessCompute

                compute = ProcessCompute(home, clock)
            engine = cls(
                home=home,
                settings=settings,
                clock=clock,
                store=store,
                telemetry=telemetry,
                edge=edge,
                compute=compute,
                rooms_closing=closing.pop_all(),
            )
        try:
            await engine._begin()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def _begin(self) -> None:
        self._edge.hear(self._on_report)
        self._edge.on_restart = lambda: self._watchers.services_changed(self._store.services)
        await self._lifecycle.start()
        self._store.listen(self._on_change)
        self._tasks = [
            asyncio.create_task(self._sample(), name="sample instances"),
            asyncio.create_task(self._pulse(), name="pulse"),
            asyncio.create_task(self._keep_house(), name="housekeeping"),
        ]

    async def close(self, *, stop_instances: bool = False) -> None:
        """End every task and connection. Instances and the edge go on, unless `stop_instances`.

        An edge without any service has nobody to answer for: it ends, too.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lifecycle.close()
        if stop_instances:
            await self._lifecycle.stop_instances()
        if stop_instances or all(r.status is ServiceStatus.DELETED for r in self._store.services.values()):
            await self._edge.stop()
        await self._closing.aclose()

    def announce(self, *, api_url: str, socket: str) -> None:
        """The host says where this engine can be reached."""
        self._api_url = api_url
        self._socket = socket

    @property
    def edge_url(self) -> str:
        return f"http://{self._edge.address}"

    # App Runner's actions.

    async def create_service(self, request: CreateServiceRequest) -> CreateServiceResponse:
        request = _checked(request)
        config = new_config(request, self._auto_scaling(request.auto_scaling_configuration_arn))
        tags = {tag.key: tag.value or "" for tag in request.tags or () if tag.key}
        now, service_id, region = self._clock.now(), new_id(), self._settings.region

        def create(tx: Transaction) -> str:
            if self._store.named(request.service_name):
                raise EngineError(
                    ErrorCode.INVALID_REQUEST,
                    f"Service with the provided name already exists: {request.service_name}.",
                )
            held = sum(record.status is not ServiceStatus.DELETED for record in self._store.services.values())
            if held >= self._settings.service_quota:
                raise EngineError(
                    ErrorCode.QUOTA_EXCEEDED,
                    f"The account has {held} services, as many as its quota allows. Delete one, or raise"
                    " service_quota in settings.yaml.",
                )
            record = ServiceRecord(
                id=service_id,
                name=request.service_name,
                arn=service_arn(region, request.service_name, service_id),
                subdomain=new_subdomain(),
                status=ServiceStatus.OPERATION_IN_PROGRESS,
                config=config,
                mode=DesiredMode.SERVING,
                tags=tags,
                created_at=now,
                updated_at=now,
            )
            return self._open_deployment(tx, record, OperationType.CREATE_SERVICE, now)

        operation_id = await self._write(create)
        return CreateServiceResponse(service=self._service(self._store.services[service_id]), operation_id=operation_id)

    async def describe_service(self, request: DescribeServiceRequest) -> DescribeServiceResponse:
        return DescribeServiceResponse(service=self._service(self._find(_checked(request).service_arn)))

    async def list_services(self, request: ListServicesRequest) -> ListServicesResponse:
        request = _checked(request)
        listed = sorted(
            (record for record in self._store.services.values() if record.status is not ServiceStatus.DELETED),
            key=lambda record: (record.created_at, record.id),
        )
        page, token = _page(listed, request.next_token, request.max_results)
        return ListServicesResponse(
            service_summary_list=tuple(
                ServiceSummary(
                    service_name=record.name,
                    service_id=record.id,
                    service_arn=record.arn,
                    service_url=self._service_url(record),
                    created_at=record.created_at,
                    updated_at=record.updated_at,
                    status=record.status,
                )
                for record in page
            ),
            next_token=token,
        )

    async def update_service(self, request: UpdateServiceRequest) -> UpdateServiceResponse:
        request = _checked(request)
        service_id, now = self._find_living(request.service_arn).id, self._clock.now()

        def update(tx: Transaction) -> str:
            record = tx.service(service_id)
            admit_update(record.status)
            arn = request.auto_scaling_configuration_arn
            config = updated_config(
                record.config, request, self._auto_scaling(arn) if arn else record.config.auto_scaling_arn
            )
            serving = record.serving_version_id
            reuse = serving if serving and not needs_build(record.config, config) else None
            record = replace(record, config=config, updated_at=now, status=ServiceStatus.OPERATION_IN_PROGRESS)
            return self._open_deployment(tx, record, OperationType.UPDATE_SERVICE, now, reuse_of=reuse)

        operation_id = await self._write(update)
        return UpdateServiceResponse(service=self._service(self._store.services[service_id]), operation_id=operation_id)

    async def start_deployment(self, request: StartDeploymentRequest) -> StartDeploymentResponse:
        service_id, now = self._find_living(_checked(request).service_arn).id, self._clock.now()

        def deploy(tx: Transaction) -> str:
            record = tx.service(service_id)
            admit_deployment(record.status)
            record = replace(record, updated_at=now, status=ServiceStatus.OPERATION_IN_PROGRESS)
            return self._open_deployment(tx, record, OperationType.START_DEPLOYMENT, now)

        return StartDeploymentResponse(operation_id=await self._write(deploy))

    async def pause_service(self, request: PauseServiceRequest) -> PauseServiceResponse:
        service_id = self._find_living(_checked(request).service_arn).id

        def pause(tx: Transaction) -> str | None:
            record = tx.service(service_id)
            if admit_pause(record.status) is Admission.NOTHING_TO_DO:
                return None
            return self._open(tx, record, OperationType.PAUSE_SERVICE, mode=DesiredMode.PAUSED)

        operation_id = await self._write(pause)
        return PauseServiceResponse(service=self._service(self._store.services[service_id]), operation_id=operation_id)

    async def resume_service(self, request: ResumeServiceRequest) -> ResumeServiceResponse:
        service_id = self._find_living(_checked(request).service_arn).id

        def resume(tx: Transaction) -> str | None:
            record = tx.service(service_id)
            if admit_resume(record.status) is Admission.NOTHING_TO_DO:
                return None
            # Nothing is deployed on resume: the version that was paused comes back.
            serving = record.serving_version_id
            record = replace(record, target_version_id=serving)
            return self._open(tx, record, OperationType.RESUME_SERVICE, mode=DesiredMode.SERVING, version_id=serving)

        operation_id = await self._write(resume)
        return ResumeServiceResponse(service=self._service(self._store.services[service_id]), operation_id=operation_id)

    async def delete_service(self, request: DeleteServiceRequest) -> DeleteServiceResponse:
        service_id = self._find_living(_checked(request).service_arn).id

        def delete(tx: Transaction) -> str:
            record = tx.service(service_id)
            admit_delete(record.status)
            return self._open(tx, record, OperationType.DELETE_SERVICE, mode=DesiredMode.DELETED)

        operation_id = await self._write(delete)
        return DeleteServiceResponse(service=self._service(self._store.services[service_id]), operation_id=operation_id)

    async def list_operations(self, request: ListOperationsRequest) -> ListOperationsResponse:
        request = _checked(request)
        record = self._find(request.service_arn)
        operations = await self._store.list_operations(record.id, limit=-1)
        page, token = _page(operations, request.next_token, request.max_results)
        return ListOperationsResponse(
            operation_summary_list=tuple(operation.summary() for operation in page), next_token=token
        )

    # What App Runner has no action for.

    async def info(self) -> EngineInfo:
        return EngineInfo(
            version=__version__,
            home=str(self._home.path),
            api_url=self._api_url,
            edge_url=self.edge_url,
            socket=self._socket,
            pid=os.getpid(),
            region=self._settings.region,
            compute=self._compute.name,
            strict=self._settings.strict,
        )

    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse:
        return await inspect_source(replace(request, strict=request.strict or self._settings.strict), self._home)

    async def query_logs(self, query: LogQuery) -> LogPage:
        return await self._telemetry.query_logs(query)

    async def query_metrics(self, query: MetricQuery) -> MetricAnswer:
        return await self._telemetry.query_metrics(query)

    def watch_services(self) -> AbstractAsyncContextManager[AsyncIterator[ServicesChange]]:
        return self._watchers.watch_services(lambda: self._store.services)

    def watch_operations(self, service_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[OperationsChange]]:
        return self._watchers.watch_operations(service_id, lambda: self._store.list_operations(service_id, limit=200))

    def watch_logs(
        self, selector: LogSelector, tail: int = 500
    ) -> AbstractAsyncContextManager[AsyncIterator[LogBatch]]:
        return self._telemetry.watch_logs(selector, tail)

    # The door's own parts.

    def _find(self, arn: str) -> ServiceRecord:
        """Raises ResourceNotFoundException."""
        record = self._store.services.get(service_id_of(arn) or "")
        if record is None or record.arn != arn:
            raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, f"Service with the provided ARN does not exist: {arn}.")
        return record

    def _find_living(self, arn: str) -> ServiceRecord:
        """A deleted service can be described for a while, and nothing else."""
        record = self._find(arn)
        if record.status is ServiceStatus.DELETED:
            raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, f"Service with the provided ARN was deleted: {arn}.")
        return record

    def _auto_scaling(self, arn: str | None) -> str:
        if arn is not None and not names_it(arn, self._scaling, self._settings.region):
            raise EngineError(
                ErrorCode.INVALID_REQUEST, f"Auto scaling configuration with the provided ARN does not exist: {arn}."
            )
        return self._scaling.arn

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
        tx.put(self._operation(record, kind, operation_id, version.id, now))
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
        operation_id, now = new_operation_id(), self._clock.now()
        tx.put(replace(record, mode=mode, status=ServiceStatus.OPERATION_IN_PROGRESS, updated_at=now))
        tx.put(self._operation(record, kind, operation_id, version_id, now))
        return operation_id

    def _operation(
        self, record: ServiceRecord, kind: OperationType, operation_id: str, version_id: str | None, now: float
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

    async def _write(self, decide: Callable[[Transaction], _T]) -> _T:
        try:
            return await self._store.write(decide)
        except StoreError as error:
            raise EngineError(ErrorCode.INTERNAL, str(error)) from error

    # What clients see.

    def _service_url(self, record: ServiceRecord) -> str:
        port = self._edge.address.rpartition(":")[2]
        host = default_host(record, self._settings.region)
        return host if port == "80" else f"{host}:{port}"

    def _service(self, record: ServiceRecord) -> Service:
        config: ServiceConfig = record.config
        return Service(
            service_name=record.name,
            service_id=record.id,
            service_arn=record.arn,
            service_url=self._service_url(record),
            created_at=record.created_at,
            updated_at=record.updated_at,
            deleted_at=record.deleted_at,
            status=record.status,
            source_configuration=config.source,
            instance_configuration=config.instance,
            encryption_configuration=config.encryption,
            health_check_configuration=config.health_check,
            auto_scaling_configuration_summary=self._scaling.summary(has_associated_service=True),
            network_configuration=config.network,
            observability_configuration=config.observability,
        )

    def _view(self, service_id: str) -> ServiceView | None:
        record = self._store.services.get(service_id)
        if record is None or record.status is ServiceStatus.DELETED:
            return None
        serving = self._store.versions.get(record.serving_version_id or "")
        operation = self._store.newest_operation(service_id)
        return ServiceView(
            service=self._service(record),
            operation=operation,
            failure=operation.failure if operation else None,
            version_number=serving.number if serving else None,
            revision=serving.revision if serving else None,
            instances=tuple(self._store.instances_of(service_id)),
            waiting=self._lifecycle.waiting(service_id),
        )

    # What goes on by itself.

    def _on_change(self, changed: Changed) -> None:
        self._watchers.services_changed(changed.services, changed.removed_services)
        for operation_id in changed.operations:
            operation = self._store.operations.get(operation_id)
            if operation:
                self._watchers.operation_changed(operation)

    def _on_report(self, report: Report) -> None:
        self._telemetry.record_edge(report.samples)
        self._lifecycle.wake_draining()

    async def _sample(self) -> None:
        await self._telemetry.run_sampler(self._compute.sample, lambda: list(self._store.instances.values()))

    async def _pulse(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            self._watchers.pulsed(self._telemetry.pulse(self._clock.now()))

    async def _keep_house(self) -> None:
        """Deleted services leave the store when their time is over; old telemetry goes."""
        while True:
            try:
                await self._tidy(self._clock.now())
            except Exception:
                logger.exception("Housekeeping failed; it is tried again in a minute")
            await self._clock.sleep(_HOUSEKEEPING_S)

    async def _tidy(self, now: float) -> None:
        for record in list(self._store.services.values()):
            if record.deleted_at and record.deleted_at + self._settings.deleted_retention_s <= now:
                await self._store.write(lambda tx, record=record: tx.remove(ServiceRecord, record.id))  # type: ignore[misc]
                await self._telemetry.forget(record.id)
        horizon = now - self._settings.log_retention_days * 86400
        await self._store.forget_stopped_instances(horizon)
        await self._telemetry.prune(horizon)


def _checked(request: _RequestT) -> _RequestT:
    """The request with every limit and pattern of its shape enforced, whoever built it.

    Raises EngineError (InvalidRequestException) naming the member.
    """
    plain = msgspec.to_builtins(request)
    try:
        return msgspec.convert(plain, type(request))
    except msgspec.ValidationError as error:
        problem = explain(plain, type(request)) or f"Invalid request: {error}."
        raise EngineError(ErrorCode.INVALID_REQUEST, problem) from error


def _page(items: list[_Item], token: str | None, size: int | None) -> tuple[list[_Item], str | None]:
    """One page and the token of the next; everything at once when no size was asked for."""
    start = 0
    if token is not None:
        try:
            start = int(base64.urlsafe_b64decode(token.encode()).decode())
        except ValueError as error:
            raise EngineError(ErrorCode.INVALID_REQUEST, "The NextToken is not one that was given out.") from error
        if start < 0:
            raise EngineError(ErrorCode.INVALID_REQUEST, "The NextToken is not one that was given out.")
    end = len(items) if size is None else start + size
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return items[start:end], following
