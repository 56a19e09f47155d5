"""One of a few values, by arrows, letters or mouse."""

import pytest
from textual import on

from tui.widgets.choice import Choice

pytestmark = pytest.mark.slow  # a whole screen

CPUS = [("0.25 vCPU", "256"), ("1 vCPU", "1024"), ("2 vCPU", "2048")]


@pytest.fixture
def open_choice(app_with):
    def opened(options=CPUS, value="1024", width=60):
        choice = Choice(options, value)
        app = app_with(choice)
        app.heard = []

        class Heard(type(app)):
            @on(Choice.Changed)
            def remember(self, event):
                self.heard.append(event.value)

        app.__class__ = Heard
        return choice, app, app.run_test(size=(width, 3))

    return opened


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["right"], "2048"),
        (["space"], "2048"),
        (["right", "right"], "256"),
        (["left"], "256"),
        (["home"], "256"),
        (["end"], "2048"),
        (["0"], "256"),
        (["2"], "2048"),
        (["x"], "1024"),
    ],
)
async def test_keys_choose(open_choice, keys, value):
    choice, _, run = open_choice()
    async with run as pilot:
        choice.focus()
        await pilot.press(*keys)

        assert choice.value == value


async def test_only_the_user_is_reported(open_choice):
    choice, app, run = open_choice()
    async with run as pilot:
        choice.focus()
        choice.value = "256"
        choice.set_options(CPUS[1:], "2048")
        await pilot.press("left", "home")

        assert choice.value == "1024"
    assert app.heard == ["1024"]


async def test_a_click_chooses_what_is_under_it(open_choice):
    choice, _, run = open_choice()
    async with run as pilot:
        await pilot.click(choice, offset=(22, 0))

        assert choice.value == "2048"


async def test_what_does_not_fit_shows_the_chosen_one_between_arrows(open_choice):
    choice, _, run = open_choice(width=24)
    async with run as pilot:
        assert choice.render().plain == "◂  1 vCPU  ▸  2 of 3"
        await pilot.click(choice, offset=(0, 0))

        assert choice.value == "256"
