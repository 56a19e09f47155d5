"""One-row inputs: completion by Tab, choices by arrows, folders from the disk."""

import asyncio

import pytest

from tui.widgets.entry import Entry, FolderSuggester, folder_matches

pytestmark = pytest.mark.slow  # a whole screen


@pytest.fixture
def folders(tmp_path):
    for name in ("shop-api", "shop-web", "Other", ".hidden", "bad\x1bname"):
        (tmp_path / name).mkdir()
    (tmp_path / "shop.txt").write_text("no folder")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("{}/sh", ["{}/shop-api/", "{}/shop-web/"]),
        ("{}/", ["{}/Other/", "{}/shop-api/", "{}/shop-web/"]),
        ("{}/.h", ["{}/.hidden/"]),
        ("{}/x", []),
        ("{}/nowhere/x", []),
        ("./sh", ["./shop-api/", "./shop-web/"]),
        ("~/O", ["~/Other/"]),
        ("sh", []),
        ("..", []),
        ("", []),
    ],
)
def test_folders_that_a_path_could_go_on_to(folders, typed, matches):
    found = folder_matches(typed.format(folders), folders, folders)

    assert list(found) == [match.format(folders) for match in matches]


async def test_tab_takes_over_the_suggestion_and_then_leaves(app_with, folders):
    entry = Entry(suggester=FolderSuggester())
    async with app_with(entry).run_test(size=(80, 3)) as pilot:
        entry.focus()
        entry.value = f"{folders}/sh"
        entry.cursor_position = len(entry.value)
        for _ in range(100):
            await pilot.pause()
            if entry._suggestion:
                break
            await asyncio.sleep(0.01)
        await pilot.press("tab")

        assert entry.value == f"{folders}/shop-api/"


async def test_arrows_go_through_the_choices_and_round(app_with):
    entry = Entry()
    entry.choices = ("dev", "main")
    async with app_with(entry).run_test(size=(80, 3)) as pilot:
        entry.focus()
        entry.fill("dev")
        await pilot.press("down")
        assert entry.value == "main"
        await pilot.press("down")
        assert entry.value == "dev"
        await pilot.press("up", "x")
        assert entry.value == "mainx"
        await pilot.press("down")
        assert entry.value == "dev"
