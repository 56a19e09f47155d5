"""Services over the API as the real ones are known to behave: states, refusals, defaults, identifiers, pages."""

import itertools
import re

import pytest

from tests.conformance.calls import (
    INVALID_REQUEST,
    INVALID_STATE,
    NOT_FOUND,
    QUOTA_EXCEEDED,
    code_of,
    image,
    refused,
    source,
)
from tests.conformance.generate import NOWHERE

pytestmark = pytest.mark.slow

HEX = r"[0-9a-f]{32}"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SIZES = {
    "256": ("512", "1024"),
    "512": ("1024",),
    "1024": ("2048", "3072", "4096"),
    "2048": ("4096", "6144"),
    "4096": ("8192", "10240", "12288"),
}
CPUS = {"256": "0.25 vCPU", "512": "0.5 vCPU", "1024": "1 vCPU", "2048": "2 vCPU", "4096": "4 vCPU"}
MEMORIES = {"512": "0.5 GB"} | {str(gigabytes * 1024): f"{gigabytes} GB" for gigabytes in (1, 2, 3, 4, 6, 8, 10, 12)}
NO_DEPLOYMENT = "Can't start a deployment on the specified service, because it isn't in RUNNING state."


@pytest.fixture
def busy(account):
    """The ARN of a service whose creation takes a moment."""
    made = account.client.create_service(
        ServiceName=account.name(), SourceConfiguration=source(account.repository, "slow")
    )
    return made["Service"]["ServiceArn"]


def configuration_of(service):
    changing = {"Status", "UpdatedAt", "CreatedAt", "ServiceArn", "ServiceId", "ServiceUrl", "ServiceName"}
    return {name: value for name, value in service.items() if name not in changing}


# Identifiers and defaults.


def test_ids_arns_and_urls_have_app_runners_forms(account, client):
    made = client.create_service(ServiceName="Its-name_1", SourceConfiguration=source())
    service = made["Service"]

    assert re.fullmatch(HEX, service["ServiceId"])
    arn = f"arn:aws:apprunner:us-east-1:000000000000:service/Its-name_1/{service['ServiceId']}"
    assert service["ServiceArn"] == arn
    assert re.fullmatch(UUID, made["OperationId"])
    assert re.fullmatch(r"[a-z0-9]{10}\.us-east-1\.homerun\.localhost:\d+", service["ServiceUrl"])
    assert service["CreatedAt"] == service["UpdatedAt"]


def test_what_is_not_said_is_app_runners_default(account, client, running):
    code = {"RepositoryUrl": NOWHERE, "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"}}
    made = client.create_service(ServiceName="bare", SourceConfiguration={"CodeRepository": code})["Service"]

    got = made["SourceConfiguration"]
    assert got["AutoDeploymentsEnabled"] is True
    assert got["CodeRepository"]["SourceDirectory"] == "/"
    assert made["InstanceConfiguration"] == {"Cpu": "1024", "Memory": "2048"}
    assert made["HealthCheckConfiguration"] == {
        "Protocol": "TCP",
        "Path": "/",
        "Interval": 5,
        "Timeout": 2,
        "HealthyThreshold": 1,
        "UnhealthyThreshold": 5,
    }
    assert made["NetworkConfiguration"] == {
        "EgressConfiguration": {"EgressType": "DEFAULT"},
        "IngressConfiguration": {"IsPubliclyAccessible": True},
        "IpAddressType": "IPV4",
    }
    scaling = made["AutoScalingConfigurationSummary"]
    assert scaling["AutoScalingConfigurationArn"].endswith(f":autoscalingconfiguration/DefaultConfiguration/1/{1:032d}")
    assert (scaling["Status"], scaling["IsDefault"]) == ("active", True)


def test_the_port_is_8080_when_none_is_said(account, client):
    configuration = values_of("code", BuildCommand="true", StartCommand="true")
    made = client.create_service(ServiceName="port", SourceConfiguration=configuration)["Service"]

    got = made["SourceConfiguration"]["CodeRepository"]["CodeConfiguration"]
    values = {"Runtime": "PYTHON_311", "BuildCommand": "true", "StartCommand": "true", "Port": "8080"}
    assert got == {"ConfigurationSource": "API", "CodeConfigurationValues": values}


@pytest.mark.parametrize("cpu", SIZES)
def test_cpu_and_memory_come_back_as_numbers_however_they_were_written(account, client, cpu):
    for number, memory in enumerate(SIZES[cpu]):
        wanted = {"Cpu": CPUS[cpu], "Memory": MEMORIES[memory]}
        made = client.create_service(
            ServiceName=f"size-{number}", SourceConfiguration=source(), InstanceConfiguration=wanted
        )
        assert made["Service"]["InstanceConfiguration"] == {"Cpu": cpu, "Memory": memory}


def test_cpu_and_memory_that_do_not_go_together_are_refused(account, client):
    pairs = [pair for pair in itertools.product(CPUS, MEMORIES) if pair[1] not in SIZES[pair[0]]]
    assert len(pairs) == 34
    for cpu, memory in pairs:
        code, message = refused(
            client.create_service,
            ServiceName="size",
            SourceConfiguration=source(),
            InstanceConfiguration={"Cpu": cpu, "Memory": memory},
        )
        assert code == INVALID_REQUEST, (cpu, memory)
        assert memory in message
    assert account.services() == []


def test_a_private_service_has_an_empty_url(account):
    assert account.private_service()["ServiceUrl"] == ""


# Sources.


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {**source(), **image()},
        image(AuthenticationConfiguration={"AccessRoleArn": "arn:aws:iam::000000000000:role/reader"}),
        image(AutoDeploymentsEnabled=True)
        | {
            "ImageRepository": {
                "ImageIdentifier": "public.ecr.aws/team/web@sha256:" + "0" * 64,
                "ImageRepositoryType": "ECR_PUBLIC",
            }
        },
    ],
    ids=[
        "no source",
        "two sources",
        "a role for a public image",
        "automatic deployments of a digest",
    ],
)
def test_a_source_that_app_runner_refuses_is_refused(account, client, configuration):
    assert code_of(client.create_service, ServiceName="sourced", SourceConfiguration=configuration) == INVALID_REQUEST
    assert account.services() == []


def values_of(kind, **values):
    """A SourceConfiguration whose values are given over the API."""
    if kind == "image":
        configuration = image()
        configuration["ImageRepository"]["ImageConfiguration"] = values
        return configuration
    configuration = source()
    configuration["CodeRepository"]["CodeConfiguration"] = {
        "ConfigurationSource": "API",
        "CodeConfigurationValues": {"Runtime": "PYTHON_311", **values},
    }
    return configuration


@pytest.mark.parametrize("member", ["RuntimeEnvironmentVariables", "RuntimeEnvironmentSecrets"])
@pytest.mark.parametrize("kind", ["code", "image"])
def test_environment_names_of_app_runners_own_are_refused(account, client, kind, member):
    configuration = values_of(kind, **{member: {"AWSAPPRUNNER_X": "x"}})

    code, message = refused(client.create_service, ServiceName="reserved", SourceConfiguration=configuration)

    assert code == INVALID_REQUEST
    assert "AWSAPPRUNNER" in message


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80 ", "\N{ARABIC-INDIC DIGIT EIGHT}0"])
@pytest.mark.parametrize("kind", ["code", "image"])
def test_a_port_that_is_none_is_refused(account, client, kind, port):
    configuration = values_of(kind, Port=port)

    code, message = refused(client.create_service, ServiceName="ported", SourceConfiguration=configuration)

    assert code == INVALID_REQUEST
    assert "Port" in message
    assert account.services() == []


def test_an_image_has_app_runners_defaults(account, client):
    made = client.create_service(ServiceName="imaged", SourceConfiguration=image())["Service"]

    got = made["SourceConfiguration"]
    assert got["AutoDeploymentsEnabled"] is False
    assert got["ImageRepository"]["ImageConfiguration"]["Port"] == "8080"


def test_a_service_cannot_turn_from_code_to_image(account, client):
    arn = account.service()["ServiceArn"]

    assert code_of(client.update_service, ServiceArn=arn, SourceConfiguration=image()) == INVALID_REQUEST
    assert "CodeRepository" in account.describe(arn)["SourceConfiguration"]


# States.


def test_a_creation_that_fails_leaves_a_service_that_holds_its_name(account, client):
    failed = account.service("held")

    assert failed["Status"] == "CREATE_FAILED"
    assert account.operations(failed["ServiceArn"]) == ["CREATE_SERVICE FAILED"]
    assert refused(client.create_service, ServiceName="held", SourceConfiguration=source()) == (
        INVALID_REQUEST,
        "Service with the provided name already exists: held.",
    )
    assert refused(client.start_deployment, ServiceArn=failed["ServiceArn"]) == (INVALID_REQUEST, NO_DEPLOYMENT)
    assert code_of(client.pause_service, ServiceArn=failed["ServiceArn"]) == INVALID_STATE
    assert code_of(client.resume_service, ServiceArn=failed["ServiceArn"]) == INVALID_STATE

    client.delete_service(ServiceArn=failed["ServiceArn"])
    assert account.settled(failed["ServiceArn"])["Status"] == "DELETED"
    again = account.service("held")
    assert again["ServiceArn"] != failed["ServiceArn"]
    assert again["ServiceUrl"] != failed["ServiceUrl"]


def test_an_update_rebuilds_a_service_that_could_not_be_created(account, client):
    arn = account.service()["ServiceArn"]

    client.update_service(ServiceArn=arn, SourceConfiguration=source(account.repository))

    assert account.settled(arn)["Status"] == "RUNNING"
    assert account.operations(arn) == ["UPDATE_SERVICE SUCCEEDED", "CREATE_SERVICE FAILED"]


def test_a_busy_service_refuses_changes_in_app_runners_words(account, client, busy):
    assert refused(client.update_service, ServiceArn=busy) == (
        INVALID_STATE,
        "Service cannot be updated in the current state: OPERATION_IN_PROGRESS.",
    )
    assert refused(client.start_deployment, ServiceArn=busy) == (INVALID_REQUEST, NO_DEPLOYMENT)
    for call in (client.pause_service, client.resume_service, client.delete_service):
        code, message = refused(call, ServiceArn=busy)
        assert code == INVALID_STATE
        assert message.endswith("in the current state: OPERATION_IN_PROGRESS.")
    for call in (client.associate_custom_domain, client.disassociate_custom_domain):
        assert code_of(call, ServiceArn=busy, DomainName="example.com") == INVALID_STATE
    client.tag_resource(ResourceArn=busy, Tags=[{"Key": "a", "Value": "b"}])
    assert client.list_tags_for_resource(ResourceArn=busy)["Tags"] == [{"Key": "a", "Value": "b"}]
    (operation,) = client.list_operations(ServiceArn=busy)["OperationSummaryList"]
    assert operation["Status"] in {"PENDING", "IN_PROGRESS"}
    assert "EndedAt" not in operation
    assert account.describe(busy)["Status"] == "OPERATION_IN_PROGRESS"


def test_a_paused_service_stays_paused_and_refuses_changes(account, client, running):
    before = account.describe(running)
    first = client.pause_service(ServiceArn=running)
    assert re.fullmatch(UUID, first["OperationId"])
    paused = account.settled(running)
    assert paused["Status"] == "PAUSED"
    assert paused["ServiceUrl"] == before["ServiceUrl"]

    again = client.pause_service(ServiceArn=running)

    assert "OperationId" not in again
    assert again["Service"]["Status"] == "PAUSED"
    assert refused(client.start_deployment, ServiceArn=running) == (INVALID_REQUEST, NO_DEPLOYMENT)
    assert refused(client.update_service, ServiceArn=running) == (
        INVALID_STATE,
        "Service cannot be updated in the current state: PAUSED.",
    )
    assert code_of(client.associate_custom_domain, ServiceArn=running, DomainName="example.com") == INVALID_STATE
    assert account.operations(running)[0] == "PAUSE_SERVICE SUCCEEDED"


def test_resuming_brings_back_the_same_and_resuming_again_does_nothing(account, client, running):
    before = account.describe(running)
    client.pause_service(ServiceArn=running)
    account.settled(running)
    assert re.fullmatch(UUID, client.resume_service(ServiceArn=running)["OperationId"])
    resumed = account.settled(running)

    again = client.resume_service(ServiceArn=running)

    assert "OperationId" not in again
    assert again["Service"]["Status"] == "RUNNING"
    assert configuration_of(resumed) == configuration_of(before)
    assert resumed["ServiceUrl"] == before["ServiceUrl"]
    assert account.operations(running)[:2] == ["RESUME_SERVICE SUCCEEDED", "PAUSE_SERVICE SUCCEEDED"]


def test_an_update_that_fails_returns_to_the_old_configuration(account, client, running):
    before = account.describe(running)
    changed = client.update_service(
        ServiceArn=running,
        SourceConfiguration=source(account.repository, "broken"),
        InstanceConfiguration={"Cpu": "2048", "Memory": "4096"},
        HealthCheckConfiguration={"Protocol": "HTTP", "Path": "/never"},
    )
    assert changed["Service"]["InstanceConfiguration"] == {"Cpu": "2048", "Memory": "4096"}
    assert changed["Service"]["Status"] == "OPERATION_IN_PROGRESS"

    after = account.settled(running)

    assert after["Status"] == "RUNNING"
    assert configuration_of(after) == configuration_of(before)
    newest = client.list_operations(ServiceArn=running)["OperationSummaryList"][0]
    assert (newest["Id"], newest["Status"]) == (changed["OperationId"], "ROLLBACK_SUCCEEDED")


def test_structures_of_an_update_replace_and_absent_ones_stay(account, client):
    arn = account.service(
        InstanceConfiguration={"Cpu": "256", "Memory": "512"},
        HealthCheckConfiguration={"Protocol": "HTTP", "Path": "/up", "Interval": 9, "UnhealthyThreshold": 9},
        Tags=[{"Key": "a", "Value": "b"}],
    )["ServiceArn"]
    before = account.describe(arn)

    changed = client.update_service(ServiceArn=arn, HealthCheckConfiguration={"Interval": 3})["Service"]

    assert changed["HealthCheckConfiguration"] == {
        "Protocol": "TCP",
        "Path": "/",
        "Interval": 3,
        "Timeout": 2,
        "HealthyThreshold": 1,
        "UnhealthyThreshold": 5,
    }
    rest = {name for name in configuration_of(before) if name != "HealthCheckConfiguration"}
    assert {name: changed[name] for name in rest} == {name: before[name] for name in rest}
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_deleted_service_can_be_described_and_nothing_else(account, client):
    service = account.service("gone")
    arn = service["ServiceArn"]
    client.delete_service(ServiceArn=arn)

    deleted = account.settled(arn)

    assert deleted["Status"] == "DELETED"
    assert deleted["DeletedAt"] >= deleted["CreatedAt"]
    assert configuration_of(deleted).items() >= configuration_of(service).items()
    assert arn not in str(client.list_services())
    assert account.operations(arn) == ["DELETE_SERVICE SUCCEEDED", "CREATE_SERVICE FAILED"]
    for call in (
        client.update_service,
        client.start_deployment,
        client.pause_service,
        client.resume_service,
        client.delete_service,
        client.describe_custom_domains,
    ):
        assert code_of(call, ServiceArn=arn) == NOT_FOUND
    assert code_of(client.list_tags_for_resource, ResourceArn=arn) == NOT_FOUND


def test_operations_are_listed_newest_first(account, client):
    arn = account.service()["ServiceArn"]
    ids = []
    for number in range(1, 4):
        ids.append(client.update_service(ServiceArn=arn, HealthCheckConfiguration={"Interval": number})["OperationId"])
        account.settled(arn)

    operations = client.list_operations(ServiceArn=arn)["OperationSummaryList"]

    assert [operation["Id"] for operation in operations[:-1]] == ids[::-1]
    assert operations[-1]["Type"] == "CREATE_SERVICE"
    started = [operation["StartedAt"] for operation in operations]
    assert started == sorted(started, reverse=True)
    for operation in operations:
        assert operation["StartedAt"] <= operation["UpdatedAt"]
        assert operation["StartedAt"] <= operation["EndedAt"]
        assert operation["TargetArn"] == arn


@pytest.mark.parametrize(
    "wrong",
    ["another region", "another account", "another partition", "another name", "another id", "another kind"],
)
def test_an_arn_that_differs_in_anything_is_not_found(account, client, running, wrong):
    arn = {
        "another region": running.replace("us-east-1", "eu-west-1"),
        "another account": running.replace(":000000000000:", ":111111111111:"),
        "another partition": running.replace("arn:aws:", "arn:aws-cn:"),
        "another name": running.replace("/running/", "/walking/"),
        "another id": running[:-1] + ("0" if running[-1] != "0" else "1"),
        "another kind": running.replace(":service/", ":connection/"),
    }[wrong]
    assert arn != running

    assert code_of(client.describe_service, ServiceArn=arn) == NOT_FOUND
    assert code_of(client.delete_service, ServiceArn=arn) == NOT_FOUND
    assert account.describe(running)["Status"] == "RUNNING"


# Quota and pages.


def test_everything_comes_in_one_page_and_the_quota_counts_failed_services(account, client, running):
    names = [f"service-{number}" for number in range(23)]
    for name in names:
        client.create_service(ServiceName=name, SourceConfiguration=source())

    page = client.list_services()

    assert [service["ServiceName"] for service in page["ServiceSummaryList"]] == ["running", *names]
    assert "NextToken" not in page
    assert code_of(client.create_service, ServiceName="more", SourceConfiguration=source()) == QUOTA_EXCEEDED
    arn = page["ServiceSummaryList"][-1]["ServiceArn"]
    assert account.settled(arn)["Status"] == "CREATE_FAILED"
    client.delete_service(ServiceArn=arn)
    assert account.settled(arn)["Status"] == "DELETED"
    assert account.service("more")["ServiceName"] == "more"
