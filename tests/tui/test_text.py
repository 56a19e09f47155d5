"""Nothing that an application prints can steer the terminal."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text import clean, clean_lines

DRAWN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        pytest.param("plain text, as it is", "plain text, as it is", id="plain"),
        pytest.param("naïve Ünïcode 日本語 🚀", "naïve Ünïcode 日本語 🚀", id="unicode"),
        pytest.param("\x1b[1;31mred\x1b[0m", "red", id="colours"),
        pytest.param("\x1b[2J\x1b[H\x1b[?1049hgone", "gone", id="clear screen"),
        pytest.param("a\x1b[38:2::255:0:0mb", "ab", id="colon colours"),
        pytest.param("\x9b31mred", "red", id="8-bit CSI"),
        pytest.param("\x1b]0;title\x07shown", "shown", id="window title"),
        pytest.param("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link", id="hyperlink"),
        pytest.param("before\x1b]52;c;cGF5bG9hZA==", "before", id="unterminated clipboard write"),
        pytest.param("\x1b]0;a\x1b[31mb", "b", id="a string cut short by the next sequence"),
        pytest.param("a\x1bPq#0;2;0;0;0\x1b\\b", "ab", id="DCS (sixel)"),
        pytest.param("a\x1b_Gi=1\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd", id="APC, PM, SOS"),
        pytest.param("a\x9d0;title\x9cb\x90q\x9cc", "abc", id="8-bit OSC and DCS"),
        pytest.param("a\x1b(0b\x1b)Bc\x1b#8d", "abcd", id="character sets"),
        pytest.param("a\x1bcb\x1b7c\x1b=d\x1bNe", "abcde", id="single-character sequences"),
        pytest.param("tail\x1b", "tail", id="ESC at the end"),
        pytest.param("tail\x1b[12", "tail", id="CSI cut off"),
        pytest.param("\x1b\x1b[31mx", "x", id="ESC ESC"),
        pytest.param("a\x00b\x07c\x08d\x7fe", "abcde", id="NUL, BEL, BS, DEL"),
        pytest.param("one\rtwo", "one two", id="a carriage return overwrites nothing"),
        pytest.param("line\r\n", "line", id="line end"),
        pytest.param("one\ntwo\u2028three\x85four", "one two three four", id="line breaks"),
        pytest.param("a\tb", "a       b", id="tab"),
        pytest.param("\x1b[31mab\x1b[0m\tc", "ab      c", id="tab after colours"),
        pytest.param("user\u202egnp.exe\u202c \u2066x\u2069", "usergnp.exe x", id="text reordering"),
        pytest.param("pass\u200bword\ufeff\u2060", "password", id="zero width"),
        pytest.param("a\ud800b", "a\ufffdb", id="lone surrogate"),
        pytest.param("", "", id="empty"),
    ],
)
def test_cleaning(printed, shown):
    assert clean(printed) == shown


@given(st.text(alphabet=st.characters(exclude_categories=()) | st.sampled_from("\x1b\x9b\x9d[]P_;?0m\\\x07\t\r\n")))
def test_nothing_that_is_not_drawn_remains_and_cleaning_again_changes_nothing(text):
    cleaned = clean(text)

    assert not {unicodedata.category(c) for c in cleaned} & DRAWN
    assert clean(cleaned) == cleaned


@given(st.text(alphabet=st.characters(categories=["L", "M", "N", "P", "S", "Zs", "Co"])))
def test_drawable_text_comes_back_as_it_is(text):
    assert clean(text) == text


def test_every_format_character_of_unicode_is_known():
    kept = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) in DRAWN and clean(f"-{c}-") == f"-{c}-"]

    assert kept == []


@pytest.mark.parametrize("unit", ["\x1b", "\x1b]", "\x1b[", "\x1b[1", "\x1bP\x1b", "\x1b(", "\t", "\u202e", "x\x1b[m"])
def test_a_hostile_line_of_a_megabyte_costs_no_more_than_its_length(unit):
    text = unit * (1_000_000 // len(unit))
    started = time.perf_counter()

    clean(text)

    assert time.perf_counter() - started < 2


def test_text_of_several_lines_keeps_its_lines():
    assert clean_lines("one\r\n\x1b[31mtwo\n\nthree") == "one\ntwo\n\nthree"
