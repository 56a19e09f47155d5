"""RowTable: the cursor, the lines in sight, and what is drawn again."""

import pytest
from textual.app import App
from textual.pilot import Pilot

from tui.presenters.table import Cell, Column
from tui.widgets.row_table import RowTable, _fitted

pytestmark = pytest.mark.slow  # a whole screen

COLUMNS = (Column(key="a", title="A", width=6, most=20), Column(key="b", title="B", width=4, right=True))


class TableApp(App[None]):
    def __init__(self, count: int = 100) -> None:
        super().__init__()
        self.table = RowTable(COLUMNS)
        self.count = count
        self.chosen: list[str] = []
        self.sorted: list[str] = []
        self.made: list[str] = []

    def compose(self):
        yield self.table

    def on_mount(self) -> None:
        self.fill([f"row{number}" for number in range(self.count)])
        self.table.focus()

    def fill(self, keys, extra: str = "") -> None:
        def cells(key):
            self.made.append(key)
            return (Cell(key + extra), Cell("1", "success"))

        self.table.show(keys, cells)

    def on_row_table_chosen(self, event: RowTable.Chosen) -> None:
        self.chosen.append(event.key)

    def on_row_table_header_clicked(self, event: RowTable.HeaderClicked) -> None:
        self.sorted.append(event.column)


def lines(pilot: Pilot) -> list[str]:
    return [strip.text for strip in pilot.app.screen._compositor.render_strips()]


@pytest.fixture
def run():
    return lambda count=100: TableApp(count)


async def test_only_the_lines_in_sight_are_made(run):
    app = run(10_000)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert set(app.made) <= {f"row{number}" for number in range(10)}
        assert lines(pilot)[0].split() == ["A", "B"]
        assert lines(pilot)[1].split() == ["row0", "1"]


async def test_keys_move_the_cursor_and_scroll(run):
    app = run()
    async with app.run_test(size=(40, 10)) as pilot:
        for key, expected in (
            ("down", "row1"),
            ("j", "row2"),
            ("up", "row1"),
            ("k", "row0"),
            ("up", "row0"),
            ("pagedown", "row9"),
            ("G", "row99"),
            ("down", "row99"),
            ("pageup", "row90"),
            ("ctrl+d", "row94"),
            ("ctrl+u", "row90"),
            ("g", "row0"),
        ):
            await pilot.press(key)
            assert app.table.cursor_key == expected, key
        await pilot.press("end", "enter")
        assert app.chosen == ["row99"]
        await pilot.pause()
        assert "row99" in lines(pilot)[-1]


async def test_the_cursor_stays_on_its_key(run):
    app = run(5)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("down", "down")
        app.fill(["new", "row2", "row0"])
        assert app.table.cursor_key == "row2"
        app.fill(["new", "row0"])
        assert app.table.cursor_key == "row0", "the line that took its place"
        app.fill([])
        assert app.table.cursor_key == ""
        app.fill(["again"])
        assert app.table.cursor_key == "again"


async def test_only_lines_that_differ_are_drawn_again(run, monkeypatch):
    app = run(5)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        drawn = []
        monkeypatch.setattr(app.table, "_refresh_row", drawn.append)
        app.fill([f"row{number}" for number in range(5)])
        assert drawn == []
        app.table.show(
            [f"row{n}" for n in range(5)], lambda key: (Cell("x" if key == "row3" else key), Cell("1", "success"))
        )
        assert drawn == [3]


async def test_clicks_choose_and_sort(run):
    app = run(5)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        await pilot.click(RowTable, offset=(1, 3))
        assert app.table.cursor_key == "row2"
        await pilot.click(RowTable, offset=(1, 0))
        assert app.sorted == ["a"]


@pytest.mark.parametrize(
    ("text", "width", "right", "fitted"),
    [
        ("ab", 4, False, "ab  "),
        ("ab", 4, True, "  ab"),
        ("abcd", 4, False, "abcd"),
        ("abcdef", 4, False, "abc…"),
        ("日本語", 4, False, "日 …"),
        ("日本", 4, False, "日本"),
    ],
)
def test_text_fills_its_width_exactly(text, width, right, fitted):
    assert _fitted(text, width, right=right) == fitted
