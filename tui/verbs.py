"""What the user does to a service: ask where it is due, call the engine, say what came of it."""

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.model.actions.service import (
    CreateServiceRequest,
    CreateServiceResponse,
    DeleteServiceRequest,
    PauseServiceRequest,
    ResumeServiceRequest,
    StartDeploymentRequest,
    UpdateServiceRequest,
)
from engine.model.watch import InspectSourceRequest, InspectSourceResponse, ServiceView
from tui import browser, clipboard
from tui.presenters.services import url_of
from tui.text import clean

if TYPE_CHECKING:
    from tui.screens.create_form import Form
    from tui.screens.dashboard import Dashboard


def _newest(view: ServiceView) -> str:
    """What a deployment does first, as the beginning of a sentence."""
    if view.service.source_configuration.image_repository is not None:
        return "Its image is pulled as its tag points to it now, and"
    return "The newest version of its source is built, and"


class Verbs:
    """One method an action, named by its id. Dangerous ones ask: Enter for deploy and pause, the name for delete."""

    def __init__(self, dashboard: "Dashboard") -> None:
        self._dashboard = dashboard

    def create(self) -> None:
        self._create()

    def _create(self, form: "Form | None" = None, problem: str = "") -> None:
        """The create form; with `form` and `problem` as it was when the engine refused it."""
        from tui.screens.create import CreateScreen

        app = self._dashboard.home

        def created(response: CreateServiceResponse) -> None:
            self._dashboard.select(response.service.service_id)
            self._dashboard.go_to("activity")

        def submit(request: CreateServiceRequest | None) -> None:
            if request is not None:
                app.call(
                    f"Creating {request.service_name}",
                    lambda engine: engine.call(request),
                    done=created,
                    failed=lambda reason: self._create(screen.form, reason),
                )

        async def inspect(request: InspectSourceRequest) -> InspectSourceResponse:
            return await app.engine.inspect_source(request)

        names = [view.service.service_name for view in self._dashboard.bridge.world.services.values()]
        info = app.connection.info
        strict = info is not None and info.strict
        screen = CreateScreen(inspect, names=names, strict=strict, form=form, problem=problem)
        app.push_screen(screen, submit)

    def connections(self) -> None:
        from tui.screens.connections import ConnectionsScreen

        self._dashboard.app.push_screen(ConnectionsScreen())

    def deploy(self) -> None:
        view = self._view
        name = clean(view.service.service_name)
        request = StartDeploymentRequest(service_arn=view.service.service_arn)
        self._ask(
            f"Deploy {name}?",
            f"{_newest(view)} takes over once it is healthy.",
            "Deploy",
            lambda: self._dashboard.home.call(f"Deploying {name}", lambda engine: engine.call(request)),
        )

    def rebuild(self) -> None:
        view = self._view
        name = clean(view.service.service_name)
        request = UpdateServiceRequest(
            service_arn=view.service.service_arn, source_configuration=view.service.source_configuration
        )
        self._ask(
            f"Build {name} again?",
            f"Its creation failed. {_newest(view)} is started.",
            "Rebuild",
            lambda: self._dashboard.home.call(f"Rebuilding {name}", lambda engine: engine.call(request)),
        )

    def pause(self) -> None:
        view = self._view
        name = clean(view.service.service_name)
        request = PauseServiceRequest(service_arn=view.service.service_arn)
        self._ask(
            f"Pause {name}?",
            "Its instances stop and its URL answers 503 until it is resumed. Configuration and versions stay.",
            "Pause",
            lambda: self._dashboard.home.call(f"Pausing {name}", lambda engine: engine.call(request)),
        )

    def resume(self) -> None:
        view = self._view
        request = ResumeServiceRequest(service_arn=view.service.service_arn)
        self._dashboard.home.call(f"Resuming {clean(view.service.service_name)}", lambda engine: engine.call(request))

    def delete(self) -> None:
        from tui.screens.confirm import TypedConfirmScreen

        view = self._view
        name = clean(view.service.service_name)
        request = DeleteServiceRequest(service_arn=view.service.service_arn)

        def answered(sure: bool | None) -> None:
            if sure:
                self._dashboard.home.call(f"Deleting {name}", lambda engine: engine.call(request))

        body = "Its instances, versions, logs and URL go for good. Type its name to confirm."
        self._dashboard.app.push_screen(TypedConfirmScreen(f"Delete {name}?", body, name), answered)

    def open(self) -> None:
        url = self._url()
        if reason := browser.why_not(os.environ):
            self._dashboard.notify(
                f"{reason} The service answers at\n{url}", title="No browser here", markup=False, timeout=15
            )
            return
        self._dashboard.run_worker(self._open(url), group="browser", exit_on_error=False)

    async def _open(self, url: str) -> None:
        if await asyncio.to_thread(browser.open_browser, url):
            self._dashboard.notify(url, title="Opened in the browser", markup=False)
        else:
            self._dashboard.notify(
                f"No browser could be started. The service answers at\n{url}", severity="warning", markup=False
            )

    def copy_url(self) -> None:
        self._copy(self._url())

    def copy_arn(self) -> None:
        self._copy(self._view.service.service_arn)

    def _copy(self, text: str) -> None:
        self._dashboard.app.copy_to_clipboard(text)
        tool = clipboard.native_tool(os.environ)
        if tool:
            self._dashboard.run_worker(self._copy_with(tool, text), group="clipboard", exit_on_error=False)
        else:
            self._dashboard.notify(text, title=f"Copied {clipboard.way(os.environ)}", markup=False)

    async def _copy_with(self, tool: tuple[str, ...], text: str) -> None:
        worked = await asyncio.to_thread(clipboard.copy_with, tool, text)
        way = f"with {tool[0]}" if worked else clipboard.way(os.environ)
        self._dashboard.notify(text, title=f"Copied {way}", markup=False)

    def _ask(self, title: str, body: str, confirm_label: str, then: Callable[[], None]) -> None:
        from tui.screens.confirm import ConfirmScreen

        def answered(sure: bool | None) -> None:
            if sure:
                then()

        self._dashboard.app.push_screen(ConfirmScreen(title, body, confirm_label), answered)

    @property
    def _view(self) -> ServiceView:
        """The selected service; the actions' predicates see to it that there is one."""
        view = self._dashboard.view
        assert view is not None  # noqa: S101 - the registry does not let it come to this
        return view

    def _url(self) -> str:
        return url_of(self._view, self._dashboard.home.connection.info)
