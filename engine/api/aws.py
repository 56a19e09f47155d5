"""Aws: answers calls of the AWS APIs for one engine, whatever protocol they come in. Who may call is decided before."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from engine.api import aws_query
from engine.api.aws_error import Refusal, refusal_of
from engine.api.aws_json import CONTENT_TYPES, JSON_CALLS, PREFIXES
from engine.api.live_tail import LiveTails
from engine.api.message import Request, Response
from engine.model.actions.log import StartLiveTailResponse
from engine.model.actions.table import Action, actions_of
from engine.model.api import HostedEngine
from engine.model.audit import Caller, RefusedCall
from engine.model.base import Wire
from engine.model.errors import EngineError, ErrorCode

log = logging.getLogger(__name__)

_XML_SERVICES = frozenset({"s3", "route53", "cloudfront"})
"""They are called with REST and answer XML."""
_LARGE = 32 * 1024
"""Bodies beyond this are decoded in a thread: saying all that is wrong with a megabyte takes a while."""


class Call(Protocol):
    """One action in one protocol."""

    action: Action
    name: str

    def decode(self, request: Request) -> Wire | Refusal: ...
    def respond(self, answer: Wire, request_id: str) -> Response: ...
    def refuse(self, refusal: Refusal, request_id: str) -> Response: ...


class Unknown:
    """A call that cannot be made: of something that is not there, or in the wrong way. `action` where one is meant,
    else `service` if it is known whose it would be.
    """

    def __init__(
        self, refusal: Refusal, *, name: str = "", service: str = "", action: Action | None = None, form: bool = False
    ) -> None:
        self.refusal = refusal
        self.name = action.name if action else name
        self.source = f"{service}.amazonaws.com" if service else ""
        self.action = action
        self._form = form

    def refuse(self, refusal: Refusal, request_id: str) -> Response:
        return aws_query.refuse(refusal, request_id) if self._form else refusal.response(request_id)


def find_call(request: Request) -> Call | Unknown:
    """Which action a request calls, and in which protocol. Reads the beginning of a body at most: nobody knows yet
    who sent it.
    """
    target = (request.header(b"x-amz-target") or b"").decode("latin-1")
    media = _media(request)
    if request.method == "GET" or (not target and (media == aws_query.FORM or "Action=" in request.query)):
        found = aws_query.find(request)
        return found if not isinstance(found, str) else _unknown(found, form=True)
    call = JSON_CALLS.get(target)
    if call is None:
        return _unknown(target)
    if media not in CONTENT_TYPES:
        wanted = f"The Content-Type must be {CONTENT_TYPES[0]}."
        refusal = Refusal(status=415, code="UnsupportedMediaTypeException", message=wanted)
        return Unknown(refusal, action=call.action)
    return call


class Aws:
    def __init__(self, engine: HostedEngine) -> None:
        self._engine = engine
        self._live_tails = LiveTails(engine)

    def end_live_tails(self) -> None:
        self._live_tails.end()

    async def answer(self, request: Request, call: Call | Unknown, caller: Caller) -> Response:
        """The call's answer; every failure becomes an AWS-shaped error. Never raises."""
        if isinstance(call, Unknown):
            return self.turn_away(call, call.refusal, caller)
        try:
            if len(request.body) > _LARGE:
                argument: Any = await asyncio.to_thread(call.decode, request)
            else:
                argument = call.decode(request)
            if isinstance(argument, Refusal):
                return self.turn_away(call, argument, caller)
            answer = await self._engine.call(argument, caller=caller)
            if isinstance(answer, StartLiveTailResponse):
                return self._live_tails.follow(argument, answer, caller.request_id)
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
        source = call.source if isinstance(call, Unknown) else ""
        self._engine.turned_away(
            RefusedCall(
                caller=caller,
                source=f"{action.api.value}.amazonaws.com" if action else source,
                name=action.name if action else call.name,
                read_only=not action.mutates if action else True,
                code=refusal.code,
                message=refusal.sentence,
            )
        )
        return call.refuse(refusal, caller.request_id)


def _unknown(name: str, *, form: bool = False) -> Unknown:
    if not name:
        message = "The X-Amz-Target header is missing; it names the action, as in AppRunner.ListServices."
        return Unknown(Refusal(status=400, code="UnknownOperationException", message=message), form=form)
    shown = name[:100] if name.isprintable() else ascii(name[:100])
    prefix, _, operation = shown.rpartition(".")
    service, message = "", f"The operation {shown} is not known here."
    for api, prefixes in PREFIXES.items():
        if prefix in prefixes:
            service, shown = api.value, operation
            message = f"Homerun has no {operation} of {service}. It has {', '.join(sorted(actions_of(api)))}."
    refusal = Refusal(status=400, code="UnknownOperationException", message=message)
    return Unknown(refusal, name=shown, service=service, form=form)


def foreign(request: Request, service: str, known: Iterable[str]) -> Unknown:
    """A call of a service of AWS that is not here: a profile with an `endpoint_url` sends all of them.

    Refused in the form in which its clients read errors, so that they show the sentence.
    """
    shown = service[:40] if service.isprintable() else ascii(service[:40])
    message = (
        f"Homerun has no {shown}: it answers {', '.join(sorted(known))}. Send calls of other services"
        " to AWS, with another profile."
    )
    target = (request.header(b"x-amz-target") or b"").decode("latin-1")
    return Unknown(
        Refusal(status=400, code="UnknownOperationException", message=message),
        name=target.rpartition(".")[2][:100],
        service=shown,
        form=service in _XML_SERVICES or (not target and _media(request) == aws_query.FORM),
    )


def _media(request: Request) -> str:
    return (request.header(b"content-type") or b"").partition(b";")[0].strip().lower().decode("latin-1")
