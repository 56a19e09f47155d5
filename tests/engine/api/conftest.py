"""A small engine in memory and the servers in front of it; everything between it and the client is real."""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.api.attached import AttachedEngine
from engine.api.host import Host
from engine.model.actions import service as actions
from engine.model.audit import SCREEN, AuditChange, AuditQuery, Caller, RefusedCall
from engine.model.constraints import checked
from engine.model.errors import EngineError, ErrorCode
from engine.model.home import Home
from engine.model.ids import new_id, new_operation_id, service_arn
from engine.model.log import LogBatch, LogKind, LogLine, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery, Series
from engine.model.operation import Operation, OperationStatus, OperationType
from engine.model.service import (
    AutoScalingConfigurationSummary,
    CodeRepository,
    InstanceConfiguration,
    NetworkConfiguration,
    Service,
    ServiceStatus,
    ServiceSummary,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.settings import Settings
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
    ServiceView,
)

NOW = 1_770_000_000.25


def _source() -> SourceConfiguration:
    return SourceConfiguration(
        code_repository=CodeRepository(
            repository_url="/srv/hello",
            source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
        )
    )


class FakeEngine:
    """Keeps services in a dict; watchers get a snapshot, then changes merged while they do not look."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self.operations: list[Operation] = []
        self.requests: list[object] = []
        self.callers: list[Caller] = []
        self.refused: list[RefusedCall] = []
        self.pulled = 0
        """Items that watchers have taken out."""
        self.watching = 0
        self.cancelled: list[str] = []
        self.finished: list[str] = []
        self.hold = asyncio.Event()
        """inspect_source and pause_service wait for it."""
        self.hold.set()
        self.crash: Exception | None = None
        self.closed_with: bool | None = None
        self._urls = ("", "")
        self._changed = asyncio.Condition()
        self._version = 0

    # A hosted engine.

    def announce(self, *, api_url: str, socket: str) -> None:
        self._urls = (api_url, socket)

    async def close(self, *, stop_instances: bool = False) -> None:
        self.closed_with = stop_instances

    # Actions.

    def add(self, name: str) -> Service:
        service_id = new_id()
        service = Service(
            service_name=name,
            service_id=service_id,
            service_arn=service_arn("us-east-1", name, service_id),
            service_url=f"{service_id[:10]}.us-east-1.homerun.localhost:8800",
            created_at=NOW,
            updated_at=NOW,
            status=ServiceStatus.RUNNING,
            source_configuration=_source(),
            instance_configuration=InstanceConfiguration(cpu="1024", memory="2048"),
            auto_scaling_configuration_summary=AutoScalingConfigurationSummary(
                auto_scaling_configuration_name="DefaultConfiguration", status="active", is_default=True
            ),
            network_configuration=NetworkConfiguration(),
        )
        self.services[service.service_arn] = service
        return service

    async def changed(self) -> None:
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _find(self, arn: str) -> Service:
        if self.crash:
            raise self.crash
        if arn not in self.services:
            raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, f"Service not found: {arn}.")
        return self.services[arn]

    def _operate(self, service: Service, kind: OperationType) -> str:
        operation = Operation(
            id=new_operation_id(),
            service_id=service.service_id,
            service_arn=service.service_arn,
            service_name=service.service_name,
            type=kind,
            status=OperationStatus.IN_PROGRESS,
            started_at=NOW + len(self.operations),
            updated_at=NOW + len(self.operations),
        )
        self.operations.insert(0, operation)
        return operation.id

    async def call(self, request: object, *, caller: Caller = SCREEN) -> object:
        self.callers.append(caller)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(request).__name__.removesuffix("Request")).lower()
        scripted = getattr(self, name, None)
        if scripted is None:
            raise EngineError(ErrorCode.INVALID_STATE, f"Nobody has scripted {name}.")
        return await scripted(checked(request))

    def turned_away(self, call: RefusedCall) -> None:
        self.refused.append(call)

    async def create_service(self, request: actions.CreateServiceRequest) -> actions.CreateServiceResponse:
        self.requests.append(request)
        if any(service.service_name == request.service_name for service in self.services.values()):
            raise EngineError(
                ErrorCode.INVALID_REQUEST, f"Service with the provided name already exists: {request.service_name}."
            )
        service = self.add(request.service_name)
        return actions.CreateServiceResponse(
            service=service, operation_id=self._operate(service, OperationType.CREATE_SERVICE)
        )

    async def describe_service(self, request: actions.DescribeServiceRequest) -> actions.DescribeServiceResponse:
        return actions.DescribeServiceResponse(service=self._find(request.service_arn))

    async def list_services(self, request: actions.ListServicesRequest) -> actions.ListServicesResponse:
        start = int(request.next_token or 0)
        services = list(self.services.values())
        end = start + (request.max_results or len(services))
        return actions.ListServicesResponse(
            service_summary_list=tuple(
                ServiceSummary(
                    service_name=service.service_name,
                    service_id=service.service_id,
                    service_arn=service.service_arn,
                    service_url=service.service_url,
                    created_at=service.created_at,
                    updated_at=service.updated_at,
                    status=service.status,
                )
                for service in services[start:end]
            ),
            next_token=str(end) if end < len(services) else None,
        )

    async def update_service(self, request: actions.UpdateServiceRequest) -> actions.UpdateServiceResponse:
        self.requests.append(request)
        service = self._find(request.service_arn)
        return actions.UpdateServiceResponse(
            service=service, operation_id=self._operate(service, OperationType.UPDATE_SERVICE)
        )

    async def start_deployment(self, request: actions.StartDeploymentRequest) -> actions.StartDeploymentResponse:
        service = self._find(request.service_arn)
        return actions.StartDeploymentResponse(operation_id=self._operate(service, OperationType.START_DEPLOYMENT))

    async def pause_service(self, request: actions.PauseServiceRequest) -> actions.PauseServiceResponse:
        service = self._find(request.service_arn)
        self.requests.append(request)
        await self.hold.wait()
        self.finished.append("pause_service")
        return actions.PauseServiceResponse(service=service)

    async def resume_service(self, request: actions.ResumeServiceRequest) -> actions.ResumeServiceResponse:
        service = self._find(request.service_arn)
        return actions.ResumeServiceResponse(
            service=service, operation_id=self._operate(service, OperationType.RESUME_SERVICE)
        )

    async def delete_service(self, request: actions.DeleteServiceRequest) -> actions.DeleteServiceResponse:
        service = self._find(request.service_arn)
        del self.services[request.service_arn]
        return actions.DeleteServiceResponse(
            service=service, operation_id=self._operate(service, OperationType.DELETE_SERVICE)
        )

    async def list_operations(self, request: actions.ListOperationsRequest) -> actions.ListOperationsResponse:
        self._find(request.service_arn)
        return actions.ListOperationsResponse(
            operation_summary_list=tuple(
                operation.summary() for operation in self.operations if operation.service_arn == request.service_arn
            )
        )

    # The rest.

    async def info(self) -> EngineInfo:
        return EngineInfo(
            version="0.1.0",
            home="/home",
            api_url=self._urls[0],
            edge_url="http://127.0.0.1:8800",
            socket=self._urls[1],
            pid=os.getpid(),
            region="us-east-1",
            compute="process",
        )

    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse:
        self.requests.append(request)
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled.append("inspect_source")
            raise
        return InspectSourceResponse(kind="git", default_branch="main", branches=("main",))

    async def query_logs(self, query: LogQuery) -> LogPage:
        return LogPage(lines=tuple(self._line(query.selector, seq) for seq in range(min(query.limit, 5))), more=False)

    async def query_metrics(self, query: MetricQuery) -> MetricAnswer:
        return MetricAnswer(
            start=query.start,
            resolution_s=60.0,
            series=tuple(Series(metric=metric, values=(1.0, None, 2.5)) for metric in query.metrics),
        )

    @staticmethod
    def _line(selector: LogSelector, seq: int) -> LogLine:
        return LogLine(
            seq=seq,
            at=NOW + seq,
            service_id=selector.service_id,
            kind=selector.kind,
            stream=selector.stream,
            text=f"line {seq} \x1b[31m\u2028",
        )

    @asynccontextmanager
    async def watch_services(self) -> AsyncIterator[AsyncIterator[ServicesChange]]:
        self.watching += 1
        try:
            yield self._service_changes()
        finally:
            self.watching -= 1

    async def _service_changes(self) -> AsyncIterator[ServicesChange]:
        seen = self._version
        self.pulled += 1
        yield ServicesChange(snapshot=True, changed=tuple(ServiceView(service=each) for each in self.services.values()))
        while True:
            async with self._changed:
                while self._version == seen:
                    await self._changed.wait()
                seen = self._version
            self.pulled += 1
            yield ServicesChange(removed=(str(seen),))

    @asynccontextmanager
    async def watch_operations(self, service_id: str = "") -> AsyncIterator[AsyncIterator[OperationsChange]]:
        if service_id == "missing":
            raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, "There is no such service.")

        async def changes() -> AsyncIterator[OperationsChange]:
            yield OperationsChange(snapshot=True, changed=tuple(self.operations))

        yield changes()

    @asynccontextmanager
    async def watch_logs(self, selector: LogSelector, tail: int = 500) -> AsyncIterator[AsyncIterator[LogBatch]]:
        async def batches() -> AsyncIterator[LogBatch]:
            for seq in range(tail):
                self.pulled += 1
                yield LogBatch(lines=(self._line(selector, seq),))
            if selector.kind is LogKind.DEPLOYMENT:
                raise EngineError(ErrorCode.INVALID_STATE, "The stream broke.")

        yield batches()

    @asynccontextmanager
    async def watch_audit(self, query: AuditQuery) -> AsyncIterator[AsyncIterator[AuditChange]]:
        async def changes() -> AsyncIterator[AuditChange]:
            yield AuditChange(snapshot=True)

        yield changes()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make_engine() -> Callable[[], FakeEngine]:
    return FakeEngine


@pytest.fixture
def home() -> object:
    """A home with a short path: sockets live in it."""
    path = Path(tempfile.mkdtemp(prefix="hr-"))
    yield Home(path=path / "home")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def open_host(home: Home, engine: FakeEngine) -> Callable[..., object]:
    """Opens a host on free ports around the fake engine: use it with `async with`."""

    def opened(**settings: str) -> object:
        async def factory(_home: Home, _settings: Settings) -> FakeEngine:
            return engine

        chosen = Settings(**{"api": "127.0.0.1:0", **settings})
        return Host.open(home, chosen, engine_factory=factory)

    return opened


@pytest.fixture
async def host(open_host: Callable[..., object]) -> AsyncIterator[Host]:
    async with open_host() as host:
        yield host


@pytest.fixture
async def attached(host: Host) -> AsyncIterator[AttachedEngine]:
    engine = await AttachedEngine.connect(Path(host.record.socket))
    yield engine
    await engine.aclose()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], object]:
    """Waits (at most two seconds) until a condition holds."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(2):
            while not condition():
                await asyncio.sleep(0.005)

    return wait
