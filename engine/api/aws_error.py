"""Errors on the wire: HTTP status, the type that clients match on and one sentence, for each API in its own words."""

import msgspec

from engine.api.message import Response
from engine.model.actions.table import Api
from engine.model.base import Value
from engine.model.errors import EngineError, ErrorCode

_MESSAGE_MAX = 600
"""App Runner's ErrorMessage."""


class Refusal(Value, frozen=True, kw_only=True):
    """An error answer."""

    status: int
    code: str
    message: str

    @property
    def sentence(self) -> str:
        """The message, short enough, and without what cannot be encoded: it may repeat what was sent."""
        message = self.message.encode("utf-8", "replace").decode()
        return message if len(message) <= _MESSAGE_MAX else message[: _MESSAGE_MAX - 1] + "…"

    def response(self, request_id: str, content_type: str = "application/x-amz-json-1.0") -> Response:
        """As JSON; App Runner spells the member `Message`."""
        return Response(
            status=self.status,
            body=msgspec.json.encode({"__type": self.code, "Message": self.sentence}),
            content_type=content_type,
            headers=(("x-amzn-RequestId", request_id),),
        )


def refusal_of(error: EngineError, api: Api) -> Refusal:
    return Refusal(
        status=500 if error.code is ErrorCode.INTERNAL else 400, code=api.error_type(error), message=error.message
    )


def invalid(message: str, api: Api) -> Refusal:
    return refusal_of(EngineError(ErrorCode.INVALID_REQUEST, message), api)


def garbled(message: str) -> Refusal:
    return Refusal(status=400, code="SerializationException", message=message)
