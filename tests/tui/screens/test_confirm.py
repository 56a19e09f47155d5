"""Dangerous things are asked about, and only a clear yes is a yes."""

import pytest

from tui.screens.confirm import ConfirmScreen, TypedConfirmScreen

pytestmark = pytest.mark.slow  # a whole screen


def deploy():
    return ConfirmScreen("Deploy shop?", "The newest version of its source is built and takes over.", "Deploy")


def delete(name="shop-api"):
    return TypedConfirmScreen(f"Delete {name}?", "Its instances, versions, logs and URL go for good.", name)


async def test_a_question_is_answered_by_keys(app_with, press):
    app = app_with(deploy())
    expected: list[bool] = []
    async with app.run_test() as pilot:
        for keys, answer in (
            (["enter"], True),
            (["y"], True),
            (["escape"], False),
            (["n"], False),
            (["right", "enter"], False),
            (["tab", "enter"], False),
            (["left", "left", "enter"], True),
        ):
            if expected:
                app.push_screen(deploy(), app.answers.append)
            await pilot.pause()
            await press(pilot, *keys)
            expected.append(answer)
            assert app.answers == expected


@pytest.mark.parametrize(("button", "answer"), [("#confirm", True), ("#cancel", False)])
async def test_a_question_is_answered_by_mouse(app_with, settled, button, answer):
    app = app_with(deploy())
    async with app.run_test() as pilot:
        await pilot.click(button)
        await settled(pilot, lambda: app.answers)

        assert app.answers == [answer]


async def test_enter_does_nothing_until_the_very_name_stands_there(app_with, press, settled):
    app = app_with(delete())
    async with app.run_test() as pilot:
        await pilot.pause()
        for typed in ("", "shop", "shop-apis", "SHOP-API", " shop-api"):
            await press(pilot, "ctrl+u", *typed, "enter")
            assert app.answers == []

        await press(pilot, "ctrl+u", *"shop-api", "enter")
        await settled(pilot, lambda: app.answers)
        assert app.answers == [True]


async def test_escape_leaves_without_doing_it(app_with, press):
    app = app_with(delete())
    async with app.run_test() as pilot:
        await pilot.pause()
        await press(pilot, *"shop-api", "escape")

        assert app.answers == [False]


async def test_given_text_is_no_markup_and_controls_nothing(app_with, text_on_screen):
    app = app_with(ConfirmScreen("[red]T[/]\x1b[2J", "one [b]two[/b]\nthree\x07", "[on red]Go[/]"))
    async with app.run_test() as pilot:
        await pilot.pause()
        shown = text_on_screen(app)

        assert "[red]T[/]" in shown
        assert "one [b]two[/b]" in shown
        assert "[on red]Go[/]" in shown


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("face", ["question", "typing", "typed", "mistyped"])
def test_faces(snap_compare, app_with, press, face, size):
    screen = deploy() if face == "question" else delete()
    keys = {"typing": "sho", "typed": "shop-api", "mistyped": "ship"}.get(face, "")

    async def arrange(pilot):
        await pilot.pause()
        for field in screen.query("Input"):
            field.cursor_blink = False
        await press(pilot, *keys)

    assert snap_compare(app_with(screen), terminal_size=size, run_before=arrange)
