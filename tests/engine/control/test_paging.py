"""Pages: each item once, in order, whatever the size; a token that was never given out is refused."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.paging import offset_of, page, token_for
from engine.model.errors import EngineError, ErrorCode


@settings(max_examples=40)
@given(st.lists(st.integers(), max_size=40), st.integers(1, 50))
def test_every_item_is_visited_once_in_order(items, size):
    seen, token, pages = [], None, 0
    while True:
        found, token = page(items, token, size)
        seen += found
        pages += 1
        assert len(found) <= size
        if token is None:
            break
        assert len(found) == size
    assert seen == items
    assert pages == max(1, -(-len(items) // size))


@settings(max_examples=40)
@given(st.lists(st.integers(), max_size=40))
def test_without_a_size_everything_comes_at_once(items):
    assert page(items, None, None) == (tuple(items), None)


def test_the_page_size_may_change_on_the_way():
    items = list(range(10))
    first, token = page(items, None, 3)
    rest, end = page(items, token, None)
    assert (*first, *rest) == tuple(items)
    assert end is None


def test_a_list_that_has_become_shorter_ends():
    _, token = page(list(range(10)), None, 8)
    assert page([1, 2, 3], token, 8) == ((), None)


@settings(max_examples=40)
@given(st.integers(0, 2**62))
def test_a_token_says_where_the_next_page_begins(offset):
    token = token_for(offset)
    assert offset_of(token) == offset
    assert 1 <= len(token) <= 1024


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "MTI",
        "é",
        "\udc80",
        "M T I =",
        base64.b64encode(b"-1").decode(),
        base64.b64encode(b"1.5").decode(),
        base64.b64encode("\u0661".encode()).decode(),
        base64.b64encode(b"9" * 5000).decode(),
    ],
)
def test_a_token_that_was_never_given_out_is_refused(token):
    with pytest.raises(EngineError) as caught:
        page([1, 2, 3], token, 1)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_any_text_as_a_token_is_a_place_or_refused(text):
    with suppress(EngineError):
        page([1, 2, 3], text, 1)
