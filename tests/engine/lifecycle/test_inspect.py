"""Names suggested for services, and folders and URLs as people write them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.lifecycle.inspect import suggest_name


@given(st.text(max_size=80))
def test_a_suggested_name_is_always_valid(url):
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9\-_]{3,39}", suggest_name(url)), suggest_name(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/team/shop.git", "shop"),
        ("git@example.com:team/python-hello.git", "python-hello"),
        ("/home/me/My Project/", "My-Project"),
        ("/srv/api", "api-service"),
    ],
)
def test_a_name_is_taken_from_the_last_part(url, name):
    assert suggest_name(url) == name
