"""Keys that come in one burst, as over a slow line, do what they would do one after the other."""

import pytest
from textual import events
from textual.app import App
from textual.keys import _character_to_key
from textual.widgets import Input

from tui.widgets.entry import Entry
from tui.widgets.line_input import LineInput

pytestmark = pytest.mark.slow  # a whole screen


@pytest.fixture
def typed():
    """Post keys all at once to two inputs; their values, and what was submitted."""

    async def type_into(kind: type[Input], *keys: str) -> tuple[list[str], list[str]]:
        sent = []

        class Form(App[None]):
            def compose(self):
                yield kind(id="first")
                yield kind(id="second")

            def on_input_submitted(self, event):
                sent.append(event.value)

        app = Form()
        async with app.run_test() as pilot:
            await pilot.pause()
            for key in keys:
                single = len(key) == 1
                app.post_message(events.Key(_character_to_key(key) if single else key, key if single else None))
            for _ in range(5):
                await pilot.pause()
            return [each.value for each in app.query(Input)], sent

    return type_into


@pytest.mark.parametrize("kind", [LineInput, Entry])
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("a", "b", "x", "backspace", "c"), "abc"),
        (("o", "l", "d", "ctrl+u", "n", "e", "w"), "new"),
        (("b", "left", "a", "end", "c"), "abc"),
    ],
)
async def test_a_burst_edits_in_its_order_and_is_submitted_as_it_stands(typed, kind, keys, expected):
    assert await typed(kind, *keys, "enter") == ([expected, ""], [expected])


async def test_what_is_typed_after_tab_goes_into_the_next_field(typed):
    values, sent = await typed(Entry, "a", "tab", "b", "x", "backspace", "c", "enter")
    assert values == ["a", "bc"]
    assert sent == ["bc"]
