"""AWS Signature Version 4: is this call signed by someone who holds the home's secret? Pure.

A signature may come in the Authorization header (here) or in the query (presigned); both are read into the same
`Signed` value and checked in one place.
"""

import hashlib
import hmac
import re
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import quote, unquote

from engine.api.credentials import Credentials
from engine.api.message import Request
from engine.model.base import Value

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S = 5 * 60
"""A signature's time may be this far from ours, either way."""

EXPIRES_MAX_S = 7 * 86400
"""A presigned request is good for a week at most."""

_KEY_SHOWN = 128
_WHICH_KEYS = "calls to this endpoint are signed with the keys that `homerun credentials` prints."
_HEADERS_MAX = 100
_AMZ_DATE = "%Y%m%dT%H%M%SZ"
_MUST_BE_SIGNED = ("host", "x-amz-date", "x-amz-target")
_TIMESTAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class SignatureError(Exception):
    """A call that is not signed as it must be. `code` is the wire's `__type`, the status is 400 as JSON services do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.access_key_id = ""
        """Whose signature it claims to be, and for which service."""
        self.service = ""


class Signed(Value, frozen=True, kw_only=True):
    """A signature with everything it says about itself."""

    access_key_id: str
    date: str
    """YYYYMMDD of the credential scope."""
    region: str
    service: str
    headers: tuple[str, ...]
    """The signed headers, lower case, in the order given."""
    signature: str
    timestamp: str
    """ISO 8601 basic, 20260102T030405Z."""
    expires_s: int | None = None
    """How long a presigned request is good for, from its time on; None for a signature in the header."""

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def verify(request: Request, credentials: Credentials, now: float, services: Collection[str]) -> str:
    """The id of the key that signed this request. `now`: epoch seconds; `services`: the signing names that will do.

    Any region is accepted. A signature is good for SKEW_S either way of its time, or as long as it says if it is in the
    query; within that time the same request may come again, as clients that poll or retry send it.

    Raises SignatureError.
    """
    signed = read_query(request) if _in_query(request) else read_header(request)
    try:
        check(signed, request, credentials, now=now, services=services)
    except SignatureError as error:
        error.access_key_id, error.service = signed.access_key_id[:_KEY_SHOWN], signed.service
        raise
    return signed.access_key_id


def is_signed(request: Request) -> bool:
    """Whether a request says that it is: nothing is checked."""
    return _in_query(request) or request.header(b"authorization") is not None


def read_header(request: Request) -> Signed:
    """The signature in the Authorization header. Raises SignatureError when it is absent or incomplete."""
    raw = request.header(b"authorization")
    if raw is None:
        raise SignatureError("MissingAuthenticationTokenException", f"Missing Authentication Token: {_WHICH_KEYS}")
    text = raw.decode("latin-1")
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"The Authorization header must begin with {ALGORITHM}")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if not parts.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter")
    key, date, region, service = _credential(parts["Credential"])
    return Signed(
        access_key_id=key,
        date=date,
        region=region,
        service=service,
        headers=tuple(parts["SignedHeaders"].split(";")),
        signature=parts["Signature"],
        timestamp=_timestamp(request),
    )


def read_query(request: Request) -> Signed:
    """The signature in the query of a presigned request. Raises SignatureError when it is incomplete."""
    if request.header(b"authorization") is not None:
        raise _incomplete("A request is signed in its header or in its query, not in both")
    pairs = (pair.partition("=") for pair in request.query.split("&"))
    given = {unquote(n, encoding="latin-1"): unquote(v, encoding="latin-1") for n, _, v in pairs}
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"):
        if not given.get(f"X-Amz-{name}"):
            raise _incomplete(f"AWS query-string parameters must include 'X-Amz-{name}'")
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"X-Amz-Algorithm must be {ALGORITHM}")
    expires = given["X-Amz-Expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 6 and 1 <= int(expires) <= EXPIRES_MAX_S):
        raise _incomplete(f"X-Amz-Expires must be a number of seconds from 1 to {EXPIRES_MAX_S}")
    key, date, region, service = _credential(given["X-Amz-Credential"])
    return Signed(
        access_key_id=key,
        date=date,
        region=region,
        service=service,
        headers=tuple(given["X-Amz-SignedHeaders"].split(";")),
        signature=given["X-Amz-Signature"],
        timestamp=given["X-Amz-Date"],
        expires_s=int(expires),
    )


def check(signed: Signed, request: Request, credentials: Credentials, *, now: float, services: Collection[str]) -> None:
    """Raises SignatureError unless the signature is this request's, made in time with these credentials."""
    if not hmac.compare_digest(signed.access_key_id.encode(), credentials.access_key_id.encode()):
        message = f"The security token included in the request is invalid: {_WHICH_KEYS}"
        raise SignatureError("UnrecognizedClientException", message)
    if signed.service not in services:
        wanted = " or ".join(f"'{service}'" for service in sorted(services))
        raise SignatureError("InvalidSignatureException", f"Credential should be scoped to correct service: {wanted}.")
    if len(signed.headers) > _HEADERS_MAX:
        raise _incomplete(f"At most {_HEADERS_MAX} headers can be signed")
    for name in _MUST_BE_SIGNED:
        if name not in signed.headers and request.header(name.encode()) is not None:
            raise _incomplete(f"'{name}' must be a signed header")
    _check_time(signed, now)
    expected = signature_of(signed, request, credentials.secret_access_key)
    if _SIGNATURE.fullmatch(signed.signature) is None or not hmac.compare_digest(signed.signature, expected):
        raise SignatureError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def signature_of(signed: Signed, request: Request, secret: str) -> str:
    """The signature that this request must have, 64 hex digits."""
    canonical = hashlib.sha256(canonical_request(request, signed.headers)).hexdigest()
    to_sign = f"{ALGORITHM}\n{signed.timestamp}\n{signed.scope}\n{canonical}"
    key = _signing_key(secret, signed.date, signed.region, signed.service)
    return hmac.new(key, to_sign.encode("latin-1"), hashlib.sha256).hexdigest()


def canonical_request(request: Request, signed_headers: tuple[str, ...]) -> bytes:
    lines = [
        request.method,
        quote(request.path, safe="/-_.~", encoding="latin-1"),
        canonical_query(request.query),
    ]
    values: dict[str, str] = {}
    for key, value in request.headers:
        name, text = key.decode("latin-1"), " ".join(value.decode("latin-1").split())
        values[name] = f"{values[name]},{text}" if name in values else text
    lines += [f"{name}:{values.get(name, '')}" for name in signed_headers]
    lines += ["", ";".join(signed_headers), hashlib.sha256(request.body).hexdigest()]
    return "\n".join(lines).encode("latin-1")


def canonical_query(query: str) -> str:
    """Names and values encoded anew and sorted, the signature left out."""
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name != "X-Amz-Signature":
            pairs.append((_encode(name), _encode(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encode(text: str) -> str:
    return quote(unquote(text, encoding="latin-1"), safe="-_.~", encoding="latin-1")


@lru_cache(maxsize=32)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode("latin-1"), hashlib.sha256).digest()
    return key


def _in_query(request: Request) -> bool:
    return "X-Amz-Signature=" in request.query or "X-Amz-Credential=" in request.query


def _credential(text: str) -> tuple[str, str, str, str]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise _incomplete("Credential must have the form KEY/YYYYMMDD/REGION/SERVICE/aws4_request")
    key, date, region, service, _ = parts
    return key, date, region, service


def _timestamp(request: Request) -> str:
    stamp = request.header(b"x-amz-date")
    if stamp is not None:
        return stamp.decode("latin-1").strip()
    date = request.header(b"date")
    if date is None:
        raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header")
    try:
        parsed = parsedate_to_datetime(date.decode("latin-1"))
    except ValueError:
        raise _incomplete("The Date header is not a date") from None
    return parsed.astimezone(UTC).strftime(_AMZ_DATE)


def _check_time(signed: Signed, now: float) -> None:
    at = _epoch(signed.timestamp)
    if at is None:
        raise _incomplete("Date must be in ISO-8601 'basic format', as in 20260102T030405Z")
    if not signed.timestamp.startswith(signed.date + "T"):
        raise SignatureError(
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.",
        )
    if signed.expires_s is not None and at - SKEW_S <= now <= at + signed.expires_s:
        return
    if signed.expires_s is not None and now > at:
        message = f"Signature expired: {signed.timestamp} was good for {signed.expires_s} s; it is {_stamp(now)} now."
        raise SignatureError("InvalidSignatureException", message)
    if abs(at - now) <= SKEW_S:
        return
    ours, earliest, latest = _stamp(now), _stamp(now - SKEW_S), _stamp(now + SKEW_S)
    if at < now:
        message = f"Signature expired: {signed.timestamp} is now earlier than {earliest} ({ours} - 5 min.)"
    else:
        message = f"Signature not yet current: {signed.timestamp} is still later than {latest} ({ours} + 5 min.)"
    raise SignatureError("InvalidSignatureException", message)


@lru_cache(maxsize=64)
def _epoch(timestamp: str) -> float | None:
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(_AMZ_DATE)


def _incomplete(message: str) -> SignatureError:
    return SignatureError("IncompleteSignatureException", f"{message}.")
