"""What a build gets besides the source: settings of the machine's tools, secrets, certificates, proxies."""

import hashlib
import hmac
import posixpath
import re
import secrets
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from engine.build.dockerfile import MOUNT
from engine.build.install_around import Surroundings
from engine.compute.process.environment import tool_settings
from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind
from engine.model.settings import BuildSettings

_FILE_MOST = 8 * 1024 * 1024
_LOOKED_AT = 400
"""Files of the source directory whose texts are looked into."""
_TEXTS = re.compile(
    r"[^/]+\.(?:txt|in)|requirements/[^/]+\.txt|package\.json|package-lock\.json|npm-shrinkwrap\.json|\.npmrc"
    r"|Gemfile|Gemfile\.lock|go\.mod"
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY")
_CA_NAMES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
_DEFAULTS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    "NPM_CONFIG_FUND": "false",
    "PYTHONUNBUFFERED": "1",
}
_LOOPBACK = re.compile(r"(?:\A|//|@)(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?=[:/]|\Z)")
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Private(Value, frozen=True, kw_only=True):
    """What is mounted while a command runs."""

    files: dict[str, bytes]
    """By name: `env`, which exports variables, and perhaps `ca.pem`."""
    variables: frozenset[str]
    """Names of those variables that were not chosen here."""
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Private({', '.join(self.files)})"


_KEY = secrets.token_bytes(32)
"""Of this process alone, so that a stamp tells nobody anything of the values behind it."""


def stamp_of(files: Mapping[str, bytes]) -> str:
    """Equal while nothing of the files has changed, and this process lives; safe to be seen in an image's history."""
    digest = hmac.new(_KEY, digestmod=hashlib.sha256)
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.hexdigest()[:32]


def proxies_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxy settings, as build arguments that builders know: they are in no layer, no history and no cache key."""
    return {name: value for name, value in environ.items() if name.upper() in _PROXIES and value}


def loopback_notices(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What of the proxies and the package indexes cannot be reached from where a build runs, one sentence each."""
    proxies = {name.upper(): value for name, value in proxies_of(environ).items() if name.upper() != "NO_PROXY"}
    said = [
        f"The proxy in {name} listens on this machine's loopback: a build in a container cannot reach it there."
        for name, value in proxies.items()
        if _LOOPBACK.search(value)
    ]
    said += [
        f"What {name} names is on this machine's loopback: a build in a container cannot reach it there."
        for name, value in _tools(environ).items()
        if _LOOPBACK.search(value)
    ]
    return tuple(said)


def private_files(build_env: Mapping[str, str], settings: BuildSettings, environ: Mapping[str, str]) -> Private:
    """Blocks; raises DeployError of kind CONFIG for a secret without a value, or certificates that cannot be read."""
    missing = [name for name in settings.secrets if name not in environ]
    if missing:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"The build secret {missing[0]} has no value: it is no variable of Homerun's own environment.",
            hint="Set it where Homerun is started, or take it out of build.secrets in settings.yaml.",
        )
    files: dict[str, bytes] = {}
    certificates: dict[str, str] = {}
    if settings.ca_bundle:
        files["ca.pem"] = _certificates(settings.ca_bundle)
        certificates = dict.fromkeys(_CA_NAMES, f"{MOUNT}/ca.pem")
    tools, named = _tools(environ), {name: environ[name] for name in settings.secrets}
    env = {**_DEFAULTS, **tools, **named, **certificates, **build_env}
    # A shell ends where it is to export such a name, and would not pass it on either.
    odd = sorted(name for name in {**named, **build_env} if not _SHELL_NAME.fullmatch(name))
    lines = [f"export {name}={shlex.quote(env[name])}" for name in sorted(env) if _SHELL_NAME.fullmatch(name)]
    files["env"] = ("\n".join(lines) + "\n").encode()
    return Private(
        files=files,
        variables=frozenset({*tools, *named, *build_env}),
        notices=tuple(f"Build commands do not see '{name}', which a shell cannot have as a variable." for name in odd),
    )


def _certificates(bundle: str) -> bytes:
    try:
        return Path(bundle).expanduser().read_bytes()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DeployError.of(
            FailureKind.CONFIG,
            f"The CA bundle {bundle} cannot be read: {reason}.",
            hint="Correct build.ca_bundle in settings.yaml.",
        ) from None


def _tools(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of package managers that mean something in an image: no places of this machine, no locale."""
    tools = {name: value for name, value in tool_settings(environ).items() if not name.lower().startswith("lc_")}
    return {name: value for name, value in tools.items() if not _is_place(value)}


def _is_place(value: str) -> bool:
    """A path of this machine, which means nothing in a container."""
    return any(word.startswith(("/", "~", "./", "../", "file:")) for word in value.split())


def surroundings(source: Path, directory: str, paths: Collection[str], variables: frozenset[str]) -> Surroundings:
    """What decides about install commands; `paths` are those of the context. Blocks for reading a few small files."""
    prefix = f"{directory}/" if directory else ""
    here = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
    over = {posixpath.dirname(directory)} if directory else set()
    while over and "" not in over:
        over |= {posixpath.dirname(folder) for folder in over}
    above = {path for path in paths if posixpath.dirname(path) in over}
    texts: dict[str, str] = {}
    for path in sorted(path for path in here if _TEXTS.fullmatch(path))[:_LOOKED_AT]:
        text = _text(source / prefix / path)
        if text is not None:
            texts[path] = text
    return Surroundings(
        files=texts,
        names=frozenset(path for path in here if "/" not in path),
        above=frozenset(posixpath.basename(path) for path in above),
        variables=variables,
    )


def _text(path: Path) -> str | None:
    """None for what is no plain file, too long or no text: nothing can be said about it."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _FILE_MOST:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
