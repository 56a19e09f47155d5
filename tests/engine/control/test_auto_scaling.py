"""Auto scaling configurations: revisions, one default at any time, nothing deleted that is in use."""

import pytest
from msgspec.structs import replace

from engine.control.actions import forget_deleted
from engine.control.auto_scaling import AutoScaling
from engine.model.actions.auto_scaling import (
    CreateAutoScalingConfigurationRequest,
    DeleteAutoScalingConfigurationRequest,
    DescribeAutoScalingConfigurationRequest,
    ListAutoScalingConfigurationsRequest,
    ListServicesForAutoScalingConfigurationRequest,
    UpdateDefaultAutoScalingConfigurationRequest,
)
from engine.model.errors import ErrorCode
from engine.model.ids import new_id
from engine.model.resource import AutoScalingRecord
from engine.model.service import ServiceStatus, Tag
from engine.model.version import Version, VersionState
from engine.store.state import StateStore

PREFIX = "arn:aws:apprunner:us-east-1:000000000000:autoscalingconfiguration"
BUILT_IN = f"{PREFIX}/DefaultConfiguration/1/{'0' * 31}1"


@pytest.fixture
def create(scaling):
    async def made(name="busy", **changes):
        request = CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name=name, **changes)
        return (await scaling.create(request)).auto_scaling_configuration

    return made


@pytest.fixture
def describe(scaling):
    async def described(arn):
        request = DescribeAutoScalingConfigurationRequest(auto_scaling_configuration_arn=arn)
        return (await scaling.describe(request)).auto_scaling_configuration

    return described


@pytest.fixture
def delete(scaling):
    async def deleted(arn, *, every=None):
        request = DeleteAutoScalingConfigurationRequest(auto_scaling_configuration_arn=arn, delete_all_revisions=every)
        return (await scaling.delete(request)).auto_scaling_configuration

    return deleted


@pytest.fixture
def make_default(scaling):
    async def made(arn):
        request = UpdateDefaultAutoScalingConfigurationRequest(auto_scaling_configuration_arn=arn)
        return (await scaling.update_default(request)).auto_scaling_configuration

    return made


@pytest.fixture
def listed(scaling):
    async def summaries(**changes):
        answer = await scaling.list_all(ListAutoScalingConfigurationsRequest(**changes))
        return answer.auto_scaling_configuration_summary_list

    return summaries


def defaults(store):
    return [record.arn for record in store.resources(AutoScalingRecord) if record.is_default]


async def test_an_account_begins_with_app_runners_own_configuration(describe, scaling):
    await scaling.begin()
    found = await describe(BUILT_IN)
    assert (found.max_concurrency, found.min_size, found.max_size) == (100, 1, 25)
    assert (found.latest, found.is_default, found.status, found.has_associated_service) == (True, True, "active", False)


async def test_what_is_left_out_gets_app_runners_defaults(create):
    made = await create()
    assert (made.max_concurrency, made.min_size, made.max_size) == (100, 1, 25)
    assert (made.is_default, made.has_associated_service, made.deleted_at) == (False, False, None)
    assert made.created_at == 1_800_000_000.0
    assert made.auto_scaling_configuration_arn.startswith(f"{PREFIX}/busy/1/")
    assert len(made.auto_scaling_configuration_arn.rpartition("/")[2]) == 32


async def test_what_is_given_is_kept(create, describe):
    made = await create(max_concurrency=7, min_size=2, max_size=3)
    found = await describe(made.auto_scaling_configuration_arn)
    assert (found.max_concurrency, found.min_size, found.max_size) == (7, 2, 3)


async def test_a_minimum_above_the_maximum_is_refused_and_leaves_nothing(create, refused, store):
    with refused(ErrorCode.INVALID_REQUEST, "they are 3 and 2"):
        await create(min_size=3, max_size=2)
    assert [record.name for record in store.resources(AutoScalingRecord)] == ["DefaultConfiguration"]


async def test_each_create_of_a_name_is_the_next_revision_and_the_latest(create, describe):
    made = [await create() for _ in range(3)]
    assert [each.auto_scaling_configuration_revision for each in made] == [1, 2, 3]
    found = [await describe(each.auto_scaling_configuration_arn) for each in made]
    assert [each.latest for each in found] == [False, False, True]


async def test_latest_moves_back_when_the_newest_is_deleted(create, describe, delete):
    first, second = await create(), await create()
    gone = await delete(second.auto_scaling_configuration_arn)
    assert (gone.status, gone.latest) == ("inactive", False)
    assert (await describe(first.auto_scaling_configuration_arn)).latest


async def test_a_number_is_not_used_again_while_what_it_meant_is_known(create, delete, store):
    await create()
    second = await create()
    await delete(second.auto_scaling_configuration_arn)
    assert (await create()).auto_scaling_configuration_revision == 3

    await delete(f"{PREFIX}/busy", every=True)
    assert (await create()).auto_scaling_configuration_revision == 4
    await delete(f"{PREFIX}/busy")
    await store.write(lambda tx: forget_deleted(tx, 1_800_000_000.0))
    assert (await create()).auto_scaling_configuration_revision == 1


@pytest.mark.parametrize("form", ["{arn}", f"{PREFIX}/busy/1", f"{PREFIX}/busy"])
async def test_an_arn_may_be_full_or_end_with_the_revision_or_the_name(create, describe, form):
    made = await create()
    assert await describe(form.format(arn=made.auto_scaling_configuration_arn)) == made


async def test_the_name_alone_means_the_latest_active_revision(create, describe, delete):
    first, second = await create(), await create()
    assert (await describe(f"{PREFIX}/busy")).auto_scaling_configuration_revision == 2
    await delete(second.auto_scaling_configuration_arn)
    assert (await describe(f"{PREFIX}/busy")) == await describe(first.auto_scaling_configuration_arn)


@pytest.mark.parametrize(
    "arn",
    [
        f"{PREFIX}/none",
        f"{PREFIX}/busy/9",
        f"{PREFIX}/busy/01",
        f"{PREFIX}/busy/1/{'f' * 32}",
        f"{PREFIX.replace('us-east-1', 'eu-west-1')}/busy",
        "arn:aws:apprunner:us-east-1:000000000000:observabilityconfiguration/DefaultConfiguration",
    ],
)
async def test_an_arn_of_nothing_is_not_found(create, describe, refused, arn):
    await create()
    with refused(ErrorCode.RESOURCE_NOT_FOUND, "does not exist"):
        await describe(arn)


async def test_a_list_has_the_latest_revision_of_each_name_unless_told_otherwise(create, listed):
    for name in ("busy", "busy", "calm"):
        await create(name)
    names = [
        (each.auto_scaling_configuration_name, each.auto_scaling_configuration_revision) for each in await listed()
    ]
    assert names == [("DefaultConfiguration", 1), ("busy", 2), ("calm", 1)]
    assert len(await listed(latest_only=True)) == 3
    assert len(await listed(latest_only=False)) == 4
    of_one = await listed(auto_scaling_configuration_name="busy", latest_only=False)
    assert [each.auto_scaling_configuration_revision for each in of_one] == [1, 2]


async def test_a_list_leaves_out_what_was_deleted(create, listed, delete):
    await create()
    await delete(f"{PREFIX}/busy")
    assert [each.auto_scaling_configuration_name for each in await listed(latest_only=False)] == [
        "DefaultConfiguration"
    ]


async def test_pages_of_a_list_join_up(create, scaling):
    for name in ("aaaa", "bbbb", "cccc"):
        await create(name)
    names, token = [], None
    while True:
        answer = await scaling.list_all(ListAutoScalingConfigurationsRequest(max_results=2, next_token=token))
        names += [each.auto_scaling_configuration_name for each in answer.auto_scaling_configuration_summary_list]
        token = answer.next_token
        if token is None:
            break
    assert names == ["DefaultConfiguration", "aaaa", "bbbb", "cccc"]


async def test_the_services_that_have_one_are_told(create, describe, listed, scaling, add_service):
    first, second = await create(), await create()
    shop = await add_service("shop", auto_scaling_arn=first.auto_scaling_configuration_arn)
    await add_service("gone", auto_scaling_arn=second.auto_scaling_configuration_arn, status=ServiceStatus.DELETED)

    assert (await describe(first.auto_scaling_configuration_arn)).has_associated_service
    assert not (await describe(second.auto_scaling_configuration_arn)).has_associated_service
    of_name = await listed(auto_scaling_configuration_name="busy", latest_only=False)
    assert [each.has_associated_service for each in of_name] == [True, False]
    for each, services in ((first, (shop.arn,)), (second, ())):
        request = ListServicesForAutoScalingConfigurationRequest(
            auto_scaling_configuration_arn=each.auto_scaling_configuration_arn
        )
        assert (await scaling.list_services(request)).service_arn_list == services


async def test_services_of_a_configuration_come_in_pages(scaling, add_service):
    arns = [(await add_service(f"shop-{number}")).arn for number in range(5)]
    found, token = [], None
    for _ in range(3):
        request = ListServicesForAutoScalingConfigurationRequest(
            auto_scaling_configuration_arn=BUILT_IN, max_results=2, next_token=token
        )
        answer = await scaling.list_services(request)
        found += answer.service_arn_list
        token = answer.next_token
    assert (found, token) == (arns, None)


async def test_exactly_one_is_the_default_whatever_is_made_it(create, make_default, store, scaling):
    first, second = await create(), await create()
    for each in (first, second, second):
        answer = await make_default(each.auto_scaling_configuration_arn)
        assert answer.is_default
        assert defaults(store) == [each.auto_scaling_configuration_arn]
    await scaling.begin()
    assert defaults(store) == [second.auto_scaling_configuration_arn]


async def test_a_partial_arn_can_be_made_the_default(create, make_default, scaling):
    await create()
    newest = await create()
    await make_default(f"{PREFIX}/busy")
    assert scaling.chosen(None).arn == newest.auto_scaling_configuration_arn


async def test_a_deleted_one_cannot_become_the_default(create, make_default, delete, store, refused):
    made = await create()
    await delete(made.auto_scaling_configuration_arn)
    with refused(ErrorCode.INVALID_REQUEST, "has been deleted"):
        await make_default(made.auto_scaling_configuration_arn)
    assert defaults(store) == [BUILT_IN]


async def test_a_service_that_names_none_gets_the_default(create, make_default, scaling):
    assert scaling.chosen(None).arn == BUILT_IN
    made = await create()
    await make_default(made.auto_scaling_configuration_arn)
    assert scaling.chosen(None).arn == made.auto_scaling_configuration_arn


async def test_a_service_that_names_one_gets_that_revision(create, scaling, delete, refused):
    first, second = await create(), await create()
    assert scaling.chosen(f"{PREFIX}/busy").arn == second.auto_scaling_configuration_arn
    assert scaling.chosen(f"{PREFIX}/busy/1").arn == first.auto_scaling_configuration_arn
    await delete(second.auto_scaling_configuration_arn)
    for arn, why in (
        (second.auto_scaling_configuration_arn, "has been deleted"),
        (f"{PREFIX}/busy/2", "has been deleted"),
        (f"{PREFIX}/none", "does not exist"),
    ):
        with refused(ErrorCode.INVALID_REQUEST, why):
            scaling.chosen(arn)


async def test_the_default_cannot_be_deleted(create, delete, make_default, describe, refused):
    with refused(ErrorCode.INVALID_REQUEST, "is the account's default"):
        await delete(BUILT_IN)
    made = await create()
    await make_default(made.auto_scaling_configuration_arn)
    assert (await delete(BUILT_IN)).status == "inactive"
    assert (await describe(BUILT_IN)).deleted_at == 1_800_000_000.0


async def test_the_built_in_name_can_be_made_again_after_its_deletion(create, delete, make_default, store, scaling):
    made = await create()
    await make_default(made.auto_scaling_configuration_arn)
    await delete(BUILT_IN)
    await scaling.begin()
    assert defaults(store) == [made.auto_scaling_configuration_arn]
    again = await create("DefaultConfiguration")
    assert (again.auto_scaling_configuration_revision, again.latest) == (2, True)


async def test_one_in_use_cannot_be_deleted(create, delete, add_service, refused):
    made = await create()
    await add_service("shop", auto_scaling_arn=made.auto_scaling_configuration_arn)
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await delete(made.auto_scaling_configuration_arn)


async def test_one_that_a_failing_update_would_return_to_cannot_be_deleted(
    *, create, delete, add_service, put, config, refused
):
    old, new = await create("calm"), await create("busy")
    shop = await add_service("shop", auto_scaling_arn=new.auto_scaling_configuration_arn)
    version = Version(
        id=new_id(),
        service_id=shop.id,
        number=1,
        operation_id="o",
        state=VersionState.BUILT,
        config=config(auto_scaling_arn=old.auto_scaling_configuration_arn),
        created_at=1.0,
    )
    await put(version, replace(shop, serving_version_id=version.id))
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await delete(old.auto_scaling_configuration_arn)

    await put(replace(shop, serving_version_id=version.id, status=ServiceStatus.DELETED))
    assert (await delete(old.auto_scaling_configuration_arn)).status == "inactive"


async def test_deleting_again_says_what_terraform_looks_for(create, delete, refused):
    made = await create()
    await delete(made.auto_scaling_configuration_arn)
    with refused(ErrorCode.INVALID_REQUEST, "The auto scaling configuration you specified has been deleted"):
        await delete(made.auto_scaling_configuration_arn)


async def test_all_revisions_go_by_the_name_only(create, delete, listed, refused):
    for _ in range(3):
        made = await create()
    for arn in (made.auto_scaling_configuration_arn, f"{PREFIX}/busy/1"):
        with refused(ErrorCode.INVALID_REQUEST, "ends with the name"):
            await delete(arn, every=True)
    assert len(await listed(auto_scaling_configuration_name="busy", latest_only=False)) == 3
    assert (await delete(f"{PREFIX}/busy", every=True)).auto_scaling_configuration_revision == 3
    assert await listed(auto_scaling_configuration_name="busy", latest_only=False) == ()


async def test_no_revision_goes_while_one_of_all_is_used(create, delete, listed, add_service, refused):
    first = await create()
    await create()
    await add_service("shop", auto_scaling_arn=first.auto_scaling_configuration_arn)
    with refused(ErrorCode.INVALID_REQUEST, "busy revision 1 is used"):
        await delete(f"{PREFIX}/busy", every=True)
    assert len(await listed(auto_scaling_configuration_name="busy", latest_only=False)) == 2


async def test_ten_names_are_as_many_as_an_account_has(create, delete, refused, store):
    names = [f"name-{number}" for number in range(9)]
    for name in names:
        await create(name)
    with refused(ErrorCode.QUOTA_EXCEEDED):
        await create("one-more")
    await create(names[0])
    await delete(f"{PREFIX}/{names[1]}")
    await create("one-more")
    assert len(store.resources(AutoScalingRecord)) == 12


async def test_five_revisions_are_as_many_as_a_name_has(create, delete, refused):
    for _ in range(5):
        await create()
    with refused(ErrorCode.QUOTA_EXCEEDED, "busy has 5 revisions"):
        await create()
    await delete(f"{PREFIX}/busy/3")
    assert (await create()).auto_scaling_configuration_revision == 6


async def test_statuses_are_upper_case_for_those_who_want_them(upper_account):
    scaling = AutoScaling(upper_account)
    await scaling.begin()
    request = CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name="busy")
    made = (await scaling.create(request)).auto_scaling_configuration
    listed = await scaling.list_all(ListAutoScalingConfigurationsRequest())
    assert made.status == "ACTIVE"
    assert {each.status for each in listed.auto_scaling_configuration_summary_list} == {"ACTIVE"}
    request = DeleteAutoScalingConfigurationRequest(auto_scaling_configuration_arn=f"{PREFIX}/busy")
    assert (await scaling.delete(request)).auto_scaling_configuration.status == "INACTIVE"


async def test_a_deleted_one_can_be_described_until_it_is_forgotten(*, create, delete, describe, store, clock, refused):
    made = await create()
    kept = await create("calm")
    arn = made.auto_scaling_configuration_arn
    clock.time += 10
    await delete(arn)

    await store.write(lambda tx: forget_deleted(tx, clock.time - 1))
    found = await describe(arn)
    assert (found.status, found.deleted_at, found.latest) == ("inactive", clock.time, False)
    await store.write(lambda tx: forget_deleted(tx, clock.time))
    with refused(ErrorCode.RESOURCE_NOT_FOUND):
        await describe(arn)
    assert (await describe(kept.auto_scaling_configuration_arn)).status == "active"


async def test_what_was_done_is_there_after_a_restart(*, create, delete, make_default, home, account, store):
    made = await create(max_concurrency=5, tags=(Tag(key="team", value="a"),))
    await make_default(made.auto_scaling_configuration_arn)
    await delete(BUILT_IN)
    before = store.resources(AutoScalingRecord)

    again = await StateStore.open(home.state_db)
    assert again.resources(AutoScalingRecord) == before
    assert again.resource(AutoScalingRecord, before[1].id).tags == {"team": "a"}
    await again.close()


async def test_a_service_shows_the_summary_of_what_it_has(create, scaling):
    made = await create()
    summary = scaling.summary_for(made.auto_scaling_configuration_arn)
    assert (summary.auto_scaling_configuration_name, summary.auto_scaling_configuration_revision) == ("busy", 1)
    assert summary.has_associated_service
    unknown = f"{PREFIX}/none/1/{'e' * 32}"
    assert scaling.summary_for(unknown).auto_scaling_configuration_arn == unknown
