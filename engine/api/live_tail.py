"""CloudWatch Logs' live tail: lines as they come, as events in a chunked answer, until the client goes."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import msgspec

from engine.api.event_stream import encode_event
from engine.api.message import Response
from engine.control.log_filter import LogFilter, parse_filter
from engine.control.logs import name_of
from engine.model.actions.log import StartLiveTailRequest, StartLiveTailResponse
from engine.model.api import HostedEngine
from engine.model.log import LogBatch, LogLine, LogSelector

_EVERY_S = 1.0
"""CloudWatch updates once a second, also when there is nothing new."""
_LONGEST_S = 3 * 3600.0
"""CloudWatch ends a session after three hours."""
_WRITE_TIMEOUT_S = 60.0
_AT_MOST = 500
"""Lines in one update; with more it is a sample, and says so."""


class LiveTails:
    """All that run, so that they can be ended."""

    def __init__(self, engine: HostedEngine) -> None:
        self._engine = engine
        self._running: set[asyncio.Task[None]] = set()

    def follow(self, request: StartLiveTailRequest, answer: StartLiveTailResponse, request_id: str) -> Response:
        async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - sessions run in tasks
            self._running.add(task)
            try:
                async with asyncio.timeout(_LONGEST_S):
                    await _follow(self._engine, request, answer, request_id, reader=reader, writer=writer)
            except* (_Gone, ConnectionError, TimeoutError):
                pass
            finally:
                self._running.discard(task)

        return Response(
            status=200,
            headers=(
                ("Content-Type", "application/vnd.amazon.eventstream"),
                ("Transfer-Encoding", "chunked"),
                ("x-amzn-RequestId", request_id),
                ("Connection", "close"),
            ),
            session=session,
        )

    def end(self) -> None:
        for task in self._running:
            task.cancel()


async def _follow(
    engine: HostedEngine,
    request: StartLiveTailRequest,
    answer: StartLiveTailResponse,
    request_id: str,
    *,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Until the client goes."""
    tail = _Tail(request)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for group in answer.groups:
            for kind in group.kinds:
                watch = engine.watch_logs(LogSelector(service_id=group.service_id, kind=kind), 0)
                batches = await stack.enter_async_context(watch)
                tasks.create_task(tail.collect(group.identifier, batches))
        tasks.create_task(tail.send(writer, request_id))
        while await reader.read(65536):
            pass  # whatever else is sent is of no interest
        raise _Gone


class _Gone(Exception):  # noqa: N818 - ends the group of tasks
    """The client has closed."""


class _Tail:
    def __init__(self, request: StartLiveTailRequest) -> None:
        self._request = request
        self._filter: LogFilter = parse_filter(request.log_event_filter_pattern or "")
        self._wants: Callable[[str], bool] = _stream_test(request)
        self._waiting: list[dict[str, object]] = []
        self._left_out = False

    async def collect(self, identifier: str, batches: AsyncIterator[LogBatch]) -> None:
        async for batch in batches:
            self._left_out = self._left_out or batch.dropped > 0
            for line in batch.lines:
                stream = name_of(line.kind, line.stream)
                if self._wants(stream) and self._filter.matches(line.text):
                    self._waiting.append(_result(identifier, stream, line))
            if (excess := len(self._waiting) - _AT_MOST) > 0:
                del self._waiting[:excess]
                self._left_out = True

    async def send(self, writer: asyncio.StreamWriter, request_id: str) -> None:
        await _write(writer, "initial-response", {})
        start = {
            "requestId": request_id,
            "sessionId": str(uuid.uuid4()),
            "logGroupIdentifiers": self._request.log_group_identifiers,
            "logStreamNames": self._request.log_stream_names or (),
            "logStreamNamePrefixes": self._request.log_stream_name_prefixes or (),
            "logEventFilterPattern": self._request.log_event_filter_pattern or "",
        }
        await _write(writer, "sessionStart", start)
        while True:
            await asyncio.sleep(_EVERY_S)
            results, self._waiting = self._waiting, []
            sampled, self._left_out = self._left_out, False
            update = {"sessionMetadata": {"sampled": sampled}, "sessionResults": results}
            await _write(writer, "sessionUpdate", update)


def _stream_test(request: StartLiveTailRequest) -> Callable[[str], bool]:
    if request.log_stream_names is not None:
        wanted = frozenset(request.log_stream_names)
        return lambda name: name in wanted
    prefixes = request.log_stream_name_prefixes or ("",)
    return lambda name: name.startswith(prefixes)


def _result(identifier: str, stream: str, line: LogLine) -> dict[str, object]:
    at = int(line.at * 1000)
    return {
        "logStreamName": stream,
        "logGroupIdentifier": identifier,
        "message": line.text or " ",
        "timestamp": at,
        "ingestionTime": at,
    }


async def _write(writer: asyncio.StreamWriter, event: str, value: object) -> None:
    message = encode_event(event, msgspec.json.encode(value))
    writer.write(b"%x\r\n%s\r\n" % (len(message), message))
    async with asyncio.timeout(_WRITE_TIMEOUT_S):
        await writer.drain()
