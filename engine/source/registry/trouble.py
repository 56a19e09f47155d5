"""Why an image could not be had: the engine's own words turned into one plain sentence. Pure."""

import re

from engine.model.base import Value
from engine.model.errors import Failure, FailureKind
from engine.source.location import redacted
from engine.source.registry.reference import ImageReference


class Cause(Value, frozen=True, kw_only=True):
    """What an engine says in some trouble, and how to say it plainly. {image}, {registry} … are filled in."""

    sign: str
    """A pattern in the engine's message, in any case."""
    message: str
    hint: str
    kind: FailureKind = FailureKind.IMAGE


_CAUSES = (
    Cause(
        sign=r"no space left on device|disk quota exceeded",
        kind=FailureKind.DISK,
        message="The disk of the container engine is full: {image} could not be stored.",
        hint="Free some space (docker system df shows what takes it), then deploy again.",
    ),
    Cause(
        sign=r"no matching manifest for|does not match the specified platform|choosing an image from manifest list"
        r"|no image found in (?:image index|manifest list)|image operating system \"?\w+\"? cannot be used",
        message="{image} is not made for this machine's kind of processor or system.",
        hint="Build it for this machine as well: docker buildx build --platform linux/amd64,linux/arm64 …",
    ),
    Cause(
        sign=r"no basic auth credentials|ecr.*(?:not authorized|authorization token has expired)",
        message="There are no valid credentials for {registry}.",
        hint="Log in: aws ecr get-login-password | docker login --username AWS --password-stdin {registry}",
    ),
    Cause(
        sign=r"incorrect username or password|unauthorized: (?:bad|incorrect|invalid)|invalid username/password"
        r"|unable to retrieve auth token",
        message="The credentials for {registry} were refused.",
        hint="Log in again: docker login {registry}",
    ),
    Cause(
        sign=r"pull access denied|requested access to the resource is denied|unauthorized|denied|\b401\b|\b403\b",
        message="There is no image {familiar} in {registry}, or it may not be read without credentials.",
        hint="Check its name; for a private one log in with docker login {registry}, or use a connection.",
    ),
    Cause(
        sign=r"manifest unknown|manifest for .* not found|not found: manifest|tag .* not found|name unknown"
        r"|repository .* not found|repository name not known|reading manifest",
        message="{registry} has no image {image}.",
        hint="Check the name and the tag; has it been pushed?",
    ),
    Cause(
        sign=r"toomanyrequests|too many requests|rate limit|\b429\b",
        message="{registry} gives out no more images for now: its limit for this address or account is reached.",
        hint="Wait, or log in for a higher limit: docker login {registry}",
    ),
    Cause(
        sign=r"server gave http response to https client",
        message="{registry} speaks plain HTTP, which the container engine refuses.",
        hint='Add it to "insecure-registries" in /etc/docker/daemon.json, or give the registry a certificate.',
    ),
    Cause(
        sign=r"x509|certificate",
        message="The TLS certificate of {registry} is not trusted by the container engine.",
        hint="Put its authority's certificate into /etc/docker/certs.d/{registry}/ca.crt",
    ),
    Cause(
        sign=r"no such host|name resolution|server misbehaving",
        message="The registry {registry} cannot be found.",
        hint="Check the spelling of the image reference and the network connection.",
    ),
    Cause(
        sign=r"connection refused|no route to host|network is unreachable",
        message="The registry {registry} does not accept the connection.",
        hint="Is it running? Check its host and port, the network and any proxy or VPN.",
    ),
    Cause(
        sign=r"timeout|deadline exceeded|request canceled|timed out",
        message="The registry {registry} did not answer in time.",
        hint="Check the network and try again.",
    ),
    Cause(
        sign=r"manifest\.v1|schema1|unsupported media type|mediatype",
        message="{image} is stored in a form that the container engine does not take.",
        hint="Push it again with a current version of Docker.",
    ),
    Cause(sign=r"invalid reference format", message="{image} is no name of an image.", hint="Check the reference."),
    Cause(
        sign=r"\b5\d\d\b|internal server error|bad gateway|service unavailable|unexpected eof|connection reset",
        message="The registry {registry} failed while {image} was pulled.",
        hint="Try again in a while.",
    ),
)


def pull_failure(reference: ImageReference, message: str) -> Failure:
    """What an engine said when it could not bring an image here."""
    said = redacted(" ".join(message.split()))[:500]
    words = {"image": reference.display, "familiar": reference.familiar, "registry": reference.registry}
    for cause in _CAUSES:
        if re.search(cause.sign, message, re.IGNORECASE):
            return Failure(
                kind=cause.kind,
                message=cause.message.format(**words),
                evidence=(said,),
                hint=cause.hint.format(**words),
            )
    return Failure(
        kind=FailureKind.IMAGE, message=f"The image {reference.display} could not be pulled: {said.rstrip('.')}."
    )


def wrong_architecture(reference: ImageReference, image: str, machine: str) -> Failure:
    """It is here, and cannot run here."""
    return Failure(
        kind=FailureKind.IMAGE,
        message=f"{reference.display} is made for {image} processors, and this machine has {machine}.",
        hint=f"Build it for linux/{machine} as well: docker buildx build --platform linux/{machine} …",
    )
