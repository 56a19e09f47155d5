"""How columns share a width."""

from hypothesis import given
from hypothesis import strategies as st

from tui.presenters.operations import COLUMNS as OPERATION_COLUMNS
from tui.presenters.services import COLUMNS as SERVICE_COLUMNS
from tui.presenters.table import GAP, Cell, Column, fit


def used(widths: tuple[int, ...]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + GAP * (len(shown) - 1)


@given(st.sampled_from([SERVICE_COLUMNS, OPERATION_COLUMNS]), st.integers(31, 300))
def test_the_columns_never_need_more_than_there_is(columns, width):
    widths = fit(columns, width)
    assert used(widths) <= width
    assert all(not got or got >= column.width for got, column in zip(widths, columns, strict=True))


@given(st.sampled_from([SERVICE_COLUMNS, OPERATION_COLUMNS]), st.integers(31, 299))
def test_more_room_never_takes_a_column_away(columns, width):
    shown = {index for index, got in enumerate(fit(columns, width)) if got}
    assert shown <= {index for index, got in enumerate(fit(columns, width + 1)) if got}


def test_the_highest_rank_leaves_first():
    columns = (
        Column(key="a", title="A", width=10),
        Column(key="b", title="B", width=5, rank=1),
        Column(key="c", title="C", width=5, rank=2),
    )
    assert fit(columns, 24) == (10, 5, 5)
    assert fit(columns, 23) == (10, 5, 0)
    assert fit(columns, 16) == (10, 0, 0)
    assert fit(columns, 3) == (10, 0, 0), "what is left is cut, not dropped"


def test_spare_room_goes_to_wishes_before_anything_else():
    columns = (Column(key="a", title="A", width=4, most=40), Column(key="b", title="B", width=4, most=40, wish=20))
    assert fit(columns, 26) == (4, 20)
    assert fit(columns, 46) == (14, 30)


def test_the_small_screen_keeps_what_matters():
    shown = [column.key for column, width in zip(SERVICE_COLUMNS, fit(SERVICE_COLUMNS, 62), strict=True) if width]
    assert shown == ["name", "status", "source", "instances", "rate", "age"]


def test_a_cell_gets_shorter_with_its_column():
    cell = Cell("a long text", shorter=("a text", "text"))
    assert [cell.text_in(width) for width in (11, 10, 6, 5, 3)] == ["a long text", "a text", "a text", "text", "text"]
    assert Cell("a long text").text_in(3) == "a long text", "it is for the table to cut"
