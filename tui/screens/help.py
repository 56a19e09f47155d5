"""HelpScreen: every key, those of the pane one came from first."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui import actions

_FIRST_FOR = {
    "services": actions.Group.SERVICE,
    "activity": actions.Group.LIST,
    "logs": actions.Group.LOGS,
    "metrics": actions.Group.CHARTS,
}
_IN_LISTS = (
    ("↑ ↓ j k", "One row up or down"),
    ("PgUp PgDn", "One page; Ctrl+U and Ctrl+D half of one"),
    ("g G", "First and last"),
    ("Enter", "Open: a service's activity, an operation's log"),
    ("J K", "Activity: scroll the detail"),
)
_IN_LOGS = (
    ("w", "Wrap long lines"),
    ("t", "Show the time of each line"),
    ("n N", "With a filter: next and previous match"),
    ("c", "With a filter: matches only, or in their context"),
    ("y Y", "In the logs pane: copy the line, copy the view"),
)
_KEYS_WIDTH = 11


class HelpScreen(ModalScreen[None]):
    """Dismissed by any of the keys that open it, and by escape."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        .dialog { width: 76; height: auto; max-height: 94%; padding: 0 1 0 2; }
        VerticalScroll { height: auto; scrollbar-size-vertical: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss(None)", "Close", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, situation: actions.Situation) -> None:
        super().__init__()
        self._situation = situation

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "Esc closes · everything is in the palette too (:)"
            yield Static(_text(self._situation))

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def _text(situation: actions.Situation) -> Content:
    first = _FIRST_FOR.get(situation.pane, actions.Group.SERVICE)
    groups = sorted(actions.Group, key=lambda group: group is not first)
    lines: list[Content] = []
    for group in groups:
        lines.append(Content.styled(group.value, "bold $text-accent"))
        entries = [
            (actions.keys_text(action), action.title, bool(action.available(situation)))
            for action in actions.ACTIONS.values()
            if action.group is group and action.keys
        ]
        if group is actions.Group.LIST:
            entries += [(keys, title, False) for keys, title in _IN_LISTS]
        if group is actions.Group.LOGS:
            entries += [(keys, title, False) for keys, title in _IN_LOGS]
        for keys, title, dim in entries:
            lines.append(
                Content.assemble(
                    (keys.ljust(_KEYS_WIDTH), "bold $footer-key-foreground" if not dim else "$text-muted"),
                    (title, "$text-muted" if dim else ""),
                )
            )
        lines.append(Content())
    return Content("\n").join(lines[:-1])
