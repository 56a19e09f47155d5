"""What the edge is told: every service's route in one table, and which instances it has acknowledged."""

from typing import Protocol

from engine.edge.table import Backend, Route, RoutingTable
from engine.model.instance import Instance
from engine.model.record import DesiredMode, ServiceRecord


class Edge(Protocol):
    """The part of the edge's client that the lifecycle needs."""

    @property
    def table_version(self) -> int: ...
    async def apply(self, table: RoutingTable) -> None: ...
    def in_flight(self, instance_id: str) -> int: ...


def unavailable(record: ServiceRecord) -> str:
    """Why a service without instances answers 503, in one sentence."""
    if record.mode is DesiredMode.PAUSED:
        return f"The service {record.name} is paused. Resume it to serve requests."
    if record.mode is DesiredMode.DELETED:
        return f"The service {record.name} is being deleted."
    if record.target_version_id is None:
        return f"The service {record.name} could not be created. Its activity log says why."
    return f"The service {record.name} is starting. Try again in a moment."


def default_host(record: ServiceRecord, region: str) -> str:
    """The service's own domain: any name under localhost resolves to loopback in browsers and curl."""
    return f"{record.subdomain}.{region}.homerun.localhost"


class Routing:
    """Holds the routes of all services and sends the whole table whenever one changed."""

    def __init__(self, edge: Edge, region: str) -> None:
        self._edge = edge
        self._region = region
        self._routes: dict[str, Route] = {}
        self._acknowledged: dict[str, frozenset[str]] = {}
        self._version = 0

    def routed(self, service_id: str) -> frozenset[str]:
        """Instances that the edge sends this service's requests to."""
        return self._acknowledged.get(service_id, frozenset())

    def in_flight(self, instance_id: str) -> int:
        return self._edge.in_flight(instance_id)

    def prepare(self, record: ServiceRecord, instances: list[Instance]) -> None:
        """Set a route without telling the edge yet; `send` does."""
        self._routes[record.id] = self._route(record, instances)

    async def set(self, record: ServiceRecord, instances: list[Instance]) -> None:
        """Make exactly these instances the service's backends; returns when the edge has done so."""
        route = self._route(record, instances)
        if self._routes.get(record.id) == route and record.id in self._acknowledged:
            return
        self._routes[record.id] = route
        await self.send()

    async def forget(self, service_id: str) -> None:
        if self._routes.pop(service_id, None) is not None:
            await self.send()
        self._acknowledged.pop(service_id, None)

    async def send(self) -> None:
        routes = tuple(self._routes.values())
        # Above whatever an adopted edge has seen from an earlier engine.
        self._version = max(self._version, self._edge.table_version) + 1
        await self._edge.apply(RoutingTable(version=self._version, routes=routes))
        for route in routes:
            self._acknowledged[route.service_id] = frozenset(b.instance_id for b in route.backends)

    def _route(self, record: ServiceRecord, instances: list[Instance]) -> Route:
        return Route(
            service_id=record.id,
            hosts=(default_host(record, self._region),),
            backends=tuple(
                Backend(instance_id=i.id, host=i.address.host, port=i.address.port) for i in instances if i.address
            ),
            unavailable=unavailable(record),
            starting=record.mode is DesiredMode.SERVING and record.target_version_id is not None,
        )
