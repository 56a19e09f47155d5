"""How long resolve and export take for a small local repository, and for a larger one and a plain folder.

Run: python tests/benchmarks/bench_source.py
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.model.home import Home
from engine.source.open import open_source

RUNS = 9
TARGET_MS = 150.0


def make_repository(folder: Path, files: int, history: int) -> None:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=folder, env=environment, check=True
        )

    folder.mkdir()
    git("init", "-q", "-b", "main")
    for number in range(files):
        place = folder / f"package{number % 20}" / f"module{number}.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"VALUE = {number}\n" * 40)
    git("add", ".")
    git("commit", "-qm", "first")
    for number in range(history):
        (folder / "changes.txt").write_text(str(number))
        git("add", ".")
        git("commit", "-qm", f"change {number}")


async def measure(name: str, place: Path, base: Path, change: bool) -> float:
    resolved: list[float] = []
    exported: list[float] = []
    first = 0.0
    home = Home(path=base / f"home-{place.name}")
    for run in range(RUNS):
        if change and run:
            (place / "changed.txt").write_text(str(run))
        began = time.perf_counter()
        source = await asyncio.to_thread(open_source, str(place), home)
        revision = await source.resolve("")
        middle = time.perf_counter()
        await source.export(revision, base / f"out-{place.name}-{run}")
        end = time.perf_counter()
        if run == 0:
            first = (end - began) * 1000
        resolved.append((middle - began) * 1000)
        exported.append((end - middle) * 1000)
    total = statistics.median(a + b for a, b in zip(resolved, exported, strict=True))
    print(
        f"{name:42} first {first:7.1f} ms   then resolve {statistics.median(resolved):6.1f} ms"
        f" + export {statistics.median(exported):6.1f} ms = {total:6.1f} ms"
    )
    return max(first, total)


async def main() -> None:
    base = Path(tempfile.mkdtemp(prefix="bench-source-"))
    try:
        make_repository(base / "small", files=12, history=5)
        make_repository(base / "large", files=5000, history=20)
        shutil.copytree(base / "large", base / "folder", ignore=shutil.ignore_patterns(".git"))
        small = await measure("git, 12 files", base / "small", base, change=False)
        await measure("git, 5,000 files", base / "large", base, change=False)
        await measure("plain folder, 5,000 files, one changes", base / "folder", base, change=True)
        if small > TARGET_MS:
            raise SystemExit(f"a small repository took {small:.0f} ms, the target is {TARGET_MS:.0f} ms")
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    asyncio.run(main())
