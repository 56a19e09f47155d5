"""CPU and memory of containers: their cgroup files where they can be read, else the engine's statistics."""

from collections.abc import Callable, Collection
from pathlib import Path

from engine.model.base import Value
from engine.model.instance import ContainerHandle, Instance
from engine.model.metric import InstanceSample

_MEGABYTE = 1 << 20
_UNITS_PER_CPU = 1024
CGROUPS = Path("/sys/fs/cgroup")


class Usage(Value, frozen=True):
    """What a container has used."""

    cpu_s: float
    memory_bytes: int
    """Without what the kernel would give back at once."""


class Limits(Value, frozen=True, kw_only=True):
    cpu_units: int
    memory_mb: int
    started_at: float
    pid: int


class CgroupFiles(Value, frozen=True, kw_only=True):
    """The files of one container, of cgroup version 1 or 2."""

    cpu: str
    memory: str
    memory_stat: str
    unified: bool

    def read(self) -> Usage:
        """Raises OSError, ValueError."""
        if self.unified:
            cpu_s = _field(_text(self.cpu), "usage_usec") / 1e6
            reclaimable = _field(_text(self.memory_stat), "inactive_file")
        else:
            cpu_s = int(_text(self.cpu)) / 1e9
            reclaimable = _field(_text(self.memory_stat), "total_inactive_file")
        return Usage(cpu_s, max(0, int(_text(self.memory)) - reclaimable))


def cgroup_files(pid: int, root: Path = CGROUPS, proc: Path = Path("/proc")) -> CgroupFiles | None:
    """Of the container whose first process is `pid`; None where they cannot be read."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    places = {}
    for line in lines:
        _, controllers, place = line.split(":", 2)
        for controller in controllers.split(","):
            places[controller] = place.lstrip("/")
    if "memory" in places and "cpuacct" in places:
        cpu, memory = root / "cpuacct" / places["cpuacct"], root / "memory" / places["memory"]
        files = CgroupFiles(
            cpu=str(cpu / "cpuacct.usage"),
            memory=str(memory / "memory.usage_in_bytes"),
            memory_stat=str(memory / "memory.stat"),
            unified=False,
        )
    elif places.get("", "").strip("/."):
        folder = root / places[""]
        files = CgroupFiles(
            cpu=str(folder / "cpu.stat"),
            memory=str(folder / "memory.current"),
            memory_stat=str(folder / "memory.stat"),
            unified=True,
        )
    else:
        return None
    try:
        files.read()
    except (OSError, ValueError):
        return None
    return files


Statistics = Callable[[Collection[str]], dict[str, Usage]]
"""Usage by container id, from the engine; those that have ended are left out. Blocks."""


class Sampler:
    """Remembers each instance's CPU time, so that the next look gives a rate. Used from one thread at a time."""

    def __init__(self, limits: Callable[[str], Limits | None], statistics: Statistics) -> None:
        self._limits = limits
        self._statistics = statistics
        self._files: dict[str, CgroupFiles | None] = {}
        self._before: dict[str, tuple[float, float]] = {}
        """Instance id -> when, and seconds of CPU until then."""

    def sample(self, instances: Collection[Instance], now: float) -> tuple[InstanceSample, ...]:
        """CPU since the call before (since the start at the first), memory now; ended instances are left out."""
        samples = []
        before: dict[str, tuple[float, float]] = {}
        for instance, usage in self._usages(instances):
            limits = self._limits(instance.id)
            if limits is None:
                continue
            since, cpu_before = self._before.get(instance.id, (limits.started_at, 0.0))
            seconds = max(now - since, 1e-3)
            cpu = max(0.0, usage.cpu_s - cpu_before) / seconds / (limits.cpu_units / _UNITS_PER_CPU) * 100
            samples.append(
                InstanceSample(
                    at=now,
                    service_id=instance.service_id,
                    instance_id=instance.id,
                    cpu_percent=cpu,
                    memory_bytes=usage.memory_bytes,
                    memory_percent=usage.memory_bytes / (limits.memory_mb * _MEGABYTE) * 100,
                )
            )
            before[instance.id] = (now, usage.cpu_s)
        self._before = before
        self._files = {instance_id: files for instance_id, files in self._files.items() if instance_id in before}
        return tuple(samples)

    def _usages(self, instances: Collection[Instance]) -> list[tuple[Instance, Usage]]:
        found: list[tuple[Instance, Usage]] = []
        asked: dict[str, Instance] = {}
        for instance in instances:
            limits = self._limits(instance.id)
            if limits is None or not isinstance(instance.handle, ContainerHandle):
                continue
            if instance.id not in self._files:
                self._files[instance.id] = cgroup_files(limits.pid) if limits.pid else None
            files = self._files[instance.id]
            if files is None:
                asked[instance.handle.container_id] = instance
                continue
            try:
                found.append((instance, files.read()))
            except (OSError, ValueError):  # it has just ended
                continue
        if asked:
            answers = self._statistics(asked)
            found += [(asked[container_id], usage) for container_id, usage in answers.items()]
        return found


def usage_of(statistics: object) -> Usage | None:
    """From one answer of the engine's statistics; None when the container does not run."""
    if not isinstance(statistics, dict):
        return None
    cpu, memory = statistics.get("cpu_stats"), statistics.get("memory_stats")
    if not isinstance(cpu, dict) or not isinstance(memory, dict) or "usage" not in memory:
        return None
    inside = memory.get("stats") or {}
    reclaimable = inside.get("total_inactive_file", inside.get("inactive_file", 0))
    used = int(cpu.get("cpu_usage", {}).get("total_usage", 0))
    return Usage(used / 1e9, max(0, int(memory["usage"]) - int(reclaimable)))


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - three of them a container a second
        return file.read()


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    raise ValueError(name)
