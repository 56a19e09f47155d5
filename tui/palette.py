"""The command palette: every action, and every service to go to or to do something with."""

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui import actions
from tui.presenters.faces import service_face
from tui.screens.dashboard import Dashboard
from tui.text import clean

_VERBS = ("deploy", "pause", "resume", "delete", "open", "copy_url")
"""Actions that the palette offers for each service by name, once the verb is typed."""

_KEYS_AT = 60


class ActionProvider(Provider):
    """Hits are actions with their keys; those that cannot be done now say why instead."""

    @property
    def _dashboard(self) -> Dashboard:
        screen = self.screen
        assert isinstance(screen, Dashboard)  # noqa: S101 - only the dashboard asks for this provider
        return screen

    async def discover(self) -> Hits:
        now = self._dashboard.situation()
        for action in sorted(actions.ACTIONS.values(), key=lambda action: bool(action.available(now))):
            if action.id != "palette":
                yield DiscoveryHit(
                    _display(Content(action.title), action),
                    lambda action_id=action.id: self._dashboard.do(action_id),
                    text=action.title,
                    help=action.available(now) or None,
                )

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        dashboard = self._dashboard
        now = dashboard.situation()
        for action in actions.ACTIONS.values():
            text = action.title
            score = matcher.match(text)
            if score > 0 and action.id != "palette":
                reason = action.available(now)
                yield Hit(
                    score * (0.9 if reason else 1.0),
                    _display(_highlighted(matcher.highlight(text)), action),
                    lambda action_id=action.id: dashboard.do(action_id),
                    text=text,
                    help=reason or None,
                )
        verbs = [
            actions.ACTIONS[verb] for verb in _VERBS if actions.ACTIONS[verb].label.lower().startswith(_first(query))
        ]
        for view in dashboard.bridge.world.services.values():
            name = clean(view.service.service_name)
            for label, action_id in (("Go to", ""), *((verb.label, verb.id) for verb in verbs)):
                text = f"{label} {name}"
                score = matcher.match(text)
                if score > 0:
                    yield Hit(
                        score,
                        Content.assemble(
                            _highlighted(matcher.highlight(text)), ("  " + service_face(view).text, "$text-muted")
                        ),
                        lambda service_id=view.service.service_id, action_id=action_id: self._on_service(
                            service_id, action_id
                        ),
                        text=text,
                    )

    def _on_service(self, service_id: str, action_id: str) -> None:
        self._dashboard.select(service_id)
        if action_id:
            self._dashboard.do(action_id)
        else:
            self._dashboard.go_to("services")


def _first(query: str) -> str:
    """The first word of a query of several, else something that no label starts with."""
    first, space, _ = query.strip().lower().partition(" ")
    return first if space or len(first) > 2 else "\0"


def _highlighted(found: object) -> Content:
    return found if isinstance(found, Content) else Content(str(found))


def _display(text: Content, action: actions.Action) -> Content:
    """The title with its keys in a column of their own."""
    keys = actions.keys_text(action)
    return Content.assemble(text, " " * max(2, _KEYS_AT - text.cell_length), (keys, "$text-muted")) if keys else text
