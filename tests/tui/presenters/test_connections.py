"""How a connection looks in the list, and what is said about it."""

import pytest

from engine.model.actions.connection import Connection, ConnectionStatus, ProviderType
from tui.presenters.connections import connection_cells, connection_sentence, provider_name


@pytest.fixture
def connection(fake):
    return lambda status, name="acme": fake.connection(name, 2, status=status, provider=ProviderType.BITBUCKET)


def test_a_connection_says_its_name_provider_status_and_age(fake, connection):
    cells = connection_cells(connection(ConnectionStatus.PENDING_HANDSHAKE), fake.NOW)
    assert [cell.text for cell in cells] == ["acme", "Bitbucket", "○ Pending handshake", "2h"]


@pytest.mark.parametrize("status", ConnectionStatus)
def test_every_status_has_a_face_and_a_sentence(fake, connection, status):
    assert connection_cells(connection(status), fake.NOW)[2].role
    assert connection_sentence(connection(status)).endswith(".")


def test_what_is_unknown_is_a_dash(fake):
    assert [cell.text for cell in connection_cells(Connection(), fake.NOW)] == ["", "-", "-", "-"]
    assert connection_sentence(Connection()) == ""
    assert provider_name(Connection()) == "the provider"


def test_a_name_is_cleaned(fake, connection):
    assert connection_cells(connection(ConnectionStatus.ERROR, "a\x1b[2Jb"), fake.NOW)[0].text == "ab"
