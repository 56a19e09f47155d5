"""What a person does at the screen, key by key, and what the engine is asked for it."""

import pytest
from textual.widgets import Input

from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogKind
from engine.model.operation import OperationStatus, OperationStep, OperationType
from engine.model.service import ServiceStatus
from engine.model.watch import ComputeState, Progress, ServicesChange
from tui.app import QuitChoice
from tui.connection import ConnectionState
from tui.presenters.metrics import TimeRange
from tui.screens.confirm import ConfirmScreen, TypedConfirmScreen
from tui.screens.create import CreateScreen
from tui.screens.defect import DefectScreen
from tui.screens.help import HelpScreen
from tui.screens.quit import QuitScreen

pytestmark = pytest.mark.slow
WIDE, SMALL = (120, 40), (80, 24)


def text_of(app) -> str:
    """The characters on the screen, line by line."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def commands(engine) -> list[str]:
    return [name for name, _ in engine.calls]


async def go_to_service(pilot, settled, name: str) -> None:
    dashboard = pilot.app.dashboard
    found = next(view for view in dashboard.bridge.world.services.values() if view.service.service_name == name)
    dashboard.select(found.service.service_id)
    await settled(pilot, lambda: dashboard.view is not None and dashboard.view.service.service_name == name)


def toasts(app) -> list[str]:
    return [f"{note.title} {note.message}".strip() for note in app._notifications]


async def test_first_frame_does_not_wait_for_the_engine(open_app, fake, settled):
    import asyncio

    gate = asyncio.Event()

    async def connect():
        await gate.wait()
        return fake.town()

    app = open_app(connect=connect)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert "Opening your services" in text_of(app)
        gate.set()
        await settled(pilot)
        assert "shop-api" in text_of(app)


async def test_a_failed_connection_says_why_and_r_tries_again(open_app, fake, settled):
    attempts = []

    async def connect():
        attempts.append(1)
        if len(attempts) == 1:
            raise PermissionError(13, "Permission denied", "/home/ada/.local/share/homerun")
        return fake.town()

    app = open_app(connect=connect)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot, lambda: app.connection.state is ConnectionState.FAILED)
        shown = text_of(app)
        assert "Permission denied" in shown
        assert "try again" in shown
        await pilot.press("r")
        await settled(pilot)
        assert "shop-api" in text_of(app)


async def test_quitting_the_failed_face_leaves_at_once(open_app):
    async def connect():
        raise ConnectionError("nobody answers")

    app = open_app(connect=connect)
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("q")
    assert app.return_value is QuitChoice.DETACH


async def test_a_lost_engine_is_a_state_and_it_comes_back(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        engine.drop()
        await settled(pilot, lambda: app.connection.state is ConnectionState.RECONNECTING)
        assert "Reconnecting" in text_of(app)
        assert "shop-api" in text_of(app), "what was known stays in sight"
        await pilot.press("d")
        assert any("not connected" in toast for toast in toasts(app))
        engine.is_down = False
        await settled(pilot, lambda: app.connection.is_up)
        await settled(pilot, lambda: "Reconnecting" not in text_of(app))
        assert "● live" in text_of(app)


async def test_changes_and_new_services_show_by_themselves(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        engine.push_view(fake.view(fake.service("a-new-one", 77)))
        await settled(pilot, lambda: "a-new-one" in text_of(app))
        engine.push(ServicesChange(removed=(fake.hexed(77),)))
        await settled(pilot, lambda: "a-new-one" not in text_of(app))


async def test_n_creates_a_service_from_the_logs_pane_too(open_app, fake, settled):
    app = open_app(fake.town())
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("3", "n")
        await settled(pilot, lambda: isinstance(app.screen, CreateScreen))


async def test_a_repository_with_a_file_needs_only_its_path(open_app, fake, settled):
    engine = fake.FakeEngine()
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        assert "Press n to create the first one" in text_of(app)
        await pilot.press("n")
        assert isinstance(app.screen, CreateScreen)
        await pilot.press(*"/home/ada/code/python-hello")
        await settled(pilot, lambda: "inspect_source" in commands(engine))
        await pilot.press("ctrl+s")
        await settled(pilot, lambda: "create_service" in commands(engine))
        request = dict(engine.calls)["create_service"]
        assert request.service_name == "python-hello"
        assert request.source_configuration.code_repository.repository_url == "/home/ada/code/python-hello"
        await settled(pilot, lambda: app.dashboard.view is not None)
        assert app.dashboard.view.service.service_name == "python-hello"
        await settled(pilot, lambda: "◐ Creating" in text_of(app))
        assert app.dashboard.activity.display, "what happens to it is in sight"


async def test_a_service_that_leaves_between_two_drawings_breaks_nothing(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        world = app.dashboard.bridge.world
        world.services.pop(next(iter(world.services)))
        app.dashboard.services.table.refresh()
        await pilot.pause()
        assert "shop-api" in text_of(app)


async def test_deploy_asks_then_shows_the_operation_and_its_log(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("d")
        assert isinstance(app.screen, ConfirmScreen)
        assert commands(engine) == []
        await pilot.press("enter")
        await settled(pilot, lambda: "start_deployment" in commands(engine))
        await settled(pilot, lambda: "◐ Deploying" in text_of(app))
        assert app.dashboard.logs.kind is LogKind.DEPLOYMENT
        assert app.dashboard.activity.operation.type is OperationType.START_DEPLOYMENT


async def test_deploy_can_be_called_off(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("d", "escape")
        await pilot.pause()
        assert commands(engine) == []


async def test_pause_asks_and_resume_does_not(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("p", "enter")
        await settled(pilot, lambda: commands(engine) == ["pause_service"])
        await go_to_service(pilot, settled, "mailer")
        await pilot.press("p")
        await settled(pilot, lambda: commands(engine) == ["pause_service", "resume_service"])


async def test_delete_wants_the_name(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "mailer")
        await pilot.press("x")
        assert isinstance(app.screen, TypedConfirmScreen)
        await pilot.press("enter")
        assert commands(engine) == []
        await pilot.press(*"mailer", "enter")
        await settled(pilot, lambda: commands(engine) == ["delete_service"])
        gone = engine.services[fake.hexed(4)].service.service_id
        engine.push(ServicesChange(removed=(gone,)))
        await settled(pilot, lambda: "mailer" not in text_of(app))
        assert app.dashboard.view is not None, "another service takes the place of the deleted one"


async def test_a_failed_creation_can_be_built_again(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "image-resizer")
        await pilot.press("d", "enter")
        await settled(pilot, lambda: commands(engine) == ["update_service"])


async def test_the_reason_of_a_failure_stands_on_the_same_screen(open_app, fake, settled):
    app = open_app()
    async with app.run_test(size=(200, 60)) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "image-resizer")
        await pilot.pause()
        shown = text_of(app)
        for part in ("exit code 1", "exited with code 1", "Correct the version", "No matching distribution found"):
            assert part in shown


async def test_the_mouse_does_what_the_keys_do(open_app, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        title = text_of(app).splitlines()[3]
        await pilot.click(offset=(title.index("Logs") + 1, 3))
        await settled(pilot, lambda: app.dashboard.pane is app.dashboard.logs)
        await pilot.click(offset=(text_of(app).splitlines()[4].index("Events") + 1, 4))
        await settled(pilot, lambda: app.dashboard.logs.kind is LogKind.EVENTS)
        await pilot.click(offset=(text_of(app).splitlines()[23].index("New") + 1, 23))
        await settled(pilot, lambda: isinstance(app.screen, CreateScreen))


async def test_what_cannot_be_done_says_why(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "python-hello")
        await pilot.press("d")
        await pilot.pause()
        assert any("python-hello is creating" in toast for toast in toasts(app))


async def test_a_refusal_of_the_engine_is_told_word_for_word(open_app, fake, settled):
    engine = fake.town()
    engine.refusal = EngineError(ErrorCode.INVALID_STATE, "Service [b]x[/b] cannot be paused now.")
    app = open_app(engine)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("p", "enter")
        await settled(pilot, lambda: toasts(app))
        assert "Service [b]x[/b] cannot be paused now." in toasts(app)[0]
        await settled(pilot, lambda: "[b]x[/b]" in text_of(app))
        assert app.busy == ()


async def test_a_refused_creation_comes_back_as_it_was_typed_with_the_reason(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("n")
        await settled(pilot, lambda: "Create a service" in text_of(app))
        await pilot.press(*"https://host/python-hello", "enter")
        await settled(pilot, lambda: app.screen._step == "build")
        engine.refusal = EngineError(ErrorCode.QUOTA_EXCEEDED, "The account has 30 services.")
        await pilot.press("ctrl+s")
        await settled(pilot, lambda: "The account has 30 services." in text_of(app))

        assert app.screen.form.repository == "https://host/python-hello"
        engine.refusal = None
        await pilot.press("ctrl+s")
        await settled(pilot, lambda: "create_service" in commands(engine))


async def test_a_creation_that_finds_no_engine_comes_back_as_it_was_typed_too(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("n")
        await settled(pilot, lambda: "Create a service" in text_of(app))
        await pilot.press(*"https://host/python-hello", "enter")
        await settled(pilot, lambda: app.screen._step == "build")
        engine.refusal = ConnectionError("The engine has gone away.")
        await pilot.press("ctrl+s")
        await settled(pilot, lambda: "The engine has gone away. Try again when it is back." in text_of(app))
        assert app.screen.form.repository == "https://host/python-hello"


async def test_an_unexpected_error_is_shown_in_full_and_logged(open_app, fake, settled, caplog):
    engine = fake.town()
    engine.refusal = RuntimeError("the [impossible] happened")
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "mailer")
        await pilot.press("p")
        await settled(pilot, lambda: isinstance(app.screen, DefectScreen))
        assert "the [impossible] happened" in text_of(app)
        assert "RuntimeError" in caplog.text
        await pilot.press("c")
        assert "Traceback" in app.clipboard
        await pilot.press("escape")
        assert app.screen is app.dashboard


async def test_filter_as_you_type_keeps_and_clears(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        table = app.dashboard.services.table
        await pilot.press("slash", *"shop")
        await settled(pilot, lambda: len(table.keys) == 2)
        assert app.dashboard.view.service.service_name == "shop-api", "the selection follows what is left"
        await pilot.press("enter")
        assert table.has_focus
        assert len(table.keys) == 2
        assert "/shop" in text_of(app)
        await pilot.press("escape")
        await settled(pilot, lambda: len(table.keys) == 6)


async def test_a_filter_without_matches_says_so(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"zzz")
        await settled(pilot, lambda: "No service matches" in text_of(app))
        await pilot.press("escape")
        await settled(pilot, lambda: "No service matches" not in text_of(app))


async def test_log_lines_are_filtered_in_the_logs_pane(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await settled(pilot, lambda: "GET /basket" in text_of(app))
        await pilot.press("3", "ampersand", *"ERROR")
        await settled(pilot, lambda: "GET /basket" not in text_of(app))
        assert "payment gateway" in text_of(app)
        await pilot.press("enter", "escape")
        await settled(pilot, lambda: "GET /basket" in text_of(app))


async def test_log_tabs_and_instances(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("left_square_bracket", "left_square_bracket")
        await settled(pilot, lambda: "Version 7 built" in text_of(app))
        await pilot.press("i")
        assert app.dashboard.logs.kind is LogKind.APPLICATION
        first = app.dashboard.view.instances[0].id
        assert app.dashboard.logs.instance_id == first
        await settled(pilot, lambda: f"instance {first[:8]}" in text_of(app))


async def test_new_log_lines_arrive(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await settled(pilot, lambda: "payment gateway" in text_of(app))
        shop = engine.services[fake.hexed(1)].service
        engine.log(shop, LogKind.APPLICATION, "[red]a line[/] \x1b]0;title\x07 just now", stream=fake.hexed(501))
        await settled(pilot, lambda: "[red]a line[/]  just now" in text_of(app))


async def test_enter_drills_down_and_escape_climbs_back(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        dashboard = app.dashboard
        await pilot.press("enter")
        assert dashboard.activity.main_widget().has_focus
        await pilot.press("down", "enter")
        await pilot.pause()
        assert dashboard.logs.view.has_focus
        assert dashboard.logs.kind is LogKind.DEPLOYMENT
        await pilot.press("escape")
        assert dashboard.services.table.has_focus


async def test_zoom_gives_the_screen_to_one_pane(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        dashboard = app.dashboard
        await pilot.press("3", "z")
        await pilot.pause()
        assert dashboard.logs.display
        assert not dashboard.services.display
        assert dashboard.logs.size.height > 30
        await pilot.press("escape")
        await pilot.pause()
        assert dashboard.services.display
        assert dashboard.logs.view.has_focus


async def test_everything_is_reachable_by_keyboard_at_80x24(open_app, fake, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        dashboard = app.dashboard
        seen = []
        for _ in range(4):
            seen.append(
                [
                    pane.id
                    for pane in (dashboard.services, dashboard.activity, dashboard.logs, dashboard.metrics)
                    if pane.display
                ]
            )
            await pilot.press("tab")
        assert seen == [["services"], ["activity"], ["logs"], ["metrics"]]
        assert dashboard.services.display
        for key, pane in (("2", "activity"), ("4", "metrics"), ("3", "logs"), ("1", "services")):
            await pilot.press(key)
            assert dashboard.pane.id == pane
            assert dashboard.focused is dashboard.pane.main_widget()
        await pilot.press("minus")
        await pilot.pause()
        assert dashboard.metrics.display, "an action on a hidden pane shows it"
        assert dashboard.metrics.time_range is TimeRange.HOUR_1
        await pilot.press("right_square_bracket")
        assert dashboard.logs.display
        await pilot.press("a")
        await pilot.pause()
        assert dashboard.activity.display
        assert "all services" in text_of(app)
        await pilot.press("n")
        await pilot.pause()
        assert app.screen is not dashboard
        await pilot.press("escape")


async def test_resizing_keeps_the_pane_and_brings_the_others_back(open_app, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("3")
        await pilot.resize_terminal(120, 40)
        dashboard = app.dashboard
        panes = (dashboard.services, dashboard.activity, dashboard.logs, dashboard.metrics)
        await settled(pilot, lambda: all(pane.display for pane in panes))
        assert dashboard.logs.view.has_focus
        await pilot.resize_terminal(80, 24)
        await settled(pilot, lambda: not dashboard.services.display)
        assert dashboard.logs.display


async def test_the_cursor_stays_on_its_service_when_the_order_changes(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("s", "s", "S")
        await pilot.pause()
        assert app.dashboard.view.service.service_name == "shop-api"
        assert app.dashboard.services.table.cursor_key == app.dashboard.selected


async def test_the_newest_operation_is_highlighted_until_the_user_moves(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        activity = app.dashboard.activity
        await pilot.press("2", "down", "down")
        chosen = activity.operation
        shop = engine.services[fake.hexed(1)].service
        newest = fake.operation(shop, 70, status=OperationStatus.IN_PROGRESS, step=OperationStep.BUILD, ago_s=1)
        engine.push_view(fake.view(shop, operation=newest))
        await settled(pilot, lambda: newest.id in activity.main_widget().keys)
        assert activity.operation.id == chosen.id
        await pilot.press("home")
        assert activity.operation.id == newest.id


async def show_audit(pilot, settled, *keys: str) -> None:
    await settled(pilot)
    await go_to_service(pilot, settled, "shop-api")
    await pilot.press(*keys, "A")
    await settled(pilot, lambda: pilot.app.dashboard.activity.calls.table.keys)


async def test_the_activity_pane_turns_to_the_audit_trail_and_back(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_audit(pilot, settled, "2")
        activity = app.dashboard.activity
        shown = text_of(app)
        assert "2 Activity: audit trail" in shown
        assert "⊘ Incomplete" in shown
        assert "of shop-api" not in shown
        assert activity.calls.table.has_focus
        await pilot.press("A")
        await pilot.pause()
        assert "audit trail" not in text_of(app)
        assert "of shop-api" in text_of(app)
        assert activity.operations.table.has_focus


async def test_the_audit_trail_leaves_the_focus_and_the_log_where_they_were(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        dashboard = app.dashboard
        await pilot.press("2", "down", "right_square_bracket", "right_square_bracket", "1")
        subject = dashboard.logs.subject
        await pilot.press("A")
        await settled(pilot, lambda: dashboard.activity.calls.table.keys)
        assert dashboard.services.table.has_focus
        assert dashboard.logs.subject == subject


async def test_the_audit_trail_comes_to_the_front_where_one_pane_has_the_screen(open_app, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await show_audit(pilot, settled)
        assert app.dashboard.activity.display
        assert app.dashboard.focused is app.dashboard.activity.main_widget()
        await pilot.press("1", "2")
        assert app.dashboard.activity.calls.table.has_focus


async def test_the_scope_of_the_audit_trail_is_changes_or_all_calls(open_app, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await show_audit(pilot, settled)
        assert "─ changes ─" in text_of(app)
        assert "DescribeService" not in text_of(app)
        await pilot.press("a")
        await settled(pilot, lambda: "DescribeService" in text_of(app))
        assert "─ all calls ─" in text_of(app)
        await pilot.press("a")
        await settled(pilot, lambda: "DescribeService" not in text_of(app))
        await pilot.press("A")
        await pilot.pause()
        assert "of shop-api" in text_of(app), "the scope of operations is another one"


async def test_the_highlighted_call_is_told_in_full_and_scrolls(open_app, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await show_audit(pilot, settled)
        for part in ("InvalidRequestException", "already exists: shop-api.", "from 127.0.0.1", "aws-cli/", "request "):
            assert part in text_of(app)
        assert "HIDDEN_DUE_TO_SECURITY_REASONS" not in text_of(app)
        await pilot.press(*["J"] * 12)
        await settled(pilot, lambda: "HIDDEN_DUE_TO_SECURITY_REASONS" in text_of(app))
        await pilot.press("down")
        await settled(pilot, lambda: "no Authorization header" in text_of(app))


async def test_new_calls_arrive_and_the_one_that_is_read_stays(open_app, fake, settled):
    engine = fake.town()
    engine.records = [fake.record("StartDeployment", number) for number in range(1, 41)]
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await show_audit(pilot, settled)
        calls = app.dashboard.activity.calls
        first = fake.record("PauseService", 90, of=engine.services[fake.hexed(2)].service, ago_s=0)
        engine.push(first)
        await settled(pilot, lambda: calls.subject() == first)
        await pilot.press("down")
        read = calls.subject()
        for number in range(30):
            engine.push(fake.record("ResumeService", 100 + number, ago_s=0))
        await settled(pilot, lambda: len(calls.table.keys) == 71)
        assert calls.subject() == read
        assert calls.table.cursor_row - calls.table.scroll_offset.y == 1, "on the same line of the screen"
        await pilot.press("home")
        await settled(pilot, lambda: calls.subject().name == "ResumeService")


async def test_the_audit_trail_does_not_care_for_the_selected_service(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await show_audit(pilot, settled)
        before = list(app.dashboard.activity.calls.table.keys)
        await go_to_service(pilot, settled, "mailer")
        await pilot.pause()
        assert app.dashboard.activity.calls.table.keys == before
        assert "2 Activity: audit trail" in text_of(app)


async def test_an_empty_audit_trail_says_so(open_app, fake, settled):
    engine = fake.town()
    engine.records.clear()
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("A")
        await settled(pilot, lambda: "Nothing has been changed yet" in text_of(app))
        await pilot.press("a")
        await settled(pilot, lambda: "Nobody has asked for anything yet" in text_of(app))


async def test_the_audit_trail_outlasts_a_lost_engine(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await show_audit(pilot, settled)
        engine.drop()
        await settled(pilot, lambda: app.connection.state is ConnectionState.RECONNECTING)
        assert "PauseService" in text_of(app), "what was known stays in sight"
        engine.records.append(fake.record("DeleteService", 95, ago_s=0))
        engine.is_down = False
        await settled(pilot, lambda: "DeleteService" in text_of(app))


async def test_what_a_caller_sent_is_neither_markup_nor_control(open_app, fake, settled):
    engine = fake.town()
    evil = "[red]x[/] \x1b]0;title\x07y"
    parameters = {"serviceName": evil, "[bold]key[/]": "\x9b2J"}
    engine.records = [fake.record(evil, 1, error=(evil, evil), agent=evil, user=evil, parameters=parameters)]
    app = open_app(engine)
    async with app.run_test(size=(200, 60)) as pilot:
        await show_audit(pilot, settled, "2")
        await pilot.press("z")
        await settled(pilot, lambda: "[bold]key[/]" in text_of(app))
        assert text_of(app).count("[red]x[/]") >= 6
        assert not {"\x1b", "\x07", "\x9b"} & set(text_of(app))


async def test_durations_of_open_operations_grow(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "python-hello")
        await settled(pilot, lambda: "3.4s" in text_of(app))
        engine.clock.time += 60
        await settled(pilot, lambda: "1m 03s" in text_of(app))


async def test_the_palette_finds_actions_and_services(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("colon")
        await settled(pilot, lambda: "Create a service" in text_of(app))
        await pilot.press(*"go to shop-web")
        await settled(pilot, lambda: "Go to shop-web" in text_of(app))
        await pilot.press("enter")
        await settled(pilot, lambda: app.dashboard.view.service.service_name == "shop-web")


async def test_the_palette_does_a_verb_to_a_named_service(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+p", *"resume mailer")
        await settled(pilot, lambda: "Resume mailer" in text_of(app))
        await pilot.press("enter")
        await settled(pilot, lambda: commands(engine) == ["resume_service"])


async def test_palette_entries_do_exactly_what_they_say(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        app.dashboard.do("resume")
        await pilot.pause()
        assert app.screen is app.dashboard, "the key would pause it; the entry must not"
        assert any("shop-api is running" in toast for toast in toasts(app))


async def test_help_opens_and_closes(open_app, settled):
    app = open_app()
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        for key in ("question_mark", "f1"):
            await pilot.press(key)
            assert isinstance(app.screen, HelpScreen)
            await pilot.press("escape")
            assert app.screen is app.dashboard


async def test_copying_tells_what_and_how(open_app, settled, monkeypatch):
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("y")
        await pilot.pause()
        url = f"http://{app.dashboard.view.service.service_url}"
        assert app.clipboard == url
        assert any("tmux" in toast and url in toast for toast in toasts(app))


async def test_open_says_the_url_where_there_is_no_browser(open_app, settled, monkeypatch):
    monkeypatch.setattr("tui.browser.open_browser", lambda url: pytest.fail("no browser may be started"))
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("o")
        await pilot.pause()
        assert any("no display" in toast and ".localhost:8800" in toast for toast in toasts(app))


async def test_open_starts_a_browser_where_there_is_one(open_app, settled, monkeypatch):
    opened = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("tui.browser.open_browser", lambda url: opened.append(url) or True)
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        await pilot.press("o")
        await settled(pilot, lambda: opened)
        assert opened == [f"http://{app.dashboard.view.service.service_url}"]


@pytest.mark.parametrize(("keys", "choice"), [(("enter",), QuitChoice.LEAVE), (("s",), QuitChoice.STOP)])
async def test_quitting_an_embedded_engine_asks_what_becomes_of_the_services(open_app, settled, keys, choice):
    app = open_app(embeds=lambda: True)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("q")
        assert isinstance(app.screen, QuitScreen)
        await pilot.press("escape")
        assert app.screen is app.dashboard
        await pilot.press("q", *keys)
    assert app.return_value is choice


async def test_quitting_when_attached_just_leaves(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("q")
    assert app.return_value is QuitChoice.DETACH


async def test_quitting_asks_nothing_when_nothing_runs(open_app, fake, settled):
    app = open_app(fake.city(3), embeds=lambda: True)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("q")
    assert app.return_value is QuitChoice.DETACH


async def test_ctrl_c_twice_leaves_without_asking(open_app, settled):
    app = open_app(embeds=lambda: True)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("ctrl+c")
        assert app.return_value is None
        await pilot.press("ctrl+c")
    assert app.return_value is QuitChoice.LEAVE


async def test_escape_never_quits(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press(*["escape"] * 5)
        assert app.is_running
        assert app.return_value is None


async def test_typing_into_a_filter_triggers_no_action(open_app, fake, settled):
    engine = fake.town()
    app = open_app(engine)
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await pilot.press("slash", *"dpxnq")
        await pilot.pause()
        assert app.screen is app.dashboard
        assert app.dashboard.services.query_one(Input).value == "dpxnq"
        assert commands(engine) == []


async def test_a_paused_service_says_so(open_app, settled):
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "mailer")
        assert app.dashboard.view.service.status is ServiceStatus.PAUSED
        assert "Press p to resume" in text_of(app)


async def test_no_color_stays_in_the_environment(open_app, settled, monkeypatch):
    import os

    monkeypatch.setenv("NO_COLOR", "1")
    app = open_app()
    async with app.run_test(size=WIDE) as pilot:
        await settled(pilot)
        assert app.no_color
        assert os.environ["NO_COLOR"] == "1", "programs that we start must see it too"


async def test_the_bar_moves_while_its_operation_stays_as_it_is(open_app, fake, settled):
    engine = fake.FakeEngine()
    blog = fake.image_service("blog", 1, "nginx:latest", status=ServiceStatus.OPERATION_IN_PROGRESS)
    pulling = fake.operation(blog, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.FETCH)

    def at(done: int):
        return fake.view(blog, operation=pulling, progress=Progress(done=done, total=100, text=f"{done} of 100 MB"))

    engine.put(at(10))
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("2")
        await settled(pilot, lambda: text_of(app).count("10 of 100 MB") == 2)
        bar = next(line for line in text_of(app).splitlines() if line.count("─") > 40 and "10 %" in line)
        assert bar.count("━") + bar.count("╸") + bar.count("─") > 60, "as wide as there is room"
        engine.push(ServicesChange(changed=(at(70),)))
        await settled(pilot, lambda: text_of(app).count("70 of 100 MB") == 2)
        await pilot.resize_terminal(100, 30)
        await settled(pilot, lambda: any(line.count("━") > 55 for line in text_of(app).splitlines()))


async def test_what_is_wrong_with_the_container_engine_is_said_whole_and_goes(open_app, fake, settled):
    problem = "The container engine may not be used by this user. " + "Join the group that owns its socket. " * 4
    engine = fake.town()
    engine.compute = ComputeState(name="docker", version="28.2.2", problem=problem.strip())
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await go_to_service(pilot, settled, "shop-api")
        assert "▲ no docker" in text_of(app)
        assert problem.strip() in " ".join(text_of(app).split())
        await go_to_service(pilot, settled, "image-resizer")
        assert "Join the group" not in text_of(app)
        assert app.dashboard.why.size.height == 1
        await go_to_service(pilot, settled, "shop-api")
        engine.push(ServicesChange(compute=ComputeState(name="docker", version="28.2.2")))
        await settled(pilot, lambda: "▲ no docker" not in text_of(app))
        assert "Join the group" not in text_of(app)
        assert app.dashboard.why.size.height == 1


@pytest.mark.parametrize(("status", "command"), [("RUNNING", "start_deployment"), ("CREATE_FAILED", "update_service")])
async def test_an_image_is_deployed_and_tried_again_in_its_own_words(open_app, fake, settled, status, command):
    engine = fake.FakeEngine()
    engine.put(fake.view(fake.image_service("blog", 1, "nginx:latest", status=ServiceStatus(status))))
    app = open_app(engine)
    async with app.run_test(size=SMALL) as pilot:
        await settled(pilot)
        await pilot.press("d")
        await settled(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "Its image is pulled as its tag points to it now" in " ".join(text_of(app).replace("│", "").split())
        await pilot.press("enter")
        await settled(pilot, lambda: commands(engine) == [command])
