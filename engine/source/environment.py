"""The environment that git runs in: no hooks, no prompts, no helpers but those needed to authenticate. Pure."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.source.location import Location

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "protocol.ext.allow": "never",
    "protocol.fd.allow": "never",
    # Housekeeping would outlive the command; the mirror does its own.
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "submodule.recurse": "false",
}
_ALWAYS = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GCM_INTERACTIVE": "never",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
}
# What a person sets so that git can reach and trust a host. Everything else named GIT_ would redirect our commands.
_NETWORK = ("GIT_SSL_", "GIT_SSH", "GIT_PROXY", "GIT_HTTP_", "GIT_CONFIG_")
_DROPPED = {"SSH_ASKPASS", "GIT_CONFIG_PARAMETERS"}

LOCAL_CONFIG = "[safe]\n\tdirectory = *\n"
"""The whole "user configuration" for reading a repository on this machine: upload-pack, which runs nothing that the
repository's own configuration names, may read one that belongs to somebody else."""

_HELPER = (
    "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' "
    '"$HOMERUN_GIT_USERNAME" "$HOMERUN_GIT_PASSWORD"; }; f'
)


def offline_environment(base: Mapping[str, str]) -> dict[str, str]:
    """For commands on our own mirror: nobody's configuration, no transport at all."""
    kept = {name: value for name, value in base.items() if not name.startswith("GIT_") and name not in _DROPPED}
    if "GIT_EXEC_PATH" in base:
        kept["GIT_EXEC_PATH"] = base["GIT_EXEC_PATH"]
    kept |= _ALWAYS
    kept |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "none"}
    return kept | _numbered(_SETTINGS.items(), 0)


def local_environment(base: Mapping[str, str], config: Path) -> dict[str, str]:
    """For reading a repository on this machine. `config` is a file that holds LOCAL_CONFIG.

    It is a file because git clears settings that come in variables before it starts upload-pack.
    """
    return offline_environment(base) | {"GIT_CONFIG_GLOBAL": str(config), "GIT_ALLOW_PROTOCOL": "file"}


def network_environment(base: Mapping[str, str], location: Location) -> dict[str, str]:
    """For reading a remote repository: the user's own configuration stays, as it says how to authenticate.

    Credentials of the URL travel in variables, which only this user can see, to a helper that answers for that host.
    """
    kept = {
        name: value
        for name, value in base.items()
        if (not name.startswith("GIT_") or name.startswith(_NETWORK)) and name not in _DROPPED
    }
    if "GIT_EXEC_PATH" in base:
        kept["GIT_EXEC_PATH"] = base["GIT_EXEC_PATH"]
    already = base.get("GIT_CONFIG_COUNT", "")
    count = int(already) if already.isdecimal() else 0
    settings = list(_SETTINGS.items())
    kept |= _ALWAYS
    kept["GIT_ALLOW_PROTOCOL"] = "https:http:ssh:git"
    if location.username or location.password:
        scope = f"credential.{location.origin}"
        if location.password:
            settings.append((f"{scope}.helper", ""))  # forget the user's helpers: the URL says which to use
        if location.username:
            settings.append((f"{scope}.username", location.username))
        settings.append((f"{scope}.helper", _HELPER))  # asked last
        kept |= {"HOMERUN_GIT_USERNAME": location.username, "HOMERUN_GIT_PASSWORD": location.password}
    return kept | _numbered(settings, count)


def _numbered(settings: Iterable[tuple[str, str]], first: int) -> dict[str, str]:
    """Git's way to take settings from variables; later numbers win over files and over earlier numbers."""
    variables: dict[str, str] = {}
    number = first
    for name, value in settings:
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        number += 1
    return variables | {"GIT_CONFIG_COUNT": str(number)}
