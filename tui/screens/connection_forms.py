"""The forms around a connection: making a new one, and completing the handshake with a token or a key."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from engine.model.actions.connection import Connection, CreateConnectionRequest, ProviderType
from engine.model.actions.homerun import AuthorizeConnectionRequest
from engine.model.base import R, Request
from tui.presenters.connections import PROVIDERS, connection_name, name_problem, provider_name, token_problem
from tui.private_key import read_private_key
from tui.text import clean
from tui.widgets.choice import Choice
from tui.widgets.dialog_button import DialogButton
from tui.widgets.entry import Entry, FolderSuggester
from tui.widgets.form_field import FormField

if TYPE_CHECKING:
    from tui.app import HomerunApp


class ConnectionForm(ModalScreen[None]):
    """A question and fields; what is wrong is said in it. `done` gets the connection's ARN once the engine did it."""

    CSS_PATH = "connections.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,ctrl+s", "submit", "Submit", show=False),
        Binding("escape", "dismiss(None)", "Cancel", show=False),
    ]

    def __init__(self, title: str, question: str, submit_label: str, done: Callable[[str], None]) -> None:
        super().__init__()
        self._title = clean(title)
        self._question = clean(question)
        self._submit_label = submit_label
        self._done = done

    @property
    def home(self) -> "HomerunApp":
        return cast("HomerunApp", self.app)

    def fields(self) -> tuple[FormField, ...]:
        raise NotImplementedError

    def action_submit(self) -> None:
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog connection-form") as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = f"Enter {self._submit_label.lower()} · Esc cancel"
            yield Static(self._question, classes="question", markup=False)
            yield from self.fields()
            yield Static(id="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield DialogButton(self._submit_label, id="submit")
                yield DialogButton("Cancel", id="cancel")

    def say(self, problem: str, field: str = "") -> None:
        """What is wrong, with one field or with all of it; "" for nothing."""
        if not self.is_attached:
            return  # it was left while the engine was asked
        for row in self.query(FormField):
            row.say("", problem if row.name == field else "")
        whole = self.query_one("#problem", Static)
        whole.update(Content("" if field else clean(problem)))
        whole.display = bool(problem) and not field

    def ask(self, doing: str, request: Request[R], connection_of: Callable[[R], Connection]) -> None:
        """Ask the engine, once at a time."""

        def done(answer: R) -> None:
            self._done(connection_of(answer).connection_arn or "")
            if self.is_active:
                self.dismiss(None)

        if doing not in self.home.busy:
            self.home.call(doing, lambda engine: engine.call(request), done=done, failed=self.say)

    @on(Input.Changed)
    def _typed(self) -> None:
        self.say("")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_submit()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "submit":
            self.action_submit()
        else:
            self.dismiss(None)


class NewConnectionScreen(ConnectionForm):
    def __init__(self, done: Callable[[str], None]) -> None:
        super().__init__("New connection", "A name of your own, and where the repositories are.", "Create", done)

    def fields(self) -> tuple[FormField, ...]:
        providers = [(name, provider.value) for provider, name in PROVIDERS.items()]
        return (
            FormField("name", "Name", Entry(placeholder="my-connection", id="name")),
            FormField("provider", "Provider", Choice(providers, ProviderType.GITHUB.value, id="provider")),
        )

    def action_submit(self) -> None:
        name = self.query_one("#name", Entry).value.strip()
        if problem := name_problem(name):
            self.say(problem, "name")
            return
        provider = ProviderType(self.query_one("#provider", Choice).value)
        self.ask(
            f"Creating {name}",
            CreateConnectionRequest(connection_name=name, provider_type=provider),
            lambda answer: answer.connection,
        )


class AuthorizeScreen(ConnectionForm):
    """The handshake. The secret is shown nowhere, and gone from here as soon as the engine is asked."""

    def __init__(self, connection: Connection, done: Callable[[str], None]) -> None:
        self._connection = connection_name(connection)
        self._arn = connection.connection_arn or ""
        super().__init__(
            f"Authorize {self._connection}",
            f"What proves to {provider_name(connection)} who you are: an access token that may read your repositories,"
            " or a private SSH key that is known there. It is kept sealed, and never shown again.",
            "Authorize",
            done,
        )

    def fields(self) -> tuple[FormField, ...]:
        key = Entry(placeholder="~/.ssh/id_ed25519", suggester=FolderSuggester(), id="key")
        return (
            FormField("token", "Access token", Entry(placeholder="paste it here", password=True, id="token")),
            FormField("key", "or SSH key file", key),
        )

    def action_submit(self) -> None:
        token = self.query_one("#token", Entry)
        secret, path = token.value.strip(), self.query_one("#key", Entry).value.strip()
        if secret and path:
            self.say("Give a token or a key file, not both.")
        elif path:
            self._read_key(path)
        elif not secret:
            self.say("Give an access token, or the file of a key.")
        elif problem := token_problem(secret):
            self.say(problem, "token")
        else:
            token.fill("")
            self._authorize(AuthorizeConnectionRequest(connection_arn=self._arn, token=secret))

    @work(group="key", exclusive=True)
    async def _read_key(self, path: str) -> None:
        try:
            key = await asyncio.to_thread(read_private_key, path)
        except ValueError as error:
            self.say(str(error), "key")
        else:
            self._authorize(AuthorizeConnectionRequest(connection_arn=self._arn, ssh_private_key=key))

    def _authorize(self, request: AuthorizeConnectionRequest) -> None:
        self.ask(f"Authorizing {self._connection}", request, lambda answer: answer.connection)
