"""RowTable: keyed lines that share the width there is; only those in sight are made, so thousands cost as ten do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.presenters.table import GAP, Cell, Cells, Column, fit

ROLES = ("muted", "strong", "accent", "success", "warning", "error")


class RowTable(ScrollView, can_focus=True):
    """A table with a cursor that stays on its row while rows come, go and change places."""

    COMPONENT_CLASSES = {"row-table--header", "row-table--cursor", *(f"row-table--{role}" for role in ROLES)}
    DEFAULT_CSS = """
    RowTable {
        background: transparent;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        .row-table--header { color: $text-muted; text-style: none; }
        .row-table--cursor { background: $block-cursor-blurred-background; }
        .row-table--muted { color: $text-muted; }
        .row-table--strong { text-style: bold; }
        .row-table--accent { color: $text-accent; }
        .row-table--success { color: $text-success; }
        .row-table--warning { color: $text-warning; }
        .row-table--error { color: $text-error; }
        &:focus .row-table--cursor { background: $primary 35%; text-style: bold; }
    }
    """
    BINDINGS = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1.0)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1.0)", "Page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False),
        Binding("home,g", "to_end(False)", "First", show=False),
        Binding("end,G", "to_end(True)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    cursor_key: reactive[str] = reactive("", init=False)
    """The key of the highlighted row, "" when there are no rows."""
    sorted_by: reactive[tuple[str, bool]] = reactive(("", False))
    """The column key that the header marks, and whether its order is reversed."""

    @dataclass
    class Highlighted(Message):
        """The cursor came to another row; `by_user` tells a key or click from a change of the rows."""

        table: "RowTable"
        key: str
        by_user: bool

        @property
        def control(self) -> "RowTable":
            return self.table

    @dataclass
    class Chosen(Message):
        """Enter, or a second click on the row."""

        table: "RowTable"
        key: str

        @property
        def control(self) -> "RowTable":
            return self.table

    @dataclass
    class HeaderClicked(Message):
        table: "RowTable"
        column: str

        @property
        def control(self) -> "RowTable":
            return self.table

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._keys: Sequence[str] = ()
        self._cells: Callable[[str], Cells] = lambda _: ()
        self._places: dict[str, int] = {}
        self._drawn: dict[int, Cells] = {}
        """The cells of each place as they were drawn last."""
        self._widths: tuple[int, ...] = ()
        self._fitted_to = -1
        self._hidden: frozenset[str] = frozenset()

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all lines, in order."""
        return self._keys

    @property
    def cursor_row(self) -> int:
        """The highlighted line's place, -1 when there are none."""
        return self._places.get(self.cursor_key, -1)

    def show(self, keys: Sequence[str], cells: Callable[[str], Cells], *, hidden: frozenset[str] = frozenset()) -> None:
        """Replace all lines; only those that look different are drawn again. `hidden` columns are left out.

        `cells` is asked for the lines in sight, whenever they are drawn. The cursor stays on its key; where that is
        gone it goes to the line that took its place.
        """
        old_keys, old_place = self._keys, self.cursor_row
        self._keys, self._cells = keys, cells
        self._places = {key: place for place, key in enumerate(keys)}
        if hidden != self._hidden:
            self._hidden = hidden
            self._fitted_to = -1
        if len(keys) != len(old_keys) or self._fitted_to < 0:
            self._resized()
            self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)
        else:
            self.refresh_changed()
        if self.cursor_key not in self._places:
            self._highlight(min(max(old_place, 0), len(keys) - 1), by_user=False)
        elif self.cursor_row != old_place:
            self.refresh()

    def refresh_changed(self) -> None:
        """Draw the lines in sight again whose cells are no longer those that were drawn."""
        top = int(self.scroll_offset.y)
        for place in range(top, min(top + self._page, len(self._keys))):
            if self._cells(self._keys[place]) != self._drawn.get(place):
                self._refresh_row(place)

    def move_to(self, key: str) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._places:
            self._highlight(self._places[key], by_user=False)

    def action_move(self, step: int) -> None:
        self._highlight(self.cursor_row + step, by_user=True)

    def action_page(self, pages: float) -> None:
        step = int(max(1, self._page * abs(pages)))
        self._highlight(self.cursor_row + (step if pages > 0 else -step), by_user=True)

    def action_to_end(self, last: bool) -> None:
        self._highlight(len(self._keys) - 1 if last else 0, by_user=True)

    def action_choose(self) -> None:
        if self.cursor_key:
            self.post_message(self.Chosen(self, self.cursor_key))

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _highlight(self, place: int, *, by_user: bool) -> None:
        if not self._keys:
            if self.cursor_key:
                self.cursor_key = ""
                self._tell_highlighted("", by_user=by_user)
            return
        place = min(max(place, 0), len(self._keys) - 1)
        key = self._keys[place]
        if key != self.cursor_key:
            self._refresh_row(self.cursor_row)
            self.cursor_key = key
            self._refresh_row(place)
            self._tell_highlighted(key, by_user=by_user)
        self._reveal(place)

    def _tell_highlighted(self, key: str, *, by_user: bool) -> None:
        # A message stops at the widget that caused it, so one caused by the parent would get no further than there.
        self.post_message(self.Highlighted(self, key, by_user).set_sender(self))

    def _reveal(self, place: int) -> None:
        top = int(self.scroll_offset.y)
        if place < top:
            self.scroll_to(y=place, animate=False, immediate=True)
        elif place >= top + self._page:
            self.scroll_to(y=place - self._page + 1, animate=False, immediate=True)

    def _refresh_row(self, place: int) -> None:
        line = place - int(self.scroll_offset.y) + 1
        if place >= 0 and 0 < line < self.size.height:
            self.refresh(Region(0, line, self.size.width, 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's
        return len(self._keys) + 1

    def on_resize(self, _: events.Resize) -> None:
        self._resized()
        if self._keys:
            self._reveal(max(0, self.cursor_row))

    def _resized(self) -> None:
        """Tell the scroll bar how much there is; the width is shared out again with the next line drawn."""
        self.virtual_size = Size(self.size.width, len(self._keys) + 1)
        self._fitted_to = -1
        self._drawn.clear()

    def _share_out(self, width: int) -> None:
        present = [column for column in self._columns if column.key not in self._hidden]
        widths = dict(zip((column.key for column in present), fit(present, width), strict=True))
        self._widths = tuple(widths.get(column.key, 0) for column in self._columns)
        self._fitted_to = width

    def watch_sorted_by(self) -> None:
        self.refresh(Region(0, 0, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if width != self._fitted_to:
            self._share_out(width)
        if y == 0:
            return self._strip(self._header(), width, header=True)
        place = y - 1 + int(self.scroll_offset.y)
        if not 0 <= place < len(self._keys):
            return Strip.blank(width, self.rich_style)
        key = self._keys[place]
        cells = self._drawn[place] = self._cells(key)
        return self._strip(cells, width, cursor=key == self.cursor_key).apply_meta({"row": place})

    def _header(self) -> tuple[Cell, ...]:
        key, reverse = self.sorted_by
        arrow = "↑" if reverse else "↓"
        return tuple(
            Cell(f"{column.title} {arrow}" if column.key == key and key else column.title) for column in self._columns
        )

    def _strip(self, cells: Sequence[Cell], width: int, *, header: bool = False, cursor: bool = False) -> Strip:
        line = ("row-table--header",) if header else ("row-table--cursor",) if cursor else ()
        blank = self.get_component_rich_style(*line) if line else self.rich_style
        segments: list[Segment] = []
        used = 0
        for column, cell, cell_width in zip(self._columns, cells, self._widths, strict=False):
            if not cell_width:
                continue
            if segments:
                segments.append(Segment(" " * GAP, blank))
                used += GAP
            style = blank
            if cell.role:
                role = self.get_component_rich_style(f"row-table--{cell.role}")
                style += Style(color=role.color, bold=role.bold or None)
            if header:
                style += Style.from_meta({"column": column.key})
            segments.append(Segment(_fitted(cell.text_in(cell_width), cell_width, right=column.right), style))
            used += cell_width
        if used < width:
            segments.append(Segment(" " * (width - used), blank))
        return Strip(segments, max(used, width)).crop(0, width)

    def on_click(self, event: events.Click) -> None:
        meta = event.style.meta
        if "column" in meta:
            self.post_message(self.HeaderClicked(self, meta["column"]))
        elif "row" in meta and 0 <= meta["row"] < len(self._keys):
            self._highlight(meta["row"], by_user=True)
            if event.chain > 1:
                self.action_choose()


def _fitted(text: str, width: int, *, right: bool) -> str:
    """The text in exactly `width` cells, cut with an ellipsis where it is longer."""
    length = cell_len(text)
    if length > width:
        cut = set_cell_size(text, width - 1) + "…"
        return cut + " " * (width - cell_len(cut))
    padding = " " * (width - length)
    return padding + text if right else text + padding
