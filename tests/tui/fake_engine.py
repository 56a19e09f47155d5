"""FakeEngine: an EngineApi with scripted values of real shapes, and a clock that stands still."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from engine.model.actions.connection import (
    Connection,
    ConnectionStatus,
    CreateConnectionRequest,
    CreateConnectionResponse,
    DeleteConnectionRequest,
    DeleteConnectionResponse,
    ListConnectionsRequest,
    ListConnectionsResponse,
    ProviderType,
)
from engine.model.actions.homerun import AuthorizeConnectionRequest, AuthorizeConnectionResponse
from engine.model.actions.service import (
    CreateServiceRequest,
    CreateServiceResponse,
    DeleteServiceRequest,
    DeleteServiceResponse,
    PauseServiceRequest,
    PauseServiceResponse,
    ResumeServiceRequest,
    ResumeServiceResponse,
    StartDeploymentRequest,
    StartDeploymentResponse,
    UpdateServiceRequest,
    UpdateServiceResponse,
)
from engine.model.audit import AuditChange, AuditQuery, AuditRecord
from engine.model.errors import EngineError, ErrorCode, Failure, FailureKind
from engine.model.ids import resource_arn, service_arn, service_id_of
from engine.model.instance import Address, Instance, InstanceState, ProcessHandle
from engine.model.log import LogBatch, LogKind, LogLine, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricName, MetricQuery, Pulse, Series
from engine.model.operation import Operation, OperationStatus, OperationStep, OperationType
from engine.model.resource import first_auto_scaling
from engine.model.service import (
    AutoScalingConfigurationSummary,
    CodeConfiguration,
    CodeRepository,
    ConfigurationSource,
    HealthCheckConfiguration,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    InstanceConfiguration,
    NetworkConfiguration,
    Service,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.version import Revision
from engine.model.watch import (
    ComputeState,
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
    ServiceView,
)

NOW = 1_795_444_200.0
"""2026-11-23 14:30:00 UTC."""
REGION = "us-east-1"


class FrozenClock:
    """Time stands still until a test moves it."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time - NOW

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def hexed(number: int) -> str:
    """An id like the engine's, but the same every time."""
    return f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 0x1234567) % (1 << 128):032x}"


def uuid_of(number: int) -> str:
    digits = hexed(number + 7_000)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def service(
    name: str,
    number: int,
    *,
    status: ServiceStatus = ServiceStatus.RUNNING,
    repository: str = "",
    branch: str = "main",
    age_s: float = 3 * 86400,
) -> Service:
    service_id = hexed(number)
    letters = "".join(chr(97 + int(digit, 16)) for digit in hexed(number + 99)[:10])
    return Service(
        service_name=name,
        service_id=service_id,
        service_arn=service_arn(REGION, name, service_id),
        service_url=f"{letters}.{REGION}.homerun.localhost:8800",
        created_at=NOW - age_s,
        updated_at=NOW - 60,
        status=status,
        source_configuration=SourceConfiguration(
            code_repository=CodeRepository(
                repository_url=repository or f"https://github.com/acme/{name}",
                source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value=branch),
                code_configuration=CodeConfiguration(configuration_source=ConfigurationSource.REPOSITORY),
                source_directory="/",
            ),
            auto_deployments_enabled=True,
        ),
        instance_configuration=InstanceConfiguration(cpu="1024", memory="2048"),
        health_check_configuration=HealthCheckConfiguration(),
        auto_scaling_configuration_summary=AutoScalingConfigurationSummary(
            auto_scaling_configuration_arn=first_auto_scaling(REGION).arn
        ),
        network_configuration=NetworkConfiguration(),
    )


def image_service(name: str, number: int, image: str, *, status: ServiceStatus = ServiceStatus.RUNNING) -> Service:
    """One that runs an image."""
    source = SourceConfiguration(
        image_repository=ImageRepository(
            image_identifier=image,
            image_repository_type=ImageRepositoryType.ECR,
            image_configuration=ImageConfiguration(port="80"),
        ),
        auto_deployments_enabled=True,
    )
    return msgspec.structs.replace(service(name, number, status=status), source_configuration=source)


def instance(of: Service, number: int, state: InstanceState = InstanceState.READY) -> Instance:
    return Instance(
        id=hexed(number + 500),
        service_id=of.service_id,
        version_id=hexed(number + 900),
        compute="process",
        state=state,
        handle=ProcessHandle(pid=4000 + number, started_at=NOW - 600),
        address=Address(host="127.0.0.1", port=41000 + number),
        created_at=NOW - 600,
        ready_at=NOW - 598 if state is InstanceState.READY else None,
    )


def operation(
    of: Service,
    number: int,
    *,
    kind: OperationType = OperationType.START_DEPLOYMENT,
    status: OperationStatus = OperationStatus.SUCCEEDED,
    step: OperationStep = OperationStep.DONE,
    note: str = "",
    failure: Failure | None = None,
    ago_s: float = 600,
    took_s: float | None = 4.2,
) -> Operation:
    started = NOW - ago_s
    ended = None if status.is_open or took_s is None else started + took_s
    return Operation(
        id=uuid_of(number),
        service_id=of.service_id,
        service_arn=of.service_arn,
        service_name=of.service_name,
        type=kind,
        status=status,
        step=step,
        note=note,
        failure=failure,
        started_at=started,
        ended_at=ended,
        updated_at=ended or started,
    )


def record(
    name: str,
    number: int,
    *,
    of: Service | None = None,
    error: tuple[str, str] = ("", ""),
    refused: bool = False,
    user: str = "homerun",
    agent: str = "aws-cli/2.31.2 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.7",
    parameters: object = None,
    elements: object = None,
    ago_s: float = 60,
) -> AuditRecord:
    """A call in the audit trail. Those that do not say otherwise have the service's ARN as their parameter."""
    if parameters is None and of is not None:
        parameters = {"serviceArn": of.service_arn}
    key = "HRAKQ7XW3M5T2Y8ZB4NC" if user == "homerun" else ""
    event = {
        "eventVersion": "1.09",
        "eventTime": datetime.fromtimestamp(NOW - ago_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "apprunner.amazonaws.com",
        "eventName": name,
        "sourceIPAddress": "" if user == "screen" else "127.0.0.1",
        "userAgent": "" if user == "screen" else agent,
        **({"errorCode": error[0], "errorMessage": error[1]} if error[0] else {}),
        "requestParameters": parameters,
        "responseElements": elements,
        "requestID": "" if user == "screen" else uuid_of(number + 50),
        "eventID": uuid_of(number),
    }
    return AuditRecord(
        seq=number,
        id=uuid_of(number),
        at=NOW - ago_s,
        source="apprunner.amazonaws.com",
        name=name,
        read_only=name.startswith(("Describe", "List")),
        refused=refused,
        user=user,
        access_key_id=key,
        error_code=error[0],
        resources=(of.service_arn,) if of is not None else (),
        event=json.dumps(event),
    )


def connection(name: str, number: int, *, status: ConnectionStatus, provider: ProviderType) -> Connection:
    return Connection(
        connection_name=name,
        connection_arn=resource_arn(REGION, "connection", name, hexed(number)),
        provider_type=provider,
        status=status,
        created_at=NOW - number * 3600,
    )


BUILD_FAILURE = Failure(
    kind=FailureKind.BUILD,
    message='The build command "pip install -r requirements.txt" exited with code 1.',
    evidence=(
        "Collecting flask==2.0.9",
        "ERROR: Could not find a version that satisfies the requirement flask==2.0.9 (from versions: 2.0.0, 2.0.1)",
        "ERROR: No matching distribution found for flask==2.0.9",
    ),
    hint="Correct the version in requirements.txt, commit, and press d to deploy again.",
    exit_code=1,
)

REVISION = Revision(
    id="3f2a91c4d5e6f708192a3b4c5d6e7f8091a2b3c4",
    kind="commit",
    branch="main",
    title="Fix the greeting on the front page",
    author="Ada",
    at=NOW - 7200,
)


INSPECTION = InspectSourceResponse(
    kind="git",
    default_branch="main",
    branches=("develop", "main"),
    revision=REVISION,
    suggested_name="python-hello",
    config_file="apprunner.yaml",
    runtime="python311",
    build_commands=("pip install -r requirements.txt",),
    start_command="python app.py",
    port=8080,
)
"""A repository whose apprunner.yaml says it all."""


def view(of: Service, **more: object) -> ServiceView:
    return ServiceView(service=of, **more)  # type: ignore[arg-type]


def method_of(request: object) -> str:
    """CreateServiceRequest -> create_service."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(request).__name__.removesuffix("Request")).lower()


class FakeEngine:
    """Answers at once. Tests push changes with `push_*`, take the engine away with `drop`, and read `calls`."""

    def __init__(self, *, clock: FrozenClock | None = None, pid: int = 1) -> None:
        self.clock = clock or FrozenClock()
        self.pid = pid
        self.services: dict[str, ServiceView] = {}
        self.pulses: dict[str, Pulse] = {}
        self.compute: ComputeState | None = None
        self.operations: dict[str, Operation] = {}
        self.lines: list[LogLine] = []
        self.records: list[AuditRecord] = []
        """The audit trail, oldest first."""
        self.connections: dict[str, Connection] = {}
        """By ARN."""
        self.calls: list[tuple[str, object]] = []
        self.refusal: Exception | None = None
        """Raised by the next command."""
        self.is_down = False
        self.inspection = INSPECTION
        self.traffic = True
        self._watchers: set[asyncio.Queue[object]] = set()

    # Scripting.

    def put(self, *views: ServiceView, pulses: tuple[Pulse, ...] = (), operations: tuple[Operation, ...] = ()) -> None:
        """The state before anybody watches."""
        self.services |= {view.service.service_id: view for view in views}
        self.pulses |= {pulse.service_id: pulse for pulse in pulses}
        self.operations |= {each.id: each for each in (*operations, *(v.operation for v in views if v.operation))}

    def push(self, change: ServicesChange | OperationsChange | LogLine | AuditRecord) -> None:
        """Tell every watcher."""
        match change:
            case ServicesChange():
                self.services |= {view.service.service_id: view for view in change.changed}
                self.pulses |= {pulse.service_id: pulse for pulse in change.pulses}
                for service_id in change.removed:
                    self.services.pop(service_id, None)
            case OperationsChange():
                self.operations |= {each.id: each for each in change.changed}
            case LogLine():
                self.lines.append(change)
            case AuditRecord():
                self.records.append(change)
        for watcher in self._watchers:
            watcher.put_nowait(change)

    def push_view(self, changed: ServiceView) -> None:
        self.push(ServicesChange(changed=(changed,)))
        if changed.operation:
            self.push(OperationsChange(changed=(changed.operation,)))

    def log(self, of: Service, kind: LogKind, text: str, *, stream: str = "", ago_s: float = 0) -> None:
        self.push(
            LogLine(
                seq=len(self.lines) + 1,
                at=self.clock.now() - ago_s,
                service_id=of.service_id,
                kind=kind,
                stream=stream,
                text=text,
            )
        )

    def drop(self) -> None:
        """The attached engine goes away."""
        self.is_down = True
        for watcher in self._watchers:
            watcher.put_nowait(ConnectionError("The engine has gone away."))

    # Commands.

    def _record(self, name: str, request: object) -> Service | None:
        if self.is_down:
            raise ConnectionError("The engine has gone away.")
        self.calls.append((name, request))
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        arn = getattr(request, "service_arn", None)
        if arn is None:
            return None
        found = self.services.get(service_id_of(arn) or "")
        if found is None:
            raise EngineError(ErrorCode.RESOURCE_NOT_FOUND, "There is no such service.")
        return found.service

    def _start(self, of: Service, kind: OperationType, step: OperationStep) -> Operation:
        number = 800 + len(self.operations)
        started = operation(of, number, kind=kind, status=OperationStatus.IN_PROGRESS, step=step, ago_s=0)
        busy = _with(of, ServiceStatus.OPERATION_IN_PROGRESS)
        before = self.services.get(of.service_id)
        self.push_view(view(busy, operation=started, instances=before.instances if before else ()))
        return started

    async def call(self, request: object) -> object:
        return await getattr(self, method_of(request))(request)

    async def create_service(self, request: CreateServiceRequest) -> CreateServiceResponse:
        self._record("create_service", request)
        repository = request.source_configuration.code_repository
        created = service(
            request.service_name,
            300 + len(self.services),
            status=ServiceStatus.OPERATION_IN_PROGRESS,
            repository=repository.repository_url if repository else "",
            age_s=0,
        )
        started = self._start(created, OperationType.CREATE_SERVICE, OperationStep.FETCH)
        return CreateServiceResponse(service=created, operation_id=started.id)

    async def start_deployment(self, request: StartDeploymentRequest) -> StartDeploymentResponse:
        of = self._record("start_deployment", request)
        return StartDeploymentResponse(
            operation_id=self._start(of, OperationType.START_DEPLOYMENT, OperationStep.FETCH).id
        )

    async def update_service(self, request: UpdateServiceRequest) -> UpdateServiceResponse:
        of = self._record("update_service", request)
        started = self._start(of, OperationType.UPDATE_SERVICE, OperationStep.FETCH)
        return UpdateServiceResponse(service=of, operation_id=started.id)

    async def pause_service(self, request: PauseServiceRequest) -> PauseServiceResponse:
        of = self._record("pause_service", request)
        started = self._start(of, OperationType.PAUSE_SERVICE, OperationStep.DRAIN)
        return PauseServiceResponse(service=of, operation_id=started.id)

    async def resume_service(self, request: ResumeServiceRequest) -> ResumeServiceResponse:
        of = self._record("resume_service", request)
        started = self._start(of, OperationType.RESUME_SERVICE, OperationStep.START)
        return ResumeServiceResponse(service=of, operation_id=started.id)

    async def delete_service(self, request: DeleteServiceRequest) -> DeleteServiceResponse:
        of = self._record("delete_service", request)
        started = self._start(of, OperationType.DELETE_SERVICE, OperationStep.DRAIN)
        return DeleteServiceResponse(service=of, operation_id=started.id)

    async def list_connections(self, request: ListConnectionsRequest) -> ListConnectionsResponse:
        self._record("list_connections", request)
        return ListConnectionsResponse(connection_summary_list=tuple(self.connections.values()))

    async def create_connection(self, request: CreateConnectionRequest) -> CreateConnectionResponse:
        self._record("create_connection", request)
        pending = ConnectionStatus.PENDING_HANDSHAKE
        name, number = request.connection_name, 400 + len(self.connections)
        return CreateConnectionResponse(
            connection=self._keep(connection(name, number, status=pending, provider=request.provider_type))
        )

    async def authorize_connection(self, request: AuthorizeConnectionRequest) -> AuthorizeConnectionResponse:
        self._record("authorize_connection", request)
        pending = self.connections[request.connection_arn]
        return AuthorizeConnectionResponse(
            connection=self._keep(msgspec.structs.replace(pending, status=ConnectionStatus.AVAILABLE))
        )

    async def delete_connection(self, request: DeleteConnectionRequest) -> DeleteConnectionResponse:
        self._record("delete_connection", request)
        return DeleteConnectionResponse(connection=self.connections.pop(request.connection_arn))

    def _keep(self, kept: Connection) -> Connection:
        self.connections[kept.connection_arn or ""] = kept
        return kept

    async def info(self) -> EngineInfo:
        if self.is_down:
            raise ConnectionError("No engine answers at /home/ada/.local/share/homerun/run/engine.sock.")
        return EngineInfo(
            version="0.1.0",
            home="/home/ada/.local/share/homerun",
            api_url="http://127.0.0.1:8801",
            edge_url="http://127.0.0.1:8800",
            socket="/home/ada/.local/share/homerun/run/engine.sock",
            pid=self.pid,
            region=REGION,
            compute="process",
        )

    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse:
        self.calls.append(("inspect_source", request))
        return self.inspection

    async def query_logs(self, query: LogQuery) -> LogPage:
        return LogPage(lines=tuple(line for line in self.lines if _selects(query.selector, line)), more=False)

    async def query_metrics(self, query: MetricQuery) -> MetricAnswer:
        found = self.services.get(query.service_id)
        resolution = (query.end - query.start) / query.points
        running = found is not None and bool(found.instances) and self.traffic
        return MetricAnswer(
            start=query.start,
            resolution_s=resolution,
            series=tuple(
                Series(
                    metric=metric,
                    values=tuple(
                        _measured(metric, at, resolution) if running and at > query.points * 0.1 else None
                        for at in range(query.points)
                    ),
                )
                for metric in query.metrics
            ),
        )

    # Watching.

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator[asyncio.Queue[object]]:
        if self.is_down:
            raise ConnectionError("The engine has gone away.")
        queue: asyncio.Queue[object] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    @asynccontextmanager
    async def watch_services(self) -> AsyncIterator[AsyncIterator[ServicesChange]]:
        async with self._watch() as queue:
            first = ServicesChange(
                snapshot=True,
                changed=tuple(self.services.values()),
                pulses=tuple(self.pulses.values()),
                compute=self.compute,
            )
            yield _of_type(queue, ServicesChange, first)

    @asynccontextmanager
    async def watch_operations(self, service_id: str = "") -> AsyncIterator[AsyncIterator[OperationsChange]]:
        async with self._watch() as queue:
            newest = sorted(self.operations.values(), key=lambda each: each.started_at, reverse=True)
            chosen = tuple(each for each in newest if not service_id or each.service_id == service_id)
            yield _of_type(queue, OperationsChange, OperationsChange(snapshot=True, changed=chosen[:200]))

    @asynccontextmanager
    async def watch_logs(self, selector: LogSelector, tail: int = 500) -> AsyncIterator[AsyncIterator[LogBatch]]:
        async with self._watch() as queue:
            kept = tuple(line for line in self.lines if _selects(selector, line))[-tail:]
            yield _log_batches(queue, selector, LogBatch(lines=kept))

    @asynccontextmanager
    async def watch_audit(self, query: AuditQuery) -> AsyncIterator[AsyncIterator[AuditChange]]:
        async with self._watch() as queue:
            yield _audit_changes(queue, query, tuple(self.records))


def _with(of: Service, status: ServiceStatus) -> Service:
    return msgspec.structs.replace(of, status=status)


async def _of_type(queue: asyncio.Queue, kind: type, first: object) -> AsyncIterator:
    yield first
    while True:
        change = await queue.get()
        if isinstance(change, Exception):
            raise change
        if isinstance(change, kind):
            yield change


async def _log_batches(queue: asyncio.Queue, selector: LogSelector, first: LogBatch) -> AsyncIterator[LogBatch]:
    yield first
    async for line in _of_type(queue, LogLine, None):
        if line is not None and _selects(selector, line):
            yield LogBatch(lines=(line,))


async def _audit_changes(
    queue: asyncio.Queue, query: AuditQuery, known: tuple[AuditRecord, ...]
) -> AsyncIterator[AuditChange]:
    def wanted(record: AuditRecord) -> bool:
        return record.refused or not record.read_only or not query.changes_only

    yield AuditChange(snapshot=True, records=tuple(filter(wanted, known))[-query.limit :])
    async for new in _of_type(queue, AuditRecord, None):
        if new is not None and wanted(new):
            yield AuditChange(records=(new,))


def _selects(selector: LogSelector, line: LogLine) -> bool:
    return (
        (not selector.service_id or line.service_id == selector.service_id)
        and line.kind is selector.kind
        and (not selector.stream or line.stream == selector.stream)
    )


def _measured(metric: MetricName, at: int, resolution_s: float) -> float:
    """A believable number that is the same every time."""
    wave = 0.5 + 0.35 * math.sin(at / 19) + 0.15 * math.sin(at / 5.3)
    match metric:
        case MetricName.REQUESTS:
            return round(12 * wave * resolution_s)
        case MetricName.STATUS_2XX:
            return round(11.6 * wave * resolution_s)
        case MetricName.STATUS_4XX:
            return round(0.9 * wave * resolution_s) if at % 9 == 0 else 0
        case MetricName.STATUS_5XX:
            return round(1.5 * resolution_s) if at in range(150, 158) else 0
        case MetricName.LATENCY_P50:
            return 8 + 5 * wave
        case MetricName.LATENCY_P95:
            return 24 + 18 * wave
        case MetricName.LATENCY_P99:
            return 48 + 60 * wave
        case MetricName.CPU:
            return 6 + 30 * wave
        case MetricName.MEMORY:
            return 12 + 3 * wave
        case MetricName.MEMORY_BYTES:
            return (180 + 40 * at / 240) * 1024**2
        case MetricName.ACTIVE_INSTANCES:
            return 1 if wave < 0.5 else 2
        case MetricName.PROVISIONED_INSTANCES:
            return 2
        case MetricName.CONCURRENCY:
            return 3 * wave
    raise AssertionError(metric)


def town() -> FakeEngine:
    """Six services with everything that can happen to one."""
    engine = FakeEngine()
    shop = service("shop-api", 1)
    web = service("shop-web", 2, age_s=9 * 86400)
    hello = service(
        "python-hello",
        3,
        status=ServiceStatus.OPERATION_IN_PROGRESS,
        repository="/home/ada/code/python-hello",
        age_s=3,
    )
    mailer = service("mailer", 4, status=ServiceStatus.PAUSED, age_s=30 * 86400)
    broken = service("image-resizer", 5, status=ServiceStatus.CREATE_FAILED, age_s=900)
    reports = service("reports", 6, branch="release/2026", age_s=2 * 3600)
    deploying = operation(
        hello,
        11,
        kind=OperationType.CREATE_SERVICE,
        status=OperationStatus.IN_PROGRESS,
        step=OperationStep.HEALTH_CHECK,
        note="main 91ab03f Say hello",
        ago_s=3.4,
    )
    failed_create = operation(
        broken,
        12,
        kind=OperationType.CREATE_SERVICE,
        status=OperationStatus.FAILED,
        step=OperationStep.BUILD,
        failure=BUILD_FAILURE,
        ago_s=900,
        took_s=12.8,
    )
    port_failure = Failure(
        kind=FailureKind.PORT,
        message="The application listens on port 5000, not on 8080 where Homerun expects it.",
        evidence=("listening: 127.0.0.1:5000 (pid 4711, python app.py)", "expected:  0.0.0.0:8080 (PORT=8080)"),
        hint="Listen on the port in the environment variable PORT, or set run.network.port to 5000.",
    )
    rolled_back = operation(
        reports,
        13,
        status=OperationStatus.ROLLBACK_SUCCEEDED,
        step=OperationStep.HEALTH_CHECK,
        failure=port_failure,
        ago_s=420,
        took_s=21.3,
    )
    engine.put(
        view(
            shop,
            version_number=7,
            revision=REVISION,
            instances=(instance(shop, 1), instance(shop, 2)),
            operation=operation(shop, 1, note="main 3f2a91c Fix the greeting on the front page", ago_s=1300),
        ),
        view(
            web,
            version_number=31,
            revision=Revision(
                id="a81c0de4d5e6f708192a3b4c5d6e7f8091a2b3c4",
                kind="commit",
                branch="main",
                title="Bump the front end",
            ),
            instances=(instance(web, 3),),
        ),
        view(
            hello,
            operation=deploying,
            instances=(instance(hello, 4, InstanceState.STARTING),),
            waiting="health checks: 0 of 1 healthy",
        ),
        view(mailer, version_number=2, operation=operation(mailer, 14, kind=OperationType.PAUSE_SERVICE, ago_s=7300)),
        view(broken, operation=failed_create, failure=BUILD_FAILURE),
        view(
            reports,
            version_number=4,
            revision=Revision(
                id="77aa10be4d5e6f708192a3b4c5d6e7f8091a2b3c",
                kind="commit",
                branch="release/2026",
                title="Faster totals",
            ),
            operation=rolled_back,
            failure=port_failure,
            instances=(instance(reports, 6),),
        ),
        pulses=(
            Pulse(
                service_id=shop.service_id,
                requests_per_s=12.4,
                cpu_percent=18.2,
                memory_bytes=231 * 1024**2,
                latency_p95_ms=41.7,
                active_instances=2,
            ),
            Pulse(
                service_id=web.service_id,
                requests_per_s=148.9,
                cpu_percent=63.0,
                memory_bytes=1210 * 1024**2,
                latency_p95_ms=7.3,
                active_instances=1,
            ),
            Pulse(service_id=reports.service_id, requests_per_s=0.0, cpu_percent=0.4, memory_bytes=96 * 1024**2),
        ),
        operations=tuple(
            operation(
                shop,
                20 + index,
                note=note,
                ago_s=3600 * (index + 2) * 2.5,
                took_s=3.1 + index,
                kind=kind,
            )
            for index, (note, kind) in enumerate(
                (
                    ("main b07e4d1 Remember the basket for a week", OperationType.START_DEPLOYMENT),
                    ("main 0c9d2aa Show prices with tax", OperationType.START_DEPLOYMENT),
                    ("instance configuration 1 vCPU, 2 GB", OperationType.UPDATE_SERVICE),
                    ("", OperationType.RESUME_SERVICE),
                    ("", OperationType.PAUSE_SERVICE),
                    ("main 55e0f3c First version", OperationType.CREATE_SERVICE),
                )
            )
        ),
    )
    _write_logs(engine, shop, broken, failed_create)
    _write_trail(engine, shop, mailer)
    engine.connections = {
        each.connection_arn or "": each
        for each in (
            connection("acme-github", 41, status=ConnectionStatus.AVAILABLE, provider=ProviderType.GITHUB),
            connection("acme-new", 42, status=ConnectionStatus.PENDING_HANDSHAKE, provider=ProviderType.GITHUB),
            connection("old-bitbucket", 43, status=ConnectionStatus.ERROR, provider=ProviderType.BITBUCKET),
        )
    }
    return engine


_REQUESTS = (
    'GET /products 200 12ms "Mozilla/5.0"',
    "GET /products/42 200 8ms",
    "POST /basket 201 31ms",
    "GET /health 200 1ms",
    "WARNING slow query: select * from prices where product_id = 42 (212 ms)",
    "GET /favicon.ico 404 1ms",
    "ERROR payment gateway answered 503, trying again in 2 s",
    "GET /basket 200 9ms",
)


def _write_logs(engine: FakeEngine, shop: Service, broken: Service, failed: Operation) -> None:
    first, second = (each.id for each in engine.services[shop.service_id].instances)
    for index in range(60):
        text = _REQUESTS[index % len(_REQUESTS)]
        engine.log(shop, LogKind.APPLICATION, text, stream=first if index % 3 else second, ago_s=180 - index * 2.9)
    for index, text in enumerate(
        (
            "[AppRunner] Deployment of main 3f2a91c started",
            "[AppRunner] Version 7 built in 2.1 s",
            "[AppRunner] Health check passed: GET / answered 200",
            "[AppRunner] Requests go to version 7",
            "[AppRunner] Version 6 stopped",
            "[AppRunner] Deployment succeeded",
        )
    ):
        engine.log(shop, LogKind.EVENTS, text, ago_s=1300 - index)
    for index, text in enumerate(
        (
            "[AppRunner] Fetching main of https://github.com/acme/image-resizer",
            "[PreBuild] python3 -m venv",
            "[Build] pip install -r requirements.txt",
            "[Build] Collecting flask==2.0.9",
            "[Build] ERROR: Could not find a version that satisfies the requirement flask==2.0.9",
            "[Build] ERROR: No matching distribution found for flask==2.0.9",
            "[AppRunner] The build failed with exit code 1",
        )
    ):
        engine.log(broken, LogKind.DEPLOYMENT, text, stream=re.sub("-", "", failed.id), ago_s=900 - index)


def _write_trail(engine: FakeEngine, shop: Service, mailer: Service) -> None:
    taken = ("InvalidRequestException", "Service with the provided name already exists: shop-api.")
    unsigned = ("IncompleteSignatureException", "The request has no Authorization header.")
    created = {"service": {"serviceName": "shop-api", "serviceArn": shop.service_arn, "status": "RUNNING"}}
    source = {
        "serviceName": "shop-api",
        "sourceConfiguration": {
            "codeRepository": {
                "repositoryUrl": "https://github.com/acme/shop-api",
                "codeConfiguration": {
                    "configurationSource": "API",
                    "codeConfigurationValues": {"startCommand": "HIDDEN_DUE_TO_SECURITY_REASONS"},
                },
            }
        },
    }
    engine.records = [
        record("CreateService", 1, of=shop, parameters=source, elements=created, ago_s=86_400 * 3),
        record("PauseService", 2, of=mailer, user="screen", elements={"operationId": uuid_of(14)}, ago_s=7300),
        record("DescribeService", 3, of=shop, ago_s=3000),
        record("StartDeployment", 4, of=shop, user="screen", elements={"operationId": uuid_of(1)}, ago_s=1300),
        record("ListServices", 5, parameters={}, ago_s=120),
        record("ListServices", 6, error=unsigned, refused=True, user="unknown", agent="curl/8.5.0", ago_s=95),
        record("CreateService", 7, error=taken, parameters=source, ago_s=40),
    ]


def city(count: int) -> FakeEngine:
    """`count` services without instances."""
    engine = FakeEngine()
    for number in range(count):
        of = service(f"service-{number:03d}", 1000 + number, status=ServiceStatus.PAUSED, age_s=60.0 * number)
        engine.put(view(of, version_number=1, revision=REVISION))
    return engine
