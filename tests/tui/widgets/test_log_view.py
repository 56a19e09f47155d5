"""A live log as its reader meets it: keys, following, filters, and what is drawn."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from textual import events, on

from tui.widgets.log_view import LogView

pytestmark = pytest.mark.slow  # a whole screen


async def settled(pilot, condition):
    """Wait until what is expected has come true."""
    for _ in range(200):
        await pilot.pause()
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not settle")


async def press(pilot, *keys):
    """All keys at once, then one wait; the pilot's own press waits after each."""
    for key in keys:
        pilot.app.simulate_key(key)
    await pilot.pause()


@pytest.fixture
def open_view(app_with, log_lines):
    """A focused view of 80x10 with as many lines as asked for."""

    @asynccontextmanager
    async def opened(count=0, **options):
        view = LogView(**options)
        async with app_with(view).run_test(size=(80, 10)) as pilot:
            view.reset(log_lines(count))
            view.focus()
            await pilot.pause()
            yield view, pilot

    return opened


async def test_an_empty_log_says_so(open_view, shown):
    async with open_view() as (view, _):
        view.empty_text = "Nothing was logged."

        assert [row.strip() for row in shown(view) if row] == ["Nothing was logged."]


async def test_it_opens_at_the_newest_lines_and_stays_there(open_view, shown, log_lines):
    async with open_view(100) as (view, pilot):
        assert shown(view)[-1] == "line 99"

        view.append(log_lines(5, first=100))
        await settled(pilot, lambda: shown(view)[-1] == "line 104")

        assert view.follow


async def test_scrolling_up_pauses_and_counts_what_comes_and_the_end_resumes(open_view, shown, log_lines):
    async with open_view(100) as (view, pilot):
        await press(pilot, "up")
        view.append(log_lines(214, first=100))
        await settled(pilot, lambda: view.new_count == 214)

        assert not view.follow
        assert shown(view)[0] == "line 89"
        assert shown(view)[-1].endswith("▼ 214 new")

        await press(pilot, "end")

        assert view.follow
        assert shown(view)[-1] == "line 313"
        assert view.new_count == 0


async def test_new_lines_that_the_filter_hides_are_not_counted(open_view, log_lines):
    async with open_view(100) as (view, pilot):
        view.filter_text = "line"
        await press(pilot, "up")
        view.append(log_lines(3, "line {}") + log_lines(5, "other {}"))
        await settled(pilot, lambda: view.line_count == 108)

        assert view.new_count == 3


async def test_scrolling_down_to_the_end_follows_again(open_view):
    async with open_view(100) as (view, pilot):
        await press(pilot, "up", "up")
        assert not view.follow

        await press(pilot, "down")
        assert not view.follow
        await press(pilot, "down")

        assert view.follow


async def test_f_pauses_and_resumes_and_says_so(app_with, log_lines):
    changes = []
    view = LogView()
    app = app_with(view)

    @on(LogView.FollowChanged)
    def heard(self, event):
        changes.append((event.control is view, event.follow))

    type(app).heard = heard
    type(app)._decorated_handlers = {LogView.FollowChanged: [(heard, {})]}
    async with app.run_test(size=(80, 10)) as pilot:
        view.reset(log_lines(50))
        view.focus()
        await press(pilot, "f", "f")

    assert changes == [(True, False), (True, True)]


async def test_paused_at_the_end_new_lines_do_not_move_the_view(open_view, shown, log_lines):
    async with open_view(100) as (view, pilot):
        await press(pilot, "f")

        view.append(log_lines(3, first=100))
        await settled(pilot, lambda: view.new_count == 3)

        assert shown(view)[0] == "line 90"


async def test_keys_move(open_view, shown):
    async with open_view(100) as (view, pilot):
        await press(pilot, "g")
        assert shown(view)[0] == "line 0"
        await press(pilot, "j", "down", "k")
        assert shown(view)[0] == "line 1"
        await press(pilot, "pagedown")
        assert shown(view)[0] == "line 10"
        await press(pilot, "ctrl+d")
        assert shown(view)[0] == "line 14"
        await press(pilot, "ctrl+u", "pageup")
        assert shown(view)[0] == "line 1"
        await press(pilot, "G")
        assert shown(view)[-1] == "line 99"


async def test_the_wheel_pauses_too(open_view):
    async with open_view(100) as (view, pilot):
        await pilot._post_mouse_events([events.MouseScrollUp], view, button=0)
        await settled(pilot, lambda: not view.follow)


async def test_a_gap_is_shown_where_lines_were_dropped(open_view, shown, log_lines):
    async with open_view(2) as (view, pilot):
        view.append(log_lines(1, first=2), dropped=1240)
        await settled(pilot, lambda: view.line_count == 4)

        assert shown(view)[:4] == ["line 0", "line 1", "… 1,240 lines dropped …", "line 2"]


async def test_filtering_is_live_and_says_when_nothing_matches(open_view, shown, log_lines):
    async with open_view(30) as (view, pilot):
        view.filter_text = "LINE 2"
        assert next(row for row in shown(view) if row) == "line 20"
        assert view.match_count == 11
        view.append(log_lines(1, "another line 2") + log_lines(1, "not shown"))
        await settled(pilot, lambda: "another line 2" in shown(view))
        assert "not shown" not in shown(view)

        view.filter_text = "!line"
        assert [row for row in shown(view) if row] == ["not shown"]
        view.filter_text = "zebra"
        assert [row.strip() for row in shown(view) if row] == ["None of 32 lines contains “zebra”."]
        view.filter_text = ""
        assert shown(view)[-1] == "not shown"


async def test_filter_matches_keep_their_place_when_the_filter_goes(open_view, shown):
    async with open_view(100) as (view, pilot):
        view.filter_text = "5"
        await press(pilot, "g", "n")

        view.filter_text = ""

        assert shown(view)[0] == "line 5"


async def test_matches_in_context(open_view, shown):
    async with open_view(100) as (view, pilot):
        view.filter_text = "line 50"
        await press(pilot, "c", "g", "n")

        assert view.only_matches is False
        assert "line 49" in shown(view)
        assert "line 50" in shown(view)


async def test_n_and_capital_n_walk_the_matches(open_view, monkeypatch):
    async with open_view(100) as (view, pilot):
        copied = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        view.filter_text = "7"
        view.only_matches = False

        await press(pilot, "g", "n", "y", "n", "y", "N", "y", "N", "y")

        assert copied == ["line 7", "line 17", "line 7", "line 7"]


async def test_n_belongs_to_the_screen_while_there_is_no_filter(open_view):
    async with open_view(100) as (view, _):
        assert not view.check_action("next_match", (1,))
        view.filter_text = "7"
        assert view.check_action("next_match", (1,))


async def test_y_copies_what_is_in_sight(open_view, monkeypatch):
    async with open_view(100) as (_, pilot):
        copied = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)

        await press(pilot, "y")

        assert copied == ["\n".join(f"line {n}" for n in range(90, 100))]


async def test_a_click_marks_the_line_that_y_copies(open_view, monkeypatch):
    async with open_view(100) as (view, pilot):
        copied = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)

        await pilot.click(view, offset=(3, 4))
        await press(pilot, "y")

        assert copied == ["line 94"]


async def test_a_click_on_the_count_goes_to_the_newest(open_view, shown, log_lines):
    async with open_view(100) as (view, pilot):
        await press(pilot, "g")
        view.append(log_lines(3, first=100))
        await settled(pilot, lambda: view.new_count == 3)

        await pilot.click(view, offset=(76, 9))

        assert view.follow
        assert shown(view)[-1] == "line 102"


async def test_wrapping_folds_long_lines_and_keeps_the_place(open_view, shown, log_line, log_lines):
    async with open_view(0) as (view, pilot):
        view.reset([log_line("x" * 200), *log_lines(50)])
        await press(pilot, "g", "w")

        assert shown(view)[:4] == ["x" * 79, "x" * 79, "x" * 42, "line 0"]

        await press(pilot, "j", "j", "j", "w")
        assert shown(view)[0] == "line 0"


async def test_panning_shows_the_rest_of_long_lines_and_stops_there(open_view, shown, log_line):
    async with open_view(0) as (view, pilot):
        view.reset([log_line("0123456789" * 9 + "end"), log_line("日本語" * 5)])

        await press(pilot, "right")
        assert shown(view)[0].startswith("0123456789")
        await press(pilot, "right", "right", "right")
        assert shown(view)[0].endswith("end")
        assert len(shown(view)[0]) == 79
        await press(pilot, "left", "left", "left", "left")
        assert shown(view)[0] == ("0123456789" * 9)[:79]


async def test_time_and_instance_stand_before_each_line(open_view, shown, log_line):
    async with open_view(0) as (view, pilot):
        view.reset([log_line("hello", at=1_763_900_000.0, stream="3f2a91c0dead")])
        await press(pilot, "t")
        assert shown(view)[0] == "12:13:20 hello"

        view.show_stream = True
        assert shown(view)[0] == "12:13:20 3f2a91c hello"

        await press(pilot, "t")
        assert shown(view)[0] == "3f2a91c hello"


async def test_an_instance_keeps_its_colour(open_view, log_line):
    async with open_view(0) as (view, _):
        view.show_stream = True
        view.reset([log_line("a", stream=stream) for stream in ("aaaa", "bbbb", "aaaa")])
        first, second, third = (next(iter(view.render_line(y))).style.color for y in range(3))

        assert first == third
        assert first != second


async def test_nothing_an_application_prints_reaches_the_terminal_raw_or_as_markup(open_view, shown, log_line):
    async with open_view(0) as (view, _):
        view.reset([log_line("\x1b]0;pwned\x07[red]x[/red]\x1b[2J \u202eabc")])

        assert shown(view)[0] == "[red]x[/red] abc"


async def test_trimming_keeps_what_a_paused_reader_sees(open_view, shown, log_lines):
    async with open_view(100, capacity=100) as (view, pilot):
        await press(pilot, "up", "up")
        seen = shown(view)

        view.append(log_lines(30, first=100))
        await settled(pilot, lambda: view.new_count == 30)

        assert shown(view)[:9] == seen[:9]
        assert view.line_count == 100


async def test_a_smaller_screen_still_shows_the_newest_line(open_view, shown):
    async with open_view(100) as (view, pilot):
        await pilot.resize_terminal(60, 5)
        await settled(pilot, lambda: view.size.height == 5)

        assert shown(view)[-1] == "line 99"


async def test_wrapped_lines_survive_every_size(open_view, shown, log_lines):
    async with open_view(0) as (view, pilot):
        view.wrap = view.show_time = view.show_stream = True
        view.reset(log_lines(50, "0123456789 日本 " * 20 + "end {}"))
        for width, height in ((20, 4), (200, 60), (3, 3), (80, 10)):
            await pilot.resize_terminal(width, height)
            await settled(pilot, lambda width=width: view.size.width == width - (width > 2) or view.size.width == width)

        assert shown(view)[-1].endswith("end 49")


async def test_only_rows_in_sight_are_drawn(open_view, monkeypatch, log_lines):
    async with open_view(0) as (view, pilot):
        drawn = []
        draw = view._draw
        monkeypatch.setattr(
            view, "_draw", lambda number, part, width: drawn.append(number) or draw(number, part, width)
        )

        view.append(log_lines(20_000))
        await settled(pilot, lambda: view.line_count == 20_000)

        assert len(drawn) <= 30


async def test_lines_that_come_one_by_one_are_drawn_in_batches(open_view, monkeypatch, log_lines):
    async with open_view(0) as (view, pilot):
        flushes = []
        flush = view._flush
        monkeypatch.setattr(view, "_flush", lambda: flushes.append(1) or flush())

        for line in log_lines(2000):
            view.append([line])
        await settled(pilot, lambda: view.line_count == 2000)

        assert len(flushes) < 20


LOG = [
    "[AppRunner] Deployment with ID : 7f05c57529fb4b5cb1191af5be19fc14 started. Triggering event : SERVICE_CREATE",
    "[AppRunner] Successfully pulled your application source code.",
    "[Build] Collecting flask==2.0.1",
    "[Build] WARNING: Running pip as the 'root' user can break permissions",
    "[AppRunner] Successfully built your application source code.",
    " * Serving Flask app 'hello'",
    '127.0.0.1 - - "GET / HTTP/1.1" 200 -',
    "DEBUG:app:cache miss for key \x1b[32muser:42\x1b[0m",
    "Traceback (most recent call last):",
    '  File "/app/hello.py", line 14, in <module>',
    "ModuleNotFoundError: No module named 'redis'",
    "[AppRunner] Deployment failed. Failure reason : Your application stopped. Container exit code: 1",
]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("face", ["plain", "marked", "paused", "wrapped", "empty"])
def test_faces(snap_compare, app_with, log_line, face, size):
    view = LogView()
    lines = [
        log_line(text, n, stream=("3f2a91c0", "b01dface", "77e0aa12")[n % 3])
        for n, text in enumerate(LOG * 5)
        if face != "empty"
    ]

    async def arrange(pilot):
        await settled(pilot, lambda: view.size.height)
        view.reset(lines)
        view.focus()
        match face:
            case "marked":
                view.show_time = view.show_stream = True
                view.filter_text = "app"
                await press(pilot, "g", "n", "n", "n")
            case "paused":
                view.show_time = True
                await press(pilot, "up", "up")
                view.append(lines * 4, dropped=1240)
                await settled(pilot, lambda: view.new_count)
            case "wrapped":
                view.show_time = view.show_stream = view.wrap = True
            case _:
                pass
        await pilot.pause()

    app = app_with(view, "LogView { border: round $primary 40%; padding: 0 1; }")
    assert snap_compare(app, terminal_size=size, run_before=arrange)
