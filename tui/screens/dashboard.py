"""The dashboard: four panes about the selected service. It routes what the bridge brings and moves between panes."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import Provider
from textual.containers import Container
from textual.events import DescendantFocus, Resize
from textual.getters import query_one
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Static

from engine.model.audit import AuditQuery
from engine.model.log import LogKind, LogSelector
from engine.model.operation import Operation
from engine.model.watch import ServiceView
from tui import actions
from tui.bridge import Bridge, LogsArrived, MetricsArrived, WatchRefused, WorldChanged
from tui.connection import ConnectionState
from tui.panes.activity import ActivityPane
from tui.panes.logs import LogsPane
from tui.panes.metrics import MetricsPane
from tui.panes.pane import NAMES, Pane
from tui.panes.services import ServicesPane
from tui.presenters import status
from tui.presenters.logs import (
    deployment_title,
    deployment_to_show,
    next_instance,
    next_kind,
    selector_for,
    telling_kind,
)
from tui.presenters.metrics import TimeRange
from tui.presenters.services import url_of
from tui.text import clean
from tui.verbs import Verbs
from tui.widgets.bars import Bar, KeyBar
from tui.widgets.row_table import RowTable
from tui.world import MOST_CALLS

if TYPE_CHECKING:
    from tui.app import HomerunApp

NARROW, SHORT = 100, 32
"""Below either of these, in cells, one pane has the whole screen."""

_TICK_S = 0.5
_AGES_EVERY = 10  # ticks
_IN_FOOTER_ALWAYS = ("palette", "help", "quit")


def _palette() -> type[Provider]:
    from tui.palette import ActionProvider

    return ActionProvider


class Dashboard(Screen[None]):
    """The one screen. An action is `do_<id>` here or `<id>` in Verbs; `tui.actions` says when it applies."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings())
    COMMANDS = {_palette}
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (NARROW, "-wide"), (160, "-huge")]  # type: ignore[misc]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-short"), (SHORT, "-tall"), (50, "-high")]  # type: ignore[misc]

    selected: reactive[str] = reactive("", init=False)
    """The id of the service that everything but the list is about."""
    zoomed: reactive[bool] = reactive(False, init=False)

    top = query_one("#top", Bar)
    who = query_one("#who", Bar)
    why = query_one("#why", Bar)
    face = query_one("#face", Static)
    panes = query_one("#panes", Container)
    services = query_one(ServicesPane)
    activity = query_one(ActivityPane)
    logs = query_one(LogsPane)
    metrics = query_one(MetricsPane)
    key_bar = query_one(KeyBar)

    def __init__(self) -> None:
        super().__init__()
        self.bridge = Bridge(self, self.home.clock)
        self._verbs = Verbs(self)
        self._awaited = ""
        self._chosen_log: LogKind | None = None
        self._ticks = 0

    @property
    def home(self) -> "HomerunApp":
        return cast("HomerunApp", self.app)

    @property
    def now(self) -> float:
        return self.home.clock.now()

    @property
    def view(self) -> ServiceView | None:
        """The selected service."""
        return self.bridge.world.services.get(self.selected)

    @property
    def pane(self) -> Pane:
        """The pane that has the focus, or had it last."""
        return next((pane for pane in self.query(Pane) if pane.current), self.services)

    @property
    def single(self) -> bool:
        """One pane has the screen: zoomed, or because there is no room for more."""
        return self.zoomed or self.size.width < NARROW or self.size.height < SHORT

    def compose(self) -> ComposeResult:
        yield Bar(id="top")
        yield Bar(id="who")
        yield Bar(id="why")
        yield Static(id="face")
        with Container(id="panes"):
            yield ServicesPane()
            yield ActivityPane()
            yield LogsPane()
            yield MetricsPane()
        yield KeyBar()

    def on_mount(self) -> None:
        self.services.table.sorted_by = (self.services.sort_by.value, False)
        self.watch(self.home, "connection", self._show_connection, init=False)
        self.watch(self.home, "busy", self._show_surroundings, init=False)
        self.set_interval(_TICK_S, self._tick)
        self.go_to("services")
        self._show_surroundings()

    def on_resize(self, _: Resize) -> None:
        self._fit()
        self._show_connection()

    # What the bridge brings.

    @on(WorldChanged)
    def _world_changed(self) -> None:
        world = self.bridge.world
        news = world.take_news()
        if news.services:
            self.services.show(world.services, world.pulses, self.now)
            if self._awaited in world.services:
                self.select(self._awaited)
            if self.selected not in world.services:
                self.selected = self.services.table.cursor_key
            self._show_surroundings()
            self._show_service()
        if news.services or news.operations:
            self._show_activity()
            self._follow_logs()
        if news.calls:
            self._show_calls()

    @on(LogsArrived)
    def _logs_arrived(self) -> None:
        mail = self.bridge.take_logs()
        if mail.selector == self._log_selector():
            self.logs.deliver(mail)

    @on(MetricsArrived)
    def _metrics_arrived(self, event: MetricsArrived) -> None:
        if (event.service_id, event.time_range) == (self.selected, self.metrics.time_range):
            self.metrics.show(event.service_id, event.answer, event.now)

    @on(WatchRefused)
    def _watch_refused(self, event: WatchRefused) -> None:
        self.notify(clean(event.reason), severity="warning", markup=False)

    def _tick(self) -> None:
        """Let durations and ages grow; next to nothing while nothing runs."""
        self._ticks += 1
        self.activity.tick(self.now)
        if self._ticks % _AGES_EVERY == 0:
            world = self.bridge.world
            self.services.show(world.services, world.pulses, self.now)
            self._show_activity()
            self._show_calls()

    # What is selected, and what follows from it.

    @on(RowTable.Highlighted, "#services-table")
    def _service_highlighted(self, event: RowTable.Highlighted) -> None:
        self.selected = event.table.cursor_key

    @on(RowTable.Chosen, "#services-table")
    def _service_chosen(self) -> None:
        self.go_to("activity")

    @on(RowTable.Highlighted, "#activity-table")
    def _operation_highlighted(self) -> None:
        self._follow_logs()

    @on(RowTable.Chosen, "#activity-table")
    def _operation_chosen(self) -> None:
        operation = self.activity.operation
        if operation is not None and operation.service_id in self.bridge.world.services:
            self.select(operation.service_id)
            self.show_log(LogKind.DEPLOYMENT)
            self.go_to("logs")

    def watch_selected(self) -> None:
        self.logs.instance_id = ""
        self.bridge.follow_operations(self.selected)
        self._follow_metrics()
        self._show_activity()
        self._follow_logs()
        self._show_service()

    def select(self, service_id: str) -> None:
        """Make this service the selected one, now or as soon as the list has it."""
        self._awaited = ""
        if service_id not in self.bridge.world.services:
            self._awaited = service_id
            return
        if self.services.filter_text and service_id not in self.services.table.keys:
            self.services.clear_filter()
        self.services.table.move_to(service_id)
        self.selected = service_id

    def show_log(self, kind: LogKind) -> None:
        """Show this log from now on. Choosing the one that would be shown anyway leaves the choice open again."""
        self._chosen_log = None if kind is telling_kind(self.view) else kind
        self._follow_logs()

    def _deployment(self) -> Operation | None:
        history = self.bridge.world.history(self.selected)
        return deployment_to_show(self.selected, self.activity.operation, history)

    def _log_selector(self) -> LogSelector | None:
        return selector_for(
            self.logs.kind, self.selected, instance_id=self.logs.instance_id, deployment=self._deployment()
        )

    def _follow_logs(self) -> None:
        self.logs.kind = self._chosen_log or telling_kind(self.view)
        deployment = self._deployment()
        self.logs.subject = deployment_title(deployment) if deployment else ""
        self.bridge.follow_logs(self._log_selector())

    def _follow_audit(self) -> None:
        query = AuditQuery(changes_only=not self.activity.reads, limit=MOST_CALLS)
        self.bridge.follow_audit(query if self.activity.audit else None)

    def _follow_metrics(self) -> None:
        self.bridge.follow_metrics(self.selected, self.metrics.time_range)

    # What is shown.

    def situation(self) -> actions.Situation:
        view = self.view
        return actions.Situation(
            connected=self.home.connection.is_up,
            failed=self.home.connection.state is ConnectionState.FAILED,
            service=view,
            url=url_of(view, self.home.connection.info) if view else "",
            pane="face" if self.face.display else self.pane.id or "",
            operation=self.activity.operation,
            instances=len(view.instances) if view else 0,
            time_range=self.metrics.time_range,
        )

    def _show_activity(self) -> None:
        world, view = self.bridge.world, self.view
        everything = self.activity.everything
        self.activity.show(
            world.history("" if everything or view is None else self.selected),
            world.services,
            self.now,
            "" if everything or view is None else view.service.service_name,
        )

    def _show_calls(self) -> None:
        if self.activity.audit:
            self.activity.show_calls(self.bridge.world.calls(reads=self.activity.reads), self.now)

    def _show_surroundings(self) -> None:
        """The top bar, and a face instead of the panes where there is nothing to show in them."""
        world, connection = self.bridge.world, self.home.connection
        views = list(world.services.values()) if world.loaded else []
        self.top.left, self.top.right = status.top_bar(
            views, connection, self.home.busy, compute=world.compute, brief=self.size.width < NARROW
        )
        face = status.face(world, connection)
        # Not a class on the screen: that would style every widget anew.
        for widget in (self.who, self.why, self.panes):
            widget.display = face is None
        self.face.display = face is not None
        if face is not None:
            self.face.update(face)
        self._show_keys()

    def _show_connection(self) -> None:
        self._show_surroundings()
        self._show_service()

    def _show_service(self) -> None:
        """What is said about the selected service above the panes."""
        view = self.view
        brief, info = self.size.width < NARROW, self.home.connection.info
        self.who.left, self.who.right = status.who_bar(view, info, brief=brief) if view else ((), ())
        compute = self.bridge.world.compute
        self.why.whole = view is not None and status.tells_trouble(view, compute)
        self.why.left = status.why_bar(view, compute) if view else ()
        self._show_keys()

    def _show_keys(self) -> None:
        now = self.situation()
        self.key_bar.keys = tuple(
            (actions.keys_text(action).partition(" ")[0], action.label, action.id, not reason)
            for action, reason in actions.footer_actions(now)
            if action.id not in _IN_FOOTER_ALWAYS
        )
        self.key_bar.ends = tuple(
            (actions.keys_text(action).partition(" ")[0], action.label, action.id, True)
            for action in (actions.ACTIONS[action_id] for action_id in _IN_FOOTER_ALWAYS)
        )

    # Panes.

    def go_to(self, pane_id: str) -> None:
        """Give a pane the focus, and the screen where there is only room for one."""
        target = self.query_one(f"#{pane_id}", Pane)
        for pane in self.query(Pane):
            pane.current = pane is target
        self._fit()
        self.set_focus(target.main_widget(), scroll_visible=False)
        self._show_keys()

    def _fit(self) -> None:
        """Show one pane or all of them, as there is room."""
        single = self.single
        for pane in self.query(Pane):
            pane.alone = single
            pane.display = pane.current or not single
        self.panes.styles.layout = "vertical" if single else "grid"

    @on(DescendantFocus)
    def _focus_moved(self, event: DescendantFocus) -> None:
        pane = next((node for node in event.widget.ancestors if isinstance(node, Pane)), None)
        if pane is not None and not pane.current:
            for other in self.query(Pane):
                other.current = other is pane
            self._show_keys()

    def watch_zoomed(self) -> None:
        self._fit()

    # Actions.

    def action_act(self, action_id: str) -> None:
        """What a key does: the one of the key's actions that fits, or the reason why none does."""
        action, reason = actions.resolve(action_id, self.situation())
        self._do(action, reason)

    def do(self, action_id: str) -> None:
        """Do exactly this action, or say why it cannot be done."""
        action = actions.ACTIONS[action_id]
        self._do(action, action.available(self.situation()))

    def _do(self, action: actions.Action, reason: str) -> None:
        if reason:
            self.notify(reason, title=f"{action.label}: not now", severity="warning", markup=False, timeout=4)
            return
        handler = getattr(self._verbs, action.id, None) or getattr(self, f"do_{action.id}")
        handler()

    def do_filter(self) -> None:
        pane: ServicesPane | LogsPane = self.logs if self.pane is self.logs else self.services
        if pane is not self.pane:
            self.go_to("services")
        pane.filter_input.open()

    def do_sort(self) -> None:
        self.services.next_sort()

    def do_sort_reverse(self) -> None:
        self.services.reverse = not self.services.reverse

    def do_activity_scope(self) -> None:
        if self.activity.audit:
            self.activity.reads = not self.activity.reads
            self._follow_audit()
            self._show_calls()
        else:
            self.activity.everything = not self.activity.everything
            self._show_activity()
        self._reveal("activity")

    def do_activity_audit(self) -> None:
        focused = self.activity.has_focus_within
        self.activity.audit = not self.activity.audit
        self._follow_audit()
        self._show_calls()
        if focused:
            self.go_to("activity")  # the table that had the focus is gone
        self._reveal("activity")

    def do_logs_next(self) -> None:
        self._choose_log(next_kind(self.logs.kind, 1))

    def do_logs_previous(self) -> None:
        self._choose_log(next_kind(self.logs.kind, -1))

    def do_logs_events(self) -> None:
        self._choose_log(LogKind.EVENTS)

    def do_logs_deployment(self) -> None:
        self._choose_log(LogKind.DEPLOYMENT)

    def do_logs_application(self) -> None:
        self._choose_log(LogKind.APPLICATION)

    def _choose_log(self, kind: LogKind) -> None:
        self.show_log(kind)
        self._reveal("logs")

    def do_logs_instance(self) -> None:
        view = self.view
        ids = tuple(instance.id for instance in view.instances) if view else ()
        self.logs.instance_id = next_instance(self.logs.instance_id, ids)
        self._choose_log(LogKind.APPLICATION)

    def do_follow(self) -> None:
        self.logs.toggle_follow()

    def do_range_longer(self) -> None:
        self._show_range(self.metrics.time_range.longer())

    def do_range_shorter(self) -> None:
        self._show_range(self.metrics.time_range.shorter())

    def _show_range(self, time_range: TimeRange | None) -> None:
        if time_range is not None:
            self.metrics.time_range = time_range
            self._follow_metrics()
            self._reveal("metrics")

    def _reveal(self, pane_id: str) -> None:
        """Where only one pane is visible, go to the one that something was just done in."""
        if self.single:
            self.go_to(pane_id)
        self._show_keys()

    def do_pane_next(self) -> None:
        self._step_pane(1)

    def do_pane_previous(self) -> None:
        self._step_pane(-1)

    def _step_pane(self, step: int) -> None:
        order = list(NAMES)
        self.go_to(order[(order.index(self.pane.id or order[0]) + step) % len(order)])

    def do_zoom(self) -> None:
        self.zoomed = not self.zoomed

    def do_back(self) -> None:
        if (self.pane is self.services or self.pane is self.logs) and self.pane.filter_text:
            self.pane.clear_filter()
        elif self.zoomed:
            self.zoomed = False
        elif self.pane is not self.services:
            self.go_to("services")

    def do_retry(self) -> None:
        self.home.connect()

    def do_theme(self) -> None:
        self.home.switch_theme()

    def do_themes(self) -> None:
        self.app.search_themes()

    def do_palette(self) -> None:
        self.app.action_command_palette()

    def do_help(self) -> None:
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.situation()))

    def do_quit(self) -> None:
        self.home.ask_to_quit(list(self.bridge.world.services.values()))


def _add_pane_and_range_handlers() -> None:
    for pane_id in NAMES:
        setattr(Dashboard, f"do_pane_{pane_id}", lambda self, pane_id=pane_id: self.go_to(pane_id))
    for time_range in TimeRange:
        setattr(
            Dashboard, f"do_range_{time_range.label}", lambda self, time_range=time_range: self._show_range(time_range)
        )


_add_pane_and_range_handlers()
