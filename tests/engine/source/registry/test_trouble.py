"""Engines' words for a pull that failed, of Docker 20.10 to 29 and of Podman."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.errors import FailureKind
from engine.source.registry.reference import parse_reference
from engine.source.registry.trouble import pull_failure, wrong_architecture

IMAGE = parse_reference("ghcr.io/you/app:1.2")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("manifest for ghcr.io/you/app:1.2 not found: manifest unknown: manifest unknown", "has no image"),
        ("failed to resolve reference: ghcr.io/you/app:1.2: not found: manifest unknown", "has no image"),
        ("reading manifest 1.2 in ghcr.io/you/app: manifest unknown", "has no image"),
        (
            "pull access denied for you/app, repository does not exist or may require 'docker login': denied",
            "may not be read without credentials",
        ),
        ('Head "https://ghcr.io/v2/": unauthorized: authentication required', "may not be read without credentials"),
        ("errors:\ndenied: requested access to the resource is denied\nunauthorized", "may not be read"),
        ("unauthorized: incorrect username or password", "were refused"),
        ('Head "https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/": no basic auth credentials', "no valid credentials"),
        ("no matching manifest for linux/amd64 in the manifest list entries", "not made for this machine"),
        ('image operating system "windows" cannot be used on this platform', "not made for this machine"),
        ("choosing an image from manifest list docker://x: no image found in image index", "not made for this machine"),
        ("toomanyrequests: You have reached your pull rate limit.", "gives out no more images"),
        ('Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 1.1.1.1:53: no such host', "cannot be found"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "does not accept the connection"),
        ("http: server gave HTTP response to HTTPS client", "speaks plain HTTP"),
        ("x509: certificate signed by unknown authority", "is not trusted"),
        ("net/http: TLS handshake timeout", "did not answer in time"),
        ("context deadline exceeded", "did not answer in time"),
        ("received unexpected HTTP status: 503 Service Unavailable", "failed while"),
        ("something entirely new happened", "could not be pulled: something entirely new happened"),
    ],
)
def test_what_engines_say_becomes_one_sentence(message, said):
    failure = pull_failure(IMAGE, message)

    assert failure.kind is FailureKind.IMAGE
    assert said in failure.message
    assert "\n" not in failure.message
    assert failure.message.endswith(".")


def test_a_full_disk_is_a_matter_of_the_disk():
    failure = pull_failure(IMAGE, "failed to register layer: write /x: no space left on device")
    assert failure.kind is FailureKind.DISK
    assert failure.hint


def test_secrets_in_urls_are_masked():
    failure = pull_failure(IMAGE, 'Get "https://me:s3cret@ghcr.io/v2/": strange')
    assert "s3cret" not in str(failure)


def test_another_processor_is_named():
    assert (
        "made for arm64 processors, and this machine has amd64" in wrong_architecture(IMAGE, "arm64", "amd64").message
    )


@given(st.text(max_size=300))
def test_any_words_come_to_one_line(message):
    assert "\n" not in pull_failure(IMAGE, message).message
