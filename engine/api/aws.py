"""Aws: answers calls of the AWS APIs for one engine, whatever protocol they come in. Who may call is decided before."""

import logging
from typing import Any, Protocol

from engine.api.aws_error import Refusal, refusal_of
from engine.api.aws_json import CONTENT_TYPES, JSON_CALLS
from engine.api.aws_query import FORM, query_call
from engine.api.live_tail import live_tail
from engine.api.message import Request, Response
from engine.model.actions.log import StartLiveTailResponse
from engine.model.actions.table import Action
from engine.model.api import HostedEngine
from engine.model.audit import Caller, RefusedCall
from engine.model.base import Wire
from engine.model.errors import EngineError, ErrorCode

log = logging.getLogger(__name__)


class Call(Protocol):
    """One action in one protocol."""

    action: Action

    def decode(self, request: Request) -> Wire | Refusal: ...
    def respond(self, answer: Wire, request_id: str) -> Response: ...
    def refuse(self, refusal: Refusal, request_id: str) -> Response: ...


class Unknown:
    """A call of something that is not there."""

    action: None = None

    def __init__(self, name: str, refusal: Refusal) -> None:
        self.name = name
        self.refusal = refusal

    def refuse(self, refusal: Refusal, request_id: str) -> Response:
        return refusal.response(request_id)


def find_call(request: Request) -> Call | Unknown:
    """Which action a request calls, and in which protocol."""
    target = (request.header(b"x-amz-target") or b"").decode("latin-1")
    media = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower().decode("latin-1")
    if target:
        call = JSON_CALLS.get(target)
        if call is None:
            return _unknown(target)
        if media not in CONTENT_TYPES:
            wanted = f"The Content-Type must be {CONTENT_TYPES[0]}."
            return Unknown(call.action.name, Refusal(status=415, code="UnsupportedMediaTypeException", message=wanted))
        return call
    if media == FORM or "Action=" in request.query:
        found = query_call(request)
        return found if not isinstance(found, str) else _unknown(found)
    return _unknown("")


class Aws:
    def __init__(self, engine: HostedEngine) -> None:
        self._engine = engine

    async def answer(self, request: Request, call: Call | Unknown, caller: Caller) -> Response:
        """The call's answer; every failure becomes an AWS-shaped error. Never raises."""
        if isinstance(call, Unknown):
            return self.turn_away(call, call.refusal, caller)
        try:
            argument: Any = call.decode(request)
            if isinstance(argument, Refusal):
                return self.turn_away(call, argument, caller)
            answer = await self._engine.call(argument, caller=caller)
            if isinstance(answer, StartLiveTailResponse):
                return live_tail(self._engine, argument, answer, caller.request_id)
            return call.respond(answer, caller.request_id)
        except EngineError as error:
            refusal = refusal_of(error, call.action.api)
        except Exception:
            log.exception("Unexpected error in %s, request id %s", call.action.name, caller.request_id)
            refusal = refusal_of(
                EngineError(
                    ErrorCode.INTERNAL,
                    f"Something went wrong in Homerun itself; its log has the details under {caller.request_id}.",
                ),
                call.action.api,
            )
        return call.refuse(refusal, caller.request_id)

    def turn_away(self, call: Call | Unknown, refusal: Refusal, caller: Caller) -> Response:
        """Refuse a call before it reaches the door, and have it recorded."""
        action = call.action
        self._engine.turned_away(
            RefusedCall(
                caller=caller,
                source=f"{action.api.value}.amazonaws.com" if action else "",
                name=action.name if action else call.name,  # type: ignore[union-attr]
                read_only=not action.mutates if action else True,
                code=refusal.code,
                message=refusal.sentence,
            )
        )
        return call.refuse(refusal, caller.request_id)


def _unknown(target: str) -> Unknown:
    if not target:
        message = "The X-Amz-Target header is missing; it names the action, as in AppRunner.ListServices."
        return Unknown("", Refusal(status=400, code="UnknownOperationException", message=message))
    shown = target[:100] if target.isprintable() else ascii(target[:100])
    message = f"The operation {shown} is not known here."
    return Unknown(shown, Refusal(status=400, code="UnknownOperationException", message=message))
