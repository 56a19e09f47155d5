"""History: what happened, newest first, in a table, and everything about the highlighted line below it."""

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.getters import query_one
from textual.widgets import Static

from tui.presenters.table import Cells, Column
from tui.widgets.row_table import RowTable


class History(Vertical):
    """The cursor stays on the newest line until the user moves it; then what the user looks at stays where it is."""

    BINDINGS = [
        Binding("shift+down,J", "scroll_detail(1)", "Scroll the detail down", show=False),
        Binding("shift+up,K", "scroll_detail(-1)", "Scroll the detail up", show=False),
    ]

    table = query_one(RowTable)
    detail = query_one(".history--detail", VerticalScroll)
    detail_text = query_one(".history--detail Static", Static)
    empty = query_one(".history--empty", Static)

    def __init__(self, columns: Sequence[Column], *, id: str, table_id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes="history")
        self._columns = columns
        self._table_id = table_id
        self._pinned = False
        self._detailed: object = None

    def compose(self) -> ComposeResult:
        yield RowTable(self._columns, id=self._table_id)
        with VerticalScroll(classes="history--detail", can_focus=False):
            yield Static()
        yield Static(classes="history--empty", markup=False)

    def subject(self) -> object:
        """What the highlighted line stands for; the detail is drawn anew when it is another one."""
        raise NotImplementedError

    def content(self) -> Content:
        """What there is to say about the subject."""
        raise NotImplementedError

    def fill(
        self,
        keys: Sequence[str],
        cells: Callable[[str], Cells],
        *,
        hidden: frozenset[str] = frozenset(),
        nothing: str,
    ) -> None:
        """Show these lines, newest first, or the sentence `nothing` where there are none."""
        known, place = self.table.keys, self.table.cursor_row
        if list(keys[-1:]) != list(known[-1:]):
            self._pinned = self._pinned and self.table.cursor_key in keys
        self.table.show(keys, cells, hidden=hidden)
        if self._pinned:
            self.table.scroll_relative(y=self.table.cursor_row - place, animate=False, force=True, immediate=True)
        elif keys:
            self.table.move_to(keys[0])
        self.set_class(not keys, "-empty")
        self.empty.update(nothing)
        self.show_detail()

    def show_detail(self) -> None:
        subject = self.subject()
        if subject == self._detailed:
            return
        self._detailed = subject
        content = self.content() if subject is not None else Content()
        self.set_class(not content, "-nothing-more")
        self.detail_text.update(content)

    def action_scroll_detail(self, lines: int) -> None:
        self.detail.scroll_relative(y=lines, animate=False, immediate=True)

    @on(RowTable.Highlighted)
    def _moved(self, event: RowTable.Highlighted) -> None:
        if event.by_user:
            self._pinned = self.table.cursor_row > 0
        self.detail.scroll_home(animate=False)
        self.show_detail()
