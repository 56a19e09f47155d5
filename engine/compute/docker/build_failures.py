"""Why an image could not be built: the builder's own words turned into one plain sentence. Pure."""

import re

from engine.model.base import Value
from engine.model.errors import DeployError, Failure, FailureKind

EXIT_CODE = re.compile(r"exit code: (\d+)|returned a non-zero code: (\d+)|exit status (\d+)")


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
        sign=r"unknown instruction: (\S+)|unknown flag: (\S+)",
        message="The Dockerfile has something that this container engine's builder does not know: {0}.",
        hint="Correct it, or update the container engine.",
    ),
    Cause(
        sign=r"failed to (?:read dockerfile|solve with frontend dockerfile\S*: failed to read dockerfile)"
        r"|cannot locate specified dockerfile|the dockerfile .* not found|dockerfile\S* not found",
        message="There is no Dockerfile where it was looked for.",
        hint="Put one into the source directory, or name it with build.dockerfile.",
    ),
    Cause(
        sign=r"target stage (\S+) could not be found|failed to reach build target (\S+)",
        message="The Dockerfile has no stage {0}.",
        hint="Check the name after AS.",
    ),
    Cause(
        sign=r"(?:failed to compute cache key|failed to calculate checksum|copy failed|adding file)"
        r".*?\"?(/[^\s\":]+)\"?.*(?:not found|no such file)",
        message="The Dockerfile copies {0}, which is not in the source.",
        hint="Check the path (it begins at the source directory), and that .dockerignore does not leave it out.",
    ),
    Cause(
        sign=r"docker\.io/docker/dockerfile|failed to resolve source metadata for docker\.io/docker/dockerfile",
        message="The '# syntax=' line of the Dockerfile asks for a frontend that could not be fetched.",
        hint="Remove that line, or check the network.",
    ),
    Cause(
        sign=r"(?:pull access denied|failed to (?:resolve|do request|load metadata)).*?(?:for |: )([\w./:@-]+)",
        kind=FailureKind.IMAGE,
        message="The base image {0} could not be had.",
        hint="Check its name and the network; for a private one log in with docker login.",
    ),
)


def builder_failure(message: str) -> DeployError:
    """What a builder said that is no command's failure."""
    said = " ".join(message.split())[:600]
    for cause in _CAUSES:
        if match := re.search(cause.sign, message, re.IGNORECASE):
            words = [group.rstrip(".") for group in match.groups() if group] or [""]
            return DeployError(
                Failure(kind=cause.kind, message=cause.message.format(*words), evidence=(said,), hint=cause.hint)
            )
    return DeployError(
        Failure(kind=FailureKind.BUILD, message=f"The image could not be built: {said.rstrip('.')}.", evidence=(said,))
    )


def exit_code(message: str) -> int | None:
    """Of the command that failed, as the builder says it."""
    match = EXIT_CODE.search(message)
    return int(next(filter(None, match.groups()))) if match else None
