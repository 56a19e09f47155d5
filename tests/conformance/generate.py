"""Values for the shapes of an API: right ones, and ones that are wrong in exactly one member. Pure."""

import random
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

_ACCOUNT = "arn:aws:apprunner:us-east-1:000000000000"
_NO_ID = "0" * 32

PLACEHOLDERS = {
    "ServiceArn": f"{_ACCOUNT}:service/nothing/{_NO_ID}",
    "ResourceArn": f"{_ACCOUNT}:connection/nothing/{_NO_ID}",
    "ConnectionArn": f"{_ACCOUNT}:connection/nothing-else/{_NO_ID}",
    "AutoScalingConfigurationArn": f"{_ACCOUNT}:autoscalingconfiguration/nothing/1/{_NO_ID}",
    "ObservabilityConfigurationArn": f"{_ACCOUNT}:observabilityconfiguration/nothing/1/{_NO_ID}",
    "VpcConnectorArn": f"{_ACCOUNT}:vpcconnector/nothing/1/{_NO_ID}",
    "VpcIngressConnectionArn": f"{_ACCOUNT}:vpcingressconnection/nothing/{_NO_ID}",
}
"""By member: well-formed ARNs of nothing, to be replaced where a request shall find something."""

NOWHERE = "/nowhere/that/exists"

_BY_MEMBER = {
    **PLACEHOLDERS,
    "RepositoryUrl": NOWHERE,
    "Port": "8080",
}
_BY_SHAPE = {
    "RoleArn": "arn:aws:iam::000000000000:role/reader",
    "KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000",
    "Cpu": "1024",
    "Memory": "2048",
    "ImageIdentifier": "000000000000.dkr.ecr.us-east-1.amazonaws.com/web:1",
    "DomainName": "app.example.com",
    "NextToken": "MA==",
}
_ALSO_NEEDED = {
    "SourceConfiguration": ("CodeRepository",),
    "IngressVpcConfiguration": ("VpcId", "VpcEndpointId"),
    "Tag": ("Key",),
}
"""What the documentation asks for, though the model does not."""

_ONE_OF = {"SourceConfiguration": ("CodeRepository", "ImageRepository")}
_LOOSER = {
    "ImageIdentifier",  # any registry is welcome here
    "ServiceId",  # the model's pattern has dashes and its length has no room for them
}
"""Shapes whose pattern is not kept to on purpose."""

_LOWER_CASE = {"AutoScalingConfigurationStatus", "CustomDomainAssociationStatus"}
"""Enums that are lower case on the wire, as clients compare them, though the model has them in upper case."""

_WRONG_TYPES: dict[str, tuple[object, ...]] = {
    "string": (7, ["text"], {"text": "text"}),
    "integer": ("5", 1.5, True, [5]),
    "boolean": ("true", 1, {}),
    "list": ("text", {"0": "text"}, 7),
    "map": ("text", ["text"], 7),
    "structure": ("text", ["text"], 7),
}
_SECRET_TEXT = "hunter2-"


@dataclass(frozen=True)
class Variant:
    """A request, the member that it is about and what is particular about it."""

    request: dict[str, Any]
    path: tuple[str, ...]
    what: str
    secret: str = ""
    """Text of a member that the model marks as sensitive."""

    @property
    def name(self) -> str:
        return f"{'.'.join(self.path)}-{self.what}"


@dataclass(frozen=True)
class _Part:
    value: Any
    path: tuple[str, ...]
    what: str
    secret: str = ""


# Right values.


def minimal(shape: Shape, member: str = "") -> Any:
    """What is required and nothing else."""
    match shape:
        case StructureShape():
            names = [*shape.required_members, *_ALSO_NEEDED.get(shape.name, ())]
            return {name: minimal(shape.members[name], name) for name in names}
        case ListShape():
            return [minimal(shape.member, member)]
        case MapShape():
            return {minimal(shape.key): minimal(shape.value)}
        case _:
            return _scalar(shape, member)


def full(shape: Shape, member: str = "") -> Any:
    """Every member there is, of those that exclude one another the first."""
    match shape:
        case StructureShape():
            left_out = _ONE_OF.get(shape.name, ())[1:]
            return {name: full(each, name) for name, each in shape.members.items() if name not in left_out}
        case ListShape():
            return [full(shape.member, member)]
        case MapShape():
            return {minimal(shape.key): full(shape.value)}
        case _:
            return _scalar(shape, member)


def valid(operation: OperationModel) -> Iterator[dict[str, Any]]:
    """A minimal and a full request."""
    yield minimal(operation.input_shape)
    yield full(operation.input_shape)


def some(shape: Shape, rng: random.Random, member: str = "") -> Any:
    """Any right value."""
    match shape:
        case StructureShape():
            needed = {*shape.required_members, *_ALSO_NEEDED.get(shape.name, ())}
            chosen = [name for name in shape.members if name in needed or rng.random() < 0.3]
            either = _ONE_OF.get(shape.name, ())
            if either and rng.random() < 0.9:
                chosen = [name for name in chosen if name not in either] + [either[rng.random() < 0.1]]
            return {name: some(shape.members[name], rng, name) for name in chosen}
        case ListShape():
            return [some(shape.member, rng, member) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        case MapShape():
            return {some(shape.key, rng): some(shape.value, rng) for _ in range(rng.choice((0, 1, 2)))}
    kind = shape.type_name
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "integer":
        return rng.randint(shape.metadata.get("min", 0), shape.metadata.get("max", 1000))
    if shape.enum:
        return rng.choice(shape.enum)
    fixed = _scalar(shape, member)
    text = "".join(rng.choices(string.ascii_lowercase, k=max(shape.metadata.get("min", 1), rng.randint(4, 12))))
    return text if rng.random() < 0.5 and not list(faults(shape, text)) else fixed


def _scalar(shape: Shape, member: str) -> Any:
    kind, rules = shape.type_name, shape.metadata
    if kind == "boolean":
        return False
    if kind == "integer":
        return rules.get("min", 1)
    if shape.enum:
        return shape.enum[0]
    return _BY_MEMBER.get(member) or _BY_SHAPE.get(shape.name) or "a" * max(rules.get("min", 0), 4)


# Wrong values.


def violations(operation: OperationModel) -> Iterator[Variant]:
    """For every constraint of the input, at any depth: a request that breaks it, and is right apart from that."""
    yield from _requests(_wrong(operation.input_shape, ""))


def limits(operation: OperationModel) -> Iterator[Variant]:
    """For every constraint of the input, at any depth: a request that goes as far as it allows."""
    yield from _requests(_farthest(operation.input_shape, ""))


def _requests(parts: Iterator[_Part]) -> Iterator[Variant]:
    for part in parts:
        if part.path:
            yield Variant(request=part.value, path=part.path, what=part.what, secret=part.secret)


def _wrong(shape: Shape, member: str) -> Iterator[_Part]:
    for value in _WRONG_TYPES[shape.type_name]:
        yield _Part(value, (), f"is {type(value).__name__} {value}"[:30])
    match shape:
        case StructureShape():
            for name in shape.required_members:
                whole = minimal(shape)
                del whole[name]
                yield _Part(whole, (name,), "is missing")
                yield _Part(minimal(shape) | {name: None}, (name,), "is null")
            yield from _inside(shape, _wrong)
        case ListShape():
            good = minimal(shape.member, member)
            for part in _wrong(shape.member, member):
                yield _Part([good, part.value], part.path, f"item {part.what}", part.secret)
        case MapShape():
            good = minimal(shape)
            for part in _wrong_texts(shape.key):
                yield _Part(good | {part.value: "text"}, (), f"key {part.what}", part.secret)
            for part in _wrong(shape.value, member):
                yield _Part(good | {"other": part.value}, (), f"value {part.what}", part.secret)
        case _ if shape.type_name == "integer":
            lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
            if lowest is not None:
                yield _Part(lowest - 1, (), "is too small")
                yield _Part(-(10**30), (), "is far too small")
            if highest is not None:
                yield _Part(highest + 1, (), "is too large")
                yield _Part(10**30, (), "is far too large")
        case _ if shape.type_name == "string":
            yield from _wrong_texts(shape, member)


def _wrong_texts(shape: Shape, member: str = "") -> Iterator[_Part]:
    rules = shape.metadata
    secret = _SECRET_TEXT if rules.get("sensitive") else ""
    if shape.enum:
        yield _Part("NOTHING_OF_THE_KIND", (), "is none of the enum")
        yield _Part(shape.enum[0].swapcase(), (), "is in another case")
        return
    good = _scalar(shape, member)
    if rules.get("min"):
        yield _Part(good[: rules["min"] - 1], (), "is too short")
    if rules.get("max"):
        too_long = (secret or good).ljust(rules["max"] + 1, "a")
        yield _Part(too_long, (), "is too long", secret)
    pattern = rules.get("pattern", ".*")
    if pattern == ".*" or shape.name in _LOOSER:
        return
    for what, text in (
        ("has strange characters", f"{secret}!é " + good),
        ("begins strangely", "-" + good[1:]),
        ("ends in a new line", (secret or good) + "\n"),
        ("has a NUL character", good + "\0"),
        ("begins with aws", "aws:" + good),
        ("has a character of another script", good + "\N{CYRILLIC SMALL LETTER A}"),
    ):
        if re.fullmatch(pattern, text, re.ASCII) is None:
            yield _Part(text, (), what, secret if secret in text else "")


def _farthest(shape: Shape, member: str) -> Iterator[_Part]:
    match shape:
        case StructureShape():
            yield from _inside(shape, _farthest)
        case ListShape():
            for part in _farthest(shape.member, member):
                yield _Part([part.value], part.path, f"item {part.what}")
        case MapShape():
            for part in _farthest(shape.key, ""):
                yield _Part({part.value: "text"}, (), f"key {part.what}")
            for part in _farthest(shape.value, ""):
                yield _Part({"other": part.value}, (), f"value {part.what}")
        case _ if shape.type_name == "boolean":
            yield _Part(True, (), "is true")
            yield _Part(False, (), "is false")
        case _ if shape.type_name == "integer":
            for what, rule in (("least", "min"), ("greatest", "max")):
                if rule in shape.metadata:
                    yield _Part(shape.metadata[rule], (), f"is the {what}")
        case _ if shape.enum:
            for value in shape.enum:
                yield _Part(value, (), f"is {value}")
        case _:
            good = _scalar(shape, member)
            for what, rule in (("shortest", "min"), ("longest", "max")):
                length = shape.metadata.get(rule)
                text = None if length is None else good[:length].ljust(length, "a")
                if text is not None and not list(faults(shape, text)):
                    yield _Part(text, (), f"is the {what}")


def _inside(shape: StructureShape, parts_of: Any) -> Iterator[_Part]:
    either = _ONE_OF.get(shape.name, ())
    for name, each in shape.members.items():
        rest = minimal(shape)
        if name in either:
            rest = {other: value for other, value in rest.items() if other not in either}
        for part in parts_of(each, name):
            yield _Part(rest | {name: part.value}, (name, *part.path), part.what, part.secret)


# What is wrong with a value.


def faults(shape: Shape, value: Any, path: str = "", *, strict: bool = True) -> Iterator[str]:
    """Everything in which JSON differs from the shape, unknown members included if `strict`."""
    at = path or shape.name
    match shape:
        case StructureShape():
            if not isinstance(value, dict):
                yield f"{at} is no structure: {value!r}"
                return
            yield from (f"{at}.{name} is missing" for name in shape.required_members if name not in value)
            for name, each in value.items():
                if name in shape.members:
                    yield from faults(shape.members[name], each, f"{at}.{name}", strict=strict)
                elif strict:
                    yield f"{at}.{name} is not in the model"
        case ListShape():
            if not isinstance(value, list):
                yield f"{at} is no list: {value!r}"
                return
            for number, each in enumerate(value):
                yield from faults(shape.member, each, f"{at}[{number}]", strict=strict)
        case MapShape():
            if not isinstance(value, dict):
                yield f"{at} is no map: {value!r}"
                return
            for key, each in value.items():
                yield from faults(shape.key, key, f"{at} key {key[:40]!r}", strict=strict)
                yield from faults(shape.value, each, f"{at}[{key[:40]!r}]", strict=strict)
        case _:
            yield from (f"{at} {fault}: {value!r}"[:300] for fault in _scalar_faults(shape, value))


def _scalar_faults(shape: Shape, value: Any) -> Iterator[str]:
    kind, rules = shape.type_name, shape.metadata
    number = (int, float)
    types = {"string": str, "boolean": bool, "integer": int, "long": int, "double": number, "timestamp": number}[kind]
    if not isinstance(value, types) or (kind != "boolean" and isinstance(value, bool)):
        yield f"is no {kind}"
        return
    if kind == "integer":
        if value < rules.get("min", value) or value > rules.get("max", value):
            yield "is out of range"
        if not -(2**31) <= value < 2**31:
            yield "is no 32-bit integer"
    if kind != "string":
        return
    if shape.enum:
        if (value.upper() if shape.name in _LOWER_CASE else value) not in shape.enum:
            yield "is none of the enum"
        return
    if not rules.get("min", 0) <= len(value) <= rules.get("max", len(value)):
        yield "has the wrong length"
    if "pattern" in rules and rules["pattern"] != ".*" and shape.name not in _LOOSER:
        pattern = rules["pattern"].replace("\\\\.", ".")
        if re.fullmatch(pattern, value, re.ASCII) is None:
            yield "does not match the pattern"
