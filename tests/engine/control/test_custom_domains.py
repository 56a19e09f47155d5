"""Custom domains: their records in App Runner's forms, their statuses over time, and what is no domain."""

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.control.custom_domains import CustomDomains, validation_names, www_belongs
from engine.model.actions.custom_domain import (
    AssociateCustomDomainRequest,
    DescribeCustomDomainsRequest,
    DisassociateCustomDomainRequest,
)
from engine.model.errors import EngineError, ErrorCode
from engine.model.resource import CustomDomainRecord, VpcIngressRecord
from engine.model.service import ServiceStatus

NOWHERE = f"arn:aws:apprunner:us-east-1:000000000000:service/none/{'0' * 32}"
NAME = re.compile(r"_[0-9a-f]{32}\.(?P<certified>.+)\.")
VALUE = re.compile(r"_[0-9a-f]{32}\.(?P<zone>[a-z0-9]{10})\.acm-validations\.aws\.")


@pytest.fixture
def domains(account):
    return CustomDomains(account)


@pytest.fixture
async def shop(add_service):
    return await add_service("shop")


@pytest.fixture
def associate(domains, shop):
    async def associated(name="example.com", www=None, arn=shop.arn):
        request = AssociateCustomDomainRequest(service_arn=arn, domain_name=name, enable_www_subdomain=www)
        return await domains.associate(request)

    return associated


@pytest.fixture
def describe(domains, shop):
    async def described(**changes):
        return await domains.describe(DescribeCustomDomainsRequest(**{"service_arn": shop.arn, **changes}))

    return described


@pytest.fixture
def disassociate(domains, shop):
    async def gone(name="example.com", arn=shop.arn):
        return await domains.disassociate(DisassociateCustomDomainRequest(service_arn=arn, domain_name=name))

    return gone


def certified(domain):
    return [NAME.fullmatch(each.name)["certified"] for each in domain.certificate_validation_records]


async def test_the_answer_says_what_to_put_into_dns(associate, shop):
    answer = await associate()
    assert answer.service_arn == shop.arn
    assert answer.dns_target == f"{shop.subdomain}.us-east-1.homerun.localhost"
    assert answer.vpc_dns_targets == ()
    domain = answer.custom_domain
    assert (domain.domain_name, domain.enable_www_subdomain, domain.status) == ("example.com", True, "creating")
    first, random, www = certified(domain)
    assert (first, www) == ("example.com", "www.example.com")
    assert re.fullmatch(r"[a-z0-9]{31}\.example\.com", random)
    zones = {VALUE.fullmatch(each.value)["zone"] for each in domain.certificate_validation_records}
    assert len(zones) == 1
    assert {(each.type, each.status) for each in domain.certificate_validation_records} == {
        ("CNAME", "PENDING_VALIDATION")
    }


@pytest.mark.parametrize(
    ("name", "www", "records", "has_www"),
    [
        ("example.com", None, 3, True),
        ("example.com", True, 3, True),
        ("example.com", False, 2, False),
        ("shop.example.com", None, 3, True),
        ("*.example.com", None, 2, False),
        ("*.example.com", False, 2, False),
    ],
)
async def test_there_is_a_record_for_each_name_in_the_certificate(associate, name, www, records, has_www):
    domain = (await associate(name, www)).custom_domain
    assert len(certified(domain)) == records
    assert domain.enable_www_subdomain is has_www
    assert ("www.example.com" in certified(domain)) == (has_www and name == "example.com")
    assert not any("*" in each for each in certified(domain))


async def test_a_domain_is_creating_for_a_moment_and_then_waits_for_its_validation(associate, describe, clock):
    made = (await associate()).custom_domain
    assert (await describe()).custom_domains == (made,)
    clock.time += 1.0
    (later,) = (await describe()).custom_domains
    assert later == replace(made, status="pending_certificate_dns_validation")


async def test_statuses_are_upper_case_for_those_who_want_them(upper_account, shop, clock):
    domains = CustomDomains(upper_account)
    request = AssociateCustomDomainRequest(service_arn=shop.arn, domain_name="example.com")
    assert (await domains.associate(request)).custom_domain.status == "CREATING"
    clock.time += 60
    (domain,) = (await domains.describe(DescribeCustomDomainsRequest(service_arn=shop.arn))).custom_domains
    assert domain.status == "PENDING_CERTIFICATE_DNS_VALIDATION"


async def test_a_domain_that_goes_says_so_and_is_gone(associate, describe, disassociate):
    made = (await associate()).custom_domain
    answer = await disassociate()
    assert answer.custom_domain == replace(made, status="deleting")
    assert answer.vpc_dns_targets == ()
    assert (await describe()).custom_domains == ()
    await associate()


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        (("example.com", None), ("EXAMPLE.com", False), "EXAMPLE.com"),
        (("example.com", None), ("www.example.com", False), "www.example.com"),
        (("www.example.com", False), ("example.com", None), "www.example.com"),
        (("*.example.com", None), ("*.example.com", None), "*.example.com"),
    ],
)
@pytest.mark.parametrize("other_service", [True, False])
async def test_a_name_belongs_to_one_domain_only(
    *, associate, add_service, refused, first, second, taken, other_service
):
    await associate(*first)
    arn = {"arn": (await add_service("other")).arn} if other_service else {}
    with refused(ErrorCode.INVALID_REQUEST, rf"^{re.escape(taken)} is already associated with the service shop"):
        await associate(*second, **arn)


async def test_a_domain_that_is_taken_is_named_as_it_was_asked_for(associate, disassociate):
    for number in range(16):
        name = f"shop-{number}.example.com"
        await associate(name)
        with pytest.raises(EngineError) as caught:
            await associate(name)
        assert caught.value.message.startswith(f"{name} is already associated with")
        await disassociate(name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("example.com", None), ("shop.example.com", None)),
        (("example.com", False), ("www.example.com", False)),
        (("*.example.com", None), ("example.com", None)),
        (("*.example.com", None), ("shop.example.com", None)),
    ],
)
async def test_names_that_only_look_alike_do_not_stand_in_each_others_way(associate, describe, first, second):
    await associate(*first)
    await associate(*second)
    assert [each.domain_name for each in (await describe()).custom_domains] == [first[0], second[0]]


async def test_a_name_stays_as_it_was_written_and_case_makes_no_other_of_it(associate, describe, disassociate):
    assert (await associate("Shop.Example.COM")).custom_domain.domain_name == "Shop.Example.COM"
    await disassociate("SHOP.example.com")
    assert (await describe()).custom_domains == ()


@pytest.mark.parametrize(
    "name",
    [
        "example",
        "*.com",
        "*",
        "a.*.example.com",
        "*example.com",
        "**.example.com",
        "*.*.example.com",
        ".example.com",
        "example.com.",
        "exa..mple.com",
        "-a.example.com",
        "a-.example.com",
        f"{'a' * 64}.example.com",
        "127.0.0.1",
    ],
)
def test_what_is_no_domain_name_is_refused(refused, name):
    with refused(ErrorCode.INVALID_REQUEST, "is not a domain name"):
        www_belongs(name, wanted=False)


async def test_a_refused_name_leaves_nothing(associate, refused, store):
    with refused(ErrorCode.INVALID_REQUEST, "example is not a domain name"):
        await associate("example")
    assert store.resources(CustomDomainRecord) == []


async def test_a_wildcard_has_no_www(associate, refused):
    with refused(ErrorCode.INVALID_REQUEST, "wildcard domain has no www"):
        await associate("*.example.com", www=True)


async def test_a_service_has_five_at_most(associate, add_service, disassociate, describe, refused):
    for number in range(5):
        await associate(f"shop-{number}.example.com")
    with refused(ErrorCode.INVALID_REQUEST, "at most 5"):
        await associate()
    await associate("other.example.com", arn=(await add_service("other")).arn)
    await disassociate("shop-2.example.com")
    await associate()
    assert len((await describe()).custom_domains) == 5


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_pages_of_domains_join_up(associate, describe, size):
    names = [f"shop-{number}.example.com" for number in range(4)]
    for name in names:
        await associate(name)
    found, token = [], None
    while True:
        answer = await describe(max_results=size, next_token=token)
        found += [each.domain_name for each in answer.custom_domains]
        token = answer.next_token
        if token is None:
            break
    assert found == names


async def test_a_domain_that_is_not_there_cannot_go(associate, disassociate, add_service, refused):
    await associate()
    other = await add_service("other")
    for name, where in (("nobody.example.com", {}), ("www.example.com", {}), ("example.com", {"arn": other.arn})):
        text = f"^No custom domain {re.escape(name)} found for the provided service"
        with refused(ErrorCode.RESOURCE_NOT_FOUND, text):
            await disassociate(name, **where)


@pytest.mark.parametrize(
    "status", [status for status in ServiceStatus if status not in {ServiceStatus.RUNNING, ServiceStatus.DELETED}]
)
async def test_domains_change_while_the_service_runs_only(
    *, associate, disassociate, describe, put, store, shop, refused, status
):
    await associate()
    await put(replace(store.services[shop.id], status=status))
    with refused(ErrorCode.INVALID_STATE, status.value):
        await associate("other.example.com")
    with refused(ErrorCode.INVALID_STATE, status.value):
        await disassociate()
    assert len((await describe()).custom_domains) == 1


async def test_a_service_that_is_not_there_has_no_domains(*, associate, describe, disassociate, put, shop, refused):
    await put(replace(shop, status=ServiceStatus.DELETED))
    for arn, why in ((NOWHERE, "does not exist"), (shop.arn, "was deleted")):
        with refused(ErrorCode.INVALID_REQUEST, why):
            await associate(arn=arn)
        with refused(ErrorCode.RESOURCE_NOT_FOUND, why):
            await disassociate(arn=arn)
        with refused(ErrorCode.RESOURCE_NOT_FOUND, why):
            await describe(service_arn=arn)


async def test_the_way_in_through_a_vpc_is_shown(associate, put, shop):
    ingress = VpcIngressRecord(
        id="1" * 32,
        arn="arn:ingress",
        name="door",
        target_arn=shop.arn,
        vpc_id="vpc-1",
        vpc_endpoint_id="vpce-1",
        domain_name="abc.us-east-1.homerun.localhost",
        created_at=1.0,
        updated_at=1.0,
    )
    await put(
        ingress,
        replace(ingress, id="2" * 32, deleted_at=1.0),
        replace(ingress, id="3" * 32, target_arn=NOWHERE),
    )
    (target,) = (await associate()).vpc_dns_targets
    assert (target.vpc_ingress_connection_arn, target.vpc_id) == ("arn:ingress", "vpc-1")
    assert target.domain_name == "abc.us-east-1.homerun.localhost"


async def test_no_two_domains_have_a_record_in_common(associate):
    one = (await associate("one.example.com")).custom_domain.certificate_validation_records
    two = (await associate("two.example.com")).custom_domain.certificate_validation_records
    assert not {each.name for each in one} & {each.name for each in two}
    assert not {each.value for each in one} & {each.value for each in two}


LABEL = st.builds("{0}{1}{0}".format, st.sampled_from("abz09"), st.text("ab-9", max_size=9))
DOMAIN = st.builds(
    lambda labels, top: ".".join([*labels, top]), st.lists(LABEL, min_size=1, max_size=3), st.just("com")
)


@settings(max_examples=40)
@given(DOMAIN, st.booleans(), st.sampled_from([None, False]))
def test_every_domain_name_is_taken(name, wildcard, wanted):
    assert www_belongs(f"*.{name}" if wildcard else name, wanted) is (not wildcard and wanted is None)
    assert www_belongs(name, wanted=True)


@settings(max_examples=40)
@given(st.text("abc-.*1", max_size=20))
def test_a_name_is_taken_or_refused_in_words(name):
    with suppress(EngineError):
        www_belongs(name, wanted=None)
        assert re.fullmatch(r"(\*\.)?([a-c1-]+\.)+[a-c1-]+", name)


@settings(max_examples=40)
@given(DOMAIN, st.booleans())
def test_records_are_of_the_domain_whatever_it_is(name, www):
    records = validation_names(name, www=www)
    assert len(records) == (3 if www else 2)
    assert all(NAME.fullmatch(each.name)["certified"].endswith(name) for each in records)
    assert all(VALUE.fullmatch(each.value) for each in records)
