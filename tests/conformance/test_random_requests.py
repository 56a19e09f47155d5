"""Twenty thousand requests by chance, right ones and broken ones: every answer is an answer."""

import json
import random
from collections import Counter

import pytest

from tests.conformance.generate import NOWHERE, PLACEHOLDERS, some, violations
from tests.conformance.wire import JSON, Wire

pytest.importorskip("botocore")
import botocore.session

pytestmark = pytest.mark.slow

MODEL = botocore.session.get_session().get_service_model("apprunner")
OPERATIONS = {name: MODEL.operation_model(name) for name in MODEL.operation_names}
REQUESTS = 20_000
SEED = 20_200_515
BUILDING = {"CreateService", "UpdateService", "StartDeployment", "ResumeService"}
NAMES = (
    "ServiceName",
    "ConnectionName",
    "AutoScalingConfigurationName",
    "ObservabilityConfigurationName",
    "VpcConnectorName",
    "VpcIngressConnectionName",
)
CONTENT_TYPES = (
    "",
    "text/plain",
    "application/json",
    "application/x-amz-json-9",
    "a" * 3000,
    "\xe9\xff",
    "application/x-www-form-urlencoded",
    "application/x-amz-json-1.1",
    f"{JSON}; charset=utf-16",
)
TARGETS = (
    "",
    "AppRunner",
    "AppRunner.",
    "AppRunner.Nothing",
    "Homerun.AuthorizeConnection",
    "x" * 4000,
    "\xe9\xff",
    "AppRunner.ListServices ListServices",
    "apprunner.listservices",
)
STRANGE = (
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    2**64,
    10**40,
    1.5,
    1e308,
    "",
    "x" * 60_000,
    "\0",
    "\ud800",
    "\udfff\ud800",
    "€😀",
    "\u202e",
    [],
    {},
    [[]],
    [None],
    {"": None},
    "arn:aws:apprunner",
    "%s%n",
    "'; drop table services; --",
)
RAW = (b"1e999", b"-" + b"9" * 6000, b"NaN", b"\xff\xfe", b"\x00", b"\\ud800", b"\\u0000", b"'", b"]", b"}", b",", b'"')


class Chance:
    """Makes requests, and learns from answers what there is to be asked for."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.violations = {name: [each.request for each in violations(model)] for name, model in OPERATIONS.items()}
        self.arns: dict[str, list[str]] = {member: [] for member in PLACEHOLDERS}
        self.tokens = ["MA==", "MQ==", "OTk=", "LTE=", "MTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"]

    def learn(self, value: object, member: str = "") -> None:
        """Keeps ARNs and tokens, those of things that will be deleted, too."""
        if isinstance(value, dict):
            for name, each in value.items():
                self.learn(each, name)
        elif isinstance(value, list):
            for each in value:
                self.learn(each, member)
        elif isinstance(value, str) and member in self.arns and value not in self.arns[member]:
            self.arns[member].append(value)
            self.arns["ResourceArn"].append(value)
        elif member == "NextToken" and value not in self.tokens:
            self.tokens.append(value)

    def request(self) -> tuple[str, str, str, bytes]:
        """What it is, the target, the content type and the body."""
        rng = self.rng
        operation = rng.choice(MODEL.operation_names)
        kind = rng.choices(
            ("valid", "violation", "strange", "bytes", "cut", "deep", "target", "type", "chance"),
            (30, 20, 15, 12, 5, 3, 4, 4, 7),
        )[0]
        if kind in {"valid", "target", "type"} and operation in BUILDING and rng.random() < 0.9:
            operation = "ListServices"
        target, content_type = f"AppRunner.{operation}", JSON
        value = self.fill(some(OPERATIONS[operation].input_shape, rng))
        body = json.dumps(value).encode()
        match kind:
            case "violation" if self.violations[operation]:
                body = json.dumps(self.fill(rng.choice(self.violations[operation]))).encode()
            case "strange":
                body = json.dumps(self.spoil(value)).encode()
            case "bytes":
                body = self.mutate(body)
            case "cut":
                body = body[: rng.randrange(len(body))]
            case "deep":
                body = self.deepen(value)
            case "target":
                target = rng.choice(TARGETS)
            case "type":
                content_type = rng.choice(CONTENT_TYPES)
            case "chance":
                body = rng.randbytes(rng.randrange(200))
        return kind, target, content_type, body

    def fill(self, value: object, member: str = "") -> object:
        """Puts ARNs that mean something, or did once, in the place of those that never do; a few names everywhere."""
        rng = self.rng
        if isinstance(value, dict):
            return {name: self.fill(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, member) for each in value]
        if member in NAMES and isinstance(value, str) and rng.random() < 0.7:
            return f"name-{rng.randrange(8)}"
        if member == "NextToken" and isinstance(value, str) and rng.random() < 0.7:
            return rng.choice(self.tokens)
        known = self.arns.get(member)
        if not known or value != PLACEHOLDERS[member] or rng.random() < 0.1:
            return value
        arn = rng.choice(known)
        match rng.randrange(12):
            case 0:
                return arn.replace("us-east-1", rng.choice(("eu-west-1", "", "us-east-11")))
            case 1:
                return arn.replace(":000000000000:", ":123456789012:")
            case 2:
                return arn.rpartition("/")[0]
            case 3:
                return arn + rng.choice(("/", "0", "/1", "-"))
            case 4:
                return rng.choice(self.arns[rng.choice([each for each in self.arns if self.arns[each]])])
        return arn

    def spoil(self, value: object) -> object:
        """Something strange in one place."""
        rng = self.rng
        if isinstance(value, dict) and value and rng.random() < 0.8:
            name = rng.choice(list(value))
            if rng.random() < 0.1:
                return {**value, rng.choice(("", "\0", "\ud800", "x" * 3000, "__proto__")): value[name]}
            return {**value, name: self.spoil(value[name])}
        if isinstance(value, list) and value and rng.random() < 0.8:
            return [*value, self.spoil(rng.choice(value))]
        return rng.choice(STRANGE)

    def mutate(self, body: bytes) -> bytes:
        rng = self.rng
        for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
            at = rng.randrange(len(body) + 1)
            match rng.randrange(4):
                case 0:
                    body = body[:at] + rng.randbytes(1) + body[at + 1 :]
                case 1:
                    body = body[:at] + rng.choice(RAW) + body[at:]
                case 2:
                    body = body[:at] + body[at + rng.randrange(1, 9) :]
                case 3:
                    body = body[:at] + body[at : at + rng.randrange(1, 60)] * 2 + body[at:]
        return body

    def deepen(self, value: object) -> bytes:
        depth = self.rng.choice((5, 100, 900, 1100, 5000, 60_000))
        opening, closing = self.rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
        member = self.rng.choice(["Unknown", "Tags", "NextToken", "ServiceArn", "SourceConfiguration"])
        rest = json.dumps(value).encode().removeprefix(b"{")
        comma = b", " if rest != b"}" else b""
        return f'{{"{member}": '.encode() + opening * depth + b"1" + closing * depth + comma + rest


def test_twenty_thousand_requests_by_chance_get_proper_answers(hosted):
    chance = Chance(SEED)
    statuses: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    succeeded: set[str] = set()
    improper: list[object] = []
    with Wire(hosted.host.record.socket) as one, Wire(hosted.host.record.socket) as other:
        a_private_service_with_a_door(one, chance)
        for number in range(REQUESTS):
            kind, target, content_type, body = chance.request()
            answer = (one, other)[number % 2].call(target, body, content_type=content_type)
            statuses[answer.status] += 1
            value = answer.value
            if answer.status == 200 and isinstance(value, dict) and "__type" not in value:
                chance.learn(value)
                succeeded.add(target.removeprefix("AppRunner."))
            elif 400 <= answer.status < 500 and set(value) == {"__type", "Message"} and value["Message"]:
                errors[value["__type"]] += 1
            else:
                improper.append((kind, target, body[:300], answer.status, value))
        assert not improper, (len(improper), improper[:5])
        everything_still_works(one)
    assert statuses[200] > REQUESTS / 10, statuses
    assert statuses[400] > REQUESTS / 10, statuses
    assert statuses[415] > 100, statuses
    assert set(errors) >= {
        "InvalidRequestException",
        "InvalidStateException",
        "ResourceNotFoundException",
        "SerializationException",
        "ServiceQuotaExceededException",
        "UnknownOperationException",
        "UnsupportedMediaTypeException",
    }
    assert len(succeeded) > 25, succeeded


def a_private_service_with_a_door(wire: Wire, chance: Chance) -> None:
    code = {"RepositoryUrl": NOWHERE, "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"}}
    request = {
        "ServiceName": "private",
        "SourceConfiguration": {"CodeRepository": code},
        "NetworkConfiguration": {"IngressConfiguration": {"IsPubliclyAccessible": False}},
    }
    made = wire.call("AppRunner.CreateService", request).value
    chance.learn(made)
    request = {
        "ServiceArn": made["Service"]["ServiceArn"],
        "VpcIngressConnectionName": "door",
        "IngressVpcConfiguration": {"VpcId": "vpc-1", "VpcEndpointId": "vpce-1"},
    }
    chance.learn(wire.call("AppRunner.CreateVpcIngressConnection", request).value)


def everything_still_works(wire: Wire) -> None:
    listing = [name for name, model in OPERATIONS.items() if not model.input_shape.required_members]
    assert len(listing) == 6
    for name in listing:
        assert wire.call(f"AppRunner.{name}").status == 200
    made = wire.call("AppRunner.CreateVpcConnector", {"VpcConnectorName": "afterwards", "Subnets": ["subnet-1"]})
    if made.status == 400:
        assert made.value["__type"] == "ServiceQuotaExceededException"
        doomed = wire.call("AppRunner.ListVpcConnectors").value["VpcConnectors"][0]["VpcConnectorArn"]
        assert wire.call("AppRunner.DeleteVpcConnector", {"VpcConnectorArn": doomed}).status == 200
        made = wire.call("AppRunner.CreateVpcConnector", {"VpcConnectorName": "afterwards", "Subnets": ["subnet-1"]})
    arn = made.value["VpcConnector"]["VpcConnectorArn"]
    assert wire.call("AppRunner.DescribeVpcConnector", {"VpcConnectorArn": arn}).value == made.value
