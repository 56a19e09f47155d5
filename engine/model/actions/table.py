"""The table of actions: everything that can be asked of the engine, and nothing else can."""

from enum import StrEnum
from typing import Any, get_args

from engine.model.actions import (
    auto_scaling,
    connection,
    custom_domain,
    homerun,
    identity,
    log,
    metric,
    observability,
    service,
    tag,
    trail,
    vpc,
)
from engine.model.base import Request, Value, Wire
from engine.model.errors import EngineError, ErrorCode


class Api(StrEnum):
    """The APIs that actions belong to, by their names in signatures."""

    APP_RUNNER = "apprunner"
    LOGS = "logs"
    METRICS = "monitoring"
    TRAIL = "cloudtrail"
    IDENTITY = "sts"
    HOMERUN = "homerun"
    """Our own, for screens and the command."""

    def error_type(self, error: EngineError) -> str:
        """What this API calls an error, on the wire and in the audit trail."""
        return error.wire or _ERROR_TYPES.get(self, {}).get(error.code, error.code.value)


_ERROR_TYPES: dict[Api, dict[ErrorCode, str]] = {
    Api.LOGS: {
        ErrorCode.INVALID_REQUEST: "InvalidParameterException",
        ErrorCode.INTERNAL: "ServiceUnavailableException",
    },
    Api.METRICS: {ErrorCode.INVALID_REQUEST: "InvalidParameterValue", ErrorCode.INTERNAL: "InternalServiceFault"},
    Api.TRAIL: {ErrorCode.INVALID_REQUEST: "InvalidLookupAttributesException"},
    Api.IDENTITY: {ErrorCode.INVALID_REQUEST: "ValidationError"},
}
"""Where an API has other types than App Runner's."""


class Action(Value, frozen=True, kw_only=True):
    """One row: an API's name for it and the two shapes."""

    api: Api
    name: str
    request: type[Request[Any]]
    response: type[Wire]

    @property
    def mutates(self) -> bool:
        """Changes something; CloudTrail calls the others read only."""
        return not self.name.startswith(_READING)


_READING = ("Describe", "List", "Get", "Filter", "Lookup", "StartLiveTail")

_REQUESTS: dict[Api, tuple[type[Request[Any]], ...]] = {
    Api.APP_RUNNER: (
        service.CreateServiceRequest,
        service.DescribeServiceRequest,
        service.ListServicesRequest,
        service.UpdateServiceRequest,
        service.StartDeploymentRequest,
        service.PauseServiceRequest,
        service.ResumeServiceRequest,
        service.DeleteServiceRequest,
        service.ListOperationsRequest,
        auto_scaling.CreateAutoScalingConfigurationRequest,
        auto_scaling.DescribeAutoScalingConfigurationRequest,
        auto_scaling.ListAutoScalingConfigurationsRequest,
        auto_scaling.ListServicesForAutoScalingConfigurationRequest,
        auto_scaling.UpdateDefaultAutoScalingConfigurationRequest,
        auto_scaling.DeleteAutoScalingConfigurationRequest,
        connection.CreateConnectionRequest,
        connection.ListConnectionsRequest,
        connection.DeleteConnectionRequest,
        custom_domain.AssociateCustomDomainRequest,
        custom_domain.DescribeCustomDomainsRequest,
        custom_domain.DisassociateCustomDomainRequest,
        observability.CreateObservabilityConfigurationRequest,
        observability.DescribeObservabilityConfigurationRequest,
        observability.ListObservabilityConfigurationsRequest,
        observability.DeleteObservabilityConfigurationRequest,
        vpc.CreateVpcConnectorRequest,
        vpc.DescribeVpcConnectorRequest,
        vpc.ListVpcConnectorsRequest,
        vpc.DeleteVpcConnectorRequest,
        vpc.CreateVpcIngressConnectionRequest,
        vpc.DescribeVpcIngressConnectionRequest,
        vpc.ListVpcIngressConnectionsRequest,
        vpc.UpdateVpcIngressConnectionRequest,
        vpc.DeleteVpcIngressConnectionRequest,
        tag.TagResourceRequest,
        tag.UntagResourceRequest,
        tag.ListTagsForResourceRequest,
    ),
    Api.LOGS: (
        log.DescribeLogGroupsRequest,
        log.DescribeLogStreamsRequest,
        log.GetLogEventsRequest,
        log.FilterLogEventsRequest,
        log.PutRetentionPolicyRequest,
        log.DeleteRetentionPolicyRequest,
        log.StartLiveTailRequest,
    ),
    Api.METRICS: (
        metric.ListMetricsRequest,
        metric.GetMetricDataRequest,
        metric.GetMetricStatisticsRequest,
    ),
    Api.TRAIL: (trail.LookupEventsRequest,),
    Api.IDENTITY: (identity.GetCallerIdentityRequest,),
    Api.HOMERUN: (homerun.AuthorizeConnectionRequest,),
}


def _action(api: Api, request: type[Request[Any]]) -> Action:
    (base,) = request.__orig_bases__  # type: ignore[attr-defined]  # Request[TheResponse]
    (response,) = get_args(base)
    return Action(api=api, name=request.__name__.removesuffix("Request"), request=request, response=response)


ACTIONS: dict[type[Request[Any]], Action] = {
    request: _action(api, request) for api, requests in _REQUESTS.items() for request in requests
}
"""By the shape of the request."""


def actions_of(api: Api) -> dict[str, Action]:
    """The actions of one API by name."""
    return {action.name: action for action in ACTIONS.values() if action.api is api}
