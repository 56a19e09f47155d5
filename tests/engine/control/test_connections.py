"""Connections: pending until somebody proves who they are, their secrets sealed and gone with them."""

import json

import pytest
from msgspec.structs import replace

from engine.control.connections import Connections
from engine.control.vault import Vault, VaultError
from engine.model.actions.connection import (
    CreateConnectionRequest,
    DeleteConnectionRequest,
    ListConnectionsRequest,
    ProviderType,
)
from engine.model.actions.homerun import AuthorizeConnectionRequest
from engine.model.errors import ErrorCode
from engine.model.ids import new_id
from engine.model.resource import ConnectionRecord, SecretRecord
from engine.model.service import AuthenticationConfiguration, ServiceStatus
from engine.model.version import Version, VersionState

TOKEN = "ghp_TheSecretThatNobodyMaySee"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA\n-----END OPENSSH PRIVATE KEY-----\n"
NOBODY = f"arn:aws:apprunner:us-east-1:000000000000:connection/none/{'0' * 32}"


@pytest.fixture
def create(connections):
    async def made(name="hub-1", provider=ProviderType.GITHUB):
        request = CreateConnectionRequest(connection_name=name, provider_type=provider)
        return (await connections.create(request)).connection

    return made


@pytest.fixture
def authorize(connections):
    async def authorized(arn, **proof):
        return (await connections.authorize(AuthorizeConnectionRequest(connection_arn=arn, **proof))).connection

    return authorized


@pytest.fixture
def delete(connections):
    async def deleted(arn):
        return (await connections.delete(DeleteConnectionRequest(connection_arn=arn))).connection

    return deleted


async def test_a_new_connection_waits_for_its_handshake(create, connections):
    made = await create(provider=ProviderType.BITBUCKET)
    assert (made.status, made.provider_type, made.created_at) == ("PENDING_HANDSHAKE", "BITBUCKET", 1_800_000_000.0)
    assert made.connection_arn.startswith("arn:aws:apprunner:us-east-1:000000000000:connection/hub-1/")
    assert (await connections.list_all(ListConnectionsRequest())).connection_summary_list == (made,)


async def test_a_name_is_used_once(create, delete, refused):
    made = await create()
    with refused(ErrorCode.INVALID_REQUEST, "already exists: hub-1"):
        await create()
    await delete(made.connection_arn)
    assert (await create()).connection_arn != made.connection_arn


async def test_ten_are_as_many_as_an_account_has(create, delete, refused):
    made = [await create(f"hub-{number}") for number in range(10)]
    with refused(ErrorCode.QUOTA_EXCEEDED, "10 connections"):
        await create("one-more")
    await delete(made[3].connection_arn)
    await create("one-more")


async def test_a_list_can_be_of_one_name_and_in_pages(create, connections):
    for number in range(3):
        await create(f"hub-{number}")
    by_name = await connections.list_all(ListConnectionsRequest(connection_name="hub-1"))
    assert [each.connection_name for each in by_name.connection_summary_list] == ["hub-1"]
    assert (await connections.list_all(ListConnectionsRequest(connection_name="none"))).connection_summary_list == ()
    first = await connections.list_all(ListConnectionsRequest(max_results=2))
    rest = await connections.list_all(ListConnectionsRequest(max_results=2, next_token=first.next_token))
    names = [each.connection_name for each in (*first.connection_summary_list, *rest.connection_summary_list)]
    assert (names, rest.next_token) == (["hub-0", "hub-1", "hub-2"], None)


@pytest.mark.parametrize("proof", [{"token": TOKEN}, {"ssh_private_key": KEY}])
async def test_a_handshake_makes_it_available_and_keeps_the_secret_for_us_only(
    *, create, authorize, connections, store, vault, home, proof
):
    made = await create()
    answer = await authorize(made.connection_arn, **proof)
    assert answer == replace(made, status="AVAILABLE")

    (secret,) = store.resources(SecretRecord)
    assert json.loads(vault.open(secret.sealed)) == proof
    (value,) = proof.values()
    for path in home.path.rglob("*"):
        if path.is_file():
            assert value.encode() not in path.read_bytes(), path
    assert value not in repr(secret) + repr(store.resources(ConnectionRecord))


async def test_a_handshake_again_replaces_the_secret(create, authorize, store, vault):
    made = await create()
    await authorize(made.connection_arn, token=TOKEN)
    await authorize(made.connection_arn, ssh_private_key=KEY)
    (secret,) = store.resources(SecretRecord)
    assert json.loads(vault.open(secret.sealed)) == {"ssh_private_key": KEY}


@pytest.mark.parametrize("proof", [{}, {"token": TOKEN, "ssh_private_key": KEY}])
async def test_a_handshake_takes_exactly_one_proof(create, authorize, store, refused, proof):
    made = await create()
    with refused(ErrorCode.INVALID_REQUEST, "either a token or an SSH private key") as caught:
        await authorize(made.connection_arn, **proof)
    assert TOKEN not in str(caught.value)
    assert store.resources(SecretRecord) == []


@pytest.mark.parametrize("proof", [{"token": TOKEN}, {"ssh_private_key": KEY}])
def test_what_proves_us_is_not_in_the_repr_of_the_request(proof):
    shown = repr(AuthorizeConnectionRequest(connection_arn=NOBODY, **proof))
    assert not any(secret in shown for secret in proof.values())
    assert NOBODY in shown


async def test_a_key_that_cannot_be_kept_is_told_without_the_secret(create, account, home, refused, store):
    made = await create()
    home.secrets_key.parent.write_text("a file where the folder should be")
    connections = Connections(account, Vault(home.secrets_key))
    with refused(ErrorCode.INTERNAL, "cannot be kept") as caught:
        await connections.authorize(AuthorizeConnectionRequest(connection_arn=made.connection_arn, token=TOKEN))
    assert TOKEN not in str(caught.value)
    assert store.resources(SecretRecord) == []
    assert store.resources(ConnectionRecord)[0].status == "PENDING_HANDSHAKE"


async def test_only_an_available_connection_can_be_used(create, authorize, connections, refused):
    made = await create()
    connections.check_usable(None)
    with refused(ErrorCode.INVALID_REQUEST, "PENDING_HANDSHAKE.*homerun connection authorize hub-1"):
        connections.check_usable(made.connection_arn)
    await authorize(made.connection_arn, token=TOKEN)
    connections.check_usable(made.connection_arn)
    with refused(ErrorCode.INVALID_REQUEST, "does not exist"):
        connections.check_usable(NOBODY)


async def test_nothing_can_be_done_with_one_that_is_not_there(create, authorize, delete, refused):
    made = await create()
    for arn in (NOBODY, made.connection_arn.replace("hub-1", "hub-2")):
        with refused(ErrorCode.RESOURCE_NOT_FOUND, "does not exist"):
            await delete(arn)
        with refused(ErrorCode.RESOURCE_NOT_FOUND, "does not exist"):
            await authorize(arn, token=TOKEN)


async def test_a_deleted_connection_takes_its_secret_along(*, create, authorize, delete, store, home, connections):
    made = await create()
    await authorize(made.connection_arn, token=TOKEN)
    (secret,) = store.resources(SecretRecord)
    assert (await delete(made.connection_arn)).status == "DELETED"

    assert (await connections.list_all(ListConnectionsRequest())).connection_summary_list == ()
    assert store.resources(SecretRecord) == []
    rows = await store._connection.execute_fetchall("SELECT count(*) FROM secrets")
    assert [tuple(row) for row in rows] == [(0,)]
    assert secret.sealed


async def test_a_connection_in_use_cannot_be_deleted(
    *, create, authorize, delete, add_service, put, config, refused, store
):
    made = await create()
    await authorize(made.connection_arn, token=TOKEN)
    source = replace(
        config().source, authentication_configuration=AuthenticationConfiguration(connection_arn=made.connection_arn)
    )
    shop = await add_service("shop", source=source)
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await delete(made.connection_arn)
    assert len(store.resources(SecretRecord)) == 1

    version = Version(
        id=new_id(),
        service_id=shop.id,
        number=1,
        operation_id="o",
        state=VersionState.BUILT,
        config=shop.config,
        created_at=1.0,
    )
    await put(version, replace(shop, config=config(), serving_version_id=version.id))
    with refused(ErrorCode.INVALID_REQUEST, "used by the service shop"):
        await delete(made.connection_arn)
    await put(replace(store.services[shop.id], status=ServiceStatus.DELETED))
    assert (await delete(made.connection_arn)).status == "DELETED"


class TestVault:
    def test_what_was_sealed_is_opened_again_by_whoever_has_the_key(self, home):
        sealed = Vault(home.secrets_key).seal("secret ü")
        assert "secret" not in sealed
        assert Vault(home.secrets_key).open(sealed) == "secret ü"

    def test_no_two_seals_are_alike(self, vault):
        assert vault.seal("the same") != vault.seal("the same")

    def test_only_its_owner_can_read_the_key(self, vault, home):
        vault.seal("secret")
        assert home.secrets_key.stat().st_mode & 0o777 == 0o600
        assert home.secrets_key.parent.stat().st_mode & 0o777 == 0o700

    def test_the_key_is_made_once(self, vault, home):
        vault.seal("one")
        key = home.secrets_key.read_bytes()
        vault.seal("two")
        assert home.secrets_key.read_bytes() == key

    def test_another_key_says_what_to_do(self, vault, home):
        sealed = vault.seal("secret")
        home.secrets_key.unlink()
        vault.seal("makes a new key")
        with pytest.raises(VaultError, match="authorize its connection again"):
            vault.open(sealed)

    def test_a_changed_seal_is_noticed(self, vault):
        sealed = vault.seal("secret")
        with pytest.raises(VaultError):
            vault.open(sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:])

    def test_without_its_key_nothing_can_be_opened(self, vault, home):
        sealed = vault.seal("secret")
        home.secrets_key.unlink()
        with pytest.raises(VaultError, match="cannot be used"):
            vault.open(sealed)

    @pytest.mark.parametrize("key", [b"", b"no key", b"\xff" * 44])
    def test_a_file_that_is_no_key_is_named(self, vault, home, key):
        home.secrets_key.parent.mkdir()
        home.secrets_key.write_bytes(key)
        with pytest.raises(VaultError, match=r"secrets\.key"):
            vault.seal("secret")
