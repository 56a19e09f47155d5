"""VPC connectors and ingress connections: names, quotas, who may use and delete them, statuses over time."""

import pytest
from msgspec.structs import replace

from engine.control.actions import forget_deleted
from engine.control.vpc import VpcIngressConnections
from engine.model.actions.vpc import (
    CreateVpcConnectorRequest,
    CreateVpcIngressConnectionRequest,
    DeleteVpcConnectorRequest,
    DeleteVpcIngressConnectionRequest,
    DescribeVpcConnectorRequest,
    DescribeVpcIngressConnectionRequest,
    IngressVpcConfiguration,
    ListVpcConnectorsRequest,
    ListVpcIngressConnectionsFilter,
    ListVpcIngressConnectionsRequest,
    UpdateVpcIngressConnectionRequest,
)
from engine.model.errors import ErrorCode
from engine.model.ids import new_id
from engine.model.service import (
    EgressConfiguration,
    EgressType,
    IngressConfiguration,
    NetworkConfiguration,
    ServiceStatus,
)
from engine.model.version import Version, VersionState

ROOT = "arn:aws:apprunner:us-east-1:000000000000"
PRIVATE = NetworkConfiguration(ingress_configuration=IngressConfiguration(is_publicly_accessible=False))
ENDPOINT = IngressVpcConfiguration(vpc_id="vpc-1", vpc_endpoint_id="vpce-1")


def through(arn):
    return NetworkConfiguration(
        egress_configuration=EgressConfiguration(egress_type=EgressType.VPC, vpc_connector_arn=arn)
    )


class TestConnectors:
    @pytest.fixture
    def create(self, connectors):
        async def made(name="wire", **changes):
            request = CreateVpcConnectorRequest(**{"vpc_connector_name": name, "subnets": ("subnet-1",), **changes})
            return (await connectors.create(request)).vpc_connector

        return made

    @pytest.fixture
    def describe(self, connectors):
        async def described(arn):
            return (await connectors.describe(DescribeVpcConnectorRequest(vpc_connector_arn=arn))).vpc_connector

        return described

    @pytest.fixture
    def delete(self, connectors):
        async def deleted(arn):
            return (await connectors.delete(DeleteVpcConnectorRequest(vpc_connector_arn=arn))).vpc_connector

        return deleted

    async def test_a_connector_is_what_was_asked_for(self, create, describe, clock):
        made = await create(subnets=("subnet-1", "subnet-2"), security_groups=("sg-1",))
        assert (made.subnets, made.security_groups) == (("subnet-1", "subnet-2"), ("sg-1",))
        assert (made.status, made.vpc_connector_revision, made.created_at) == ("ACTIVE", 1, clock.time)
        assert made.vpc_connector_arn.startswith(f"{ROOT}:vpcconnector/wire/1/")
        assert await describe(made.vpc_connector_arn) == made
        assert (await create("bare")).security_groups == ()

    @pytest.mark.parametrize("subnets", [(), ("",), ("subnet-1", "")])
    async def test_without_subnets_there_is_none(self, create, refused, subnets):
        with refused(ErrorCode.INVALID_REQUEST, "at least one subnet"):
            await create(subnets=subnets)

    async def test_a_name_is_used_once_until_it_is_free_again(self, create, delete, refused):
        made = await create()
        with refused(ErrorCode.INVALID_REQUEST, "already exists: wire"):
            await create()
        await delete(made.vpc_connector_arn)
        assert (await create()).vpc_connector_revision == 1

    async def test_ten_are_as_many_as_an_account_has(self, create, delete, refused):
        made = [await create(f"wire-{number}") for number in range(10)]
        with refused(ErrorCode.QUOTA_EXCEEDED):
            await create("one-more")
        await delete(made[0].vpc_connector_arn)
        await create("one-more")

    async def test_only_the_full_arn_means_one(self, create, describe, delete, refused):
        made = await create()
        short = made.vpc_connector_arn.rpartition("/")[0]
        for arn in (short, short.rpartition("/")[0], f"{ROOT}:vpcconnector/wire/2/{made.vpc_connector_arn[-32:]}"):
            with refused(ErrorCode.RESOURCE_NOT_FOUND):
                await describe(arn)
            with refused(ErrorCode.RESOURCE_NOT_FOUND):
                await delete(arn)

    async def test_a_list_has_whole_records_of_those_that_are_there(self, create, delete, connectors):
        made = [await create(f"wire-{number}") for number in range(4)]
        await delete(made[1].vpc_connector_arn)
        first = await connectors.list_all(ListVpcConnectorsRequest(max_results=2))
        rest = await connectors.list_all(ListVpcConnectorsRequest(max_results=2, next_token=first.next_token))
        assert (*first.vpc_connectors, *rest.vpc_connectors) == (made[0], made[2], made[3])
        assert rest.next_token is None

    async def test_a_deleted_one_is_inactive_until_it_is_forgotten(
        self, *, create, describe, delete, store, clock, refused
    ):
        made = await create()
        gone = await delete(made.vpc_connector_arn)
        assert (gone.status, gone.deleted_at) == ("INACTIVE", clock.time)
        assert await describe(made.vpc_connector_arn) == gone
        with refused(ErrorCode.INVALID_REQUEST, "has been deleted"):
            await delete(made.vpc_connector_arn)
        await store.write(lambda tx: forget_deleted(tx, clock.time))
        with refused(ErrorCode.RESOURCE_NOT_FOUND):
            await describe(made.vpc_connector_arn)

    async def test_a_service_can_use_those_that_are_there(self, create, delete, connectors, refused):
        made = await create()
        connectors.check_usable(None)
        connectors.check_usable(NetworkConfiguration())
        connectors.check_usable(through(made.vpc_connector_arn))
        await delete(made.vpc_connector_arn)
        with refused(ErrorCode.INVALID_REQUEST, "wire was deleted"):
            connectors.check_usable(through(made.vpc_connector_arn))
        with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
            connectors.check_usable(through(f"{ROOT}:vpcconnector/none/1/{'0' * 32}"))

    async def test_one_in_use_cannot_be_deleted(self, *, create, delete, add_service, put, config, refused):
        made = await create()
        shop = await add_service("shop", network=through(made.vpc_connector_arn))
        with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
            await delete(made.vpc_connector_arn)
        version = Version(
            id=new_id(),
            service_id=shop.id,
            number=1,
            operation_id="o",
            state=VersionState.BUILT,
            config=shop.config,
            created_at=1.0,
        )
        await put(version, replace(shop, config=config(), serving_version_id=version.id))
        with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
            await delete(made.vpc_connector_arn)
        await put(replace(shop, status=ServiceStatus.DELETED))
        assert (await delete(made.vpc_connector_arn)).status == "INACTIVE"


class TestIngressConnections:
    @pytest.fixture
    def ingress(self, account):
        return VpcIngressConnections(account)

    @pytest.fixture
    async def shop(self, add_service):
        return await add_service("shop", network=PRIVATE)

    @pytest.fixture
    def create(self, ingress, shop):
        async def made(name="door", **changes):
            request = CreateVpcIngressConnectionRequest(
                **{
                    "service_arn": shop.arn,
                    "vpc_ingress_connection_name": name,
                    "ingress_vpc_configuration": ENDPOINT,
                    **changes,
                }
            )
            return (await ingress.create(request)).vpc_ingress_connection

        return made

    @pytest.fixture
    def describe(self, ingress):
        async def described(arn):
            request = DescribeVpcIngressConnectionRequest(vpc_ingress_connection_arn=arn)
            return (await ingress.describe(request)).vpc_ingress_connection

        return described

    @pytest.fixture
    def update(self, ingress):
        async def updated(arn, endpoint=ENDPOINT):
            request = UpdateVpcIngressConnectionRequest(
                vpc_ingress_connection_arn=arn, ingress_vpc_configuration=endpoint
            )
            return (await ingress.update(request)).vpc_ingress_connection

        return updated

    @pytest.fixture
    def delete(self, ingress):
        async def deleted(arn):
            request = DeleteVpcIngressConnectionRequest(vpc_ingress_connection_arn=arn)
            return (await ingress.delete(request)).vpc_ingress_connection

        return deleted

    async def test_a_connection_leads_to_its_service_under_a_domain_of_its_own(self, create, describe, shop, clock):
        made = await create()
        assert (made.service_arn, made.account_id, made.created_at) == (shop.arn, "000000000000", clock.time)
        assert made.ingress_vpc_configuration == ENDPOINT
        assert made.vpc_ingress_connection_arn.startswith(f"{ROOT}:vpcingressconnection/door/")
        assert made.domain_name.endswith(".us-east-1.homerun.localhost")
        assert not made.domain_name.startswith(shop.subdomain)
        assert await describe(made.vpc_ingress_connection_arn) == made

    async def test_each_change_is_pending_for_a_moment(self, create, describe, update, delete, clock):
        made = await create()
        arn = made.vpc_ingress_connection_arn
        other = IngressVpcConfiguration(vpc_id="vpc-2", vpc_endpoint_id="vpce-2")
        assert made.status == "PENDING_CREATION"
        clock.time += 1.0
        assert (await describe(arn)).status == "AVAILABLE"
        assert (await update(arn, other)).status == "PENDING_UPDATE"
        clock.time += 1.0
        found = await describe(arn)
        assert (found.status, found.ingress_vpc_configuration) == ("AVAILABLE", other)
        gone = await delete(arn)
        assert (gone.status, gone.deleted_at) == ("PENDING_DELETION", clock.time)
        clock.time += 1.0
        assert (await describe(arn)).status == "DELETED"

    async def test_nothing_changes_while_something_is_pending(
        self, *, create, describe, update, delete, clock, refused
    ):
        arn = (await create()).vpc_ingress_connection_arn

        async def both_refused(status):
            with refused(ErrorCode.INVALID_STATE, f"cannot be updated in the current state: {status}"):
                await update(arn)
            with refused(ErrorCode.INVALID_STATE, f"cannot be deleted in the current state: {status}"):
                await delete(arn)

        await both_refused("PENDING_CREATION")
        clock.time += 1.0
        await update(arn)
        await both_refused("PENDING_UPDATE")
        clock.time += 1.0
        await delete(arn)
        await both_refused("PENDING_DELETION")
        clock.time += 1.0
        await both_refused("DELETED")

    @pytest.mark.parametrize(
        "endpoint",
        [
            IngressVpcConfiguration(),
            IngressVpcConfiguration(vpc_id="vpc-1"),
            IngressVpcConfiguration(vpc_endpoint_id="vpce-1"),
            IngressVpcConfiguration(vpc_id="", vpc_endpoint_id="vpce-1"),
        ],
    )
    async def test_an_endpoint_is_named_in_full(self, create, update, clock, refused, endpoint):
        with refused(ErrorCode.INVALID_REQUEST, "must be given"):
            await create(ingress_vpc_configuration=endpoint)
        arn = (await create()).vpc_ingress_connection_arn
        clock.time += 1.0
        with refused(ErrorCode.INVALID_REQUEST, "must be given"):
            await update(arn, endpoint)

    async def test_the_service_must_be_private(self, create, add_service, config, refused):
        public = await add_service("open")
        with refused(ErrorCode.INVALID_REQUEST, "open is publicly accessible"):
            await create(service_arn=public.arn)

    async def test_the_service_must_be_there(self, create, put, shop, refused):
        with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
            await create(service_arn=f"{ROOT}:service/none/{'0' * 32}")
        await put(replace(shop, status=ServiceStatus.DELETED))
        with refused(ErrorCode.INVALID_REQUEST, "was deleted"):
            await create()

    async def test_one_at_a_time_and_no_name_twice(self, create, delete, clock, refused):
        made = await create()
        with refused(ErrorCode.INVALID_REQUEST, "already exists: door"):
            await create()
        with refused(ErrorCode.QUOTA_EXCEEDED):
            await create("other")
        clock.time += 1.0
        await delete(made.vpc_ingress_connection_arn)
        await create("other")

    async def test_a_list_can_be_narrowed_to_a_service_or_an_endpoint(self, create, ingress, shop, delete, clock):
        made = await create()

        async def listed(**wanted):
            request = ListVpcIngressConnectionsRequest(
                filter=ListVpcIngressConnectionsFilter(**wanted) if wanted else None
            )
            answer = await ingress.list_all(request)
            return [each.vpc_ingress_connection_arn for each in answer.vpc_ingress_connection_summary_list]

        here = [made.vpc_ingress_connection_arn]
        assert await listed() == here
        assert await listed(service_arn=shop.arn) == here
        assert await listed(vpc_endpoint_id="vpce-1") == here
        assert await listed(service_arn=shop.arn, vpc_endpoint_id="vpce-1") == here
        assert await listed(vpc_endpoint_id="vpce-2") == []
        assert await listed(service_arn=f"{ROOT}:service/none/{'0' * 32}", vpc_endpoint_id="vpce-1") == []
        clock.time += 1.0
        await delete(here[0])
        assert await listed() == []

    async def test_one_that_is_not_there_is_not_found(self, describe, update, delete, create, refused):
        made = await create()
        for arn in (
            f"{ROOT}:vpcingressconnection/none/{'0' * 32}",
            made.vpc_ingress_connection_arn.replace("door", "wall"),
        ):
            for action in (describe, update, delete):
                with refused(ErrorCode.RESOURCE_NOT_FOUND):
                    await action(arn)

    async def test_a_deleted_one_can_be_described_until_it_is_forgotten(
        self, *, create, describe, delete, store, clock, refused
    ):
        arn = (await create()).vpc_ingress_connection_arn
        clock.time += 1.0
        await delete(arn)
        await store.write(lambda tx: forget_deleted(tx, clock.time))
        with refused(ErrorCode.RESOURCE_NOT_FOUND):
            await describe(arn)
