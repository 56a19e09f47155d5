"""AWS JSON: a call named by X-Amz-Target, its body as the action's request, the answer as JSON. Pure."""

import msgspec

from engine.api.aws_error import Refusal, garbled, invalid
from engine.api.message import Request, Response
from engine.model.actions.table import Action, Api, actions_of
from engine.model.base import Wire
from engine.model.constraints import explain

CONTENT_TYPES = ("application/x-amz-json-1.0", "application/x-amz-json-1.1")
"""The second is what older APIs say; both mean the same."""

PREFIXES: dict[Api, tuple[str, ...]] = {
    Api.APP_RUNNER: ("AppRunner",),
    Api.LOGS: ("Logs_20140328",),
    Api.METRICS: ("GraniteServiceVersion20100801",),
    Api.TRAIL: ("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "CloudTrail_20131101"),
}
"""What stands before the action in X-Amz-Target."""

_ENCODER = msgspec.json.Encoder()


class JsonCall:
    """One action as it is called over JSON; made once for each target."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.name = action.name
        self._decoder = msgspec.json.Decoder(action.request)

    def respond(self, answer: Wire, request_id: str) -> Response:
        return Response(
            status=200,
            body=_ENCODER.encode(answer),
            content_type=CONTENT_TYPES[0],
            headers=(("x-amzn-RequestId", request_id),),
        )

    def refuse(self, refusal: Refusal, request_id: str) -> Response:
        return refusal.response(request_id)

    def decode(self, request: Request) -> Wire | Refusal:
        """The body as the action's request (an empty one as {}), or what is wrong with it."""
        action, body = self.action, request.body or b"{}"
        try:
            argument: Wire = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            return _explained(body, action, fallback=str(error))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return garbled(f"The request body is not valid JSON: {error}.")
        except RecursionError:
            return garbled("The request body is nested too deeply.")
        return argument


JSON_CALLS: dict[str, JsonCall] = {
    f"{prefix}.{name}": JsonCall(action)
    for api, prefixes in PREFIXES.items()
    for name, action in actions_of(api).items()
    for prefix in prefixes
}
"""By X-Amz-Target."""


def _explained(body: bytes, action: Action, *, fallback: str) -> Refusal:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The typed decoder met the fault of a member first; behind it the text is no JSON either.
        return garbled("The request body is not valid JSON.")
    except RecursionError:
        return garbled("The request body is nested too deeply.")
    if not isinstance(value, dict):
        return garbled("The request body must be a JSON object.")
    return invalid(explain(value, action.request) or f"1 validation error detected: {fallback}", action.api)
