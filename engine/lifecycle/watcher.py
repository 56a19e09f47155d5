"""Watches one instance: its health checks and its end, as a stream of outcomes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from engine.compute.base import Compute
from engine.lifecycle.accepting import Inside
from engine.lifecycle.failures import loopback_only, never_healthy, wrong_port
from engine.lifecycle.health import Health, Verdict, judge, next_probe_in, probe
from engine.model.base import Value
from engine.model.clock import Clock
from engine.model.errors import Failure
from engine.model.instance import Address, ContainerHandle, Exit, Instance, InstanceState
from engine.model.service import HealthCheckConfiguration
from engine.model.settings import Settings

_PORTS_EVERY_S = 1.0
_LOOPBACK = "127.0.0.1"


class Healthy(Value, frozen=True, kw_only=True):
    """It answered; at this address."""

    address: Address


class NeverHealthy(Value, frozen=True, kw_only=True):
    """It was started and did not get healthy in time."""

    failure: Failure


class Sick(Value, frozen=True, kw_only=True):
    """It was healthy and failed its checks."""

    reason: str


class Died(Value, frozen=True, kw_only=True):
    exit: Exit


Outcome = Healthy | NeverHealthy | Sick | Died


def is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


@dataclass(slots=True)
class Watcher:
    """`outcomes()` ends after the first outcome that is not Healthy."""

    instance: Instance
    config: HealthCheckConfiguration
    service_port: int
    compute: Compute
    clock: Clock
    settings: Settings

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        ended = asyncio.ensure_future(self.compute.wait(self.instance))
        try:
            async with aclosing(self._until(ended)) as outcomes:
                async for outcome in outcomes:
                    yield outcome
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)

    async def _until(self, ended: "asyncio.Future[Exit]") -> AsyncGenerator[Outcome, None]:
        ready = self.instance.state is InstanceState.READY
        address = self.instance.address
        # A container has ports of its own: inside it the application listens on the service's.
        contained = isinstance(self.instance.handle, ContainerHandle)
        health = Health()
        ports_looked_at = 0.0
        while True:
            age_s = self.clock.now() - self.instance.created_at
            if await self._ended_within(ended, next_probe_in(self.config, ready=ready, age_s=age_s)):
                yield Died(exit=ended.result())
                return
            if address is None:
                continue
            inside = Inside(
                tables=self.compute.socket_tables(self.instance),
                port=self.service_port if contained else address.port,
                proxied=contained and address.host == _LOOPBACK,
            )
            answer = await probe(address, self.config, inside, starting=not ready)
            health, verdict = judge(health, answer, self.config)
            if ready:
                if verdict is Verdict.UNHEALTHY and not ended.done():
                    yield Sick(reason=f"failed {health.failures} health checks in a row ({answer.text})")
                    return
                continue
            if verdict is Verdict.HEALTHY:
                ready, health = True, Health()
                yield Healthy(address=answer.address)
                continue
            age_s = self.clock.now() - self.instance.created_at
            if age_s >= self.settings.startup_timeout_s:
                yield NeverHealthy(failure=never_healthy(self.config, self.service_port, answer.text, age_s, tail=()))
                return
            if not answer.healthy and age_s - ports_looked_at >= _PORTS_EVERY_S:
                ports_looked_at = age_s
                found = await asyncio.to_thread(self.compute.listening_ports, self.instance)
                elsewhere = bool(found) and inside.port not in {other.port for other in found}
                hidden = contained and {other.host for other in found if other.port == inside.port}
                if hidden and all(is_loopback(host) for host in hidden):
                    if age_s >= self.settings.wrong_port_grace_s:
                        yield NeverHealthy(failure=loopback_only(self.service_port))
                        return
                elif elsewhere and not contained and self.service_port in {other.port for other in found}:
                    # It holds the service's own port, which nothing translated: fine while it is the only one.
                    address = Address(host=_LOOPBACK, port=self.service_port)
                elif elsewhere and age_s >= self.settings.wrong_port_grace_s:
                    yield NeverHealthy(failure=wrong_port(inside.port, self.service_port, found, tail=()))
                    return

    async def _ended_within(self, ended: "asyncio.Future[Exit]", seconds: float) -> bool:
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        either: set[asyncio.Future[Exit] | asyncio.Future[None]] = {ended, sleeping}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            await asyncio.gather(sleeping, return_exceptions=True)
        return ended.done()
