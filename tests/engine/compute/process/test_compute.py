"""Instances as real processes: start, environment, end, stop, what is left."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import errno
import os
import signal
import socket

import msgspec
import psutil
import pytest

from engine.compute.process import compute as compute_module
from engine.compute.process.environment import INSTANCE_MARK
from engine.compute.process.layout import write_record
from engine.model.errors import DeployError, FailureKind
from engine.model.instance import ProcessHandle

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

SERVER = """
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ.get("GREETING", "hello").encode())
http.server.HTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
"""


async def test_paths_and_its_home_are_an_instances_own(build, plan_of, run, home):
    """Settings that point into the application are relocated; programs of the version come first."""
    plan = plan_of(start="env; pwd", source_directory="server")
    artifact = await build(plan)
    instance = await run(artifact, plan, env={"DATA": "/app/data"})
    folder = home.instance(instance.id)
    printed = (await run.output(instance, f"\n{folder}/app/server\n")).splitlines()

    assert {f"DATA={folder}/app/data", f"HOME={folder}/home"} <= set(printed)
    assert any(line.startswith(f"PATH={artifact.path}/venv/bin:") for line in printed)


async def test_secrets_are_on_no_command_line(made, plan_of, run):
    instance = await run(made(), plan_of(start="sleep 60"), env={"TOKEN": "s3cr3t-value"})

    assert "s3cr3t-value" not in str(psutil.Process(instance.handle.pid).cmdline())


async def test_a_script_whose_interpreter_is_not_there_says_so_in_its_output(build, plan_of, run, compute):
    """The start itself succeeds; exit code and output tell."""
    plan = plan_of("printf '#!/no/such/interpreter\\n' > bad.sh; chmod +x bad.sh", start=("./bad.sh",))
    instance = await run(await build(plan), plan)

    assert (await compute.wait(instance)).code == 127
    assert "bad.sh" in compute.output(instance.id).read_text().lower()


async def test_output_has_stdout_and_stderr_in_order_and_nothing_else(made, plan_of, run, compute):
    plan = plan_of(start="echo one; echo two >&2; echo three; kill -TERM $$")
    instance = await run(made(), plan)
    await compute.wait(instance)

    assert compute.output(instance.id).read_text() == "one\ntwo\nthree\n"


async def test_paths_into_app_are_relocated_in_arguments(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start=("printf", "%s|", "/app/x", "$HOME", "&&")))
    await compute.wait(instance)

    folder = compute.output(instance.id).parent
    assert compute.output(instance.id).read_text() == f"{folder}/app/x|$HOME|&&|"


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
    await compute.sweep((), ())

    assert stubborn.exists()
    assert not other.exists()
    monkeypatch.undo()


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


async def test_a_taken_service_port_does_not_matter(made, plan_of, run, get, taken_port):
    """Another program has the service's port: the instance has its own."""
    plan = plan_of(port=taken_port)
    server = SERVER.replace('int(os.environ["PORT"])', str(taken_port))
    instance = await run(made(app__py=server), plan)

    assert await get(instance) == "hello"
    assert socket.create_connection(("127.0.0.1", taken_port), timeout=1).close() is None
