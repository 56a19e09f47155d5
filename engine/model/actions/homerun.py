"""Actions of our own, for what App Runner does in its console. Not on the wire: for screens and the command only."""

from typing import Annotated

from engine.model.actions.connection import Connection
from engine.model.base import Request, Wire
from engine.model.service import Arn, Limit

SSH_KEY_MAX = 16_384
"""Characters."""

Token = Annotated[str, Limit(pattern=r"\A[\x21-\x7e]+\Z", min_length=1, max_length=4096)]
SshKey = Annotated[str, Limit(pattern=r"\A-----BEGIN ", max_length=SSH_KEY_MAX)]


class AuthorizeConnectionResponse(Wire, frozen=True, kw_only=True):
    connection: Connection


class AuthorizeConnectionRequest(Request[AuthorizeConnectionResponse], frozen=True, kw_only=True):
    """The handshake of a connection: exactly one of the two proves who we are to the provider."""

    connection_arn: Arn
    token: Token | None = None
    ssh_private_key: SshKey | None = None

    def __repr__(self) -> str:
        return f"AuthorizeConnectionRequest(connection_arn={self.connection_arn!r}, …)"
