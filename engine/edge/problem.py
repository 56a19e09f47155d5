"""What the edge answers by itself: every problem's stable word, status and sentence, in one place."""

from enum import StrEnum
from http import HTTPStatus


class Problem(StrEnum):
    """The value goes out as `X-Homerun-Error`, so clients can tell the edge's errors from the application's."""

    BAD_REQUEST = "bad-request"
    HEADERS_TOO_LARGE = "headers-too-large"
    REQUEST_STALLED = "request-stalled"
    EXPECTATION = "expectation-unsupported"
    METHOD = "method-unsupported"
    TRANSFER_CODING = "transfer-coding-unsupported"
    HTTP_VERSION = "http-version-unsupported"
    UPGRADE = "upgrade-unsupported"
    UNKNOWN_HOST = "unknown-host"
    UNAVAILABLE = "unavailable"
    UNREACHABLE = "instance-unreachable"
    NO_ANSWER = "instance-no-answer"
    BAD_ANSWER = "instance-bad-answer"
    TIMEOUT = "request-timeout"
    INTERNAL = "edge-internal"


_ANSWERS: dict[Problem, tuple[int, str]] = {
    Problem.BAD_REQUEST: (400, "The request is not valid HTTP."),
    Problem.HEADERS_TOO_LARGE: (431, "The request's headers are too large; at most 64 KiB and 100 headers are taken."),
    Problem.REQUEST_STALLED: (408, "The request's headers did not arrive in time."),
    Problem.EXPECTATION: (417, "Only the expectation 100-continue is supported."),
    Problem.METHOD: (501, "This method is not supported here."),
    Problem.TRANSFER_CODING: (501, "Only the transfer coding chunked is supported."),
    Problem.HTTP_VERSION: (505, "Only HTTP/1.0 and HTTP/1.1 are spoken here."),
    Problem.UPGRADE: (501, "WebSockets and other protocol upgrades are not supported yet; use plain HTTP requests."),
    Problem.UNKNOWN_HOST: (404, "No service answers for this host name."),
    Problem.UNAVAILABLE: (503, "No instance of the service is running."),
    Problem.UNREACHABLE: (502, "The service's instance refuses connections; its application logs may say why."),
    Problem.NO_ANSWER: (
        502,
        "The service's instance closed the connection without an answer; its application logs may say why.",
    ),
    Problem.BAD_ANSWER: (502, "The service's instance sent an answer that is not valid HTTP."),
    Problem.TIMEOUT: (504, "The service did not finish the request in time."),
    Problem.INTERNAL: (500, "The edge failed to handle the request; its log says why."),
}


class Refused(Exception):  # noqa: N818 - reads as what happened to the request
    """A request that gets no further than the edge."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(detail or problem.value)
        self.problem = problem
        self.detail = detail


def status_of(problem: Problem) -> int:
    return _ANSWERS[problem][0]


def render_problem(
    problem: Problem, detail: str = "", *, retry_after_s: int = 0, keep_alive: bool, head_only: bool = False
) -> bytes:
    """The whole answer as bytes. `detail` replaces the problem's own sentence; `head_only` leaves out the body."""
    status, sentence = _ANSWERS[problem]
    body = ((detail or sentence) + "\n").encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"X-Homerun-Error: {problem.value}\r\n"
        + (f"Retry-After: {retry_after_s}\r\n" if retry_after_s else "")
        + f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    ).encode("ascii")
    return head if head_only else head + body
