"""A Podman service of the tests' own, on folders of its own."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def missing() -> str:
    """Why there is none, "" when there can be one."""
    if not shutil.which("podman"):
        return "podman is not on this machine"
    return "" if os.geteuid() == 0 else "podman is given folders of its own as root"


@contextlib.contextmanager
def service() -> Iterator[str]:
    """Its address; it ends with everything in it."""
    folder = Path(tempfile.mkdtemp(prefix="hr-"))
    command = ["podman", "--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
    if Path("/sys/fs/cgroup/memory").exists():  # without systemd, on cgroups of version 1
        command += ["--cgroup-manager", "cgroupfs"]
    # Its own default, a million open files, is more than may be asked for everywhere.
    limits = 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]'
    (folder / "containers.conf").write_text(f"[containers]\n{limits}\n")
    environ = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf"), "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "system", "service", "--time=0", f"unix://{folder}/podman.sock"],
            stdout=log,
            stderr=log,
            env=environ,
        )
    try:
        deadline = time.monotonic() + 30
        while not (folder / "podman.sock").exists():
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        yield f"unix://{folder}/podman.sock"
    finally:
        subprocess.run([*command, "rm", "--all", "--force", "--time", "0"], capture_output=True, check=False)
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
