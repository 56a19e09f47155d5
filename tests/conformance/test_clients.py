"""What Terraform, CloudFormation and Copilot call, in their order, and what they wait for and match on."""

import time

import pytest

from tests.conformance.calls import INVALID_REQUEST, INVALID_STATE, NOT_FOUND, code_of, image, refused, source

pytestmark = pytest.mark.slow

BUSY = "OPERATION_IN_PROGRESS"
SECONDS = {"Interval": 1, "Timeout": 1, "HealthyThreshold": 1, "UnhealthyThreshold": 5}
TERRAFORM_CHECK = {"Protocol": "TCP", "Path": "/", **SECONDS}
"""Terraform sends all of a block: its own defaults for what a person left out."""
OPEN_NETWORK = {
    "EgressConfiguration": {"EgressType": "DEFAULT"},
    "IngressConfiguration": {"IsPubliclyAccessible": True},
    "IpAddressType": "IPV4",
}


def passed_through(status, *, end):
    """The statuses that a client sees which polls until the last one."""
    seen = []
    deadline = time.monotonic() + 20
    while seen[-1:] != [end]:
        assert time.monotonic() < deadline, seen
        if seen[-1:] != [now := status()]:
            seen.append(now)
        time.sleep(0.01)
    return seen


def service_status(account, arn):
    return lambda: account.describe(arn)["Status"]


def from_code(account, **values):
    """A SourceConfiguration with its configuration in the call."""
    configured = source(account.repository)
    configured["CodeRepository"]["CodeConfiguration"] = {
        "ConfigurationSource": "API",
        "CodeConfigurationValues": {"Runtime": "PYTHON_3", "StartCommand": "python3 server.py", **values},
    }
    return configured


def from_file(account):
    """A SourceConfiguration as Terraform's code_repository block with apprunner.yaml makes it."""
    configured = source(account.repository)
    configured["CodeRepository"]["CodeConfiguration"] = {"ConfigurationSource": "REPOSITORY"}
    return configured | {"AutoDeploymentsEnabled": True}


def made_by_terraform(account, **more):
    arguments = {"SourceConfiguration": from_file(account), "HealthCheckConfiguration": TERRAFORM_CHECK, **more}
    made = account.client.create_service(ServiceName=account.name(), **arguments)["Service"]
    assert passed_through(service_status(account, made["ServiceArn"]), end="RUNNING") in (
        [BUSY, "RUNNING"],
        ["RUNNING"],
    )
    return account.describe(made["ServiceArn"])


# Terraform: a plan after an apply is empty when what is read is what was sent.


def test_terraform_reads_back_the_blocks_that_it_sent_and_none_that_it_did_not(account, client):
    """Source, encryption, observability and tags are not computed in the provider: an addition is a diff for ever."""
    configured = from_file(account)

    service = made_by_terraform(account, SourceConfiguration=configured)

    got = service["SourceConfiguration"]
    assert got["CodeRepository"].pop("SourceDirectory") == "/"  # computed in the provider
    assert got == configured
    assert "EncryptionConfiguration" not in service
    assert "ObservabilityConfiguration" not in service
    assert client.list_tags_for_resource(ResourceArn=service["ServiceArn"])["Tags"] == []


def test_terraform_reads_back_values_of_the_call_with_its_defaults(account):
    values = {"BuildCommand": "true", "Port": "8080", "RuntimeEnvironmentVariables": {"B": "", "A": "1"}}
    configured = from_code(account, **values)

    service = made_by_terraform(account, SourceConfiguration=configured)

    assert (
        service["SourceConfiguration"]["CodeRepository"]["CodeConfiguration"]
        == (configured["CodeRepository"]["CodeConfiguration"])
    )


def test_terraform_gets_numbers_for_cpu_and_memory_and_no_role(account):
    """Its rule against a diff knows numbers in the state and words in the configuration, and an empty role."""
    sizes = {"Cpu": "0.25 vCPU", "Memory": "0.5 GB"}

    service = made_by_terraform(account, InstanceConfiguration=sizes)

    assert service["InstanceConfiguration"] == {"Cpu": "256", "Memory": "512"}


def test_terraform_reads_blocks_it_left_out_as_whole_defaults(account, client):
    """Computed in the provider: read once, sent back in the next update of the same block, and the same again."""
    service = made_by_terraform(account)

    assert service["NetworkConfiguration"] == OPEN_NETWORK
    assert service["HealthCheckConfiguration"] == TERRAFORM_CHECK
    scaling = service["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"]
    same = {
        "NetworkConfiguration": service["NetworkConfiguration"],
        "InstanceConfiguration": service["InstanceConfiguration"],
        "AutoScalingConfigurationArn": scaling,
    }
    client.update_service(ServiceArn=service["ServiceArn"], **same)
    again = account.settled(service["ServiceArn"])
    assert again["Status"] == "RUNNING"
    assert {name: again[name] for name in again if name != "UpdatedAt"} == {
        name: service[name] for name in service if name != "UpdatedAt"
    }


def test_terraform_updates_one_block_and_tags_and_the_rest_stays(account, client):
    service = made_by_terraform(account, Tags=[{"Key": "old", "Value": "1"}, {"Key": "kept", "Value": ""}])
    arn = service["ServiceArn"]
    check = TERRAFORM_CHECK | {"Protocol": "HTTP", "Path": "/health"}

    client.untag_resource(ResourceArn=arn, TagKeys=["old"])
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "new", "Value": "2"}])
    client.update_service(ServiceArn=arn, HealthCheckConfiguration=check)
    seen = passed_through(service_status(account, arn), end="RUNNING")

    assert set(seen) <= {BUSY, "RUNNING"}
    assert account.operations(arn)[0] == "UPDATE_SERVICE SUCCEEDED"
    got = account.describe(arn)
    assert got["HealthCheckConfiguration"] == check
    assert got["SourceConfiguration"] == service["SourceConfiguration"]
    tags = client.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"kept": "", "new": "2"}


def test_terraform_replaces_what_a_service_uses_and_deletes_the_old_one(account, client):
    """create_before_destroy: the service moves on, and at once the configuration it had can be deleted."""
    old, new = account.scaling("scaling"), account.scaling("scaling", MinSize=2)
    assert (old["Status"], new["Status"]) == ("active", "active")
    traced = account.observing("traced", TraceConfiguration={"Vendor": "AWSXRAY"})["ObservabilityConfigurationArn"]
    watched = {"ObservabilityEnabled": True, "ObservabilityConfigurationArn": traced}
    service = made_by_terraform(
        account,
        AutoScalingConfigurationArn=old["AutoScalingConfigurationArn"],
        ObservabilityConfiguration=watched,
    )
    arn = service["ServiceArn"]
    assert service["ObservabilityConfiguration"] == watched

    client.update_service(
        ServiceArn=arn,
        AutoScalingConfigurationArn=new["AutoScalingConfigurationArn"],
        ObservabilityConfiguration={"ObservabilityEnabled": False},
    )
    passed_through(service_status(account, arn), end="RUNNING")

    old_arn = old["AutoScalingConfigurationArn"]
    client.delete_auto_scaling_configuration(AutoScalingConfigurationArn=old_arn)
    described = client.describe_auto_scaling_configuration(AutoScalingConfigurationArn=old_arn)
    assert described["AutoScalingConfiguration"]["Status"] == "inactive"
    client.delete_observability_configuration(ObservabilityConfigurationArn=traced)
    described = client.describe_observability_configuration(ObservabilityConfigurationArn=traced)
    assert described["ObservabilityConfiguration"]["Status"] == "INACTIVE"


def test_terraform_takes_a_second_delete_of_a_scaling_configuration_for_done(account, client):
    arn = account.scaling()["AutoScalingConfigurationArn"]
    client.delete_auto_scaling_configuration(AutoScalingConfigurationArn=arn)

    code, message = refused(client.delete_auto_scaling_configuration, AutoScalingConfigurationArn=arn)

    assert code == INVALID_REQUEST
    assert "The auto scaling configuration you specified has been deleted" in message


def test_terraform_finds_exactly_one_active_default(account, client):
    """It lists without LatestOnly and takes the one that is `active` and the default."""
    made = account.scaling("chosen")["AutoScalingConfigurationArn"]
    client.update_default_auto_scaling_configuration(AutoScalingConfigurationArn=made)

    found = client.list_auto_scaling_configurations()["AutoScalingConfigurationSummaryList"]

    defaults = [each for each in found if each["Status"] == "active" and each["IsDefault"]]
    assert [each["AutoScalingConfigurationArn"] for each in defaults] == [made]


def test_terraform_finds_one_connection_by_name_and_none_after_its_deletion(account, client):
    made = account.connection("by-name")
    account.connection("by-name-too")
    found = client.list_connections(ConnectionName="by-name")["ConnectionSummaryList"]
    assert [(each["ConnectionArn"], each["Status"]) for each in found] == [(made["ConnectionArn"], "PENDING_HANDSHAKE")]

    client.delete_connection(ConnectionArn=made["ConnectionArn"])

    left = client.list_connections(ConnectionName="by-name")["ConnectionSummaryList"]
    assert [each for each in left if each["Status"] != "DELETED"] == []
    assert code_of(client.delete_connection, ConnectionArn=made["ConnectionArn"]) == NOT_FOUND


def test_terraform_waits_for_a_deployment_by_its_operation(account, client, running):
    operation_id = client.start_deployment(ServiceArn=running)["OperationId"]

    def status():
        found = client.list_operations(ServiceArn=running)["OperationSummaryList"]
        (mine,) = [each for each in found if each["Id"] == operation_id]
        return mine["Status"]

    assert set(passed_through(status, end="SUCCEEDED")) <= {"PENDING", "IN_PROGRESS", "SUCCEEDED"}


def test_terraform_waits_for_a_custom_domain_and_for_its_end(account, client, running):
    """Any status but these fails its waits; while it deletes, `pending_certificate_dns_validation` would, too."""
    arguments = {"ServiceArn": running, "DomainName": "app.example.com"}
    made = client.associate_custom_domain(EnableWWWSubdomain=False, **arguments)

    def domains():
        found = client.describe_custom_domains(ServiceArn=running)["CustomDomains"]
        return [each for each in found if each["DomainName"] == "app.example.com"]

    seen = passed_through(lambda: domains()[0]["Status"], end="pending_certificate_dns_validation")
    assert set(seen) <= {"creating", "pending_certificate_dns_validation"}
    (domain,) = domains()
    assert domain["EnableWWWSubdomain"] is False
    assert domain["CertificateValidationRecords"] == made["CustomDomain"]["CertificateValidationRecords"]
    assert made["DNSTarget"] == client.describe_custom_domains(ServiceArn=running)["DNSTarget"]

    client.disassociate_custom_domain(**arguments)

    assert {each["Status"] for each in domains()} <= {"active", "deleting"}
    assert code_of(client.disassociate_custom_domain, **arguments) == NOT_FOUND


def test_terraform_takes_a_private_network_apart_from_its_far_end(account, client):
    connector = account.connector(Subnets=["subnet-2", "subnet-1"], SecurityGroups=["sg-1"])
    assert (connector["Status"], set(connector["Subnets"])) == ("ACTIVE", {"subnet-1", "subnet-2"})
    network = {
        "EgressConfiguration": {"EgressType": "VPC", "VpcConnectorArn": connector["VpcConnectorArn"]},
        "IngressConfiguration": {"IsPubliclyAccessible": False},
        "IpAddressType": "IPV4",
    }
    service = made_by_terraform(account, NetworkConfiguration=network)
    arn = service["ServiceArn"]
    assert service["NetworkConfiguration"] == network
    assert service.get("ServiceUrl", "") == ""
    assert client.describe_custom_domains(ServiceArn=arn)["DNSTarget"]  # Terraform's service_url then
    ingress = account.ingress(arn)["VpcIngressConnectionArn"]

    def status():
        described = client.describe_vpc_ingress_connection(VpcIngressConnectionArn=ingress)
        return described["VpcIngressConnection"]["Status"]

    assert set(passed_through(status, end="AVAILABLE")) <= {"PENDING_CREATION", "AVAILABLE"}
    client.delete_vpc_ingress_connection(VpcIngressConnectionArn=ingress)
    assert set(passed_through(status, end="DELETED")) <= {"AVAILABLE", "PENDING_DELETION", "DELETED"}
    client.delete_service(ServiceArn=arn)
    assert set(passed_through(service_status(account, arn), end="DELETED")) <= {"RUNNING", BUSY, "DELETED"}
    client.delete_vpc_connector(VpcConnectorArn=connector["VpcConnectorArn"])
    described = client.describe_vpc_connector(VpcConnectorArn=connector["VpcConnectorArn"])
    assert described["VpcConnector"]["Status"] == "INACTIVE"


def test_terraform_replaces_a_tainted_service_under_the_same_name(account, client):
    failed = account.service("tainted")
    assert failed["Status"] == "CREATE_FAILED"

    client.delete_service(ServiceArn=failed["ServiceArn"])
    seen = passed_through(service_status(account, failed["ServiceArn"]), end="DELETED")
    made = client.create_service(ServiceName="tainted", SourceConfiguration=source())["Service"]

    assert set(seen) <= {BUSY, "DELETED"}
    assert made["ServiceArn"] != failed["ServiceArn"]
    assert code_of(client.delete_service, ServiceArn=failed["ServiceArn"]) == NOT_FOUND


def test_terraform_asks_for_a_private_service_with_an_empty_ingress_block(account, client):
    """The SDK for Go leaves out a `false` that is no pointer: {} is what comes of is_publicly_accessible = false."""
    network = {"IngressConfiguration": {}, "IpAddressType": "IPV4"}

    service = client.create_service(
        ServiceName=account.name(), SourceConfiguration=source(), NetworkConfiguration=network
    )["Service"]

    assert service["NetworkConfiguration"]["IngressConfiguration"] == {"IsPubliclyAccessible": False}


def test_terraform_reads_no_code_configuration_where_it_sent_none(account):
    assert "CodeConfiguration" not in account.service()["SourceConfiguration"]["CodeRepository"]


def test_an_update_of_nothing_is_refused_with_app_runners_words(account, client):
    """Terraform sends one when a person takes the observability block away."""
    arn = account.service()["ServiceArn"]

    assert refused(client.update_service, ServiceArn=arn) == (
        INVALID_REQUEST,
        "No configurations provided in the UpdateService request.",
    )


# CloudFormation: its handlers look at the status alone, and translate every answer into a model.


def cloudformation_source(account):
    """AutoDeploymentsEnabled and both maps always go out, empty ones too."""
    empty = {"RuntimeEnvironmentVariables": {}, "RuntimeEnvironmentSecrets": {}}
    return from_code(account, **empty) | {"AutoDeploymentsEnabled": False}


def translated(service):
    """The members whose absence ends a handler in a NullPointerException once their structure is there."""
    code = service["SourceConfiguration"]["CodeRepository"]
    return [
        service["Status"],
        service["NetworkConfiguration"]["EgressConfiguration"]["EgressType"],
        service["HealthCheckConfiguration"]["Protocol"],
        code["SourceCodeVersion"]["Type"],
        code["CodeConfiguration"]["ConfigurationSource"],
        code["CodeConfiguration"]["CodeConfigurationValues"]["Runtime"],
    ]


def test_cloudformation_creates_updates_and_deletes_a_service(account, client):
    """Success is RUNNING or DELETED, anything else but OPERATION_IN_PROGRESS is failure, from the first answer on."""
    constant = ["DEFAULT", "TCP", "BRANCH", "API", "PYTHON_3"]
    always = {
        "SourceConfiguration": cloudformation_source(account),
        "ObservabilityConfiguration": {"ObservabilityEnabled": False},
        "HealthCheckConfiguration": SECONDS,
    }
    first = client.create_service(ServiceName=account.name(), Tags=[], **always)["Service"]
    arn = first["ServiceArn"]
    assert translated(first) == [BUSY, *constant]
    assert set(passed_through(service_status(account, arn), end="RUNNING")) <= {BUSY, "RUNNING"}
    assert translated(account.describe(arn)) == ["RUNNING", *constant]

    # A template without NetworkConfiguration means the open one, said in full.
    network = {name: OPEN_NETWORK[name] for name in ("EgressConfiguration", "IngressConfiguration")}
    first = client.update_service(ServiceArn=arn, NetworkConfiguration=network, **always)["Service"]
    assert first["Status"] == BUSY
    assert set(passed_through(service_status(account, arn), end="RUNNING")) <= {BUSY, "RUNNING"}
    assert account.describe(arn)["NetworkConfiguration"] == OPEN_NETWORK

    assert client.delete_service(ServiceArn=arn)["Service"]["Status"] == BUSY
    assert set(passed_through(service_status(account, arn), end="DELETED")) <= {BUSY, "DELETED"}
    assert code_of(client.delete_service, ServiceArn=arn) == NOT_FOUND


def test_cloudformation_gets_a_failed_service_and_takes_it_away(account, client):
    made = client.create_service(ServiceName=account.name(), SourceConfiguration=source(account.repository, "broken"))
    arn = made["Service"]["ServiceArn"]
    assert made["Service"]["Status"] == BUSY

    assert set(passed_through(service_status(account, arn), end="CREATE_FAILED")) <= {BUSY, "CREATE_FAILED"}
    client.delete_service(ServiceArn=arn)

    assert set(passed_through(service_status(account, arn), end="DELETED")) <= {BUSY, "DELETED"}


def test_cloudformation_has_what_it_makes_in_the_first_answer(account):
    """Connectors and observability configurations are done when they are made: there is no second look."""
    connector = account.connector(SecurityGroups=["sg-2", "sg-1"], Tags=[])
    observing = account.observing(TraceConfiguration={"Vendor": "AWSXRAY"}, Tags=[])

    assert (set(connector["Subnets"]), set(connector["SecurityGroups"])) == ({"subnet-1"}, {"sg-1", "sg-2"})
    assert (connector["VpcConnectorRevision"], connector["Status"]) == (1, "ACTIVE")
    assert (observing["Latest"], observing["ObservabilityConfigurationRevision"]) == (True, 1)
    assert (observing["TraceConfiguration"], observing["Status"]) == ({"Vendor": "AWSXRAY"}, "ACTIVE")


def test_cloudformation_moves_an_ingress_connection_to_another_endpoint(account, client):
    arn = account.available_ingress()["VpcIngressConnectionArn"]
    wanted = {"VpcId": "vpc-1", "VpcEndpointId": "vpce-2"}
    updated = client.update_vpc_ingress_connection(VpcIngressConnectionArn=arn, IngressVpcConfiguration=wanted)
    assert updated["VpcIngressConnection"]["Status"] == "PENDING_UPDATE"
    assert code_of(client.delete_vpc_ingress_connection, VpcIngressConnectionArn=arn) == INVALID_STATE

    settled = account.until_available(arn)

    assert settled["IngressVpcConfiguration"] == wanted
    assert settled["DomainName"]


# Copilot: the SDK for Go with pointers that it follows, and the custom resource for domains.


def test_copilot_follows_every_pointer_of_an_image_service(account, client):
    """`svc show` and `svc status` would end in a panic without any of these."""
    made = client.create_service(
        ServiceName=account.name(),
        SourceConfiguration=image(),
        ObservabilityConfiguration={"ObservabilityEnabled": False},
    )
    service = account.describe(made["Service"]["ServiceArn"])

    repository = service["SourceConfiguration"]["ImageRepository"]
    assert repository["ImageIdentifier"] == image()["ImageRepository"]["ImageIdentifier"]
    assert repository["ImageConfiguration"]["Port"] == "8080"
    assert (service["InstanceConfiguration"]["Cpu"], service["InstanceConfiguration"]["Memory"]) == ("1024", "2048")
    assert service["CreatedAt"] <= service["UpdatedAt"]


def test_copilot_pauses_and_resumes_and_needs_no_operation_the_second_time(account, client, running):
    def status(operation_id):
        def look():
            found = client.list_operations(ServiceArn=running)["OperationSummaryList"]
            return next(each["Status"] for each in found if each["Id"] == operation_id)

        return look

    for call, settled in ((client.pause_service, "PAUSED"), (client.resume_service, "RUNNING")):
        seen = passed_through(status(call(ServiceArn=running)["OperationId"]), end="SUCCEEDED")
        assert "FAILED" not in seen
        account.settled(running)
        again = call(ServiceArn=running)
        assert "OperationId" not in again
        assert again["Service"]["Status"] == settled


def test_copilots_custom_resource_adds_a_domain_twice_and_removes_it_twice(account, client, running):
    name = "copilot.example.com"
    made = client.associate_custom_domain(DomainName=name, ServiceArn=running)

    _, message = refused(client.associate_custom_domain, DomainName=name, ServiceArn=running)
    assert f"{name} is already associated with" in message
    described = client.describe_custom_domains(ServiceArn=running)
    assert described["DNSTarget"] == made["DNSTarget"]
    assert "NextToken" not in described

    def domain():
        found = client.describe_custom_domains(ServiceArn=running)["CustomDomains"]
        return next(each for each in found if each["DomainName"] == name)

    passed_through(lambda: domain()["Status"], end="pending_certificate_dns_validation")
    assert len(domain()["CertificateValidationRecords"]) == 3

    removed = client.disassociate_custom_domain(DomainName=name, ServiceArn=running)
    assert removed["DNSTarget"] == made["DNSTarget"]
    assert len(removed["CustomDomain"]["CertificateValidationRecords"]) == 3
    _, message = refused(client.disassociate_custom_domain, DomainName=name, ServiceArn=running)
    assert f"No custom domain {name} found for the provided service" in message
    assert client.describe_custom_domains(ServiceArn=running)["CustomDomains"] == []
