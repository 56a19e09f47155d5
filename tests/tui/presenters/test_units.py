"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.presenters.units import age_text, bytes_text, count_text, duration_text, millis_text, rate_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.04, "0.0s"),
        (4.2, "4.2s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (185, "3m 05s"),
        (3600, "1h 00m"),
        (7800, "2h 10m"),
        (4 * 86400 + 3 * 3600, "4d 3h"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


@given(st.floats(min_value=0, max_value=99 * 86400))
def test_durations_fit_their_column(seconds):
    assert len(duration_text(seconds)) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "now"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86400 * 12, "12d")]
)
def test_ages(seconds, text):
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0"), (0.04, "0"), (0.4, "0.4"), (99.9, "99.9"), (148.9, "149"), (1234, "1.2k")]
)
def test_rates(rate, text):
    assert rate_text(rate) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (300, "1 K"), (48 * 1024**2, "48 M"), (1000 * 1024**2, "1.0 G"), (1.2 * 1024**3, "1.2 G")],
)
def test_sizes(count, text):
    assert bytes_text(count) == text


@pytest.mark.parametrize(("millis", "text"), [(0.8, "0.8 ms"), (42, "42 ms"), (1300, "1.3 s")])
def test_latencies(millis, text):
    assert millis_text(millis) == text


def test_counts():
    assert count_text(1, "service") == "1 service"
    assert count_text(0, "service") == "0 services"
