"""The state store on a real file: what was written is there again, illegal steps are refused, listeners hear of it."""

import asyncio
import sqlite3
import stat

import pytest
from msgspec.structs import replace

from engine.lifecycle.configuration import full_health_check, full_instance, full_network
from engine.model.actions.connection import ConnectionStatus, ProviderType
from engine.model.actions.custom_domain import ValidationName
from engine.model.actions.observability import TracingVendor
from engine.model.errors import Failure, FailureKind
from engine.model.instance import Address, Exit, Instance, InstanceState, ProcessHandle
from engine.model.log import LogGroup
from engine.model.operation import NEXT_STATUSES, Operation, OperationStatus, OperationType
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.resource import (
    AutoScalingRecord,
    ConnectionRecord,
    CustomDomainRecord,
    ObservabilityRecord,
    SecretRecord,
    VpcConnectorRecord,
    VpcIngressRecord,
)
from engine.model.service import ServiceStatus, SourceConfiguration
from engine.model.version import ServiceConfig, Version, VersionState
from engine.store.sqlite import Migration, StoreError, migrate
from engine.store.state import Changed, IllegalTransitionError, StateStore
from engine.store.state_schema import MIGRATIONS

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
    assert [o.id for o in await store.list_operations("s1", limit=3)] == ["o4", "o3", "o2"]
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


RESOURCES = (
    AutoScalingRecord(
        id="a1",
        arn="arn:a1",
        name="busy",
        revision=2,
        max_concurrency=7,
        is_default=True,
        tags={"k": "ü"},
        created_at=1.5,
    ),
    ObservabilityRecord(id="b1", arn="arn:b1", name="traces", revision=1, vendor=TracingVendor.AWSXRAY, deleted_at=9.0),
    ConnectionRecord(
        id="c1",
        arn="arn:c1",
        name="hub",
        provider_type=ProviderType.BITBUCKET,
        status=ConnectionStatus.AVAILABLE,
        created_at=1.0,
    ),
    SecretRecord(id="c1", sealed="sealed", created_at=2.0),
    CustomDomainRecord(
        id="d1",
        service_id="s1",
        domain_name="example.com",
        www=True,
        validation=(ValidationName(name="n", value="v"),),
        created_at=1.0,
    ),
    VpcConnectorRecord(
        id="e1", arn="arn:e1", name="wire", revision=1, subnets=("s-1", "s-2"), security_groups=(), created_at=1.0
    ),
    VpcIngressRecord(
        id="f1",
        arn="arn:f1",
        name="door",
        target_arn="arn:s1",
        vpc_id="vpc-1",
        vpc_endpoint_id="vpce-1",
        domain_name="x.example",
        created_at=1.0,
        updated_at=2.0,
    ),
)


class TestResources:
    """What an account has besides services."""

    @pytest.mark.parametrize("row", RESOURCES, ids=lambda row: type(row).__name__)
    async def test_each_kind_is_there_after_opening_again(self, store, tmp_path, row):
        await store.write(put(a_service(), row))
        assert store.resources(type(row)) == [row]
        assert store.resource(type(row), row.id) == row

        again = await StateStore.open(tmp_path / "state.db")
        assert again.resources(type(row)) == [row]
        assert again.resource(type(row), row.id) == row
        await again.close()

    async def test_kinds_are_kept_apart(self, store):
        await store.write(put(a_service(), *RESOURCES))
        for row in RESOURCES:
            assert store.resources(type(row)) == [row]
        assert store.resource(ConnectionRecord, "a1") is None

    async def test_they_come_oldest_first_whatever_happens_to_them(self, store, tmp_path):
        rows = [replace(RESOURCES[2], id=f"c{n}", name=f"hub-{n}", created_at=float(n)) for n in range(4)]
        for row in rows:
            await store.write(put(row))
        rows[1] = replace(rows[1], tags={"new": "tag"})
        await store.write(put(rows[1]))
        assert store.resources(ConnectionRecord) == rows
        again = await StateStore.open(tmp_path / "state.db")
        assert again.resources(ConnectionRecord) == rows
        await again.close()

    async def test_a_list_is_the_callers_own(self, store):
        await store.write(put(RESOURCES[2]))
        store.resources(ConnectionRecord).clear()
        assert len(store.resources(ConnectionRecord)) == 1

    async def test_a_transaction_sees_what_it_put_and_removed(self, store):
        kept, gone = (replace(RESOURCES[2], id=f"c{n}", name=f"hub-{n}") for n in (1, 2))
        new = replace(gone, id="c3", name="hub-3")
        await store.write(put(kept, gone))

        def decide(tx):
            changed = replace(kept, tags={"a": "b"})
            tx.put(changed)
            tx.put(new)
            tx.remove(ConnectionRecord, gone.id)
            assert tx.resources(ConnectionRecord) == [changed, new]
            assert tx.resources(AutoScalingRecord) == []
            assert store.resources(ConnectionRecord) == [kept, gone]
            return changed

        changed = await store.write(decide)
        assert store.resources(ConnectionRecord) == [changed, new]

    async def test_what_was_put_and_removed_again_never_was(self, store, tmp_path):
        def decide(tx):
            tx.put(RESOURCES[2])
            tx.remove(ConnectionRecord, RESOURCES[2].id)
            return tx.resources(ConnectionRecord)

        assert await store.write(decide) == []
        again = await StateStore.open(tmp_path / "state.db")
        assert store.resources(ConnectionRecord) == again.resources(ConnectionRecord) == []
        await again.close()

    async def test_what_decide_raises_changes_nothing(self, store):
        await store.write(put(RESOURCES[2]))

        def decide(tx):
            tx.remove(ConnectionRecord, "c1")
            tx.put(RESOURCES[0])
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await store.write(decide)
        assert store.resources(ConnectionRecord) == [RESOURCES[2]]
        assert store.resources(AutoScalingRecord) == []

    async def test_removing_what_is_not_there_does_nothing(self, store):
        heard = []
        store.listen(heard.append)
        await store.write(lambda tx: tx.remove(SecretRecord, "nobody"))
        assert heard == [Changed()]

    @pytest.mark.parametrize(
        ("row", "changes"),
        [(RESOURCES[2], {"id": "c2"}), (RESOURCES[4], {"id": "d2"}), (RESOURCES[0], {"id": "a2"})],
        ids=["connection", "domain", "auto scaling"],
    )
    async def test_what_is_unique_cannot_be_there_twice(self, store, row, changes):
        await store.write(put(a_service(), row))
        with pytest.raises(StoreError):
            await store.write(put(replace(row, **changes)))
        assert store.resources(type(row)) == [row]

    async def test_a_service_takes_its_domains_along_and_nothing_else(self, store, tmp_path):
        other = replace(RESOURCES[4], id="d2", service_id="s2", domain_name="other.example.com")
        await store.write(put(a_service(), a_service("s2"), *RESOURCES, other))
        await store.write(lambda tx: tx.remove(ServiceRecord, "s1"))
        assert store.resources(CustomDomainRecord) == [other]
        assert store.resources(VpcIngressRecord) == [RESOURCES[6]]
        again = await StateStore.open(tmp_path / "state.db")
        assert again.resources(CustomDomainRecord) == [other]
        assert again.resources(VpcIngressRecord) == [RESOURCES[6]]
        await again.close()

    async def test_listeners_hear_of_the_service_whose_domain_changed(self, store):
        await store.write(put(a_service()))
        heard: list[Changed] = []
        store.listen(heard.append)
        await store.write(put(RESOURCES[4]))
        await store.write(put(RESOURCES[0]))
        await store.write(lambda tx: tx.remove(CustomDomainRecord, "d1"))
        assert [each.services for each in heard] == [{"s1"}, frozenset(), {"s1"}]

    async def test_the_retention_of_a_services_logs_is_kept(self, store, tmp_path):
        record = a_service(retention={LogGroup.APPLICATION: 3})
        await store.write(put(record))
        again = await StateStore.open(tmp_path / "state.db")
        assert again.services == {"s1": record}
        await again.close()

    async def test_a_home_of_the_first_schema_gets_room_for_them(self, tmp_path):
        path = tmp_path / "state.db"
        migrate(path, MIGRATIONS[:1])
        store = await StateStore.open(path)
        await store.write(put(a_service(), *RESOURCES))
        assert store.resources(AutoScalingRecord) == [RESOURCES[0]]
        await store.close()


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
