"""The two doors for programs: the API on TCP, which wants signatures, and the Unix socket, which trusts its mode."""

import ipaddress
import re
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from engine import __version__
from engine.api import attach, attach_protocol, signature
from engine.api.aws import Aws, find_call, foreign
from engine.api.aws_error import Refusal
from engine.api.credentials import Credentials
from engine.api.message import Request, Response, text
from engine.model.actions.table import Api
from engine.model.api import HostedEngine
from engine.model.audit import OWNER, Caller
from engine.model.base import Value
from engine.model.clock import Clock
from engine.model.ids import new_call_id

UPGRADES = frozenset({attach_protocol.UPGRADE.encode()})
"""What a connection to the Unix socket may be switched to."""
SIGNING_NAMES = frozenset(Api) - {Api.HOMERUN}
_AGENT_MAX = 512
_NOTHING_THERE = Refusal(status=404, code="UnknownOperationException", message="There is nothing at this path.")
_HOST = re.compile(r"(?P<name>\[(?P<ipv6>[0-9a-fA-F:.]+)\]|[^\s:@/\[\]]+)(:[0-9]+)?")


class StopRequest(Value, frozen=True, kw_only=True):
    """Body of `POST /stop` on the Unix socket."""

    instances: bool = False
    """Also end what the engine runs."""


class TcpEndpoint:
    """The AWS APIs for programs on this machine; `host` is the address it is bound to."""

    def __init__(self, engine: HostedEngine, credentials: Credentials, *, host: str, url: str, clock: Clock) -> None:
        self._aws = Aws(engine)
        self.credentials = credentials
        self._host = host
        self._usage = _usage(url)
        self._clock = clock

    async def handle(self, request: Request) -> Response:
        request_id = new_call_id()
        refusal = self._stranger(request)
        if not _is_call(request):
            return refusal.response(request_id) if refusal else _plain(request, request_id, self._usage)
        call = find_call(request)
        caller = _caller(request, request_id)
        if refusal is not None:
            return self._aws.turn_away(call, refusal, caller)
        try:
            key = signature.verify(
                request,
                self.credentials,
                self._clock.now(),
                {call.action.api} if call.action else SIGNING_NAMES,
            )
        except signature.SignatureError as error:
            refusal = Refusal(status=400, code=error.code, message=error.message)
            if error.service and error.service not in SIGNING_NAMES:
                call = foreign(request, error.service, SIGNING_NAMES)
                refusal = call.refusal
            return self._aws.turn_away(call, refusal, replace(caller, access_key_id=error.access_key_id))
        caller = replace(caller, user=OWNER, access_key_id=key)
        if request.path != "/":
            return self._aws.turn_away(call, _NOTHING_THERE, caller)
        return await self._aws.answer(request, call, caller)

    def rotate(self, credentials: Credentials) -> None:
        """From now on these count, and nothing goes on that was begun with others."""
        self.credentials = credentials
        self._aws.end_live_tails()

    def _stranger(self, request: Request) -> Refusal | None:
        """Web pages get nothing: neither by a name of theirs that points here, nor by a request across origins."""
        host = (request.header(b"host") or b"").decode("latin-1")
        if not host_allowed(host, self._host):
            shown = host if host.isprintable() else ascii(host)
            return _denied(f"This endpoint does not answer for the host {shown[:100]!r}; call it by its address.")
        if request.header(b"origin") is not None:
            return _denied("This endpoint does not answer to web pages.")
        return None


class SocketEndpoint:
    """The same APIs for whoever may open the socket, and the doors that only they have: attach, stop, new keys."""

    def __init__(self, engine: HostedEngine, *, stop: Callable[[bool], None], rotate: Callable[[], None]) -> None:
        self._aws = Aws(engine)
        self._engine = engine
        self._stop = stop
        self._rotate = rotate

    async def handle(self, request: Request) -> Response:
        request_id = new_call_id()
        match request.method, request.path:
            case "POST", "/":
                caller = replace(_caller(request, request_id), user="socket")
                return await self._aws.answer(request, find_call(request), caller)
            case "GET", attach_protocol.PATH:
                return attach.accept(request, self._engine)
            case "POST", "/credentials/reload":
                self._rotate()
                return text(202, "The keys in the home's file are the ones that count now.")
            case "POST", "/stop":
                try:
                    wish = msgspec.json.decode(request.body or b"{}", type=StopRequest)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    return text(400, 'The body must be like {"instances": false}.')
                self._stop(wish.instances)
                return text(202, "Stopping.")
        return _plain(request, request_id, _usage("http://localhost"))


def _is_call(request: Request) -> bool:
    """An attempt to have something done, rather than a look at what this is."""
    if request.method == "POST" and request.path == "/":
        return True
    return "Action=" in request.query or signature.is_signed(request)


def aws_refusal(status: int, sentence: str, *, close: bool = False) -> Response:
    """What the HTTP server itself refuses (a body too large, garbled framing), in the shape that clients read."""
    codes = {
        413: "RequestEntityTooLargeException",
        431: "RequestHeaderFieldsTooLargeException",
        500: "InternalFailure",
    }
    refusal = Refusal(status=status, code=codes.get(status, "BadRequestException"), message=sentence)
    return replace(refusal.response(new_call_id()), close=close)


def _caller(request: Request, request_id: str) -> Caller:
    """Who says they call; nothing is proved yet."""
    agent = (request.header(b"user-agent") or b"").decode("latin-1")[:_AGENT_MAX]
    return Caller(user="", source_ip=request.peer, user_agent=agent, request_id=request_id)


def host_allowed(header: str, bound: str) -> bool:
    """Whether a Host header is one that only this machine's own programs (or the bound address) have a reason to send.

    Loopback names and addresses are; so is the bound address, or any address where it is bound to all of them: a
    rebound DNS name is never an address.
    """
    match = _HOST.fullmatch(header)
    if match is None:
        return False
    name = match["name"].lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost") or name == bound.lower():
        return True
    address = _address(match["ipv6"] or name)
    if address is None:
        return False
    ours = _address(bound)
    return address.is_loopback or address == ours or (ours is not None and ours.is_unspecified)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _denied(message: str) -> Refusal:
    return Refusal(status=403, code="AccessDeniedException", message=message)


def _plain(request: Request, request_id: str, usage: str) -> Response:
    """Everything but calls: what this is, whether it is well, and what it is not."""
    if request.path not in {"/", "/healthz"}:
        return _NOTHING_THERE.response(request_id)
    if request.method not in {"GET", "HEAD"}:
        return Refusal(
            status=405, code="UnknownOperationException", message="Calls are sent with POST to the path /."
        ).response(request_id)
    return text(200, "ok" if request.path == "/healthz" else usage)


def _usage(url: str) -> str:
    return (
        f"Homerun {__version__}: the App Runner API of this machine.\n\n"
        f"    aws --endpoint-url {url} apprunner list-services\n\n"
        "Calls are signed with the keys that `homerun credentials` prints; a profile with\n"
        "`credential_process = homerun credentials` in ~/.aws/config does it for you."
    )
