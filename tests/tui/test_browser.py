"""Where a browser can be opened."""

import pytest

from tui.browser import why_not


@pytest.mark.parametrize(
    ("environ", "platform", "possible"),
    [
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "w"}, "linux", True),
        ({"DISPLAY": ":10", "SSH_TTY": "x"}, "linux", False),
        ({"WSL_DISTRO_NAME": "Ubuntu"}, "linux", True),
        ({}, "linux", False),
    ],
)
def test_why_not(environ, platform, possible):
    assert (why_not(environ, platform) == "") is possible
