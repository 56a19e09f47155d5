"""Connections to providers of source code: made pending, completed by whoever sits at the screen, sealed at rest."""

import asyncio

import msgspec
from msgspec.structs import replace

from engine.control.account import Account, tags_from
from engine.control.paging import page
from engine.control.vault import Vault, VaultError
from engine.model.actions.connection import (
    Connection,
    ConnectionStatus,
    CreateConnectionRequest,
    CreateConnectionResponse,
    DeleteConnectionRequest,
    DeleteConnectionResponse,
    ListConnectionsRequest,
    ListConnectionsResponse,
)
from engine.model.actions.homerun import AuthorizeConnectionRequest, AuthorizeConnectionResponse
from engine.model.errors import EngineError, ErrorCode, invalid_request, quota_exceeded
from engine.model.ids import new_id
from engine.model.resource import ConnectionRecord, SecretRecord
from engine.store.state import Transaction

CONNECTIONS_AT_MOST = 10
"""App Runner's quota."""


class Connections:
    def __init__(self, account: Account, vault: Vault) -> None:
        self._account = account
        self._store = account.store
        self._vault = vault

    def check_usable(self, arn: str | None) -> None:
        """For a service that names this connection. Raises EngineError (InvalidRequestException)."""
        if arn is None:
            return
        record = self._find(arn, missing=ErrorCode.INVALID_REQUEST)
        if record.status is not ConnectionStatus.AVAILABLE:
            raise invalid_request(
                f"The connection {record.name} is in status {record.status.value}: complete its handshake with"
                f" `homerun connection authorize {record.name}` first."
            )

    async def create(self, request: CreateConnectionRequest) -> CreateConnectionResponse:
        name, connection_id, now = request.connection_name, new_id(), self._account.clock.now()
        tags = tags_from(request.tags)

        def create(tx: Transaction) -> ConnectionRecord:
            known = tx.resources(ConnectionRecord)
            if any(record.name == name for record in known):
                raise invalid_request(f"Connection with the provided name already exists: {name}.")
            if len(known) >= CONNECTIONS_AT_MOST:
                raise quota_exceeded(f"The account has {len(known)} connections, as many as it can. Delete one first.")
            record = ConnectionRecord(
                id=connection_id,
                arn=self._account.arn("connection", name, connection_id),
                name=name,
                provider_type=request.provider_type,
                status=ConnectionStatus.PENDING_HANDSHAKE,
                tags=tags,
                created_at=now,
            )
            tx.put(record)
            return record

        return CreateConnectionResponse(connection=_shape(await self._account.write(create)))

    async def list_all(self, request: ListConnectionsRequest) -> ListConnectionsResponse:
        records = [
            record
            for record in self._store.resources(ConnectionRecord)
            if request.connection_name in (None, record.name)
        ]
        found, token = page(records, request.next_token, request.max_results)
        return ListConnectionsResponse(
            connection_summary_list=tuple(_shape(record) for record in found), next_token=token
        )

    async def delete(self, request: DeleteConnectionRequest) -> DeleteConnectionResponse:
        def delete(tx: Transaction) -> ConnectionRecord:
            record = self._find(request.connection_arn)
            for service, config in self._account.configurations_in_use():
                authentication = config.source.authentication_configuration
                if authentication is not None and authentication.connection_arn == record.arn:
                    raise invalid_request(
                        f"The connection {record.name} is used by the service {service.name} and cannot be deleted."
                    )
            tx.remove(ConnectionRecord, record.id)
            tx.remove(SecretRecord, record.id)
            return record

        record = await self._account.write(delete)
        return DeleteConnectionResponse(connection=_shape(replace(record, status=ConnectionStatus.DELETED)))

    async def authorize(self, request: AuthorizeConnectionRequest) -> AuthorizeConnectionResponse:
        """The handshake; again, it replaces what was stored."""
        if (request.token is None) == (request.ssh_private_key is None):
            raise invalid_request("Give either a token or an SSH private key.")
        self._find(request.connection_arn)
        kind, secret = ("token", request.token) if request.token else ("ssh_private_key", request.ssh_private_key)
        try:
            sealed = await asyncio.to_thread(self._vault.seal, msgspec.json.encode({kind: secret}).decode())
        except VaultError as error:
            raise EngineError(ErrorCode.INTERNAL, str(error)) from error
        now = self._account.clock.now()

        def authorize(tx: Transaction) -> ConnectionRecord:
            record = replace(self._find(request.connection_arn), status=ConnectionStatus.AVAILABLE)
            tx.put(record)
            tx.put(SecretRecord(id=record.id, sealed=sealed, created_at=now))
            return record

        return AuthorizeConnectionResponse(connection=_shape(await self._account.write(authorize)))

    async def secret(self, arn: str) -> str | None:
        """The token that was given to a connection; None for one without, or with a key. Raises VaultError."""
        record = self._find(arn, missing=ErrorCode.INVALID_REQUEST)
        sealed = self._store.resource(SecretRecord, record.id)
        if sealed is None:
            return None
        secret: dict[str, str] = msgspec.json.decode(await asyncio.to_thread(self._vault.open, sealed.sealed))
        return secret.get("token")

    def _find(self, arn: str, *, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND) -> ConnectionRecord:
        return self._account.find_resource(ConnectionRecord, arn, what="Connection", missing=missing)


def _shape(record: ConnectionRecord) -> Connection:
    return Connection(
        connection_name=record.name,
        connection_arn=record.arn,
        provider_type=record.provider_type,
        status=record.status,
        created_at=record.created_at,
    )
