"""Everything but services over the API: revisions, deletion rules, exact texts, tags, and pages of every list."""

import json
import re
import warnings

import pytest

from tests.conformance.calls import (
    INVALID_REQUEST,
    INVALID_STATE,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    code_of,
    refused,
    source,
    within,
)
from tests.conformance.generate import PLACEHOLDERS, minimal

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    botocore_session = pytest.importorskip("botocore.session")

pytestmark = pytest.mark.slow

MODEL = botocore_session.get_session().get_service_model("apprunner")
OPERATIONS = {name: MODEL.operation_model(name) for name in MODEL.operation_names}
PAGED = [name for name, each in OPERATIONS.items() if {"NextToken", "MaxResults"} <= set(each.input_shape.members)]
OF_SOMETHING = [
    name
    for name, each in OPERATIONS.items()
    if any(member in PLACEHOLDERS for member in each.input_shape.required_members)
]
FIRST_SCALING = f"arn:aws:apprunner:us-east-1:000000000000:autoscalingconfiguration/DefaultConfiguration/1/{1:032d}"
FIRST_OBSERVING = FIRST_SCALING.replace("autoscaling", "observability")
PENDING = "pending_certificate_dns_validation"


def method_of(client, operation):
    (method,) = [name for name, api_name in client.meta.method_to_api_mapping.items() if api_name == operation]
    return getattr(client, method)


def partial(arn, parts):
    """The ARN with only so many parts of its path left."""
    return "/".join(arn.split("/")[:parts])


# Auto scaling configurations.


def scaling(client, arn):
    answer = client.describe_auto_scaling_configuration(AutoScalingConfigurationArn=arn)
    return answer["AutoScalingConfiguration"]


def delete_scaling(client, arn, **more):
    return client.delete_auto_scaling_configuration(AutoScalingConfigurationArn=arn, **more)["AutoScalingConfiguration"]


def test_an_account_begins_with_one_auto_scaling_configuration(account, client):
    (only,) = client.list_auto_scaling_configurations(LatestOnly=False)["AutoScalingConfigurationSummaryList"]

    assert only["AutoScalingConfigurationArn"] == FIRST_SCALING
    described = scaling(client, FIRST_SCALING)
    assert (described["MaxConcurrency"], described["MinSize"], described["MaxSize"]) == (100, 1, 25)
    assert (described["IsDefault"], described["Latest"], described["Status"]) == (True, True, "active")


def test_scaling_values_that_are_not_given_are_app_runners(account):
    made = account.scaling()

    assert (made["MaxConcurrency"], made["MinSize"], made["MaxSize"]) == (100, 1, 25)
    assert re.fullmatch(
        r"arn:aws:apprunner:us-east-1:0{12}:autoscalingconfiguration/thing-\d+/1/[0-9a-f]{32}",
        made["AutoScalingConfigurationArn"],
    )


def test_more_instances_at_least_than_at_most_are_refused(account, client):
    code, message = refused(
        client.create_auto_scaling_configuration, AutoScalingConfigurationName="upside", MinSize=3, MaxSize=2
    )

    assert code == INVALID_REQUEST
    assert "MinSize" in message


def test_the_greatest_integer_of_the_api_is_kept(account):
    assert account.scaling(MaxSize=2**31 - 1)["MaxSize"] == 2**31 - 1


@pytest.mark.parametrize("size", [2**31, 2**63 - 1, 2**63, 2**64, 10**30])
def test_an_integer_that_the_api_has_no_room_for_is_refused(account, send, size):
    name = account.name()
    request = {"AutoScalingConfigurationName": name, "MaxSize": size}

    status, answer = send("CreateAutoScalingConfiguration", json.dumps(request).encode())

    if status == 200:
        arn = answer["AutoScalingConfiguration"]["AutoScalingConfigurationArn"]
        send("DeleteAutoScalingConfiguration", json.dumps({"AutoScalingConfigurationArn": arn}).encode())
    assert status == 400, answer
    assert answer["__type"] in {INVALID_REQUEST, "SerializationException"}


def test_a_name_used_again_makes_the_next_revision_and_the_latest(account, client):
    name = account.name()
    first = account.scaling(name, MaxConcurrency=1)
    second = account.scaling(name, MaxConcurrency=2)

    assert (second["AutoScalingConfigurationRevision"], second["Latest"]) == (2, True)
    assert second["AutoScalingConfigurationArn"] != first["AutoScalingConfigurationArn"]
    assert scaling(client, first["AutoScalingConfigurationArn"])["Latest"] is False
    named = client.list_auto_scaling_configurations
    for arguments, revisions in (({}, [2]), ({"LatestOnly": True}, [2]), ({"LatestOnly": False}, [1, 2])):
        found = named(AutoScalingConfigurationName=name, **arguments)["AutoScalingConfigurationSummaryList"]
        assert [each["AutoScalingConfigurationRevision"] for each in found] == revisions


def test_a_part_of_an_arn_means_a_revision_or_the_latest(account, client):
    name = account.name()
    first, second = account.scaling(name), account.scaling(name)
    arn = first["AutoScalingConfigurationArn"]

    assert scaling(client, partial(arn, 3))["AutoScalingConfigurationRevision"] == 1
    assert scaling(client, partial(arn, 2)) == second
    delete_scaling(client, second["AutoScalingConfigurationArn"])
    assert scaling(client, partial(arn, 2))["AutoScalingConfigurationRevision"] == 1
    assert scaling(client, partial(arn, 2))["Latest"] is True


def test_a_revision_number_is_not_used_again(account, client):
    name = account.name()
    account.scaling(name)
    delete_scaling(client, account.scaling(name)["AutoScalingConfigurationArn"])

    assert account.scaling(name)["AutoScalingConfigurationRevision"] == 3


def test_deleting_what_is_deleted_says_what_terraform_waits_for(account, client):
    arn = account.scaling()["AutoScalingConfigurationArn"]
    deleted = delete_scaling(client, arn)
    assert (deleted["Status"], deleted["Latest"]) == ("inactive", False)
    assert deleted["DeletedAt"] >= deleted["CreatedAt"]

    code, message = refused(client.delete_auto_scaling_configuration, AutoScalingConfigurationArn=arn)

    assert code == INVALID_REQUEST
    assert "The auto scaling configuration you specified has been deleted" in message
    assert scaling(client, arn)["Status"] == "inactive"
    assert arn not in str(client.list_auto_scaling_configurations(LatestOnly=False))
    assert code_of(client.update_default_auto_scaling_configuration, AutoScalingConfigurationArn=arn) == INVALID_REQUEST


def test_all_revisions_are_deleted_by_the_name_only(account, client):
    name = account.name()
    first, second = account.scaling(name), account.scaling(name)
    for parts in (3, 4):
        arn = partial(first["AutoScalingConfigurationArn"], parts)
        call = client.delete_auto_scaling_configuration
        assert code_of(call, AutoScalingConfigurationArn=arn, DeleteAllRevisions=True) == INVALID_REQUEST

    delete_scaling(client, partial(first["AutoScalingConfigurationArn"], 2), DeleteAllRevisions=True)

    for each in (first, second):
        assert scaling(client, each["AutoScalingConfigurationArn"])["Status"] == "inactive"


def test_the_default_and_what_is_in_use_cannot_be_deleted(account, client):
    used = account.scaling("used-one")["AutoScalingConfigurationArn"]
    service = account.service(AutoScalingConfigurationArn=used)
    for arn in (FIRST_SCALING, used):
        assert code_of(client.delete_auto_scaling_configuration, AutoScalingConfigurationArn=arn) == INVALID_REQUEST
        assert scaling(client, arn)["Status"] == "active"
    assert scaling(client, used)["HasAssociatedService"] is True
    unused = account.scaling("used-one")["AutoScalingConfigurationArn"]
    name = partial(used, 2)
    call = client.delete_auto_scaling_configuration
    assert code_of(call, AutoScalingConfigurationArn=name, DeleteAllRevisions=True) == INVALID_REQUEST
    assert scaling(client, unused)["Status"] == "active"

    client.delete_service(ServiceArn=service["ServiceArn"])
    account.settled(service["ServiceArn"])

    assert scaling(client, used)["HasAssociatedService"] is False
    assert delete_scaling(client, used)["Status"] == "inactive"


def test_there_is_one_default_and_only_later_services_get_it(account, client):
    earlier = account.service()["ServiceArn"]
    arn = account.scaling()["AutoScalingConfigurationArn"]

    answer = client.update_default_auto_scaling_configuration(AutoScalingConfigurationArn=arn)

    assert answer["AutoScalingConfiguration"]["IsDefault"] is True
    found = client.list_auto_scaling_configurations(LatestOnly=False)["AutoScalingConfigurationSummaryList"]
    assert [each["AutoScalingConfigurationArn"] for each in found if each["IsDefault"]] == [arn]
    later = account.service()["AutoScalingConfigurationSummary"]
    assert (later["AutoScalingConfigurationArn"], later["IsDefault"]) == (arn, True)
    kept = account.describe(earlier)["AutoScalingConfigurationSummary"]
    assert (kept["AutoScalingConfigurationArn"], kept["IsDefault"]) == (FIRST_SCALING, False)


def test_default_configuration_is_a_configuration_like_any_other(account, client):
    second = account.scaling("DefaultConfiguration", MaxConcurrency=5)
    assert (second["AutoScalingConfigurationRevision"], second["IsDefault"]) == (2, False)
    other = account.scaling()["AutoScalingConfigurationArn"]
    client.update_default_auto_scaling_configuration(AutoScalingConfigurationArn=other)

    assert delete_scaling(client, second["AutoScalingConfigurationArn"])["Status"] == "inactive"


def test_a_service_is_pinned_to_the_revision_that_its_name_meant(account, client):
    first = account.scaling("pinned")["AutoScalingConfigurationArn"]
    name = partial(first, 2)
    service = account.service(AutoScalingConfigurationArn=name)["ServiceArn"]
    second = account.scaling("pinned")["AutoScalingConfigurationArn"]

    def pinned():
        return account.describe(service)["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"]

    def services_of(arn):
        answer = client.list_services_for_auto_scaling_configuration(AutoScalingConfigurationArn=arn)
        return answer["ServiceArnList"]

    assert pinned() == first
    assert (services_of(first), services_of(second), services_of(name)) == ([service], [], [])
    client.update_service(ServiceArn=service, HealthCheckConfiguration={"Interval": 3})
    account.settled(service)
    assert pinned() == first
    client.update_service(ServiceArn=service, AutoScalingConfigurationArn=name)
    account.settled(service)
    assert pinned() == second
    assert (services_of(first), services_of(second), services_of(name)) == ([], [service], [service])


def test_auto_scaling_quotas_are_five_revisions_of_ten_names(account, client):
    name = account.name()
    for _ in range(5):
        account.scaling(name)
    create = client.create_auto_scaling_configuration
    assert code_of(create, AutoScalingConfigurationName=name) == QUOTA_EXCEEDED
    for number in range(8):
        account.scaling(f"named-{number}")
    assert code_of(create, AutoScalingConfigurationName="one-more") == QUOTA_EXCEEDED


# Observability configurations.


def observing(client, arn):
    answer = client.describe_observability_configuration(ObservabilityConfigurationArn=arn)
    return answer["ObservabilityConfiguration"]


def test_an_account_begins_with_a_traced_configuration_whose_name_is_reserved(account, client):
    first = observing(client, FIRST_OBSERVING)

    assert first["TraceConfiguration"] == {"Vendor": "AWSXRAY"}
    assert (first["Latest"], first["Status"]) == (True, "ACTIVE")
    create, delete = client.create_observability_configuration, client.delete_observability_configuration
    assert code_of(create, ObservabilityConfigurationName="DefaultConfiguration") == INVALID_REQUEST
    assert code_of(delete, ObservabilityConfigurationArn=FIRST_OBSERVING) == INVALID_REQUEST


def test_observability_configurations_have_revisions(account, client):
    name = account.name()
    first = account.observing(name)
    second = account.observing(name, TraceConfiguration={"Vendor": "AWSXRAY"})
    arn = first["ObservabilityConfigurationArn"]

    assert (second["ObservabilityConfigurationRevision"], second["Latest"]) == (2, True)
    assert observing(client, arn)["Latest"] is False
    assert "TraceConfiguration" not in first
    assert observing(client, partial(arn, 2)) == second
    assert observing(client, partial(arn, 3))["ObservabilityConfigurationRevision"] == 1
    named = client.list_observability_configurations
    for arguments, revisions in (({}, [2]), ({"LatestOnly": True}, [2]), ({"LatestOnly": False}, [1, 2])):
        found = named(ObservabilityConfigurationName=name, **arguments)["ObservabilityConfigurationSummaryList"]
        assert [each["ObservabilityConfigurationRevision"] for each in found] == revisions
    for _ in range(8):
        account.observing(name)
    create = client.create_observability_configuration
    assert code_of(create, ObservabilityConfigurationName=name) == QUOTA_EXCEEDED


def test_an_observability_configuration_in_use_cannot_be_deleted(account, client):
    arn = account.observing()["ObservabilityConfigurationArn"]
    wanted = {"ObservabilityEnabled": True, "ObservabilityConfigurationArn": partial(arn, 2)}
    service = account.service(ObservabilityConfiguration=wanted)
    assert service["ObservabilityConfiguration"] == {**wanted, "ObservabilityConfigurationArn": arn}
    delete = client.delete_observability_configuration
    assert code_of(delete, ObservabilityConfigurationArn=arn) == INVALID_REQUEST

    client.delete_service(ServiceArn=service["ServiceArn"])
    account.settled(service["ServiceArn"])

    deleted = delete(ObservabilityConfigurationArn=arn)["ObservabilityConfiguration"]
    assert (deleted["Status"], deleted["Latest"]) == ("INACTIVE", False)
    assert code_of(delete, ObservabilityConfigurationArn=arn) == INVALID_REQUEST
    assert observing(client, arn)["Status"] == "INACTIVE"
    assert arn not in str(client.list_observability_configurations(LatestOnly=False))


def test_a_service_without_observability_says_so(account):
    service = account.service(ObservabilityConfiguration={"ObservabilityEnabled": False})

    assert service["ObservabilityConfiguration"] == {"ObservabilityEnabled": False}


# Connections.


def test_a_connection_waits_for_its_handshake_and_cannot_be_used_before(account, client):
    made = account.connection("waiting", "GITHUB")
    assert made["Status"] == "PENDING_HANDSHAKE"
    configuration = source() | {"AuthenticationConfiguration": {"ConnectionArn": made["ConnectionArn"]}}

    assert code_of(client.create_service, ServiceName="early", SourceConfiguration=configuration) == INVALID_REQUEST
    assert account.services() == []


def test_connections_are_found_by_name_and_have_one_each(account, client):
    one, other = account.connection("one-of-them"), account.connection("the-other", "BITBUCKET")

    assert client.list_connections(ConnectionName="one-of-them")["ConnectionSummaryList"] == [one]
    assert client.list_connections(ConnectionName="nobody")["ConnectionSummaryList"] == []
    assert sorted(each["ConnectionName"] for each in client.list_connections()["ConnectionSummaryList"]) == [
        one["ConnectionName"],
        other["ConnectionName"],
    ]
    code, message = refused(client.create_connection, ConnectionName="the-other", ProviderType="GITHUB")
    assert code == INVALID_REQUEST
    assert "the-other" in message


def test_a_deleted_connection_is_gone_and_ten_are_the_most(account, client):
    arn = account.connection()["ConnectionArn"]
    assert client.delete_connection(ConnectionArn=arn)["Connection"]["Status"] == "DELETED"
    assert code_of(client.delete_connection, ConnectionArn=arn) == NOT_FOUND
    assert client.list_connections()["ConnectionSummaryList"] == []
    for _ in range(10):
        account.connection()
    assert code_of(client.create_connection, ConnectionName="more", ProviderType="GITHUB") == QUOTA_EXCEEDED


def test_a_connection_in_use_cannot_be_deleted(account, client, hosted):
    from engine.model.actions.homerun import AuthorizeConnectionRequest

    arn = account.connection()["ConnectionArn"]
    hosted.do(hosted.host.engine.call(AuthorizeConnectionRequest(connection_arn=arn, token="secret-token")))
    (connection,) = client.list_connections()["ConnectionSummaryList"]
    assert connection["Status"] == "AVAILABLE"
    configuration = source() | {"AuthenticationConfiguration": {"ConnectionArn": arn}}
    service = account.service(SourceConfiguration=configuration)

    code, message = refused(client.delete_connection, ConnectionArn=arn)

    assert code == INVALID_REQUEST
    assert service["ServiceName"] in message


# VPC connectors and ingress connections.


def test_a_vpc_connector_is_named_by_its_whole_arn_only(account, client):
    arn = account.connector()["VpcConnectorArn"]

    assert re.search(r":vpcconnector/thing-\d+/1/[0-9a-f]{32}$", arn)
    for parts in (2, 3):
        assert code_of(client.describe_vpc_connector, VpcConnectorArn=partial(arn, parts)) == NOT_FOUND
        assert code_of(client.delete_vpc_connector, VpcConnectorArn=partial(arn, parts)) == NOT_FOUND
    assert client.describe_vpc_connector(VpcConnectorArn=arn)["VpcConnector"]["Status"] == "ACTIVE"


def test_a_deleted_vpc_connector_is_inactive_and_not_listed(account, client):
    made = account.connector("once")
    arn = made["VpcConnectorArn"]
    assert client.list_vpc_connectors()["VpcConnectors"] == [made]
    assert code_of(client.create_vpc_connector, VpcConnectorName="once", Subnets=["subnet-1"]) == INVALID_REQUEST

    client.delete_vpc_connector(VpcConnectorArn=arn)

    described = client.describe_vpc_connector(VpcConnectorArn=arn)["VpcConnector"]
    assert described["Status"] == "INACTIVE"
    assert described["DeletedAt"] >= described["CreatedAt"]
    assert client.list_vpc_connectors()["VpcConnectors"] == []
    assert code_of(client.delete_vpc_connector, VpcConnectorArn=arn) in {INVALID_REQUEST, NOT_FOUND}
    egress = {"EgressConfiguration": {"EgressType": "VPC", "VpcConnectorArn": arn}}
    call = client.create_service
    arguments = {"ServiceName": "late", "SourceConfiguration": source()}
    assert code_of(call, NetworkConfiguration=egress, **arguments) == INVALID_REQUEST
    assert code_of(call, NetworkConfiguration={"EgressConfiguration": {"EgressType": "VPC"}}, **arguments) == (
        INVALID_REQUEST
    )


def test_a_vpc_connector_in_use_cannot_be_deleted(account, client):
    arn = account.connector()["VpcConnectorArn"]
    egress = {"EgressConfiguration": {"EgressType": "VPC", "VpcConnectorArn": arn}}
    service = account.service(NetworkConfiguration=egress)

    code, message = refused(client.delete_vpc_connector, VpcConnectorArn=arn)

    assert code == INVALID_REQUEST
    assert service["ServiceName"] in message
    client.delete_service(ServiceArn=service["ServiceArn"])
    account.settled(service["ServiceArn"])
    assert client.delete_vpc_connector(VpcConnectorArn=arn)["VpcConnector"]["Status"] == "INACTIVE"


def test_an_ingress_connection_leads_to_a_private_service_only(account, client, running):
    arguments = {"VpcIngressConnectionName": "door", "IngressVpcConfiguration": {"VpcId": "v", "VpcEndpointId": "e"}}
    call = client.create_vpc_ingress_connection

    assert code_of(call, ServiceArn=running, **arguments) in {INVALID_REQUEST, INVALID_STATE}
    assert code_of(call, ServiceArn=PLACEHOLDERS["ServiceArn"], **arguments) == INVALID_REQUEST
    assert client.list_vpc_ingress_connections()["VpcIngressConnectionSummaryList"] == []


def test_an_ingress_connection_goes_through_its_states(account, client):
    service = account.private_service()["ServiceArn"]
    made = account.ingress(service)
    arn = made["VpcIngressConnectionArn"]
    update, delete = client.update_vpc_ingress_connection, client.delete_vpc_ingress_connection
    change = {"IngressVpcConfiguration": {"VpcId": "vpc-2", "VpcEndpointId": "vpce-2"}}
    assert made["Status"] == "PENDING_CREATION"
    assert code_of(update, VpcIngressConnectionArn=arn, **change) == INVALID_STATE
    assert code_of(delete, VpcIngressConnectionArn=arn) == INVALID_STATE
    available = account.until_available(arn)
    assert available["DomainName"] == made["DomainName"]

    assert update(VpcIngressConnectionArn=arn, **change)["VpcIngressConnection"]["Status"] == "PENDING_UPDATE"
    assert code_of(delete, VpcIngressConnectionArn=arn) == INVALID_STATE
    assert account.until_available(arn)["IngressVpcConfiguration"] == change["IngressVpcConfiguration"]

    code, message = refused(client.delete_service, ServiceArn=service)
    assert code in {INVALID_REQUEST, INVALID_STATE}
    assert made["VpcIngressConnectionName"] in message
    assert delete(VpcIngressConnectionArn=arn)["VpcIngressConnection"]["Status"] == "PENDING_DELETION"
    assert client.list_vpc_ingress_connections()["VpcIngressConnectionSummaryList"] == []

    def status():
        answer = client.describe_vpc_ingress_connection(VpcIngressConnectionArn=arn)
        return answer["VpcIngressConnection"]["Status"]

    within(lambda: status() == "DELETED")
    assert code_of(delete, VpcIngressConnectionArn=arn) == INVALID_STATE
    assert client.delete_service(ServiceArn=service)["OperationId"]


def test_ingress_connections_are_found_by_service_and_by_endpoint(account, client):
    made = account.ingress()

    def found(**wanted):
        answer = client.list_vpc_ingress_connections(Filter=wanted)
        return [each["VpcIngressConnectionArn"] for each in answer["VpcIngressConnectionSummaryList"]]

    arn = [made["VpcIngressConnectionArn"]]
    assert found() == arn
    assert found(ServiceArn=made["ServiceArn"]) == arn
    assert found(VpcEndpointId="vpce-1") == arn
    assert found(ServiceArn=PLACEHOLDERS["ServiceArn"], VpcEndpointId="vpce-1") == []
    assert found(ServiceArn=made["ServiceArn"], VpcEndpointId="vpce-2") == []


# Custom domains.


@pytest.mark.parametrize(
    ("name", "www", "certified"),
    [
        ("example.com", None, ["example.com", "*", "www.example.com"]),
        ("example.com", True, ["example.com", "*", "www.example.com"]),
        ("example.com", False, ["example.com", "*"]),
        ("app.example.com", False, ["app.example.com", "*"]),
        ("*.example.com", False, ["example.com", "*"]),
    ],
)
def test_a_domain_is_proved_by_a_record_for_each_certified_name(account, running, name, www, certified):
    client = account.client
    more = {} if www is None else {"EnableWWWSubdomain": www}
    answer = client.associate_custom_domain(ServiceArn=running, DomainName=name, **more)

    assert answer["DNSTarget"] == account.describe(running)["ServiceUrl"].partition(":")[0]
    domain = answer["CustomDomain"]
    assert (domain["Status"], domain["EnableWWWSubdomain"]) == ("creating", www is not False)
    records = domain["CertificateValidationRecords"]
    assert {(each["Type"], each["Status"]) for each in records} == {("CNAME", "PENDING_VALIDATION")}
    root = name.removeprefix("*.")
    names = [re.fullmatch(r"_[0-9a-f]{32}\.(.+)\.", each["Name"])[1] for each in records]
    random = rf"[a-z0-9]{{31}}\.{re.escape(root)}"
    assert sorted("*" if re.fullmatch(random, each) else each for each in names) == sorted(certified)
    form = r"_[0-9a-f]{32}\.([a-z0-9]{10})\.acm-validations\.aws\."
    assert len({re.fullmatch(form, each["Value"])[1] for each in records}) == 1

    def described():
        (found,) = client.describe_custom_domains(ServiceArn=running)["CustomDomains"]
        return found

    assert within(lambda: described()["Status"] == PENDING)
    assert described() == {**domain, "Status": PENDING}


def test_a_domain_that_is_taken_is_the_one_that_is_named(account, client, running):
    for number in range(5):
        name = f"example-{number}.com"
        client.associate_custom_domain(ServiceArn=running, DomainName=name)
        code, message = refused(client.associate_custom_domain, ServiceArn=running, DomainName=name)
        assert code == INVALID_REQUEST
        assert message.startswith(f"{name} is already associated with")


def test_a_domain_belongs_to_one_service_until_it_is_given_back(account, client, running):
    client.associate_custom_domain(ServiceArn=running, DomainName="Example.com")
    other = account.running()["ServiceArn"]
    for name in ("EXAMPLE.COM", "www.example.com"):
        code, message = refused(client.associate_custom_domain, ServiceArn=other, DomainName=name)
        assert code == INVALID_REQUEST
        assert "example.com is already associated with" in message.lower()
    missing = refused(client.disassociate_custom_domain, ServiceArn=other, DomainName="example.com")
    assert missing == (NOT_FOUND, "No custom domain example.com found for the provided service.")

    gone = client.disassociate_custom_domain(ServiceArn=running, DomainName="example.com")

    assert gone["CustomDomain"]["Status"] == "deleting"
    assert client.describe_custom_domains(ServiceArn=running)["CustomDomains"] == []
    taken = client.associate_custom_domain(ServiceArn=other, DomainName="example.com")
    assert taken["ServiceArn"] == other


@pytest.mark.parametrize(
    ("name", "www"),
    [
        ("*.example.com", True),
        ("a.*.com", False),
        ("*", False),
        ("a*.example.com", False),
        ("-a.example.com", False),
        ("a..com", False),
        (".example.com", False),
        ("a" * 64 + ".com", False),
    ],
)
def test_a_name_that_is_no_domain_is_refused(account, client, running, name, www):
    call = client.associate_custom_domain
    assert code_of(call, ServiceArn=running, DomainName=name, EnableWWWSubdomain=www) == INVALID_REQUEST
    assert client.describe_custom_domains(ServiceArn=running)["CustomDomains"] == []


def test_a_service_has_five_domains_at_most_and_loses_them_when_it_is_deleted(account, client):
    arn = account.running()["ServiceArn"]
    for number in range(5):
        client.associate_custom_domain(ServiceArn=arn, DomainName=f"app-{number}.example.com")
    more = code_of(client.associate_custom_domain, ServiceArn=arn, DomainName="more.example.com")
    assert more in {INVALID_REQUEST, QUOTA_EXCEEDED}
    assert len(client.describe_custom_domains(ServiceArn=arn)["CustomDomains"]) == 5

    client.delete_service(ServiceArn=arn)
    account.settled(arn)

    other = account.running()["ServiceArn"]
    answer = client.associate_custom_domain(ServiceArn=other, DomainName="app-0.example.com")
    assert answer["CustomDomain"]["Status"] == "creating"


# Tags.


@pytest.mark.parametrize("kind", ["service", "scaling", "observing", "connection", "connector", "ingress"])
def test_everything_can_be_tagged_from_its_creation_until_its_deletion(account, client, kind):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "é€😀", "Value": ""}]
    member = {
        "service": "ServiceArn",
        "scaling": "AutoScalingConfigurationArn",
        "observing": "ObservabilityConfigurationArn",
        "connection": "ConnectionArn",
        "connector": "VpcConnectorArn",
        "ingress": "VpcIngressConnectionArn",
    }[kind]
    arn = getattr(account, kind)(Tags=tags)[member]

    def listed():
        return client.list_tags_for_resource(ResourceArn=arn)["Tags"]

    assert listed() == tags
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert listed() == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}, tags[1]]
    client.untag_resource(ResourceArn=arn, TagKeys=["b", "nobody"])
    assert listed() == [{"Key": "a", "Value": "2"}, tags[1]]
    account.clear()
    for call, more in (
        (client.list_tags_for_resource, {}),
        (client.tag_resource, {"Tags": tags}),
        (client.untag_resource, {"TagKeys": ["a"]}),
    ):
        assert code_of(call, ResourceArn=arn, **more) == NOT_FOUND


def test_more_than_fifty_tags_are_refused_whole(account, client, running):
    tags = [{"Key": f"key-{number}", "Value": ""} for number in range(51)]

    assert code_of(client.tag_resource, ResourceArn=running, Tags=tags) == INVALID_REQUEST
    assert client.list_tags_for_resource(ResourceArn=running)["Tags"] == []
    client.tag_resource(ResourceArn=running, Tags=tags[:50])
    assert code_of(client.tag_resource, ResourceArn=running, Tags=tags[50:]) == INVALID_REQUEST
    assert len(client.list_tags_for_resource(ResourceArn=running)["Tags"]) == 50


# What does not exist.


@pytest.mark.parametrize("operation", OF_SOMETHING)
def test_what_does_not_exist_is_not_found_where_the_operation_knows_that_error(operation, account, client):
    model = OPERATIONS[operation]
    listed = {shape.name for shape in model.error_shapes}

    code, message = refused(method_of(client, operation), **minimal(model.input_shape))

    assert code == (NOT_FOUND if NOT_FOUND in listed else INVALID_REQUEST)
    assert "nothing" in message


# Pages.


def three_services(account, client, running):
    return [running, account.service()["ServiceArn"], account.service()["ServiceArn"]], {}


def three_operations(account, client, running):
    arn = account.service()["ServiceArn"]
    for _ in range(2):
        client.update_service(ServiceArn=arn, HealthCheckConfiguration={"Interval": 3})
        account.settled(arn)
    operations = client.list_operations(ServiceArn=arn)["OperationSummaryList"]
    return [each["Id"] for each in operations], {"ServiceArn": arn}


def three_services_with_one_configuration(account, client, running):
    arn = account.scaling()["AutoScalingConfigurationArn"]
    services = [account.service(AutoScalingConfigurationArn=arn)["ServiceArn"] for _ in range(3)]
    return services, {"AutoScalingConfigurationArn": arn}


def revisions_of_scaling(account, client, running):
    made = [account.scaling(name)["AutoScalingConfigurationArn"] for name in ("some", "some", "others")]
    return [FIRST_SCALING, *made], {"LatestOnly": False}


def revisions_of_observing(account, client, running):
    made = [account.observing(name)["ObservabilityConfigurationArn"] for name in ("some", "some", "others")]
    return [FIRST_OBSERVING, *made], {"LatestOnly": False}


def three_domains(account, client, running):
    names = [f"{number}.example.com" for number in "abc"]
    for name in names:
        client.associate_custom_domain(ServiceArn=running, DomainName=name)
    return names, {"ServiceArn": running}


LISTED = {
    "ListServices": ("ServiceSummaryList", "ServiceArn", three_services),
    "ListOperations": ("OperationSummaryList", "Id", three_operations),
    "ListServicesForAutoScalingConfiguration": ("ServiceArnList", "", three_services_with_one_configuration),
    "ListAutoScalingConfigurations": (
        "AutoScalingConfigurationSummaryList",
        "AutoScalingConfigurationArn",
        revisions_of_scaling,
    ),
    "ListObservabilityConfigurations": (
        "ObservabilityConfigurationSummaryList",
        "ObservabilityConfigurationArn",
        revisions_of_observing,
    ),
    "ListConnections": (
        "ConnectionSummaryList",
        "ConnectionArn",
        lambda account, client, running: ([account.connection()["ConnectionArn"] for _ in range(3)], {}),
    ),
    "DescribeCustomDomains": ("CustomDomains", "DomainName", three_domains),
    "ListVpcConnectors": (
        "VpcConnectors",
        "VpcConnectorArn",
        lambda account, client, running: ([account.connector()["VpcConnectorArn"] for _ in range(3)], {}),
    ),
    "ListVpcIngressConnections": (
        "VpcIngressConnectionSummaryList",
        "VpcIngressConnectionArn",
        lambda account, client, running: ([account.ingress()["VpcIngressConnectionArn"]], {}),
    ),
}
"""The list in the answer, what tells its items apart, and what makes some."""


def test_no_list_that_pages_is_left_out():
    assert sorted(PAGED) == sorted(LISTED)


@pytest.mark.parametrize("operation", PAGED)
def test_pages_of_one_visit_everything_once_and_one_page_has_it_all(operation, account, client, running):
    member, key, make = LISTED[operation]
    expected, arguments = make(account, client, running)
    call = method_of(client, operation)

    def keys(page):
        return [each[key] if key else each for each in page[member]]

    visited, more = [], {}
    while True:
        page = call(MaxResults=1, **arguments, **more)
        assert len(page[member]) == 1
        visited += keys(page)
        if "NextToken" not in page:
            break
        assert 1 <= len(page["NextToken"]) <= 1024
        more = {"NextToken": page["NextToken"]}
        assert len(visited) < len(expected)
    assert sorted(visited) == sorted(expected)
    whole = call(**arguments)
    assert keys(whole) == visited
    assert "NextToken" not in whole
    if len(expected) > 2:
        two = call(MaxResults=2, **arguments)
        rest = call(NextToken=two["NextToken"], **arguments)
        assert keys(two) + keys(rest) == visited


@pytest.mark.parametrize("operation", PAGED)
@pytest.mark.parametrize("token", ["never given out", "LTE=", "MTIz!", "é"])
def test_a_token_that_was_never_given_out_is_refused(operation, account, client, running, token):
    arguments = {}
    if "ServiceArn" in OPERATIONS[operation].input_shape.required_members:
        arguments = {"ServiceArn": running}
    elif "AutoScalingConfigurationArn" in OPERATIONS[operation].input_shape.required_members:
        arguments = {"AutoScalingConfigurationArn": FIRST_SCALING}

    code, message = refused(method_of(client, operation), NextToken=token, **arguments)

    assert code == INVALID_REQUEST
    assert "NextToken" in message
