"""AWS JSON 1.0: a call named by X-Amz-Target, its body as the action's request, the answer or the error as JSON."""

import logging
from collections.abc import Awaitable, Callable
from typing import cast

import msgspec

from engine.api.message import Request, Response
from engine.model.actions import ACTIONS, Action
from engine.model.api import EngineApi
from engine.model.base import Value, Wire
from engine.model.constraints import explain
from engine.model.errors import EngineError, ErrorCode

log = logging.getLogger(__name__)

SERVICE = "apprunner"
"""App Runner's name in signatures."""
_TARGET_PREFIX = "AppRunner"
_CONTENT_TYPE = "application/x-amz-json-1.0"
_CONTENT_TYPES = frozenset({b"application/x-amz-json-1.0", b"application/x-amz-json-1.1"})
_MESSAGE_MAX = 600


class Refusal(Value, frozen=True, kw_only=True):
    """An error answer: HTTP status, the wire's `__type` and one sentence."""

    status: int
    code: str
    message: str

    def response(self, request_id: str) -> Response:
        # Messages may repeat what was sent: whatever cannot be encoded is replaced, never a reason to fail.
        message = self.message.encode("utf-8", "replace").decode()
        if len(message) > _MESSAGE_MAX:
            message = message[: _MESSAGE_MAX - 1] + "…"
        body = msgspec.json.encode({"__type": self.code, "Message": message})
        return _response(self.status, body, request_id)


class _Call(Value, frozen=True, kw_only=True):
    action: Action
    decoder: msgspec.json.Decoder[Wire]
    run: Callable[[Wire], Awaitable[Wire]]


class AwsJson:
    """Answers `POST /` for one engine. Who may call is decided before."""

    def __init__(self, engine: EngineApi) -> None:
        self._calls = {
            f"{_TARGET_PREFIX}.{action.name}": _Call(
                action=action,
                decoder=msgspec.json.Decoder(action.request),
                run=cast("Callable[[Wire], Awaitable[Wire]]", getattr(engine, action.method)),
            )
            for action in ACTIONS.values()
        }
        self._encoder = msgspec.json.Encoder()

    async def answer(self, request: Request, request_id: str) -> Response:
        """The call's answer; every failure becomes an AWS-shaped error. Never raises."""
        target = (request.header(b"x-amz-target") or b"").decode("latin-1")
        call = self._calls.get(target)
        if call is None:
            return _unknown(target).response(request_id)
        media = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media not in _CONTENT_TYPES:
            return Refusal(
                status=415,
                code="UnsupportedMediaTypeException",
                message=f"The Content-Type must be {_CONTENT_TYPE}.",
            ).response(request_id)
        argument = _decode(request.body, call)
        if isinstance(argument, Refusal):
            return argument.response(request_id)
        try:
            body = self._encoder.encode(await call.run(argument))
        except EngineError as error:
            status = 500 if error.code is ErrorCode.INTERNAL else 400
            return Refusal(status=status, code=error.code.value, message=error.message).response(request_id)
        except Exception:
            log.exception("Unexpected error in %s, request id %s", call.action.name, request_id)
            return Refusal(
                status=500,
                code=ErrorCode.INTERNAL.value,
                message=f"Something went wrong in Homerun itself; its log has the details under {request_id}.",
            ).response(request_id)
        return _response(200, body, request_id)


def _response(status: int, body: bytes, request_id: str) -> Response:
    return Response(
        status=status,
        body=body,
        content_type=_CONTENT_TYPE,
        headers=(("x-amzn-RequestId", request_id),),
    )


def _unknown(target: str) -> Refusal:
    if not target:
        message = "The X-Amz-Target header is missing; it names the action, as in AppRunner.ListServices."
    else:
        shown = target[:100] if target.isprintable() else ascii(target[:100])
        message = f"The operation {shown} is not known here."
    return Refusal(status=400, code="UnknownOperationException", message=message)


def _decode(body: bytes, call: _Call) -> Wire | Refusal:
    """The body as the action's request, or what is wrong with it."""
    try:
        argument = call.decoder.decode(body)
    except msgspec.ValidationError as error:
        return _invalid(body, call.action, fallback=str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _garbled(f"The request body is not valid JSON: {error}.")
    except RecursionError:
        return _garbled("The request body is nested too deeply.")
    if b"\\u0000" in body and (problem := explain(msgspec.json.decode(body), call.action.request)):
        return Refusal(status=400, code=ErrorCode.INVALID_REQUEST.value, message=problem)
    return argument


def _invalid(body: bytes, action: Action, *, fallback: str) -> Refusal:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The typed decoder met the fault of a member first; behind it the text is no JSON either.
        return _garbled("The request body is not valid JSON.")
    except RecursionError:
        return _garbled("The request body is nested too deeply.")
    if not isinstance(value, dict):
        return _garbled("The request body must be a JSON object.")
    return Refusal(
        status=400,
        code=ErrorCode.INVALID_REQUEST.value,
        message=explain(value, action.request) or f"1 validation error detected: {fallback}",
    )


def _garbled(message: str) -> Refusal:
    return Refusal(status=400, code="SerializationException", message=message)
