"""Who watches services and operations: every watcher gets the present state, then merged changes at its own pace."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from engine.model.metric import Pulse
from engine.model.operation import Operation
from engine.model.watch import ComputeState, OperationsChange, ServicesChange, ServiceView

_MERGE_S = 0.03
"""Changes that come this close together reach a watcher as one."""


class _Services:
    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.removed: set[str] = set()
        self.pulses: dict[str, Pulse] = {}
        self.compute = False
        self.news = asyncio.Event()


class _Operations:
    def __init__(self, service_id: str) -> None:
        self.service_id = service_id
        self.changed: dict[str, Operation] = {}
        self.news = asyncio.Event()


class Watchers:
    """`view` makes the current view of a service, None for one that is not listed (any more); `compute` says where
    instances run.
    """

    def __init__(self, view: Callable[[str], ServiceView | None], compute: Callable[[], ComputeState]) -> None:
        self._view = view
        self._compute = compute
        self._services: set[_Services] = set()
        self._operations: set[_Operations] = set()

    def services_changed(self, changed: Iterable[str], removed: Iterable[str] = ()) -> None:
        changed, removed = set(changed), set(removed)
        for watcher in self._services:
            watcher.changed |= changed
            watcher.removed |= removed
            watcher.news.set()

    def compute_changed(self) -> None:
        for watcher in self._services:
            watcher.compute = True
            watcher.news.set()

    def pulsed(self, pulses: tuple[Pulse, ...]) -> None:
        if not pulses:
            return
        for watcher in self._services:
            watcher.pulses.update((pulse.service_id, pulse) for pulse in pulses)
            watcher.news.set()

    def operation_changed(self, operation: Operation) -> None:
        for watcher in self._operations:
            if watcher.service_id in ("", operation.service_id):
                watcher.changed[operation.id] = operation
                watcher.news.set()

    @asynccontextmanager
    async def watch_services(self, now: Callable[[], Iterable[str]]) -> AsyncIterator[AsyncIterator[ServicesChange]]:
        """`now()` lists the ids of all services; taken after the watcher is registered, so nothing is missed."""
        watcher = _Services()
        self._services.add(watcher)
        try:
            yield self._service_changes(watcher, tuple(now()))
        finally:
            self._services.discard(watcher)

    async def _service_changes(self, watcher: _Services, ids: tuple[str, ...]) -> AsyncIterator[ServicesChange]:
        views = (self._view(service_id) for service_id in ids)
        yield ServicesChange(snapshot=True, changed=tuple(view for view in views if view), compute=self._compute())
        while True:
            await watcher.news.wait()
            await asyncio.sleep(_MERGE_S)
            watcher.news.clear()
            changed, watcher.changed = watcher.changed, set()
            removed, watcher.removed = watcher.removed, set()
            pulses, watcher.pulses = watcher.pulses, {}
            compute, watcher.compute = watcher.compute, False
            present = {service_id: self._view(service_id) for service_id in changed - removed}
            removed |= {service_id for service_id, view in present.items() if view is None}
            yield ServicesChange(
                changed=tuple(view for view in present.values() if view),
                removed=tuple(removed),
                pulses=tuple(pulses.values()),
                compute=self._compute() if compute else None,
            )

    @asynccontextmanager
    async def watch_operations(
        self, service_id: str, now: Callable[[], Awaitable[list[Operation]]]
    ) -> AsyncIterator[AsyncIterator[OperationsChange]]:
        """`now()` reads the newest operations; what changes while it does comes right after them."""
        watcher = _Operations(service_id)
        self._operations.add(watcher)
        try:
            yield self._operation_changes(watcher, await now())
        finally:
            self._operations.discard(watcher)

    async def _operation_changes(self, watcher: _Operations, first: list[Operation]) -> AsyncIterator[OperationsChange]:
        yield OperationsChange(snapshot=True, changed=tuple(first))
        while True:
            await watcher.news.wait()
            await asyncio.sleep(_MERGE_S)
            watcher.news.clear()
            changed, watcher.changed = watcher.changed, {}
            yield OperationsChange(changed=tuple(changed.values()))
