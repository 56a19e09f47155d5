"""EngineApi: the whole seam between the engine and its clients. Embedded and attached engines both keep it.

Only serialisable values cross it. Methods raise EngineError for a refused call and ConnectionError when an
attached engine has gone away.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from engine.model.audit import SCREEN, AuditChange, AuditQuery, Caller, RefusedCall
from engine.model.base import R, Request
from engine.model.log import LogBatch, LogPage, LogQuery, LogSelector
from engine.model.metric import MetricAnswer, MetricQuery
from engine.model.watch import (
    EngineInfo,
    InspectSourceRequest,
    InspectSourceResponse,
    OperationsChange,
    ServicesChange,
)


class EngineApi(Protocol):
    # The door: every action there is (engine.model.actions.table).
    async def call(self, request: Request[R]) -> R: ...

    # What App Runner has no action for.
    async def info(self) -> EngineInfo: ...
    async def inspect_source(self, request: InspectSourceRequest) -> InspectSourceResponse: ...
    async def query_logs(self, query: LogQuery) -> LogPage: ...
    async def query_metrics(self, query: MetricQuery) -> MetricAnswer: ...

    # Watching: the present state first, then every change; nothing is missed in between.
    def watch_services(self) -> AbstractAsyncContextManager[AsyncIterator[ServicesChange]]: ...
    def watch_operations(self, service_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[OperationsChange]]:
        """Operations of one service, or the newest 200 of all for ""."""
        ...

    def watch_logs(
        self, selector: LogSelector, tail: int = 500
    ) -> AbstractAsyncContextManager[AsyncIterator[LogBatch]]:
        """The newest `tail` lines in the first batch (which may be empty), then lines as they come."""
        ...

    def watch_audit(self, query: AuditQuery) -> AbstractAsyncContextManager[AsyncIterator[AuditChange]]:
        """The newest records that fit the query, then those that come (of it only `changes_only` counts for them)."""
        ...


class HostedEngine(EngineApi, Protocol):
    """An engine that lives in this process: whoever hosts it says who calls, and when it ends."""

    async def call(self, request: Request[R], *, caller: Caller = SCREEN) -> R: ...

    def turned_away(self, call: RefusedCall) -> None:
        """Record a call that did not get as far as the door."""
        ...

    def announce(self, *, api_url: str, socket: str) -> None:
        """Where it is reached from outside, for `info()`."""
        ...

    async def close(self, *, stop_instances: bool = False) -> None:
        """End everything of the engine; instances go on running unless told otherwise."""
        ...
