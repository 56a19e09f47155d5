"""ConnectionsScreen: the account's connections to GitHub and Bitbucket, and completing their handshakes."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.getters import query_one
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.model.actions.connection import (
    Connection,
    DeleteConnectionRequest,
    ListConnectionsRequest,
    ListConnectionsResponse,
)
from tui.presenters.connections import COLUMNS, NOTHING, connection_cells, connection_name, connection_sentence
from tui.presenters.table import Cells
from tui.screens.confirm import ConfirmScreen
from tui.screens.connection_forms import AuthorizeScreen, NewConnectionScreen
from tui.widgets.row_table import RowTable

if TYPE_CHECKING:
    from tui.app import HomerunApp


class ConnectionsScreen(ModalScreen[None]):
    """A list of them, read anew after every change and whenever the engine comes back."""

    CSS_PATH = "connections.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", show=False),
        Binding("n", "new", "New", show=False),
        Binding("a", "authorize", "Authorize", show=False),
        Binding("x,delete", "delete", "Delete", show=False),
    ]

    table = query_one(RowTable)
    said = query_one("#said", Static)

    def __init__(self) -> None:
        super().__init__()
        self._connections: dict[str, Connection] = {}
        self._problem = ""
        self._awaited = ""

    @property
    def home(self) -> "HomerunApp":
        return cast("HomerunApp", self.app)

    @property
    def connection(self) -> Connection | None:
        """The highlighted one."""
        return self._connections.get(self.table.cursor_key)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="connections") as dialog:
            dialog.border_title = "Connections"
            dialog.border_subtitle = "Enter authorize · n new · x delete · Esc close"
            yield RowTable(COLUMNS)
            yield Static("Reading the connections…", id="said", markup=False)

    def on_mount(self) -> None:
        self.table.display = False
        self.watch(self.home, "connection", self._read)

    def _read(self) -> None:
        self.home.call(
            "Reading the connections",
            lambda engine: engine.call(ListConnectionsRequest()),
            done=self._show,
            failed=self._say,
        )

    def _show(self, response: ListConnectionsResponse) -> None:
        if not self.is_attached:
            return  # it was left while the engine was asked
        self._connections = {each.connection_arn or "": each for each in response.connection_summary_list}
        self._problem = ""
        self.table.display = bool(self._connections)
        self.table.show(list(self._connections), self._cells)
        self.table.move_to(self._awaited)
        self._awaited = ""
        if self._connections:
            self.table.focus()
        self._show_sentence()

    def _cells(self, arn: str) -> Cells:
        return connection_cells(self._connections[arn], self.home.clock.now())

    def _say(self, problem: str) -> None:
        if self.is_attached:
            self._problem = problem
            self._show_sentence()

    def _changed(self, arn: str) -> None:
        """A form has done something to this connection."""
        self._awaited = arn
        self._read()

    def _show_sentence(self) -> None:
        """What went wrong, else what is to be done."""
        connection = self.connection
        sentence = connection_sentence(connection) if connection is not None else NOTHING
        self.said.set_class(bool(self._problem), "-error")
        self.said.update(Content(self._problem or sentence))

    def action_new(self) -> None:
        self.app.push_screen(NewConnectionScreen(self._changed))

    def action_authorize(self) -> None:
        if self.connection is not None:
            self.app.push_screen(AuthorizeScreen(self.connection, self._changed))

    def action_delete(self) -> None:
        connection = self.connection
        if connection is None:
            return
        name = connection_name(connection)
        request = DeleteConnectionRequest(connection_arn=connection.connection_arn or "")

        def answered(sure: bool | None) -> None:
            if sure:
                self.home.call(
                    f"Deleting {name}",
                    lambda engine: engine.call(request),
                    done=lambda _: self._read(),
                    failed=self._say,
                )

        body = "The token or key that was stored with it goes too. Services that use it keep it from being deleted."
        self.app.push_screen(ConfirmScreen(f"Delete the connection {name}?", body, "Delete"), answered)

    @on(RowTable.Chosen)
    def _chosen(self) -> None:
        self.action_authorize()

    @on(RowTable.Highlighted)
    def _moved(self, event: RowTable.Highlighted) -> None:
        if event.by_user:
            self._problem = ""
        self._show_sentence()
