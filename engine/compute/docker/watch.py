"""What becomes of this home's containers: one stream of events for all of them, and a look at the list to be sure."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.api import ApiError, DockerApi
from engine.compute.docker.times import seconds
from engine.model.clock import Clock
from engine.model.errors import HomerunError
from engine.model.instance import Exit

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0
_IMAGES = {"type": ["image"], "event": ["tag", "load", "import", "pull"]}
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class ContainerWatch:
    """Knows which containers with `label` run. `on_state(problem)` hears when the engine goes away and comes back."""

    def __init__(self, api: DockerApi, clock: Clock, label: str, on_state: Callable[[str], None]) -> None:
        self._api = api
        self._clock = clock
        self._label = label
        self._on_state = on_state
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: dict[str, asyncio.Future[Exit]] = {}
        self._running: set[str] = set()
        self._begun: set[str] = set()
        """Those that began while the engine made its list."""
        self._known = False
        self._look_now = asyncio.Event()
        self._available = asyncio.Event()
        self.on_images: Callable[[], None] = lambda: None
        """Called when the name of an image on this machine has moved."""
        self.problem: str | None = None
        """Why the engine does not answer; "" when it does, None before the first look."""

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._keep_looking(), name="look at containers"),
            asyncio.create_task(self._listen(self._containers, self._heed), name="container events"),
            asyncio.create_task(self._listen(_IMAGES, self._heed_image), name="image events"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._ends.values():
            end.cancel()

    async def available(self) -> None:
        """Return once the engine answers."""
        await self._available.wait()

    def is_running(self, container_id: str) -> bool:
        """As far as is known: while the engine is away, everything is taken to go on."""
        return not self._known or container_id in self._running

    def started(self, container_id: str) -> None:
        self._running.add(container_id)
        self._begun.add(container_id)

    async def ended(self, container_id: str) -> Exit:
        """Return when the container has ended, at once if it has."""
        end = self._ends.get(container_id)
        if end is None:
            end = self._ends[container_id] = asyncio.get_running_loop().create_future()
            if container_id not in self._running:
                self._look_now.set()
        return await asyncio.shield(end)

    def forget(self, container_id: str) -> None:
        """It is being removed: whoever waits for it hears that it has ended."""
        self._running.discard(container_id)
        self._resolve(container_id, Exit(at=self._clock.now(), expected=True))
        self._ends.pop(container_id, None)

    async def look(self) -> None:
        """Compare with the engine's list. Raises ComputeUnavailable, ApiError."""
        self._begun.clear()
        listed = await self._api.call(
            "GET", "/containers/json", query={"all": "1", "filters": {"label": [self._label]}}
        )
        self._running = {c["Id"] for c in listed if c["State"] in ("running", "paused", "restarting")}
        self._running |= self._begun
        self._known = True
        there = {c["Id"] for c in listed}
        for container_id, end in list(self._ends.items()):
            if end.done() or container_id in self._running:
                continue
            if container_id in there:
                await self._settle(container_id)
            else:
                self._resolve(container_id, Exit(at=self._clock.now()))

    async def _keep_looking(self) -> None:
        failures = 0
        while True:
            self._look_now.clear()
            try:
                await self.look()
            except HomerunError as error:
                self._set_problem(str(error))
                await asyncio.sleep(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1
                continue
            except Exception as error:
                logger.exception("The list of containers could not be read")
                self._set_problem(f"The container engine gave an answer that was not understood: {error}.")
                await asyncio.sleep(_RETRY_S[-1])
                continue
            failures = 0
            self._set_problem("")
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    @property
    def _containers(self) -> dict[str, list[str]]:
        return {"type": ["container"], "event": ["die", "destroy"], "label": [self._label]}

    async def _listen(self, filters: dict[str, list[str]], heed: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        while True:
            await self._available.wait()
            try:
                async with self._api.messages("GET", "/events", query={"filters": filters}) as events:
                    self._look_now.set()  # what happened before the stream began
                    async for event in events:
                        await heed(event)
            except (ComputeUnavailable, ApiError) as error:
                logger.info("Container events ended: %s", error)
            except Exception:
                logger.exception("An event of the container engine was not understood")
            self._look_now.set()
            await asyncio.sleep(_RETRY_S[0])

    async def _heed(self, event: dict[str, Any]) -> None:
        container_id = str(event.get("Actor", {}).get("ID", ""))
        self._running.discard(container_id)
        if container_id not in self._ends or self._ends[container_id].done():
            return
        if event.get("Action") == "destroy":
            self._resolve(container_id, Exit(at=self._clock.now()))
        else:
            await self._settle(container_id)

    async def _heed_image(self, event: dict[str, Any]) -> None:  # noqa: ARG002 - which one is seen by looking
        self.on_images()

    async def _settle(self, container_id: str) -> None:
        """Say how it ended."""
        try:
            answer = await self._api.call("GET", f"/containers/{container_id}/json")
        except ApiError:
            self._resolve(container_id, Exit(at=self._clock.now()))
            return
        if not answer["State"]["Running"]:
            self._resolve(container_id, exit_of(answer, self._clock.now()))

    def _resolve(self, container_id: str, exit_: Exit) -> None:
        end = self._ends.get(container_id)
        if end is not None and not end.done():
            end.set_result(exit_)

    def _set_problem(self, problem: str) -> None:
        if problem:
            self._available.clear()
        else:
            self._available.set()
        if problem != self.problem:
            self.problem = problem
            self._on_state(problem)


def exit_of(inspected: dict[str, Any], now: float) -> Exit:
    """How a container ended, from its inspection."""
    state = inspected["State"]
    code = int(state.get("ExitCode", 0))
    at = seconds(str(state.get("FinishedAt", ""))) or now
    if state.get("OOMKilled"):
        return Exit(signal=9, at=at, out_of_memory=True)
    # A container's process that dies by signal n is reported as 128 + n.
    if 128 < code < 128 + 65:
        return Exit(signal=code - 128, at=at)
    return Exit(code=code, at=at)
