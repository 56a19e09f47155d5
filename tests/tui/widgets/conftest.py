"""Fixtures for widgets: a fixed time zone, log lines made to order, an app around one widget."""

import time

import pytest
from textual.app import App, ComposeResult
from textual.widget import Widget

from engine.model.log import LogKind, LogLine
from tui.themes import DARK

START = 1_763_900_000.0  # 2025-11-23 12:13:20 UTC


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def log_line():
    def make(text: str, seq: int = 1, *, at: float | None = None, stream: str = "") -> LogLine:
        return LogLine(
            seq=seq,
            at=START + seq if at is None else at,
            service_id="0" * 32,
            kind=LogKind.APPLICATION,
            stream=stream,
            text=text,
        )

    return make


@pytest.fixture
def log_lines(log_line):
    def make(count: int, text: str = "line {}", first: int = 0) -> list[LogLine]:
        return [log_line(text.format(n), n) for n in range(first, first + count)]

    return make


@pytest.fixture
def app_with():
    """An app that shows one widget and nothing else."""

    def make(widget: Widget, css: str = "") -> App[None]:
        class OneWidget(App[None]):
            CSS = css

            def on_mount(self) -> None:
                self.register_theme(DARK)
                self.theme = DARK.name

            def compose(self) -> ComposeResult:
                yield widget

        return OneWidget()

    return make


@pytest.fixture
def shown():
    """The text that a widget draws, one string a row, without trailing blanks."""

    def read(widget: Widget) -> list[str]:
        return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]

    return read
