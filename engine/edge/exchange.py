"""One request and its response: who serves it, what happens when something fails, and when it is over.

    QUEUED      an earlier request on the same connection is not answered yet
    CONNECTING  an instance is chosen, the connection to it is being made; nothing was sent
    SENT        the request, or the beginning of it, is on its way to the instance
    RESPONDING  the response's head has gone to the client, so its status stands
    ENDED       whatever comes now is no longer this exchange's business

A failure before RESPONDING becomes an answer of the edge's own or a second try; later it can only cut the connection.
"""

import asyncio
import logging
from enum import IntEnum
from time import monotonic
from typing import TYPE_CHECKING

from engine.edge.flow import PEER
from engine.edge.framing import CHUNKED, CLOSE, LAST_CHUNK, NONE, Framing, chunk
from engine.edge.problem import Problem, Refused, render_problem, status_of
from engine.edge.request import Request
from engine.edge.response import CONTINUE
from engine.edge.router import LiveService, Match
from engine.edge.target import Target
from engine.edge.upstream import Upstream

if TYPE_CHECKING:
    from engine.edge.downstream import Downstream

RETRY_AFTER_S = 1

_log = logging.getLogger(__name__)


class State(IntEnum):
    QUEUED = 0
    CONNECTING = 1
    SENT = 2
    RESPONDING = 3
    ENDED = 4


QUEUED, CONNECTING, SENT, RESPONDING, ENDED = State

NEXT_STATES: dict[State, frozenset[State]] = {
    QUEUED: frozenset({CONNECTING, SENT, ENDED}),
    CONNECTING: frozenset({CONNECTING, SENT, ENDED}),
    SENT: frozenset({CONNECTING, SENT, RESPONDING, ENDED}),
    RESPONDING: frozenset({ENDED}),
    ENDED: frozenset(),
}
"""Every legal transition. SENT may go back: a request that can be repeated is sent to a second instance."""


class Exchange:
    """Owned by a downstream connection; holds an upstream connection from SENT on."""

    __slots__ = (
        "_client",
        "_connecting",
        "_framing",
        "_match",
        "_parts",
        "_repeated",
        "_sent",
        "_service",
        "_started",
        "_state",
        "_status",
        "_target",
        "_tried",
        "_upstream",
        "http11",
        "is_head",
        "refused",
        "request",
    )

    def __init__(self, client: "Downstream", request: Request, refused: Refused | None = None) -> None:
        self.request = request
        self.refused = refused
        """The request is answered with this and goes nowhere."""
        self.http11 = request.http11
        self.is_head = request.method == b"HEAD"
        self._client = client
        self._state = QUEUED
        self._started = 0.0
        self._status = 0
        self._framing: Framing = NONE
        self._match: Match | None = None
        self._service: LiveService | None = None
        self._target: Target | None = None
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[Upstream] | None = None
        self._tried: tuple[Target, ...] = ()
        self._repeated = False
        self._parts: list[bytes] = []
        """Pieces of the request's body that have not been passed on."""
        self._sent = False
        """The whole request is on its way to the instance."""

    def __repr__(self) -> str:
        return f"<Exchange {self._state.name} {self.request.method!r} {self.request.target!r}>"

    @property
    def responding(self) -> bool:
        return self._state is RESPONDING

    # The client's side

    def start(self) -> None:
        """It is this request's turn."""
        self._started = monotonic()
        if self.refused is not None:
            self._answer(self.refused.problem, self.refused.detail)
        else:
            self._dispatch()

    def add_body(self, part: bytes) -> None:
        if self._state is not ENDED:
            self._parts.append(part)

    def pass_on(self) -> None:
        """Send what has come of the request's body since; waits where there is no connection yet."""
        if self._sent or self._upstream is None:
            return
        body = self._take_body()
        if body:
            self._upstream.transport.write(body)

    def hold_instance(self) -> None:
        """The client takes no more for now."""
        if self._upstream is not None:
            self._upstream.flow.hold(PEER)

    def release_instance(self) -> None:
        if self._upstream is not None:
            self._upstream.flow.release(PEER)

    def break_off(self, refused: Refused) -> None:
        """The request turned out to be invalid in its body."""
        self.refused = refused
        if self._state is QUEUED:
            return
        self._let_go()
        if self._state is RESPONDING:
            self._cut()
        elif self._state is not ENDED:
            self._answer(refused.problem, refused.detail)

    def abandon(self) -> None:
        """The client has gone."""
        if self._state is ENDED:
            return
        self._let_go()
        self._end(status=self._status)

    def expire(self) -> None:
        """The request has had its time."""
        if self._state is ENDED:
            return
        self._let_go()
        if self._state is RESPONDING:
            self._cut()
        else:
            timeout = self._service.route.request_timeout_s if self._service is not None else 0
            self._answer(Problem.TIMEOUT, f"The service did not finish the request within {timeout:g} seconds.")

    # The instance's side

    def respond(self, status: int, framing: Framing) -> bool:
        """The response's head is there. Gives whether the client's connection stays open after it."""
        self._enter(RESPONDING)
        self._status = status
        self._framing = framing
        request = self.request
        request.keep_alive = (
            request.keep_alive and request.complete and framing is not CLOSE and not self._client.edge.stopping
        )
        return request.keep_alive

    def write(self, data: bytes) -> None:
        self._client.transport.write(data)

    def finish(self, *, reusable: bool) -> None:
        """The response is complete."""
        upstream, target = self._upstream, self._target
        assert upstream is not None  # noqa: S101 - only it calls this
        assert target is not None  # noqa: S101 - see above
        self._upstream = None
        upstream.detach()
        if reusable and self.request.complete and not upstream.transport.get_write_buffer_size():
            target.put(upstream, monotonic())
        else:
            upstream.transport.close()
        self._end(status=self._status)

    def lose(self, problem: Problem) -> None:
        """The connection to the instance broke, or what came over it is no HTTP."""
        self._let_go()
        if self._state is RESPONDING:
            self._cut()
        elif problem is Problem.NO_ANSWER and self.request.repeatable and not self._repeated:
            self._repeated = True
            self._dispatch()
        else:
            self._answer(problem)

    def hold_client(self) -> None:
        self._client.hold()

    def release_client(self) -> None:
        self._client.release()

    # Private

    def _enter(self, state: State) -> None:
        if state not in NEXT_STATES[self._state]:
            raise AssertionError(f"{self!r} cannot become {state.name}")
        self._state = state

    def _dispatch(self) -> None:
        """Choose an instance and send the request there, or answer why not."""
        request, client = self.request, self._client
        edge = client.edge
        try:
            match = edge.router.find(request.host)
        except Refused as refused:
            if refused.problem is not Problem.UNKNOWN_HOST:
                self.refused = refused  # a Host that is no host name: the client is not to be trusted any further
            self._answer(refused.problem, refused.detail)
            return
        self._match = match
        service = self._service = match.service
        now = monotonic()
        if not self._tried and not self._repeated:
            client.deadline = self._started + service.route.request_timeout_s
        target = service.choose(self._tried)
        if target is None:
            self._answer(*((Problem.UNREACHABLE,) if self._tried else (Problem.UNAVAILABLE, service.route.unavailable)))
            return
        self._target = target
        service.tally.claim(target, now)
        upstream = target.take(now, repeatable=request.repeatable and not self._repeated)
        if upstream is not None:
            self._send(upstream)
            return
        self._enter(CONNECTING)
        if not request.complete:
            client.hold()
        self._connecting = client.loop.create_task(target.connect())
        self._connecting.add_done_callback(self._connected)

    def _connected(self, task: "asyncio.Task[Upstream]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        if self._connecting is not task:  # ended meanwhile
            if error is None:
                task.result().transport.close()
            return
        self._connecting = None
        self._client.release()
        if error is None:
            self._send(task.result())
            return
        if not isinstance(error, OSError):
            _log.error("Connecting to %r failed in an unforeseen way", self._target, exc_info=error)
        assert self._target is not None  # noqa: S101 - chosen before connecting
        self._tried = (*self._tried, self._target)
        self._let_go()
        self._dispatch()

    def _send(self, upstream: Upstream) -> None:
        self._enter(SENT)
        self._upstream = upstream
        request, client = self.request, self._client
        assert self._match is not None  # noqa: S101 - found before connecting
        head = request.render(self._match.host_lines, client.peer, client.peer_lines, client.edge.next_id())
        if request.framing is not NONE:
            if request.expects_continue and not request.complete and not self._parts:
                client.transport.write(CONTINUE)
            head += self._take_body()
        else:
            self._sent = True
        upstream.serve(self, head)

    def _take_body(self) -> bytes:
        """The pieces of the body that wait, framed for the instance."""
        request, parts = self.request, self._parts
        if request.framing is CHUNKED:
            body = chunk(parts)
            if request.complete:
                body += LAST_CHUNK
        elif len(parts) == 1:
            body = parts[0]
        else:
            body = b"".join(parts)
        self._parts = []
        self._sent = request.complete
        return body

    def _let_go(self) -> None:
        """Give up the instance, whatever it is doing."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        upstream = self._upstream
        if upstream is not None:
            self._upstream = None
            upstream.detach()
            upstream.transport.abort()
        self._release_target()
        self._client.release()

    def _release_target(self) -> None:
        if self._target is not None and self._service is not None:
            self._service.tally.release(self._target, monotonic())
            self._target = None

    def _answer(self, problem: Problem, detail: str = "") -> None:
        """The edge's own answer; the response has not begun."""
        self._let_go()
        request, client = self.request, self._client
        keep_alive = request.keep_alive and request.complete and self.refused is None and not client.edge.stopping
        request.keep_alive = keep_alive
        starting = problem is Problem.UNAVAILABLE and self._service is not None and self._service.route.starting
        client.transport.write(
            render_problem(
                problem,
                detail,
                retry_after_s=RETRY_AFTER_S if starting else 0,
                keep_alive=keep_alive,
                head_only=self.is_head,
            )
        )
        self._end(status=status_of(problem))

    def _cut(self) -> None:
        """The response cannot be finished: the client must notice, so its connection goes."""
        self.request.keep_alive = False
        self._client.abort(reset=self._framing is CLOSE)
        self._end(status=self._status)

    def _end(self, *, status: int) -> None:
        """`status` 0 counts nothing: the client left before there was one."""
        self._release_target()
        self._enter(ENDED)
        self._parts = []
        if status and self._service is not None:
            self._service.tally.count(status, self._started, monotonic())
        self._client.end(self)
