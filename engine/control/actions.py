"""Control: which part of the control plane does which action, and what of the account is forgotten when."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from engine.audit.trail import Trail
from engine.control.account import Account
from engine.control.auto_scaling import AutoScaling
from engine.control.connections import Connections
from engine.control.custom_domains import CustomDomains
from engine.control.identity import get_caller_identity
from engine.control.logs import LogReader
from engine.control.metrics import MetricReader
from engine.control.observability import Observability
from engine.control.services import Services
from engine.control.tags import Tags
from engine.control.trail import LookUp
from engine.control.vault import Vault
from engine.control.vpc import VpcConnectors, VpcIngressConnections
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
    vpc,
)
from engine.model.actions import trail as trail_actions
from engine.model.base import R, Request
from engine.model.home import Home
from engine.model.resource import AutoScalingRecord, ObservabilityRecord, VpcConnectorRecord, VpcIngressRecord
from engine.store.state import Transaction
from engine.telemetry.telemetry import Telemetry

Q = TypeVar("Q", bound=Request[Any])


class Control:
    def __init__(
        self, account: Account, *, home: Home, trail: Trail, telemetry: Telemetry, edge_address: Callable[[], str]
    ) -> None:
        self._handlers: dict[type[Request[Any]], Callable[[Any], Awaitable[Any]]] = {}
        self._auto_scaling = scaling = AutoScaling(account)
        self._observability = observing = Observability(account)
        self.connections = connections = Connections(account, Vault(home.secrets_key))
        connectors = VpcConnectors(account)
        ingress = VpcIngressConnections(account)
        domains = CustomDomains(account)
        tags = Tags(account)
        logs = LogReader(account, telemetry)
        metrics = MetricReader(account, telemetry)
        self.services = services = Services(
            account,
            auto_scaling=scaling,
            observability=observing,
            connections=connections,
            connectors=connectors,
            edge_address=edge_address,
        )
        on = self._on
        on(service.CreateServiceRequest, services.create)
        on(service.DescribeServiceRequest, services.describe)
        on(service.ListServicesRequest, services.list_all)
        on(service.UpdateServiceRequest, services.update)
        on(service.StartDeploymentRequest, services.deploy)
        on(service.PauseServiceRequest, services.pause)
        on(service.ResumeServiceRequest, services.resume)
        on(service.DeleteServiceRequest, services.delete)
        on(service.ListOperationsRequest, services.list_operations)
        on(auto_scaling.CreateAutoScalingConfigurationRequest, scaling.create)
        on(auto_scaling.DescribeAutoScalingConfigurationRequest, scaling.describe)
        on(auto_scaling.ListAutoScalingConfigurationsRequest, scaling.list_all)
        on(auto_scaling.ListServicesForAutoScalingConfigurationRequest, scaling.list_services)
        on(auto_scaling.UpdateDefaultAutoScalingConfigurationRequest, scaling.update_default)
        on(auto_scaling.DeleteAutoScalingConfigurationRequest, scaling.delete)
        on(connection.CreateConnectionRequest, connections.create)
        on(connection.ListConnectionsRequest, connections.list_all)
        on(connection.DeleteConnectionRequest, connections.delete)
        on(homerun.AuthorizeConnectionRequest, connections.authorize)
        on(custom_domain.AssociateCustomDomainRequest, domains.associate)
        on(custom_domain.DescribeCustomDomainsRequest, domains.describe)
        on(custom_domain.DisassociateCustomDomainRequest, domains.disassociate)
        on(observability.CreateObservabilityConfigurationRequest, observing.create)
        on(observability.DescribeObservabilityConfigurationRequest, observing.describe)
        on(observability.ListObservabilityConfigurationsRequest, observing.list_all)
        on(observability.DeleteObservabilityConfigurationRequest, observing.delete)
        on(vpc.CreateVpcConnectorRequest, connectors.create)
        on(vpc.DescribeVpcConnectorRequest, connectors.describe)
        on(vpc.ListVpcConnectorsRequest, connectors.list_all)
        on(vpc.DeleteVpcConnectorRequest, connectors.delete)
        on(vpc.CreateVpcIngressConnectionRequest, ingress.create)
        on(vpc.DescribeVpcIngressConnectionRequest, ingress.describe)
        on(vpc.ListVpcIngressConnectionsRequest, ingress.list_all)
        on(vpc.UpdateVpcIngressConnectionRequest, ingress.update)
        on(vpc.DeleteVpcIngressConnectionRequest, ingress.delete)
        on(tag.TagResourceRequest, tags.tag)
        on(tag.UntagResourceRequest, tags.untag)
        on(tag.ListTagsForResourceRequest, tags.list_all)
        on(log.DescribeLogGroupsRequest, logs.groups)
        on(log.DescribeLogStreamsRequest, logs.streams)
        on(log.GetLogEventsRequest, logs.events)
        on(log.FilterLogEventsRequest, logs.filter)
        on(log.PutRetentionPolicyRequest, logs.put_retention)
        on(log.DeleteRetentionPolicyRequest, logs.delete_retention)
        on(log.StartLiveTailRequest, logs.live_tail)
        on(metric.ListMetricsRequest, metrics.list_all)
        on(metric.GetMetricDataRequest, metrics.data)
        on(metric.GetMetricStatisticsRequest, metrics.statistics)
        on(trail_actions.LookupEventsRequest, LookUp(trail).lookup)
        on(identity.GetCallerIdentityRequest, get_caller_identity)

    def _on(self, shape: type[Q], handler: Callable[[Q], Awaitable[Any]]) -> None:
        self._handlers[shape] = handler

    async def begin(self) -> None:
        """What every account begins with."""
        await self._auto_scaling.begin()
        await self._observability.begin()

    async def do(self, request: Request[R]) -> R:
        """Raises EngineError for a call that is refused; then nothing was changed."""
        answer: R = await self._handlers[type(request)](request)
        return answer


def forget_deleted(tx: Transaction, deleted_before: float) -> None:
    """What was deleted stays describable for a while only."""
    kinds: tuple[type[Any], ...] = (AutoScalingRecord, ObservabilityRecord, VpcConnectorRecord, VpcIngressRecord)
    for kind in kinds:
        for record in tx.resources(kind):
            if record.deleted_at is not None and record.deleted_at <= deleted_before:
                tx.remove(kind, record.id)
