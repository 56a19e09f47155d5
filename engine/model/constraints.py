"""What is wrong with a request, member by member, in the words AWS uses. Pure.

msgspec is the judge and stops at the first fault; this says all of them, and is only asked after a refusal.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
from msgspec import NODEFAULT, inspect

from engine.model.base import R, Request, Wire
from engine.model.errors import invalid_request

SENSITIVE = frozenset(
    {
        "buildCommand",
        "startCommand",
        "runtimeEnvironmentVariables",
        "runtimeEnvironmentSecrets",
        "token",
        "sshPrivateKey",
    }
)
"""Members whose values are never repeated, neither in a message nor in the audit trail: those that the API's model
marks, and the secrets of our own actions."""

_NOT_SHOWN = SENSITIVE | {"repositoryUrl"}  # people put tokens into URLs
_HIDDEN = "***Sensitive Data***"
_SHOWN = 80
_AT_MOST = 10
_ANCHORS = re.compile(r"\A\\A(.*)\\Z\Z", re.DOTALL)


def checked(request: Request[R]) -> Request[R]:
    """The request with every limit and pattern of its shape enforced, whoever built it.

    Raises EngineError (InvalidRequestException) naming the member.
    """
    plain = msgspec.to_builtins(request)
    try:
        result = msgspec.convert(plain, type(request))
    except msgspec.ValidationError as error:
        problem = explain(plain, type(request)) or f"Invalid request: {error}."
        raise invalid_request(problem) from error
    if _holds_nul(plain):
        raise invalid_request(explain(plain, type(request)) or "The request has a NUL character in it.")
    return result


def explain(value: object, shape: type[Wire]) -> str | None:
    """One sentence naming the faulty members (the first ten); None for no fault found.

    `value` is what a request's JSON decodes to, or `msgspec.to_builtins(request)`.
    """
    faults = list(islice(violations(value, shape), _AT_MOST))
    if not faults:
        return None
    count = f"{len(faults)} validation error{'' if len(faults) == 1 else 's'} detected"
    return f"{count}: {'; '.join(faults)}"


def violations(value: object, shape: type[Wire]) -> Iterator[str]:
    """Each fault as "Value 'x' at 'serviceName' failed to satisfy constraint: Member must …"."""
    for shown, path, rule in _check(value, _type_of(shape), ""):
        at = path or "the request"
        yield f"Value {shown} at '{at}' failed to satisfy constraint: {rule}"


def _holds_nul(value: object) -> bool:
    """Whether a NUL character is anywhere in a request: no member may have one, and msgspec lets it pass."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(each) for key, each in value.items())
    return isinstance(value, (list, tuple)) and any(map(_holds_nul, value))


@lru_cache(maxsize=128)
def _type_of(shape: type[Wire]) -> inspect.Type:
    return inspect.type_info(shape)


_Fault = tuple[str, str, str]  # the value as shown, its path, the rule


def _check(value: object, kind: inspect.Type, path: str) -> Iterator[_Fault]:
    match kind:
        case inspect.UnionType(types=types):
            if value is not None:  # the API's only unions are "or absent"
                for option in types:
                    if not isinstance(option, inspect.NoneType):
                        yield from _check(value, option, path)
        case _ if value is None:
            yield "null", path, "Member must not be null"
        case inspect.StructType():
            yield from _check_struct(value, kind, path)
        case inspect.Metadata(type=inner):
            yield from _check(value, inner, path)
        case inspect.VarTupleType(item_type=item, min_length=fewest, max_length=most):
            if not isinstance(value, list):
                yield _show(value, path), path, "Member must be a list"
                return
            if fewest is not None and len(value) < fewest:
                yield _show(value, path), path, f"Member must have length greater than or equal to {fewest}"
            if most is not None and len(value) > most:
                yield _show(value, path), path, f"Member must have length less than or equal to {most}"
            for number, each in enumerate(value, start=1):
                yield from _check(each, item, f"{path}.{number}.member")
        case inspect.DictType(key_type=keys, value_type=values):
            if not isinstance(value, dict):
                yield _show(value, path), path, "Member must be a map"
                return
            yield from _check_map(value, keys, values, path)
        case inspect.EnumType(cls=cls):
            allowed = [member.value for member in cls]
            if value not in allowed:
                yield _show(value, path), path, f"Member must satisfy enum value set: [{', '.join(allowed)}]"
        case inspect.StrType():
            yield from _check_text(value, kind, path)
        case inspect.IntType(ge=at_least, le=at_most):
            if isinstance(value, bool) or not isinstance(value, int):
                yield _show(value, path), path, "Member must be an integer"
            elif at_least is not None and value < at_least:
                yield _show(value, path), path, f"Member must have value greater than or equal to {at_least}"
            elif at_most is not None and value > at_most:
                yield _show(value, path), path, f"Member must have value less than or equal to {at_most}"
        case inspect.FloatType():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield _show(value, path), path, "Member must be a number"
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield _show(value, path), path, "Member must be true or false"
        case _:
            return  # nothing else occurs in a request; msgspec's own words are used then


def _check_struct(value: object, kind: inspect.StructType, path: str) -> Iterator[_Fault]:
    if not isinstance(value, dict):
        yield _show(value, path), path, "Member must be a structure"
        return
    for field in kind.fields:
        name = field.encode_name
        inner = f"{path}.{_camel(name)}" if path else _camel(name)
        if name in value:
            yield from _check(value[name], field.type, inner)
        elif field.required and field.default is NODEFAULT:
            yield "null", inner, "Member must not be null"


def _check_map(value: dict[str, object], keys: inspect.Type, values: inspect.Type, path: str) -> Iterator[_Fault]:
    key_rules = {rule for key in value for _, _, rule in _check(key, keys, path)}
    if key_rules:
        yield _show(value, path), path, f"Map keys must satisfy constraint: [{', '.join(sorted(key_rules))}]"
    value_rules = {rule for each in value.values() for _, _, rule in _check(each, values, path)}
    if value_rules:
        yield _show(value, path), path, f"Map value must satisfy constraint: [{', '.join(sorted(value_rules))}]"


def _check_text(value: object, kind: inspect.StrType, path: str) -> Iterator[_Fault]:
    if not isinstance(value, str):
        yield _show(value, path), path, "Member must be a string"
        return
    if kind.min_length is not None and len(value) < kind.min_length:
        yield _show(value, path), path, f"Member must have length greater than or equal to {kind.min_length}"
    if kind.max_length is not None and len(value) > kind.max_length:
        yield _show(value, path), path, f"Member must have length less than or equal to {kind.max_length}"
    if kind.pattern is not None and re.search(kind.pattern, value) is None:
        pattern = _ANCHORS.sub(r"\1", kind.pattern)
        yield _show(value, path), path, f"Member must satisfy regular expression pattern: {pattern}"
    if "\0" in value:
        yield _show(value, path), path, "Member must not contain the NUL character"


def _show(value: Any, path: str) -> str:
    if _NOT_SHOWN.intersection(path.split(".")):
        return f"'{_HIDDEN}'"
    match value:
        case str():
            shown = value
        case bool() | int() | float():
            shown = str(value).lower()
        case dict():
            shown = "{…}"
        case _:
            shown = "[…]"
    if len(shown) > _SHOWN:
        shown = shown[:_SHOWN] + "…"
    return f"'{shown if shown.isprintable() else ascii(shown)[1:-1]}'"


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]
