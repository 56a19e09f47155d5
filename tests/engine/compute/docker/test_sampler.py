"""CPU and memory from cgroup files of both versions, and from the engine where they cannot be read."""

from pathlib import Path

import pytest

from engine.compute.docker.sampler import Limits, Sampler, Usage, cgroup_files, usage_of
from engine.model.instance import ContainerHandle, Instance, InstanceState, ProcessHandle

MEGABYTE = 1 << 20


class Tree:
    """A cgroup file system and the /proc that points into it."""

    def __init__(self, folder: Path, version: int) -> None:
        self.root, self.proc, self.version = folder / "cgroup", folder / "proc", version

    def container(self, pid: int, cpu_s: float, memory: int, reclaimable: int = 0) -> None:
        place = f"docker/{pid}"
        (self.proc / str(pid)).mkdir(parents=True, exist_ok=True)
        if self.version == 2:
            (self.proc / str(pid) / "cgroup").write_text(f"0::/{place}\n")
            self.write(f"{place}/cpu.stat", f"usage_usec {int(cpu_s * 1e6)}\nuser_usec 1\nsystem_usec 2\n")
            self.write(f"{place}/memory.current", f"{memory}\n")
            self.write(f"{place}/memory.stat", f"anon 1\ninactive_file {reclaimable}\nactive_file 2\n")
        else:
            lines = (f"12:memory:/{place}", f"4:cpu,cpuacct:/{place}", "1:name=systemd:/x", "0::/system.slice")
            (self.proc / str(pid) / "cgroup").write_text("\n".join(lines) + "\n")
            self.write(f"cpuacct/{place}/cpuacct.usage", f"{int(cpu_s * 1e9)}\n")
            self.write(f"memory/{place}/memory.usage_in_bytes", f"{memory}\n")
            self.write(f"memory/{place}/memory.stat", f"inactive_file 9\ntotal_inactive_file {reclaimable}\n")

    def end(self, pid: int) -> None:
        for file in [*self.root.rglob(f"*/{pid}/*"), self.proc / str(pid) / "cgroup"]:
            file.unlink()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(params=[1, 2], ids=["cgroup v1", "cgroup v2"])
def tree(request, tmp_path):
    return Tree(tmp_path, request.param)


@pytest.fixture
def look_into(monkeypatch):
    """Have the sampler find its files in that tree instead of this machine's."""

    def look_into(tree: Tree) -> None:
        monkeypatch.setattr(
            "engine.compute.docker.sampler.cgroup_files", lambda pid: cgroup_files(pid, tree.root, tree.proc)
        )

    return look_into


def test_usage_is_read_without_what_the_kernel_would_give_back(tree):
    tree.container(7, cpu_s=1.5, memory=100 * MEGABYTE, reclaimable=30 * MEGABYTE)

    assert cgroup_files(7, tree.root, tree.proc).read() == Usage(1.5, 70 * MEGABYTE)


def test_memory_is_never_less_than_nothing(tree):
    tree.container(7, cpu_s=0, memory=MEGABYTE, reclaimable=2 * MEGABYTE)

    assert cgroup_files(7, tree.root, tree.proc).read().memory_bytes == 0


def test_what_cannot_be_read_is_left_to_the_engine(tree):
    assert cgroup_files(7, tree.root, tree.proc) is None, "no such process"

    tree.container(7, cpu_s=1, memory=1)
    for file in tree.root.rglob("memory.*"):
        file.unlink()
    assert cgroup_files(7, tree.root, tree.proc) is None, "no such files"


@pytest.mark.parametrize("line", ["0::/\n", "0::/../..\n", "1:name=systemd:/\n", ""])
def test_a_container_whose_cgroup_is_hidden_is_left_to_the_engine(tmp_path, line):
    """In a namespace of its own every process seems to be in the root."""
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(line)

    assert cgroup_files(7, tmp_path, tmp_path / "proc") is None


def instance(name: str, handle: object = None) -> Instance:
    return Instance(
        id=name,
        service_id="s",
        version_id="v",
        compute="docker",
        state=InstanceState.READY,
        handle=handle or ContainerHandle(container_id=f"container-{name}"),
        created_at=0.0,
    )


def limits(pid: int = 0, cpu_units: int = 1024, started_at: float = 90.0) -> Limits:
    return Limits(cpu_units=cpu_units, memory_mb=100, started_at=started_at, pid=pid)


def nothing(_: object) -> dict[str, Usage]:
    return {}


def test_percent_are_of_what_the_instance_was_given(tree, look_into):
    """Half a CPU used of half a CPU given; the first time since its start."""
    look_into(tree)
    sampler = Sampler({"a": limits(7, cpu_units=512)}.get, nothing)
    tree.container(7, cpu_s=5.0, memory=25 * MEGABYTE)
    (first,) = sampler.sample([instance("a")], now=100.0)
    tree.container(7, cpu_s=5.1, memory=50 * MEGABYTE)
    (second,) = sampler.sample([instance("a")], now=101.0)

    assert first.cpu_percent == pytest.approx(100)
    assert second.cpu_percent == pytest.approx(20)
    assert (first.memory_percent, second.memory_percent) == (25.0, 50.0)
    assert second.memory_bytes == 50 * MEGABYTE
    assert (second.instance_id, second.service_id, second.at) == ("a", "s", 101.0)


def test_one_that_ended_is_left_out(tree, look_into):
    look_into(tree)
    sampler = Sampler({"a": limits(7), "b": limits(8)}.get, nothing)
    tree.container(7, cpu_s=1, memory=1)
    tree.container(8, cpu_s=1, memory=1)
    assert len(sampler.sample([instance("a"), instance("b")], now=100.0)) == 2

    tree.end(7)
    assert [sample.instance_id for sample in sampler.sample([instance("a"), instance("b")], now=101.0)] == ["b"]


def test_what_is_no_container_of_this_engine_is_left_out():
    sampler = Sampler({"a": limits()}.get, nothing)

    assert sampler.sample([instance("a", ProcessHandle(pid=1, started_at=0)), instance("unknown")], now=1.0) == ()


def test_the_engine_is_asked_once_for_all_whose_files_cannot_be_read():
    asked = []

    def statistics(container_ids):
        asked.append(sorted(container_ids))
        return {"container-a": Usage(float(len(asked)), 10 * MEGABYTE)}

    sampler = Sampler({"a": limits(started_at=99.0), "b": limits()}.get, statistics)
    (first,) = sampler.sample([instance("a"), instance("b")], now=100.0)
    (second,) = sampler.sample([instance("a"), instance("b")], now=101.0)

    assert asked == [["container-a", "container-b"]] * 2
    assert (first.cpu_percent, second.cpu_percent) == (pytest.approx(100), pytest.approx(100))
    assert first.memory_percent == 10.0


def test_a_container_that_was_replaced_never_has_less_than_nothing():
    """Its CPU time begins at nothing again."""
    usages = iter([Usage(50.0, 1), Usage(0.5, 1)])
    sampler = Sampler({"a": limits()}.get, lambda _: {"container-a": next(usages)})
    sampler.sample([instance("a")], now=100.0)
    (sample,) = sampler.sample([instance("a")], now=101.0)

    assert sample.cpu_percent == 0.0


def test_two_looks_at_the_same_moment_do_not_divide_by_nothing():
    sampler = Sampler({"a": limits(started_at=100.0)}.get, lambda _: {"container-a": Usage(0.0, 1)})
    sampler.sample([instance("a")], now=100.0)

    assert sampler.sample([instance("a")], now=100.0)[0].cpu_percent == 0.0


@pytest.mark.parametrize(
    ("inside", "memory"),
    [({"total_inactive_file": 30}, 70), ({"inactive_file": 40}, 60), ({}, 100), (None, 100)],
)
def test_statistics_of_both_cgroup_versions_are_read(inside, memory):
    statistics = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 100, "stats": inside},
    }

    assert usage_of(statistics) == Usage(2.5, memory)


@pytest.mark.parametrize("statistics", [{}, {"cpu_stats": {}, "memory_stats": {}}, {"memory_stats": None}])
def test_statistics_of_one_that_does_not_run_are_nothing(statistics):
    assert usage_of(statistics) is None
