"""state.db: the one place where services, versions, operations and instances are kept, and the one way to change them.

The file has a single owner (the engine that holds the home's lock), so what is current is also held in memory:
readers look there, and a transaction is one function that runs between two states of it.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, get_args, get_origin, get_type_hints

import aiosqlite
import msgspec

from engine.model.base import Value
from engine.model.errors import HomerunError
from engine.model.instance import Instance, InstanceState
from engine.model.operation import NEXT_STATUSES, Operation
from engine.model.record import ServiceRecord
from engine.model.resource import (
    AutoScalingRecord,
    ConnectionRecord,
    CustomDomainRecord,
    ObservabilityRecord,
    Resource,
    SecretRecord,
    VpcConnectorRecord,
    VpcIngressRecord,
)
from engine.model.version import Version
from engine.store.sqlite import explain, open_database
from engine.store.state_schema import MIGRATIONS

T = TypeVar("T")
R = TypeVar("R", bound=Resource)
Owned = Version | Operation | Instance | CustomDomainRecord
"""What goes with its service."""
Row = ServiceRecord | Owned | Resource


class IllegalTransitionError(HomerunError):
    """An operation was to go from one status to another that NEXT_STATUSES does not allow."""


class Changed(Value, frozen=True, kw_only=True):
    """What one transaction touched, by id; sent after it was committed."""

    services: frozenset[str] = frozenset()
    """Services whose record, versions, operations or instances changed."""
    operations: frozenset[str] = frozenset()
    removed_services: frozenset[str] = frozenset()


class Transaction:
    """Reads see what was put before; nothing is real until the function that got this returns."""

    def __init__(self, store: "StateStore") -> None:
        self._store = store
        self.puts: dict[tuple[type[Row], str], Row] = {}
        self.removed: list[tuple[type[Row], str]] = []

    def service(self, service_id: str) -> ServiceRecord:
        """Raises KeyError where there is none."""
        staged = self.puts.get((ServiceRecord, service_id))
        return staged if isinstance(staged, ServiceRecord) else self._store.services[service_id]

    def version(self, version_id: str) -> Version:
        staged = self.puts.get((Version, version_id))
        return staged if isinstance(staged, Version) else self._store.versions[version_id]

    def instance(self, instance_id: str) -> Instance:
        staged = self.puts.get((Instance, instance_id))
        return staged if isinstance(staged, Instance) else self._store.instances[instance_id]

    def resources(self, kind: type[R]) -> list[R]:
        """All of a kind, oldest first."""
        gone = set(self.removed)
        staged = {row.id: row for row in self.puts.values() if isinstance(row, kind)}
        found = {row.id: row for row in self._store.resources(kind)} | staged
        return [row for row in found.values() if (kind, row.id) not in gone]

    def open_operation(self, service_id: str) -> Operation | None:
        for row in self.puts.values():
            if isinstance(row, Operation) and row.service_id == service_id and row.status.is_open:
                return row
        operation = self._store.open_operation(service_id)
        staged = operation and self.puts.get((Operation, operation.id))
        return None if staged else operation

    def put(self, row: Row) -> None:
        """Insert or replace. Raises IllegalTransitionError."""
        if isinstance(row, Operation):
            before = self.puts.get((Operation, row.id)) or self._store.operations.get(row.id)
            if (
                isinstance(before, Operation)
                and before.status != row.status
                and row.status not in NEXT_STATUSES[before.status]
            ):
                raise IllegalTransitionError(f"Operation {row.id} cannot go from {before.status} to {row.status}.")
        self.puts[type(row), row.id] = row
        self.removed = [each for each in self.removed if each != (type(row), row.id)]

    def remove(self, kind: type[Row], row_id: str) -> None:
        self.puts.pop((kind, row_id), None)
        self.removed.append((kind, row_id))


class StateStore:
    """Open with `await StateStore.open(path)`. Everything public is read on the event loop's thread only."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection
        self._reserve = path.with_name(f"{path.name}.reserve")
        self._lock = asyncio.Lock()
        self._listeners: list[Callable[[Changed], None]] = []
        self.services: dict[str, ServiceRecord] = {}
        """All services whose record still lives, deleted ones included."""
        self.versions: dict[str, Version] = {}
        self.instances: dict[str, Instance] = {}
        """Those not stopped; stopped ones stay in the file only."""
        self.operations: dict[str, Operation] = {}
        """Open ones and the newest of each service; `list_operations` reads the rest."""
        self._resources: dict[type[Any], dict[str, Any]] = {kind: {} for kind in _RESOURCES}
        self._by_service: dict[str, dict[type[Row], dict[str, Row]]] = {}

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Migrate and load. Raises StoreError."""
        connection = await open_database(path, MIGRATIONS)
        store = cls(path, connection)
        await asyncio.to_thread(_keep, store._reserve)
        try:
            queries: tuple[tuple[type[Row], str], ...] = (
                (ServiceRecord, "SELECT * FROM services"),
                (Version, "SELECT * FROM versions"),
                (Instance, "SELECT * FROM instances WHERE state <> 'stopped'"),
                (
                    Operation,
                    """SELECT * FROM operations WHERE status IN ('PENDING', 'IN_PROGRESS', 'ROLLBACK_IN_PROGRESS')
                       OR id IN (SELECT id FROM (SELECT id, service_id, MAX(started_at) FROM operations
                                 GROUP BY service_id))""",
                ),
                *((kind, f"SELECT * FROM {_TABLES[kind]} ORDER BY created_at, rowid") for kind in _RESOURCES),  # noqa: S608 - our own table names
            )
            for kind, query in queries:
                for row in await store._rows(kind, query):
                    store._remember(row)
        except (sqlite3.Error, OSError) as error:
            await connection.close()
            raise explain(error, path) from error
        except BaseException:
            await connection.close()
            raise
        return store

    async def close(self) -> None:
        async with self._lock:
            await self._connection.close()

    def listen(self, listener: Callable[[Changed], None]) -> None:
        """Call `listener` after every transaction, on the loop; it must not raise or block."""
        self._listeners.append(listener)

    # Reading.

    def versions_of(self, service_id: str) -> list[Version]:
        """Oldest first."""
        return sorted(self._of(service_id, Version), key=lambda version: version.number)

    def instances_of(self, service_id: str) -> list[Instance]:
        """Those not stopped, oldest first."""
        return sorted(self._of(service_id, Instance), key=lambda instance: (instance.created_at, instance.id))

    def newest_operation(self, service_id: str) -> Operation | None:
        return max(self._of(service_id, Operation), key=lambda op: (op.status.is_open, op.started_at), default=None)

    def open_operation(self, service_id: str) -> Operation | None:
        newest = self.newest_operation(service_id)
        return newest if newest and newest.status.is_open else None

    def named(self, name: str) -> ServiceRecord | None:
        """The service that holds a name; deleted ones hold none."""
        return next(
            (record for record in self.services.values() if record.name == name and record.status != "DELETED"), None
        )

    def resources(self, kind: type[R]) -> list[R]:
        """All of a kind, oldest first."""
        return list(self._resources[kind].values())

    def resource(self, kind: type[R], resource_id: str) -> R | None:
        found: R | None = self._resources[kind].get(resource_id)
        return found

    async def list_operations(self, service_id: str, *, limit: int) -> list[Operation]:
        """Newest-started first; of every service for ""."""
        query = "SELECT * FROM operations {} ORDER BY started_at DESC, rowid DESC LIMIT ?"
        if service_id:
            return await self._rows(Operation, query.format("WHERE service_id = ?"), (service_id, limit))
        return await self._rows(Operation, query.format(""), (limit,))

    # Writing.

    async def write(self, decide: Callable[[Transaction], T]) -> T:
        """Run `decide` on the current state, commit what it put, tell the listeners, return what it returned.

        Whatever `decide` raises passes through and nothing changes. Raises StoreError when the disk refuses.
        A caller that is cancelled while the commit is under way still gets it committed.
        """
        return await asyncio.shield(self._write(decide))

    async def forget_stopped_instances(self, ended_before: float) -> None:
        """Drop the records of instances that ended before this time (seconds since the epoch)."""
        async with self._lock:
            await self._connection.execute(
                "DELETE FROM instances WHERE state = 'stopped' AND ended_at < ?", (ended_before,)
            )

    async def _write(self, decide: Callable[[Transaction], T]) -> T:
        async with self._lock:
            transaction = Transaction(self)
            result = decide(transaction)
            if not transaction.puts and not transaction.removed:
                return result
            try:
                await self._commit_to_file(transaction)
            except sqlite3.Error as error:
                if "disk is full" not in str(error) or not await asyncio.to_thread(_release, self._reserve):
                    raise explain(error, self._path) from error
                try:
                    await self._commit_to_file(transaction)
                except sqlite3.Error as again:
                    raise explain(again, self._path) from again
            changed = self._commit_to_memory(transaction)
        for listener in self._listeners:
            listener(changed)
        return result

    async def _commit_to_file(self, transaction: Transaction) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")
        try:
            for row in transaction.puts.values():
                await self._put(row)
            for kind, row_id in transaction.removed:
                await self._connection.execute(f"DELETE FROM {_TABLES[kind]} WHERE id = ?", (row_id,))  # noqa: S608 - our own table names
            await self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk has rolled it back already
                await self._connection.execute("ROLLBACK")
            raise

    def _commit_to_memory(self, transaction: Transaction) -> Changed:
        services: set[str] = set()
        operations: set[str] = set()
        gone: set[str] = set()
        for row in transaction.puts.values():
            self._remember(row)
            services |= _services_of(row)
            if isinstance(row, Operation):
                operations.add(row.id)
        for kind, row_id in transaction.removed:
            row_or_none = self._memory(kind).get(row_id)
            if row_or_none is None:
                continue
            if isinstance(row_or_none, ServiceRecord):
                gone.add(row_id)
                for table in self._by_service.pop(row_id, {}).values():
                    for child in table.values():
                        self._memory(type(child)).pop(child.id, None)
                self.services.pop(row_id, None)
            else:
                services |= _services_of(row_or_none)
                self._forget(row_or_none)
        return Changed(
            services=frozenset(services - gone), operations=frozenset(operations), removed_services=frozenset(gone)
        )

    async def _put(self, row: Row) -> None:
        values = {field: _cell(getattr(row, field)) for field in row.__struct_fields__}
        columns = ", ".join(values)
        updates = ", ".join(f"{column} = excluded.{column}" for column in values if column != "id")
        statement = (
            f"INSERT INTO {_TABLES[type(row)]} ({columns}) VALUES ({', '.join('?' * len(values))}) "  # noqa: S608 - our own names
            f"ON CONFLICT (id) DO UPDATE SET {updates}"
        )
        parameters = list(values.values())
        if isinstance(row, Operation):
            before = [row.status, *(status for status, after in NEXT_STATUSES.items() if row.status in after)]
            statement += f" WHERE operations.status IN ({', '.join('?' * len(before))})"
            parameters += before
        cursor = await self._connection.execute(statement, parameters)
        if cursor.rowcount == 0:
            raise IllegalTransitionError(f"Operation {row.id} has ended already.")

    # Memory.

    def _memory(self, kind: type[Row]) -> dict[str, Any]:
        memory: Mapping[type[Any], dict[str, Any]] = {
            ServiceRecord: self.services,
            Version: self.versions,
            Instance: self.instances,
            Operation: self.operations,
            **self._resources,
        }
        return memory[kind]

    def _of(self, service_id: str, kind: type[T]) -> Iterable[T]:
        rows: Mapping[Any, dict[str, Any]] = self._by_service.get(service_id, {})
        return rows.get(kind, {}).values()

    def _remember(self, row: Row) -> None:
        if isinstance(row, Instance) and row.state is InstanceState.STOPPED:
            self._forget(row)
            return
        if isinstance(row, Operation) and row.id not in self.operations:
            for older in list(self._of(row.service_id, Operation)):
                if not older.status.is_open and older.started_at <= row.started_at:
                    self._forget(older)
        self._memory(type(row))[row.id] = row
        if isinstance(row, Owned):
            self._by_service.setdefault(row.service_id, {}).setdefault(type(row), {})[row.id] = row

    def _forget(self, row: Owned | Resource) -> None:
        self._memory(type(row)).pop(row.id, None)
        if isinstance(row, Owned):
            self._by_service.get(row.service_id, {}).get(type(row), {}).pop(row.id, None)

    async def _rows(self, kind: type[T], query: str, parameters: tuple[object, ...] = ()) -> list[T]:
        async with self._connection.execute(query, parameters) as cursor:
            names = [column[0] for column in cursor.description]
            rows = await cursor.fetchall()
        return [_row(kind, dict(zip(names, row, strict=True))) for row in rows]


def _services_of(row: Row) -> set[str]:
    """The service that a row is or belongs to; none for what belongs to the account."""
    if isinstance(row, ServiceRecord):
        return {row.id}
    return {row.service_id} if isinstance(row, Owned) else set()


def _keep(reserve: Path) -> None:
    """Set room aside for the moment when the disk is full and the reason must still be written down. Blocking."""
    with contextlib.suppress(OSError):
        if not reserve.exists():
            descriptor = os.open(reserve, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.write(descriptor, b"\0" * _RESERVE_BYTES)
            finally:
                os.close(descriptor)


def _release(reserve: Path) -> bool:
    """Give the room back; False when it is used up already. The next start sets it aside again. Blocking."""
    try:
        reserve.unlink()
    except OSError:
        return False
    return True


_RESERVE_BYTES = 1_000_000
_RESOURCES: dict[type[Any], str] = {
    AutoScalingRecord: "auto_scaling_configurations",
    ObservabilityRecord: "observability_configurations",
    ConnectionRecord: "connections",
    SecretRecord: "secrets",
    CustomDomainRecord: "custom_domains",
    VpcConnectorRecord: "vpc_connectors",
    VpcIngressRecord: "vpc_ingress_connections",
}
_TABLES: dict[type[Any], str] = {
    ServiceRecord: "services",
    Version: "versions",
    Operation: "operations",
    Instance: "instances",
    **_RESOURCES,
}
_SCALARS = (str, int, float, bool)


def _cell(value: object) -> object:
    """A field as SQLite keeps it: scalars as they are, everything nested as JSON."""
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    return msgspec.json.encode(value).decode()


def _row(kind: type[T], cells: dict[str, Any]) -> T:
    for column, scalar in _columns(kind).items():  # type: ignore[arg-type]  # a type is hashable
        value = cells[column]
        if value is not None and scalar is None:
            cells[column] = msgspec.json.decode(value)
        elif scalar is bool:
            cells[column] = bool(value)  # SQLite has integers only
    return msgspec.convert(cells, kind)


@cache
def _columns(kind: type[Any]) -> dict[str, type | None]:
    """Each field with its type where that is one that SQLite has, None where it is kept as JSON."""
    columns: dict[str, type | None] = {}
    for name, annotation in get_type_hints(kind).items():
        (plain, *more) = [each for each in get_args(annotation) or (annotation,) if each is not NoneType]
        is_scalar = not more and isinstance(plain, type) and issubclass(plain, _SCALARS)
        columns[name] = plain if is_scalar and get_origin(annotation) in (None, UnionType) else None
    return columns
