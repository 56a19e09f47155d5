"""A request's head as it came in: checked strictly, and rendered for the instance."""

import re
from typing import Protocol

from engine.edge.framing import LENGTH, NONE, request_framing
from engine.edge.problem import Problem, Refused

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers; nginx takes 32 KiB, Envoy 60 KiB."""
MAX_HEADERS = 100
"""Envoy's and Apache's limit."""
_MAX_REQUEST_ID = 200

SPECIAL = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"upgrade",
        b"http2-settings",
        b"expect",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-request-id",
    }
)
"""Headers that the edge reads, rewrites or, being hop-by-hop, keeps to itself. All others pass verbatim."""

_METHODS = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE COPY LOCK UNLOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH BIND REBIND "
    b"UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK "
    b"QUERY".split()
)
"""What the parser knows, less CONNECT and the methods of RTSP, ICE and HTTP/2."""
_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"close", b"Keep-Alive"})
"""What nearly every Connection header says; it nominates nothing."""
_CONNECTION_WORDS = frozenset({b"close", b"keep-alive", b"upgrade", b"http2-settings", b"te", b"host", b""})
_ABSOLUTE = re.compile(rb"(?i:http)://([^/?#]*)([^#]*)")


class Parser(Protocol):
    """The part of httptools.HttpRequestParser that is asked for once the headers are complete."""

    def get_method(self) -> bytes: ...
    def get_http_version(self) -> str: ...
    def should_keep_alive(self) -> bool: ...


class Request:
    """Filled header by header, then sealed once. Bytes are as the client sent them."""

    __slots__ = (
        "complete",
        "expects_continue",
        "forwarded_for",
        "framing",
        "host",
        "http11",
        "keep_alive",
        "length",
        "lines",
        "method",
        "repeatable",
        "request_id",
        "special",
        "target",
        "upgrade",
    )

    def __init__(self) -> None:
        self.target = b""
        self.lines: list[bytes] = []
        """Headers that pass verbatim, without their line ends."""
        self.special: list[tuple[bytes, bytes]] = []
        """Lower-case name and value of the others."""
        self.method = b""
        self.http11 = True
        self.keep_alive = False
        self.complete = False
        """The last byte of the body has been read."""

    def seal(self, parser: Parser) -> None:
        """Check the head and understand it. Raises Refused."""
        lines = self.lines
        special = self.special
        if len(lines) + len(special) > MAX_HEADERS:
            raise Refused(Problem.HEADERS_TOO_LARGE)
        version = parser.get_http_version()
        self.http11 = http11 = version == "1.1"
        if not http11 and version != "1.0":
            raise Refused(Problem.HTTP_VERSION)
        self.method = method = parser.get_method()
        if method not in _METHODS:
            raise Refused(Problem.METHOD)

        host: bytes | None = None
        lengths: tuple[bytes, ...] = ()
        codings: tuple[bytes, ...] = ()
        expects = upgrade = request_id = forwarded_for = b""
        nominated: frozenset[bytes] = frozenset()
        for name, value in special:
            if name == b"host":
                if host is not None:
                    raise Refused(Problem.BAD_REQUEST, "The request has more than one Host header.")
                host = value.strip(b" \t")
            elif name == b"connection":
                if value not in _PLAIN_CONNECTION:
                    nominated |= {word.strip(b" \t") for word in value.lower().split(b",")}
            elif name == b"content-length":
                lengths = (*lengths, value)
            elif name == b"transfer-encoding":
                codings = (*codings, value)
            elif name == b"x-forwarded-for":
                forwarded_for += (b", " if forwarded_for else b"") + value.strip(b" \t")
            elif name == b"x-request-id":
                request_id = request_id or value.strip(b" \t")
            elif name == b"expect":
                expects = value.strip(b" \t").lower()
            elif name == b"upgrade":
                upgrade = value.strip(b" \t").lower()

        if nominated and (nominated := nominated - _CONNECTION_WORDS):
            self.lines = [line for line in lines if line.partition(b":")[0].lower() not in nominated]
            if b"x-forwarded-for" in nominated:
                forwarded_for = b""
            if b"x-request-id" in nominated:
                request_id = b""
        if expects and http11 and expects != b"100-continue":
            raise Refused(Problem.EXPECTATION)
        if self.target[:1] != b"/" or b"#" in self.target:
            host = self._resolve_target(host)
        if host is None and http11:
            raise Refused(Problem.BAD_REQUEST, "An HTTP/1.1 request needs a Host header.")
        self.host = host or b""
        self.framing, self.length = request_framing(lengths, codings, http11=http11)
        self.expects_continue = bool(expects) and http11
        self.upgrade = upgrade
        self.forwarded_for = forwarded_for
        self.request_id = request_id if len(request_id) <= _MAX_REQUEST_ID and request_id.isascii() else b""
        self.keep_alive = parser.should_keep_alive()
        self.repeatable = self.framing is NONE and method in _IDEMPOTENT
        """May be sent to a second instance although a first one may have seen it."""

    def render(self, host_lines: bytes, peer: bytes, peer_lines: bytes, made_id: bytes) -> bytes:
        """The head for the instance. `host_lines` and `peer_lines` are precomputed headers without a last line end."""
        parts = [self.method + b" " + self.target + b" HTTP/1.1", host_lines, *self.lines]
        if self.forwarded_for:
            parts.append(b"X-Forwarded-For: " + self.forwarded_for + b", " + peer)
            parts.append(b"X-Forwarded-Proto: http")
        else:
            parts.append(peer_lines)
        if self.framing is NONE:
            parts.append(b"X-Request-ID: " + (self.request_id or made_id) + b"\r\n\r\n")
        elif self.framing is LENGTH:
            parts.append(b"X-Request-ID: %b\r\nContent-Length: %d\r\n\r\n" % (self.request_id or made_id, self.length))
        else:
            parts.append(b"X-Request-ID: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % (self.request_id or made_id))
        return b"\r\n".join(parts)

    def _resolve_target(self, host: bytes | None) -> bytes | None:
        """Bring a target that is no plain path into that form; gives the host, which an absolute one may name."""
        if self.target == b"*" and self.method == b"OPTIONS":
            return host
        match = _ABSOLUTE.fullmatch(self.target)
        if match is None:
            raise Refused(Problem.BAD_REQUEST, "The request's target is not a path.")
        authority, path = match.groups()
        if host is not None and authority.lower() != host.lower():
            raise Refused(Problem.BAD_REQUEST, "The request's target and its Host header name different hosts.")
        self.target = path if path[:1] == b"/" else b"/" + path
        return authority if host is None else host
