"""Copying through the terminal (OSC 52), also inside tmux and screen and over SSH, and by the desktop's own tool."""

import base64
import shutil
import subprocess
from collections.abc import Mapping

_SCREEN_CHUNK = 76  # GNU screen cuts longer device control strings


def osc52(text: str, environ: Mapping[str, str]) -> str:
    """The sequence that puts `text` on the clipboard of the terminal, wrapped for the multiplexer it has to pass."""
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a"
    if "TMUX" in environ:
        escaped = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{escaped}\x1b\\"
    if "STY" in environ:
        chunks = (sequence[start : start + _SCREEN_CHUNK] for start in range(0, len(sequence), _SCREEN_CHUNK))
        return "".join(f"\x1bP{chunk}\x1b\\" for chunk in chunks)
    return sequence


def is_remote(environ: Mapping[str, str]) -> bool:
    """Whether the person sits at another machine than this process."""
    return any(name in environ for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"))


def native_tool(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The argv of the desktop's copy tool on this machine, empty where there is none or the person sits elsewhere."""
    if is_remote(environ):
        return ()
    if shutil.which("pbcopy"):
        return ("pbcopy",)
    if "WAYLAND_DISPLAY" in environ and shutil.which("wl-copy"):
        return ("wl-copy",)
    if "DISPLAY" in environ and shutil.which("xclip"):
        return ("xclip", "-selection", "clipboard")
    return ()


def copy_with(tool: tuple[str, ...], text: str) -> bool:
    """Hand the text to the tool; blocks for as long as it takes, so call it in a thread. Whether it worked."""
    try:
        done = subprocess.run(
            tool,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=3,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def way(environ: Mapping[str, str]) -> str:
    """How `osc52` gets the text across, in words for the person: "through tmux"."""
    if "TMUX" in environ:
        return "through tmux (set-clipboard or allow-passthrough must be on)"
    if "STY" in environ:
        return "through screen"
    return "through the terminal"
