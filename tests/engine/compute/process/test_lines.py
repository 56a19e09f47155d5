"""Output in pieces becomes whole lines."""

from hypothesis import given
from hypothesis import strategies as st

from engine.compute.process.lines import LINE_MAX, LineSplitter


def lines_of(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.flush()


def test_a_line_appears_as_soon_as_it_ends():
    """Nothing waits for the end of the command."""
    splitter = LineSplitter()

    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o\n") == ["two"]
    assert splitter.flush() == []


def test_a_line_without_an_end_is_not_lost():
    assert lines_of(b"one\nlast words") == ["one", "last words"]


def test_empty_lines_stay():
    assert lines_of(b"a\n\nb\n") == ["a", "", "b"]


def test_windows_line_ends_go():
    assert lines_of(b"one\r\ntwo\r", b"\nthree") == ["one", "two", "three"]


def test_a_redrawn_line_shows_its_last_state():
    """Progress bars."""
    assert lines_of(b"10%\r50%\r", b"100%\ndone\n") == ["100%", "done"]


def test_what_is_not_utf8_is_replaced():
    assert lines_of(b"caf\xe9 \xc3", b"\xa9\n") == ["caf\N{REPLACEMENT CHARACTER} é"]


def test_a_long_line_is_split_between_characters():
    """64 KiB at most, and no character is cut in two."""
    text = "é" * LINE_MAX
    lines = lines_of(text.encode() + b"\n")

    assert "".join(lines) == text
    assert all(len(line.encode()) <= LINE_MAX for line in lines)


def test_endless_output_without_a_line_end_does_not_pile_up():
    splitter = LineSplitter()
    lines = [line for _ in range(64) for line in splitter.feed(b"x" * 10_000)]

    assert len("".join(lines)) >= 64 * 10_000 - LINE_MAX


@given(st.lists(st.text("ab\u00e9\n\r", max_size=12)), st.integers(1, 7))
def test_how_the_bytes_are_cut_makes_no_difference(texts, size):
    data = "".join(texts).encode()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]

    assert lines_of(*chunks) == lines_of(data)
