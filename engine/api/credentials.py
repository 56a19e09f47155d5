"""The key pair that signs calls to this home's API: minted once, kept in a file that only its owner can read."""

import contextlib
import secrets
import string
from pathlib import Path

import msgspec

from engine.model.base import Value
from engine.model.errors import HomerunError
from engine.model.home import Home
from engine.store.private_file import create_once, replace_whole

_ID_ALPHABET = string.ascii_uppercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits + "+/"


class Credentials(Value, frozen=True, kw_only=True, rename="pascal"):
    """An access key: 20 upper-case characters and a secret of 40."""

    access_key_id: str
    secret_access_key: str

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r}, …)"


class CredentialsError(HomerunError):
    """The credentials of a home cannot be read or written."""


def mint() -> Credentials:
    return Credentials(
        access_key_id="HOMERUN" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(13)),
        secret_access_key="".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40)),
    )


def load_or_create(home: Home) -> Credentials:
    """The home's credentials, minted when there are none. Whoever comes first wins, everyone gets the same.

    Raises CredentialsError.
    """
    path = home.credentials
    try:
        with contextlib.suppress(FileNotFoundError):
            return _load(path)
        create_once(path, msgspec.json.encode(mint()))
        return _load(path)
    except OSError as error:
        raise CredentialsError(f"The credentials in {path} cannot be kept: {error.strerror}.") from error


def rotate(home: Home) -> Credentials:
    """New credentials in the place of the old ones, which sign nothing any more once the engine knows.

    Raises CredentialsError.
    """
    credentials = mint()
    try:
        replace_whole(home.credentials, msgspec.json.encode(credentials))
    except OSError as error:
        raise CredentialsError(f"The credentials in {home.credentials} cannot be kept: {error.strerror}.") from error
    return credentials


def credential_process_json(credentials: Credentials) -> str:
    """What the AWS CLI's `credential_process` expects on stdout."""
    return msgspec.json.encode(
        {
            "Version": 1,
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
        }
    ).decode()


def _load(path: Path) -> Credentials:
    raw = path.read_bytes()
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    try:
        return msgspec.json.decode(raw, type=Credentials)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CredentialsError(
            f"{path} does not hold credentials; delete it and new ones are made at the next start."
        ) from error
