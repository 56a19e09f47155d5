"""Instances as real processes: start, environment, end, stop, what is left."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import asyncio
import errno
import os
import signal
import socket
import stat
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from engine.compute.process import ProcessCompute
from engine.compute.process import compute as compute_module
from engine.compute.process.environment import INSTANCE_MARK
from engine.compute.process.layout import write_record
from engine.model.clock import SystemClock
from engine.model.errors import DeployError, FailureKind
from engine.model.instance import Address, ProcessHandle

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

SERVER = """
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ.get("GREETING", "hello").encode())
http.server.HTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
"""


async def test_an_instance_serves_on_its_own_port(made, plan_of, run, get, compute):
    """On loopback, from a working copy; two of them do not meet."""
    plan = plan_of()
    artifact = made(app__py=SERVER)
    one, two = await run(artifact, plan), await run(artifact, plan, env={"GREETING": "hallo"})

    assert (await get(one), await get(two)) == ("hello", "hallo")
    assert one.address != two.address
    assert compute.is_running(one)
    assert compute.listening_ports(one) == (one.address,)


async def test_what_an_instance_gets(build, plan_of, run, home):
    """Its port in PORT and the plan's variable, the settings relocated, a home of its own; no credentials."""
    plan = plan_of(start="env; pwd", port=8080, port_env="LISTEN", source_directory="server")
    artifact = await build(plan)
    instance = await run(artifact, plan, env={"DATA": "/app/data", "PORT": "8080", "MODE": "prod"})
    folder = home.instance(instance.id)
    printed = (await run.output(instance, f"\n{folder}/app/server\n")).splitlines()

    port = instance.address.port
    for line in (f"PORT={port}", f"LISTEN={port}", f"DATA={folder}/app/data", f"HOME={folder}/home", "MODE=prod"):
        assert line in printed
    assert "PYTHONUNBUFFERED=1" in printed
    assert not any("never to be seen" in line for line in printed)
    assert any(line.startswith(f"PATH={artifact.path}/venv/bin:") for line in printed)


async def test_an_instance_writes_into_its_own_copy_only(made, plan_of, run, compute):
    plan = plan_of(start="echo changed > data.txt; touch new")
    artifact = made(data__txt="original")
    await compute.wait(await run(artifact, plan))

    assert Path(artifact.path, "app/data.txt").read_text() == "original"
    assert not Path(artifact.path, "app/new").exists()


async def test_files_are_for_the_owners_eyes_only(made, plan_of, run, home):
    plan = plan_of(start="sleep 60")
    instance = await run(made(), plan)
    folder = home.instance(instance.id)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("output.log", "instance.json", "exit.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


async def test_secrets_are_not_written_down(made, plan_of, run, home):
    plan = plan_of(start="sleep 60")
    instance = await run(made(), plan, env={"TOKEN": "s3cr3t-value"})

    assert not any(b"s3cr3t-value" in path.read_bytes() for path in home.instance(instance.id).rglob("*.json"))
    commands = [psutil.Process(instance.handle.pid).cmdline()]
    assert "s3cr3t-value" not in str(commands)


@pytest.mark.parametrize(
    ("start", "code", "number"),
    [("exit 0", 0, None), ("exit 3", 3, None), ("exit 255", 255, None), ("kill -SEGV $$", None, signal.SIGSEGV)],
)
async def test_how_it_ended_is_known(made, plan_of, run, compute, start, code, number):
    plan = plan_of(start=start)
    instance = await run(made(), plan)
    end = await compute.wait(instance)

    assert (end.code, end.signal, end.expected) == (code, number, False)
    assert abs(end.at - time.time()) < 10
    assert not compute.is_running(instance)
    assert await compute.wait(instance) == end


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [(("no-such-program",), 127, "not found"), (("./data.txt",), 126, "denied"), (("./bad.sh",), 127, "bad.sh")],
)
async def test_a_program_that_cannot_be_executed_says_so_in_its_output(build, plan_of, run, compute, argv, code, said):
    """The start itself succeeds; exit code and output tell."""
    plan = plan_of("printf '#!/no/such/interpreter\\n' > bad.sh; chmod +x bad.sh", start=argv)
    instance = await run(await build(plan, data__txt="x"), plan)

    assert (await compute.wait(instance)).code == code
    assert said in compute.output(instance.id).read_text().lower()


async def test_output_has_stdout_and_stderr_in_order_and_nothing_else(made, plan_of, run, compute):
    plan = plan_of(start="echo one; echo two >&2; echo three; kill -TERM $$")
    instance = await run(made(), plan)
    await compute.wait(instance)

    assert compute.output(instance.id).read_text() == "one\ntwo\nthree\n"


async def test_arguments_reach_the_program_as_they_are(made, plan_of, run, compute):
    """No shell looks at them."""
    plan = plan_of(start=("printf", "%s|", "a b", "$HOME", "`id`", '"', "&&", "/app/x"))
    instance = await run(made(), plan)
    await compute.wait(instance)

    folder = compute.output(instance.id).parent
    assert compute.output(instance.id).read_text() == f'a b|$HOME|`id`|"|&&|{folder}/app/x|'


async def test_starting_twice_is_starting_once(made, plan_of, run, compute, home, environ):
    """In this engine and in the next one."""
    plan = plan_of(start="echo started; sleep 60")
    spec = run.spec(made(), plan)
    instance = await run.start(spec)
    await run.output(instance, "started")
    again = await compute.start(spec)
    later = await ProcessCompute(home, SystemClock(), environ).start(spec)

    assert again == later
    assert (again.handle, again.address) == (instance.handle, instance.address)
    assert compute.output(instance.id).read_text() == "started\n"


async def test_starting_at_the_same_time_is_starting_once(made, plan_of, run, compute):
    plan = plan_of(start="sleep 60")
    spec = run.spec(made(), plan)
    first, second = await asyncio.gather(run.start(spec), compute.start(spec))

    assert first.handle == second.handle


async def test_a_start_that_was_interrupted_is_cleaned_up_by_the_next(made, plan_of, run, home):
    """The engine died between starting the process and writing it down."""
    plan = plan_of(start="echo started; sleep 60")
    spec = run.spec(made(), plan)
    lost = await run.start(spec)
    record = home.instance(spec.instance_id) / "instance.json"
    record.write_bytes(record.read_bytes().replace(b'"process":{', b'"process":null,"was":{'))
    run.compute._records.clear()
    found = await run.start(spec)

    assert found.handle.pid != lost.handle.pid
    assert not psutil.pid_exists(lost.handle.pid) or psutil.Process(lost.handle.pid).status() == "zombie"
    os.waitpid(lost.handle.pid, 0)
    assert run.compute.is_running(found)
    assert await run.output(found, "started") == "started\n"


async def test_stop_is_sigterm_with_a_grace(made, plan_of, run, compute):
    plan = plan_of(start="trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done")
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    end = await compute.stop(instance, 10)

    assert (end.code, end.expected) == (7, True)
    assert "bye" in compute.output(instance.id).read_text()
    assert not compute.is_running(instance)


async def test_stop_kills_what_does_not_go(made, plan_of, run, compute):
    plan = plan_of(start="trap '' TERM; echo ready; while :; do sleep 0.02; done")
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    begun = time.monotonic()
    end = await compute.stop(instance, 0.2)

    assert (end.signal, end.expected) == (signal.SIGKILL, True)
    assert time.monotonic() - begun < 3


async def test_nothing_of_a_stopped_instance_is_left(made, plan_of, run, compute, processes_of):
    """Workers, daemons in sessions of their own, children that ignore SIGTERM."""
    plan = plan_of(
        start="setsid sleep 60 & (setsid sh -c \"trap '' TERM; sleep 60; sleep 60\" &) ; sleep 60 & echo ready; wait"
    )
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    mark = f"{INSTANCE_MARK}={instance.id}"
    assert processes_of(mark) >= 5

    await compute.stop(instance, 0.3)
    assert processes_of(mark) == 0


async def test_what_outlives_its_main_process_is_ended(made, plan_of, run, compute, processes_of):
    """In a container it would be gone with it."""
    plan = plan_of(start="setsid sleep 60 & sleep 60 & exit 4")
    instance = await run(made(), plan)

    assert (await compute.wait(instance)).code == 4
    assert processes_of(f"{INSTANCE_MARK}={instance.id}") == 0


async def test_stopping_what_has_ended_returns_how_it_ended(made, plan_of, run, compute):
    plan = plan_of(start="exit 5")
    instance = await run(made(), plan)
    await compute.wait(instance)
    end = await compute.stop(instance, 10)

    assert (end.code, end.expected) == (5, False)


async def test_stopping_something_unknown_is_no_trouble(compute, made, plan_of, run):
    plan = plan_of(start="exit 0")
    instance = await run(made(), plan)
    await compute.stop(instance, 0)
    await compute.remove(instance.id)
    end = await compute.stop(instance, 10)

    assert (end.code, end.signal) == (None, None)
    assert not compute.is_running(instance)


async def test_a_waiter_sees_a_stop(made, plan_of, run, compute):
    plan = plan_of(start="echo ready; exec sleep 60")
    instance = await run(made(), plan)
    waiting = asyncio.create_task(compute.wait(instance))
    await run.output(instance, "ready")
    await compute.stop(instance, 10)

    assert (await waiting).expected


async def test_a_killed_supervisor_takes_its_application_with_it(made, plan_of, run, compute, processes_of):
    """Somebody else's kill -9 hit the supervisor only: the instance has ended, so nothing of it may serve on."""
    plan = plan_of(start="echo ready; sleep 60")
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    os.kill(instance.handle.pid, signal.SIGKILL)
    await compute.wait(instance)

    assert processes_of(f"{INSTANCE_MARK}={instance.id}") == 0


async def test_a_reused_pid_is_not_the_instance(made, plan_of, run, compute, home):
    """Its record names a process that runs, but another one."""
    plan = plan_of(start="exit 0")
    instance = await run(made(), plan)
    await compute.wait(instance)
    record = home.instance(instance.id) / "instance.json"
    record.write_bytes(
        record.read_bytes().replace(f'"pid":{instance.handle.pid}'.encode(), f'"pid":{os.getpid()}'.encode())
    )
    compute._records.clear()
    mine = msgspec.structs.replace(
        instance, handle=ProcessHandle(pid=os.getpid(), started_at=instance.handle.started_at)
    )

    assert not compute.is_running(mine)
    await compute.wait(mine)
    await compute.stop(mine, 0)


async def test_remove_ends_and_deletes(made, plan_of, run, compute, home, processes_of):
    plan = plan_of(start="sleep 60")
    instance = await run(made(), plan)
    await compute.remove(instance.id)
    await compute.remove(instance.id)

    assert not home.instance(instance.id).exists()
    assert processes_of(f"{INSTANCE_MARK}={instance.id}") == 0


async def test_a_sweep_keeps_what_is_known(made, plan_of, run, compute, home):
    plan = plan_of(start="sleep 60")
    artifact = made()
    known, unknown = await run(artifact, plan), await run(artifact, plan)
    await compute.sweep({known.id})

    assert compute.is_running(known)
    assert not home.instance(unknown.id).exists()
    assert not psutil.pid_exists(unknown.handle.pid)
    assert Path(artifact.path).exists()


async def test_a_sweep_goes_on_after_a_folder_that_cannot_be_deleted(compute, home, monkeypatch):
    stubborn, other = home.instance("a" * 32), home.instance("b" * 32)
    for folder in (stubborn, other):
        folder.mkdir(parents=True)
    delete = compute_module.delete_tree

    def refuse(folder):
        if folder == stubborn:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        delete(folder)

    monkeypatch.setattr(compute_module, "delete_tree", refuse)
    await compute.sweep(set())

    assert stubborn.exists()
    assert not other.exists()
    monkeypatch.undo()


async def test_a_build_that_is_gone_fails_the_start(made, plan_of, run, compute, home):
    plan = plan_of()
    artifact = made()
    await compute.discard(Path(artifact.path))
    spec = run.spec(artifact, plan)
    with pytest.raises(DeployError, match="no longer on disk") as caught:
        await compute.start(spec)

    assert caught.value.failure.kind is FailureKind.START
    assert not home.instance(spec.instance_id).exists()


async def test_an_environment_that_cannot_be_passed_on_fails_the_start(made, plan_of, run, compute, home):
    plan = plan_of()
    spec = run.spec(made(), plan, env={"A": "x\0y"})
    with pytest.raises(DeployError, match="cannot be passed on"):
        await compute.start(spec)

    assert not home.instance(spec.instance_id).exists()


async def test_a_home_that_cannot_be_written_fails_the_start(made, plan_of, run, compute, home):
    plan = plan_of()
    artifact = made()
    home.instances.write_text("in the way")
    with pytest.raises(DeployError, match="Failed to start the application"):
        await compute.start(run.spec(artifact, plan))
    home.instances.unlink()


async def test_a_disk_that_fills_up_during_the_start_leaves_nothing(made, plan_of, run, compute, home, monkeypatch):
    """The process already runs when its record cannot be written."""
    pids = []

    def full(path, record):
        if record.process:
            pids.append(record.process.pid)
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write_record(path, record)

    monkeypatch.setattr("engine.compute.process.instance.write_record", full)
    plan = plan_of(start="sleep 60")
    spec = run.spec(made(), plan)
    with pytest.raises(DeployError, match="disk is full") as caught:
        await compute.start(spec)

    assert caught.value.failure.kind is FailureKind.DISK
    assert not psutil.pid_exists(pids[0])
    assert not home.instance(spec.instance_id).exists()


async def test_the_end_is_written_down_in_place(made, plan_of, run, compute, home):
    """A full disk has no room for a new file, but this one has its room already."""
    plan = plan_of(start="exit 12")
    instance = await run(made(), plan)
    file = home.instance(instance.id) / "exit.json"
    inode = file.stat().st_ino
    await compute.wait(instance)

    assert (file.stat().st_ino, file.stat().st_size) == (inode, 64)
    assert file.read_text().split() == ["12"]


async def test_listening_elsewhere_is_seen(made, plan_of, run, compute):
    """For saying what is wrong: the ports of the whole tree."""
    code = (
        "import socket, time; s = [socket.create_server(('127.0.0.1', 0)) for _ in 'ab'];"
        "print(*[x.getsockname()[1] for x in s]); time.sleep(60)"
    )
    plan = plan_of(start=("sh", "-c", f'python -c "{code}"; true'))
    instance = await run(made(), plan)
    ports = sorted(int(port) for port in (await run.output(instance, "\n")).split())

    assert compute.listening_ports(instance) == tuple(Address(host="127.0.0.1", port=port) for port in ports)


async def test_an_editable_install_serves_the_instances_own_copy(build, plan_of, run, compute, home):
    """The environment points into the application: every instance has one of its own."""
    site = "$VIRTUAL_ENV/lib/python3.*/site-packages"
    plan = plan_of(
        f"echo $PWD/src > $(echo {site})/hello.pth", start=("python", "-c", "import hello; print(hello.__file__)")
    )
    job = build.job(plan, {"src/hello.py": ""})
    artifact = await compute.build(job, build.log.append)
    instance = await run(artifact, plan)
    await compute.wait(instance)

    assert compute.output(instance.id).read_text() == f"{home.instance(instance.id)}/app/src/hello.py\n"


async def test_samples_have_cpu_and_memory_of_the_whole_tree(made, plan_of, run, compute):
    """Percent of the allocation, children included; ended instances are left out."""
    spin = "import time; end=time.time()+60\nwhile time.time()<end: sum(range(10000))"
    plan = plan_of(start=f"python -c '{spin}' & python -c '{spin}' & echo ready; wait")
    artifact = made()
    busy = await run(artifact, plan, cpu_units=512, memory_mb=1024)
    idle_plan = plan_of(start="exec sleep 60")
    idle = await run(artifact, idle_plan, cpu_units=256)
    gone = await run(artifact, plan_of(start="exit 0"))
    await run.output(busy, "ready")
    await compute.wait(gone)
    await asyncio.to_thread(compute.sample, [busy, idle, gone], time.time())
    await asyncio.sleep(0.5)
    samples = await asyncio.to_thread(compute.sample, [busy, idle, gone], time.time())

    assert [sample.instance_id for sample in samples] == [busy.id, idle.id]
    first, second = samples
    assert first.cpu_percent > 25  # two busy processes on half a CPU, on a machine that may be busy itself
    assert first.memory_bytes > 8 << 20
    assert first.memory_percent == pytest.approx(first.memory_bytes / (1024 << 20) * 100)
    assert second.cpu_percent < 20


async def test_the_time_of_children_that_ended_counts(made, plan_of, run, compute):
    """A shell that only starts short-lived programs is as busy as they are."""
    work = "python -S -c 'sum(range(3000000))'"
    plan = plan_of(start=f"echo ready; while :; do {work}; done")
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    await asyncio.to_thread(compute.sample, [instance], time.time())
    await asyncio.sleep(0.8)
    (sample,) = await asyncio.to_thread(compute.sample, [instance], time.time())

    assert sample.cpu_percent > 25


async def test_a_taken_service_port_does_not_matter(made, plan_of, run, get, taken_port):
    """Another program has the service's port: the instance has its own."""
    plan = plan_of(port=taken_port)
    server = SERVER.replace('int(os.environ["PORT"])', str(taken_port))
    instance = await run(made(app__py=server), plan)

    assert await get(instance) == "hello"
    assert socket.create_connection(("127.0.0.1", taken_port), timeout=1).close() is None
