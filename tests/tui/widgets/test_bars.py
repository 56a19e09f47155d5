"""The lines above and below the panes."""

from hypothesis import given
from hypothesis import strategies as st

from tui.presenters.table import Cell
from tui.widgets.bars import line

TEXTS = st.lists(st.text("abc ", min_size=1, max_size=12), max_size=5)


def test_both_ends_with_room():
    assert line([Cell("left")], [Cell("a"), Cell("b")], 20).plain == "left            a  b"


def test_the_right_end_gives_up_all_but_its_last():
    assert line([Cell("left")], [Cell("a" * 10), Cell("live")], 12).plain == "left    live"


def test_then_the_left_is_cut():
    assert line([Cell("a long left side")], [Cell("live")], 12).plain == "a lon…  live"


@given(TEXTS, TEXTS, st.integers(20, 60))
def test_it_never_overflows(left, right, width):
    assert line([Cell(text) for text in left], [Cell(text) for text in right], width).cell_length <= width
