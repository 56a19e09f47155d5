"""CPU and memory of instances: one look at the process table for all of them together."""

from collections.abc import Callable, Collection

from engine.compute.process.record import InstanceRecord
from engine.compute.process.tree import Table, boot_id, children_of, memory_bytes, read_table, tree_of
from engine.model.instance import Instance
from engine.model.metric import InstanceSample

_MEGABYTE = 1 << 20
_UNITS_PER_CPU = 1024


class Sampler:
    """Remembers each instance's CPU time, so that the next look gives a rate. Used from one thread at a time."""

    def __init__(self, read_record: Callable[[str], InstanceRecord | None]) -> None:
        self._read_record = read_record
        self._before: dict[str, tuple[float, float]] = {}
        """Instance id -> when, and seconds of CPU until then."""

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        """CPU since the call before (since the start at the first), memory now; ended instances are left out."""
        table = read_table()
        children = children_of(table)
        samples = []
        seen: dict[str, tuple[float, float]] = {}
        for instance in instances:
            record = self._read_record(instance.id)
            if record is None or not _runs(record, table):
                continue
            pid = record.process.pid if record.process else 0
            members = tree_of(pid, table, children)
            # A parent's time takes in that of children that have ended, so nothing short-lived is lost.
            cpu_s = sum(table[member].cpu_s for member in members)
            since, cpu_before = self._before.get(instance.id, (record.started_at, 0.0))
            seconds = max(now - since, 1e-3)
            memory = memory_bytes(members)
            samples.append(
                InstanceSample(
                    at=now,
                    service_id=instance.service_id,
                    instance_id=instance.id,
                    cpu_percent=max(0.0, cpu_s - cpu_before) / seconds / (record.cpu_units / _UNITS_PER_CPU) * 100,
                    memory_bytes=memory,
                    memory_percent=memory / (record.memory_mb * _MEGABYTE) * 100,
                )
            )
            seen[instance.id] = (now, cpu_s)
        self._before = seen
        return tuple(samples)


def _runs(record: InstanceRecord, table: Table) -> bool:
    process = record.process
    if process is None or process.boot_id != boot_id():
        return False
    row = table.get(process.pid)
    return row is not None and row.start == process.start
