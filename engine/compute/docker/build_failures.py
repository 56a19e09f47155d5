"""Why an image could not be built: the builder's own words turned into one plain sentence. Pure."""

import re

from engine.model.base import Value
from engine.model.errors import DeployError, Failure, FailureKind

_EXIT_CODE = re.compile(r"(?:exit code: |returned a non-zero code: |exit status )(\d+)")
_WRAPPING = re.compile(
    r"\A(?:(?:failed to solve(?: with frontend [\w./:@-]+)?|failed to create LLB definition"
    r"|rpc error: code = \w+ desc =|error building at STEP \"[^\"]*\"|Error)(?::| =)?\s+)+"
)
"""What builders put before what they mean."""


class Cause(Value, frozen=True, kw_only=True):
    """What a builder says; {0}, {1} are the groups of `sign`."""

    sign: str
    message: str
    hint: str
    kind: FailureKind = FailureKind.BUILD


_CAUSES = (
    Cause(
        sign=r"no space left on device|disk quota exceeded",
        kind=FailureKind.DISK,
        message="The disk of the container engine is full.",
        hint="Free some space (docker system df shows what takes it), then deploy again.",
    ),
    Cause(
        sign=r"dockerfile parse error(?: on)? line (\d+): (.+)",
        message="The Dockerfile cannot be read, line {0}: {1}.",
        hint="Correct that line.",
    ),
    Cause(
        sign=r"unknown instruction: \"?([^\s\"]+)|unknown flag: (\S+)|unknown (?:mount )?type \"?([^\s\"]+)",
        message="The Dockerfile has something that this container engine's builder does not know: {0}.",
        hint="Correct it, or update the container engine.",
    ),
    Cause(
        sign=r"dockerfile(?: \(\S*\))? cannot be empty|file with no instructions|no contents in \S*dockerfile",
        message="The Dockerfile has no instructions.",
        hint="It begins with FROM and the image that yours is based on.",
    ),
    Cause(
        sign=r"no build stage in current context|no FROM statement found",
        message="The Dockerfile has no FROM with an image.",
        hint="Put FROM and the image that yours is based on before everything else (but ARG).",
    ),
    Cause(
        sign=r"base name \((.+?)\) should not be blank",
        message="The Dockerfile's FROM {0} is empty: the variable has no value.",
        hint="Give it a default (ARG NAME=value before FROM), or a value in build.env.",
    ),
    Cause(
        sign=r"failed to parse platform (\S+?):|unable to parse platform \"([^\"]+)\"",
        message="The Dockerfile asks for the platform {0}, which is none.",
        hint="Write FROM --platform=linux/amd64 or linux/arm64, say, or leave it out.",
    ),
    Cause(
        sign=r"no match for platform|no matching manifest for|no image found .*for (?:architecture|platform)"
        r"|does not (?:match|provide) the (?:specified |desired )?platform",
        kind=FailureKind.IMAGE,
        message="A base image does not exist for the platform that it was asked for.",
        hint="Leave --platform out of FROM, or choose an image that is made for this machine's processor.",
    ),
    Cause(
        sign=r"exec format error",
        message="The image's programs are made for another processor than this machine's.",
        hint="Leave --platform out of FROM, or have the engine emulate that processor (binfmt, QEMU).",
    ),
    Cause(
        sign=r"failed to parse stage name \"([^\"]+)\"|(invalid reference format|repository name must be lowercase)",
        message="The Dockerfile's FROM has no valid name of an image: {0}.",
        hint="Names are lower case, such as python:3.11-slim or ghcr.io/you/image:1.",
    ),
    Cause(
        sign=r"failed to read dockerfile|cannot locate specified dockerfile|the dockerfile .* not found"
        r"|dockerfile\S* not found|dockerfile: no such file",
        message="There is no Dockerfile where it was looked for.",
        hint="Put one into the source directory, or name it with build.dockerfile.",
    ),
    Cause(
        sign=r"target stage (\S+) could not be found|failed to reach build target (\S+)",
        message="The Dockerfile has no stage {0}.",
        hint="Check the name after AS.",
    ),
    Cause(
        sign=r"no active sessions|secret required but no secret|ssh required but no ssh",
        message="The Dockerfile mounts a secret or an SSH agent, which Homerun does not hand to builds.",
        hint="Take --mount=type=secret or ssh out of its RUN lines; variables of build.env become build arguments.",
    ),
    Cause(
        sign=r"checking on sources under .*: stat: \"([^\"]+)\": no such file",
        message="The Dockerfile copies {0}, which is not in the source.",
        hint="Check the path (it begins at the source directory), and that .dockerignore does not leave it out.",
    ),
    Cause(
        sign=r"COPY --from=(\S+): no stage or image found",
        kind=FailureKind.IMAGE,
        message="The Dockerfile copies from {0}, which is no stage of it and no image that could be had.",
        hint="Check the name after AS, or the image's name.",
    ),
    Cause(
        sign=r"(?:failed to compute cache key|failed to calculate checksum|copy failed|adding file)"
        r".*?\"?(/[^\s\":,]+)\"?.*(?:not found|no such file)",
        message="The Dockerfile copies {0}, which is not in the source.",
        hint="Check the path (it begins at the source directory), and that .dockerignore does not leave it out.",
    ),
    Cause(
        sign=r"failed to load cache key: (?:Get|Head) \"([^\"]+)\"",
        message="{0}, which the Dockerfile adds, could not be fetched.",
        hint="Check the address and the network.",
    ),
    Cause(
        sign=r"frontend gateway|/docker/dockerfile|docker/dockerfile:",
        message="The '# syntax=' line of the Dockerfile asks for a frontend that could not be fetched.",
        hint="Remove that line, or check the network.",
    ),
    Cause(
        sign=r"(?:Head|Get) \"https?://[^/\"]+/v2/([^\"]+?)/manifests/([^\"]+)\"",
        kind=FailureKind.IMAGE,
        message="The base image {0}:{1} could not be had.",
        hint="Check its name and the network; for a private one log in with docker login.",
    ),
    Cause(
        sign=r"pull access denied for ([\w./:@-]+)|failed to resolve (?:source metadata for )?([\w./:@-]+)"
        r"|failed to load metadata for ([\w./:@-]+)|initializing source (?:docker://)?([\w./:@-]+)"
        r"|short-name \"([^\"]+)\" did not resolve|([\w./:@-]+): (?:not found|no such image|image not known)\Z",
        kind=FailureKind.IMAGE,
        message="The base image {0} could not be had.",
        hint="Check its name and the network; for a private one log in with docker login.",
    ),
)


def builder_failure(message: str) -> DeployError:
    """What a builder said that is no command's failure."""
    said = " ".join(message.split())[:600]
    for cause in _CAUSES:
        if match := re.search(cause.sign, said, re.IGNORECASE):
            words = [group.strip().rstrip(".:") for group in match.groups() if group] or [""]
            sentence = cause.message.format(*(re.sub(r"\A(?:docker\.io/)?library/", "", word) for word in words), "")
            return DeployError(Failure(kind=cause.kind, message=sentence, evidence=(said,), hint=cause.hint))
    plain = _WRAPPING.sub("", said).rstrip(".") or said
    return DeployError(
        Failure(kind=FailureKind.BUILD, message=f"The image could not be built: {plain}.", evidence=(said,))
    )


def exit_code(message: str) -> int | None:
    """Of the command that failed, as the builder says it; the command itself stands before it."""
    found = _EXIT_CODE.findall(message)
    return int(found[-1]) if found else None
