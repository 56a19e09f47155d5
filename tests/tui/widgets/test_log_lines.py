"""The rows behind a log view, checked against doing the same thing the slow way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.log_lines import LogRows, Row, parse_filter, rows_of, width_of, wrapped


def test_text_is_cleaned_and_a_gap_says_how_much_is_missing(log_line):
    rows = rows_of([log_line("\x1b[31mred\x1b[0m", stream="abc", at=5.0)], dropped=1240)

    assert rows == [Row("… 1,240 lines dropped …", dropped=1240), Row("red", 5.0, "abc")]


def test_a_line_without_end_is_cut_and_says_so(log_line):
    (row,) = rows_of([log_line("x" * 1_000_000)])

    assert len(row.text) < 70_000
    assert row.text.endswith("… (1,000,000 characters)")


@pytest.mark.parametrize(
    ("typed", "selected"),
    [("", "abc"), ("!", "abc"), ("er", "b"), ("!ER", "ac"), ("ERROR", "b"), ("!!", "ac"), (" ", "bc")],
)
def test_filters(typed, selected):
    lines = {"a": "fine", "b": "An error!", "c": "well done"}
    line_filter = parse_filter(typed)

    assert "".join(name for name, text in lines.items() if not line_filter or line_filter.matches(text)) == selected


@pytest.mark.parametrize(
    "text", ["", "a", "abcdefgh", "abcdefghi", "日本語テキスト", "a日b本", "e\u0301\u0301", "\u0301"]
)
def test_a_wrapped_line_loses_nothing_and_fits(text):
    parts = wrapped(text, 4)

    assert "".join(parts) == text
    assert parts
    assert all(width_of(part) <= 4 for part in parts)


batches = st.lists(st.lists(st.text(alphabet="ab日 ", max_size=12), max_size=8), max_size=8)


@given(
    batches=batches,
    needle=st.sampled_from(["", "a", "!a", "ab", "zz"]),
    only_matches=st.booleans(),
    width=st.sampled_from([0, 2, 5]),
    arrange_last=st.booleans(),
)
def test_appending_filtering_wrapping_and_trimming_agree_with_the_plain_way(
    batches, needle, only_matches, width, arrange_last
):
    capacity = 10
    rows = LogRows(capacity)
    line_filter = parse_filter(needle)
    if not arrange_last:
        rows.arrange(line_filter, only_matches=only_matches, wrap_width=width)
    everything: list[str] = []
    for batch in batches:
        before, height = rows.first, rows.height
        gone = rows.append([Row(text) for text in batch])
        everything += batch
        assert rows.first >= before
        assert gone <= height + sum(len(wrapped(text, width or 99)) for text in batch)
    if arrange_last:
        rows.arrange(line_filter, only_matches=only_matches, wrap_width=width)

    first = rows.first
    kept = list(enumerate(everything))[-capacity:]
    matching = [n for n, text in kept if not line_filter or line_filter.matches(text)]
    visible = [
        (n + first - (kept[0][0] if kept else 0), part)
        for n, text in kept
        if n in matching or not only_matches
        for part in range(len(wrapped(text, width)) if width else 1)
    ]
    assert len(rows) == len(kept)
    assert [rows.row(first + i).text for i in range(len(rows))] == [text for _, text in kept]
    assert rows.match_count == len(matching)
    assert rows.height == len(visible)
    assert [rows.locate(y) for y in range(rows.height)] == visible
    assert rows.locate(rows.height) is None
    assert all(rows.top_of(n) == y for y, (n, part) in enumerate(visible) if part == 0)


@given(batches=batches, width=st.sampled_from([0, 3]))
def test_what_went_from_the_top_is_exactly_what_a_paused_reader_must_move_by(batches, width):
    rows = LogRows(6)
    rows.arrange(None, only_matches=True, wrap_width=width)
    for batch in batches:
        watched = rows.locate(rows.height - 1)
        before = rows.height - 1
        gone = rows.append([Row(text) for text in batch])
        if watched and watched[0] >= rows.first:
            assert rows.locate(before - gone) == watched


def test_numbers_never_mean_two_rows():
    rows = LogRows(100)
    rows.append([Row("old")])
    rows.clear()
    rows.append([Row("new")])

    assert rows.first == 1
    assert rows.row(1).text == "new"
    assert rows.locate(0) == (1, 0)


def test_lots_of_text_is_bounded_too():
    rows = LogRows(1000, capacity_chars=100)
    rows.append([Row("x" * 40) for _ in range(5)])

    assert len(rows) == 2


def test_stepping_through_matches_in_context():
    rows = LogRows()
    rows.append([Row(text) for text in ("a", "b", "A b", "c", "a")])
    rows.arrange(parse_filter("a"), only_matches=False, wrap_width=0)

    assert rows.height == 5
    assert [rows.next_match(-1, 1), rows.next_match(0, 1), rows.next_match(2, 1), rows.next_match(4, 1)] == [
        0,
        2,
        4,
        None,
    ]
    assert [rows.next_match(4, -1), rows.next_match(0, -1)] == [2, None]


def test_gaps_stay_in_sight_whatever_the_filter():
    rows = LogRows()
    rows.arrange(parse_filter("x"), only_matches=True, wrap_width=0)
    rows.append([Row("y"), Row("gap", dropped=3), Row("x")])

    assert rows.height == 2
