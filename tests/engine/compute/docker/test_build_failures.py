"""What builders say, as one plain sentence. Those with LLB or HEAD in them are Docker 20.10's own words."""

import pytest

from engine.compute.docker.build_failures import builder_failure, exit_code
from engine.model.errors import FailureKind

LLB = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
HEAD = 'failed to do request: Head "https://registry-1.docker.io/v2/'


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("write /x: no space left on device", "The disk of the container engine is full."),
        ("dockerfile parse error line 3: unknown instruction: FRM", "The Dockerfile cannot be read, line 3"),
        (LLB + "the Dockerfile cannot be empty", "The Dockerfile has no instructions."),
        (LLB + "file with no instructions", "The Dockerfile has no instructions."),
        (LLB + "no build stage in current context", "The Dockerfile has no FROM with an image."),
        (LLB + "base name (${X}) should not be blank", "The Dockerfile's FROM ${X} is empty"),
        (LLB + 'failed to parse platform foo: "foo": unknown operating system', "asks for the platform foo"),
        ("no match for platform in manifest sha256:1: not found", "does not exist for the platform"),
        ("no matching manifest for linux/s390x in the manifest list entries", "does not exist for the platform"),
        ('exec /bin/sh: exec format error"', "made for another processor"),
        (LLB + 'failed to parse stage name "X:1": invalid reference format: y', "no valid name of an image: X:1."),
        ("failed to read dockerfile: open /x/Dockerfile: no such file", "There is no Dockerfile where"),
        ("Cannot locate specified Dockerfile: x", "There is no Dockerfile where"),
        ("target stage x could not be found", "The Dockerfile has no stage x."),
        ("determining starting point for build: no FROM statement found", "has no FROM with an image"),
        ('no contents in "/var/tmp/x/build/Dockerfile"', "The Dockerfile has no instructions."),
        ('unable to parse platform "foo": invalid platform syntax for "foo"', "asks for the platform foo"),
        ("creating build container: repository name must be lowercase", "repository name must be lowercase"),
        ('STEP "RUN x": resolving mountpoints: secret required but no secret with id x found', "mounts a secret"),
        ("COPY --from=python:none: no stage or image found with that name", "copies from python:none, which"),
        (
            'STEP "COPY m /x": checking on sources under "/v/b": copier: stat: "/m": no such file or directory',
            "copies /m, which is not",
        ),
        (
            'creating build container: initializing source docker://none:9: pinging container registry x: Get "x"',
            "The base image none:9 could not be had.",
        ),
        ("no active sessions", "mounts a secret or an SSH agent"),
        ('failed to compute cache key: "/missing.txt" not found: not found', "copies /missing.txt, which is not"),
        (
            'failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: "/m": not found',
            "copies /m, which is not",
        ),
        ("COPY failed: file not found in build context: stat /m: no such file or directory", "copies /m, which is not"),
        ('failed to load cache key: Get "https://x/y": dial tcp', "https://x/y, which the Dockerfile adds"),
        (f'failed to solve with frontend gateway.v0: {HEAD}docker/dockerfile/manifests/1": dial', "'# syntax=' line"),
        (f'failed to solve: docker/dockerfile:1: {HEAD}docker/dockerfile/manifests/1": dial', "'# syntax=' line"),
        (LLB + f'{HEAD}library/none/manifests/9": dial tcp', "The base image none:9 could not be had."),
        (LLB + f'{HEAD}you/x/manifests/9": dial tcp', "The base image you/x:9 could not be had."),
        ("pull access denied for nope, repository does not exist", "The base image nope could not be had."),
        (
            "failed to resolve source metadata for docker.io/library/nope:1: x",
            "The base image nope:1 could not be had.",
        ),
        ("creating build container: initializing source docker://nope:1: x", "The base image nope:1 could not be had."),
        ('creating build container: short-name "nope" did not resolve to an alias', "The base image nope could not"),
    ],
)
def test_one_sentence_with_a_hint_for_each_cause(said, message):
    failure = builder_failure(said).failure

    assert message in failure.message
    assert failure.message.endswith(".")
    assert "{" not in failure.message.replace("${X}", "")
    assert failure.hint
    assert failure.evidence == (said,)


def test_what_is_unknown_is_passed_on_without_the_layers_around_it():
    failure = builder_failure(LLB + "something\nnew.").failure
    assert failure.message == "The image could not be built: something new."
    assert failure.kind is FailureKind.BUILD
    assert builder_failure("").failure.message


@pytest.mark.parametrize(("text", "kind"), [("no space left on device", FailureKind.DISK), (HEAD, FailureKind.BUILD)])
def test_kinds(text, kind):
    assert builder_failure(text).failure.kind is kind
    assert builder_failure(f'{HEAD}a/b/manifests/1"').failure.kind is FailureKind.IMAGE


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('executor failed running [/bin/sh -c echo "exit code: 9"; exit 3]: exit code: 3', 3),
        ('process "/bin/sh -c x" did not complete successfully: exit code: 127', 127),
        ('building at STEP "RUN x": while running runtime: exit status 5', 5),
        ("The command '/bin/sh -c x' returned a non-zero code: 2", 2),
        ("no code at all", None),
    ],
)
def test_the_exit_code_is_the_one_behind_the_command(said, code):
    assert exit_code(said) == code
