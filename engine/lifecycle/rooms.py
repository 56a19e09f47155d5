"""What a reconciler works with; one set for all of them."""

from dataclasses import dataclass

from engine.compute.base import Compute
from engine.lifecycle.deployer import Deployer
from engine.lifecycle.journal import Journal
from engine.lifecycle.routing import Routing
from engine.model.clock import Clock
from engine.model.settings import Settings
from engine.store.state import StateStore
from engine.telemetry.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Rooms:
    store: StateStore
    compute: Compute
    telemetry: Telemetry
    routing: Routing
    deployer: Deployer
    journal: Journal
    clock: Clock
    settings: Settings
