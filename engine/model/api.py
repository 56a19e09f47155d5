"""EngineApi: the whole seam between the engine and its clients. Embedded and attached engines both keep it.

Only serialisable values cross it. Methods raise EngineError for a refused call and ConnectionError when an
attached engine has gone away.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

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
from engine.model.log import LogBatch, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
)


class EngineApi(Protocol):
    # App Runner's actions.
    async def create_service(self, request: CreateServiceRequest) -> CreateServiceResponse: ...
    async def describe_service(self, request: DescribeServiceRequest) -> DescribeServiceResponse: ...
    async def list_services(self, request: ListServicesRequest) -> ListServicesResponse: ...
    async def update_service(self, request: UpdateServiceRequest) -> UpdateServiceResponse: ...
    async def start_deployment(self, request: StartDeploymentRequest) -> StartDeploymentResponse: ...
    async def pause_service(self, request: PauseServiceRequest) -> PauseServiceResponse: ...
    async def resume_service(self, request: ResumeServiceRequest) -> ResumeServiceResponse: ...
    async def delete_service(self, request: DeleteServiceRequest) -> DeleteServiceResponse: ...
    async def list_operations(self, request: ListOperationsRequest) -> ListOperationsResponse: ...

    # What App Runner has no action for.
    async def info(self) -> EngineInfo: ...
    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse: ...
    async def query_logs(self, query: LogQuery) -> LogPage: ...
    async def query_metrics(self, query: MetricQuery) -> MetricAnswer: ...

    # Watching: the present state first, then every change; nothing is missed in between.
    def watch_services(self) -> AbstractAsyncContextManager[AsyncIterator[ServicesChange]]: ...
    def watch_operations(self, service_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[OperationsChange]]:
        """Operations of one service, or the newest 200 of all for ""."""
        ...

    def watch_logs(
        self, selector: LogSelector, tail: int = 500
    ) -> AbstractAsyncContextManager[AsyncIterator[LogBatch]]:
        """The newest `tail` lines in the first batch (which may be empty), then lines as they come."""
        ...
