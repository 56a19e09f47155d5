"""Services and what they refer to: checked when they are made, pinned while they live, in nobody's way when gone."""

import asyncio

import pytest
from msgspec.structs import replace

from engine.control.custom_domains import CustomDomains
from engine.control.vpc import VpcIngressConnections
from engine.model.actions.auto_scaling import (
    CreateAutoScalingConfigurationRequest,
    DeleteAutoScalingConfigurationRequest,
    UpdateDefaultAutoScalingConfigurationRequest,
)
from engine.model.actions.connection import CreateConnectionRequest, DeleteConnectionRequest, ProviderType
from engine.model.actions.custom_domain import AssociateCustomDomainRequest
from engine.model.actions.homerun import AuthorizeConnectionRequest
from engine.model.actions.observability import CreateObservabilityConfigurationRequest
from engine.model.actions.service import (
    CreateServiceRequest,
    DeleteServiceRequest,
    DescribeServiceRequest,
    ListServicesRequest,
    UpdateServiceRequest,
)
from engine.model.actions.vpc import (
    CreateVpcConnectorRequest,
    CreateVpcIngressConnectionRequest,
    DeleteVpcConnectorRequest,
    DeleteVpcIngressConnectionRequest,
    IngressVpcConfiguration,
)
from engine.model.errors import ErrorCode
from engine.model.operation import OperationStatus, OperationType
from engine.model.resource import AutoScalingRecord, CustomDomainRecord
from engine.model.service import (
    AuthenticationConfiguration,
    EgressConfiguration,
    EgressType,
    IngressConfiguration,
    NetworkConfiguration,
    ServiceObservabilityConfiguration,
    ServiceStatus,
    Tag,
)
from engine.model.version import VersionState

ROOT = "arn:aws:apprunner:us-east-1:000000000000"
PRIVATE = NetworkConfiguration(ingress_configuration=IngressConfiguration(is_publicly_accessible=False))
ON = ServiceObservabilityConfiguration(observability_enabled=True)


def through(arn):
    return NetworkConfiguration(
        egress_configuration=EgressConfiguration(egress_type=EgressType.VPC, vpc_connector_arn=arn)
    )


@pytest.fixture
def create(services, config):
    async def made(name="shop", **changes):
        changes.setdefault("source_configuration", config().source)
        return (await services.create(CreateServiceRequest(service_name=name, **changes))).service

    return made


@pytest.fixture
def update(services):
    async def updated(arn, **changes):
        return (await services.update(UpdateServiceRequest(service_arn=arn, **changes))).service

    return updated


@pytest.fixture
def settle(store, put):
    """As if the lifecycle had done what was wanted."""

    async def settled(service):
        record = store.services[service.service_id]
        operation = store.open_operation(record.id)
        in_progress = replace(operation, status=OperationStatus.IN_PROGRESS)
        await put(in_progress)
        version = replace(store.versions[record.target_version_id], state=VersionState.BUILT)
        await put(
            replace(in_progress, status=OperationStatus.SUCCEEDED),
            version,
            replace(record, status=ServiceStatus.RUNNING, serving_version_id=version.id),
        )

    return settled


@pytest.fixture
def with_connection(config):
    return lambda arn: replace(
        config().source, authentication_configuration=AuthenticationConfiguration(connection_arn=arn)
    )


@pytest.fixture
async def connection(connections):
    request = CreateConnectionRequest(connection_name="hub-1", provider_type=ProviderType.GITHUB)
    return (await connections.create(request)).connection.connection_arn


@pytest.fixture
async def connector(connectors):
    request = CreateVpcConnectorRequest(vpc_connector_name="wire", subnets=("subnet-1",))
    return (await connectors.create(request)).vpc_connector.vpc_connector_arn


@pytest.fixture
def scaling_named(scaling):
    async def made(name="busy"):
        request = CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name=name)
        answer = await scaling.create(request)
        return answer.auto_scaling_configuration.auto_scaling_configuration_arn

    return made


async def test_a_connection_must_be_there_and_available(
    *, create, update, settle, connection, connections, with_connection, refused, store
):
    with refused(ErrorCode.INVALID_REQUEST, "PENDING_HANDSHAKE"):
        await create(source_configuration=with_connection(connection))
    with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
        await create(source_configuration=with_connection(f"{ROOT}:connection/none/{'0' * 32}"))
    assert store.services == {}

    service = await create()
    await settle(service)
    with refused(ErrorCode.INVALID_REQUEST, "PENDING_HANDSHAKE"):
        await update(service.service_arn, source_configuration=with_connection(connection))
    assert store.services[service.service_id].status is ServiceStatus.RUNNING
    await connections.authorize(AuthorizeConnectionRequest(connection_arn=connection, token="t0ken"))
    updated = await update(service.service_arn, source_configuration=with_connection(connection))
    assert updated.source_configuration.authentication_configuration.connection_arn == connection


async def test_a_vpc_connector_must_be_there(*, create, update, settle, connector, connectors, refused):
    service = await create(network_configuration=through(connector))
    assert service.network_configuration.egress_configuration.vpc_connector_arn == connector
    await settle(service)
    with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
        await update(service.service_arn, network_configuration=through(f"{ROOT}:vpcconnector/none/1/{'0' * 32}"))
    await update(service.service_arn, network_configuration=NetworkConfiguration())
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await connectors.delete(DeleteVpcConnectorRequest(vpc_connector_arn=connector))
    await settle(service)
    await connectors.delete(DeleteVpcConnectorRequest(vpc_connector_arn=connector))
    with refused(ErrorCode.INVALID_REQUEST, "was deleted"):
        await create("other", network_configuration=through(connector))


async def test_observability_is_resolved_to_a_revision(create, update, settle, observability, refused):
    request = CreateObservabilityConfigurationRequest(observability_configuration_name="traces")
    made = (await observability.create(request)).observability_configuration.observability_configuration_arn
    by_name = replace(ON, observability_configuration_arn=f"{ROOT}:observabilityconfiguration/traces")
    service = await create(observability_configuration=by_name)
    assert service.observability_configuration.observability_configuration_arn == made
    await settle(service)
    await observability.create(request)
    again = await update(service.service_arn, observability_configuration=by_name)
    assert again.observability_configuration.observability_configuration_arn.split("/")[1:3] == ["traces", "2"]
    default = await create("other", observability_configuration=ON)
    assert default.observability_configuration == ON, "what was not sent is not shown, or Terraform sees a difference"
    missing = replace(ON, observability_configuration_arn=f"{ROOT}:observabilityconfiguration/none")
    with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
        await create("third", observability_configuration=missing)


async def test_observability_stays_as_it_is_in_an_update_that_does_not_name_it(create, update, settle):
    service = await create(observability_configuration=ON)
    await settle(service)
    updated = await update(service.service_arn, network_configuration=PRIVATE)
    assert updated.observability_configuration == service.observability_configuration
    await settle(service)
    off = ServiceObservabilityConfiguration(observability_enabled=False)
    assert (await update(service.service_arn, observability_configuration=off)).observability_configuration == off


async def test_auto_scaling_is_pinned_to_a_revision_until_an_update_names_it_anew(
    create, update, settle, scaling_named, refused
):
    first = await scaling_named()
    name = f"{ROOT}:autoscalingconfiguration/busy"

    def pinned(service):
        return service.auto_scaling_configuration_summary.auto_scaling_configuration_arn

    service = await create(auto_scaling_configuration_arn=name)
    second = await scaling_named()
    await settle(service)
    assert pinned(service) == first
    assert pinned(await update(service.service_arn, network_configuration=NetworkConfiguration())) == first
    await settle(service)
    assert pinned(await update(service.service_arn, auto_scaling_configuration_arn=name)) == second
    for arn in (f"{ROOT}:autoscalingconfiguration/none", f"{name}/9"):
        with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
            await create("other", auto_scaling_configuration_arn=arn)


async def test_new_services_get_the_accounts_default_and_old_ones_keep_theirs(create, services, scaling, scaling_named):
    old = await create("old-one")
    made = await scaling_named()
    request = UpdateDefaultAutoScalingConfigurationRequest(auto_scaling_configuration_arn=made)
    await scaling.update_default(request)
    new = await create("new-one")
    names = []
    for service in (old, new):
        found = (await services.describe(DescribeServiceRequest(service_arn=service.service_arn))).service
        summary = found.auto_scaling_configuration_summary
        names.append((summary.auto_scaling_configuration_name, summary.is_default, summary.has_associated_service))
    assert names == [("DefaultConfiguration", False, True), ("busy", True, True)]


async def test_a_private_service_has_no_url(create, update, settle, services):
    public = await create("open")
    private = await create("private", network_configuration=PRIVATE)
    assert public.service_url.endswith(".us-east-1.homerun.localhost:8800")
    assert private.service_url == ""
    listed = (await services.list_all(ListServicesRequest())).service_summary_list
    assert {each.service_name: each.service_url for each in listed} == {"open": public.service_url, "private": ""}
    await settle(public)
    assert (await update(public.service_arn, network_configuration=PRIVATE)).service_url == ""


async def test_a_service_that_an_ingress_connection_leads_to_cannot_be_deleted(
    *, create, settle, services, account, clock, refused, store
):
    service = await create(network_configuration=PRIVATE)
    await settle(service)
    ingress = VpcIngressConnections(account)
    request = CreateVpcIngressConnectionRequest(
        service_arn=service.service_arn,
        vpc_ingress_connection_name="door",
        ingress_vpc_configuration=IngressVpcConfiguration(vpc_id="vpc-1", vpc_endpoint_id="vpce-1"),
    )
    door = (await ingress.create(request)).vpc_ingress_connection.vpc_ingress_connection_arn
    with refused(ErrorCode.INVALID_REQUEST, "door leads to the service shop"):
        await services.delete(DeleteServiceRequest(service_arn=service.service_arn))
    assert store.services[service.service_id].status is ServiceStatus.RUNNING
    clock.time += 1.0
    await ingress.delete(DeleteVpcIngressConnectionRequest(vpc_ingress_connection_arn=door))
    answer = await services.delete(DeleteServiceRequest(service_arn=service.service_arn))
    assert answer.service.status is ServiceStatus.OPERATION_IN_PROGRESS


async def test_a_deleted_service_takes_its_domains_along(create, settle, services, account, store):
    service, other = await create(), await create("other")
    domains = CustomDomains(account)
    for each, name in ((service, "one.example.com"), (service, "two.example.com"), (other, "three.example.com")):
        if store.open_operation(each.service_id):
            await settle(each)
        await domains.associate(AssociateCustomDomainRequest(service_arn=each.service_arn, domain_name=name))
    await services.delete(DeleteServiceRequest(service_arn=service.service_arn))
    assert [record.domain_name for record in store.resources(CustomDomainRecord)] == ["three.example.com"]
    assert store.newest_operation(service.service_id).type is OperationType.DELETE_SERVICE


async def test_too_many_tags_make_no_service(create, refused, store):
    with refused(ErrorCode.INVALID_REQUEST, "at most 50 tags"):
        await create(tags=tuple(Tag(key=f"k{n}") for n in range(51)))
    assert store.services == {}


async def test_a_configuration_cannot_be_deleted_while_a_service_with_it_is_being_made(
    create, scaling, scaling_named, store
):
    made = await scaling_named()
    results = await asyncio.gather(
        scaling.delete(DeleteAutoScalingConfigurationRequest(auto_scaling_configuration_arn=made)),
        create(auto_scaling_configuration_arn=made),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Exception) for result in results) == 1
    used = {record.config.auto_scaling_arn for record in store.services.values()}
    assert not any(record.arn in used and record.deleted_at for record in store.resources(AutoScalingRecord))


async def test_a_connection_cannot_be_deleted_while_a_service_with_it_is_being_made(
    create, connections, connection, with_connection
):
    await connections.authorize(AuthorizeConnectionRequest(connection_arn=connection, token="t0ken"))
    results = await asyncio.gather(
        connections.delete(DeleteConnectionRequest(connection_arn=connection)),
        create(source_configuration=with_connection(connection)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Exception) for result in results) == 1
