"""What pip needs of a source in order to install: requirements files that ask only for what is elsewhere. Pure."""

import posixpath
import re
import sys

from engine.build.install_around import Needs, Surroundings, is_archive, is_remote

_PIP = re.compile(r"pip[\d.]*")
_PYTHON = re.compile(r"python[\d.]*")
_FLAG = re.compile(
    r"-U|--upgrade|--no-cache-dir|--quiet|-q+|-v+|--verbose|--user|--disable-pip-version-check|--pre|--no-deps"
    r"|--prefer-binary|--require-hashes|--no-input|--no-color|--upgrade-strategy=[\w-]+|--root-user-action=ignore"
    r"|--(?:only-binary|no-binary)=[\w.,:-]+|--(?:timeout|default-timeout|retries)=\d+|--progress-bar=\w+"
    r"|--break-system-packages|--force-reinstall|--ignore-installed|-I|--no-warn-script-location"
)
_WITH_VALUE = re.compile(
    r"--(?:only-binary|no-binary|timeout|default-timeout|retries|progress-bar|upgrade-strategy|root-user-action"
    r"|trusted-host)"
)
_PLAIN_VALUE = re.compile(r"[\w.,:-]+")
_INDEX = re.compile(r"(-i|--index-url|--extra-index-url)(?:=(.*))?", re.DOTALL)
_FILE = re.compile(r"(?:-r|-c|--requirement|--constraint)(?:[\s=]*(\S+))?")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\s*\[[A-Za-z0-9,._\s-]*\])?"
_SPEC = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
_REQUIREMENT = re.compile(
    rf"{_NAME}(?:\s*@\s*(?:git\+)?https?://\S+(?:\s+;.*)?|\s*\(?\s*(?:{_SPEC}(?:\s*,\s*{_SPEC})*)?\s*,?\s*\)?\s*(?:;.*)?)"
)
_HASH = re.compile(r"\s--hash[=\s]\S+")
_OPTION = re.compile(
    r"--(?:pre|prefer-binary|require-hashes)|--(?:trusted-host|only-binary|no-binary)[=\s]+[\w.,:-]+"
    r"|(?:-i|--index-url|--extra-index-url)[=\s]+https?://\S+"
)
_DEPTH = 5
_SHADOWED = (sys.stdlib_module_names | {"pip"}) - {"test"}
"""`python -m` looks for these in the source directory first."""


def python_needs(words: tuple[str, ...], around: Surroundings) -> Needs | None:
    """The files that `pip install …` reads; None for another command, or one that may read more."""
    if len(words) > 2 and _PYTHON.fullmatch(words[0]) and words[1] == "-m":
        if any(name.removesuffix(".py") in _SHADOWED for name in around.names):
            return None
        words = words[2:]
    if len(words) < 3 or not _PIP.fullmatch(words[0]) or words[1] != "install":
        return None
    needed = _needs_of_arguments(list(words[2:]), around)
    # Old versions of pip take the place to install to from it.
    return None if needed is None else needed | ({"setup.cfg"} & around.names)


def _needs_of_arguments(words: list[str], around: Surroundings) -> Needs | None:
    needed: set[str] = set()
    words.reverse()
    while words:
        word = words.pop()
        if file := _FILE.fullmatch(word):
            included = _requirements(file.group(1) or (words.pop() if words else ""), around, _DEPTH)
            if included is None:
                return None
            needed |= included
        elif index := _INDEX.fullmatch(word):
            if not is_remote(index.group(2) or (words.pop() if words else "")):
                return None
        elif _WITH_VALUE.fullmatch(word):
            if not words or not _PLAIN_VALUE.fullmatch(words.pop()):
                return None
        elif not _FLAG.fullmatch(word) and not _is_elsewhere(word):
            return None
    return frozenset(needed)


def _is_elsewhere(requirement: str) -> bool:
    """Whether a requirement is of something that no file of the source can be."""
    if is_remote(requirement):
        return True
    name = re.split(r"[;@]", requirement)[0].strip()
    return bool(_REQUIREMENT.fullmatch(requirement)) and not is_archive(name)


def _requirements(path: str, around: Surroundings, depth: int) -> Needs | None:
    """A requirements file and those it includes; None when one is not there, or asks for something of the source."""
    path = posixpath.normpath(path)
    text = around.files.get(path)
    if text is None or not depth:
        return None
    needed = {path}
    for raw in text.removeprefix("\ufeff").replace("\\\n", "").splitlines():
        line = " ".join(re.sub(r"(?:^|\s)#.*", "", raw).split())
        if file := _FILE.fullmatch(line):
            included = _requirements(posixpath.join(posixpath.dirname(path), file.group(1) or ""), around, depth - 1)
            if included is None:
                return None
            needed |= included
        elif line and not _OPTION.fullmatch(line) and not _is_elsewhere(_HASH.sub("", line).strip()):
            return None
    return frozenset(needed)
