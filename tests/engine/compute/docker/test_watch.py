"""Which containers run and how they ended: from events, from the list, and while the engine comes and goes."""

import asyncio
import json

import pytest

from engine.compute.docker import watch as watch_module
from engine.compute.docker.api import DockerApi
from engine.compute.docker.times import nanoseconds, seconds
from engine.compute.docker.watch import ContainerWatch, exit_of
from engine.model.clock import SystemClock
from engine.model.instance import Exit

FINISHED = "2026-11-26T16:55:58.5Z"
AT = 1795712158.5


def inspection(**state: object) -> dict:
    return {"State": {"Running": False, "ExitCode": 0, "OOMKilled": False, "FinishedAt": FINISHED, **state}}


@pytest.mark.parametrize(
    ("state", "exit_"),
    [
        ({}, Exit(code=0, at=AT)),
        ({"ExitCode": 3}, Exit(code=3, at=AT)),
        ({"ExitCode": 255}, Exit(code=255, at=AT)),
        ({"ExitCode": 128}, Exit(code=128, at=AT)),
        ({"ExitCode": 137}, Exit(signal=9, at=AT)),
        ({"ExitCode": 139}, Exit(signal=11, at=AT)),
        ({"ExitCode": 143}, Exit(signal=15, at=AT)),
        ({"ExitCode": 192}, Exit(signal=64, at=AT)),
        ({"ExitCode": 193}, Exit(code=193, at=AT)),
        ({"ExitCode": 137, "OOMKilled": True}, Exit(signal=9, at=AT, out_of_memory=True)),
        ({"FinishedAt": "0001-01-01T00:00:00Z"}, Exit(code=0, at=7.0)),
        ({"FinishedAt": ""}, Exit(code=0, at=7.0)),
    ],
)
def test_how_a_container_ended(state, exit_):
    assert exit_of(inspection(**state), now=7.0) == exit_


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-26T16:55:58.5Z", AT),
        ("2026-11-26T16:55:58.500000000Z", AT),
        ("2026-11-26T16:55:58Z", AT - 0.5),
        ("2026-11-26T18:55:58.5+02:00", AT),
        ("2026-11-26T08:55:58.5-08:00", AT),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("soon", 0.0),
    ],
)
def test_times_of_the_engine(text, at):
    assert seconds(text) == pytest.approx(at)


def test_no_nanosecond_is_lost():
    assert nanoseconds("2026-11-26T16:55:58.123456789Z") % 10**9 == 123_456_789


class Containers:
    """Stands for an engine's containers: a list, inspections, and events as they happen."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.states: dict[str, dict] = {}
        self.events: asyncio.Queue[dict] = asyncio.Queue()
        self.image_events: asyncio.Queue[dict] = asyncio.Queue()
        self.listening = asyncio.Event()
        engine.answers["GET /events"] = self._stream
        self._tell()

    def runs(self, container_id: str) -> None:
        self.states[container_id] = {"Running": True}
        self._tell()

    def ends(self, container_id: str, *, event: bool = True, **state: object) -> None:
        self.states[container_id] = inspection(**state)["State"]
        self._tell()
        if event:
            self.events.put_nowait({"Type": "container", "Action": "die", "Actor": {"ID": container_id}})

    def removed(self, container_id: str, *, event: bool = True) -> None:
        del self.states[container_id]
        del self.engine.answers[f"GET /containers/{container_id}/json"]
        self._tell()
        if event:
            self.events.put_nowait({"Type": "container", "Action": "destroy", "Actor": {"ID": container_id}})

    def _tell(self) -> None:
        self.engine.answers["GET /containers/json"] = [
            {"Id": container_id, "State": "running" if state["Running"] else "exited"}
            for container_id, state in self.states.items()
        ]
        for container_id, state in self.states.items():
            self.engine.answers[f"GET /containers/{container_id}/json"] = {"State": state}

    async def _stream(self, call, send) -> None:
        of_images = "image" in json.loads(call.query["filters"])["type"]
        queue = self.image_events if of_images else self.events
        if not of_images:
            self.listening.set()
        while True:
            await send(json.dumps(await queue.get()).encode() + b"\n")


@pytest.fixture
def containers(fake_engine):
    return Containers(fake_engine)


@pytest.fixture
async def watch(fake_engine, monkeypatch):
    """Looks only when it has a reason to, so that a test sees the reason."""
    monkeypatch.setattr(watch_module, "_LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr(watch_module, "_RETRY_S", (0.01,))
    states: list[str] = []
    watch = ContainerWatch(DockerApi(fake_engine.endpoint), SystemClock(), "homerun.home=x", states.append)
    watch.states = states  # type: ignore[attr-defined]
    yield watch
    await watch.close()


async def ready(watch, containers) -> None:
    watch.start()
    async with asyncio.timeout(5):
        await watch.available()
        await containers.listening.wait()
        while not watch._known:
            await asyncio.sleep(0.005)


async def until(check) -> None:
    async with asyncio.timeout(5):
        while not check():
            await asyncio.sleep(0.005)


async def test_only_this_homes_containers_are_asked_for(watch, containers, fake_engine):
    await ready(watch, containers)
    filters = [json.loads(call.query["filters"]) for call in fake_engine.calls if "filters" in call.query]
    about_containers = [f for f in filters if "image" not in f.get("type", [])]

    assert all(f["label"] == ["homerun.home=x"] for f in about_containers)
    assert len(about_containers) >= 2


async def test_an_end_is_heard_of_by_its_event(watch, containers):
    containers.runs("c")
    await ready(watch, containers)
    assert watch.is_running("c")
    waiting = asyncio.create_task(watch.ended("c"))
    await asyncio.sleep(0)
    containers.ends("c", ExitCode=3)

    assert (await asyncio.wait_for(waiting, 5)).code == 3
    assert not watch.is_running("c")
    assert (await watch.ended("c")).code == 3


async def test_one_that_had_ended_before_is_told_at_once(watch, containers):
    containers.ends("c", event=False, ExitCode=9)
    await ready(watch, containers)

    assert (await asyncio.wait_for(watch.ended("c"), 5)).code == 9


async def test_one_that_is_gone_has_ended_somehow(watch, containers):
    containers.runs("c")
    await ready(watch, containers)
    waiting = asyncio.create_task(watch.ended("c"))
    await asyncio.sleep(0)
    containers.removed("c")
    end = await asyncio.wait_for(waiting, 5)
    assert (end.code, end.signal) == (None, None)

    assert (await asyncio.wait_for(watch.ended("never there"), 5)).code is None


async def test_a_waiter_of_one_that_was_forgotten_hears_that_it_ended(watch, containers):
    """Homerun removes it itself while somebody waits: that is no cancellation of the waiter."""
    containers.runs("c")
    await ready(watch, containers)
    waiting = asyncio.create_task(watch.ended("c"))
    await asyncio.sleep(0.01)
    watch.forget("c")
    await asyncio.wait([waiting], timeout=5)

    assert not waiting.cancelled()
    assert waiting.result().code is None


async def test_a_waiter_that_gives_up_leaves_the_others_waiting(watch, containers):
    containers.runs("c")
    await ready(watch, containers)
    one, other = asyncio.create_task(watch.ended("c")), asyncio.create_task(watch.ended("c"))
    await asyncio.sleep(0.01)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    containers.ends("c", ExitCode=4)

    assert (await asyncio.wait_for(other, 5)).code == 4


async def test_while_the_engine_is_away_everything_is_taken_to_go_on(watch, containers, fake_engine):
    """Then it is back, and what ended meanwhile is heard of."""
    containers.runs("c")
    await ready(watch, containers)
    waiting = asyncio.create_task(watch.ended("c"))
    await fake_engine.stop()
    await until(lambda: watch.problem)
    assert "container engine" in watch.problem
    assert watch.is_running("c")
    assert not waiting.done()

    containers.ends("c", event=False, ExitCode=5)
    await fake_engine.start()
    async with asyncio.timeout(5):
        await watch.available()
        assert (await waiting).code == 5
    assert watch.problem == ""
    assert [bool(state) for state in watch.states] == [False, True, False]


async def test_before_anything_is_known_everything_is_taken_to_run(watch):
    assert watch.is_running("c")


async def test_an_end_between_the_list_and_the_stream_of_events_is_seen(watch, containers, fake_engine):
    """Whenever a stream of events begins, the list is looked at again."""
    containers.runs("c")
    stream = containers._stream

    async def ends_meanwhile(call, send) -> None:
        if "container" in json.loads(call.query["filters"])["type"]:
            containers.ends("c", event=False, ExitCode=6)
        await stream(call, send)

    fake_engine.answers["GET /events"] = ends_meanwhile
    watch.start()

    assert (await asyncio.wait_for(watch.ended("c"), 5)).code == 6


async def test_a_container_that_starts_while_the_list_is_under_way_has_not_ended(watch, containers, fake_engine):
    """The engine made the list before there was such a container, and it arrives after."""
    await ready(watch, containers)
    asked, answer_now = asyncio.Event(), asyncio.Event()

    async def slow_list(_, send):
        asked.set()
        await answer_now.wait()
        await send(b"[]")

    fake_engine.answers["GET /containers/json"] = slow_list
    watch._look_now.set()
    await asked.wait()
    watch.started("new")
    waiting = asyncio.create_task(watch.ended("new"))
    await asyncio.sleep(0.01)
    fake_engine.answers["GET /containers/json"] = [{"Id": "new", "State": "running"}]
    answer_now.set()
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    waiting.cancel()

    assert not done


async def test_an_answer_that_is_not_understood_is_a_problem_and_no_end_of_the_watch(watch, containers, fake_engine):
    fake_engine.answers["GET /containers/json"] = [{"unexpected": True}]
    watch.start()
    await until(lambda: watch.problem)
    assert "not understood" in watch.problem

    containers.runs("c")
    await asyncio.wait_for(watch.available(), 5)


async def test_an_event_that_is_not_understood_is_passed_over(watch, containers):
    containers.runs("c")
    await ready(watch, containers)
    waiting = asyncio.create_task(watch.ended("c"))
    await asyncio.sleep(0)
    containers.events.put_nowait({"Actor": None})
    containers.listening.clear()
    await asyncio.wait_for(containers.listening.wait(), 5)
    containers.ends("c", ExitCode=8)

    assert (await asyncio.wait_for(waiting, 5)).code == 8


async def test_a_name_of_an_image_that_moved_is_heard_of(watch, containers):
    heard = asyncio.Event()
    watch.on_images = heard.set
    await ready(watch, containers)
    containers.image_events.put_nowait({"Type": "image", "Action": "tag", "Actor": {"ID": "sha256:1"}})

    await asyncio.wait_for(heard.wait(), 5)
