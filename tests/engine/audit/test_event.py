"""Records of calls in CloudTrail's shape, without what must not be told."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audit.event import HIDDEN, FinishedCall, TurnedAway, record_of
from engine.model.actions.auto_scaling import (
    AutoScalingConfiguration,
    DescribeAutoScalingConfigurationRequest,
    DescribeAutoScalingConfigurationResponse,
)
from engine.model.actions.connection import Connection, CreateConnectionRequest, ProviderType
from engine.model.actions.homerun import AuthorizeConnectionRequest, AuthorizeConnectionResponse
from engine.model.actions.service import CreateServiceRequest, CreateServiceResponse, UpdateServiceRequest
from engine.model.actions.table import ACTIONS
from engine.model.audit import Caller, RefusedCall
from engine.model.service import (
    ApiRuntime,
    AutoScalingConfigurationSummary,
    CodeConfiguration,
    CodeConfigurationValues,
    CodeRepository,
    ConfigurationSource,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    InstanceConfiguration,
    NetworkConfiguration,
    Service,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
    Tag,
)

ARN = f"arn:aws:apprunner:us-east-1:000000000000:service/shop/{'a' * 32}"
SCALING = f"arn:aws:apprunner:us-east-1:000000000000:autoscalingconfiguration/busy/1/{'b' * 32}"
CONNECTION = f"arn:aws:apprunner:us-east-1:000000000000:connection/hub-1/{'c' * 32}"
CALLER = Caller(user="homerun", access_key_id="KEY", source_ip="127.0.0.1", user_agent="aws-cli", request_id="r-1")
SECRETS = ("make-secret", "run-secret", "ENV_NAME", "env-value", "SECRET_NAME", "secret-ref", "t0ken-in-url")


def source(url="/srv/shop", **values):
    return SourceConfiguration(
        code_repository=CodeRepository(
            repository_url=url,
            source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
            code_configuration=CodeConfiguration(
                configuration_source=ConfigurationSource.API,
                code_configuration_values=CodeConfigurationValues(runtime=ApiRuntime.PYTHON_311, **values),
            ),
        )
    )


TELLING = source(
    "https://user:t0ken-in-url@github.com/acme/shop",
    build_command="make-secret",
    start_command="run-secret",
    runtime_environment_variables={"ENV_NAME": "env-value"},
    runtime_environment_secrets={"SECRET_NAME": "secret-ref"},
)
IMAGE = SourceConfiguration(
    image_repository=ImageRepository(
        image_identifier="public.ecr.aws/a/b:1",
        image_repository_type=ImageRepositoryType.ECR_PUBLIC,
        image_configuration=ImageConfiguration(
            start_command="run-secret",
            runtime_environment_variables={"ENV_NAME": "env-value"},
            runtime_environment_secrets={"SECRET_NAME": "secret-ref"},
        ),
    )
)


def a_service(source_configuration=TELLING):
    return Service(
        service_name="shop",
        service_id="a" * 32,
        service_arn=ARN,
        service_url="abc.us-east-1.homerun.localhost",
        created_at=1.0,
        updated_at=1.0,
        status=ServiceStatus.RUNNING,
        source_configuration=source_configuration,
        instance_configuration=InstanceConfiguration(cpu="1024"),
        auto_scaling_configuration_summary=AutoScalingConfigurationSummary(auto_scaling_configuration_arn=SCALING),
        network_configuration=NetworkConfiguration(),
    )


def finished(request, answer=None, *, caller=CALLER, **error):
    call = FinishedCall(
        id="e-1",
        at=1_800_000_000.9,
        action=ACTIONS[type(request)],
        caller=caller,
        request=request,
        answer=answer,
        **error,
    )
    return record_of(call, "us-east-1")


def event(record):
    return json.loads(record.event)


def test_a_change_is_recorded_as_cloudtrail_does():
    request = CreateServiceRequest(service_name="shop", source_configuration=source(), tags=(Tag(key="a", value="b"),))
    record = finished(request, CreateServiceResponse(service=a_service(source()), operation_id="o-1"))
    found = event(record)
    elements, parameters = found.pop("responseElements"), found.pop("requestParameters")
    assert found == {
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "homerun",
            "arn": "arn:aws:iam::000000000000:user/homerun",
            "accountId": "000000000000",
            "accessKeyId": "KEY",
            "userName": "homerun",
        },
        "eventTime": "2027-01-15T08:00:00Z",
        "eventSource": "apprunner.amazonaws.com",
        "eventName": "CreateService",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "aws-cli",
        "requestID": "r-1",
        "eventID": "e-1",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "000000000000",
        "eventCategory": "Management",
    }
    assert parameters["serviceName"] == "shop"
    assert parameters["tags"] == [{"key": "a", "value": "b"}]
    assert elements["operationId"] == "o-1"
    assert elements["service"]["instanceConfiguration"] == {"cpu": "1024"}
    assert elements["service"]["sourceConfiguration"]["codeRepository"]["repositoryUrl"] == "/srv/shop"


def test_a_record_can_be_found_by_what_it_was_about():
    request = CreateServiceRequest(service_name="shop", source_configuration=source())
    record = finished(request, CreateServiceResponse(service=a_service(), operation_id="o-1"))
    assert (record.name, record.source, record.user) == ("CreateService", "apprunner.amazonaws.com", "homerun")
    assert (record.access_key_id, record.read_only, record.refused, record.error_code) == ("KEY", False, False, "")
    assert ARN in record.resources
    assert list(record.resources) == sorted(set(record.resources))


@pytest.mark.parametrize("given", [TELLING, IMAGE])
def test_commands_and_environments_are_hidden_in_requests_and_answers(given):
    create = CreateServiceRequest(service_name="shop", source_configuration=given)
    update = UpdateServiceRequest(service_arn=ARN, source_configuration=given)
    for request in (create, update):
        record = finished(request, CreateServiceResponse(service=a_service(given), operation_id="o-1"))
        assert not [secret for secret in SECRETS if secret in record.event + repr(record)]
        for part in (event(record)["requestParameters"], event(record)["responseElements"]["service"]):
            configuration = part["sourceConfiguration"]
            if "imageRepository" in configuration:
                values = configuration["imageRepository"]["imageConfiguration"]
                assert values.keys() == {"startCommand", "runtimeEnvironmentVariables", "runtimeEnvironmentSecrets"}
            else:
                values = dict(configuration["codeRepository"]["codeConfiguration"]["codeConfigurationValues"])
                assert values.pop("runtime") == "PYTHON_311"
                assert len(values) == 4
            assert set(values.values()) == {"HIDDEN_DUE_TO_SECURITY_REASONS"}


def test_a_call_that_was_refused_hides_them_too():
    request = CreateServiceRequest(service_name="shop", source_configuration=TELLING)
    record = finished(request, None, error_code="InvalidRequestException", error_message="No.")
    assert not [secret for secret in SECRETS if secret in record.event]


@pytest.mark.parametrize("proof", [{"token": "ghp_secret"}, {"ssh_private_key": "-----BEGIN secret"}])
def test_what_proves_us_is_hidden(proof):
    request = AuthorizeConnectionRequest(connection_arn=CONNECTION, **proof)
    record = finished(request, AuthorizeConnectionResponse(connection=Connection(connection_arn=CONNECTION)))
    assert "secret" not in record.event
    parameters = event(record)["requestParameters"]
    assert parameters.pop("connectionArn") == CONNECTION
    assert list(parameters.values()) == [HIDDEN]
    assert event(record)["eventSource"] == "homerun.amazonaws.com"
    assert record.resources == (CONNECTION,)


@pytest.mark.parametrize(
    "url",
    [
        "https://t0ken-in-url@github.com/acme/shop",
        "https://user:t0ken-in-url@github.com/acme/shop",
        "https://github.com/acme/shop?key=t0ken-in-url",
        "user:t0ken-in-url@github.com:acme/shop",
    ],
)
def test_tokens_in_repository_urls_are_masked(url):
    record = finished(UpdateServiceRequest(service_arn=ARN, source_configuration=source(url)))
    assert "t0ken" not in record.event
    repository = event(record)["requestParameters"]["sourceConfiguration"]["codeRepository"]
    assert "github.com" in repository["repositoryUrl"]


def test_a_read_leaves_no_answer():
    request = DescribeAutoScalingConfigurationRequest(auto_scaling_configuration_arn=SCALING)
    answer = DescribeAutoScalingConfigurationResponse(
        auto_scaling_configuration=AutoScalingConfiguration(auto_scaling_configuration_arn=SCALING)
    )
    record = finished(request, answer)
    assert event(record)["responseElements"] is None
    assert event(record)["requestParameters"] == {"autoScalingConfigurationArn": SCALING}
    assert (record.read_only, event(record)["readOnly"]) == (True, True)
    assert record.resources == (SCALING,)


def test_a_call_that_fails_carries_its_error():
    request = CreateConnectionRequest(connection_name="hub-1", provider_type=ProviderType.GITHUB)
    record = finished(request, error_code="InvalidRequestException", error_message="Already there.")
    found = event(record)
    assert (found["errorCode"], found["errorMessage"]) == ("InvalidRequestException", "Already there.")
    assert found["responseElements"] is None
    assert found["requestParameters"] == {"connectionName": "hub-1", "providerType": "GITHUB"}
    assert record.error_code == "InvalidRequestException"


def test_a_call_that_succeeds_carries_none():
    request = CreateConnectionRequest(connection_name="hub-1", provider_type=ProviderType.GITHUB)
    assert not {"errorCode", "errorMessage"} & event(finished(request)).keys()


def test_a_call_that_was_turned_away_has_no_parameters():
    refused = RefusedCall(
        caller=Caller(user="", source_ip="10.0.0.1", request_id="r-2"),
        source="apprunner.amazonaws.com",
        name="DeleteService",
        read_only=False,
        code="UnrecognizedClientException",
        message="The security token included in the request is invalid.",
    )
    record = record_of(TurnedAway(id="e-2", at=1.0, call=refused), "eu-west-1")
    found = event(record)
    assert (found["requestParameters"], found["responseElements"]) == (None, None)
    assert found["userIdentity"]["type"] == "Unknown"
    assert "userName" not in found["userIdentity"]
    assert (found["errorCode"], found["awsRegion"]) == ("UnrecognizedClientException", "eu-west-1")
    assert (record.refused, record.user, record.resources) == (True, "unknown", ())


@settings(max_examples=60)
@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_a_client_calls_itself_makes_a_record(agent, name):
    caller = Caller(user="homerun", user_agent=agent, request_id="r")
    refused = RefusedCall(caller=caller, source="", name=name, read_only=True, code="X", message=name)
    found = event(record_of(TurnedAway(id="e", at=1.0, call=refused), "us-east-1"))
    assert (found["userAgent"], found["eventName"], found["errorMessage"]) == (agent, name, name)


def test_half_a_character_in_a_header_does_not_cost_the_record():
    caller = Caller(user="homerun", user_agent="agent \udc80", request_id="r")
    refused = RefusedCall(caller=caller, source="", name="", read_only=True, code="X", message="no \udc80")
    found = event(record_of(TurnedAway(id="e", at=1.0, call=refused), "us-east-1"))
    assert (found["userAgent"], found["errorMessage"]) == ("agent ?", "no ?")


def test_half_a_character_in_a_request_does_not_cost_the_record():
    source_with_half = source("/srv/caf\udce9")
    record = finished(CreateServiceRequest(service_name="shop", source_configuration=source_with_half))
    assert event(record)["eventName"] == "CreateService"


def test_every_action_can_be_recorded_and_knows_whether_it_changes_something():
    reading = {action.name for action in ACTIONS.values() if not action.mutates}
    assert all(name.startswith(("Describe", "List", "Get", "Filter", "Lookup", "Start")) for name in reading)
    assert not {"CreateService", "StartDeployment", "PutRetentionPolicy", "TagResource"} & reading
    assert msgspec.json.decode(finished(UpdateServiceRequest(service_arn=ARN)).event)["readOnly"] is False


def test_a_token_in_a_url_is_masked_in_the_refusal_as_well():
    message = "Value 'https://user:ghp_secret@github.com/a/b' at 'repositoryUrl' failed"
    request = CreateConnectionRequest(connection_name="hub", provider_type="GITHUB")
    record = finished(request, error_code="X", error_message=message)
    assert "ghp_secret" not in record.event
    assert "github.com/a/b" in record.event


def test_a_part_that_is_too_large_says_how_large_it_was():
    record = finished(CreateServiceRequest(service_name="shop", source_configuration=source("/" + "x" * 40_000)))
    (said,) = json.loads(record.event)["requestParameters"].values()
    assert said.endswith(" bytes")
    assert len(record.event) < 4_000
