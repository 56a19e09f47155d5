"""The doors as programs meet them: boto3 and raw HTTP over real sockets."""

import asyncio
import contextlib
import json
import warnings
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from engine.api.credentials import load_or_create
from engine.api.endpoint import host_allowed
from engine.api.message import Limits, Request
from engine.api.signature import SignatureError, verify

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.credentials import Credentials as BotoCredentials
    from botocore.exceptions import ClientError

ARN = "arn:aws:apprunner:us-east-1:000000000000:service/none/" + "0" * 32
SOURCE = {"CodeRepository": {"RepositoryUrl": "/srv/x", "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"}}}


@pytest.fixture
def connect(host, home):
    """Makes a boto3 client with the home's credentials, or others, for a `with` block."""

    @contextlib.contextmanager
    def connected(**keys: str) -> Iterator[object]:
        credentials = load_or_create(home)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = boto3.client(
                "apprunner",
                endpoint_url=host.record.api,
                region_name="eu-west-3",
                aws_access_key_id=keys.get("key", credentials.access_key_id),
                aws_secret_access_key=keys.get("secret", credentials.secret_access_key),
                config=Config(retries={"max_attempts": 1}, parameter_validation=False, proxies={}),
            )
        try:
            yield client
        finally:
            client.close()

    return connected


async def refused(call, **arguments) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(call, **arguments)
    error = caught.value.response
    assert error["ResponseMetadata"]["RequestId"]
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


async def test_boto3_goes_through_the_life_of_a_service(connect):
    """Create, describe, list, update, deploy, pause, resume, operations, delete: parsed by botocore's own model."""

    def life() -> None:
        with connect() as client:
            created = client.create_service(
                ServiceName="hello",
                SourceConfiguration=SOURCE,
                Tags=[{"Key": "team", "Value": "é€😀"}],
                HealthCheckConfiguration={"Protocol": "HTTP", "Path": "/", "Interval": 5},
            )
            service = created["Service"]
            arn = service["ServiceArn"]
            assert service["Status"] == "RUNNING"
            assert service["CreatedAt"].timestamp() == 1_770_000_000.25
            assert len(created["OperationId"]) == 36
            assert client.describe_service(ServiceArn=arn)["Service"] == service
            assert client.list_services()["ServiceSummaryList"][0]["ServiceArn"] == arn
            assert client.update_service(ServiceArn=arn, InstanceConfiguration={"Cpu": "1 vCPU"})["OperationId"]
            assert client.start_deployment(ServiceArn=arn)["OperationId"]
            assert "OperationId" not in client.pause_service(ServiceArn=arn)
            assert client.resume_service(ServiceArn=arn)["OperationId"]
            operations = client.list_operations(ServiceArn=arn)["OperationSummaryList"]
            assert [each["Type"] for each in operations] == [
                "RESUME_SERVICE",
                "START_DEPLOYMENT",
                "UPDATE_SERVICE",
                "CREATE_SERVICE",
            ]
            assert client.delete_service(ServiceArn=arn)["Service"]["ServiceArn"] == arn

    await asyncio.to_thread(life)


async def test_boto3_pages_through_services(connect, engine):
    names = [engine.add(f"service-{number}").service_name for number in range(7)]

    def pages() -> list[str]:
        seen, token = [], {}
        with connect() as client:
            while True:
                page = client.list_services(MaxResults=3, **token)
                seen += [each["ServiceName"] for each in page["ServiceSummaryList"]]
                if "NextToken" not in page:
                    return seen
                token = {"NextToken": page["NextToken"]}

    assert await asyncio.to_thread(pages) == names


async def test_boto3_raises_the_modelled_exceptions(connect, engine):
    engine.add("hello")
    with connect() as client:
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="Service not found"):
            await asyncio.to_thread(client.describe_service, ServiceArn=ARN)
        with pytest.raises(client.exceptions.InvalidRequestException, match="already exists: hello"):
            await asyncio.to_thread(client.create_service, ServiceName="hello", SourceConfiguration=SOURCE)
        engine.crash = RuntimeError("secret detail")
        with pytest.raises(client.exceptions.InternalServiceErrorException) as caught:
            await asyncio.to_thread(client.describe_service, ServiceArn=ARN)
        assert "secret detail" not in str(caught.value)
        code, message, status = await refused(client.list_services, MaxResults=21)
        assert (code, status) == ("InvalidRequestException", 400)
        assert message == (
            "1 validation error detected: Value '21' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 20"
        )


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"key": "AKIAIOSFODNN7EXAMPLE"}, "UnrecognizedClientException"),
        ({"secret": "wrong"}, "InvalidSignatureException"),
    ],
)
async def test_wrong_keys_are_refused_and_reach_nothing(connect, engine, keys, code):
    with connect(**keys) as client:
        got = await refused(client.create_service, ServiceName="hello", SourceConfiguration=SOURCE)
    assert (got[0], got[2]) == (code, 400)
    assert not engine.requests


async def test_a_clock_that_is_wrong_is_named(connect, monkeypatch):
    monkeypatch.setattr("engine.api.host.SystemClock.now", lambda _: 1_000.0)
    with connect() as client:
        code, message, status = await refused(client.list_services)
    assert (code, status) == ("InvalidSignatureException", 400)
    assert message.startswith("Signature not yet current")


@pytest.fixture
def ask(host):
    """Send one raw request over TCP or the Unix socket; gives status, headers (lower case) and body."""

    async def asked(
        line: str, *headers: str, body: bytes = b"", unix: bool = False, hostname: str = "127.0.0.1"
    ) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(host.record.api)
        reader, writer = await (
            asyncio.open_unix_connection(host.record.socket)
            if unix
            else asyncio.open_connection(url.hostname, url.port)
        )
        lines = [f"{line} HTTP/1.1", f"Host: {hostname}", "Connection: close", *headers, f"Content-Length: {len(body)}"]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (f.split(": ", 1) for f in fields)}, rest

    return asked


LIST = ("X-Amz-Target: AppRunner.ListServices", "Content-Type: application/x-amz-json-1.0")


async def test_an_unsigned_call_over_tcp_is_refused_in_the_aws_shape(ask):
    status, headers, body = await ask("POST /", *LIST, body=b"{}")
    assert status == 400
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert len(headers["x-amzn-requestid"]) == 36
    assert json.loads(body) == {
        "__type": "MissingAuthenticationTokenException",
        "Message": "Missing Authentication Token: calls to this endpoint are signed with the keys that"
        " `homerun credentials` prints.",
    }


async def test_the_unix_socket_needs_no_signature(ask, engine):
    engine.add("hello")
    status, _, body = await ask("POST /", *LIST, body=b"{}", unix=True)
    assert status == 200
    assert json.loads(body)["ServiceSummaryList"][0]["ServiceName"] == "hello"


@pytest.mark.parametrize("unix", [False, True])
async def test_a_get_says_what_this_is_and_how_to_call_it(ask, unix):
    status, headers, body = await ask("GET /", unix=unix)
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert b"--endpoint-url http://" in body
    assert b"homerun credentials" in body
    assert (await ask("GET /healthz", unix=unix))[2] == b"ok\n"
    status, headers, body = await ask("HEAD /healthz", unix=unix)
    assert (status, headers["content-length"], body) == (200, "3", b"")


@pytest.mark.parametrize(
    ("line", "expected"), [("PUT /", 405), ("DELETE /", 405), ("POST /healthz", 405), ("GET /x", 404), ("POST /x", 404)]
)
@pytest.mark.parametrize("unix", [False, True])
async def test_other_methods_and_paths_are_4xx_in_the_aws_shape(ask, line, expected, unix):
    status, _, body = await ask(line, unix=unix)
    assert status == expected
    assert json.loads(body)["__type"] == "UnknownOperationException"


async def test_a_rebound_name_is_refused(ask):
    status, _, body = await ask("GET /", hostname="evil.example")
    assert status == 403
    assert json.loads(body)["__type"] == "AccessDeniedException"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8801"])
async def test_a_request_of_a_web_page_is_refused(ask, origin):
    status, _, body = await ask("GET /", f"Origin: {origin}")
    assert status == 403
    assert json.loads(body)["__type"] == "AccessDeniedException"


async def test_stop_takes_its_wish_from_the_unix_socket_only(ask, host):
    assert (await ask("POST /stop", body=b"{}"))[0] == 404
    assert (await ask("POST /stop", body=b"garbage", unix=True))[0] == 400
    assert (await ask("POST /stop", body=b'{"instances": true}', unix=True))[0] == 202
    assert await host.stop_requested() is True


async def test_a_body_over_one_mebibyte_is_refused(ask):
    status, _, _ = await ask("POST /", *LIST, body=b"x" * (1024 * 1024 + 1))
    assert status == 413


async def test_a_slow_client_does_not_hold_up_another(host, connect):
    url = urlsplit(host.record.api)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: loc")
    with connect() as client:
        assert (await asyncio.to_thread(client.list_services))["ServiceSummaryList"] == []
    writer.close()


@pytest.mark.parametrize(
    ("header", "bound", "allowed"),
    [
        ("127.0.0.1:8801", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.5.5.5:1", "127.0.0.1", True),
        ("localhost:8801", "127.0.0.1", True),
        ("LOCALHOST.", "127.0.0.1", True),
        ("x.localhost:80", "127.0.0.1", True),
        ("[::1]:8801", "127.0.0.1", True),
        ("[::1]", "::1", True),
        ("::1", "::1", False),
        ("192.0.2.7:8801", "192.0.2.7", True),
        ("192.0.2.8:8801", "192.0.2.7", False),
        ("192.0.2.8:8801", "0.0.0.0", True),
        ("[2001:db8::1]:8801", "::", True),
        ("192.0.2.8", "127.0.0.1", False),
        ("evil.example:8801", "127.0.0.1", False),
        ("evil.example", "0.0.0.0", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("evillocalhost", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("127.0.0.1@evil.example", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        (":8801", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
    ],
)
def test_only_names_that_no_web_page_can_have_are_answered(header, bound, allowed):
    assert host_allowed(header, bound) is allowed


@contextlib.contextmanager
def other_client(host, home, service):
    credentials = load_or_create(home)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = boto3.client(
            service,
            endpoint_url=host.record.api,
            region_name="us-east-1",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("iam", "list_users"),
        ("s3", "list_buckets"),
        ("dynamodb", "list_tables"),
        ("cloudformation", "list_stacks"),
        ("lambda", "list_functions"),
        ("route53", "list_hosted_zones"),
        ("batch", "list_jobs"),
    ],
)
async def test_calls_of_services_that_are_not_here_are_refused_in_words_that_their_clients_read(
    host, home, engine, service, call
):
    """A profile with an endpoint_url sends every service's calls here."""
    with other_client(host, home, service) as client:
        code, message, status = await refused(getattr(client, call))
    assert (code, status) == ("UnknownOperationException", 400)
    assert f"Homerun has no {service}" in message
    record = engine.refused[-1]
    assert (record.code, record.source) == (
        code,
        f"{service}.amazonaws.com",
    )


async def test_what_a_service_here_does_not_have_is_refused_with_what_it_has(host, home, engine):
    with other_client(host, home, "logs") as client:
        code, message, _ = await refused(client.describe_resource_policies)
    assert code == "UnknownOperationException"
    assert message.startswith("Homerun has no DescribeResourcePolicies of logs. It has DeleteRetentionPolicy, ")
    assert (engine.refused[-1].source, engine.refused[-1].name) == ("logs.amazonaws.com", "DescribeResourcePolicies")


async def test_a_signed_call_elsewhere_reaches_nothing(host, home, engine):
    credentials, url = load_or_create(home), urlsplit(host.record.api)
    headers = {"X-Amz-Target": "AppRunner.ListServices", "Content-Type": "application/x-amz-json-1.0"}
    request = AWSRequest("POST", f"{host.record.api}/elsewhere", data=b"{}", headers=headers)
    SigV4Auth(
        BotoCredentials(credentials.access_key_id, credentials.secret_access_key), "apprunner", "us-east-1"
    ).add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = "\r\n".join(["POST /elsewhere HTTP/1.1", f"Host: {url.netloc}", "Content-Length: 2", *lines])
    writer.write(head.encode() + b"\r\n\r\n{}")
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert engine.callers == []


async def test_a_change_cannot_be_made_by_a_get(host, home, engine):
    """A signed GET whose headers name a change is still a GET."""
    credentials, url = load_or_create(home), urlsplit(host.record.api)
    request = AWSRequest(
        "GET", f"{host.record.api}/?Action=x", data=b"{}", headers={"X-Amz-Target": "AppRunner.ListServices"}
    )
    keys = BotoCredentials(credentials.access_key_id, credentials.secret_access_key)
    SigV4Auth(keys, "apprunner", "us-east-1").add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    head = "\r\n".join(["GET /?Action=x HTTP/1.1", f"Host: {url.netloc}", "Content-Length: 2", *lines])
    writer.write(head.encode() + b"\r\n\r\n{}")
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert engine.callers == []


async def test_a_stranger_cannot_take_every_connection(host):
    url = urlsplit(host.record.api)
    opened = [await asyncio.open_connection(url.hostname, url.port) for _ in range(Limits().connections)]
    try:
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
    finally:
        for _, writer in opened:
            writer.close()
    async with asyncio.timeout(5):
        while True:
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                if (await reader.read()).endswith(b"ok\n"):
                    break
            writer.close()
        writer.close()


async def test_a_signature_of_hundreds_of_headers_is_not_looked_at(host, home):
    key = load_or_create(home).access_key_id
    scope, names = f"{key}/20260101/us-east-1/apprunner/aws4_request", ";".join(["host"] * 500)
    authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={'0' * 64}"
    headers = {"authorization": authorization, "host": "localhost", "x-amz-date": "20260101T000000Z"}
    request = Request(
        method="POST", target="/", headers=tuple((name.encode(), text.encode()) for name, text in headers.items())
    )
    with pytest.raises(SignatureError, match="At most 100 headers"):
        verify(request, load_or_create(home), 1_767_225_600.0, {"apprunner"})
