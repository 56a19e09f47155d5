"""Where a container engine listens, as the docker command finds it, then where rootless Docker and Podman put it."""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from engine.compute.docker.http import Endpoint
from engine.model.errors import HomerunError

_LOCAL = ("localhost", "127.0.0.1", "::1", "")


class AddressError(HomerunError):
    """An engine's address that cannot be used."""


def locate(docker_host: str, environ: Mapping[str, str]) -> Endpoint:
    """The engine to use: the setting, DOCKER_HOST, the docker command's context, the first socket that is there.

    Blocks for a few small reads. Raises AddressError.
    """
    if docker_host:
        return parse_host(docker_host, environ, "docker_host in settings.yaml")
    if host := environ.get("DOCKER_HOST", ""):
        return parse_host(host, environ, "DOCKER_HOST")
    if host := _context_host(environ):
        return parse_host(host, environ, "the docker context")
    candidates = sockets(environ)
    return Endpoint(path=next((path for path in candidates if Path(path).exists()), candidates[0]))


def sockets(environ: Mapping[str, str]) -> list[str]:
    """Where engines put their sockets, the likeliest first."""
    home, runtime = environ.get("HOME", ""), environ.get("XDG_RUNTIME_DIR", "") or f"/run/user/{os.getuid()}"
    return [
        "/var/run/docker.sock",
        f"{home}/.docker/run/docker.sock",
        f"{home}/.docker/desktop/docker.sock",
        f"{runtime}/docker.sock",
        f"{runtime}/podman/podman.sock",
        "/run/podman/podman.sock",
    ]


def parse_host(host: str, environ: Mapping[str, str], said_by: str) -> Endpoint:
    """An address as DOCKER_HOST spells it. Raises AddressError for one that is not on this machine, and others."""
    if host.startswith("/"):
        return Endpoint(path=host)
    parts = urlsplit(host if "://" in host else f"tcp://{host}")
    if parts.scheme == "unix" and parts.path:
        return Endpoint(path=parts.path)
    if parts.scheme in ("tcp", "http", "https"):
        try:
            name, port = parts.hostname or "", parts.port or (2376 if parts.scheme == "https" else 2375)
        except ValueError:
            raise AddressError(f"{said_by} is {host}, whose port is no number from 1 to 65535.") from None
        if name not in _LOCAL and not _is_loopback(name):
            raise AddressError(
                f"{said_by} is {host}, an engine on another machine: its containers cannot be reached from here."
                " Use an engine on this machine."
            )
        verify = environ.get("DOCKER_TLS_VERIFY", "") or parts.scheme == "https"
        folder = environ.get("DOCKER_CERT_PATH", "") or f"{environ.get('HOME', '')}/.docker"
        return Endpoint(host=name or "127.0.0.1", port=port, certificates=folder if verify else "")
    if parts.scheme == "ssh":
        raise AddressError(
            f"{said_by} is {host}: engines on other machines cannot be used, since their containers cannot be reached"
            " from here. Run Homerun over there."
        )
    raise AddressError(f"{said_by} is {host}: expected unix:///path/to/docker.sock or tcp://127.0.0.1:2375.")


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _context_host(environ: Mapping[str, str]) -> str:
    """The address in the docker command's current context, "" for the default one or none."""
    folder = Path(environ.get("DOCKER_CONFIG", "") or f"{environ.get('HOME', '')}/.docker")
    if not environ.get("DOCKER_CONTEXT") and not (folder / "config.json").exists():
        return ""  # no context was ever chosen, and docker-py takes a moment to import
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT") or None)
    except (DockerException, OSError, ValueError):
        return ""
    if context is None or context.name == "default":
        return ""
    return str(context.Host or "")
