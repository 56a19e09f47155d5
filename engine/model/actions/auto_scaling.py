"""Actions on auto scaling configurations."""

from typing import Annotated

from engine.model.actions.paging import NextToken, Upto100
from engine.model.base import Request, Wire
from engine.model.service import Arn, AutoScalingConfigurationSummary, Limit, ResourceName, Tag


class AutoScalingConfiguration(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration_arn: str | None = None
    auto_scaling_configuration_name: str | None = None
    auto_scaling_configuration_revision: int | None = None
    latest: bool | None = None
    status: str | None = None
    """Lower case on the wire, as the clients compare it, though the model's enum is upper case."""
    max_concurrency: int | None = None
    min_size: int | None = None
    max_size: int | None = None
    created_at: float | None = None
    deleted_at: float | None = None
    has_associated_service: bool | None = None
    is_default: bool | None = None


class CreateAutoScalingConfigurationResponse(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration: AutoScalingConfiguration


class CreateAutoScalingConfigurationRequest(Request[CreateAutoScalingConfigurationResponse], frozen=True, kw_only=True):
    auto_scaling_configuration_name: ResourceName
    max_concurrency: Annotated[int, Limit(ge=1, le=200)] | None = None
    min_size: Annotated[int, Limit(ge=1, le=25)] | None = None
    max_size: Annotated[int, Limit(ge=1, le=2**31 - 1)] | None = None
    """The API has no limit but that of its integers."""
    tags: tuple[Tag, ...] | None = None


class DescribeAutoScalingConfigurationResponse(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration: AutoScalingConfiguration


class DescribeAutoScalingConfigurationRequest(
    Request[DescribeAutoScalingConfigurationResponse], frozen=True, kw_only=True
):
    auto_scaling_configuration_arn: Arn


class ListAutoScalingConfigurationsResponse(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration_summary_list: tuple[AutoScalingConfigurationSummary, ...]
    next_token: str | None = None


class ListAutoScalingConfigurationsRequest(Request[ListAutoScalingConfigurationsResponse], frozen=True, kw_only=True):
    auto_scaling_configuration_name: ResourceName | None = None
    latest_only: bool | None = None
    max_results: Upto100 | None = None
    next_token: NextToken | None = None


class ListServicesForAutoScalingConfigurationResponse(Wire, frozen=True, kw_only=True):
    service_arn_list: tuple[str, ...]
    next_token: str | None = None


class ListServicesForAutoScalingConfigurationRequest(
    Request[ListServicesForAutoScalingConfigurationResponse], frozen=True, kw_only=True
):
    auto_scaling_configuration_arn: Arn
    max_results: Upto100 | None = None
    next_token: NextToken | None = None


class UpdateDefaultAutoScalingConfigurationResponse(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration: AutoScalingConfiguration


class UpdateDefaultAutoScalingConfigurationRequest(
    Request[UpdateDefaultAutoScalingConfigurationResponse], frozen=True, kw_only=True
):
    auto_scaling_configuration_arn: Arn


class DeleteAutoScalingConfigurationResponse(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration: AutoScalingConfiguration


class DeleteAutoScalingConfigurationRequest(Request[DeleteAutoScalingConfigurationResponse], frozen=True, kw_only=True):
    auto_scaling_configuration_arn: Arn
    delete_all_revisions: bool | None = None
