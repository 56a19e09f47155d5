"""HOST:PORT on loopback: read and written in one place."""

import ipaddress


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT of a loopback address; "localhost" is 127.0.0.1. Raises ValueError with a sentence for people."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if host == "localhost":
        host = "127.0.0.1"
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f'"{text}" is no address of this machine alone; use 127.0.0.1:PORT.')
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'"{text}" has no port between 0 and 65535; use {host}:PORT.')
    return host, int(port)


def format_address(host: str, port: int) -> str:
    """The inverse of `parse_address`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
