"""The one reader: what it posts, how it merges, when it lets go."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from engine.model.audit import AuditQuery
from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogKind, LogSelector
from engine.model.metric import Pulse
from engine.model.watch import ServicesChange
from tui.bridge import Bridge, LogsArrived, MetricsArrived, WatchRefused, WorldChanged
from tui.presenters.metrics import TimeRange

pytestmark = pytest.mark.slow  # a whole screen


class Post:
    """Stands in for the screen: keeps what is posted to it."""

    def __init__(self):
        self.messages = []

    def post_message(self, message):
        self.messages.append(message)
        return True

    def count(self, kind):
        return sum(isinstance(message, kind) for message in self.messages)


@pytest.fixture
def running(fake):
    """A bridge that reads from an engine, and the post it writes to."""

    @asynccontextmanager
    async def start(engine):
        post = Post()
        bridge = Bridge(post, engine.clock)
        reading = asyncio.create_task(bridge.run(engine))
        try:
            yield bridge, post
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    return start


async def until(condition):
    async with asyncio.timeout(3):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_burst_of_changes_is_one_message(fake, running):
    engine = fake.town()
    async with running(engine) as (bridge, post):
        await until(lambda: bridge.world.loaded)
        await asyncio.sleep(0.1)
        before = post.count(WorldChanged)
        for rate in range(200):
            engine.push(
                ServicesChange(
                    pulses=(Pulse(service_id=fake.hexed(1), requests_per_s=rate, cpu_percent=0, memory_bytes=0),)
                )
            )
        await until(lambda: bridge.world.pulses[fake.hexed(1)].requests_per_s == 199)
        await asyncio.sleep(0.12)
        assert post.count(WorldChanged) - before <= 2


async def test_log_lines_wait_together_until_they_are_taken(fake, running):
    engine = fake.town()
    shop = engine.services[fake.hexed(1)].service
    selector = LogSelector(service_id=shop.service_id, kind=LogKind.APPLICATION)
    async with running(engine) as (bridge, post):
        bridge.follow_logs(selector)
        await until(lambda: post.count(LogsArrived) >= 2)
        mail = bridge.take_logs()
        assert mail.fresh
        assert mail.selector == selector
        assert len(mail.lines) == 60
        for number in range(3):
            engine.log(shop, LogKind.APPLICATION, f"line {number}")
        await until(lambda: len(bridge._mail.lines) == 3)
        mail = bridge.take_logs()
        assert not mail.fresh
        assert [line.text for line in mail.lines] == ["line 0", "line 1", "line 2"]


async def test_a_cursor_that_runs_down_the_list_subscribes_only_where_it_stops(fake, running, monkeypatch):
    engine = fake.town()
    asked = []
    watch_logs = engine.watch_logs
    monkeypatch.setattr(
        engine, "watch_logs", lambda selector: asked.append(selector.service_id) or watch_logs(selector)
    )
    async with running(engine) as (bridge, _):
        await until(lambda: bridge.world.loaded)
        for number in range(1, 7):
            bridge.follow_logs(LogSelector(service_id=fake.hexed(number), kind=LogKind.EVENTS))
            await asyncio.sleep(0.005)
        await until(lambda: asked)
        await asyncio.sleep(0.15)
        assert asked == [fake.hexed(6)]


async def test_charts_are_asked_for_what_is_selected(fake, running):
    engine = fake.town()
    async with running(engine) as (bridge, post):
        bridge.follow_metrics(fake.hexed(1), TimeRange.HOURS_6)
        await until(lambda: any(isinstance(m, MetricsArrived) and m.answer for m in post.messages))
        message = next(m for m in post.messages if isinstance(m, MetricsArrived) and m.answer)
        assert message.service_id == fake.hexed(1)
        assert message.answer.start == fake.NOW - 6 * 3600


async def test_a_refused_subscription_is_told_and_a_vanished_service_is_not(fake, running, monkeypatch):
    engine = fake.town()
    errors = {
        fake.hexed(1): EngineError(ErrorCode.RESOURCE_NOT_FOUND, "gone"),
        fake.hexed(2): EngineError(ErrorCode.INTERNAL, "the telemetry cannot be read"),
    }

    async def refuse(query):
        raise errors[query.service_id]

    monkeypatch.setattr(engine, "query_metrics", refuse)
    async with running(engine) as (bridge, post):
        bridge.follow_metrics(fake.hexed(1), TimeRange.HOUR_1)
        await asyncio.sleep(0.15)
        assert post.count(WatchRefused) == 0
        bridge.follow_metrics(fake.hexed(2), TimeRange.HOUR_1)
        await until(lambda: post.count(WatchRefused))
        assert next(m for m in post.messages if isinstance(m, WatchRefused)).reason == "the telemetry cannot be read"


async def test_the_audit_trail_is_watched_only_while_somebody_wants_it(fake, running):
    engine = fake.town()
    async with running(engine) as (bridge, _):
        await until(lambda: bridge.world.loaded)
        await asyncio.sleep(0.05)
        idle = len(engine._watchers)
        assert bridge.world.calls(reads=True) is None
        bridge.follow_audit(AuditQuery(limit=1000))
        await until(lambda: bridge.world.calls(reads=True))
        assert len(engine._watchers) == idle + 1
        bridge.follow_audit(None)
        await until(lambda: len(engine._watchers) == idle)
        engine.push(fake.record("PauseService", 99))
        await asyncio.sleep(0.05)
        assert len(bridge.world.calls(reads=True)) == 7, "what is known stays, nothing is added"


async def test_a_flood_of_calls_is_few_messages(fake, running):
    engine = fake.town()
    async with running(engine) as (bridge, post):
        bridge.follow_audit(AuditQuery(limit=1000))
        await until(lambda: bridge.world.calls(reads=True))
        await asyncio.sleep(0.1)
        before = post.count(WorldChanged)
        for number in range(500):
            engine.push(fake.record("ListServices", 100 + number))
        await until(lambda: bridge.world.calls(reads=True)[0].seq == 599)
        await asyncio.sleep(0.12)
        assert post.count(WorldChanged) - before <= 2


async def test_losing_the_engine_ends_the_reading_with_a_connection_error(fake):
    engine = fake.town()
    bridge = Bridge(Post(), engine.clock)
    reading = asyncio.create_task(bridge.run(engine))
    await until(lambda: bridge.world.loaded)
    engine.drop()
    with pytest.raises(ConnectionError, match="gone away"):
        await reading
    assert engine._watchers == set(), "no subscription stays behind"


def test_newer_messages_take_the_place_of_queued_ones(fake):
    assert WorldChanged().can_replace(WorldChanged())
    assert LogsArrived().can_replace(LogsArrived())
    assert not WorldChanged().can_replace(LogsArrived())
    first = MetricsArrived("a", TimeRange.HOUR_1, None, 0)
    assert first.can_replace(MetricsArrived("b", TimeRange.HOUR_1, None, 0))
