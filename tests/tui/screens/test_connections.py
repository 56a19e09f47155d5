"""Connections: the list, the handshake with a token or a key, and that secrets go no further than the engine."""

import asyncio
import base64
import gc

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from textual.widgets import Input

from engine.model.actions.connection import ConnectionStatus, ProviderType
from engine.model.actions.homerun import AuthorizeConnectionRequest
from engine.model.errors import EngineError, ErrorCode
from tui.private_key import read_private_key
from tui.screens.confirm import ConfirmScreen
from tui.screens.connection_forms import AuthorizeScreen, NewConnectionScreen
from tui.screens.connections import ConnectionsScreen

pytestmark = pytest.mark.slow  # a whole screen
TOKEN = "ghp_s3cretS3cretS3cret"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture
def opened(open_app, fake, settled):
    """The list over the dashboard of an engine, and a way to wait; leave it with the application."""

    class Opened:
        def __init__(self, engine):
            self.engine = engine
            self.app = open_app(engine)

        async def __aenter__(self):
            self._running = self.app.run_test(size=(80, 24))
            self.pilot = await self._running.__aenter__()
            await self.until(lambda: self.app.dashboard.bridge.world.loaded)
            await self.pilot.press("C")
            await self.until(lambda: "list_connections" in self.asked)
            return self

        async def __aexit__(self, *error):
            await self._running.__aexit__(*error)

        async def until(self, condition):
            await settled(self.pilot, condition)

        async def press(self, *keys):
            await self.pilot.press(*keys)

        async def see(self, text):
            await self.until(lambda: text in self.text)

        @property
        def text(self):
            return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

        @property
        def asked(self):
            return [name for name, _ in self.engine.calls]

        @property
        def authorized(self):
            return [request for name, request in self.engine.calls if name == "authorize_connection"]

    return lambda engine=None: Opened(engine or fake.town())


async def test_every_connection_is_listed_and_the_highlighted_one_says_what_to_do(opened):
    async with opened() as at:
        await at.see("acme-github")
        assert "● Available" in at.text
        assert "Bitbucket" in at.text
        await at.press("down")
        await at.see("complete the handshake")
        await at.press("escape")
        assert at.app.screen is at.app.dashboard


async def test_without_connections_it_says_what_they_are_for(opened, fake):
    async with opened(fake.FakeEngine()) as at:
        await at.see("Press n to make one")
        assert "who you are" in at.text.replace("\n", " ")
        await at.press("a", "x", "enter")
        assert isinstance(at.app.screen, ConnectionsScreen), "there is nothing to do these to"


async def test_a_token_completes_the_handshake(opened):
    async with opened() as at:
        await at.press("down", "enter", *TOKEN, "enter")
        await at.until(lambda: at.authorized)
        assert at.authorized[0].token == TOKEN
        assert at.authorized[0].ssh_private_key is None
        assert "/acme-new/" in at.authorized[0].connection_arn
        await at.until(lambda: isinstance(at.app.screen, ConnectionsScreen))
        await at.until(lambda: "Pending" not in at.text)
        assert at.app.screen.connection.connection_name == "acme-new", "the cursor stays on it"


async def test_a_key_file_completes_the_handshake(opened, tmp_path):
    file = tmp_path / "id_ed25519"
    file.write_text(KEY)
    async with opened() as at:
        await at.press("down", "a", "tab", *str(file), "enter")
        await at.until(lambda: at.authorized)
        assert at.authorized[0].ssh_private_key == KEY, "to the last line break"
        assert at.authorized[0].token is None


async def test_a_secret_is_masked_and_nowhere_to_be_found_afterwards(opened, caplog):
    async with opened() as at:
        at.engine.refusal = EngineError(ErrorCode.INVALID_REQUEST, "The provider is away.")
        await at.press("enter", *TOKEN)
        await at.see("•" * len(TOKEN))
        assert TOKEN not in at.text
        await at.press("shift+home", "ctrl+c")
        await at.press("ctrl+x", *TOKEN, "enter")
        await at.see("The provider is away.")
        assert at.app.screen.query_one("#token", Input).value == ""
        assert TOKEN not in at.app.clipboard
        assert TOKEN not in at.text
        assert TOKEN not in caplog.text
        at.engine.calls.clear()
        await at.pilot.pause()
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, AuthorizeConnectionRequest)]


async def test_a_refusal_is_said_where_it_happened_and_it_can_be_tried_again(opened):
    async with opened() as at:
        at.engine.refusal = EngineError(ErrorCode.INVALID_REQUEST, "The [b]token[/b] is \x1b[2Jstale.")
        await at.press("enter", *TOKEN, "enter")
        await at.see("The [b]token[/b] is stale.")
        assert isinstance(at.app.screen, AuthorizeScreen)
        assert not at.app._notifications
        await at.press("x")
        await at.until(lambda: "stale" not in at.text)
        await at.press("y", "enter")
        await at.until(lambda: [request.token for request in at.authorized] == [TOKEN, "xy"])


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("enter",), "Give an access token, or the file of a key."),
        ((*"abc", "tab", *"/x", "enter"), "not both"),
        ((*"a b", "enter"), "That is no token"),
        (("tab", *"/no/such/file", "enter"), "There is no file /no/such/file."),
        (("tab", *"/dev/null", "enter"), "There is no file /dev/null."),
        (("tab", *"~nobody-here/key", "enter"), "cannot be read"),
    ],
)
async def test_what_cannot_be_right_is_said_without_asking_the_engine(opened, keys, said):
    async with opened() as at:
        await at.press("enter", *keys)
        await at.see(said)
        assert not at.authorized


async def test_what_is_no_private_key_is_not_sent(opened, tmp_path):
    file = tmp_path / "k.pub"
    file.write_text("ssh-ed25519 AAAAC3Nz me@home\n")
    async with opened() as at:
        await at.press("enter", "tab", *str(file), "enter")
        await at.see("is the public half")
        assert "AAAAC3Nz" not in at.text
        assert not at.authorized


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\n", KEY + "x" * 20_000, KEY + "\0", "\x00\xff"])
def test_only_a_private_key_of_a_sane_size_is_read(tmp_path, text):
    file = tmp_path / "key"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="is no private key"):
        read_private_key(str(file))


def openssh(cipher: bytes) -> bytes:
    """The beginning of a key as `ssh-keygen` writes it (PROTOCOL.key): the cipher's name says whether it is locked."""
    inside = b"openssh-key-v1\0" + len(cipher).to_bytes(4, "big") + cipher + bytes(200)
    return (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.encodebytes(inside) + b"-----END OPENSSH PRIVATE KEY-----\n"
    )


def pem(form: serialization.PrivateFormat, *, locked: bool) -> bytes:
    lock = serialization.BestAvailableEncryption(b"secret") if locked else serialization.NoEncryption()
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(serialization.Encoding.PEM, form, lock)


@pytest.mark.parametrize(
    ("locked", "key"),
    [
        (False, openssh(b"none")),
        (True, openssh(b"aes256-ctr")),
        *(
            (locked, pem(form, locked=locked))
            for form in (serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8)
            for locked in (False, True)
        ),
    ],
    ids=["openssh", "openssh-locked", "pem", "pem-locked", "pkcs8", "pkcs8-locked"],
)
def test_a_key_with_a_passphrase_is_refused_and_one_without_is_read(tmp_path, locked, key):
    file = tmp_path / "key"
    file.write_bytes(key)
    if locked:
        with pytest.raises(ValueError, match="is protected by a passphrase"):
            read_private_key(str(file))
    else:
        assert read_private_key(str(file)) == key.decode()


def test_a_folder_is_no_key(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read_private_key(str(tmp_path))


def test_a_key_that_may_not_be_read_is_said_with_the_reason(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "key"
    file.write_text(KEY)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ValueError, match="cannot be read: Permission denied"):
        read_private_key(str(file))


async def test_a_new_connection_is_made_and_highlighted(opened):
    async with opened() as at:
        await at.press("n", *"acm", "enter")
        await at.see("A name has 4 to 32 letters")
        assert "create_connection" not in at.asked
        await at.press(*"e-three", "tab", "right", "enter")
        await at.until(lambda: isinstance(at.app.screen, ConnectionsScreen))
        request = dict(at.engine.calls)["create_connection"]
        assert (request.connection_name, request.provider_type) == ("acme-three", ProviderType.BITBUCKET)
        await at.until(lambda: at.app.screen.connection.connection_name == "acme-three")
        assert at.app.screen.connection.status is ConnectionStatus.PENDING_HANDSHAKE


async def test_a_refused_name_stays_in_the_form(opened):
    async with opened() as at:
        at.engine.refusal = EngineError(ErrorCode.INVALID_REQUEST, "It exists already.")
        await at.press("n", *"acme-new", "enter")
        await at.see("It exists already.")
        assert isinstance(at.app.screen, NewConnectionScreen)
        assert at.app.screen.query_one("#name", Input).value == "acme-new"
        await at.press("escape")
        assert isinstance(at.app.screen, ConnectionsScreen)


async def test_deleting_asks_and_a_refusal_is_said_below_the_list(opened):
    async with opened() as at:
        at.engine.refusal = None
        await at.press("x")
        assert isinstance(at.app.screen, ConfirmScreen)
        assert "delete_connection" not in at.asked
        at.engine.refusal = EngineError(ErrorCode.INVALID_REQUEST, "It is used by the service shop-api.")
        await at.press("enter")
        await at.see("It is used by the service shop-api.")
        await at.press("down")
        await at.until(lambda: "It is used" not in at.text)
        await at.press("up", "x", "enter")
        await at.until(lambda: "acme-github" not in at.text)
        assert at.app.screen.connection.connection_name == "acme-new"


async def test_a_lost_engine_is_said_and_the_list_comes_back_with_it(opened):
    async with opened() as at:
        await at.see("acme-github")
        at.engine.drop()
        await at.see("Try again when it is back.")
        await at.press("down", "enter", *TOKEN, "enter")
        await at.see("The engine is not connected.")
        assert isinstance(at.app.screen, AuthorizeScreen)
        await at.press("escape", "x", "enter")
        await at.see("The engine is not connected.")
        at.engine.is_down = False
        await at.see("complete the handshake")


async def test_an_answer_that_comes_after_leaving_breaks_nothing(opened, monkeypatch):
    async with opened() as at:
        gate = asyncio.Event()
        authorize, refusal = at.engine.authorize_connection, EngineError(ErrorCode.INVALID_REQUEST, "Too late.")

        async def late(request):
            await gate.wait()
            return await authorize(request)

        monkeypatch.setattr(at.engine, "authorize_connection", late)
        for refused in (None, refusal):
            gate.clear()
            await at.press("enter", *TOKEN, "enter", "escape", "escape")
            assert at.app.screen is at.app.dashboard
            at.engine.refusal = refused
            gate.set()
            await at.until(lambda: not at.app.busy)
            await at.press("C")
            await at.see("acme-github")
        assert at.asked.count("authorize_connection") == 2
