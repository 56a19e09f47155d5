"""Where the processes in a container listen, from the kernel's tables of its network."""

from pathlib import Path

from engine.model.instance import Address

_LISTENING = "0A"


def tables(pid: int, proc: Path = Path("/proc")) -> tuple[Path, ...]:
    """The tables of the network that process `pid` lives in."""
    return (proc / str(pid) / "net" / "tcp", proc / str(pid) / "net" / "tcp6")


def listening(table: str) -> list[Address]:
    """Listening sockets in the text of a /proc/…/net/tcp or tcp6 table."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split(maxsplit=4)
        if len(fields) > 3 and fields[3] == _LISTENING:
            host, _, port = fields[1].rpartition(":")
            found.append(Address(host=_host(host), port=int(port, 16)))
    return found


def _host(text: str) -> str:
    """A table's spelling of an address: words of 32 bits in the machine's byte order."""
    data = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    if len(data) == 4:
        return ".".join(map(str, data))
    if data[:12] == b"\0" * 10 + b"\xff\xff":
        return ".".join(map(str, data[12:]))
    return "::" if not any(data) else "::1" if data == b"\0" * 15 + b"\1" else data.hex(":", 2)
