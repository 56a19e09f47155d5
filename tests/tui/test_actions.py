"""The one registry: complete, consistent, and honest about what cannot be done."""

from collections import Counter

import pytest

from engine.model.actions.table import ACTIONS as ENGINE_ACTIONS
from engine.model.operation import OperationStatus
from engine.model.service import ServiceStatus
from tui.actions import ACTIONS, Group, Situation, bindings, footer_actions, keys_text, resolve, sharing_keys
from tui.palette import ActionProvider
from tui.screens.dashboard import Dashboard
from tui.verbs import Verbs


def test_every_command_for_a_service_has_an_action():
    commands = {
        action.name
        for shape, action in ENGINE_ACTIONS.items()
        if action.mutates and shape.__module__ == "engine.model.actions.service"
    }
    assert len(commands) == 6
    assert commands <= {action.command for action in ACTIONS.values()}


def test_every_action_can_be_done():
    for action in ACTIONS.values():
        assert hasattr(Verbs, action.id) or hasattr(Dashboard, f"do_{action.id}"), action.id


def test_every_handler_has_an_action():
    handlers = {name.removeprefix("do_") for name in vars(Dashboard) if name.startswith("do_")}
    handlers |= {name for name in vars(Verbs) if not name.startswith("_")}
    assert handlers == set(ACTIONS)


async def test_every_action_has_a_palette_entry(open_app, settled):
    app = open_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        provider = ActionProvider(app.dashboard)
        found = {hit.text async for hit in provider.discover()}
        assert found == {action.title for action in ACTIONS.values()} - {ACTIONS["palette"].title}
        for action in ACTIONS.values():
            if action.id != "palette":
                assert action.title in {hit.text async for hit in provider.search(action.title)}


def test_keys_are_used_once_or_by_actions_that_exclude_each_other(fake):
    keys = Counter(key for actions in sharing_keys() for key in actions[0].keys)
    assert [key for key, count in keys.items() if count > 1] == []
    for actions in sharing_keys():
        for status in ServiceStatus:
            now = Situation(connected=True, service=fake.view(fake.service("x", 1, status=status)), url="u")
            assert len(actions) == 1 or sum(not action.available(now) for action in actions) <= 1


def test_bindings_have_ids_for_keymaps():
    ids = [binding.id for binding in bindings()]
    assert len(ids) == len(set(ids))
    assert set(ids) <= set(ACTIONS)


def test_titles_and_groups():
    titles = [action.title for action in ACTIONS.values()]
    assert len(titles) == len(set(titles))
    assert {action.group for action in ACTIONS.values()} == set(Group)


@pytest.mark.parametrize(
    ("status", "key", "done"),
    [
        (ServiceStatus.RUNNING, "deploy", "deploy"),
        (ServiceStatus.CREATE_FAILED, "deploy", "rebuild"),
        (ServiceStatus.RUNNING, "pause", "pause"),
        (ServiceStatus.PAUSED, "pause", "resume"),
        (ServiceStatus.DELETE_FAILED, "delete", "delete"),
    ],
)
def test_a_key_does_what_fits_the_service(fake, status, key, done):
    now = Situation(connected=True, service=fake.view(fake.service("x", 1, status=status)))
    action, reason = resolve(key, now)
    assert (action.id, reason) == (done, "")


def test_a_busy_service_refuses_every_command_with_a_reason(fake):
    busy = fake.service("shop", 1, status=ServiceStatus.OPERATION_IN_PROGRESS)
    running = fake.operation(busy, 1, status=OperationStatus.IN_PROGRESS)
    now = Situation(connected=True, service=fake.view(busy, operation=running))
    for action in ACTIONS.values():
        if action.command and action.id != "create":
            assert action.available(now) == "shop is deploying; wait until that has ended."


def test_nothing_reaches_a_lost_engine(fake):
    now = Situation(connected=False, service=fake.view(fake.service("x", 1)), url="u")
    for action in ACTIONS.values():
        assert bool(action.available(now)) or not action.command


def test_the_footer_shows_the_panes_own_keys(fake):
    shown = {
        pane: [action.id for action, _ in footer_actions(Situation(pane=pane))]
        for pane in ("services", "logs", "metrics")
    }
    assert "sort" in shown["services"]
    assert "sort" not in shown["logs"]
    assert "logs_next" in shown["logs"]
    assert "range_longer" in shown["metrics"]


def test_without_panes_the_footer_offers_only_what_works():
    assert {action.id for action, _ in footer_actions(Situation(connected=True, pane="face"))} == {
        "create",
        "help",
        "quit",
    }
    assert "retry" in {action.id for action, _ in footer_actions(Situation(failed=True, pane="face"))}


def test_keys_are_named_as_people_call_them():
    assert keys_text(ACTIONS["help"]) == "? F1"
    assert keys_text(ACTIONS["palette"]) == ": Ctrl+P"
