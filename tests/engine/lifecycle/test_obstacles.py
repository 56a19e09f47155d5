"""What the disk or a defect puts in the way of a step: the operation still ends, and says why when it failed."""

import asyncio
import sqlite3
from types import SimpleNamespace

import pytest

from engine import engine as engine_module
from engine.lifecycle.instances import Instances
from engine.model.actions.service import DeleteServiceRequest
from engine.model.errors import DeployError, FailureKind
from engine.model.instance import Instance, InstanceState
from engine.model.service import ServiceStatus
from engine.store.sqlite import StoreError


def test_an_instance_that_drained_when_the_engine_died_goes_on_draining():
    instance = Instance(
        id="a", service_id="s", version_id="v", compute="process", state=InstanceState.DRAINING, created_at=1.0
    )
    rooms = SimpleNamespace(
        store=SimpleNamespace(instances_of=lambda _: [instance]),
        routing=SimpleNamespace(in_flight=lambda _: 2),
        clock=SimpleNamespace(now=lambda: 50.0),
    )
    instances = Instances("s", rooms, heed=None, wake=None)

    instances.adopt()

    assert [(facts.draining_since, facts.in_flight) for facts in instances.facts()] == [(50.0, 2)]


@pytest.fixture
def disk(driver, monkeypatch):
    """From the first transaction that `disk.refuses` is true of, refuses every one, as a full disk does."""
    store = driver.engine._store
    commit = store._commit_to_file
    store._reserve.unlink()
    disk = SimpleNamespace(refuses=lambda transaction: False, refused=0)

    async def commit_or_refuse(transaction):
        if disk.refuses(transaction):
            disk.refused += 1
            disk.refuses = lambda transaction: True
            raise sqlite3.OperationalError("database or disk is full")
        await commit(transaction)

    monkeypatch.setattr(store, "_commit_to_file", commit_or_refuse)
    return disk


def instance_becomes(state: InstanceState):
    return lambda transaction: any(
        isinstance(row, Instance) and row.state is state for row in transaction.puts.values()
    )


def handle_is_written(transaction) -> bool:
    return any(isinstance(row, Instance) and row.handle is not None for row in transaction.puts.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [handle_is_written, instance_becomes(InstanceState.READY)], ids=["it was started", "it got healthy"]
)
async def test_a_deployment_goes_on_when_the_disk_was_full_as_an_instance(driver, repository, disk, step):
    repository.service("patient")
    disk.refuses = step
    service = await driver.create(repository.path)
    await driver.eventually(lambda: disk.refused, timeout_s=30)
    assert (await driver.describe(service)).status is ServiceStatus.OPERATION_IN_PROGRESS

    disk.refuses = lambda transaction: False

    assert (await driver.settled(service)).status is ServiceStatus.RUNNING
    assert await driver.get(service) == (200, "patient")


@pytest.mark.slow
async def test_an_instance_that_dies_while_the_disk_is_full_is_replaced_afterwards(driver, repository, disk):
    repository.service("again")
    service = await driver.settled(await driver.create(repository.path))
    (before,) = driver.engine._store.instances_of(service.service_id)
    disk.refuses = lambda transaction: True
    stopped = asyncio.create_task(driver.engine._compute.stop(before, 0))
    await driver.eventually(lambda: disk.refused)
    await stopped

    disk.refuses = lambda transaction: False

    async def answers():
        return await driver.get(service) == (200, "again")

    await driver.eventually(answers, timeout_s=20)
    assert before.id not in driver.engine._store.instances


@pytest.mark.slow
async def test_a_start_that_a_defect_ends_fails_the_operation_with_its_reason(driver, repository, monkeypatch):
    async def broken(spec):
        raise PermissionError("no more processes for you")

    monkeypatch.setattr(driver.engine._compute, "start", broken)
    repository.service()

    service = await driver.settled(await driver.create(repository.path))

    assert service.status is ServiceStatus.CREATE_FAILED
    assert "no more processes for you" in (await driver.failure(service)).message
    assert driver.engine._store.instances_of(service.service_id) == []


@pytest.mark.slow
async def test_a_deletion_that_cannot_remove_its_files_ends_with_the_reason_and_can_be_repeated(
    driver, repository, monkeypatch
):
    repository.service()
    service = await driver.settled(await driver.create(repository.path))

    async def immutable(path):
        raise DeployError.of(FailureKind.INTERNAL, "Failed to delete a version's build: it is immutable.")

    with monkeypatch.context() as patch:
        patch.setattr(driver.engine._compute, "discard", immutable)
        await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
        service = await driver.settled(service)
    assert service.status is ServiceStatus.DELETE_FAILED
    assert (await driver.operations(service))[0] == "DELETE_SERVICE FAILED"
    assert "immutable" in (await driver.failure(service)).message

    await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
    assert (await driver.settled(service)).status is ServiceStatus.DELETED


@pytest.mark.slow
async def test_housekeeping_goes_on_after_a_disk_that_refused_it(driver, monkeypatch):
    asked = []

    async def refuse(ended_before):
        asked.append(ended_before)
        raise StoreError("the disk is full")

    monkeypatch.setattr(engine_module, "_HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(driver.engine._store, "forget_stopped_instances", refuse)
    house = asyncio.create_task(driver.engine._keep_house())
    await driver.eventually(lambda: len(asked) > 3)
    house.cancel()
    await asyncio.gather(house, return_exceptions=True)
