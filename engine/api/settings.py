"""Settings of a home: settings.yaml, overridden by the command line. Every fault names its key and where it stands."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.edge.address import parse_address as loopback_address
from engine.model.errors import HomerunError
from engine.model.home import Home
from engine.model.settings import Settings

_COMPUTES = ("auto", "process", "docker")
_FILE_MAX = 256 * 1024


class SettingsError(HomerunError):
    """A setting is unknown or has a value that cannot be used."""


def load_settings(home: Home, overrides: Mapping[str, object] | None = None) -> Settings:
    """The defaults, then the file (if there is one), then `overrides` (those not None). Blocks for a small read.

    Raises SettingsError.
    """
    values = _read(home)
    _check(values, str(home.settings))
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    _check(given, "the command line")
    return msgspec.convert({**values, **given}, Settings)


def parse_address(address: str) -> tuple[str, int]:
    """HOST:PORT, or [IPV6]:PORT. Raises ValueError with a sentence."""
    host, colon, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f'expected HOST:PORT like 127.0.0.1:8801, found "{address}"')
    return host, int(port)


def _read(home: Home) -> dict[str, Any]:
    path = home.settings
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    if len(raw) > _FILE_MAX:
        raise SettingsError(f"{path} is too large to be a settings file.")
    import yaml  # only where there is a file

    try:
        values = yaml.safe_load(raw)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path}{line}: this is not YAML: {error.problem}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: this is not YAML: {' '.join(str(error).split())}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f'{path}: expected lines like "region: us-east-1".')
    return values


def _check(values: Mapping[str, object], where: str) -> None:
    """Each setting alone, so that the message can say which one and where."""
    for key, value in values.items():
        if key not in Settings.__struct_fields__:
            known = ", ".join(Settings.__struct_fields__)
            raise SettingsError(f'{where}: there is no setting "{key}"; there are {known}.')
        try:
            settings = msgspec.convert({key: value}, Settings)
            _check_value(key, getattr(settings, key))
        except msgspec.ValidationError as error:
            reason = str(error).partition(" - at ")[0].replace("Expected", "expected").replace("`", "")
            raise SettingsError(f'{where}: setting "{key}": {reason}.') from error
        except ValueError as error:
            reason = str(error).removesuffix(".")
            raise SettingsError(f'{where}: setting "{key}": {reason}.') from error


def _check_value(key: str, value: object) -> None:
    match key:
        case "api":
            parse_address(str(value))
        case "edge":
            loopback_address(str(value))
        case "compute" if value not in _COMPUTES:
            raise ValueError(f'expected one of {", ".join(_COMPUTES)}, found "{value}"')
        case "docker_host" if value:
            from engine.compute.docker.locate import AddressError, parse_host  # only where it is set

            try:
                parse_host(str(value), os.environ, "it")
            except AddressError as error:
                raise ValueError(str(error)) from error
        case "image_poll_s" if isinstance(value, float) and value < 1:
            raise ValueError(f"expected 1 or more, found {value:g}")
        case "region" if not _is_region(str(value)):
            raise ValueError(f'expected a region like us-east-1, found "{value}"')
        case "keep_versions" if isinstance(value, int) and value < 1:
            raise ValueError(f"expected 1 or more, found {value}")
        case _ if isinstance(value, (int, float)) and not 0 <= value < float("inf"):
            raise ValueError(f"expected a number from 0 up, found {value}")


def _is_region(text: str) -> bool:
    # It becomes a label of the default domains and a part of ARNs.
    label = text.replace("-", "")
    plain = label.isascii() and label.isalnum() and text == text.lower()
    return plain and len(text) <= 63 and not text.startswith("-") and not text.endswith("-")
