"""Registry credentials: from the user's Docker configuration, its helpers, and connections."""

import base64
import json
from pathlib import Path

import pytest

from engine.model.errors import DeployError, FailureKind
from engine.source.registry.credentials import Credentials, credentials_from_secret, find_credentials
from engine.source.registry.reference import parse_reference

APP, HUB = parse_reference("ghcr.io/you/app"), parse_reference("nginx")


@pytest.fixture
def configured(tmp_path: Path):
    """Writes config.json; the environment in which it is found."""

    def configured(**config: object) -> dict[str, str]:
        (tmp_path / "config.json").write_text(json.dumps(config))
        return {"DOCKER_CONFIG": str(tmp_path), "HOME": "/nonexistent"}

    return configured


def basic(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_nothing_is_found_where_nobody_logged_in(configured, tmp_path):
    assert find_credentials(APP, {"HOME": str(tmp_path)}) is None
    assert find_credentials(APP, configured(auths={"other.example.com": basic("a", "b")})) is None


def test_what_docker_login_wrote_is_found_under_the_registrys_key(configured):
    environ = configured(auths={"ghcr.io": basic("me", "pw"), "https://index.docker.io/v1/": basic("hub", "pw2")})

    found = find_credentials(APP, environ)
    assert (found.username, found.password, found.registry) == ("me", "pw", "ghcr.io")
    assert find_credentials(HUB, environ).username == "hub"


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """`helper("echo …")` is the program docker-credential-test."""

    def helper(script: str) -> None:
        program = tmp_path / "docker-credential-test"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return helper


def test_a_helper_is_asked(configured, helper):
    helper('cat > /dev/null; echo \'{"ServerURL": "ghcr.io", "Username": "me", "Secret": "from-helper"}\'')
    found = find_credentials(APP, configured(credHelpers={"ghcr.io": "test"}))

    assert (found.username, found.password) == ("me", "from-helper")


def test_a_helper_that_has_nothing_is_no_trouble(configured, helper):
    helper("cat > /dev/null; echo 'credentials not found in native keychain'; exit 1")
    assert find_credentials(APP, configured(credHelpers={"ghcr.io": "test"})) is None


def test_a_helper_that_fails_is_told(configured, helper):
    helper("cat > /dev/null; echo 'the keyring is locked'; exit 1")
    with pytest.raises(DeployError) as caught:
        find_credentials(APP, configured(credHelpers={"ghcr.io": "test"}))

    assert caught.value.failure.kind is FailureKind.IMAGE
    assert "could not be read" in caught.value.failure.message


@pytest.mark.parametrize(
    ("secret", "reference", "expected"),
    [
        ("me:pw:with:colons\n", APP, ("me", "pw:with:colons")),
        ("ghp_token", APP, ("token", "ghp_token")),
        ("ecr-token", parse_reference("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a"), ("AWS", "ecr-token")),
    ],
)
def test_a_connections_token(secret, reference, expected):
    found = credentials_from_secret(secret, reference)
    assert (found.username, found.password) == expected


def test_the_header_is_what_the_engine_decodes_and_repr_hides_it():
    credentials = Credentials(username="me", password="s3cret?~", registry="ghcr.io")
    decoded = json.loads(base64.urlsafe_b64decode(credentials.header()))

    assert decoded == {"username": "me", "password": "s3cret?~", "serveraddress": "ghcr.io"}
    assert "s3cret" not in repr(credentials)
    assert "s3cret" not in str(credentials)
