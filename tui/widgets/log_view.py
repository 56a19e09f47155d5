"""A live log: follows, filters, wraps, and draws only the rows in sight. It holds values, never widgets."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.timer import Timer

from engine.model.log import LogLine
from tui.text import clean
from tui.widgets.log_lines import CAPACITY, LogRows, Row, parse_filter, rows_of, width_of, wrapped
from tui.widgets.log_paint import STREAM_LOOKS, pieces_of, spans_of, stream_look

_FLUSH_S = 0.05
"""Lines that come faster than this are drawn together."""
_PAN_STEP = 10
_TIME_WIDTH = 9
_STREAM_WIDTH = 8


class LogView(ScrollView, can_focus=True):
    """Lines of a log, newest last. Text comes from applications: it is cleaned before anything else happens.

    `reset` and `append` feed it; the reactive attributes change how it shows what it has.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--time",
        "log-view--gap",
        "log-view--empty",
        "log-view--error",
        "log-view--warning",
        "log-view--debug",
        "log-view--success",
        "log-view--homerun",
        "log-view--phase",
        "log-view--match",
        "log-view--cursor",
        "log-view--more",
        *(f"log-view--stream-{number}" for number in range(STREAM_LOOKS)),
    }

    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        background: transparent;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;

        & > .log-view--time { color: $foreground 45%; }
        & > .log-view--gap { color: $text-warning; text-style: italic; }
        & > .log-view--empty { color: $text-muted; }
        & > .log-view--error { color: $text-error; }
        & > .log-view--warning { color: $text-warning; }
        & > .log-view--debug { color: $foreground 55%; }
        & > .log-view--success { color: $text-success; }
        & > .log-view--homerun { color: $text-accent; }
        & > .log-view--phase { color: $foreground 55%; }
        & > .log-view--match { background: $warning 55%; color: $foreground; text-style: bold; }
        & > .log-view--cursor { background: $primary 45%; }
        & > .log-view--more { background: $primary; color: $background; text-style: bold; }
        & > .log-view--stream-0 { color: $text-primary; }
        & > .log-view--stream-1 { color: $text-accent; }
        & > .log-view--stream-2 { color: $text-success; }
        & > .log-view--stream-3 { color: $text-secondary; }
        & > .log-view--stream-4 { color: $text-warning; }
        & > .log-view--stream-5 { color: $foreground 70%; }
    }
    """

    BINDING_GROUP_TITLE = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1.0)", "Page up", show=False),
        Binding("pagedown", "page(1.0)", "Page down", show=False),
        Binding("ctrl+u", "page(-0.5)", "Half a page up", show=False),
        Binding("ctrl+d", "page(0.5)", "Half a page down", show=False),
        Binding("home,g", "oldest", "Oldest", show=False),
        Binding("end,G", "newest", "Newest", show=False),
        Binding("left", "pan(-1)", "Pan left", show=False),
        Binding("right", "pan(1)", "Pan right", show=False),
        Binding("f", "toggle_follow", "Follow"),
        Binding("w", "toggle_wrap", "Wrap"),
        Binding("t", "toggle_time", "Time"),
        Binding("n", "next_match(1)", "Next match", show=False),
        Binding("N", "next_match(-1)", "Previous match", show=False),
        Binding("c", "toggle_context", "Matches in context", show=False),
        Binding("y", "copy", "Copy line or view", show=False),
        Binding("Y", "copy_view", "Copy view", show=False),
    ]

    follow: var[bool] = var(True, init=False)
    """Stay at the newest line; scrolling up lets go, reaching the end takes hold again."""
    filter_text: var[str] = var("", init=False)
    """Show only lines with this text ("!text": without it), whatever the case."""
    only_matches: var[bool] = var(True, init=False)
    """False keeps every line in sight and only marks the matches."""
    show_time: var[bool] = var(False, init=False)
    """Put the local time of day before each line."""
    show_stream: var[bool] = var(False, init=False)
    """Put the short name of the stream (the instance) before each line."""
    wrap: var[bool] = var(False, init=False)
    """Fold long lines instead of cutting them off."""
    empty_text: var[str] = var("No lines yet.", init=False)
    """What stands there when there is nothing to show."""

    class FollowChanged(Message):
        """Following was switched on or off, by a key, by scrolling or by the program."""

        def __init__(self, log_view: "LogView", follow: bool) -> None:
            super().__init__()
            self.log_view = log_view
            self.follow = follow

        @property
        def control(self) -> "LogView":
            return self.log_view

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        id: str | None = None,  # noqa: A002 - every widget calls it so
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._rows = LogRows(capacity)
        self._capacity = capacity
        self._pending: list[Row] = []
        self._flushed_at = 0.0
        self._flush_timer: Timer | None = None
        self._strips: LRUCache[tuple[int, int], Strip] = LRUCache(1024)
        self._cursor: int | None = None
        self._stream_looks: dict[str, int] = {}
        self._pan = 0
        self._new = 0
        self._moving = False

    # What goes in.

    def reset(self, lines: Sequence[LogLine] = ()) -> None:
        """Show other lines from the start, following again; the filter stays."""
        self._pending.clear()
        self._rows.clear()
        self._cursor = None
        self._stream_looks.clear()
        self._pan = 0
        self._strips.clear()
        self._rows.append(rows_of(lines))
        self.follow = True
        self._arranged()

    def append(self, lines: Sequence[LogLine], dropped: int = 0) -> None:
        """Add lines at the end, after a gap of `dropped` ones. Cheap: a flood is drawn in batches."""
        self._pending.extend(rows_of(lines[-self._capacity :], dropped))
        del self._pending[: -self._capacity]
        if self._flush_timer is not None:
            return
        wait_s = self._flushed_at + _FLUSH_S - monotonic()
        if wait_s <= 0 or not self.is_running:
            self._flush()
        else:
            self._flush_timer = self.set_timer(wait_s, self._flush)

    @property
    def line_count(self) -> int:
        """Lines held, shown or not."""
        return len(self._rows)

    @property
    def match_count(self) -> int:
        """Lines that the filter selects; all without one."""
        return self._rows.match_count

    @property
    def new_count(self) -> int:
        """Lines that came since following stopped and that the filter lets through."""
        return self._new

    def _flush(self) -> None:
        self._flush_timer = None
        self._flushed_at = monotonic()
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        if not self.follow:
            hiding = self._rows.filter if self.only_matches else None
            self._new += sum(not row.dropped and (hiding is None or hiding.matches(row.text)) for row in pending)
        gone = self._rows.append(pending)
        if self._cursor is not None and self._cursor < self._rows.first:
            self._cursor = None
        self._place(None if self.follow else self.scroll_offset.y - gone)

    # Where it stands.

    @contextmanager
    def _as_program(self) -> Iterator[None]:
        """Scrolling inside is ours, not the reader's: it says nothing about following."""
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    def _place(self, y: int | None) -> None:
        """Take over the height of the rows and scroll to a visual row; None for the end."""
        with self._as_program():
            size = Size(self._text_width, self._rows.height)
            if size != self.virtual_size:
                # The widget's own size does not depend on its lines, so the screen needs no new layout.
                self.set_reactive(LogView.virtual_size, size)
                self._scroll_update(size)
            self.scroll_to(y=self.max_scroll_y if y is None else max(0, y), animate=False, force=True)
        self.refresh()

    def _arranged(self, anchor: int | None = None) -> None:
        """Lay out anew, keeping a row (by number) at the top; the newest ones while following."""
        wrap_width = max(2, self._text_width - self._prefix_width) if self.wrap else 0
        self._rows.arrange(parse_filter(self.filter_text), only_matches=self.only_matches, wrap_width=wrap_width)
        self._strips.clear()
        self._place(None if self.follow or anchor is None else self._rows.top_of(anchor))

    def _top(self) -> int | None:
        """The number of the row at the top, or of the marked one while it is in sight."""
        if self._cursor is not None and self._in_sight(self._cursor):
            return self._cursor
        found = self._rows.locate(self.scroll_offset.y)
        return found[0] if found else None

    def _in_sight(self, number: int) -> bool:
        return 0 <= self._rows.top_of(number) - self.scroll_offset.y < self._text_height

    @property
    def _text_width(self) -> int:
        return self.scrollable_content_region.width

    @property
    def _text_height(self) -> int:
        return self.scrollable_content_region.height

    @property
    def _prefix_width(self) -> int:
        return _TIME_WIDTH * self.show_time + _STREAM_WIDTH * self.show_stream

    def on_mount(self) -> None:
        self._arranged()

    def on_resize(self) -> None:
        self._arranged(self._top())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._moving:
            return
        at_end = new_value >= self.max_scroll_y
        if new_value < old_value and not at_end:
            self.follow = False
        elif new_value > old_value and at_end:
            self.follow = True

    def watch_follow(self, follow: bool) -> None:
        self._new = 0
        if follow:
            self._place(None)
        self.post_message(self.FollowChanged(self, follow))

    def _rearrange(self) -> None:
        self._arranged(self._top())

    watch_filter_text = _rearrange
    watch_only_matches = _rearrange
    watch_show_time = _rearrange
    watch_show_stream = _rearrange

    def watch_wrap(self) -> None:
        self._pan = 0
        self._rearrange()

    def watch_empty_text(self) -> None:
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    # Keys and mouse.

    def action_move(self, rows: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False, force=True)

    def action_page(self, pages: float) -> None:
        self.action_move(int(pages * max(1, self._text_height - 1)))

    def action_oldest(self) -> None:
        self.scroll_to(y=0, animate=False, force=True)

    def action_newest(self) -> None:
        self.follow = True
        self._place(None)

    def action_pan(self, steps: int) -> None:
        if self.wrap:
            return
        rows = (self._rows.locate(self.scroll_offset.y + y) for y in range(self._text_height))
        longest = max((width_of(self._rows.row(found[0]).text) for found in rows if found), default=0)
        furthest = max(0, longest - (self._text_width - self._prefix_width))
        self._pan = min(max(0, self._pan + steps * _PAN_STEP), max(furthest, 0))
        self._strips.clear()
        self.refresh()

    def action_toggle_follow(self) -> None:
        self.follow = not self.follow

    def action_toggle_wrap(self) -> None:
        self.wrap = not self.wrap

    def action_toggle_time(self) -> None:
        self.show_time = not self.show_time

    def action_toggle_context(self) -> None:
        self.only_matches = not self.only_matches

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Without a filter there are no matches to walk, so n and N mean what they mean everywhere else."""
        return action != "next_match" or bool(self.filter_text)

    def action_next_match(self, step: int) -> None:
        """Mark the next (1) or previous (-1) match and bring it into sight."""
        start = self._cursor
        if start is None or not self._in_sight(start):
            edge = self._rows.locate(self.scroll_offset.y)
            start = edge[0] - step if edge else None
        found = None if start is None else self._rows.next_match(start, step)
        if found is None:
            return
        self._mark(found)
        if not self._in_sight(found):
            self.scroll_to(y=self._rows.top_of(found) - self._text_height // 2, animate=False, force=True)

    def _mark(self, number: int | None) -> None:
        self._cursor = number
        self._strips.clear()
        self.refresh()

    def action_copy(self) -> None:
        """Copy the marked line while it is in sight, otherwise everything in sight."""
        if self._cursor is not None and self._in_sight(self._cursor):
            self._copy([self._rows.row(self._cursor).text])
        else:
            self.action_copy_view()

    def action_copy_view(self) -> None:
        located = (self._rows.locate(self.scroll_offset.y + y) for y in range(self._text_height))
        numbers = dict.fromkeys(found[0] for found in located if found)
        self._copy([self._rows.row(number).text for number in numbers])

    def _copy(self, lines: list[str]) -> None:
        if lines:
            self.app.copy_to_clipboard("\n".join(lines))
            self.notify(f"Copied {len(lines)} {'line' if len(lines) == 1 else 'lines'}.", markup=False)

    def on_click(self, event: events.Click) -> None:
        """A click marks a line, or unmarks it; one on the count of new lines goes there."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == self._text_height - 1 and offset.x >= self._text_width - width_of(self._more) > 0 and self._more:
            self.action_newest()
            return
        found = self._rows.locate(self.scroll_offset.y + offset.y)
        number = found[0] if found else None
        self._mark(None if number == self._cursor else number)

    # What is seen.

    @property
    def _more(self) -> str:
        return f" ▼ {self._new:,} new " if self._new and not self.follow else ""

    def render_line(self, y: int) -> Strip:
        width = self._text_width
        if not self._rows.height:
            return self._empty_line(y, width)
        found = self._rows.locate(self.scroll_offset.y + y)
        strip = self._strip(*found, width) if found else Strip.blank(width, self.rich_style)
        if y == self._text_height - 1 and (more := self._more):
            badge = Segment(more, self.get_visual_style("log-view--more").rich_style)
            strip = Strip.join([strip.crop(0, width - width_of(more)), Strip([badge])])
        return strip

    def _empty_line(self, y: int, width: int) -> Strip:
        if y != max(0, (self._text_height - 1) // 2):
            return Strip.blank(width, self.rich_style)
        text = self.empty_text if not self._rows.match_count and not len(self._rows) else self._nothing_found
        style = self.get_visual_style("log-view--empty").rich_style
        indent = max(0, width - width_of(text)) // 2
        return Strip([Segment(" " * indent + text, style)]).adjust_cell_length(width, style)

    @property
    def _nothing_found(self) -> str:
        line_filter = self._rows.filter
        if line_filter is not None and line_filter.inverse:
            return f"Every one of {len(self._rows):,} lines contains “{line_filter.needle}”."
        return f"None of {len(self._rows):,} lines contains “{self.filter_text}”."

    def _strip(self, number: int, part: int, width: int) -> Strip:
        key = (number, part)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = self._draw(number, part, width)
        return strip

    def _draw(self, number: int, part: int, width: int) -> Strip:
        row = self._rows.row(number)
        base = self.visual_style
        if number == self._cursor:
            base += self._look("cursor")
        prefix = [*self._prefix(row, base, first=part == 0)]
        text, start, end = row.text, 0, len(row.text)
        if folded := self._rows.wrap_width:  # not the present width: a resize is drawn once before it is heard of
            parts = wrapped(text, folded)
            start = sum(map(len, parts[:part]))
            end = start + len(parts[part])
        looks = [(0, len(text), "gap")] if row.dropped else spans_of(text, self._rows.filter)
        segments = [
            Segment(piece, sum((self._look(look) for look in names), base).rich_style)
            for piece, names in pieces_of(text, looks, start, end)
        ]
        body = Strip(segments)
        if self._pan:
            body = body.crop(self._pan)
        return Strip.join([Strip(prefix), body]).adjust_cell_length(width, base.rich_style).simplify()

    def _look(self, look: str) -> Style:
        return self.get_visual_style(f"log-view--{look}", partial=True)

    def _prefix(self, row: Row, base: Style, *, first: bool) -> Iterator[Segment]:
        blank = not first or row.dropped
        if self.show_time:
            clock = " " * 8 if blank else time.strftime("%H:%M:%S", time.localtime(row.at))
            yield Segment(f"{clock} ", (base + self._look("time")).rich_style)
        if self.show_stream:
            look = self._look(f"stream-{stream_look(row.stream, self._stream_looks)}")
            name = "" if blank else clean(row.stream)[: _STREAM_WIDTH - 1]
            yield Segment(f"{name:<{_STREAM_WIDTH}}", (base + look).rich_style)
