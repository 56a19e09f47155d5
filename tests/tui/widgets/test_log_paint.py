"""What a line's looks are guessed from."""

import pytest

from tui.widgets.log_lines import parse_filter
from tui.widgets.log_paint import level_of, pieces_of, spans_of


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[2025-11-23] ERROR in app: boom", "error"),
        ("Traceback (most recent call last):", "error"),
        ("ValueError: bad", "error"),
        ("werkzeug.exceptions.NotFound", ""),
        ("requests.ConnectionError: refused", "error"),
        ("WARNING: This is a development server.", "warning"),
        ("DeprecationWarning: old", "warning"),
        ("npm warn deprecated inflight@1.0.6", "warning"),
        ("DEBUG:root:hello", "debug"),
        ("compiled with 0 errors", ""),
        ("no warnings", ""),
        ('127.0.0.1 "GET /errors HTTP/1.1" 200', ""),
        ("x" * 300 + " error", ""),
        ("", ""),
    ],
)
def test_levels(text, level):
    assert level_of(text) == level


def test_homeruns_own_lines_and_build_phases_are_told_apart():
    assert spans_of("[AppRunner] Deployment started.", None) == [(0, 12, "homerun")]
    assert spans_of("[Build] Collecting flask", None) == [(0, 8, "phase")]
    assert spans_of("[Other] text", None) == []
    assert spans_of("[AppRunner] Health check is successful.", None) == [(0, 39, "success"), (0, 12, "homerun")]
    assert spans_of("[AppRunner] Deployment failed.", None)[0] == (0, 30, "error")


def test_matches_lie_on_top_and_an_inverse_filter_marks_none():
    assert spans_of("aXbx", parse_filter("x")) == [(1, 2, "match"), (3, 4, "match")]
    assert spans_of("aXbx", parse_filter("!y")) == []
    assert spans_of("a.c abc", parse_filter("a.c")) == [(0, 3, "match")]


def test_pieces_cover_the_text_once_and_know_their_looks():
    pieces = pieces_of("error: abc", [(0, 10, "error"), (7, 8, "match")], 2, 9)

    assert pieces == [("ror: ", ["error"]), ("a", ["error", "match"]), ("b", ["error"])]


def test_a_line_full_of_matches_stays_cheap():
    assert len(spans_of("a" * 60_000, parse_filter("a"))) == 1
    assert len(spans_of("ab" * 30_000, parse_filter("a"))) == 100
