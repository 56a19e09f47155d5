"""Copying through terminals and multiplexers."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from tui.clipboard import copy_with, is_remote, native_tool, osc52, way


def test_a_plain_terminal_gets_osc_52():
    assert osc52("hi", {}) == f"\x1b]52;c;{base64.b64encode(b'hi').decode()}\a"


def test_tmux_gets_it_wrapped_with_doubled_escapes():
    wrapped = osc52("hi", {"TMUX": "x"})
    assert wrapped.startswith("\x1bPtmux;\x1b\x1b]52;c;")
    assert wrapped.endswith("\x1b\\")


@given(st.text(max_size=400))
def test_screen_gets_chunks_that_add_up(text):
    wrapped = osc52(text, {"STY": "x"})
    chunks = wrapped.split("\x1b\\")
    assert all(len(chunk) <= 2 + 76 for chunk in chunks)
    assert "".join(chunk.removeprefix("\x1bP") for chunk in chunks) == osc52(text, {})


def test_over_ssh_no_tool_of_this_machine_is_used(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert native_tool({"SSH_TTY": "/dev/pts/0", "DISPLAY": ":0"}) == ()
    assert is_remote({"SSH_CONNECTION": "x"})


def test_the_desktops_tool(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name != "pbcopy" else None)
    assert native_tool({"WAYLAND_DISPLAY": "wayland-0"}) == ("wl-copy",)
    assert native_tool({"DISPLAY": ":0"}) == ("xclip", "-selection", "clipboard")
    assert native_tool({}) == ()


def test_a_tool_that_fails_says_so(tmp_path):
    assert copy_with(("sh", "-c", "cat > /dev/null"), "x")
    assert not copy_with(("sh", "-c", "exit 1"), "x")
    assert not copy_with((str(tmp_path / "nothing"),), "x")


def test_the_way_is_named():
    assert "tmux" in way({"TMUX": "x"})
    assert "screen" in way({"STY": "x"})
    assert "terminal" in way({})
