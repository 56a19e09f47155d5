"""The App Runner actions: one request and one response shape each, and the table that lists them."""

from typing import Annotated

import msgspec

from engine.model.base import Value, Wire
from engine.model.operation import OperationSummary
from engine.model.service import (
    Arn,
    EncryptionConfiguration,
    HealthCheckConfiguration,
    InstanceConfiguration,
    NetworkConfiguration,
    Service,
    ServiceName,
    ServiceObservabilityConfiguration,
    ServiceSummary,
    SourceConfiguration,
    Tag,
)

PageToken = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=20)]


class CreateServiceRequest(Wire, frozen=True, kw_only=True):
    service_name: ServiceName
    source_configuration: SourceConfiguration
    instance_configuration: InstanceConfiguration | None = None
    tags: tuple[Tag, ...] | None = None
    encryption_configuration: EncryptionConfiguration | None = None
    health_check_configuration: HealthCheckConfiguration | None = None
    auto_scaling_configuration_arn: Arn | None = None
    network_configuration: NetworkConfiguration | None = None
    observability_configuration: ServiceObservabilityConfiguration | None = None


class CreateServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str


class DescribeServiceRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn


class DescribeServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service


class ListServicesRequest(Wire, frozen=True, kw_only=True):
    next_token: PageToken | None = None
    max_results: PageSize | None = None


class ListServicesResponse(Wire, frozen=True, kw_only=True):
    service_summary_list: tuple[ServiceSummary, ...]
    next_token: str | None = None


class UpdateServiceRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn
    source_configuration: SourceConfiguration | None = None
    instance_configuration: InstanceConfiguration | None = None
    auto_scaling_configuration_arn: Arn | None = None
    health_check_configuration: HealthCheckConfiguration | None = None
    network_configuration: NetworkConfiguration | None = None
    observability_configuration: ServiceObservabilityConfiguration | None = None


class UpdateServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str


class StartDeploymentRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn


class StartDeploymentResponse(Wire, frozen=True, kw_only=True):
    operation_id: str


class PauseServiceRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn


class PauseServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str | None = None
    """Absent when the service was paused already."""


class ResumeServiceRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn


class ResumeServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str | None = None


class DeleteServiceRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn


class DeleteServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str


class ListOperationsRequest(Wire, frozen=True, kw_only=True):
    service_arn: Arn
    next_token: PageToken | None = None
    max_results: PageSize | None = None


class ListOperationsResponse(Wire, frozen=True, kw_only=True):
    operation_summary_list: tuple[OperationSummary, ...]
    next_token: str | None = None


class Action(Value, frozen=True, kw_only=True):
    """One row of the action table: the API's name, the façade's method and the two shapes."""

    name: str
    method: str
    request: type[Wire]
    response: type[Wire]
    mutates: bool


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action(
            name="CreateService",
            method="create_service",
            request=CreateServiceRequest,
            response=CreateServiceResponse,
            mutates=True,
        ),
        Action(
            name="DescribeService",
            method="describe_service",
            request=DescribeServiceRequest,
            response=DescribeServiceResponse,
            mutates=False,
        ),
        Action(
            name="ListServices",
            method="list_services",
            request=ListServicesRequest,
            response=ListServicesResponse,
            mutates=False,
        ),
        Action(
            name="UpdateService",
            method="update_service",
            request=UpdateServiceRequest,
            response=UpdateServiceResponse,
            mutates=True,
        ),
        Action(
            name="StartDeployment",
            method="start_deployment",
            request=StartDeploymentRequest,
            response=StartDeploymentResponse,
            mutates=True,
        ),
        Action(
            name="PauseService",
            method="pause_service",
            request=PauseServiceRequest,
            response=PauseServiceResponse,
            mutates=True,
        ),
        Action(
            name="ResumeService",
            method="resume_service",
            request=ResumeServiceRequest,
            response=ResumeServiceResponse,
            mutates=True,
        ),
        Action(
            name="DeleteService",
            method="delete_service",
            request=DeleteServiceRequest,
            response=DeleteServiceResponse,
            mutates=True,
        ),
        Action(
            name="ListOperations",
            method="list_operations",
            request=ListOperationsRequest,
            response=ListOperationsResponse,
            mutates=False,
        ),
    )
}
