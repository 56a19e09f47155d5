"""The state store on a real file: what was written is there again, illegal steps are refused, listeners hear of it."""

import asyncio
import sqlite3
import stat

import pytest
from msgspec.structs import replace

from engine.lifecycle.configuration import full_health_check, full_instance, full_network
from engine.model.errors import Failure, FailureKind
from engine.model.instance import Address, Exit, Instance, InstanceState, ProcessHandle
from engine.model.operation import NEXT_STATUSES, Operation, OperationStatus, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.service import ServiceStatus, SourceConfiguration
from engine.model.version import ServiceConfig, Version, VersionState
from engine.store.sqlite import Migration, StoreError, migrate
from engine.store.state import Changed, IllegalTransitionError, StateStore

CONFIG = ServiceConfig(
    source=SourceConfiguration(auto_deployments_enabled=True),
    instance=full_instance(None),
    health_check=full_health_check(None),
    network=full_network(None),
    auto_scaling_arn="arn:aws:apprunner:us-east-1:000000000000:autoscalingconfiguration/DefaultConfiguration/1/0",
)


def a_service(service_id: str = "s1", **changes) -> ServiceRecord:
    record = ServiceRecord(
        id=service_id,
        name=f"name-{service_id}",
        arn=f"arn:{service_id}",
        subdomain=f"sub-{service_id}",
        status=ServiceStatus.RUNNING,
        config=CONFIG,
        mode=DesiredMode.SERVING,
        tags={"team": "a"},
        created_at=1.0,
        updated_at=2.0,
    )
    return replace(record, **changes)


def an_operation(operation_id: str = "o1", service_id: str = "s1", **changes) -> Operation:
    operation = Operation(
        id=operation_id,
        service_id=service_id,
        service_arn=f"arn:{service_id}",
        service_name=f"name-{service_id}",
        type=OperationType.START_DEPLOYMENT,
        status=OperationStatus.PENDING,
        started_at=3.0,
        updated_at=3.0,
    )
    return replace(operation, **changes)


def put(*rows):
    def decide(tx):
        for row in rows:
            tx.put(row)

    return decide


@pytest.fixture
async def store(tmp_path):
    store = await StateStore.open(tmp_path / "state.db")
    yield store
    await store.close()


async def test_everything_written_is_there_after_opening_again(tmp_path):
    rows = (
        a_service(),
        Version(
            id="v1", service_id="s1", number=1, operation_id="o1", state=VersionState.NEW, config=CONFIG, created_at=1.0
        ),
        an_operation(failure=Failure(kind=FailureKind.BUILD, message="No.", evidence=("a", "b"), exit_code=2)),
        Instance(
            id="i1",
            service_id="s1",
            version_id="v1",
            compute="process",
            state=InstanceState.READY,
            handle=ProcessHandle(pid=4, started_at=5.5),
            address=Address(host="127.0.0.1", port=99),
            created_at=1.0,
        ),
    )
    store = await StateStore.open(tmp_path / "state.db")
    await store.write(put(*rows))
    await store.close()

    again = await StateStore.open(tmp_path / "state.db")

    assert (again.services["s1"], again.versions["v1"], again.operations["o1"], again.instances["i1"]) == rows
    assert again.open_operation("s1") == rows[2]
    await again.close()


async def test_the_file_is_private(tmp_path, store):
    assert stat.S_IMODE((tmp_path / "state.db").stat().st_mode) == 0o600


async def test_what_decide_raises_changes_nothing(store):
    def decide(tx):
        tx.put(a_service())
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(decide)

    assert store.services == {}
    assert await store.write(lambda tx: "still works") == "still works"


async def test_a_transaction_sees_its_own_puts(store):
    def decide(tx):
        tx.put(a_service())
        tx.put(replace(tx.service("s1"), status=ServiceStatus.PAUSED))
        tx.put(an_operation())
        return tx.open_operation("s1")

    assert (await store.write(decide)).id == "o1"
    assert store.services["s1"].status is ServiceStatus.PAUSED


@pytest.mark.parametrize("before", OperationStatus)
@pytest.mark.parametrize("after", OperationStatus)
async def test_operations_take_legal_steps_only(store, before, after):
    await store.write(put(a_service(), an_operation(status=before)))
    legal = after == before or after in NEXT_STATUSES[before]

    if legal:
        await store.write(put(an_operation(status=after)))
    else:
        with pytest.raises(IllegalTransitionError):
            await store.write(put(an_operation(status=after)))

    assert store.operations["o1"].status == (after if legal else before)


async def test_two_open_operations_on_one_service_are_impossible(store):
    await store.write(put(a_service(), an_operation("o1")))

    with pytest.raises(StoreError):
        await store.write(put(an_operation("o2")))


async def test_a_deleted_service_frees_its_name(store):
    await store.write(put(a_service("s1", name="shop", status=ServiceStatus.DELETED)))
    await store.write(put(a_service("s2", name="shop")))

    assert store.named("shop").id == "s2"
    with pytest.raises(StoreError):
        await store.write(put(a_service("s3", name="shop")))


async def test_writes_at_the_same_time_lose_nothing(store):
    await store.write(put(a_service(updated_at=0.0)))

    await asyncio.gather(
        *(
            store.write(lambda tx: tx.put(replace(tx.service("s1"), updated_at=tx.service("s1").updated_at + 1)))
            for _ in range(50)
        )
    )

    assert store.services["s1"].updated_at == 50.0


async def test_stopped_instances_leave_the_memory_and_stay_in_the_file(store, tmp_path):
    instance = Instance(
        id="i1", service_id="s1", version_id="v1", compute="process", state=InstanceState.READY, created_at=1.0
    )
    await store.write(put(a_service(), instance))
    await store.write(put(replace(instance, state=InstanceState.STOPPED, exit=Exit(code=3, at=9.0))))

    assert store.instances == {}
    assert store.instances_of("s1") == []
    with sqlite3.connect(tmp_path / "state.db") as connection:
        assert connection.execute("SELECT state FROM instances").fetchall() == [("stopped",)]
    connection.close()


async def test_the_newest_operation_is_remembered_and_all_are_listed(store):
    await store.write(put(a_service()))
    for n in range(5):
        await store.write(put(an_operation(f"o{n}", status=OperationStatus.SUCCEEDED, started_at=float(n))))

    assert store.newest_operation("s1").id == "o4"
    assert len(store.operations) == 1
    assert [o.id for o in await store.list_operations("s1", limit=3, offset=1)] == ["o3", "o2", "o1"]
    assert [o.id for o in await store.list_operations("", limit=-1)] == ["o4", "o3", "o2", "o1", "o0"]


async def test_listeners_hear_what_changed_after_it_did(store):
    heard: list[Changed] = []
    store.listen(lambda changed: heard.append(changed) if "s1" in store.services or changed.removed_services else None)

    await store.write(put(a_service(), an_operation()))
    await store.write(lambda tx: tx.remove(ServiceRecord, "s1"))

    assert heard[0] == Changed(services=frozenset({"s1"}), operations=frozenset({"o1"}))
    assert heard[1].removed_services == {"s1"}
    assert store.operations == {}
    assert await store.list_operations("s1", limit=-1) == []


class TestMigrations:
    FIRST = Migration(number=1, name="one", sql="CREATE TABLE a (x); INSERT INTO a VALUES (1);")
    SECOND = Migration(number=2, name="two", sql="ALTER TABLE a ADD COLUMN y DEFAULT 7;")

    def rows(self, path):
        connection = sqlite3.connect(path)
        try:
            return connection.execute("SELECT * FROM a").fetchall()
        finally:
            connection.close()

    def test_an_older_file_is_migrated_and_backed_up(self, tmp_path):
        path = tmp_path / "x.db"
        migrate(path, [self.FIRST])
        migrate(path, [self.FIRST, self.SECOND])

        assert self.rows(path) == [(1, 7)]
        assert self.rows(tmp_path / "x.db.backup-1") == [(1,)]

    def test_a_failing_migration_changes_nothing(self, tmp_path):
        path = tmp_path / "x.db"
        migrate(path, [self.FIRST])
        broken = Migration(number=2, name="broken", sql="DELETE FROM a; SELECT no_such_function();")

        with pytest.raises(StoreError):
            migrate(path, [self.FIRST, broken])

        assert self.rows(path) == [(1,)]

    def test_a_newer_file_is_refused_in_words(self, tmp_path):
        path = tmp_path / "x.db"
        migrate(path, [self.FIRST, self.SECOND])

        with pytest.raises(StoreError, match="newer Homerun"):
            migrate(path, [self.FIRST])

    def test_a_file_that_is_no_database_is_named(self, tmp_path):
        path = tmp_path / "x.db"
        path.write_text("this is not a database, however long one looks at it" * 100)

        with pytest.raises(StoreError, match="damaged"):
            migrate(path, [self.FIRST])
