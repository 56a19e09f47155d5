"""The same bytes give the same lines, however they arrive."""

import re
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from engine.telemetry.lines import MAX_LINE_BYTES, complete, split, split_text

BYTES = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"bc ", "é".encode(), "🙂".encode(), b"\xff"])).map(
    b"".join
)


def read_in_chunks(chunks: list[bytes]) -> list[str]:
    """What a reader sees that looks after each chunk; the rest is taken at the end."""
    data, position, lines = b"", 0, []
    for chunk in [*chunks, None]:
        data += chunk or b""
        while True:
            rest = data[position:]
            count = complete(rest) or (len(rest[:MAX_LINE_BYTES]) if chunk is None else 0)
            if not count:
                break
            lines += split(rest[:count], cut=data[max(position - 1, 0) : position] not in {b"", b"\n"})
            position += count
    return lines


@given(BYTES, st.lists(st.integers(0, 40)))
@example(b"\r\n", [1])
@example(b"\r\r\n", [1])
@example(b"abc\r\n\r\n", [3, 4])
def test_lines_do_not_depend_on_how_the_bytes_arrive(data, cuts):
    cuts = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    chunks = [data[start:end] for start, end in pairwise(cuts)]

    assert read_in_chunks(chunks) == read_in_chunks([data])


@given(BYTES)
def test_no_visible_character_is_lost_or_doubled(data):
    printed = "".join(read_in_chunks([data]))
    assert printed == re.sub(r"[\r\n]", "", data.decode("utf-8", "replace"))


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=5)))
def test_plain_lines_come_back_as_they_were_written(lines):
    unix = "".join(f"{line}\n" for line in lines).encode()
    windows = "".join(f"{line}\r\n" for line in lines).encode()

    assert read_in_chunks([unix]) == lines
    assert read_in_chunks([windows]) == lines


def test_progress_that_overwrites_itself_gives_a_line_each():
    assert read_in_chunks([b"10%\r20%\rdone\nnext\n"]) == ["10%", "20%", "done", "next"]


@given(st.integers(-5, 5), st.sampled_from(["x", "é", "€", "🙂"]), st.integers(0, 3))
def test_a_line_that_is_too_long_is_cut_between_characters_and_loses_nothing(extra, character, shift):
    line = "a" * shift + character * ((2 * MAX_LINE_BYTES) // len(character.encode()) + extra)
    pieces = read_in_chunks([line.encode()[:1000], line.encode()[1000:] + b"\nnext\n"])

    assert pieces[-1] == "next"
    assert "".join(pieces[:-1]) == line
    assert all(len(piece.encode()) <= MAX_LINE_BYTES for piece in pieces)
    assert "" not in pieces


def test_text_handed_over_whole_is_split_and_made_storable():
    assert split_text("one") == ["one"]
    assert split_text("") == [""]
    assert split_text("one\r\ntwo\n") == ["one", "two"]
    assert split_text("nul\0 surrogate\udcff") == ["nul� surrogate?"]
    assert [len(piece) for piece in split_text("x" * (MAX_LINE_BYTES + 1))] == [MAX_LINE_BYTES, 1]
