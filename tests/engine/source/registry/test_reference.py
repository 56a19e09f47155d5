"""What an image reference means, by Docker's own rules, and how a wrong one is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.errors import DeployError, FailureKind
from engine.source.registry.reference import parse_reference

DIGEST = "sha256:" + "5b2a1c9d" * 8


@pytest.mark.parametrize(
    ("text", "name", "tag", "display"),
    [
        ("nginx", "docker.io/library/nginx", "latest", "nginx:latest"),
        (" nginx:1.27-alpine ", "docker.io/library/nginx", "1.27-alpine", "nginx:1.27-alpine"),
        ("you/app", "docker.io/you/app", "latest", "you/app:latest"),
        ("docker.io/you/app:x", "docker.io/you/app", "x", "you/app:x"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx", "latest", "nginx:latest"),
        ("ghcr.io/you/app:1.2", "ghcr.io/you/app", "1.2", "ghcr.io/you/app:1.2"),
        ("localhost/app", "localhost/app", "latest", "localhost/app:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b", "c", "localhost:5000/a/b:c"),
        ("[::1]:5000/app", "[::1]:5000/app", "latest", "[::1]:5000/app:latest"),
        (f"nginx@{DIGEST}", "docker.io/library/nginx", "", f"nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", "docker.io/library/nginx", "1", f"nginx:1@{DIGEST}"),
        ("a__b-c/e_f.g", "docker.io/a__b-c/e_f.g", "latest", "a__b-c/e_f.g:latest"),
    ],
)
def test_a_reference_means_what_docker_takes_it_for(text, name, tag, display):
    reference = parse_reference(text)

    assert (reference.name, reference.tag, reference.display) == (name, tag, display)
    assert reference.is_fixed == bool(reference.digest)
    assert parse_reference(reference.display) == reference


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("", "There is no image reference", "docker pull"),
        ("https://ghcr.io/you/app", "is a URL", "ghcr.io/you/app"),
        ("docker pull nginx:1", "is a command", "nginx:1"),
        ("You/App", "", ""),
        ("you/App", "has capital letters", "you/app"),
        ("nginx latest", "has a blank", "docker pull"),
        ("-v", "begins with a dash", "docker pull"),
        ("a" * 64, "id of an image", "docker tag"),
        ("sha256:" + "0" * 64, "id of an image", "docker tag"),
        ("nginx:", "is no tag", ""),
        ("nginx:" + "a" * 129, "is no tag", ""),
        ("nginx@sha256:abc", "digest after @ is not whole", "64 hexadecimal"),
        ("a/" * 200 + "b", "is no name of an image", ""),
        ("nginx\x00", "control or invisible", ""),
        ("/nginx", "", ""),
        ("a__b.c/d", "is no host name", ""),
        ("nginx/", "", ""),
    ],
)
def test_what_is_no_reference_is_refused_in_one_line(text, said, hint):
    with pytest.raises(DeployError) as caught:
        parse_reference(text)
    failure = caught.value.failure

    assert failure.kind is FailureKind.IMAGE
    assert said in failure.message
    assert hint in failure.hint
    assert "\n" not in failure.message


def test_a_password_in_a_url_is_not_repeated():
    with pytest.raises(DeployError) as caught:
        parse_reference("https://me:s3cret@ghcr.io/you/app")
    assert "s3cret" not in str(caught.value.failure)


@pytest.mark.parametrize(
    ("text", "ecr", "public", "key"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1", True, False, None),
        ("public.ecr.aws/nginx/nginx:1", False, True, None),
        ("nginx", False, False, "https://index.docker.io/v1/"),
        ("ghcr.io/a/b", False, False, "ghcr.io"),
    ],
)
def test_whose_registry_it_is(text, ecr, public, key):
    reference = parse_reference(text)
    assert (reference.is_ecr, reference.is_ecr_public) == (ecr, public)
    assert reference.auth_key == (key or reference.registry)


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_refused_in_one_line(text):
    refusal, reference = None, None
    try:
        reference = parse_reference(text)
    except DeployError as error:
        refusal = error.failure

    if reference is not None:
        assert parse_reference(reference.display) == reference
    else:
        assert refusal.kind is FailureKind.IMAGE
        assert "\n" not in refusal.message
