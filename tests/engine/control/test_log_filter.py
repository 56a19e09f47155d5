"""CloudWatch's filter patterns: words, phrases, ?either, -without."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.log_filter import LogFilter, parse_filter
from engine.model.errors import EngineError, ErrorCode
from engine.store.reader import contains


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "anything", True),
        ("   ", "anything", True),
        ("ERROR", "an ERROR here", True),
        ("ERROR", "an error here", False),
        ("ERROR", "nothing", False),
        ("ERR", "an ERROR here", True),
        ("ERROR disk", "disk: ERROR", True),
        ("ERROR disk", "ERROR", False),
        ('"disk full"', "the disk full of", True),
        ('"disk full"', "full disk", False),
        ('"say \\"hi\\""', 'they say "hi"', True),
        ('"back\\\\slash"', "a back\\slash", True),
        ("?ERROR ?WARN", "a WARN", True),
        ("?ERROR ?WARN", "an ERROR", True),
        ("?ERROR ?WARN", "INFO", False),
        ('?"disk full" ?WARN', "disk full", True),
        ("-DEBUG", "INFO", True),
        ("-DEBUG", "a DEBUG", False),
        ('ERROR -"known issue"', "ERROR 1", True),
        ('ERROR -"known issue"', "ERROR known issue", False),
        ("disk ?ERROR ?WARN -test", "disk WARN", True),
        ("disk ?ERROR ?WARN -test", "disk", False),
        ("disk ?ERROR ?WARN -test", "disk WARN test", False),
        ('""', "anything", True),
        ("-", "a - b", True),
        ("-", "ab", False),
        ("?", "why?", True),
        ("a-b", "xa-bx", True),
        ("it's", "it's", True),
        ("\tone\n two ", "two one", True),
        ("ü", "für", True),
    ],
)
def test_a_pattern_finds_what_it_says(pattern, text, matches):
    assert parse_filter(pattern).matches(text) is matches


@pytest.mark.parametrize(
    "pattern", ["{ $.level = 1 }", "[ip, user]", "%ERR.*%", "  {", '"open', 'ERROR "open', '-"open']
)
def test_what_is_not_understood_is_refused_rather_than_misread(pattern):
    with pytest.raises(EngineError) as caught:
        parse_filter(pattern)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


def test_the_terms_are_told_apart():
    found = parse_filter('one "two three" ?four ?"five six" -seven -"eight nine"')
    assert found == LogFilter(every=("one", "two three"), either=("four", "five six"), without=("seven", "eight nine"))


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("", ""),
        ("a longest bb", "longest"),
        ("?only", "only"),
        ("?this ?that", ""),
        ("-without", ""),
        ("in ?the-only-one", "the-only-one"),
    ],
)
def test_the_hint_is_the_most_telling_text_that_every_match_has(pattern, hint):
    assert parse_filter(pattern).hint == hint


WORDS = st.text("ab-?", min_size=1, max_size=3)
PATTERN = st.lists(st.builds("{}{}".format, st.sampled_from(["", "?", "-"]), WORDS), max_size=4).map(" ".join)


@settings(max_examples=80)
@given(PATTERN, st.text("ab -?", max_size=12))
def test_every_match_contains_the_hint(pattern, text):
    found = parse_filter(pattern)
    if found.matches(text):
        assert contains(text, found.hint)


@settings(max_examples=80)
@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=3), st.text(max_size=3))
def test_any_text_can_be_looked_for_as_a_phrase(phrases, between):
    quoted = " ".join('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in phrases)
    found = parse_filter(quoted)
    assert found.every == tuple(phrases)
    assert found.matches(between.join(phrases))


@settings(max_examples=80)
@given(st.text(' "\\?-ab{[%', max_size=12))
def test_any_pattern_is_read_or_refused_in_words(pattern):
    with suppress(EngineError):
        parse_filter(pattern)


def test_a_hint_in_greek_does_not_hide_a_match():
    found = parse_filter("ΟΔΟΣ")
    assert found.matches("ΟΔΟΣΗΜΑΝΣΗ")
    assert contains("ΟΔΟΣΗΜΑΝΣΗ", found.hint)
