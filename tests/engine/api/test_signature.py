"""SigV4, checked against botocore's own signer as the independent second opinion."""

import warnings
from datetime import UTC, datetime
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api.credentials import Credentials
from engine.api.message import Request
from engine.api.signature import SignatureError, canonical_query, verify

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from botocore.auth import SigV4Auth, SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as BotoCredentials

NOW = 1_770_000_000.0
KEYS = Credentials(access_key_id="HOMERUNAAAAAAAAAAAAA", secret_access_key="s" * 40)
SERVICES = frozenset({"apprunner"})


def at(
    when=NOW, *, method="POST", target="/", body=b"{}", headers=(), keys=KEYS, region="eu-west-1", name="apprunner"
) -> Request:
    """A request signed by botocore at a time of our choice."""
    request = AWSRequest(method, f"http://127.0.0.1:8801{target}", data=body)
    request.headers["X-Amz-Target"] = "AppRunner.ListServices"
    for key, value in headers:
        request.headers[key] = value
    moment = datetime.fromtimestamp(when, UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(BotoCredentials(keys.access_key_id, keys.secret_access_key), name, region).add_auth(request)
    sent = [(key.lower().encode(), str(value).encode("latin-1")) for key, value in request.headers.items()]
    return Request(method=method, target=target, headers=((b"host", b"127.0.0.1:8801"), *sent), body=body)


def change(request: Request, name: bytes, value: bytes | None) -> Request:
    headers = tuple((key, each) for key, each in request.headers if key != name)
    return Request(
        method=request.method,
        target=request.target,
        headers=headers if value is None else (*headers, (name, value)),
        body=request.body,
    )


def code_of(request: Request, now: float = NOW, keys: Credentials = KEYS) -> tuple[str, str]:
    with pytest.raises(SignatureError) as caught:
        verify(request, keys, now, SERVICES)
    return caught.value.code, caught.value.message


def test_what_botocore_signs_is_accepted_and_says_who_signed():
    caller = verify(at(), KEYS, NOW, SERVICES)
    assert caller == KEYS.access_key_id


@pytest.mark.parametrize("region", ["us-east-1", "homerun", "mars-north-7"])
def test_any_region_is_accepted(region):
    assert verify(at(region=region), KEYS, NOW, SERVICES) == KEYS.access_key_id


@pytest.mark.parametrize("target", ["/", "/a%20b/c", "/?b=2&a=1", "/?a=&b", "/?a=%2F%20x&a=A"])
def test_paths_and_queries_are_made_canonical_as_botocore_does(target):
    verify(at(target=target), KEYS, NOW, SERVICES)


def test_header_values_are_folded_as_botocore_does():
    verify(at(headers=[("X-Amz-Meta", "  a   b  c ")]), KEYS, NOW, SERVICES)


@settings(max_examples=50, deadline=None)
@given(body=st.binary(max_size=300))
def test_any_body_is_covered_by_the_signature(body):
    request = at(body=body)
    verify(request, KEYS, NOW, SERVICES)
    other = Request(method="POST", target="/", headers=request.headers, body=body + b" ")
    assert code_of(other)[0] == "InvalidSignatureException"


@pytest.mark.parametrize(
    "tamper",
    [
        lambda request: change(request, b"x-amz-target", b"AppRunner.DeleteService"),
        lambda request: change(request, b"host", b"127.0.0.1:8802"),
        lambda request: Request(method="POST", target="/", headers=request.headers, body=b"{ }"),
        lambda request: Request(method="PUT", target="/", headers=request.headers, body=request.body),
        lambda request: Request(method="POST", target="/?a=1", headers=request.headers, body=request.body),
        lambda request: Request(method="POST", target="/x", headers=request.headers, body=request.body),
    ],
)
def test_whatever_is_changed_after_signing_is_noticed(tamper):
    code, message = code_of(tamper(at()))
    assert code == "InvalidSignatureException"
    assert "does not match the signature you provided" in message


def test_an_unsigned_call_is_told_so():
    code, message = code_of(change(at(), b"authorization", None))
    assert code == "MissingAuthenticationTokenException"
    assert message.startswith("Missing Authentication Token: ")
    assert "`homerun credentials`" in message


def test_an_unknown_key_is_unrecognized():
    keys = Credentials(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key=KEYS.secret_access_key)
    assert code_of(at(keys=keys))[0] == "UnrecognizedClientException"


def test_a_wrong_secret_does_not_match():
    keys = Credentials(access_key_id=KEYS.access_key_id, secret_access_key="t" * 40)
    assert code_of(at(keys=keys))[0] == "InvalidSignatureException"


@pytest.mark.parametrize("skew", [-300, -1, 0, 1, 300])
def test_five_minutes_of_skew_are_allowed(skew):
    verify(at(NOW + skew), KEYS, NOW, SERVICES)


def test_an_old_signature_has_expired():
    code, message = code_of(at(NOW - 301))
    assert code == "InvalidSignatureException"
    assert message == (
        "Signature expired: 20260202T023459Z is now earlier than 20260202T023500Z (20260202T024000Z - 5 min.)"
    )


def test_a_signature_from_the_future_is_not_yet_current():
    code, message = code_of(at(NOW + 301))
    assert code == "InvalidSignatureException"
    assert message.startswith("Signature not yet current: 20260202T024501Z is still later than 20260202T024500Z")


def test_a_signature_for_another_service_is_refused():
    code, message = code_of(at(name="s3"))
    assert code == "InvalidSignatureException"
    assert "correct service: 'apprunner'" in message


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Basic abc",
        b"AWS4-HMAC-SHA256",
        b"AWS4-HMAC-SHA256 nonsense",
        b"AWS4-HMAC-SHA256 Credential=a/20260202/r/apprunner/aws4_request, SignedHeaders=host",
        b"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
        b"AWS4-HMAC-SHA256 Credential=a/20260202/r/apprunner/aws5_request, SignedHeaders=host, Signature=00",
        b"AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
        b"AWS4-ECDSA-P256-SHA256 Credential=a/20260202/r/apprunner/aws4_request, SignedHeaders=host, Signature=00",
        b"\xff\xfe" * 20,
    ],
)
def test_a_malformed_authorization_is_incomplete(authorization):
    assert code_of(change(at(), b"authorization", authorization))[0] == "IncompleteSignatureException"


@pytest.mark.parametrize("unsigned", [b"host", b"x-amz-date", b"x-amz-target"])
def test_what_a_signature_must_cover_cannot_be_left_out(unsigned):
    request = at()
    authorization = request.header(b"authorization")
    names = authorization.partition(b"SignedHeaders=")[2].partition(b",")[0]
    fewer = b";".join(name for name in names.split(b";") if name != unsigned)
    assert code_of(change(request, b"authorization", authorization.replace(names, fewer))) == (
        "IncompleteSignatureException",
        f"'{unsigned.decode()}' must be a signed header.",
    )


@pytest.mark.parametrize("stamp", [None, b"", b"yesterday", b"20269999T000000Z", b"20260202T024000", b"\xff"])
def test_a_date_that_is_none_is_incomplete(stamp):
    assert code_of(change(at(), b"x-amz-date", stamp))[0] == "IncompleteSignatureException"


def test_the_day_of_the_scope_must_be_that_of_the_date():
    request = at()
    authorization = request.header(b"authorization").replace(b"/20260202/", b"/20260201/")
    code, message = code_of(change(request, b"authorization", authorization))
    assert code == "InvalidSignatureException"
    assert "Date in Credential scope" in message


@pytest.mark.parametrize("signature", [b"0" * 64, b"0", b"\xe9" * 64, b"A" * 64])
def test_any_other_signature_does_not_match(signature):
    request = at()
    authorization = request.header(b"authorization").rpartition(b"Signature=")[0] + b"Signature=" + signature
    assert code_of(change(request, b"authorization", authorization))[0] == "InvalidSignatureException"


def test_the_canonical_query_is_sorted_by_encoded_name():
    assert canonical_query("b=1&a=%2f&a=&c") == "a=&a=%2F&b=1&c="


class TestPresigned:
    """A signature in the query, made by botocore."""

    STS = frozenset({"sts"})
    PAIRS = "Action=GetCallerIdentity&Version=2011-06-15"

    def presigned(self, when=NOW, *, expires=60, method="GET", target=f"/?{PAIRS}", keys=KEYS, headers=()):
        request = AWSRequest(method, f"http://127.0.0.1:8801{target}", headers=dict(headers))
        moment = datetime.fromtimestamp(when, UTC)
        with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
            boto_keys = BotoCredentials(keys.access_key_id, keys.secret_access_key)
            SigV4QueryAuth(boto_keys, "sts", "eu-west-1", expires=expires).add_auth(request)
        target = request.url.removeprefix("http://127.0.0.1:8801")
        sent = tuple((key.lower().encode(), value.encode()) for key, value in headers)
        return Request(method=method, target=target, headers=((b"host", b"127.0.0.1:8801"), *sent))

    def edited(self, request, old, new):
        assert old in request.target
        return Request(
            method=request.method, target=request.target.replace(old, new), headers=request.headers, body=request.body
        )

    def without(self, request, name):
        path, _, query = request.target.partition("?")
        kept = "&".join(pair for pair in query.split("&") if not pair.startswith(f"X-Amz-{name}="))
        return Request(method=request.method, target=f"{path}?{kept}", headers=request.headers, body=request.body)

    def refusal(self, request, now=NOW, services=STS):
        with pytest.raises(SignatureError) as caught:
            verify(request, KEYS, now, services)
        return caught.value.code, caught.value.message

    def test_what_botocore_signs_is_accepted_and_says_who_signed(self):
        caller = verify(self.presigned(), KEYS, NOW, self.STS)
        assert caller == KEYS.access_key_id

    @pytest.mark.parametrize("target", ["/?b=2&a=1", "/?a=%2F%20x&a=A", "/?a=", "/?z=%C3%BC&X-Other=1"])
    def test_whatever_else_is_asked_for_is_covered(self, target):
        request = self.presigned(target=target)
        verify(request, KEYS, NOW, self.STS)
        name = target.partition("?")[2][0]
        assert self.refusal(self.edited(request, f"{name}=", f"{name}=1"))[0] == "InvalidSignatureException"

    def test_a_body_and_signed_headers_are_covered(self):
        request = self.presigned(method="POST", headers=[("X-Amz-Target", "AppRunner.ListServices")])
        verify(request, KEYS, NOW, self.STS)
        other = Request(method="POST", target=request.target, headers=request.headers, body=b"a=1")
        assert self.refusal(other)[0] == "InvalidSignatureException"
        assert self.refusal(change(request, b"x-amz-target", b"AppRunner.DeleteService"))[0] == (
            "InvalidSignatureException"
        )
        assert self.refusal(change(request, b"host", b"127.0.0.1:8802"))[0] == "InvalidSignatureException"

    @pytest.mark.parametrize("age", [-300, 0, 59, 60])
    def test_it_is_good_until_it_expires(self, age):
        verify(self.presigned(NOW - age), KEYS, NOW, self.STS)

    @pytest.mark.parametrize(("expires", "age"), [(60, 61), (1, 2), (600, 601)])
    def test_one_that_has_expired_is_told_so(self, expires, age):
        code, message = self.refusal(self.presigned(NOW - age, expires=expires))
        assert code == "InvalidSignatureException"
        assert f"was good for {expires} s" in message

    def test_it_can_be_good_for_longer_than_a_clock_may_be_wrong(self):
        verify(self.presigned(NOW - 600, expires=601), KEYS, NOW, self.STS)
        verify(self.presigned(NOW - 604_800, expires=604_800), KEYS, NOW, self.STS)

    def test_one_from_the_future_is_not_yet_current(self):
        code, message = self.refusal(self.presigned(NOW + 301, expires=604_800))
        assert code == "InvalidSignatureException"
        assert "not yet current" in message

    @pytest.mark.parametrize("expires", [604_801, 9_999_999, 0, -1])
    def test_a_week_is_the_longest_and_a_second_the_shortest(self, expires):
        code, message = self.refusal(self.presigned(expires=expires))
        assert code == "IncompleteSignatureException"
        assert "from 1 to 604800" in message

    @pytest.mark.parametrize("expires", ["x", "1e3", "+60", "6%300", "%D9%A3"])
    def test_how_long_it_is_good_is_a_plain_number(self, expires):
        request = self.edited(self.presigned(), "X-Amz-Expires=60", f"X-Amz-Expires={expires}")
        code, _ = self.refusal(request)
        assert code in {"IncompleteSignatureException", "InvalidSignatureException"}

    @pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"])
    def test_a_missing_parameter_is_named(self, name):
        code, message = self.refusal(self.without(self.presigned(), name))
        assert (code, message) == (
            "IncompleteSignatureException",
            f"AWS query-string parameters must include 'X-Amz-{name}'.",
        )

    def test_it_is_signed_in_one_place_only(self):
        request = change(self.presigned(), b"authorization", at().header(b"authorization"))
        assert self.refusal(request)[0] == "IncompleteSignatureException"

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("Action=GetCallerIdentity", "Action=AssumeRole"),
            ("X-Amz-Expires=60", "X-Amz-Expires=600"),
            ("X-Amz-Date=20260202T024000Z", "X-Amz-Date=20260202T024001Z"),
            ("eu-west-1", "eu-west-2"),
            ("X-Amz-Signature=", "X-Amz-Signature=0"),
            ("/?", "/x?"),
        ],
    )
    def test_whatever_is_changed_after_signing_is_noticed(self, old, new):
        code, message = self.refusal(self.edited(self.presigned(), old, new))
        assert code == "InvalidSignatureException"
        assert "does not match the signature you provided" in message

    def test_another_algorithm_is_refused(self):
        request = self.edited(self.presigned(), "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")
        assert self.refusal(request)[0] == "IncompleteSignatureException"

    def test_another_key_secret_or_service_is_refused(self):
        stranger = Credentials(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key=KEYS.secret_access_key)
        liar = Credentials(access_key_id=KEYS.access_key_id, secret_access_key="t" * 40)
        assert self.refusal(self.presigned(keys=stranger))[0] == "UnrecognizedClientException"
        assert self.refusal(self.presigned(keys=liar))[0] == "InvalidSignatureException"
        assert "correct service" in self.refusal(self.presigned(), services=SERVICES)[1]

    def test_the_target_of_an_action_must_be_signed(self):
        request = change(self.presigned(method="POST"), b"x-amz-target", b"AppRunner.ListServices")
        assert self.refusal(request) == ("IncompleteSignatureException", "'x-amz-target' must be a signed header.")

    @pytest.mark.parametrize("date", ["20269999T000000Z", "20260202", "now"])
    def test_a_date_that_is_none_is_incomplete(self, date):
        request = self.edited(self.presigned(), "X-Amz-Date=20260202T024000Z", f"X-Amz-Date={date}")
        assert self.refusal(request)[0] == "IncompleteSignatureException"

    @settings(max_examples=60, deadline=None)
    @given(st.text(st.characters(max_codepoint=255), max_size=60))
    def test_any_query_is_refused_in_words(self, junk):
        request = Request(method="GET", target=f"/?X-Amz-Signature={junk}", headers=((b"host", b"h"),))
        assert self.refusal(request)[0] == "IncompleteSignatureException"

    @pytest.mark.parametrize(
        ("old", "new"),
        [("eu-west-1", "%E2%82%AC"), ("SignedHeaders=host", "SignedHeaders=host%3B%E2%82%AC")],
    )
    def test_characters_of_any_script_in_a_scope_do_not_match(self, old, new):
        request = self.edited(self.presigned(), old, new)
        assert self.refusal(request)[0] == "InvalidSignatureException"
