"""How every page and state looks at the three sizes. Look at each picture before accepting a changed one.

`pytest tests/tui/test_snapshots.py --snapshot-update` takes them anew.
"""

import asyncio

import pytest
from msgspec.structs import replace

from engine.model.errors import EngineError, ErrorCode
from engine.model.operation import OperationStatus, OperationStep, OperationType
from engine.model.service import ServiceStatus
from engine.model.version import Revision
from engine.model.watch import ComputeState, Progress

pytestmark = pytest.mark.slow

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
every_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
two_sizes = pytest.mark.parametrize("size", list(SIZES.values())[:2], ids=list(SIZES)[:2])
small = pytest.mark.parametrize("size", [SIZES["80x24"]], ids=["80x24"])
wide = pytest.mark.parametrize("size", [SIZES["120x40"]], ids=["120x40"])


@pytest.fixture
def looks(snap_compare, open_app, fake, settled):
    """Compare what an application shows, on one service, after some keys."""

    def compare(size, *keys, app=None, service="", ready=None):
        app = app or open_app()

        async def prepare(pilot):
            await settled(pilot, ready)
            dashboard = app.dashboard
            if service:
                found = next(v for v in dashboard.bridge.world.services.values() if v.service.service_name == service)
                dashboard.select(found.service.service_id)
            if dashboard.view is not None:
                # Logs and charts come by subscription, a moment after the selection has settled.
                await settled(pilot, lambda: app.shows_selection)
            for key in keys:
                if callable(key):
                    await key(pilot)
                else:
                    await pilot.press(key)
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.15)
            await pilot.pause()
            for blinking in app.screen.query("Input"):
                blinking.cursor_blink = False

        return snap_compare(app, terminal_size=size, run_before=prepare)

    return compare


@pytest.fixture
def open_app(open_app, monkeypatch):
    """Applications that know when the logs and charts of the selected service are on the screen."""
    from tui.app import HomerunApp

    def shows_selection(app) -> bool:
        dashboard, bridge = app.dashboard, app.dashboard.bridge
        return (
            bridge._logs.value == dashboard._log_selector()
            and bridge._mail.selector == bridge._logs.value
            and not bridge._mail.lines
            and not bridge._mail.fresh
            and dashboard.metrics.shown_for == (dashboard.selected, dashboard.metrics.time_range)
        )

    monkeypatch.setattr(HomerunApp, "shows_selection", property(shows_selection), raising=False)
    return open_app


@every_size
def test_a_running_service(looks, size):
    assert looks(size, service="shop-api")


@every_size
def test_a_failed_creation(looks, size):
    assert looks(size, service="image-resizer")


@every_size
def test_a_deployment_rolled_back(looks, size):
    assert looks(size, "2", service="reports")


@two_sizes
def test_work_in_progress(looks, size):
    assert looks(size, "2", service="python-hello")


@two_sizes
def test_a_paused_service(looks, size):
    assert looks(size, service="mailer")


@pytest.fixture
def pulling(fake):
    """An engine that pulls the image of one service and runs another one's."""
    engine = fake.FakeEngine()
    engine.compute = ComputeState(name="docker", version="28.2.2")
    shop = fake.image_service("shop-api", 1, "ghcr.io/acme/shop-api:1.4", status=ServiceStatus.OPERATION_IN_PROGRESS)
    blog = fake.image_service("blog", 2, "nginx:latest")
    under_way = fake.operation(
        shop,
        1,
        kind=OperationType.CREATE_SERVICE,
        status=OperationStatus.IN_PROGRESS,
        step=OperationStep.FETCH,
        note="ghcr.io/acme/shop-api:1.4",
        ago_s=8,
    )
    digest = Revision(id="sha256:" + "5b2a1c9d" * 8, kind="image", branch="latest", title="nginx")
    engine.put(
        fake.view(
            shop,
            operation=under_way,
            progress=Progress(done=12_100_000, total=28_000_000, text="12.1 of 28.0 MB, 3 of 5 layers"),
        ),
        fake.view(blog, instances=(fake.instance(blog, 2),), version_number=3, revision=digest),
    )
    return engine


@every_size
def test_an_image_is_pulled(looks, size, open_app, pulling):
    assert looks(size, "2", app=open_app(pulling), service="shop-api")


@every_size
def test_docker_is_not_there(looks, size, open_app, pulling):
    problem = "There is no container engine at unix:///var/run/docker.sock. Start it (sudo systemctl start docker)."
    pulling.compute = replace(pulling.compute, problem=problem)
    assert looks(size, app=open_app(pulling), service="blog")


@small
def test_no_services_and_no_docker(looks, size, open_app, fake):
    engine = fake.FakeEngine()
    engine.compute = ComputeState(
        name="docker",
        problem="The container engine at unix:///var/run/docker.sock may not be used by this user. Join the group that"
        " owns its socket (sudo usermod -aG docker $USER, then log in again), or run a rootless engine.",
    )
    assert looks(size, app=open_app(engine))


@every_size
def test_no_services_yet(looks, size, open_app, fake):
    assert looks(size, app=open_app(fake.FakeEngine()))


@two_sizes
def test_loading(looks, size, open_app):
    async def connect():
        await asyncio.Event().wait()

    assert looks(size, app=open_app(connect=connect), ready=lambda: True)


@two_sizes
def test_not_connected(looks, size, open_app):
    async def connect():
        raise ConnectionError("Another engine (pid 4711) owns /home/ada/.local/share/homerun but does not answer.")

    app = open_app(connect=connect)
    assert looks(size, app=app, ready=lambda: app.connection.reason)


@wide
def test_reconnecting(looks, size, open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)

    async def drop(pilot):
        engine.drop()
        await settled(pilot, lambda: not app.connection.is_up)

    assert looks(size, drop, app=app, service="shop-api")


@small
@pytest.mark.parametrize("pane", ["2", "3", "4"], ids=["activity", "logs", "metrics"])
def test_each_pane_alone(looks, size, pane):
    assert looks(size, pane, service="shop-api")


@wide
def test_zoomed_charts(looks, size):
    assert looks(size, "4", "z", service="shop-api")


@wide
def test_zoomed_services(looks, size):
    assert looks(size, "z", service="shop-web")


@two_sizes
def test_activity_of_all(looks, size):
    assert looks(size, "2", "a", service="shop-api")


@every_size
def test_the_audit_trail(looks, size, settled):
    async def listed(pilot):
        await settled(pilot, lambda: pilot.app.dashboard.activity.calls.table.keys)

    assert looks(size, "2", "A", listed, service="shop-api")


@two_sizes
def test_all_calls(looks, size, settled):
    async def listed(pilot):
        await settled(pilot, lambda: len(pilot.app.dashboard.activity.calls.table.keys) == 7)

    assert looks(size, "2", "A", "a", listed, "down", "z", service="shop-api")


@small
def test_an_empty_audit_trail(looks, size, settled, open_app, fake):
    engine = fake.town()
    engine.records.clear()

    async def read(pilot):
        await settled(pilot, lambda: pilot.app.dashboard.bridge.world.trail is not None)

    assert looks(size, "A", read, app=open_app(engine))


@every_size
def test_connections(looks, size):
    assert looks(size, "C", "down", service="shop-api")


@small
def test_no_connections_yet(looks, size, open_app, fake):
    assert looks(size, "C", app=open_app(fake.FakeEngine()))


@every_size
def test_authorizing_a_connection(looks, size, open_app, fake, settled):
    engine = fake.town()

    async def listed(pilot):
        await settled(pilot, lambda: pilot.app.screen.connection is not None)
        engine.refusal = EngineError(ErrorCode.INTERNAL, "The key of this home cannot be read: [b]damaged[/b].")

    async def refused(pilot):
        await settled(pilot, lambda: engine.refusal is None and pilot.app.screen.query_one("#problem").display)

    assert looks(size, "C", listed, "down", "enter", *"ghp_token", "enter", refused, app=open_app(engine))


@small
def test_a_new_connection(looks, size):
    assert looks(size, "C", "n", *"acme-bitbucket", "tab", "right")


@two_sizes
def test_filtering_services(looks, size):
    assert looks(size, "slash", *"status:run")


@wide
def test_a_filter_without_matches(looks, size):
    assert looks(size, "slash", *"zzz", "enter")


@small
def test_filtering_log_lines(looks, size):
    assert looks(size, "3", "slash", *"GET", "enter", service="shop-api")


@two_sizes
def test_the_palette(looks, size):
    async def listed(pilot):
        await asyncio.sleep(0.3)

    assert looks(size, "colon", listed, service="shop-api")


@two_sizes
def test_help(looks, size):
    assert looks(size, "question_mark", service="shop-api")


@small
def test_help_from_the_logs(looks, size):
    assert looks(size, "3", "f1", service="shop-api")


@small
def test_leaving(looks, size, open_app):
    assert looks(size, "q", app=open_app(embeds=lambda: True))


@two_sizes
def test_deleting(looks, size):
    assert looks(size, "x", *"mail", service="mailer")


@small
def test_a_refusal(looks, size, open_app, fake):
    engine = fake.town()
    engine.refusal = EngineError(ErrorCode.INVALID_STATE, "Service cannot be paused in the current state: [b]BUSY[/b].")
    assert looks(size, "p", "enter", app=open_app(engine), service="shop-api")


@wide
def test_many_services(looks, size, open_app, fake):
    assert looks(size, "pagedown", "down", app=open_app(fake.city(500)))


@wide
def test_the_light_theme(looks, size):
    assert looks(size, "T", service="reports")


@wide
def test_without_colours(looks, size, monkeypatch, open_app):
    monkeypatch.setenv("NO_COLOR", "1")
    assert looks(size, app=open_app(), service="reports")
