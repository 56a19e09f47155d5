"""Tags of anything that has an ARN: put over what there is, taken away, fifty at most."""

import pytest
from msgspec.structs import replace

from engine.control.actions import forget_deleted
from engine.control.tags import Tags
from engine.control.vpc import VpcIngressConnections
from engine.model.actions.auto_scaling import (
    CreateAutoScalingConfigurationRequest,
    DeleteAutoScalingConfigurationRequest,
)
from engine.model.actions.connection import CreateConnectionRequest, ProviderType
from engine.model.actions.observability import CreateObservabilityConfigurationRequest
from engine.model.actions.tag import ListTagsForResourceRequest, TagResourceRequest, UntagResourceRequest
from engine.model.actions.vpc import (
    CreateVpcConnectorRequest,
    CreateVpcIngressConnectionRequest,
    IngressVpcConfiguration,
)
from engine.model.errors import ErrorCode
from engine.model.service import IngressConfiguration, NetworkConfiguration, ServiceStatus, Tag
from engine.store.state import StateStore

TAGS = (Tag(key="team", value="a"), Tag(key="empty"))
KINDS = ("service", "auto scaling", "observability", "connection", "connector", "ingress")
ROOT = "arn:aws:apprunner:us-east-1:000000000000"


@pytest.fixture
def tags(account):
    return Tags(account)


@pytest.fixture
def make(*, account, add_service, scaling, observability, connections, connectors):
    """Something of a kind with TAGS; gives its ARN."""

    async def made(kind):
        match kind:
            case "service":
                return (await add_service("shop", tags={"team": "a", "empty": ""})).arn
            case "auto scaling":
                request = CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name="busy", tags=TAGS)
                answer = await scaling.create(request)
                return answer.auto_scaling_configuration.auto_scaling_configuration_arn
            case "observability":
                request = CreateObservabilityConfigurationRequest(observability_configuration_name="traces", tags=TAGS)
                answer = await observability.create(request)
                return answer.observability_configuration.observability_configuration_arn
            case "connection":
                request = CreateConnectionRequest(connection_name="hub-1", provider_type=ProviderType.GITHUB, tags=TAGS)
                return (await connections.create(request)).connection.connection_arn
            case "connector":
                request = CreateVpcConnectorRequest(vpc_connector_name="wire", subnets=("subnet-1",), tags=TAGS)
                return (await connectors.create(request)).vpc_connector.vpc_connector_arn
        private = NetworkConfiguration(ingress_configuration=IngressConfiguration(is_publicly_accessible=False))
        request = CreateVpcIngressConnectionRequest(
            service_arn=(await add_service("private", network=private)).arn,
            vpc_ingress_connection_name="door",
            ingress_vpc_configuration=IngressVpcConfiguration(vpc_id="vpc-1", vpc_endpoint_id="vpce-1"),
            tags=TAGS,
        )
        answer = await VpcIngressConnections(account).create(request)
        return answer.vpc_ingress_connection.vpc_ingress_connection_arn

    return made


@pytest.fixture
def listed(tags):
    async def plain(arn):
        answer = await tags.list_all(ListTagsForResourceRequest(resource_arn=arn))
        return {tag.key: tag.value for tag in answer.tags}

    return plain


@pytest.mark.parametrize("kind", KINDS)
async def test_tags_of_every_kind_are_listed_put_over_and_taken_away(*, make, tags, listed, store, home, kind):
    arn = await make(kind)
    assert await listed(arn) == {"team": "a", "empty": ""}
    await tags.tag(TagResourceRequest(resource_arn=arn, tags=(Tag(key="team", value="b"), Tag(key="new", value="ü"))))
    assert await listed(arn) == {"team": "b", "empty": "", "new": "ü"}
    await tags.untag(UntagResourceRequest(resource_arn=arn, tag_keys=("team", "unknown")))
    assert await listed(arn) == {"empty": "", "new": "ü"}

    again = await StateStore.open(home.state_db)
    assert again.services == store.services
    assert again._resources == store._resources
    await again.close()


async def test_tags_are_listed_by_key(make, tags):
    arn = await make("connection")
    await tags.tag(TagResourceRequest(resource_arn=arn, tags=(Tag(key="alpha", value="1"),)))
    found = (await tags.list_all(ListTagsForResourceRequest(resource_arn=arn))).tags
    assert [tag.key for tag in found] == ["alpha", "empty", "team"]


async def test_fifty_tags_are_as_many_as_there_can_be(make, tags, listed, refused):
    arn = await make("connection")
    await tags.tag(TagResourceRequest(resource_arn=arn, tags=tuple(Tag(key=f"k{n}", value="x") for n in range(48))))
    before = await listed(arn)
    assert len(before) == 50
    await tags.tag(TagResourceRequest(resource_arn=arn, tags=(Tag(key="k7", value="changed"),)))
    with refused(ErrorCode.INVALID_REQUEST, "at most 50 tags; this would make 51"):
        await tags.tag(TagResourceRequest(resource_arn=arn, tags=(Tag(key="team", value="z"), Tag(key="one-more"))))
    assert await listed(arn) == before | {"k7": "changed"}


async def test_a_tag_without_a_key_is_refused(make, tags, listed, refused):
    arn = await make("connection")
    with refused(ErrorCode.INVALID_REQUEST, "needs a Key"):
        await tags.tag(TagResourceRequest(resource_arn=arn, tags=(Tag(key="ok"), Tag(value="x"))))
    assert "ok" not in await listed(arn)


async def test_too_many_tags_at_creation_make_nothing(
    *, scaling, connections, observability, connectors, refused, store
):
    many = tuple(Tag(key=f"k{n}") for n in range(51))
    before = {kind: dict(rows) for kind, rows in store._resources.items()}
    for call, request in (
        (scaling.create, CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name="busy", tags=many)),
        (
            connections.create,
            CreateConnectionRequest(connection_name="hub-1", provider_type=ProviderType.GITHUB, tags=many),
        ),
        (
            observability.create,
            CreateObservabilityConfigurationRequest(observability_configuration_name="traces", tags=many),
        ),
        (connectors.create, CreateVpcConnectorRequest(vpc_connector_name="wire", subnets=("s",), tags=many)),
    ):
        with refused(ErrorCode.INVALID_REQUEST, "at most 50 tags"):
            await call(request)
    assert store._resources == before


@pytest.mark.parametrize(
    "path",
    [
        f"service/none/{'0' * 32}",
        f"connection/none/{'0' * 32}",
        "autoscalingconfiguration/DefaultConfiguration",
        "autoscalingconfiguration/DefaultConfiguration/1",
        "nothing",
    ],
)
async def test_an_arn_of_nothing_has_no_tags(scaling, tags, listed, refused, path):
    arn = f"{ROOT}:{path}"
    with refused(ErrorCode.RESOURCE_NOT_FOUND, "does not exist"):
        await listed(arn)
    with refused(ErrorCode.RESOURCE_NOT_FOUND, "does not exist"):
        await tags.tag(TagResourceRequest(resource_arn=arn, tags=(Tag(key="a"),)))
    with refused(ErrorCode.RESOURCE_NOT_FOUND, "does not exist"):
        await tags.untag(UntagResourceRequest(resource_arn=arn, tag_keys=("a",)))


async def test_the_same_id_under_another_name_is_another_thing(make, listed, refused):
    arn = await make("connection")
    with refused(ErrorCode.RESOURCE_NOT_FOUND):
        await listed(arn.replace("hub-1", "hub-2"))


async def test_what_was_deleted_has_no_tags_any_more(*, make, listed, scaling, refused, put, store, clock):
    arn = await make("auto scaling")
    await scaling.delete(DeleteAutoScalingConfigurationRequest(auto_scaling_configuration_arn=arn))
    service = await make("service")
    await put(replace(next(iter(store.services.values())), status=ServiceStatus.DELETED))
    for each in (arn, service):
        with refused(ErrorCode.RESOURCE_NOT_FOUND):
            await listed(each)
    await store.write(lambda tx: forget_deleted(tx, clock.time))


async def test_tags_come_and_go_while_an_operation_runs(add_service, tags, listed):
    shop = await add_service("shop", status=ServiceStatus.OPERATION_IN_PROGRESS)
    await tags.tag(TagResourceRequest(resource_arn=shop.arn, tags=TAGS))
    assert await listed(shop.arn) == {"team": "a", "empty": ""}
