"""The environments of builds and of instances: an allow-list of the user's own, and what we add. Pure."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

BUILD_MARK = "HOMERUN_BUILD"
INSTANCE_MARK = "HOMERUN_INSTANCE"

_RUN_NAMES = frozenset(
    {
        "PATH",
        "LANG",
        "TZ",
        "TMPDIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    }
)
_BUILD_NAMES = _RUN_NAMES | {"HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "GIT_SSL_CAINFO"}
_ANY_CASE = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_TOOL_PREFIXES = ("lc_", "pip_", "uv_", "npm_config_")
_PLACES = frozenset(
    {
        "npm_config_prefix",
        "npm_config_global",
        "pip_user",
        "pip_target",
        "pip_prefix",
        "pip_root",
        "pip_python",
        "uv_python",
        "uv_system_python",
        "uv_project_environment",
    }
)
"""Settings of the tools that would install somewhere else than into the version."""
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def build_base(environ: Mapping[str, str]) -> dict[str, str]:
    """What a build gets of the user's environment: where things are, caches, proxies; no credentials of AWS."""
    return _allowed(environ, _BUILD_NAMES) | tool_settings(environ)


def tool_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings of package managers in the user's environment, save those that say where to install."""
    tools = {name: value for name, value in environ.items() if name.lower().startswith(_TOOL_PREFIXES)}
    return {name: value for name, value in tools.items() if name.lower() not in _PLACES}


def run_base(environ: Mapping[str, str]) -> dict[str, str]:
    """What an instance gets of the user's environment: less, since applications of many origins run here."""
    return _allowed(environ, _RUN_NAMES)


def build_environment(
    base: Mapping[str, str],
    build_env: Mapping[str, str],
    *,
    version_id: str,
    toolbox: Path,
    bin_dirs: Iterable[Path],
    npm_prefix: Path,
    venv: Path | None,
    node_options: str = "",
) -> dict[str, str]:
    """The whole environment of build commands: base, our defaults, then the plan's own `build_env`."""
    defaults = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "NPM_CONFIG_FUND": "false",
        "PYTHONUNBUFFERED": "1",
    }
    env = {**defaults, **base, **_tools(npm_prefix, venv), **build_env, BUILD_MARK: version_id}
    env["PATH"] = _search_path([toolbox, *bin_dirs], env.get("PATH", ""))
    if node_options:
        env["NODE_OPTIONS"] = " ".join(filter(None, (node_options, env.get("NODE_OPTIONS", ""))))
    return env


def run_environment(
    base: Mapping[str, str],
    app_env: Mapping[str, str],
    *,
    instance_id: str,
    home: Path,
    shim: Path,
    bin_dirs: Iterable[Path],
    venv: Path | None,
    port: int,
    port_env: str,
    service_port: int,
    node_options: str = "",
) -> dict[str, str]:
    """The whole environment of an instance. The port variables win over what the application's settings say."""
    defaults = {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "NPM_CONFIG_UPDATE_NOTIFIER": "false"}
    env = {**defaults, **base, "HOME": os.fspath(home)}
    if venv:
        env["VIRTUAL_ENV"] = os.fspath(venv)
    user_path = app_env.get("PATH", "")
    env |= app_env
    env["PATH"] = _search_path([*bin_dirs], os.pathsep.join(filter(None, (user_path, base.get("PATH", "")))))
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (os.fspath(shim), app_env.get("PYTHONPATH", ""))))
    require = f'--require "{_escaped(shim / "homerun_shim.cjs")}"'
    env["NODE_OPTIONS"] = " ".join(filter(None, (require, node_options, app_env.get("NODE_OPTIONS", ""))))
    env |= {"PORT": str(port), INSTANCE_MARK: instance_id}
    env |= {"HOMERUN_PORT": str(port), "HOMERUN_SERVICE_PORT": str(service_port)}  # for the shims
    if port_env:
        env[port_env] = str(port)
    return env


def _allowed(environ: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name in names or name.lower() in _ANY_CASE}
    own = f"{sys.prefix}/bin" if sys.prefix != sys.base_prefix else ""
    folders = kept.get("PATH", "").split(os.pathsep)
    # Homerun's own virtual environment is nobody else's business.
    kept["PATH"] = os.pathsep.join(f for f in folders if f.startswith("/") and f != own) or _DEFAULT_PATH
    return kept


def _tools(npm_prefix: Path, venv: Path | None) -> dict[str, str]:
    tools = {"npm_config_prefix": os.fspath(npm_prefix)}
    return tools | {"VIRTUAL_ENV": os.fspath(venv)} if venv else tools


def _search_path(first: Iterable[Path], rest: str) -> str:
    return os.pathsep.join([*(os.fspath(folder) for folder in first), *filter(None, [rest])])


def _escaped(path: Path) -> str:
    return os.fspath(path).replace("\\", "\\\\").replace('"', '\\"')
