"""Opening a URL in a browser, or saying why there is none here."""

import sys
import webbrowser
from collections.abc import Mapping

from tui.clipboard import is_remote


def why_not(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Why no browser can be opened from here, "" when one can."""
    if is_remote(environ):
        return "This terminal is on another machine."
    if platform in {"darwin", "win32"} or "WSL_DISTRO_NAME" in environ:
        return ""
    if "DISPLAY" in environ or "WAYLAND_DISPLAY" in environ:
        return ""
    return "There is no display here."


def open_browser(url: str) -> bool:
    """Whether a browser took the URL. Starts a process and may block, so call it in a thread."""
    return webbrowser.open(url, new=2)
