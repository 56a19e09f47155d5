"""What arrives broken over TCP is answered as AWS answers it, and harms nobody."""

import json
import re
import socket
import time
import warnings
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from engine.api.credentials import load_or_create
from tests.conformance.wire import JSON, Wire

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

pytestmark = pytest.mark.slow

LIST = "AppRunner.ListServices"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def wire(hosted):
    with Wire(hosted.host.record.api) as wire:
        yield wire
        assert hosted.loop.is_running()


@pytest.fixture
def sign(hosted):
    """The header lines of a signed call."""
    keys = load_or_create(hosted.home)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key)

    def signed(body: bytes, target: str = LIST, content_type: str = JSON) -> list[str]:
        headers = {"X-Amz-Target": target, "Content-Type": content_type}
        if not target:
            del headers["X-Amz-Target"]
        request = AWSRequest("POST", "http://localhost/", headers=headers, data=body)
        auth.SigV4Auth(credentials, "apprunner", "us-east-1").add_auth(request)
        return [f"{name}: {value}" for name, value in request.headers.items()]

    return signed


def error_in(answer) -> tuple[int, str, str]:
    """Its status, type and text, once it has been seen to have the shape of an AWS error."""
    assert 400 <= answer.status < 500, answer
    assert answer.headers["content-type"] == JSON
    assert re.fullmatch(UUID, answer.headers["x-amzn-requestid"])
    assert set(answer.value) == {"__type", "Message"}
    assert 0 < len(answer.value["Message"]) <= 600
    return answer.status, answer.value["__type"], answer.value["Message"]


def works(wire, sign) -> bool:
    answer = wire.post(b"{}", *sign(b"{}"))
    return answer.status == 200 and answer.value == {"ServiceSummaryList": []}


def test_an_empty_body_is_a_request_without_members(wire, sign):
    assert wire.post(b"", *sign(b"")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"MaxResults":',
        b'{"MaxResults": 1',
        b'{"NextToken": "',
        b"{'MaxResults': 1}",
        b'{"MaxResults": 1,}',
        b'{"MaxResults": 01}',
        b'{"NextToken": "\xff"}',
        b'{"NextToken": "\\ud800"}',
        b'{"NextToken": "\0"}',
        b"\xef\xbb\xbf{}",
        b'{"MaxResults": 1e999}',
        b'{"MaxResults": ' + b"9" * 100_000 + b"}",
        b"Action=ListServices",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"NextToken": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: f"{body[:16]!r}-{len(body)}",
)
def test_a_body_that_is_no_request_is_a_serialization_exception(wire, sign, body):
    status, code, _ = error_in(wire.post(body, *sign(body)))

    assert (status, code) == (400, "SerializationException")
    assert works(wire, sign)


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/x-amz-json-2.0"])
def test_a_wrong_content_type_is_told(wire, sign, content_type):
    status, code, message = error_in(wire.post(b"{}", *sign(b"{}", content_type=content_type)))

    assert (status, code) == (415, "UnsupportedMediaTypeException")
    assert JSON in message
    assert works(wire, sign)


@pytest.mark.parametrize("more", [(), ("Expect: 100-continue",)], ids=["plain", "asks first"])
def test_a_body_of_a_hundred_megabytes_is_refused_before_it_is_sent(wire, sign, more):
    lines = ["POST / HTTP/1.1", "Host: localhost", *sign(b"{}"), *more, "Content-Length: 104857600", "", ""]
    begun = time.monotonic()

    status, code, _ = error_in(wire.ask("\r\n".join(lines).encode()))

    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert time.monotonic() - begun < 2
    assert works(wire, sign)


def test_a_body_that_grows_in_chunks_is_refused_when_it_is_too_large(hosted, wire, sign):
    url = urlsplit(hosted.host.record.api)
    head = ["POST / HTTP/1.1", "Host: localhost", *sign(b"{}"), "Transfer-Encoding: chunked", "", ""]
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection((url.hostname, url.port), 5) as connected:
        connected.sendall("\r\n".join(head).encode() + chunk * 17)
        answer = connected.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["__type"] == "RequestEntityTooLargeException"
    assert works(wire, sign)


@pytest.mark.parametrize(
    "target",
    [
        "AppRunner.NoSuchThing",
        "AppRunner.",
        "AppRunner.listservices",
        "apprunner.ListServices",
        "S3.ListServices",
        "ListServices",
        "AppRunner.ListServices.ListServices",
        "x" * 5000,
        "AppRunner.AuthorizeConnection",
        "Homerun.AuthorizeConnection",
        "../ListServices",
    ],
    ids=lambda target: target[:40],
)
def test_an_unknown_target_is_an_unknown_operation(wire, sign, target):
    status, code, _ = error_in(wire.post(b"{}", *sign(b"{}", target)))

    assert (status, code) == (400, "UnknownOperationException")
    assert works(wire, sign)


def test_a_call_without_a_target_is_an_unknown_operation(wire, sign):
    status, code, message = error_in(wire.post(b"{}", *sign(b"{}", "")))

    assert (status, code) == (400, "UnknownOperationException")
    assert "X-Amz-Target" in message
    assert works(wire, sign)


def test_an_unsigned_call_is_refused_whatever_it_calls(wire):
    for target in (LIST, "AppRunner.CreateService", "AppRunner.NoSuchThing"):
        status, code, _ = error_in(wire.call(target, b"{"))
        assert (status, code) == (400, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(
    ("minutes", "text"), [(-6, "Signature expired"), (-60 * 24, "Signature expired"), (6, "Signature not yet current")]
)
def test_a_signature_of_another_time_is_refused(wire, sign, monkeypatch, minutes, text):
    then = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: then.replace(tzinfo=None))
    lines = sign(b"{}")
    monkeypatch.undo()

    status, code, message = error_in(wire.post(b"{}", *lines))

    assert (status, code) == (400, "InvalidSignatureException")
    assert message.startswith(text)
    assert works(wire, sign)


def test_what_was_changed_after_it_was_signed_is_refused(wire, sign):
    lines = sign(b"{}")
    retargeted = [line.replace("ListServices", "ListConnections") for line in lines]
    assert retargeted != lines

    for answer in (wire.post(b"{ }", *lines), wire.post(b"{}", *retargeted)):
        status, code, _ = error_in(answer)
        assert (status, code) == (400, "InvalidSignatureException")
    assert works(wire, sign)


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
    ids=["no http", "no host", "no number", "two lengths", "length and chunks", "a long header", "many headers"],
)
def test_garbled_http_is_told_in_the_shape_of_an_aws_error(wire, sign, request_):
    answer = wire.ask(request_)

    assert 400 <= answer.status < 500
    assert set(answer.value) == {"__type", "Message"}
    assert works(wire, sign)


def test_the_longest_url_of_a_repository_holds_nobody_up(wire, sign):
    version = {"Type": "BRANCH", "Value": "main"}
    code = {"RepositoryUrl": "/" + "a" * 51_199, "SourceCodeVersion": version}
    tags = [{"Key": f"key-{number}"} for number in range(51)]
    request = {"ServiceName": "long", "SourceConfiguration": {"CodeRepository": code}, "Tags": tags}
    body = json.dumps(request).encode()
    begun = time.monotonic()

    status, code, _ = error_in(wire.post(body, *sign(body, "AppRunner.CreateService")))

    assert (status, code) == (400, "InvalidRequestException")
    assert time.monotonic() - begun < 2
