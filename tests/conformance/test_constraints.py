"""Every constraint of every member of every request, broken one at a time, and gone to the limit of."""

import json
import warnings

import pytest

from tests.conformance.generate import PLACEHOLDERS, faults, limits, valid, violations

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    botocore_session = pytest.importorskip("botocore.session")

pytestmark = pytest.mark.slow

MODEL = botocore_session.get_session().get_service_model("apprunner")
OPERATIONS = [MODEL.operation_model(name) for name in MODEL.operation_names]
TOO_MANY_TAGS = [{"Key": f"key-{number}", "Value": ""} for number in range(51)]


def each(variants_of):
    return [
        pytest.param(operation.name, variant, id=f"{operation.name}-{variant.name}")
        for operation in OPERATIONS
        for variant in variants_of(operation)
    ]


@pytest.fixture(scope="module")
def things(whole_account, running):
    """One of everything, by the member that names it: a request that is right would find what it asks for."""
    ingress = whole_account.available_ingress()
    connection = whole_account.connection()["ConnectionArn"]
    found = {
        "ServiceArn": running,
        "ResourceArn": connection,
        "ConnectionArn": connection,
        "AutoScalingConfigurationArn": whole_account.scaling()["AutoScalingConfigurationArn"],
        "ObservabilityConfigurationArn": whole_account.observing()["ObservabilityConfigurationArn"],
        "VpcConnectorArn": whole_account.connector()["VpcConnectorArn"],
        "VpcIngressConnectionArn": ingress["VpcIngressConnectionArn"],
    }
    yield {PLACEHOLDERS[member]: arn for member, arn in found.items()}
    whole_account.clear()


@pytest.fixture(scope="module")
def unchanged(client, things):
    """Everything that can be seen of the account is the same after the module's requests as it was before."""
    before = seen(client, things)
    assert len(before["list_services"]["ServiceSummaryList"]) == 2
    yield
    assert seen(client, things) == before


def seen(client, things):
    arns = {member: things[placeholder] for member, placeholder in PLACEHOLDERS.items()}
    asked = {
        "list_services": {},
        "list_operations": {"ServiceArn": arns["ServiceArn"]},
        "describe_service": {"ServiceArn": arns["ServiceArn"]},
        "describe_custom_domains": {"ServiceArn": arns["ServiceArn"]},
        "list_auto_scaling_configurations": {"LatestOnly": False},
        "list_connections": {},
        "list_observability_configurations": {"LatestOnly": False},
        "list_vpc_connectors": {},
        "list_vpc_ingress_connections": {},
        "list_tags_for_resource": {"ResourceArn": arns["ResourceArn"]},
        "describe_vpc_ingress_connection": {"VpcIngressConnectionArn": arns["VpcIngressConnectionArn"]},
    }
    answers = {method: getattr(client, method)(**arguments) for method, arguments in asked.items()}
    for answer in answers.values():
        del answer["ResponseMetadata"]
    return answers


def encoded(request, things):
    """As JSON, with whole ARNs of nothing replaced by those of something."""
    text = json.dumps(request)
    for placeholder, arn in things.items():
        text = text.replace(f'"{placeholder}"', f'"{arn}"')
    return text.encode()


@pytest.mark.parametrize(("operation", "variant"), each(violations))
def test_what_breaks_a_constraint_is_refused_with_the_name_of_the_member(operation, variant, send, things, unchanged):
    status, answer = send(operation, encoded(variant.request, things))

    assert status == 400, answer
    assert answer["__type"] in {"InvalidRequestException", "SerializationException"}
    assert variant.path[-1].lower() in answer["Message"].lower()
    if variant.secret:
        assert variant.secret not in answer["Message"]


@pytest.mark.parametrize(("operation", "variant"), each(limits))
def test_what_goes_as_far_as_a_constraint_allows_is_no_validation_error(operation, variant, send):
    request = dict(variant.request)
    if "Tags" in MODEL.operation_model(operation).input_shape.members:
        request["Tags"] = [*request.get("Tags", ()), *TOO_MANY_TAGS]  # so that nothing is made of it

    status, answer = send(operation, json.dumps(request).encode())

    assert status in {200, 400}
    assert "validation error" not in answer.get("Message", "")


@pytest.mark.parametrize("operation", OPERATIONS, ids=MODEL.operation_names)
@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7", b"{", b"{}}", b"\xff", b'{"a": NaN}'])
def test_a_body_that_is_no_json_object_is_no_request(operation, body, send):
    status, answer = send(operation.name, body)

    assert status == 400
    assert answer["__type"] == "SerializationException"


@pytest.mark.parametrize("operation", OPERATIONS, ids=MODEL.operation_names)
def test_null_is_the_same_as_absent_for_what_is_not_required(operation, send):
    shape = operation.input_shape
    request = {name: None for name in shape.members if name not in shape.required_members}
    for required in valid(operation):
        request |= {name: required[name] for name in shape.required_members}
    if "Tags" in shape.members:
        request["Tags"] = TOO_MANY_TAGS

    status, answer = send(operation.name, json.dumps(request).encode())

    assert status in {200, 400}
    assert "validation error" not in answer.get("Message", "")


@pytest.mark.parametrize("operation", OPERATIONS, ids=MODEL.operation_names)
def test_generated_requests_are_right_or_wrong_in_one_member_only(operation):
    shape = operation.input_shape
    for request in [*valid(operation), *(variant.request for variant in limits(operation))]:
        assert list(faults(shape, request)) == []
    for variant in violations(operation):
        members = {fault.split(" ")[0].partition("[")[0] for fault in faults(shape, variant.request)}
        assert len(members) == 1, variant.name
        assert variant.path[0] in members.pop()
