"""Which build commands only install what a few files ask for, so that they need not wait for the rest of the source.

Such commands get a layer of their own: while those files are unchanged they cost nothing. Only where it is certain that
the rest of the source makes no difference to them; in doubt nothing is moved. Pure.
"""

import json
import re
import shlex
from collections.abc import Mapping

from engine.model.base import Value

_PIP = re.compile(r"(?:python[\d.]*\s+-m\s+)?pip[\d.]*\s+install\s+(.*)")
_NODE = re.compile(
    r"(?:npm\s+(?:ci|install|i)|yarn(?:\s+install)?|pnpm\s+(?:install|i))((?:\s+--?[\w-]+(?:=[\w-]+)?)*)\s*"
)
_NODE_GLOBAL = re.compile(r"npm\s+(?:install|i)\s+(?:-g|--global)\s+([\w@./-]+(?:\s+[\w@./-]+)*)")
_PIP_FLAGS = re.compile(r"-U|--upgrade|--no-cache-dir|--quiet|-q|--user|--disable-pip-version-check|--pre|--no-deps")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9,._-]*\])?(?:(?:[=<>!~]=?=?)[A-Za-z0-9.*+!,<>=~-]+)?")
_NODE_FILES = (
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    ".npmrc",
    ".yarnrc",
)
_NODE_REFUSED = (".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs", "node_modules", "patches", "lerna.json")
_LIFECYCLE = ("preinstall", "install", "postinstall", "prepare", "prepublish", "preprepare", "postprepare")
_LOCAL = ("file:", "link:", "workspace:", "portal:", "./", "../", "/")
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)")
_REQUIREMENT_OPTION = re.compile(
    r"--(?:index-url|extra-index-url|no-index|pre|prefer-binary|require-hashes|trusted-host)\b"
)
_DEPTH = 5


class Install(Value, frozen=True, kw_only=True):
    """The leading commands that can run first, and the files that they need (relative to the source directory)."""

    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def install_steps(commands: tuple[str, ...], files: Mapping[str, str], names: frozenset[str]) -> Install:
    """`files` are texts of the source directory that may decide dependencies, `names` all that is in it."""
    leading: list[str] = []
    needed: dict[str, None] = {}
    for command in commands:
        found = _needs_of(command, files, names)
        if found is None:
            break
        leading.append(command)
        needed.update(dict.fromkeys(found))
    # What only upgrades pip gains nothing by itself.
    return Install(commands=tuple(leading), files=tuple(sorted(needed))) if leading else Install()


def _needs_of(command: str, files: Mapping[str, str], names: frozenset[str]) -> list[str] | None:
    """The files that a command needs; None when it may need more."""
    needed: list[str] = []
    for part in command.split("&&"):
        line = part.strip()
        if (
            re.search(r"[|;<>`$\\\n*?~]|&", line.replace(">=", "").replace("<=", ""))
            and "'" not in line
            and '"' not in line
        ):
            return None
        found = _pip(line, files) if _PIP.fullmatch(line) else _node(line, files, names)
        if found is None:
            return None
        needed += found
    return needed


def _pip(line: str, files: Mapping[str, str]) -> list[str] | None:
    match = _PIP.fullmatch(line)
    try:
        words = shlex.split(match.group(1)) if match else []
    except ValueError:
        return None
    needed: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word in ("-r", "--requirement") and at + 1 < len(words):
            included = _requirements(words[at + 1], files, _DEPTH)
            if included is None:
                return None
            needed += included
            at += 2
            continue
        if not _PIP_FLAGS.fullmatch(word) and not _PACKAGE.fullmatch(word):
            return None
        at += 1
    return needed if words else None


def _requirements(name: str, files: Mapping[str, str], depth: int) -> list[str] | None:
    """A requirements file and those it includes; None when one is not there, or asks for something of the source."""
    name = name.removeprefix("./")
    text = files.get(name)
    if text is None or not depth or name.startswith(("/", "../")):
        return None
    needed = [name]
    folder = name.rpartition("/")[0]
    for raw in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", raw).strip()
        if not line or _REQUIREMENT_OPTION.match(line):
            continue
        if include := _INCLUDE.fullmatch(line):
            path = f"{folder}/{include.group(1)}" if folder else include.group(1)
            more = _requirements(path, files, depth - 1)
            if more is None:
                return None
            needed += more
        elif (
            line.startswith("-")
            or re.match(r"[./~]|file:|[\w.-]+\s*@\s*(?:file:|[./])", line)
            or line.endswith((".whl", ".gz", ".zip"))
        ):
            return None
    return needed


def _node(line: str, files: Mapping[str, str], names: frozenset[str]) -> list[str] | None:
    if _NODE_GLOBAL.fullmatch(line):
        return [] if not any(word.startswith((".", "/")) for word in line.split()[3:]) else None
    if not _NODE.fullmatch(line) or any(name in names or f"{name}/" in names for name in _NODE_REFUSED):
        return None
    try:
        package = json.loads(files.get("package.json", ""))
    except ValueError:
        return None
    if not isinstance(package, dict) or package.get("workspaces"):
        return None
    scripts = package.get("scripts")
    if not isinstance(scripts, dict) and scripts is not None:
        return None
    if any(name in _LIFECYCLE for name in scripts or ()):
        return None
    for section in (
        "dependencies",
        "devDependencies",
        "optionalDependencies",
        "peerDependencies",
        "overrides",
        "resolutions",
    ):
        asked = package.get(section) or {}
        if not isinstance(asked, dict) or any(str(version).startswith(_LOCAL) for version in asked.values()):
            return None
    if '"file:' in files.get("package-lock.json", "") or '"link": true' in files.get("package-lock.json", ""):
        return None
    return [name for name in _NODE_FILES if name in names]
