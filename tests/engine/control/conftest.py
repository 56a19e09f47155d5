"""An account on a real state store, with a clock that only tests move and no engine around it."""

import asyncio
import os
import shutil
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from engine.control.account import Account
from engine.control.auto_scaling import AutoScaling
from engine.control.connections import Connections
from engine.control.observability import Observability
from engine.control.services import Services
from engine.control.vault import Vault
from engine.control.vpc import VpcConnectors
from engine.lifecycle.configuration import full_health_check, full_instance, full_network
from engine.model.errors import EngineError
from engine.model.home import Home
from engine.model.ids import FIRST_CONFIGURATION_ID, new_id, new_label, resource_arn, service_arn
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.service import (
    CodeRepository,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.settings import Settings
from engine.model.version import ServiceConfig
from engine.store.state import StateStore
from engine.telemetry import Telemetry

REGION = "us-east-1"
SOURCE = SourceConfiguration(
    code_repository=CodeRepository(
        repository_url="/srv/shop",
        source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
    )
)
CONFIG = ServiceConfig(
    source=SOURCE,
    instance=full_instance(None),
    health_check=full_health_check(None),
    network=full_network(None),
    auto_scaling_arn=resource_arn(
        REGION, "autoscalingconfiguration", "DefaultConfiguration", 1, FIRST_CONFIGURATION_ID
    ),
)


class OwnClock:
    """Epoch second 1,800,000,000, a full hour, until a test says otherwise; whoever sleeps is not woken."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def clock():
    return OwnClock()


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """A home with new, empty databases: making them takes longer than most tests here."""

    async def make(home):
        store = await StateStore.open(home.state_db)
        telemetry = await Telemetry.open(home, OwnClock())
        await telemetry.close()
        await store.close()

    home = Home(path=tmp_path_factory.mktemp("blank"))
    asyncio.run(make(home))
    return home.path


@pytest.fixture
def home(tmp_path, blank):
    for path in blank.iterdir():
        # Nobody writes into the reserve: it is let go of as a whole.
        (os.link if path.suffix == ".reserve" else shutil.copy)(path, tmp_path / path.name)
    return Home(path=tmp_path)


@pytest.fixture
async def store(home):
    store = await StateStore.open(home.state_db)
    yield store
    await store.close()


@pytest.fixture
def account(store, clock):
    return Account(store=store, clock=clock, settings=Settings())


@pytest.fixture
def upper_account(account):
    """One whose owner wants statuses as the API's model spells them."""
    return Account(store=account.store, clock=account.clock, settings=Settings(upper_case_statuses=True))


@pytest.fixture
def put(store):
    async def rows(*rows):
        def decide(tx):
            for row in rows:
                tx.put(row)

        await store.write(decide)

    return rows


@pytest.fixture
def config():
    """A service's configuration with changes."""
    return lambda **changes: replace(CONFIG, **changes)


@pytest.fixture
def add_service(put):
    """Put a service into the store, running unless told otherwise; keywords change its configuration or its record."""

    async def add(name="shop", **changes):
        own = {key: changes.pop(key) for key in list(changes) if key in ServiceConfig.__struct_fields__}
        service_id = new_id()
        record = ServiceRecord(
            id=service_id,
            name=name,
            arn=service_arn(REGION, name, service_id),
            subdomain=new_label(),
            status=ServiceStatus.RUNNING,
            config=replace(CONFIG, **own),
            mode=DesiredMode.SERVING,
            created_at=1.0,
            updated_at=1.0,
        )
        record = replace(record, **changes)
        await put(record)
        return record

    return add


@pytest.fixture
def refused():
    """A context within which an EngineError of a code is raised."""

    @contextmanager
    def expect(code, match=None):
        with pytest.raises(EngineError, match=match) as caught:
            yield caught
        assert caught.value.code is code

    return expect


@pytest.fixture
async def scaling(account):
    scaling = AutoScaling(account)
    await scaling.begin()
    return scaling


@pytest.fixture
async def observability(account):
    observability = Observability(account)
    await observability.begin()
    return observability


@pytest.fixture
def vault(home):
    return Vault(home.secrets_key)


@pytest.fixture
def connections(account, vault):
    return Connections(account, vault)


@pytest.fixture
def connectors(account):
    return VpcConnectors(account)


@pytest.fixture
def services(account, scaling, observability, connections, connectors):
    return Services(
        account,
        auto_scaling=scaling,
        observability=observability,
        connections=connections,
        connectors=connectors,
        edge_address=lambda: "127.0.0.1:8800",
    )


@pytest.fixture
async def telemetry(home, clock):
    telemetry = await Telemetry.open(home, clock)
    yield telemetry
    await telemetry.close()
