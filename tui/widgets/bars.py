"""The lines above and below the panes: who and how many, the selected service, and the keys that work now."""

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.presenters.table import Cell, style_of


def line(left: Sequence[Cell], right: Sequence[Cell], width: int, gap: str = "  ") -> Content:
    """One line with cells at both ends. Too narrow, the right end gives up all but its last; then the left is cut."""
    head = _joined(left, gap)
    if not right:
        return head.truncate(width, ellipsis=True)
    for shown in range(len(right), 0, -1):
        tail = _joined(right[-shown:], gap)
        if head.cell_length + len(gap) + tail.cell_length <= width:
            break
    head = head.truncate(max(0, width - tail.cell_length - len(gap)), ellipsis=True)
    return Content.assemble(head, " " * (width - head.cell_length - tail.cell_length), tail)


def _joined(cells: Sequence[Cell], gap: str) -> Content:
    return Content(gap).join([Content.styled(cell.text, style_of(cell.role)) for cell in cells if cell.text])


class Bar(Widget):
    """One line, cells at its left and its right end; or, while `whole`, all of its left on as many as that takes."""

    DEFAULT_CSS = """
    Bar {
        height: 1;
        padding: 0 1;
        &.-whole { height: auto; max-height: 4; }
    }
    """
    ALLOW_SELECT = False

    left: reactive[tuple[Cell, ...]] = reactive((), always_update=False)
    right: reactive[tuple[Cell, ...]] = reactive((), always_update=False)
    whole: reactive[bool] = reactive(False)

    def render(self) -> Content:
        return _joined(self.left, "  ") if self.whole else line(self.left, self.right, self.content_size.width)

    def watch_left(self) -> None:
        if self.whole:
            self.refresh(layout=True)

    def watch_whole(self) -> None:
        self.set_class(self.whole, "-whole")


class KeyBar(Widget):
    """The keys that work now. What does not fit is left out from the end; dimmed ones say why when pressed."""

    DEFAULT_CSS = """
    KeyBar { height: 1; padding: 0 1; background: $footer-background; color: $footer-description-foreground; }
    """
    ALLOW_SELECT = False
    auto_links = False

    keys: reactive[tuple[tuple[str, str, str, bool], ...]] = reactive(())
    """Key, label, action id and whether it can be done, most useful first."""
    ends: reactive[tuple[tuple[str, str, str, bool], ...]] = reactive(())
    """The same for the right end; always shown."""

    def render(self) -> Content:
        width = self.content_size.width
        tail = Content("  ").join([_key(*entry) for entry in self.ends])
        room = width - tail.cell_length - 2
        head = Content()
        for entry in self.keys:
            longer = Content("  ").join([head, _key(*entry)]) if head else _key(*entry)
            if longer.cell_length > room:
                break
            head = longer
        return Content.assemble(head, " " * (width - head.cell_length - tail.cell_length), tail)


def _key(key: str, label: str, action: str, available: bool) -> Content:
    key_style = "bold $footer-key-foreground" if available else "$footer-key-foreground 45%"
    label_style = "" if available else "$footer-description-foreground 45%"
    return Content.assemble((key, key_style), " ", (label, label_style)).stylize(f"@click=screen.act('{action}')")
