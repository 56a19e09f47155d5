"""Which build commands only install what a few files ask for, so that they need not wait for the rest of the source.

Such commands get a layer of their own: while those files are unchanged they cost nothing. Only where it is certain that
the rest of the source makes no difference to them; in doubt nothing is moved. Pure.
"""

import fnmatch
import re

from engine.build.install_around import Needs, Surroundings
from engine.build.install_node import node_needs
from engine.build.install_others import other_needs
from engine.build.install_python import python_needs
from engine.model.base import Value

_PIECE = re.compile(r"""[ \t]+|&&|'[^'\n]*'|"[^"$`\\\n]*"|[\w./@:=+,%^~!\[\]-]+""")
"""All that a command may consist of; no variables, no redirections, no other operators."""
_TOOL = re.compile(r"(?:pip|uv|npm_config|yarn|pnpm|corepack|bundle|gem)_", re.IGNORECASE)
_HARMLESS_WORDS = """
pip_index_url pip_extra_index_url pip_trusted_host pip_timeout pip_default_timeout pip_retries pip_no_cache_dir
pip_disable_pip_version_check pip_root_user_action pip_prefer_binary pip_only_binary pip_no_binary pip_pre
pip_no_input pip_quiet pip_verbose pip_progress_bar pip_no_color npm_config_registry npm_config_fund npm_config_audit
npm_config_update_notifier npm_config_loglevel npm_config_progress npm_config_legacy_peer_deps npm_config_strict_ssl
npm_config_engine_strict npm_config_omit npm_config_include npm_config_production npm_config_yes npm_config_color
npm_config_proxy npm_config_https_proxy npm_config_noproxy npm_config_fetch_retries npm_config_fetch_timeout
bundle_without bundle_jobs bundle_retry bundle_silence_root_warning
"""
_HARMLESS = frozenset(_HARMLESS_WORDS.split())
"""Settings of package managers that name no file."""
_DECIDING_WORDS = """
HOME PATH ENV BASH_ENV IFS CDPATH LD_PRELOAD LD_LIBRARY_PATH INIT_CWD PYTHONPATH PYTHONHOME PYTHONUSERBASE
NODE_OPTIONS NODE_PATH RUBYOPT RUBYLIB GOFLAGS GOWORK GOPATH GOMODCACHE GOENV
"""
_DECIDING = frozenset(_DECIDING_WORDS.split())
"""Variables by which any command may turn to the source."""


class Install(Value, frozen=True, kw_only=True):
    """The leading commands that can run first, and the files that they need (relative to the source directory)."""

    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def install_steps(commands: tuple[str, ...], around: Surroundings) -> Install:
    """The longest prefix of `commands` that is certain to install the same before the rest of the source is there."""
    if any(_decides(name) for name in around.variables):
        return Install()
    leading: list[str] = []
    needed: set[str] = set()
    for command in commands:
        found = _needs_of(command, around)
        if found is None:
            break
        leading.append(command)
        needed |= found
    return Install(commands=tuple(leading), files=tuple(sorted(needed)))


def _decides(name: str) -> bool:
    return name.upper() in _DECIDING or (bool(_TOOL.match(name)) and name.lower() not in _HARMLESS)


def _needs_of(command: str, around: Surroundings) -> Needs | None:
    """The files that a command needs; None when it may need more."""
    needed: set[str] = set()
    chain = _chain(command, around.names)
    for words in chain or ((),):
        for look in (python_needs, node_needs, other_needs):
            found = look(tuple(words), around) if words else None
            if found is not None:
                needed |= found
                break
        else:
            return None
    return frozenset(needed)


def _chain(command: str, names: frozenset[str]) -> list[list[str]] | None:
    """The words of each command of a chain of `&&`, as a shell would pass them; None when that is not certain."""
    chain: list[list[str]] = [[]]
    word: str | None = None
    at = 0
    while at < len(command):
        piece = _PIECE.match(command, at)
        if piece is None:
            return None
        text, at = piece.group(), piece.end()
        if text[0] in "'\"":
            word = (word or "") + text[1:-1]
        elif not text.strip() or text == "&&":
            if word is not None:
                chain[-1].append(word)
            word = None
            if text == "&&":
                chain.append([])
        elif (word is None and text[0] in "~!") or ("[" in text and fnmatch.filter(names, text)):
            return None  # a shell makes something else of it
        else:
            word = (word or "") + text
    if word is not None:
        chain[-1].append(word)
    return chain
