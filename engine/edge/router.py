"""Which service a request is for: exact host first, then a wildcard of one label."""

import re
from collections.abc import Collection, Mapping

from engine.edge.counters import Counters, Tally
from engine.edge.problem import Problem, Refused
from engine.edge.table import Route, RoutingTable
from engine.edge.target import Target, choose

_HOST = re.compile(rb"([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_CACHE_SIZE = 4096

TargetKey = tuple[str, str, int]


class LiveService:
    """One route with its targets and counts. Immutable but for the turn."""

    __slots__ = ("_turn", "route", "tally", "targets")

    def __init__(self, route: Route, targets: tuple[Target, ...], tally: Tally) -> None:
        self.route = route
        self.targets = targets
        self.tally = tally
        self._turn = 0

    def choose(self, tried: Collection[Target]) -> Target | None:
        self._turn += 1
        return choose(self.targets, self._turn, tried)


class Match:
    """A service found by one spelling of its host, and the header lines that this spelling gives the instance."""

    __slots__ = ("host_lines", "service")

    def __init__(self, service: LiveService, host_lines: bytes) -> None:
        self.service = service
        self.host_lines = host_lines


class Router:
    """One table in force. Replaced as a whole."""

    __slots__ = ("_cache", "_exact", "_port", "_wildcard", "services", "targets", "version")

    def __init__(self, table: RoutingTable, port: int, counters: Counters, known: Mapping[TargetKey, Target]) -> None:
        """`known` are targets to carry over; `port` is where clients reach the edge."""
        self.version = table.version
        self.services: list[LiveService] = []
        self.targets: dict[TargetKey, Target] = {}
        self._port = port
        self._exact: dict[str, LiveService] = {}
        self._wildcard: dict[str, LiveService] = {}
        self._cache: dict[bytes, Match] = {}
        for route in table.routes:
            targets: list[Target] = []
            for backend in route.backends:
                key = (backend.instance_id, backend.host, backend.port)
                target = known.get(key) or Target(backend)
                self.targets[key] = target
                targets.append(target)
            tally = counters.tally(route.service_id)
            tally.targets = (*targets, *(old for old in tally.targets if old.in_flight and old not in targets))
            service = LiveService(route, tuple(targets), tally)
            self.services.append(service)
            for host in route.hosts:
                name = host.lower().rstrip(".")
                if name.startswith("*."):
                    self._wildcard[name[2:]] = service
                else:
                    self._exact[name] = service

    def find(self, host: bytes) -> Match:
        """The service for a Host header's value. Raises Refused: not a host name, or an unknown one."""
        match = self._cache.get(host)
        return match if match is not None else self._find(host)

    def _find(self, host: bytes) -> Match:
        parsed = _HOST.fullmatch(host)
        if parsed is None:
            if not host:
                raise Refused(Problem.UNKNOWN_HOST, "The request names no host, so no service can be chosen for it.")
            raise Refused(Problem.BAD_REQUEST, "The Host header is not a host name.")
        name = parsed[1].decode("ascii").lower().rstrip(".")
        label, _, parent = name.partition(".")
        service = self._exact.get(name) or (self._wildcard.get(parent) if label else None)
        if service is None:
            raise Refused(
                Problem.UNKNOWN_HOST,
                f'No service answers for the host "{name}". Use a service\'s URL as Homerun shows it, or send its '
                "host name in the Host header.",
            )
        port = parsed[2] or b"%d" % self._port
        match = Match(service, b"Host: %b\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Port: %b" % (host, host, port))
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[host] = match
        return match
