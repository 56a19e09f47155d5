"""What the first frame may wait for."""

import subprocess
import sys

HEAVY = (
    "cryptography",
    "docker",
    "psutil",
    "requests",
    "aiohttp",
    "uvloop",
    "httptools",
    "aiosqlite",
    "textual.widgets._markdown",
)


def test_the_screen_imports_nothing_heavy_before_its_first_frame():
    code = f"import sys, tui.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
