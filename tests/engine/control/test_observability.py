"""Observability configurations: revisions, a reserved name that is always there, nothing deleted that is in use."""

import pytest
from msgspec.structs import replace

from engine.control.actions import forget_deleted
from engine.model.actions.observability import (
    CreateObservabilityConfigurationRequest,
    DeleteObservabilityConfigurationRequest,
    DescribeObservabilityConfigurationRequest,
    ListObservabilityConfigurationsRequest,
    TraceConfiguration,
    TracingVendor,
)
from engine.model.errors import ErrorCode
from engine.model.ids import new_id
from engine.model.service import ServiceObservabilityConfiguration
from engine.model.version import Version, VersionState

PREFIX = "arn:aws:apprunner:us-east-1:000000000000:observabilityconfiguration"
BUILT_IN = f"{PREFIX}/DefaultConfiguration/1/{'0' * 31}1"
ON = ServiceObservabilityConfiguration(observability_enabled=True)


@pytest.fixture
def create(observability):
    async def made(name="traces", **changes):
        request = CreateObservabilityConfigurationRequest(observability_configuration_name=name, **changes)
        return (await observability.create(request)).observability_configuration

    return made


@pytest.fixture
def describe(observability):
    async def described(arn):
        request = DescribeObservabilityConfigurationRequest(observability_configuration_arn=arn)
        return (await observability.describe(request)).observability_configuration

    return described


@pytest.fixture
def delete(observability):
    async def deleted(arn):
        request = DeleteObservabilityConfigurationRequest(observability_configuration_arn=arn)
        return (await observability.delete(request)).observability_configuration

    return deleted


async def names(observability, **changes):
    answer = await observability.list_all(ListObservabilityConfigurationsRequest(**changes))
    return [
        (each.observability_configuration_name, each.observability_configuration_revision)
        for each in answer.observability_configuration_summary_list
    ]


async def test_an_account_begins_with_one_that_traces_to_x_ray(describe, observability):
    await observability.begin()
    found = await describe(BUILT_IN)
    assert found.trace_configuration == TraceConfiguration(vendor=TracingVendor.AWSXRAY)
    assert (found.status, found.latest) == ("ACTIVE", True)


async def test_the_built_in_name_is_reserved(create, refused):
    with refused(ErrorCode.INVALID_REQUEST, "reserved"):
        await create("DefaultConfiguration")


@pytest.mark.parametrize("form", [BUILT_IN, f"{PREFIX}/DefaultConfiguration", f"{PREFIX}/DefaultConfiguration/1"])
async def test_the_built_in_one_cannot_be_deleted(delete, describe, refused, form):
    with refused(ErrorCode.INVALID_REQUEST, "built in"):
        await delete(form)
    assert (await describe(BUILT_IN)).status == "ACTIVE"


async def test_revisions_count_up_and_the_newest_is_the_latest(create, describe, delete):
    first, second = await create(), await create()
    assert [each.observability_configuration_revision for each in (first, second)] == [1, 2]
    assert not (await describe(first.observability_configuration_arn)).latest
    gone = await delete(f"{PREFIX}/traces")
    assert (gone.observability_configuration_revision, gone.status, gone.latest) == (2, "INACTIVE", False)
    assert (await describe(first.observability_configuration_arn)).latest
    assert (await create()).observability_configuration_revision == 3


async def test_tracing_is_off_unless_asked_for(create, describe):
    plain = await create()
    traced = await create(trace_configuration=TraceConfiguration(vendor=TracingVendor.AWSXRAY))
    assert (await describe(plain.observability_configuration_arn)).trace_configuration is None
    assert (await describe(traced.observability_configuration_arn)).trace_configuration.vendor == "AWSXRAY"


async def test_a_list_has_the_latest_active_ones(create, observability, delete):
    for name in ("traces", "traces", "aaaa"):
        await create(name)
    assert await names(observability) == [("DefaultConfiguration", 1), ("aaaa", 1), ("traces", 2)]
    assert await names(observability, observability_configuration_name="traces", latest_only=False) == [
        ("traces", 1),
        ("traces", 2),
    ]
    await delete(f"{PREFIX}/aaaa")
    assert ("aaaa", 1) not in await names(observability, latest_only=False)


async def test_ten_names_besides_the_built_in_one_and_ten_revisions_of_each(create, delete, refused):
    for number in range(10):
        await create(f"name-{number}")
    with refused(ErrorCode.QUOTA_EXCEEDED, "10 observability configurations"):
        await create("one-more")
    for _ in range(9):
        await create("name-0")
    with refused(ErrorCode.QUOTA_EXCEEDED, "name-0 has 10 revisions"):
        await create("name-0")
    await delete(f"{PREFIX}/name-1")
    await create("one-more")


async def test_deleting_again_is_refused(create, delete, refused):
    made = await create()
    await delete(made.observability_configuration_arn)
    with refused(ErrorCode.INVALID_REQUEST, "has been deleted"):
        await delete(made.observability_configuration_arn)
    with refused(ErrorCode.INVALID_REQUEST, "has been deleted"):
        await delete(f"{PREFIX}/traces")
    with refused(ErrorCode.RESOURCE_NOT_FOUND):
        await delete(f"{PREFIX}/none")


async def test_a_service_gets_the_arn_that_it_names_in_full(create, observability):
    first, second = await create(), await create()
    for wanted, arn in (
        (None, None),
        (f"{PREFIX}/traces", second.observability_configuration_arn),
        (f"{PREFIX}/traces/1", first.observability_configuration_arn),
    ):
        chosen = observability.chosen(replace(ON, observability_configuration_arn=wanted))
        assert chosen == replace(ON, observability_configuration_arn=arn)


async def test_a_service_without_observability_stays_so(observability):
    off = ServiceObservabilityConfiguration(observability_enabled=False)
    assert observability.chosen(None) is None
    assert observability.chosen(off) == off


async def test_a_service_cannot_have_one_that_is_not_there(create, observability, delete, refused):
    made = await create()
    await delete(made.observability_configuration_arn)
    for arn, why in (
        (made.observability_configuration_arn, "has been deleted"),
        (f"{PREFIX}/traces", "has been deleted"),
        (f"{PREFIX}/none/3", "does not exist"),
    ):
        with refused(ErrorCode.INVALID_REQUEST, why):
            observability.chosen(replace(ON, observability_configuration_arn=arn))


async def test_one_in_use_cannot_be_deleted(create, delete, add_service, refused):
    made = await create()
    await add_service(
        "shop", observability=replace(ON, observability_configuration_arn=made.observability_configuration_arn)
    )
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await delete(made.observability_configuration_arn)


async def test_one_that_a_failing_update_would_return_to_cannot_be_deleted(
    *, create, delete, add_service, put, config, refused
):
    made = await create()
    shop = await add_service("shop")
    wanted = replace(ON, observability_configuration_arn=made.observability_configuration_arn)
    version = Version(
        id=new_id(),
        service_id=shop.id,
        number=1,
        operation_id="o",
        state=VersionState.BUILT,
        config=config(observability=wanted),
        created_at=1.0,
    )
    await put(version, replace(shop, serving_version_id=version.id))
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await delete(made.observability_configuration_arn)


async def test_a_deleted_one_can_be_described_until_it_is_forgotten(*, create, delete, describe, store, clock, refused):
    made = await create()
    await delete(made.observability_configuration_arn)
    found = await describe(made.observability_configuration_arn)
    assert (found.status, found.deleted_at) == ("INACTIVE", clock.time)
    await store.write(lambda tx: forget_deleted(tx, clock.time))
    with refused(ErrorCode.RESOURCE_NOT_FOUND):
        await describe(made.observability_configuration_arn)
    assert (await describe(BUILT_IN)).status == "ACTIVE"
