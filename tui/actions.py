"""Everything a person can do, once: key bindings, palette, footer, help and what is dimmed are all made from here."""

from collections.abc import Callable, Iterator
from enum import StrEnum

from textual.binding import Binding

from engine.model.base import Value
from engine.model.operation import Operation
from engine.model.service import ServiceStatus
from engine.model.watch import ServiceView
from tui.presenters.faces import service_face
from tui.presenters.metrics import TimeRange
from tui.text import clean


class Group(StrEnum):
    """The headings of the help screen, in its order."""

    SERVICE = "Service"
    LIST = "Lists"
    LOGS = "Logs"
    CHARTS = "Charts"
    SCREEN = "Screen"


class Situation(Value, frozen=True, kw_only=True):
    """What decides whether an action makes sense now."""

    connected: bool = False
    failed: bool = False
    """The first attempt to connect did not succeed."""
    service: ServiceView | None = None
    """The selected one."""
    url: str = ""
    pane: str = "services"
    """The one with the focus; "face" while something else stands in place of the panes."""
    operation: Operation | None = None
    """The selected one of the activity pane."""
    instances: int = 0
    """Instances whose logs can be told apart."""
    time_range: TimeRange = TimeRange.MINUTES_5


Available = Callable[[Situation], str]
"""Answers "" when the action can be done, else the reason why not, as a sentence."""


class Action(Value, frozen=True, kw_only=True):
    """One thing to do. The dashboard has a method `do_<id>` for it."""

    id: str
    label: str
    """One or two words for the footer."""
    title: str
    """For the palette and the help screen."""
    group: Group
    keys: tuple[str, ...] = ()
    available: Available = lambda _: ""
    command: str = ""
    """The engine's action that it ends in."""
    footer: int = 0
    """Place in the footer, lower first and longest kept; 0 for none."""
    pane: str = ""
    """The footer shows it only while this pane has the focus; "" for always."""


def _connected(now: Situation) -> str:
    return "" if now.connected else "The engine is not connected."


def _service(now: Situation) -> str:
    return "" if now.service is not None else "No service is selected."


def _panes(now: Situation) -> str:
    return "There is nothing to see there yet." if now.pane == "face" else ""


def _idle(now: Situation) -> str:
    """Commands need a service without an operation under way."""
    if reason := _connected(now) or _service(now):
        return reason
    service = now.service
    if service is not None and service.service.status is ServiceStatus.OPERATION_IN_PROGRESS:
        doing = service_face(service).word.lower()
        return f"{clean(service.service.service_name)} is {doing}; wait until that has ended."
    return ""


def _in_status(*wanted: ServiceStatus) -> Available:
    def available(now: Situation) -> str:
        if reason := _idle(now):
            return reason
        if now.service is None or now.service.service.status in wanted:
            return ""
        name = clean(now.service.service.service_name)
        words = " or ".join(status.value.replace("_", " ").lower() for status in wanted)
        return f"{name} is {service_face(now.service).word.lower()}; this needs it to be {words}."

    return available


def _has_url(now: Situation) -> str:
    return _service(now) or ("" if now.url else "The service has no URL yet.")


def _has_instances(now: Situation) -> str:
    return _service(now) or ("" if now.instances else "No instance of this service runs.")


def _longer(now: Situation) -> str:
    return "" if now.time_range.longer() else f"{now.time_range.label} is the longest time range."


def _shorter(now: Situation) -> str:
    return "" if now.time_range.shorter() else f"{now.time_range.label} is the shortest time range."


def _shows(wanted: TimeRange) -> Available:
    return lambda now: "" if now.time_range is not wanted else f"The charts show the last {wanted.words} already."


def _range_action(wanted: TimeRange) -> Action:
    return Action(
        id=f"range_{wanted.label}",
        label=wanted.label,
        title=f"Charts: the last {wanted.words}",
        group=Group.CHARTS,
        available=_shows(wanted),
    )


ACTIONS: dict[str, Action] = {
    action.id: action
    for action in (
        Action(
            id="create",
            label="New",
            title="Create a service",
            group=Group.SERVICE,
            keys=("n",),
            available=_connected,
            command="CreateService",
            footer=2,
        ),
        Action(
            id="deploy",
            label="Deploy",
            title="Deploy the newest version of the source",
            group=Group.SERVICE,
            keys=("d",),
            available=_in_status(ServiceStatus.RUNNING),
            command="StartDeployment",
            footer=3,
        ),
        Action(
            id="rebuild",
            label="Rebuild",
            title="Build a failed service again",
            group=Group.SERVICE,
            keys=("d",),
            available=_in_status(ServiceStatus.CREATE_FAILED),
            command="UpdateService",
            footer=3,
        ),
        Action(
            id="pause",
            label="Pause",
            title="Pause: stop its instances, keep its configuration",
            group=Group.SERVICE,
            keys=("p",),
            available=_in_status(ServiceStatus.RUNNING),
            command="PauseService",
            footer=4,
        ),
        Action(
            id="resume",
            label="Resume",
            title="Resume a paused service",
            group=Group.SERVICE,
            keys=("p",),
            available=_in_status(ServiceStatus.PAUSED),
            command="ResumeService",
            footer=4,
        ),
        Action(
            id="delete",
            label="Delete",
            title="Delete the service (asks for its name)",
            group=Group.SERVICE,
            keys=("x", "delete"),
            available=_idle,
            command="DeleteService",
            footer=9,
        ),
        Action(
            id="open",
            label="Open",
            title="Open the service in a browser",
            group=Group.SERVICE,
            keys=("o",),
            available=_has_url,
            footer=5,
        ),
        Action(
            id="copy_url",
            label="Copy URL",
            title="Copy the service's URL",
            group=Group.SERVICE,
            keys=("y",),
            available=_has_url,
            footer=8,
        ),
        Action(
            id="copy_arn",
            label="Copy ARN",
            title="Copy the service's ARN",
            group=Group.SERVICE,
            keys=("Y",),
            available=_service,
        ),
        Action(
            id="connections",
            label="Connections",
            title="Connections to GitHub and Bitbucket",
            group=Group.SERVICE,
            keys=("C",),
            available=_connected,
        ),
        Action(
            id="filter",
            available=_panes,
            label="Filter",
            title="Filter as you type: services, or log lines",
            group=Group.LIST,
            keys=("slash", "ampersand"),
            footer=6,
        ),
        Action(
            id="sort",
            available=_panes,
            label="Sort",
            title="Sort services by the next column",
            group=Group.LIST,
            keys=("s",),
            footer=10,
            pane="services",
        ),
        Action(
            id="sort_reverse",
            available=_panes,
            label="Reverse",
            title="Reverse the order of the services",
            group=Group.LIST,
            keys=("S",),
        ),
        Action(
            id="activity_scope",
            available=_panes,
            label="Scope",
            title="Activity: one service or all, changes or all calls",
            group=Group.LIST,
            keys=("a",),
            footer=10,
            pane="activity",
        ),
        Action(
            id="activity_audit",
            available=_panes,
            label="Audit",
            title="Activity: the audit trail, or operations",
            group=Group.LIST,
            keys=("A",),
        ),
        Action(
            id="logs_next",
            available=_panes,
            label="Next log",
            title="Logs: the next tab",
            group=Group.LOGS,
            keys=("right_square_bracket",),
            footer=10,
            pane="logs",
        ),
        Action(
            id="logs_previous",
            available=_panes,
            label="Previous log",
            title="Logs: the previous tab",
            group=Group.LOGS,
            keys=("left_square_bracket",),
        ),
        Action(id="logs_events", label="Events", title="Logs: events", group=Group.LOGS),
        Action(id="logs_deployment", label="Deployment", title="Logs: deployment", group=Group.LOGS),
        Action(id="logs_application", label="Application", title="Logs: application", group=Group.LOGS),
        Action(
            id="logs_instance",
            label="Instance",
            title="Logs: the next instance, or all together",
            group=Group.LOGS,
            keys=("i",),
            available=_has_instances,
            footer=11,
            pane="logs",
        ),
        Action(
            id="follow",
            available=_panes,
            label="Follow",
            title="Logs: follow new lines, or stop following",
            group=Group.LOGS,
            keys=("f",),
            footer=12,
            pane="logs",
        ),
        Action(
            id="range_longer",
            label="Longer",
            title="Charts: look further back",
            group=Group.CHARTS,
            keys=("minus",),
            available=_longer,
            footer=10,
            pane="metrics",
        ),
        Action(
            id="range_shorter",
            label="Closer",
            title="Charts: look closer",
            group=Group.CHARTS,
            keys=("plus", "equals_sign"),
            available=_shorter,
            footer=11,
            pane="metrics",
        ),
        *(_range_action(wanted) for wanted in TimeRange),
        Action(
            id="pane_services",
            available=_panes,
            label="Services",
            title="Go to the services",
            group=Group.SCREEN,
            keys=("1",),
        ),
        Action(
            id="pane_activity",
            available=_panes,
            label="Activity",
            title="Go to the activity",
            group=Group.SCREEN,
            keys=("2",),
        ),
        Action(id="pane_logs", available=_panes, label="Logs", title="Go to the logs", group=Group.SCREEN, keys=("3",)),
        Action(
            id="pane_metrics",
            available=_panes,
            label="Metrics",
            title="Go to the charts",
            group=Group.SCREEN,
            keys=("4",),
        ),
        Action(
            id="pane_next",
            available=_panes,
            label="Next pane",
            title="Go to the next pane",
            group=Group.SCREEN,
            keys=("tab",),
        ),
        Action(
            id="pane_previous",
            available=_panes,
            label="Previous pane",
            title="Go to the previous pane",
            group=Group.SCREEN,
            keys=("shift+tab",),
        ),
        Action(
            id="zoom",
            available=_panes,
            label="Zoom",
            title="Give the pane the whole screen, or take it back",
            group=Group.SCREEN,
            keys=("z",),
            footer=7,
        ),
        Action(id="back", label="Back", title="One level up: filter, zoom, pane", group=Group.SCREEN, keys=("escape",)),
        Action(id="theme", label="Theme", title="Switch between dark and light", group=Group.SCREEN, keys=("T",)),
        Action(id="themes", label="Themes", title="Choose among all colour themes", group=Group.SCREEN),
        Action(
            id="palette",
            label="Palette",
            title="Find any action or service by name",
            group=Group.SCREEN,
            keys=("colon", "ctrl+p"),
        ),
        Action(
            id="retry",
            label="Try again",
            title="Try to connect again",
            group=Group.SCREEN,
            keys=("r",),
            available=lambda now: "" if now.failed else "The engine is connected, or being connected to already.",
            footer=1,
            pane="face",
        ),
        Action(
            id="help",
            label="Help",
            title="Show every key",
            group=Group.SCREEN,
            keys=("question_mark", "f1"),
            footer=1,
        ),
        Action(
            id="quit",
            label="Quit",
            title="Leave Homerun",
            group=Group.SCREEN,
            keys=("q",),
            footer=1,
        ),
    )
}

_KEY_NAMES = {
    "slash": "/",
    "ampersand": "&",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "minus": "-",
    "plus": "+",
    "equals_sign": "=",
    "colon": ":",
    "question_mark": "?",
    "f1": "F1",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "escape": "Esc",
    "delete": "Del",
    "enter": "Enter",
    "ctrl+p": "Ctrl+P",
}


def key_name(key: str) -> str:
    """A key as people call it."""
    return _KEY_NAMES.get(key, key)


def keys_text(action: Action) -> str:
    return " ".join(key_name(key) for key in action.keys)


def sharing_keys() -> list[tuple[Action, ...]]:
    """Actions grouped by their keys: those that share them exclude each other, and the one that fits is done."""
    groups: dict[tuple[str, ...], list[Action]] = {}
    for action in ACTIONS.values():
        if action.keys:
            groups.setdefault(action.keys, []).append(action)
    return [tuple(actions) for actions in groups.values()]


def bindings() -> list[Binding]:
    """A binding for every key; its id is the (first) action's, so a keymap can move it."""
    return [
        Binding(
            ",".join(actions[0].keys),
            f"act('{actions[0].id}')",
            actions[0].title,
            show=False,
            id=actions[0].id,
        )
        for actions in sharing_keys()
    ]


def resolve(action_id: str, now: Situation) -> tuple[Action, str]:
    """What pressing the action's key does now: the first available one of those on the key, else the reason against.

    Where none is available the reason is the one of an action that is made for this situation, as far as one can tell.
    """
    asked = ACTIONS[action_id]
    candidates = [action for action in ACTIONS.values() if asked.keys and action.keys == asked.keys] or [asked]
    for action in candidates:
        if not action.available(now):
            return action, ""
    return asked, asked.available(now)


def footer_actions(now: Situation) -> Iterator[tuple[Action, str]]:
    """What the footer offers in this situation, most useful first, with the reason of each that is dimmed."""
    shown = [
        actions[0]
        for actions in sharing_keys()
        if actions[0].footer and (not actions[0].pane or actions[0].pane == now.pane)
    ]
    # The focused pane's own actions come right after the commands for the service.
    for action in sorted(shown, key=lambda action: (action.footer if not action.pane else 5.5, action.footer)):
        found, reason = resolve(action.id, now)
        if not reason or now.pane != "face":
            yield found, reason
