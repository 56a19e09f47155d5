"""What npm, yarn and pnpm need of a source in order to install: package.json, a lock file, .npmrc. Pure.

The danger is less where packages come from than what runs while they are installed: scripts of packages may look at the
source that they are installed into (Prisma generates its client from a schema). So either none may run, or the lock
file must say which packages have one, and all of those must be known.
"""

import json
import re
from typing import Any

from engine.build.install_around import Needs, Surroundings, is_archive, is_remote

_FILES = ("package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", ".npmrc")
_REFUSED_WORDS = """
.yarnrc .yarnrc.yml .yarn .pnp.cjs .pnp.js pnpm-workspace.yaml .pnpmfile.cjs pnpmfile.js node_modules lerna.json
binding.gyp
"""
_REFUSED = frozenset(_REFUSED_WORDS.split())
_REFUSED_ABOVE = frozenset({"package.json", "pnpm-workspace.yaml", ".yarnrc", ".yarnrc.yml", "lerna.json"})
_LIFECYCLE_WORDS = """
preinstall install postinstall prepublish preprepare prepare postprepare predependencies dependencies postdependencies
pnpm:devPreinstall
"""
_LIFECYCLE = frozenset(_LIFECYCLE_WORDS.split())
_NO_SCRIPTS = "--ignore-scripts"
_FLAG = re.compile(
    rf"{_NO_SCRIPTS}|--production(?:=true)?|--prod|-P|--(?:omit|include|only)=[\w-]+|--no-(?:audit|fund|optional|progress)"
    r"|--(?:audit|fund|progress)=false|--legacy-peer-deps|--strict-peer-deps|--frozen-lockfile|--no-frozen-lockfile"
    r"|--pure-lockfile|--prefer-offline|--prefer-frozen-lockfile|--silent|--quiet|-s|-q|--loglevel=\w+|--force|-f"
    r"|--verbose|--non-interactive|--ignore-engines|--ignore-optional|--network-timeout=\d+|--unsafe-perm(?:=true)?"
)
_INSTALL = {"npm": {"ci", "clean-install", "install", "i"}, "yarn": {"install"}, "pnpm": {"install", "i"}}
_TOOLS_WORDS = """
npm yarn pnpm corepack @yarnpkg/cli-dist typescript ts-node tsx rimraf serve http-server pm2 node-gyp turbo vite
"""
_TOOLS = frozenset(_TOOLS_WORDS.split())
"""What people install globally and what looks at nothing around it."""
_TOOL = re.compile(r"(@?[\w.-]+(?:/[\w.-]+)?)(?:@[\w.^~-]+)?")
_KNOWN_SCRIPTS_WORDS = """
esbuild sharp fsevents core-js core-js-pure @swc/core bcrypt better-sqlite3 sqlite3 bufferutil utf-8-validate argon2
node-sass protobufjs msgpackr-extract @parcel/watcher unrs-resolver es5-ext cpu-features ssh2 canvas leveldown iconv
snappy re2 isolated-vm node-pty lmdb zeromq styled-components @nestjs/core libpq @serialport/bindings-cpp
sodium-native secp256k1 keccak
"""
_KNOWN_SCRIPTS = frozenset(_KNOWN_SCRIPTS_WORDS.split())
"""Packages whose install scripts compile or fetch a binary, or print thanks, and read nothing of the application."""
_SECTIONS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_VERSION = re.compile(
    r"[\w.^~<>=|*+ -]*|npm:@?[\w.-]+(?:/[\w.-]+)?(?:@[\w.^~<>=|*+ -]+)?|\$@?[\w./-]+|github:[\w./#-]+"
)
_SETTING = re.compile(
    r"(?:(?:registry|@[\w.-]+:registry)\s*=\s*https?://\S+|//[^\s=]+:(?:_authToken|_auth|_password|username|email"
    r"|always-auth)\s*=.*|(?:always-auth|legacy-peer-deps|strict-peer-deps|strict-peer-dependencies|engine-strict|save-exact"
    r"|save-prefix|fund|audit|loglevel|progress|package-lock|update-notifier|auto-install-peers|shamefully-hoist"
    r"|strict-ssl|prefer-offline|ignore-scripts|omit|include|production|hoist|node-linker)\s*=\s*[\w.^~-]*)"
)


def node_needs(words: tuple[str, ...], around: Surroundings) -> Needs | None:
    """The files that an install command reads; None for another command, or one that may read more."""
    tool, *arguments = words
    if tool not in _INSTALL:
        return None
    if tool == "npm" and {"-g", "--global"} & set(arguments):
        return _global(arguments, around)
    if arguments and arguments[0] in _INSTALL[tool]:
        arguments = arguments[1:]
    elif tool != "yarn":
        return None
    if not all(_FLAG.fullmatch(argument) for argument in arguments):
        return None
    if _REFUSED & around.names or _REFUSED_ABOVE & around.above or not _plain_settings(around):
        return None
    package = _json_object(around.files.get("package.json", ""))
    without_scripts = _NO_SCRIPTS in arguments
    if package is None or not _asks_elsewhere(package, without_scripts=without_scripts):
        return None
    if not without_scripts and not (tool == "npm" and _scripts_are_known(package, around)):
        return None
    return frozenset(_FILES) & around.names


def _global(arguments: list[str], around: Surroundings) -> Needs | None:
    """`npm install -g pnpm@10`: nothing of the source is read, not even .npmrc."""
    if arguments[0] not in ("install", "i"):
        return None
    asked = [argument for argument in arguments[1:] if argument not in ("-g", "--global")]
    named = [argument for argument in asked if not _FLAG.fullmatch(argument)]
    tools = [_TOOL.fullmatch(argument) for argument in named]
    if not named or not all(tool and tool.group(1) in _TOOLS for tool in tools) or set(named) & around.names:
        return None
    return frozenset()


def _plain_settings(around: Surroundings) -> bool:
    """Whether .npmrc, if there is one, only has settings that name no file."""
    if ".npmrc" not in around.names:
        return True
    text = around.files.get(".npmrc")
    lines = [line.strip() for line in (text or "").splitlines()]
    return text is not None and all(
        not line or line.startswith(("#", ";")) or _SETTING.fullmatch(line) for line in lines
    )


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _asks_elsewhere(package: dict[str, Any], *, without_scripts: bool) -> bool:
    """Whether every package comes from a registry or another server, and nothing of its own runs or is linked."""
    if package.get("workspaces") or package.get("pnpm"):
        return False
    scripts = package.get("scripts") or {}
    if not isinstance(scripts, dict) or (not without_scripts and _LIFECYCLE & scripts.keys()):
        return False
    return all(_from_elsewhere(package.get(name) or {}) for name in (*_SECTIONS, "overrides", "resolutions"))


def _from_elsewhere(asked: object, depth: int = 8) -> bool:
    if isinstance(asked, dict):
        return depth > 0 and all(_from_elsewhere(version, depth - 1) for version in asked.values())
    if not isinstance(asked, str):
        return False
    return is_remote(asked) or (bool(_VERSION.fullmatch(asked)) and not is_archive(asked))


def _scripts_are_known(package: dict[str, Any], around: Surroundings) -> bool:
    """Whether npm will install just what the lock file lists, and that has no scripts but known ones."""
    name = next((name for name in ("npm-shrinkwrap.json", "package-lock.json") if name in around.names), "")
    lock = _json_object(around.files.get(name, ""))
    packages = lock.get("packages") if lock else None
    if not lock or lock.get("lockfileVersion") not in (2, 3) or not isinstance(packages, dict):
        return False
    root = packages.get("")
    if not isinstance(root, dict):
        return False
    # Where package.json asks for something else than the lock file, npm takes what nobody has looked at.
    if any((package.get(section) or {}) != (root.get(section) or {}) for section in _SECTIONS):
        return False
    return all(_is_known(path, entry) for path, entry in packages.items() if path)


def _is_known(path: str, entry: object) -> bool:
    if not isinstance(entry, dict) or entry.get("link") or not path.startswith("node_modules/"):
        return False
    resolved = entry.get("resolved", "")
    if resolved and not (isinstance(resolved, str) and re.match(r"(?:git\+)?(?:https?|ssh)://", resolved)):
        return False
    called = entry.get("name") or path.rpartition("node_modules/")[2]
    return not entry.get("hasInstallScript") or called in _KNOWN_SCRIPTS
