"""What an ImageIdentifier means: its registry, repository, tag and digest, by Docker's own rules. Pure."""

import re
from typing import NoReturn

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind
from engine.source.location import redacted

DOCKER_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])"
_REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_ECR_PUBLIC = "public.ecr.aws"
_NAME_MOST = 255
_FORMS = "Write it as docker pull takes it, for example nginx:latest or ghcr.io/you/app:1.2."


class ImageReference(Value, frozen=True, kw_only=True):
    """One image in one registry, by tag or by digest."""

    registry: str
    """"docker.io", "ghcr.io", "localhost:5000"."""
    repository: str
    """"library/nginx", "you/app"."""
    tag: str = ""
    digest: str = ""
    """"sha256:…"; at least one of tag and digest is there, and the digest counts."""

    @property
    def name(self) -> str:
        """What an engine is asked for: "docker.io/library/nginx"."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """As people write it: "nginx"."""
        if self.registry == DOCKER_HUB:
            return self.repository.removeprefix("library/")
        return self.name

    @property
    def display(self) -> str:
        tagged = f"{self.familiar}:{self.tag}" if self.tag else self.familiar
        return f"{tagged}@{self.digest}" if self.digest else tagged

    @property
    def is_fixed(self) -> bool:
        """It never means another image."""
        return bool(self.digest)

    @property
    def is_ecr(self) -> bool:
        return _ECR.fullmatch(self.registry) is not None

    @property
    def is_ecr_public(self) -> bool:
        return self.registry == _ECR_PUBLIC

    @property
    def auth_key(self) -> str:
        """What credentials for its registry are kept under."""
        return _HUB_KEY if self.registry == DOCKER_HUB else self.registry

    def at(self, digest: str) -> str:
        """The image of that digest in the same repository."""
        return f"{self.familiar}@{digest}"


def parse_reference(text: str) -> ImageReference:
    """Raises DeployError of kind IMAGE for a text that names no image."""
    text = text.strip()
    _refuse_habits(text)
    rest, at, digest = text.partition("@")
    first, slash, path = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, rest = first, path
    else:
        registry = DOCKER_HUB
    registry = DOCKER_HUB if registry in ("index.docker.io", "registry-1.docker.io") else registry
    repository, colon, tag = rest.partition(":")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not _REGISTRY.fullmatch(registry):
        _refuse(f"'{_shown(registry)}' is no host name of a registry.")
    if repository != repository.lower():
        _refuse(f"The image name '{_shown(repository)}' has capital letters.", f"Try {_shown(text).lower()}.")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > _NAME_MOST:
        _refuse(f"'{_shown(rest)}' is no name of an image.")
    if colon and not _TAG.fullmatch(tag):
        _refuse(f"'{_shown(tag)}' is no tag: letters, digits, _ . and - are, 128 at most.")
    if at and not (_SHA256.fullmatch(digest) if digest.startswith("sha256:") else _DIGEST.fullmatch(digest)):
        _refuse("The digest after @ is not whole.", "A digest is sha256: and 64 hexadecimal digits.")
    return ImageReference(
        registry=registry.lower(), repository=repository, tag=tag or ("" if at else "latest"), digest=digest
    )


def _refuse_habits(text: str) -> None:
    if not text:
        _refuse("There is no image reference.", _FORMS)
    if not text.isprintable():
        _refuse("The image reference contains control or invisible characters.", "Type it again.")
    if text.startswith("-"):
        _refuse(f"The image reference '{_shown(text)}' begins with a dash, as an option does.", _FORMS)
    if command := re.match(r"(?:docker|podman)\s+(?:pull|run|image\s+pull)\s+(.+)", text):
        _refuse("That is a command, not an image reference.", f"Leave out the command: {_shown(command.group(1))}.")
    if "://" in text:
        bare = redacted(text).partition("://")[2]
        _refuse(f"The image reference '{_shown(redacted(text))}' is a URL.", f"Leave out the scheme: {_shown(bare)}.")
    if " " in text:
        _refuse(f"The image reference '{_shown(text)}' has a blank in it.", _FORMS)
    if re.fullmatch(r"(?:sha256:)?[0-9a-f]{64}", text):
        _refuse(
            "That is the id of an image on one machine, which no registry knows.",
            "Give the image a name: docker tag ID my-app:1",
        )


def _shown(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99]}…"


def _refuse(message: str, hint: str = _FORMS) -> NoReturn:
    raise DeployError.of(FailureKind.IMAGE, message, hint=hint)
