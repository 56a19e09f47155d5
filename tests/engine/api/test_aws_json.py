"""AWS JSON 1.0 as clients meet it: shapes, errors that name the member, and nothing but 4xx for nonsense."""

import asyncio
import json

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.api.aws import Aws, find_call
from engine.api.message import Request
from engine.model.actions.service import CreateServiceRequest, ListServicesRequest
from engine.model.actions.table import Api, actions_of
from engine.model.audit import Caller
from engine.model.constraints import explain
from engine.model.errors import EngineError, ErrorCode

ARN = "arn:aws:apprunner:us-east-1:000000000000:service/hello/" + "0" * 32
JSON = b"application/x-amz-json-1.0"
CREATE = {
    "ServiceName": "hello",
    "SourceConfiguration": {
        "CodeRepository": {
            "RepositoryUrl": "/srv/hello",
            "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"},
            "CodeConfiguration": {
                "ConfigurationSource": "API",
                "CodeConfigurationValues": {"Runtime": "PYTHON_311", "RuntimeEnvironmentVariables": {"A": "b"}},
            },
        }
    },
}


@pytest.fixture
def call(engine):
    """Call an action with a value or raw bytes; gives status, decoded body and headers."""
    api = Aws(engine)

    async def called(action: str, body: object, content_type: bytes = JSON, target: bytes | None = None):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = ((b"content-type", content_type), (b"x-amz-target", target or f"AppRunner.{action}".encode()))
        request = Request(method="POST", target="/", headers=headers, body=raw)
        answer = await api.answer(request, find_call(request), Caller(request_id="id-1"))
        assert ("x-amzn-RequestId", "id-1") in answer.headers
        assert answer.content_type == "application/x-amz-json-1.0"
        return answer.status, json.loads(answer.body)

    return called


async def test_a_call_reaches_the_engine_and_its_answer_the_client(call, engine):
    status, body = await call("CreateService", CREATE)
    assert status == 200
    assert body["Service"]["ServiceName"] == "hello"
    assert body["Service"]["CreatedAt"] == 1_770_000_000.25
    assert "DeletedAt" not in body["Service"]
    assert engine.requests[0].service_name == "hello"


async def test_unknown_members_are_ignored_as_aws_does(call):
    assert (await call("ListServices", {"Surprise": [1, {"x": None}], "MaxResults": 5}))[0] == 200


async def test_an_empty_body_is_a_request_without_members(call):
    assert (await call("ListServices", b""))[0] == 200
    status, body = await call("DescribeService", b"")
    assert (status, body["__type"]) == (400, "InvalidRequestException")


async def test_null_is_an_absent_member(call):
    assert (await call("ListServices", {"MaxResults": None, "NextToken": None}))[0] == 200


@pytest.mark.parametrize("content_type", [b"application/x-amz-json-1.1", b"Application/X-Amz-Json-1.0; charset=utf-8"])
async def test_both_json_versions_are_accepted(call, content_type):
    assert (await call("ListServices", {}, content_type))[0] == 200


@pytest.mark.parametrize("content_type", [b"", b"application/json", b"text/plain"])
async def test_another_content_type_is_refused(call, content_type):
    status, body = await call("ListServices", {}, content_type)
    assert (status, body["__type"]) == (415, "UnsupportedMediaTypeException")


@pytest.mark.parametrize(
    "target", [b"AppRunner.Nonsense", b"ListServices", b"Logs.ListServices", b"\xff\x00", b"AppRunner.", b"x" * 5000]
)
async def test_an_unknown_target_is_an_unknown_operation(call, target):
    status, body = await call("", {}, target=target)
    assert (status, body["__type"]) == (400, "UnknownOperationException")
    assert len(body["Message"]) <= 600


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_an_engine_error_goes_out_with_its_type_and_message(call, engine, code):
    engine.crash = EngineError(code, "x" * 1000)
    status, body = await call("DescribeService", {"ServiceArn": ARN})
    assert status == (500 if code is ErrorCode.INTERNAL else 400)
    assert body["__type"] == code.value
    assert len(body["Message"]) == 600


async def test_an_unexpected_error_is_a_500_with_the_request_id_and_no_traceback(call, engine, caplog):
    engine.crash = RuntimeError("secret detail")
    status, body = await call("DescribeService", {"ServiceArn": ARN})
    assert (status, body["__type"]) == (500, "InternalServiceErrorException")
    assert "id-1" in body["Message"]
    assert "secret detail" not in body["Message"]
    assert "secret detail" in caplog.text
    assert "id-1" in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"MaxResults": 1',
        b"[" * 500_000,
        b'{"X":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"NextToken": "\\ud800"}',
        b'{"NextToken": "\\ud800\\u0041"}',
        b'{"NextToken": "\xff\xfe"}',
        b'{"NextToken": "a\x00b"}',
        b"[]",
        b"null",
        b"3",
        b'{"MaxResults": NaN}',
        b"{'MaxResults': 1}",
    ],
)
async def test_what_is_no_json_object_is_a_serialization_error(call, raw):
    status, body = await call("ListServices", raw)
    assert (status, body["__type"]) == (400, "SerializationException")


async def test_the_nul_character_is_refused_by_name(call, engine):
    status, body = await call("ListServices", b'{"NextToken": "a\\u0000b"}')
    assert (status, body["__type"]) == (400, "InvalidRequestException")
    assert "at 'nextToken' failed to satisfy constraint: Member must not contain the NUL character" in body["Message"]


async def test_a_backslash_that_only_looks_like_nul_is_fine(call):
    assert (await call("ListServices", b'{"Unknown": "\\\\u0000"}'))[0] == 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ServiceName": "ab c"},
            (
                "1 validation error detected: Value 'ab c' at 'serviceName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9\\-_]{3,39}"
            ),
        ),
        (
            {"ServiceName": "x"},
            (
                "2 validation errors detected: Value 'x' at 'serviceName' failed to satisfy constraint: "
                "Member must have length greater than or equal to 4; Value 'x' at 'serviceName' failed"
            ),
        ),
        ({"ServiceName": "x" * 41}, "Member must have length less than or equal to 40"),
        ({"ServiceName": None}, "Value null at 'serviceName' failed to satisfy constraint: Member must not be null"),
        ({"ServiceName": 5}, "Value '5' at 'serviceName' failed to satisfy constraint: Member must be a string"),
        ({"ServiceName": [1]}, "Value '[…]' at 'serviceName' failed to satisfy constraint: Member must be a string"),
        ({"SourceConfiguration": []}, "at 'sourceConfiguration' failed to satisfy constraint: Member must be a struct"),
        (
            {"SourceConfiguration": {"CodeRepository": {"SourceCodeVersion": {"Type": "TAG", "Value": "v1"}}}},
            (
                "2 validation errors detected: Value null at 'sourceConfiguration.codeRepository.repositoryUrl' failed "
                "to satisfy constraint: Member must not be null; Value 'TAG' at "
                "'sourceConfiguration.codeRepository.sourceCodeVersion.type' failed to satisfy constraint: "
                "Member must satisfy enum value set: [BRANCH]"
            ),
        ),
        (
            {"SourceConfiguration": {"AutoDeploymentsEnabled": "yes"}},
            (
                "Value 'yes' at 'sourceConfiguration.autoDeploymentsEnabled' failed to satisfy constraint: "
                "Member must be true or false"
            ),
        ),
        (
            {"HealthCheckConfiguration": {"Interval": 21, "Timeout": 0, "HealthyThreshold": 1.5}},
            (
                "3 validation errors detected: Value '21' at 'healthCheckConfiguration.interval' failed to satisfy "
                "constraint: Member must have value less than or equal to 20; Value '0' at "
                "'healthCheckConfiguration.timeout' failed to satisfy constraint: Member must have value greater than "
                "or equal to 1; Value '1.5' at 'healthCheckConfiguration.healthyThreshold' failed to satisfy "
                "constraint: Member must be an integer"
            ),
        ),
        ({"Tags": [{"Key": "fine"}, {"Key": "aws:x"}]}, "Value 'aws:x' at 'tags.2.member.key' failed to satisfy"),
        ({"Tags": [None]}, "Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null"),
        ({"Tags": "x"}, "Value 'x' at 'tags' failed to satisfy constraint: Member must be a list"),
    ],
)
async def test_a_violated_constraint_names_the_member_the_value_and_the_rule(call, engine, change, message):
    status, body = await call("CreateService", {**CREATE, **change})
    assert (status, body["__type"]) == (400, "InvalidRequestException")
    assert message in body["Message"]
    assert not engine.requests


@pytest.mark.parametrize(
    "values",
    [
        {"RuntimeEnvironmentVariables": {"": "hunter2"}},
        {"RuntimeEnvironmentVariables": {"hunter2": 5}},
        {"RuntimeEnvironmentVariables": "hunter2"},
        {"RuntimeEnvironmentSecrets": {"A": "hunter2" * 1000}},
        {"StartCommand": "hunter2\nrm"},
        {"BuildCommand": ["hunter2"]},
    ],
)
async def test_commands_and_environments_are_never_repeated(call, values):
    code = {
        "ConfigurationSource": "API",
        "CodeConfigurationValues": {"Runtime": "PYTHON_311", **values},
    }
    repository = {**CREATE["SourceConfiguration"]["CodeRepository"], "CodeConfiguration": code}
    status, body = await call("CreateService", {**CREATE, "SourceConfiguration": {"CodeRepository": repository}})
    assert (status, body["__type"]) == (400, "InvalidRequestException")
    assert "***Sensitive Data***" in body["Message"]
    assert "hunter2" not in body["Message"]


def test_control_characters_of_a_value_do_not_reach_a_terminal():
    message = explain({"ServiceName": "\x1b[2Jab", "SourceConfiguration": {}}, CreateServiceRequest)
    assert "\\x1b[2Jab" in message
    assert message.isprintable()


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def nearly_right(draw):
    """A good CreateService with one member, somewhere inside, replaced by anything."""
    value = json.loads(json.dumps(CREATE))
    value["HealthCheckConfiguration"] = {"Interval": 5}
    value["Tags"] = [{"Key": "a", "Value": "b"}]
    node = value
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
        if not isinstance(node[key], dict | list) or not node[key] or draw(st.booleans()):
            node[key] = draw(JUNK)
            return value
        node = node[key]


def _agree(value: object, shape: type) -> None:
    try:
        msgspec.json.decode(json.dumps(value).encode(), type=shape)
    except msgspec.ValidationError:
        accepted = False
    except msgspec.DecodeError:
        return  # lone surrogates: no JSON text for msgspec
    else:
        accepted = True
    if isinstance(value, dict) and "\\u0000" not in json.dumps(value):
        assert (explain(value, shape) is None) == accepted


@settings(max_examples=300, deadline=None)
@given(value=nearly_right())
def test_the_explanation_finds_a_fault_exactly_where_the_decoder_does(value):
    _agree(value, CreateServiceRequest)


@settings(max_examples=100, deadline=None)
@given(value=JUNK)
def test_the_explanation_agrees_with_the_decoder_on_junk(value):
    _agree(value, ListServicesRequest)
    _agree({"MaxResults": value}, ListServicesRequest)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    action=st.sampled_from(sorted(actions_of(Api.APP_RUNNER))),
    body=st.one_of(nearly_right(), JUNK, st.binary(max_size=200)),
)
def test_no_body_whatever_is_a_500(call, engine, action, body):
    engine.services.clear()
    status, answer = asyncio.run(call(action, body))
    assert status in {200, 400}
    if status == 400:
        assert set(answer) == {"__type", "Message"}
        assert 0 < len(answer["Message"]) <= 600
