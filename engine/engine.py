"""Engine: the one façade and the one door. Everything that reads or changes services comes through here."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Self

from msgspec.structs import replace

from engine import __version__
from engine.audit.trail import Trail
from engine.compute.base import Compute
from engine.control.account import Account
from engine.control.actions import Control, forget_deleted
from engine.control.logs import retentions
from engine.edge.client import EdgeClient, let_go, start_edge
from engine.edge.table import Report
from engine.lifecycle.deployer import Deployer
from engine.lifecycle.image_fetch import ImageFetch
from engine.lifecycle.image_watch import ImageWatch
from engine.lifecycle.inspect import inspect_image, inspect_source
from engine.lifecycle.journal import Journal
from engine.lifecycle.lifecycle import Lifecycle
from engine.lifecycle.rooms import Rooms
from engine.lifecycle.routing import Routing
from engine.lifecycle.watchers import Watchers
from engine.model.actions.service import StartDeploymentRequest
from engine.model.actions.table import ACTIONS, Action
from engine.model.audit import AUTOMATIC, SCREEN, AuditChange, AuditQuery, Caller, RefusedCall
from engine.model.base import R, Request
from engine.model.clock import Clock, SystemClock
from engine.model.constraints import checked
from engine.model.errors import EngineError, ErrorCode
from engine.model.home import Home
from engine.model.log import LogBatch, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from engine.model.record import ServiceRecord
from engine.model.service import ServiceStatus
from engine.model.settings import Settings
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
    ServiceView,
)
from engine.store.state import Changed, StateStore
from engine.telemetry.telemetry import Telemetry

logger = logging.getLogger(__name__)

_HOUSEKEEPING_S = 60.0
_GIVEN_UP = "RequestCanceled"
"""In the audit trail: whoever asked did not wait for the answer."""


class Engine:
    """Implements EngineApi. Made by `await Engine.open(home, settings)`, ended by `close`."""

    def __init__(
        self,
        *,
        home: Home,
        settings: Settings,
        clock: Clock,
        store: StateStore,
        trail: Trail,
        telemetry: Telemetry,
        edge: EdgeClient,
        compute: Compute,
        rooms_closing: AsyncExitStack,
    ) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock
        self._store = store
        self._trail = trail
        self._telemetry = telemetry
        self._edge = edge
        self._compute = compute
        self._closing = rooms_closing
        account = Account(store=store, clock=clock, settings=settings)
        self._control = Control(account, home=home, trail=trail, telemetry=telemetry, edge_address=lambda: edge.address)
        self._watchers = Watchers(self._view, lambda: compute.state)
        journal = Journal(telemetry, lambda service_id: self._watchers.services_changed({service_id}))
        images = ImageFetch(compute=compute, journal=journal, clock=clock, secret_of=self._control.connections.secret)
        self._lifecycle = Lifecycle(
            Rooms(
                store=store,
                compute=compute,
                telemetry=telemetry,
                routing=Routing(edge, settings.region),
                deployer=Deployer(
                    home=home,
                    store=store,
                    compute=compute,
                    images=images,
                    journal=journal,
                    clock=clock,
                    settings=settings,
                ),
                journal=journal,
                clock=clock,
                settings=settings,
            ),
            home,
        )
        self._image_watch = ImageWatch(
            store=store,
            compute=compute,
            images=images,
            journal=journal,
            clock=clock,
            settings=settings,
            deploy=lambda arn: self.call(StartDeploymentRequest(service_arn=arn), caller=AUTOMATIC),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._changes: set[asyncio.Future[Any]] = set()
        """Calls that change something and are under way."""
        self._api_url = ""
        self._socket = ""

    @classmethod
    async def open(
        cls,
        home: Home,
        settings: Settings,
        *,
        clock: Clock | None = None,
        compute: Compute | None = None,
        starting: "asyncio.Future[EdgeClient] | None" = None,
    ) -> Self:
        """Open the stores, adopt or start the edge, adopt instances, begin to reconcile.

        `starting` is an edge that is being started already; the engine takes it over.

        The caller owns the home (its lock). Raises HomerunError: StoreError, AddressInUse.
        """
        clock = clock or SystemClock()
        starting = starting or asyncio.ensure_future(start_edge(home, settings))
        async with AsyncExitStack() as closing:
            closing.push_async_callback(let_go, starting)
            store = await StateStore.open(home.state_db)
            closing.push_async_callback(store.close)
            trail = await Trail.open(home.audit_db, clock, settings.region)
            closing.push_async_callback(trail.close)
            telemetry = await Telemetry.open(home, clock)
            closing.push_async_callback(telemetry.close)
            edge = await starting
            compute = compute or _computes(home, settings, clock, store)
            engine = cls(
                home=home,
                settings=settings,
                clock=clock,
                store=store,
                trail=trail,
                telemetry=telemetry,
                edge=edge,
                compute=compute,
                rooms_closing=closing.pop_all(),
            )
        try:
            await engine._begin()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def _begin(self) -> None:
        await self._control.begin()
        self._edge.hear(self._on_report)
        self._edge.on_restart = lambda: self._watchers.services_changed(self._store.services)
        await self._compute.open(self._watchers.compute_changed)
        await self._lifecycle.start()
        self._image_watch.start()
        self._store.listen(self._on_change)
        self._tasks = [
            asyncio.create_task(self._sample(), name="sample instances"),
            asyncio.create_task(self._pulse(), name="pulse"),
            asyncio.create_task(self._keep_house(), name="housekeeping"),
        ]

    async def close(self, *, stop_instances: bool = False) -> None:
        """End every task and connection. Instances and the edge go on, unless `stop_instances`.

        An edge without any service has nobody to answer for: it ends, too.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._changes, return_exceptions=True)
        await self._image_watch.close()
        await self._lifecycle.close()
        if stop_instances:
            await self._lifecycle.stop_instances()
        await self._compute.close()
        if stop_instances or all(r.status is ServiceStatus.DELETED for r in self._store.services.values()):
            await self._edge.stop()
        await self._closing.aclose()

    def announce(self, *, api_url: str, socket: str) -> None:
        """The host says where this engine can be reached."""
        self._api_url = api_url
        self._socket = socket

    @property
    def edge_url(self) -> str:
        return f"http://{self._edge.address}"

    # The door.

    async def call(self, request: Request[R], *, caller: Caller = SCREEN) -> R:
        """Do what is asked: the one way in. Every call, done or refused, becomes a record of the audit trail.

        A change that was begun is done and recorded even when its caller is cancelled.
        """
        action = ACTIONS[type(request)]
        doing = self._do(action, request, caller)
        if not action.mutates:
            return await doing
        task = asyncio.ensure_future(doing)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _do(self, action: Action, request: Request[R], caller: Caller) -> R:
        try:
            answer = await self._control.do(checked(request))
        except EngineError as error:
            code = action.api.error_type(error)
            await self._trail.finished(action, caller, request, None, code=code, message=error.message)
            raise
        except BaseException as error:
            code = _GIVEN_UP if isinstance(error, asyncio.CancelledError) else ErrorCode.INTERNAL.value
            await self._trail.finished(action, caller, request, None, code=code, message=type(error).__name__)
            raise
        await self._trail.finished(action, caller, request, answer if action.mutates else None)
        return answer

    def turned_away(self, call: RefusedCall) -> None:
        """A call did not get as far as the door."""
        self._trail.turned_away(call)

    # What App Runner has no action for.

    async def info(self) -> EngineInfo:
        return EngineInfo(
            version=__version__,
            home=str(self._home.path),
            api_url=self._api_url,
            edge_url=self.edge_url,
            socket=self._socket,
            pid=os.getpid(),
            region=self._settings.region,
            compute=self._compute.state.name,
            strict=self._settings.strict,
        )

    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse:
        if request.image:
            return await inspect_image(request, self._compute)
        return await inspect_source(replace(request, strict=request.strict or self._settings.strict), self._home)

    async def query_logs(self, query: LogQuery) -> LogPage:
        return await self._telemetry.query_logs(query)

    async def query_metrics(self, query: MetricQuery) -> MetricAnswer:
        return await self._telemetry.query_metrics(query)

    def watch_services(self) -> AbstractAsyncContextManager[AsyncIterator[ServicesChange]]:
        return self._watchers.watch_services(lambda: self._store.services)

    def watch_operations(self, service_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[OperationsChange]]:
        return self._watchers.watch_operations(service_id, lambda: self._store.list_operations(service_id, limit=200))

    def watch_logs(
        self, selector: LogSelector, tail: int = 500
    ) -> AbstractAsyncContextManager[AsyncIterator[LogBatch]]:
        return self._telemetry.watch_logs(selector, tail)

    def watch_audit(self, query: AuditQuery) -> AbstractAsyncContextManager[AsyncIterator[AuditChange]]:
        return self._trail.watch(query)

    def _view(self, service_id: str) -> ServiceView | None:
        record = self._store.services.get(service_id)
        if record is None or record.status is ServiceStatus.DELETED:
            return None
        serving = self._store.versions.get(record.serving_version_id or "")
        operation = self._store.newest_operation(service_id)
        return ServiceView(
            service=self._control.services.shape(record),
            operation=operation,
            failure=operation.failure if operation else None,
            version_number=serving.number if serving else None,
            revision=serving.revision if serving else None,
            instances=tuple(self._store.instances_of(service_id)),
            waiting=self._lifecycle.waiting(service_id),
            progress=self._lifecycle.progress(service_id),
        )

    # What goes on by itself.

    def _on_change(self, changed: Changed) -> None:
        self._watchers.services_changed(changed.services, changed.removed_services)
        for operation_id in changed.operations:
            operation = self._store.operations.get(operation_id)
            if operation:
                self._watchers.operation_changed(operation)

    def _on_report(self, report: Report) -> None:
        self._telemetry.record_edge(report.samples)
        self._lifecycle.wake_draining()

    async def _sample(self) -> None:
        await self._telemetry.run_sampler(self._compute.sample, lambda: list(self._store.instances.values()))

    async def _pulse(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            self._watchers.pulsed(self._telemetry.pulse(self._clock.now()))

    async def _keep_house(self) -> None:
        """Deleted services leave the store when their time is over; old telemetry goes."""
        while True:
            try:
                await self._tidy(self._clock.now())
            except Exception:
                logger.exception("Housekeeping failed; it is tried again in a minute")
            await self._clock.sleep(_HOUSEKEEPING_S)

    async def _tidy(self, now: float) -> None:
        for record in list(self._store.services.values()):
            if record.deleted_at and record.deleted_at + self._settings.deleted_retention_s <= now:
                await self._store.write(lambda tx, record=record: tx.remove(ServiceRecord, record.id))  # type: ignore[misc]
                await self._telemetry.forget(record.id)
        await self._store.write(lambda tx: forget_deleted(tx, now - self._settings.deleted_retention_s))
        await self._trail.tidy()
        horizon = now - self._settings.log_retention_days * 86400
        await self._store.forget_stopped_instances(horizon)
        await self._telemetry.prune(horizon, retentions(self._store.services.values(), now))


def _computes(home: Home, settings: Settings, clock: Clock, store: StateStore) -> Compute:
    """Docker is left alone where only processes are wanted, unless something of this home is there already."""
    from engine.compute.computes import Computes
    from engine.compute.process.compute import ProcessCompute

    docker: Compute | None = None
    if settings.compute != "process" or any(v.artifact and v.artifact.image for v in store.versions.values()):
        from engine.compute.docker.compute import DockerCompute

        docker = DockerCompute(home, settings, clock)
    return Computes(ProcessCompute(home, clock), docker, settings.compute)
