"""Stand-ins, first on PATH in a build, for what cannot work on the user's own machine: system package managers.

They succeed with a line in the deployment log that names what was not installed. `sudo` executes its arguments, and
`pip install --user`, which a virtual environment refuses, installs where PYTHONUSERBASE or the environment says.
`n` would change the machine's own Node.js. `yarn` and `pnpm` are installed into the version where there are none.
"""

import hashlib
from pathlib import Path

from engine.compute.files import write_whole

PACKAGE_MANAGERS = ("yum", "dnf", "microdnf", "apt-get", "apt", "apk", "amazon-linux-extras")

_PACKAGES = """#!/bin/sh
name=${0##*/}
verb=
packages=
for argument; do
  case $argument in
    -*) ;;
    *) if [ -z "$verb" ]; then verb=$argument; else packages="$packages $argument"; fi ;;
  esac
done
case $verb in
  install|add|localinstall|groupinstall|reinstall)
    echo "[AppRunner] Warning: '$name' cannot install system packages here. Not installed:${packages:- -}." \\
      "If the application needs them, install them on your machine yourself." ;;
  *) echo "[AppRunner] Warning: '$name $verb' does nothing here." ;;
esac
exit 0
"""

_SUDO = """#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -u|-g|-h|-p|-C|-D|-R|-T|-U) shift; [ $# -gt 0 ] && shift ;;
    --) shift; break ;;
    -*) shift ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || exit 0
exec env "$@"
"""

_PIP = """#!/bin/sh
user=
for argument; do
  shift
  if [ "$argument" = --user ]; then user=1; else set -- "$@" "$argument"; fi
done
if [ -n "$user" ]; then
  echo "[AppRunner] 'pip install --user' installs into ${PYTHONUSERBASE:-the version's own environment}."
  [ -n "$PYTHONUSERBASE" ] && exec python -m pip "$@" --prefix "$PYTHONUSERBASE" --no-warn-script-location
fi
exec python -m pip "$@"
"""

_N = """#!/bin/sh
echo "[AppRunner] Warning: 'n $*' does nothing here: Node.js $(node --version) stays." \\
  "It is chosen by the runtime and its runtime-version."
"""

_NODE_TOOL = """#!/bin/sh
name=${0##*/}
here=${0%/*}
IFS=:
for folder in $PATH; do
  [ "$folder" != "$here" ] && [ -x "$folder/$name" ] && exec "$folder/$name" "$@"
done
unset IFS
if ! command -v npm > /dev/null; then
  echo "$name: command not found" >&2
  exit 127
fi
echo "[AppRunner] '$name' is not on this machine and is installed for this version (npm install -g VERSION)."
npm install --global --silent --no-audit VERSION || exit
exec "$npm_config_prefix/bin/$name" "$@"
"""
_NODE_TOOLS = {"yarn": "yarn@1", "pnpm": "pnpm@10"}
"""The major versions that most lock files are of; later ones refuse `--frozen-lockfile` or an older Node.js."""

_TOOLS = {**dict.fromkeys(PACKAGE_MANAGERS, _PACKAGES), "sudo": _SUDO, "n": _N}
_TOOLS |= {name: _NODE_TOOL.replace("VERSION", version) for name, version in _NODE_TOOLS.items()}
_PIP_TOOLS = dict.fromkeys(("pip", "pip3"), _PIP)


def ensure_toolbox(cache: Path, *, with_pip: bool) -> Path:
    """The folder of stand-ins under `cache`, made if it is not there. Blocks; raises OSError."""
    tools = {**_TOOLS, **_PIP_TOOLS} if with_pip else _TOOLS
    digest = hashlib.sha256(repr(sorted(tools.items())).encode()).hexdigest()[:12]
    folder = cache / f"toolbox-{digest}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in tools.items():
        if not (folder / name).exists():
            write_whole(folder / name, text.encode(), mode=0o700)
    return folder
