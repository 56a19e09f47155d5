"""Actions on observability configurations."""

from enum import StrEnum

from engine.model.actions.paging import NextToken, Upto100
from engine.model.base import Request, Wire
from engine.model.service import Arn, ResourceName, Tag


class TracingVendor(StrEnum):
    AWSXRAY = "AWSXRAY"


class ResourceStatus(StrEnum):
    """Of observability configurations and VPC connectors."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class TraceConfiguration(Wire, frozen=True, kw_only=True):
    vendor: TracingVendor


class ObservabilityConfiguration(Wire, frozen=True, kw_only=True):
    observability_configuration_arn: str | None = None
    observability_configuration_name: str | None = None
    trace_configuration: TraceConfiguration | None = None
    observability_configuration_revision: int | None = None
    latest: bool | None = None
    status: ResourceStatus | None = None
    created_at: float | None = None
    deleted_at: float | None = None


class ObservabilityConfigurationSummary(Wire, frozen=True, kw_only=True):
    observability_configuration_arn: str | None = None
    observability_configuration_name: str | None = None
    observability_configuration_revision: int | None = None


class CreateObservabilityConfigurationResponse(Wire, frozen=True, kw_only=True):
    observability_configuration: ObservabilityConfiguration


class CreateObservabilityConfigurationRequest(
    Request[CreateObservabilityConfigurationResponse], frozen=True, kw_only=True
):
    observability_configuration_name: ResourceName
    trace_configuration: TraceConfiguration | None = None
    tags: tuple[Tag, ...] | None = None


class DescribeObservabilityConfigurationResponse(Wire, frozen=True, kw_only=True):
    observability_configuration: ObservabilityConfiguration


class DescribeObservabilityConfigurationRequest(
    Request[DescribeObservabilityConfigurationResponse], frozen=True, kw_only=True
):
    observability_configuration_arn: Arn


class ListObservabilityConfigurationsResponse(Wire, frozen=True, kw_only=True):
    observability_configuration_summary_list: tuple[ObservabilityConfigurationSummary, ...]
    next_token: str | None = None


class ListObservabilityConfigurationsRequest(
    Request[ListObservabilityConfigurationsResponse], frozen=True, kw_only=True
):
    observability_configuration_name: ResourceName | None = None
    latest_only: bool | None = None
    max_results: Upto100 | None = None
    next_token: NextToken | None = None


class DeleteObservabilityConfigurationResponse(Wire, frozen=True, kw_only=True):
    observability_configuration: ObservabilityConfiguration


class DeleteObservabilityConfigurationRequest(
    Request[DeleteObservabilityConfigurationResponse], frozen=True, kw_only=True
):
    observability_configuration_arn: Arn
