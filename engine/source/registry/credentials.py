"""Who may read a repository: the user's own Docker configuration, or what was given to a connection."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind
from engine.source.registry.reference import ImageReference


class Credentials(Value, frozen=True, kw_only=True):
    """For one registry."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """In place of a password, of registries that give one out."""
    registry: str = ""

    def header(self) -> str:
        """The value of X-Registry-Auth."""
        fields = {
            "username": self.username,
            "password": self.password,
            "identitytoken": self.identity_token,
            "serveraddress": self.registry,
        }
        given = {name: value for name, value in fields.items() if value}
        return base64.urlsafe_b64encode(json.dumps(given).encode()).decode()

    def __repr__(self) -> str:
        return f"Credentials(registry={self.registry!r}, …)"


def find_credentials(reference: ImageReference, environ: Mapping[str, str]) -> Credentials | None:
    """Those that `docker login` stored, in the configuration file or with a helper; None for none.

    Blocks, for as long as a helper takes. Raises DeployError of kind IMAGE when a helper fails.
    """
    folder = environ.get("DOCKER_CONFIG", "") or f"{environ.get('HOME', '')}/.docker"
    file = Path(folder) / "config.json"
    if not file.is_file():
        return None
    from docker.auth import load_config  # takes a moment to import, and most homes need none
    from docker.errors import DockerException

    try:
        found = load_config(config_path=str(file)).resolve_authconfig(reference.auth_key)
    except (DockerException, OSError, ValueError) as error:
        raise DeployError.of(
            FailureKind.IMAGE,
            f"The credentials for {reference.registry} could not be read: {str(error).rstrip('.')}.",
            hint=f"Check {file}, and the credential helper that it names.",
        ) from None
    if not found:
        return None
    return Credentials(
        username=str(found.get("username") or found.get("Username") or ""),
        password=str(found.get("password") or found.get("Password") or ""),
        identity_token=str(found.get("identitytoken") or found.get("IdentityToken") or ""),
        registry=reference.auth_key,
    )


def credentials_from_secret(secret: str, reference: ImageReference) -> Credentials:
    """From a connection's token: "user:password", or a token alone, which most registries take with any user name."""
    username, colon, password = secret.strip().partition(":")
    if not colon:
        username, password = "AWS" if reference.is_ecr or reference.is_ecr_public else "token", secret.strip()
    return Credentials(username=username, password=password, registry=reference.auth_key)
