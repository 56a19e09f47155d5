"""Charts compared as text."""

from itertools import groupby
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.widgets.chart_canvas import ASCII, BLOCKS, BRAILLE, Canvas, choose_glyphs
from tui.widgets.chart_drawing import ChartData, ChartSeries, draw_chart

NOON = 1_763_899_200.0


def text_of(data, width, height, glyphs):
    rows = draw_chart(data, width, height, glyphs)
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)


def chart(*series, title="CPU", unit="%", resolution_s=10.0, now=0.0):
    named = tuple(ChartSeries(label, values, role) for label, values, role in series)
    return ChartData(title, unit, named, NOON, resolution_s, now)


RAMP = ("ramp", tuple(float(n) for n in range(0, 101, 5)), "primary")


@pytest.mark.parametrize(
    ("glyphs", "drawn"),
    [
        pytest.param(
            ASCII,
            """
            CPU                       100%
            100%                      ****
                                   ***::::
             50%             ******:::::::
                         ****:::::::::::::
                   ******:::::::::::::::::
              0% **:::::::::::::::::::::::
                             12:02
            """,
            id="ascii",
        ),
        pytest.param(
            BRAILLE,
            """
            CPU                       100%
            100% ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈⢀⣠⣴⣾⣿
                                 ⢀⣠⣤⣶⣿⣿⣿⣿⣿
                              ⣠⣶⣾⣿⣿⣿⣿⣿⣿⣿⣿⣿
             50% ┈┈┈┈┈┈┈┈⣀⣠⣴⣶⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
                     ⢀⣤⣶⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
              0% ⣀⣤⣶⣾⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
                             12:02
            """,
            id="braille",
        ),
    ],
)
def test_one_series_is_a_line_with_the_area_below_it(glyphs, drawn):
    assert text_of(chart(RAMP), 30, 8, glyphs) == dedent(drawn).strip("\n")


def test_several_series_are_lines_with_a_legend_and_the_first_on_top():
    data = chart(("ok", (4.0,) * 8, "success"), ("bad", (0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 4.0), "error"), unit="/s")

    assert text_of(data, 30, 8, ASCII) == dedent(
        """
        CPU /s         * ok 4  o bad 4
        4 ****************************
                        o
        2               o
                       o
                       o
        0 ooooooooooooo
                             12:01
        """
    ).strip("\n")


def test_a_gap_stays_a_gap_and_a_lone_value_is_a_dot():
    data = chart(("x", (10.0, 10.0, None, None, 10.0, None), "primary"))

    assert text_of(data, 28, 4, ASCII).split("\n")[1] == "10% *********       *****"


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (40, "Responses          ● 2xx 120  ● 5xx 1.5k"),
        (30, "Responses      ● 120  ● 1.5k"),
        (12, "Responses"),
        (5, "Respo"),
    ],
)
def test_the_header_lets_names_go_before_values(width, header):
    data = chart(("2xx", (120.0,), "success"), ("5xx", (1500.0,), "error"), title="Responses", unit="")

    assert " ".join(text_of(data, width, 4, BRAILLE).split("\n")[0].split()) == " ".join(header.split())


def test_the_newest_value_may_lag_one_interval_and_no_more():
    assert text_of(chart(("x", (1.0, 2.0, None), "primary")), 20, 4, ASCII).startswith("CPU               2%")
    assert text_of(chart(("x", (2.0, None, None), "primary")), 20, 4, ASCII).startswith("CPU                -")


def test_without_any_value_it_says_so():
    assert text_of(chart(("x", (None, None), "primary")), 20, 4, ASCII).split() == ["CPU", "-", "no", "data", "yet"]
    assert "no data yet" in text_of(chart(), 40, 10, BRAILLE)


def test_the_right_edge_is_now():
    half = text_of(chart(("x", (5.0,) * 6, "primary"), now=NOON + 120), 40, 4, ASCII).split("\n")[-1]

    assert half.endswith("::")
    assert len(half) < 25


def test_every_piece_says_which_series_it_belongs_to():
    rows = draw_chart(chart(RAMP), 30, 8, BRAILLE)

    assert {look for row in rows[1:] for _, look in row} == {"label", "guide", "line-primary", "area-primary", ""}


series = st.lists(st.none() | st.floats(-10, 1e12), max_size=40).map(tuple)


@given(
    width=st.integers(0, 90),
    height=st.integers(0, 30),
    values=st.lists(series, max_size=4),
    glyphs=st.sampled_from([BRAILLE, BLOCKS, ASCII]),
    unit=st.sampled_from(["%", "ms", "B", "/s", "", "instances"]),
    title=st.sampled_from(["CPU", "", "Latência 日本語"]),
    now=st.floats(NOON - 100, NOON + 1e6),
)
def test_it_fills_every_size_exactly(width, height, values, glyphs, unit, title, now):  # noqa: PLR0917 - given by name
    named = tuple(ChartSeries(f"s{n}", one, "primary") for n, one in enumerate(values))

    rows = draw_chart(ChartData(title, unit, named, NOON, 5.0, now), width, height, glyphs)

    assert len(rows) == (height if width else 0)
    assert all(sum(cell_len(text) for text, _ in row) == width for row in rows)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=10))
def test_a_line_has_no_holes(points):
    canvas = Canvas(20, 12, ASCII)
    points.sort()

    canvas.plot(points, 0)

    drawn = [{y for y in range(12) if canvas.row(y)[x].series == 0} for x in range(20)]
    columns = [x for x, ys in enumerate(drawn) if ys]
    assert columns == list(range(columns[0], columns[-1] + 1))


@pytest.mark.parametrize(
    ("encoding", "term", "glyphs"),
    [
        ("utf-8", "xterm-256color", BRAILLE),
        ("UTF8", "", BRAILLE),
        ("utf-8", "linux", BLOCKS),
        ("ANSI_X3.4-1968", "xterm", ASCII),
        ("latin-1", "linux", ASCII),
    ],
)
def test_a_terminal_gets_only_what_it_can_draw(encoding, term, glyphs):
    assert choose_glyphs(encoding, term) is glyphs


def test_braille_dots_are_where_they_belong():
    canvas = Canvas(1, 1, BRAILLE)
    canvas.plot([(0.0, 1.0)], 0)
    canvas.plot([(1.0, 0.0)], 0)

    assert canvas.row(0)[0].character == "⢁"
    assert len({key for key, _ in groupby(sorted(BRAILLE.cells))}) == 256
