"""A home with 500 services, for benchmarks: paused ones, so that nothing runs but the engine itself."""

import time
from pathlib import Path

from engine.lifecycle.configuration import full_health_check, full_instance, full_network, full_source
from engine.model.home import Home
from engine.model.ids import new_id, new_label, new_operation_id, service_arn
from engine.model.operation import Operation, OperationStatus, OperationStep, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.resource import first_auto_scaling
from engine.model.service import (
    CodeRepository,
    ServiceStatus,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.version import ServiceConfig
from engine.store.state import StateStore, Transaction

SERVICES = 500


async def fill(home: Path) -> None:
    """A home with that many paused services in its store, each with the operation that made it so."""
    home.mkdir(mode=0o700, exist_ok=True)
    store = await StateStore.open(Home(path=home).state_db)
    now = time.time()

    def put(tx: Transaction) -> None:
        for number in range(SERVICES):
            service_id, name = new_id(), f"service-{number:03d}"
            arn = service_arn("us-east-1", name, service_id)
            source = SourceConfiguration(
                code_repository=CodeRepository(
                    repository_url=f"https://example.com/team/{name}",
                    source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
                )
            )
            config = ServiceConfig(
                source=full_source(source),
                instance=full_instance(None),
                health_check=full_health_check(None),
                network=full_network(None),
                auto_scaling_arn=first_auto_scaling("us-east-1").arn,
            )
            tx.put(
                ServiceRecord(
                    id=service_id,
                    name=name,
                    arn=arn,
                    subdomain=new_label(),
                    status=ServiceStatus.PAUSED,
                    config=config,
                    mode=DesiredMode.PAUSED,
                    created_at=now - number,
                    updated_at=now,
                )
            )
            tx.put(
                Operation(
                    id=new_operation_id(),
                    service_id=service_id,
                    service_arn=arn,
                    service_name=name,
                    type=OperationType.PAUSE_SERVICE,
                    status=OperationStatus.SUCCEEDED,
                    step=OperationStep.DONE,
                    started_at=now - number,
                    ended_at=now - number,
                    updated_at=now,
                )
            )

    await store.write(put)
    await store.close()
