"""Vault: secrets at rest, sealed with a key that lies beside the database in a file only its owner can read."""

from pathlib import Path
from typing import TYPE_CHECKING

from engine.model.errors import HomerunError
from engine.store.private_file import create_once

if TYPE_CHECKING:  # a tenth of a second to import, and most homes hold no secret
    from cryptography.fernet import Fernet


class VaultError(HomerunError):
    """A secret cannot be sealed or opened."""


class Vault:
    """The key is made when the first secret is sealed. Methods block for a small read: call them in a thread."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def seal(self, secret: str) -> str:
        """Raises VaultError."""
        try:
            if not self._key_file.exists():
                from cryptography.fernet import Fernet

                create_once(self._key_file, Fernet.generate_key())
        except OSError as error:
            raise VaultError(f"The key in {self._key_file} cannot be kept: {error.strerror}.") from error
        return self._cipher().encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises VaultError."""
        from cryptography.fernet import InvalidToken

        try:
            return self._cipher().decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise VaultError(
                f"A secret was sealed with another key than the one in {self._key_file}:"
                " authorize its connection again."
            ) from error

    def _cipher(self) -> "Fernet":
        from cryptography.fernet import Fernet

        try:
            return Fernet(self._key_file.read_bytes())
        except (OSError, ValueError) as error:
            raise VaultError(f"The key in {self._key_file} cannot be used: {error}.") from error
