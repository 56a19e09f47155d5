"""Health checks: what one answer means (pure), and how to ask."""

import asyncio
import contextlib
from enum import StrEnum

from engine.lifecycle.accepting import Inside, is_behind, takes_connections
from engine.model.base import Value
from engine.model.instance import Address
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol

NOT_TAKEN = "no answer: it listens, but takes no connections"
_ANSWER_LIMIT = 64 * 1024
_HANGS_UP_S = 0.05
"""A proxy that finds nobody behind it ends the connection sooner."""


class Answer(Value, frozen=True, kw_only=True):
    """One probe's outcome; `text` is what people read ("HTTP 401 Unauthorized", "connection refused")."""

    healthy: bool
    text: str
    address: Address


class Verdict(StrEnum):
    UNDECIDED = "undecided"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Health(Value, frozen=True, kw_only=True):
    """An instance's checks so far: how many in a row went one way."""

    successes: int = 0
    failures: int = 0
    last: str = ""


def judge(health: Health, answer: Answer, config: HealthCheckConfiguration) -> tuple[Health, Verdict]:
    """Count one answer. The thresholds are App Runner's: so many in a row decide."""
    if answer.healthy:
        health = Health(successes=health.successes + 1, last=answer.text)
        return health, Verdict.HEALTHY if health.successes >= (config.healthy_threshold or 1) else Verdict.UNDECIDED
    health = Health(failures=health.failures + 1, last=answer.text)
    return health, Verdict.UNHEALTHY if health.failures >= (config.unhealthy_threshold or 5) else Verdict.UNDECIDED


def next_probe_in(config: HealthCheckConfiguration, *, ready: bool, age_s: float) -> float:
    """Seconds until the next probe. A starting instance is asked often at first: nobody should wait for a timer."""
    interval = float(config.interval or 5)
    if ready:
        return interval
    return min(interval, max(0.03, age_s * 0.1), 1.0)


def parse_status(head: bytes) -> tuple[int, str] | None:
    """Status code and reason of an HTTP response's first bytes; None when it is no HTTP."""
    line = head.split(b"\r\n", 1)[0].split(b"\n", 1)[0]
    version, _, rest = line.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if not version.startswith(b"HTTP/1.") or len(code) != 3 or not code.isdigit():
        return None
    return int(code), reason.decode("latin-1").strip()


async def probe(
    address: Address, config: HealthCheckConfiguration, inside: Inside, *, starting: bool = False
) -> Answer:
    """Ask once. IPv4 loopback first; where nothing listens there, IPv6 loopback. Never raises.

    A `starting` application must also take the connection of a TCP check itself: one that the kernel accepted for it
    says nothing about workers that are still to be loaded.
    """
    answer = await _ask(address, config, inside, starting=starting)
    if not answer.healthy and address.host == "127.0.0.1" and "refused" in answer.text:
        other = await _ask(Address(host="::1", port=address.port), config, inside, starting=starting)
        if "refused" not in other.text and "no IPv6" not in other.text:
            return other
    return answer


async def _ask(address: Address, config: HealthCheckConfiguration, inside: Inside, *, starting: bool) -> Answer:
    def told(healthy: bool, text: str) -> Answer:
        return Answer(healthy=healthy, text=text, address=address)

    timeout_s = float(config.timeout or 2)
    try:
        async with asyncio.timeout(timeout_s):
            if config.protocol is HealthCheckProtocol.HTTP:
                return told(*await _get(address, config.path or "/"))
            if starting and await asyncio.to_thread(is_behind, inside):
                return told(False, NOT_TAKEN)  # an earlier check still waits; another would only queue up behind it
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                if starting and not await takes_connections(inside):
                    return told(False, NOT_TAKEN)
                if inside.proxied and await _hangs_up(reader):
                    return told(False, "connection refused")
            finally:
                await _close(writer)
            return told(True, "connection accepted")
    except TimeoutError:
        return told(False, f"no answer within {timeout_s:g} s")
    except ConnectionRefusedError:
        return told(False, "connection refused")
    except OSError as error:
        if address.host == "::1":
            return told(False, "no IPv6 here")
        return told(False, (error.strerror or str(error)).lower())


async def _hangs_up(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(_HANGS_UP_S):
            return not await reader.read(1)
    except TimeoutError:
        return False


async def _get(address: Address, path: str) -> tuple[bool, str]:
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=_ANSWER_LIMIT)
    try:
        target = path if path.startswith("/") else f"/{path}"
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nUser-Agent: AppRunner-HealthCheck\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n".encode("latin-1", "replace")
        )
        await writer.drain()
        head = await reader.readline()
        status = parse_status(head)
        if status is None:
            return False, "closed the connection without an answer" if not head else "answered, but not in HTTP"
        code, reason = status
        # App Runner passes 200; whether it passes other 2xx and 3xx is not known, and both mean "alive".
        return 200 <= code < 400, f"HTTP {code} {reason}".rstrip()
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await writer.wait_closed()
