"""AWS Query: a call as a form, `Action=…&Version=…&Member.member.1.Name=…`, its answer as XML. Pure.

STS speaks nothing else; older clients of CloudWatch still do.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import inspect

from engine.api.aws_error import Refusal, garbled, invalid
from engine.api.message import Request, Response
from engine.model.actions.table import Action, Api, actions_of
from engine.model.base import Wire
from engine.model.constraints import explain

FORM = "application/x-www-form-urlencoded"

_VERSIONS: dict[str, tuple[Api, str]] = {
    "2010-08-01": (Api.METRICS, "http://monitoring.amazonaws.com/doc/2010-08-01/"),
    "2011-06-15": (Api.IDENTITY, "https://sts.amazonaws.com/doc/2011-06-15/"),
}
"""By the Version that a call names: the API and the name space of its answers."""

_PARAMETERS_MAX = 2_000
_BEGINNING = 4_096
_SIGNING = ("Action", "Version")


def find(request: Request) -> "QueryCall | str":
    """The call that a form, or the query of a GET, makes; its name where there is no such action.

    Clients put the action first: no more than the beginning is looked at.
    """
    given = dict(_parameters(request, at_most=_BEGINNING))
    name, version = given.get("Action", ""), given.get("Version", "")
    api, namespace = _VERSIONS.get(version, (None, ""))
    action = actions_of(api).get(name) if api is not None else None
    return name if action is None else QueryCall(action, namespace)


def refuse(refusal: Refusal, request_id: str, namespace: str = "") -> Response:
    side = "Sender" if refusal.status < 500 else "Receiver"
    space = f' xmlns="{namespace}"' if namespace else ""
    body = (
        f"<ErrorResponse{space}><Error><Type>{side}</Type><Code>{_text(refusal.code)}</Code>"
        f"<Message>{_text(refusal.sentence)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return _xml(refusal.status, body, request_id)


class QueryCall:
    """One action as it is called over a form."""

    def __init__(self, action: Action, namespace: str) -> None:
        self.action = action
        self.name = action.name
        self._namespace = namespace

    def decode(self, request: Request) -> Wire | Refusal:
        """The form's fields as the action's request, or what is wrong with them."""
        try:
            tree = _tree([(k, v) for k, v in _parameters(request) if k not in _SIGNING and not k.startswith("X-Amz-")])
        except ValueError as error:
            return garbled(str(error))
        kind = _type_of(self.action.request)
        plain = _typed(tree, kind)
        try:
            argument: Wire = msgspec.convert(plain, self.action.request)
        except msgspec.ValidationError as error:
            problem = explain(plain, self.action.request) or f"1 validation error detected: {error}"
            return invalid(problem, self.action.api)
        return argument

    def respond(self, answer: Wire, request_id: str) -> Response:
        name = self.action.name
        result = "".join(_elements(msgspec.to_builtins(answer), _type_of(type(answer))))
        body = (
            f'<{name}Response xmlns="{self._namespace}"><{name}Result>{result}</{name}Result>'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
        )
        return _xml(200, body, request_id)

    def refuse(self, refusal: Refusal, request_id: str) -> Response:
        return refuse(refusal, request_id, self._namespace)


def _xml(status: int, body: str, request_id: str) -> Response:
    return Response(
        status=status,
        body=f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode(),
        content_type="text/xml",
        headers=(("x-amzn-RequestId", request_id),),
    )


def _parameters(request: Request, *, at_most: int | None = None) -> list[tuple[str, str]]:
    """Of the form, or of the query where a call has them there. Only in a form is + a space, as in what is signed.

    Raises ValueError for too many.
    """
    if not request.body:
        pairs = (pair.partition("=") for pair in request.query.split("&")[:_PARAMETERS_MAX])
        return [(unquote(name), unquote(value)) for name, _, value in pairs]
    text = request.body[:at_most].decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True, max_num_fields=None if at_most else _PARAMETERS_MAX)


def _tree(parameters: list[tuple[str, str]]) -> dict[str, Any]:
    """`A.member.1.B=x` as {"A": {"member": {"1": {"B": "x"}}}}. Raises ValueError where names contradict each other."""
    tree: dict[str, Any] = {}
    for name, value in parameters:
        *folders, last = name.split(".")[:32]
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
            if not isinstance(here, dict):
                break
        if not isinstance(here, dict) or isinstance(here.get(last), dict):
            raise ValueError(f"The parameter {name[:100]} contradicts another one.")  # noqa: TRY004 - of text
        here[last] = value
    return tree


def _typed(value: Any, kind: inspect.Type) -> Any:
    """Text as the type that is wanted there, where it can be read so; otherwise as it is, for the validator to name."""
    match kind:
        case inspect.Metadata(type=inner):
            return _timestamp(value) if isinstance(value, str) else _typed(value, inner)
        case inspect.UnionType(types=types):
            (inner,) = [each for each in types if not isinstance(each, inspect.NoneType)]
            return _typed(value, inner)
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field.type for field in kind.fields}
            return {name: _typed(each, fields[name]) for name, each in value.items() if name in fields}
        case inspect.VarTupleType(item_type=item) if isinstance(value, dict):
            members = value.get("member", value)
            if not isinstance(members, dict) or not all(map(_is_number, members)):
                return value
            return [_typed(members[number], item) for number in sorted(members, key=int)]
        case inspect.IntType() | inspect.FloatType() if isinstance(value, str):
            try:
                return int(value) if isinstance(kind, inspect.IntType) else float(value)
            except ValueError:
                return value
        case inspect.BoolType() if isinstance(value, str) and value in {"true", "false"}:
            return value == "true"
    return value


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _timestamp(text: str) -> Any:
    """Seconds since the epoch from ISO 8601 or a number; as it is where it is neither."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _elements(value: dict[str, Any], kind: inspect.Type) -> Iterator[str]:
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - answers are shapes
    types = {field.encode_name: field.type for field in kind.fields}
    for name, each in value.items():
        yield f"<{name}>{_element(each, types[name])}</{name}>"


def _element(value: Any, kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case inspect.UnionType(types=types):
            (inner,) = [each for each in types if not isinstance(each, inspect.NoneType)]
            return _element(value, inner)
        case inspect.StructType():
            return "".join(_elements(value, kind))
        case inspect.VarTupleType(item_type=item):
            return "".join(f"<member>{_element(each, item)}</member>" for each in value)
        case inspect.DictType(value_type=item):
            entries = ((_text(key), _element(each, item)) for key, each in value.items())
            return "".join(f"<entry><key>{key}</key><value>{each}</value></entry>" for key, each in entries)
        case inspect.BoolType():
            return "true" if value else "false"
    return _text(str(value))


def _text(text: str) -> str:
    """Escaped, without what XML cannot carry."""
    plain = "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000" else "\ufffd"
        for c in text
    )
    return escape(plain, quote=False).replace("\r", "&#13;")


@lru_cache(maxsize=64)
def _type_of(shape: type[Wire]) -> inspect.Type:
    return inspect.type_info(shape)
