"""Our shapes against botocore's model of the App Runner API, member by member."""

import enum
import types
import typing

import msgspec
import pytest

from engine.model.actions.table import Api, actions_of

ACTIONS = actions_of(Api.APP_RUNNER)
botocore_session = pytest.importorskip("botocore.session")
MODEL = botocore_session.get_session().get_service_model("apprunner")
LOOSER = {
    # A path on this machine or any registry is welcome here.
    "ImageIdentifier": "pattern",
}


MORE = {
    # A Dockerfile in the source: App Runner's users asked for it for years.
    "Runtime": {"DOCKER"},
}
"""Values of enumerations that are ours."""


def bare(kind):
    """The type without None, and its constraints."""
    metas = []
    while True:
        origin = typing.get_origin(kind)
        if origin is typing.Annotated:
            kind, *more = typing.get_args(kind)
            metas += more
        elif origin in (typing.Union, types.UnionType):
            (kind,) = [arg for arg in typing.get_args(kind) if arg is not type(None)]
        else:
            return kind, metas


def compare(shape, struct, path, seen):
    if (shape.name, struct) in seen:
        return
    seen.add((shape.name, struct))
    hints = typing.get_type_hints(struct, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    assert set(fields) == set(shape.members), f"{path}: members differ"
    for name, member in shape.members.items():
        field = fields[name]
        required = name in shape.required_members
        if "Request" in path.split(".")[0]:
            assert field.required == required, f"{path}.{name}: required is {required} in the API"
        else:
            assert field.required or not required, f"{path}.{name}: is always there in the API"
        kind, metas = bare(hints[field.name])
        compare_type(member, kind, metas, f"{path}.{name}", seen)


def compare_type(member, kind, metas, path, seen):
    match member.type_name:
        case "structure":
            compare(member, kind, path, seen)
        case "list":
            (item, *_) = typing.get_args(kind)
            item, item_metas = bare(item)
            compare_type(member.member, item, item_metas, f"{path}[]", seen)
        case "map":
            assert typing.get_origin(kind) is dict, path
        case "string":
            if member.enum:
                # The API's enum of auto scaling statuses is upper case, the wire is lower case.
                if issubclass(kind, enum.Enum):
                    assert sorted(kind) == sorted({*member.enum, *MORE.get(member.name, ())}), path
            else:
                assert kind is str, path
                minimum, pattern = member.metadata.get("min", 0), member.metadata.get("pattern")
                if "Request" in path.split(".")[0] and minimum and member.name not in LOOSER:
                    assert any(meta.min_length or meta.pattern for meta in metas), f"{path}: has a minimum"
                if "Request" in path.split(".")[0] and pattern not in (None, ".*") and member.name not in LOOSER:
                    assert any(meta.pattern for meta in metas), f"{path}: has a pattern"
        case "integer":
            assert kind is int, path
        case "boolean":
            assert kind is bool, path
        case "timestamp":
            assert kind is float, path
        case other:
            raise AssertionError(f"{path}: {other} is new")


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_requests_and_responses_have_the_members_of_the_api(action):
    operation = MODEL.operation_model(action.name)

    compare(operation.input_shape, action.request, operation.input_shape.name, set())
    compare(operation.output_shape, action.response, operation.output_shape.name, set())


def test_every_operation_of_the_api_is_there():
    assert sorted(ACTIONS) == sorted(MODEL.operation_names)
    assert len(ACTIONS) == 37
