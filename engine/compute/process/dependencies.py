"""Taking over the installed dependencies of the previous version, when nothing that they depend on has changed."""

import os
from pathlib import Path

from engine.build.dependency_key import dependency_key, is_dependency_file
from engine.compute.files import delete_tree
from engine.compute.process.clone import clone_tree, dependency_folders
from engine.compute.process.layout import Layout
from engine.model.plan import BuildPlan

_FILE_MAX = 16 << 20  # lock files reach a few megabytes


def dependency_key_of(plan: BuildPlan, app: Path, interpreter_version: str) -> str:
    """The key of the dependencies that the source at `app` asks for. Blocks; raises OSError."""
    files: dict[str, bytes] = {}
    installed = {app / folder for folder in dependency_folders(app)}
    for folder, names, entries in os.walk(app):
        here = Path(folder)
        names[:] = [name for name in names if name != ".git" and here / name not in installed]
        for entry in entries:
            path = here / entry
            relative = path.relative_to(app).as_posix()
            if is_dependency_file(relative, plan) and path.is_file() and path.stat().st_size <= _FILE_MAX:
                files[relative] = path.read_bytes()
    return dependency_key(plan, files, interpreter_version)


def take_over(previous: Layout, layout: Layout) -> bool:
    """Clone the previous version's dependencies into the new one; False, with nothing done, where that cannot be.

    The clone shares files with the previous version and never changes them.
    """
    if previous.venv and not (previous.venv / "bin" / "python3").exists():
        return False
    moved = {os.fspath(previous.root): os.fspath(layout.root)}
    made: list[Path] = []
    try:
        for folder in (previous.venv, previous.npm):
            if folder and folder.is_dir():
                made.append(layout.root / folder.name)
                clone_tree(folder, made[-1], share=True, moved=moved)
        for relative in dependency_folders(previous.app):
            goal = layout.app / relative
            if not goal.exists() and goal.parent.is_dir():
                made.append(goal)
                clone_tree(previous.app / relative, goal, share=True, moved=moved)
    except OSError:  # the previous version is being deleted, or the disk is full: start afresh
        for folder in made:
            delete_tree(folder)
        return False
    layout.npm.mkdir(exist_ok=True)
    return True
