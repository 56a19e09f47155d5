"""Actions on services and their operations."""

from engine.model.actions.paging import Upto20
from engine.model.base import Request, Wire
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
    Text,
)


class CreateServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str


class CreateServiceRequest(Request[CreateServiceResponse], frozen=True, kw_only=True):
    service_name: ServiceName
    source_configuration: SourceConfiguration
    instance_configuration: InstanceConfiguration | None = None
    tags: tuple[Tag, ...] | None = None
    encryption_configuration: EncryptionConfiguration | None = None
    health_check_configuration: HealthCheckConfiguration | None = None
    auto_scaling_configuration_arn: Arn | None = None
    network_configuration: NetworkConfiguration | None = None
    observability_configuration: ServiceObservabilityConfiguration | None = None


class DescribeServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service


class DescribeServiceRequest(Request[DescribeServiceResponse], frozen=True, kw_only=True):
    service_arn: Arn


class ListServicesResponse(Wire, frozen=True, kw_only=True):
    service_summary_list: tuple[ServiceSummary, ...]
    next_token: str | None = None


class ListServicesRequest(Request[ListServicesResponse], frozen=True, kw_only=True):
    next_token: Text | None = None
    max_results: Upto20 | None = None


class UpdateServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str


class UpdateServiceRequest(Request[UpdateServiceResponse], frozen=True, kw_only=True):
    service_arn: Arn
    source_configuration: SourceConfiguration | None = None
    instance_configuration: InstanceConfiguration | None = None
    auto_scaling_configuration_arn: Arn | None = None
    health_check_configuration: HealthCheckConfiguration | None = None
    network_configuration: NetworkConfiguration | None = None
    observability_configuration: ServiceObservabilityConfiguration | None = None


class StartDeploymentResponse(Wire, frozen=True, kw_only=True):
    operation_id: str


class StartDeploymentRequest(Request[StartDeploymentResponse], frozen=True, kw_only=True):
    service_arn: Arn


class PauseServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str | None = None
    """Absent when the service was paused already."""


class PauseServiceRequest(Request[PauseServiceResponse], frozen=True, kw_only=True):
    service_arn: Arn


class ResumeServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str | None = None


class ResumeServiceRequest(Request[ResumeServiceResponse], frozen=True, kw_only=True):
    service_arn: Arn


class DeleteServiceResponse(Wire, frozen=True, kw_only=True):
    service: Service
    operation_id: str


class DeleteServiceRequest(Request[DeleteServiceResponse], frozen=True, kw_only=True):
    service_arn: Arn


class ListOperationsResponse(Wire, frozen=True, kw_only=True):
    operation_summary_list: tuple[OperationSummary, ...]
    next_token: str | None = None


class ListOperationsRequest(Request[ListOperationsResponse], frozen=True, kw_only=True):
    service_arn: Arn
    next_token: Text | None = None
    max_results: Upto20 | None = None
