"""Loaded by every Python that runs in an instance: a bind to the service's port becomes one to the instance's port.

Applications often name the port that App Runner was told, but here every instance has its own. Wildcard hosts become
loopback on the way, so that an instance is reachable through the edge only. Other ports are left alone. Works with
Python 3.6 and later, needs no import until something opens a socket, and never raises.
"""
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN003, ANN202, ANN204, ANN205, INP001, PTH100, PTH112, PTH120 - runs on Python 3.6
# ruff: noqa: RUF005, SIM105, BLE001, S110, UP031, D404 - with few imports, and whatever happens

import os
import sys

_ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - what is replaced, not what is bound


def _ports():
    """The service's port and the instance's; None where this is no instance."""
    try:
        ports = int(os.environ["HOMERUN_SERVICE_PORT"]), int(os.environ["HOMERUN_PORT"])
    except (KeyError, ValueError):
        return None
    return ports if all(ports) else None


def _number(port):
    try:
        return int(port)
    except (TypeError, ValueError):
        return None


def _patch_socket(module):
    original = module.socket.bind

    def bind(self, address):
        ports = _ports()
        inet = self.family in (module.AF_INET, module.AF_INET6) and self.type & 0xF == module.SOCK_STREAM
        if ports and inet and isinstance(address, tuple) and len(address) > 1:
            host, port = address[:2]
            if port in ports:
                if self.family == module.AF_INET and host in _ANYWHERE:
                    host = "127.0.0.1"
                elif host in _ANYWHERE:
                    # A socket for both families stays reachable over IPv4.
                    only = self.getsockopt(module.IPPROTO_IPV6, module.IPV6_V6ONLY)
                    host = "::1" if only else "::ffff:127.0.0.1"
                address = (host, ports[1]) + tuple(address[2:])
        return original(self, address)

    module.socket.bind = bind


def _patch_loop(loop):
    """The loops of asyncio and uvloop resolve hosts themselves; uvloop also binds by itself."""
    original = loop.create_server

    def create_server(self, protocol_factory, host=None, port=None, **options):
        ports = _ports()
        if ports and _number(port) in ports and options.get("sock") is None:
            port = ports[1]
            if host is None or isinstance(host, str):
                host = "127.0.0.1" if (host or "") in _ANYWHERE else host
            else:
                host = list(dict.fromkeys("127.0.0.1" if each in _ANYWHERE else each for each in host))
        return original(self, protocol_factory, host, port, **options)

    loop.create_server = create_server


_PATCHES = {
    "socket": _patch_socket,
    "asyncio.base_events": lambda module: _patch_loop(module.BaseEventLoop),
    "uvloop": lambda module: _patch_loop(module.Loop),
    "gevent._socket3": _patch_socket,
}


class _Loader:
    """Loads a module as its own loader would, then patches it."""

    def __init__(self, loader, patch):
        self._loader = loader
        self._patch = patch

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        module.__spec__.loader = module.__loader__ = self._loader
        try:
            self._patch(module)
        except Exception:
            pass


class _Finder:
    """Sees the modules that are to be patched go by, once each."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        patch = _PATCHES.pop(name, None)
        if patch is None:
            return None
        if not _PATCHES:
            sys.meta_path.remove(_Finder)
        for finder in list(sys.meta_path):
            if finder is not _Finder and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader, patch)
                    return spec
        return None


def _install():
    if _ports() is None:
        return
    for name in [name for name in _PATCHES if name in sys.modules]:
        _PATCHES.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _Finder)


def _run_the_hidden_one():
    """This file hides the sitecustomize that the interpreter would otherwise have loaded."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if folder != here]
    for finder in sys.meta_path:
        if getattr(finder, "__name__", "") == "PathFinder":
            spec = finder.find_spec("sitecustomize", sys.path)
            if spec is not None and spec.loader is not None:
                module = type(sys)("sitecustomize")
                module.__file__ = spec.origin
                module.__spec__ = spec
                sys.modules["sitecustomize"] = module
                spec.loader.exec_module(module)


def _add_user_site():
    """`pip install --user` with PYTHONUSERBASE: what it installed counts, as it does outside an environment."""
    base = os.environ.get("PYTHONUSERBASE")
    if base and sys.prefix != sys.base_prefix:
        folder = "%s/lib/python%d.%d/site-packages" % (base, sys.version_info[0], sys.version_info[1])
        if os.path.isdir(folder) and folder not in sys.path:
            sys.path.append(folder)


try:
    _install()
    _add_user_site()
except Exception:
    pass
_run_the_hidden_one()
