"""Every operation through boto3, held against the API's model, and what the real service is known to do."""

import json
import re
import warnings
from typing import Any

import pytest

from tests.conformance.generate import NOWHERE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    botocore_session = pytest.importorskip("botocore.session")

pytestmark = pytest.mark.slow

MODEL = botocore_session.get_session().get_service_model("apprunner")
OPERATIONS = {name: MODEL.operation_model(name) for name in MODEL.operation_names}


def method_of(client, operation):
    (method,) = [name for name, api_name in client.meta.method_to_api_mapping.items() if api_name == operation]
    return getattr(client, method)


def contains(got: Any, expected: Any) -> bool:
    """Whether everything of `expected` is in `got`, wherever it says something."""
    if isinstance(expected, dict):
        return isinstance(got, dict) and all(key in got and contains(got[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(got, list) and all(any(contains(one, each) for one in got) for each in expected)
    return type(got) is type(expected) and got == expected


# Each operation.


def create_service(account, running):
    arguments = {
        "ServiceName": account.name(),
        "SourceConfiguration": {
            "CodeRepository": {
                "RepositoryUrl": NOWHERE,
                "SourceCodeVersion": {"Type": "BRANCH", "Value": "feature/é"},
                "SourceDirectory": "/backend",
                "CodeConfiguration": {
                    "ConfigurationSource": "API",
                    "CodeConfigurationValues": {
                        "Runtime": "PYTHON_311",
                        "BuildCommand": "make all",
                        "StartCommand": "python app.py --greeting '€ 😀'",
                        "Port": "5000",
                        "RuntimeEnvironmentVariables": {"GREETING": "hello", "EMPTY": "", "TWO_LINES": "a\nb"},
                        "RuntimeEnvironmentSecrets": {"KEY": "arn:aws:ssm:us-east-1:000000000000:parameter/key"},
                    },
                },
            },
            "AutoDeploymentsEnabled": False,
            "AuthenticationConfiguration": {"AccessRoleArn": "arn:aws:iam::000000000000:role/reader"},
        },
        "InstanceConfiguration": {
            "Cpu": "2048",
            "Memory": "6144",
            "InstanceRoleArn": "arn:aws:iam::000000000000:role/service-role/worker",
        },
        "EncryptionConfiguration": {
            "KmsKey": "arn:aws:kms:us-east-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef"
        },
        "HealthCheckConfiguration": {
            "Protocol": "HTTP",
            "Path": "/health",
            "Interval": 1,
            "Timeout": 20,
            "HealthyThreshold": 2,
            "UnhealthyThreshold": 3,
        },
        "NetworkConfiguration": {
            "EgressConfiguration": {
                "EgressType": "VPC",
                "VpcConnectorArn": account.connector()["VpcConnectorArn"],
            },
            "IngressConfiguration": {"IsPubliclyAccessible": False},
            "IpAddressType": "DUAL_STACK",
        },
        "ObservabilityConfiguration": {
            "ObservabilityEnabled": True,
            "ObservabilityConfigurationArn": account.observing()["ObservabilityConfigurationArn"],
        },
    }
    scaling = account.scaling()["AutoScalingConfigurationArn"]
    expected = {
        **arguments,
        "Status": "OPERATION_IN_PROGRESS",
        "AutoScalingConfigurationSummary": {"AutoScalingConfigurationArn": scaling},
    }
    more = {"AutoScalingConfigurationArn": scaling, "Tags": [{"Key": "team", "Value": "é€😀"}]}
    return {**arguments, **more}, {"Service": expected}


def describe_service(account, running):
    return {"ServiceArn": running}, {"Service": {"ServiceArn": running, "ServiceName": "running", "Status": "RUNNING"}}


def list_services(account, running):
    other = account.service()
    same = ("ServiceArn", "ServiceName", "ServiceId", "ServiceUrl", "Status", "CreatedAt", "UpdatedAt")
    summaries = [{key: service[key] for key in same} for service in (account.describe(running), other)]
    return {"MaxResults": 20}, {"ServiceSummaryList": summaries}


def update_service(account, running):
    arn = account.service()["ServiceArn"]
    changes = {
        "InstanceConfiguration": {"Cpu": "256", "Memory": "1024"},
        "HealthCheckConfiguration": {"Protocol": "HTTP", "Path": "/up", "Interval": 7},
    }
    expected = {"ServiceArn": arn, "Status": "OPERATION_IN_PROGRESS", **changes}
    return {"ServiceArn": arn, **changes}, {"Service": expected}


def start_deployment(account, running):
    return {"ServiceArn": running}, {}


def pause_service(account, running):
    return {"ServiceArn": running}, {"Service": {"ServiceArn": running, "Status": "OPERATION_IN_PROGRESS"}}


def resume_service(account, running):
    account.client.pause_service(ServiceArn=running)
    assert account.settled(running)["Status"] == "PAUSED"
    return pause_service(account, running)


def delete_service(account, running):
    arn = account.service()["ServiceArn"]
    return {"ServiceArn": arn}, {"Service": {"ServiceArn": arn, "Status": "OPERATION_IN_PROGRESS"}}


def list_operations(account, running):
    operation = {"Type": "CREATE_SERVICE", "Status": "SUCCEEDED", "TargetArn": running}
    return {"ServiceArn": running}, {"OperationSummaryList": [operation]}


def create_auto_scaling_configuration(account, running):
    arguments = {"AutoScalingConfigurationName": account.name(), "MaxConcurrency": 200, "MinSize": 2, "MaxSize": 30}
    expected = {**arguments, "AutoScalingConfigurationRevision": 1, "Latest": True, "Status": "active"}
    more = {"IsDefault": False, "HasAssociatedService": False}
    return {**arguments, "Tags": [{"Key": "a", "Value": ""}]}, {"AutoScalingConfiguration": {**expected, **more}}


def describe_auto_scaling_configuration(account, running):
    made = account.scaling(MaxConcurrency=7)
    return {"AutoScalingConfigurationArn": made["AutoScalingConfigurationArn"]}, {"AutoScalingConfiguration": made}


def list_auto_scaling_configurations(account, running):
    made = account.scaling()
    same = ("AutoScalingConfigurationArn", "AutoScalingConfigurationName", "Status", "CreatedAt", "IsDefault")
    summary = {key: made[key] for key in same} | {"AutoScalingConfigurationRevision": 1, "HasAssociatedService": False}
    arguments = {"AutoScalingConfigurationName": made["AutoScalingConfigurationName"], "LatestOnly": True}
    return arguments, {"AutoScalingConfigurationSummaryList": [summary]}


def list_services_for_auto_scaling_configuration(account, running):
    arn = account.describe(running)["AutoScalingConfigurationSummary"]["AutoScalingConfigurationArn"]
    return {"AutoScalingConfigurationArn": arn}, {"ServiceArnList": [running]}


def update_default_auto_scaling_configuration(account, running):
    arn = account.scaling()["AutoScalingConfigurationArn"]
    expected = {"AutoScalingConfigurationArn": arn, "IsDefault": True}
    return {"AutoScalingConfigurationArn": arn}, {"AutoScalingConfiguration": expected}


def delete_auto_scaling_configuration(account, running):
    arn = account.scaling()["AutoScalingConfigurationArn"]
    expected = {"AutoScalingConfigurationArn": arn, "Status": "inactive"}
    return {"AutoScalingConfigurationArn": arn, "DeleteAllRevisions": False}, {"AutoScalingConfiguration": expected}


def create_connection(account, running):
    arguments = {"ConnectionName": account.name(), "ProviderType": "BITBUCKET"}
    tags = [{"Key": "a", "Value": "b"}]
    return {**arguments, "Tags": tags}, {"Connection": {**arguments, "Status": "PENDING_HANDSHAKE"}}


def list_connections(account, running):
    made = account.connection()
    return {"ConnectionName": made["ConnectionName"]}, {"ConnectionSummaryList": [made]}


def delete_connection(account, running):
    made = account.connection()
    return {"ConnectionArn": made["ConnectionArn"]}, {"Connection": {**made, "Status": "DELETED"}}


def associate_custom_domain(account, running):
    arguments = {"ServiceArn": running, "DomainName": "app.example.com"}
    domain = {"DomainName": "app.example.com", "EnableWWWSubdomain": False, "Status": "creating"}
    expected = {"ServiceArn": running, "CustomDomain": domain, "VpcDNSTargets": []}
    return {**arguments, "EnableWWWSubdomain": False}, expected


def describe_custom_domains(account, running):
    made = account.client.associate_custom_domain(ServiceArn=running, DomainName="example.com")
    domain = {key: value for key, value in made["CustomDomain"].items() if key != "Status"}
    return {"ServiceArn": running}, {"DNSTarget": made["DNSTarget"], "ServiceArn": running, "CustomDomains": [domain]}


def disassociate_custom_domain(account, running):
    account.client.associate_custom_domain(ServiceArn=running, DomainName="example.com")
    arguments = {"ServiceArn": running, "DomainName": "example.com"}
    domain = {"DomainName": "example.com", "EnableWWWSubdomain": True, "Status": "deleting"}
    return arguments, {"ServiceArn": running, "CustomDomain": domain, "VpcDNSTargets": []}


def create_observability_configuration(account, running):
    arguments = {"ObservabilityConfigurationName": account.name(), "TraceConfiguration": {"Vendor": "AWSXRAY"}}
    expected = {**arguments, "ObservabilityConfigurationRevision": 1, "Latest": True, "Status": "ACTIVE"}
    return {**arguments, "Tags": [{"Key": "a", "Value": "b"}]}, {"ObservabilityConfiguration": expected}


def describe_observability_configuration(account, running):
    made = account.observing()
    arn = made["ObservabilityConfigurationArn"]
    return {"ObservabilityConfigurationArn": arn}, {"ObservabilityConfiguration": made}


def list_observability_configurations(account, running):
    made = account.observing()
    summary = {
        "ObservabilityConfigurationArn": made["ObservabilityConfigurationArn"],
        "ObservabilityConfigurationName": made["ObservabilityConfigurationName"],
        "ObservabilityConfigurationRevision": 1,
    }
    arguments = {"ObservabilityConfigurationName": made["ObservabilityConfigurationName"], "MaxResults": 100}
    return arguments, {"ObservabilityConfigurationSummaryList": [summary]}


def delete_observability_configuration(account, running):
    arn = account.observing()["ObservabilityConfigurationArn"]
    expected = {"ObservabilityConfigurationArn": arn, "Status": "INACTIVE"}
    return {"ObservabilityConfigurationArn": arn}, {"ObservabilityConfiguration": expected}


def create_vpc_connector(account, running):
    arguments = {"VpcConnectorName": account.name(), "Subnets": ["subnet-1", "subnet-2"], "SecurityGroups": ["sg-1"]}
    expected = {**arguments, "VpcConnectorRevision": 1, "Status": "ACTIVE"}
    return {**arguments, "Tags": [{"Key": "a", "Value": "b"}]}, {"VpcConnector": expected}


def describe_vpc_connector(account, running):
    made = account.connector()
    return {"VpcConnectorArn": made["VpcConnectorArn"]}, {"VpcConnector": made}


def list_vpc_connectors(account, running):
    return {"MaxResults": 100}, {"VpcConnectors": [account.connector(), account.connector()]}


def delete_vpc_connector(account, running):
    made = account.connector()
    return {"VpcConnectorArn": made["VpcConnectorArn"]}, {"VpcConnector": {**made, "Status": "INACTIVE"}}


def create_vpc_ingress_connection(account, running):
    arguments = {
        "ServiceArn": account.private_service()["ServiceArn"],
        "VpcIngressConnectionName": account.name(),
        "IngressVpcConfiguration": {"VpcId": "vpc-1", "VpcEndpointId": "vpce-1"},
    }
    expected = {**arguments, "Status": "PENDING_CREATION", "AccountId": "000000000000"}
    return {**arguments, "Tags": [{"Key": "a", "Value": "b"}]}, {"VpcIngressConnection": expected}


def describe_vpc_ingress_connection(account, running):
    made = account.available_ingress()
    return {"VpcIngressConnectionArn": made["VpcIngressConnectionArn"]}, {"VpcIngressConnection": made}


def list_vpc_ingress_connections(account, running):
    made = account.ingress()
    summary = {key: made[key] for key in ("VpcIngressConnectionArn", "ServiceArn")}
    arguments = {"Filter": {"ServiceArn": made["ServiceArn"], "VpcEndpointId": "vpce-1"}, "MaxResults": 1}
    return arguments, {"VpcIngressConnectionSummaryList": [summary]}


def update_vpc_ingress_connection(account, running):
    arn = account.available_ingress()["VpcIngressConnectionArn"]
    arguments = {
        "VpcIngressConnectionArn": arn,
        "IngressVpcConfiguration": {"VpcId": "vpc-2", "VpcEndpointId": "vpce-2"},
    }
    return arguments, {"VpcIngressConnection": {**arguments, "Status": "PENDING_UPDATE"}}


def delete_vpc_ingress_connection(account, running):
    arn = account.available_ingress()["VpcIngressConnectionArn"]
    expected = {"VpcIngressConnectionArn": arn, "Status": "PENDING_DELETION"}
    return {"VpcIngressConnectionArn": arn}, {"VpcIngressConnection": expected}


def tag_resource(account, running):
    return {"ResourceArn": running, "Tags": [{"Key": "a", "Value": "b"}]}, {}


def untag_resource(account, running):
    account.client.tag_resource(**tag_resource(account, running)[0])
    return {"ResourceArn": running, "TagKeys": ["a"]}, {}


def list_tags_for_resource(account, running):
    arguments, _ = tag_resource(account, running)
    account.client.tag_resource(**arguments)
    return {"ResourceArn": running}, {"Tags": arguments["Tags"]}


CASES = {
    "AssociateCustomDomain": associate_custom_domain,
    "CreateAutoScalingConfiguration": create_auto_scaling_configuration,
    "CreateConnection": create_connection,
    "CreateObservabilityConfiguration": create_observability_configuration,
    "CreateService": create_service,
    "CreateVpcConnector": create_vpc_connector,
    "CreateVpcIngressConnection": create_vpc_ingress_connection,
    "DeleteAutoScalingConfiguration": delete_auto_scaling_configuration,
    "DeleteConnection": delete_connection,
    "DeleteObservabilityConfiguration": delete_observability_configuration,
    "DeleteService": delete_service,
    "DeleteVpcConnector": delete_vpc_connector,
    "DeleteVpcIngressConnection": delete_vpc_ingress_connection,
    "DescribeAutoScalingConfiguration": describe_auto_scaling_configuration,
    "DescribeCustomDomains": describe_custom_domains,
    "DescribeObservabilityConfiguration": describe_observability_configuration,
    "DescribeService": describe_service,
    "DescribeVpcConnector": describe_vpc_connector,
    "DescribeVpcIngressConnection": describe_vpc_ingress_connection,
    "DisassociateCustomDomain": disassociate_custom_domain,
    "ListAutoScalingConfigurations": list_auto_scaling_configurations,
    "ListConnections": list_connections,
    "ListObservabilityConfigurations": list_observability_configurations,
    "ListOperations": list_operations,
    "ListServices": list_services,
    "ListServicesForAutoScalingConfiguration": list_services_for_auto_scaling_configuration,
    "ListTagsForResource": list_tags_for_resource,
    "ListVpcConnectors": list_vpc_connectors,
    "ListVpcIngressConnections": list_vpc_ingress_connections,
    "PauseService": pause_service,
    "ResumeService": resume_service,
    "StartDeployment": start_deployment,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "UpdateDefaultAutoScalingConfiguration": update_default_auto_scaling_configuration,
    "UpdateService": update_service,
    "UpdateVpcIngressConnection": update_vpc_ingress_connection,
}
"""For each operation: makes what it needs, gives the arguments and what of them must be in the answer."""


def with_strange_members(value):
    if isinstance(value, dict):
        return {name: with_strange_members(each) for name, each in value.items()} | {
            "NoMemberOfTheModel": {"Deep": [1, None, "text"]}
        }
    if isinstance(value, list):
        return [with_strange_members(each) for each in value]
    return value


def test_no_operation_is_without_a_case():
    assert sorted(CASES) == sorted(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_valid_call_comes_back_with_what_was_sent(operation, account, running, client):
    arguments, expected = CASES[operation](account, running)

    answer = method_of(client, operation)(**arguments)

    assert answer.pop("ResponseMetadata")["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.0"
    assert contains(answer, expected), (answer, expected)
    assert expected or set(answer) <= {"OperationId"}
    assert set(answer) <= set(OPERATIONS[operation].output_shape.members)
    if "OperationId" in OPERATIONS[operation].output_shape.members:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer["OperationId"])


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name not in {"PauseService", "ResumeService"}])
def test_members_that_the_model_does_not_have_are_ignored(operation, account, running, send):
    arguments, expected = CASES[operation](account, running)
    if operation == "CreateService":
        values = arguments["SourceConfiguration"]["CodeRepository"]["CodeConfiguration"]["CodeConfigurationValues"]
        del values["RuntimeEnvironmentVariables"], values["RuntimeEnvironmentSecrets"]  # maps, where any key is one

    status, answer = send(operation, json.dumps(with_strange_members(arguments)).encode())

    assert status == 200, answer
    assert "NoMemberOfTheModel" not in str(answer)
    assert set(expected) <= set(answer)
