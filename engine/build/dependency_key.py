"""What decides which dependencies a build installs, as one key: equal keys, equal dependencies."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from engine.model.plan import BuildPlan

MAX_DEPTH = 6
"""Folders above a file that is still looked at."""

_PYTHON = """pyproject.toml setup.py setup.cfg MANIFEST.in Pipfile Pipfile.lock poetry.lock poetry.toml uv.lock uv.toml
pdm.lock pylock.toml pip.conf environment.yml .python-version runtime.txt"""
_NODE = """package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml bun.lock
bun.lockb bunfig.toml .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .nvmrc .node-version lerna.json schema.prisma
binding.gyp"""
_OTHERS = """pom.xml build.gradle build.gradle.kts settings.gradle settings.gradle.kts go.mod go.sum packages.lock.json
Directory.Packages.props composer.json composer.lock Gemfile Gemfile.lock"""

DEPENDENCY_FILES = frozenset(f"{_PYTHON} {_NODE} {_OTHERS}".split())
"""File names that decide dependencies wherever they stand; `is_dependency_file` knows a few patterns more."""

_PATTERN = re.compile(
    r"\A(?:[\w.-]*(?:requirements|constraints)[\w.-]*\.(?:txt|in)|[\w.-]+\.(?:csproj|fsproj|gemspec|whl))\Z",
    re.IGNORECASE,
)
_IN_FOLDER = re.compile(r"(?:\A|/)(?:requirements/[\w.-]+\.(?:txt|in)|patches/[^/]+\.patch)\Z")
_NOT_SOURCE = frozenset(
    {".git", ".hg", ".svn", "node_modules", "bower_components", "venv", ".venv", "env", "virtualenv", "site-packages"}
    | {"__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache", "vendor/bundle", ".next", ".yarn"}
)
"""Folders that hold what was installed or made, not what asks for it."""
_WORD = re.compile(r"[^\s\"'`=;|&<>()]+")
_MAX_COMMANDS = 1 << 16


def is_dependency_file(path: str, plan: BuildPlan | None = None) -> bool:
    """Whether the file at `path` (relative to the root of the source, with `/`) can decide what gets installed.

    With a plan, also whether its commands name the file: `pip install -r deps.txt`, `sh tools/build.sh`.
    """
    *folders, name = path.split("/")
    if len(folders) > MAX_DEPTH or not _NOT_SOURCE.isdisjoint(folders):
        return False
    if name in DEPENDENCY_FILES or _PATTERN.match(name) or _IN_FOLDER.search(path):
        return True
    if plan is None:
        return False
    named = _named_in((*plan.pre_build, *plan.build, *plan.pre_run))
    inside = path.removeprefix(f"{plan.source_directory}/") if plan.source_directory else path
    return inside in named or path in named or name in named


def dependency_key(plan: BuildPlan, files: Mapping[str, bytes], interpreter_version: str) -> str:
    """A key, 64 hexadecimal digits, of all that decides the installed dependencies.

    That is the runtime and its interpreter, the commands that run before the application does, the build's variables
    and the contents of `files` (path to contents; those that `is_dependency_file` picks). Dependencies taken over for
    an equal key are a start: the commands run again on top of them.
    """
    decides = [
        plan.runtime.family.value,
        plan.runtime.name,
        interpreter_version,
        plan.source_directory,
        plan.pre_build,
        plan.build,
        plan.pre_run,
        sorted(plan.build_env.items()),
        [(path, hashlib.sha256(contents).hexdigest()) for path, contents in sorted(files.items())],
    ]
    return hashlib.sha256(msgspec.json.encode(decides)).hexdigest()


@lru_cache(maxsize=16)
def _named_in(commands: tuple[str, ...]) -> frozenset[str]:
    words = _WORD.findall("\n".join(commands)[:_MAX_COMMANDS])
    return frozenset(word.removeprefix("/app/").removeprefix("./") for word in words)
