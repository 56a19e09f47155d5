"""Starting an instance: its working copy, its environment, and the supervisor that outlives the engine."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
import psutil

from engine.compute.base import InstanceSpec, Started
from engine.compute.failures import disk_failure
from engine.compute.files import delete_tree, in_thread
from engine.compute.process.clone import clone_tree
from engine.compute.process.command import build_shell
from engine.compute.process.environment import INSTANCE_MARK, run_base, run_environment
from engine.compute.process.layout import ArtifactRecord, read_artifact, write_record
from engine.compute.process.port import PortPool
from engine.compute.process.record import EXIT_SIZE, InstanceFolder, InstanceRecord
from engine.compute.process.relocation import Relocation
from engine.compute.process.shims import ensure_shims
from engine.compute.process.tree import identify_child
from engine.compute.process.trees import Trees
from engine.model.clock import Clock
from engine.model.errors import DeployError, FailureKind
from engine.model.instance import Address
from engine.model.plan import BuildPlan

LOOPBACK = "127.0.0.1"

# Runs the application ("$2" and on) and writes down how it ended, engine or no engine. A stop signals the whole group:
# the trap keeps the shell alive until its child has ended. The shell's own remarks ("Terminated") are no output of the
# application. `1<>` overwrites in place, which a full disk allows.
_SUPERVISOR = """
trap : HUP INT QUIT TERM USR1 USR2
file=$1
shift
exec 2>/dev/null
(exec "$@" 2>&1)
code=$?
printf %3d "$code" 1<>"$file"
exit "$code"
"""


def instance_mark(instance_id: str) -> str:
    return f"{INSTANCE_MARK}={instance_id}"


async def start_instance(
    spec: InstanceSpec,
    folder: InstanceFolder,
    *,
    cache: Path,
    ports: PortPool,
    ports_in_use: Collection[int],
    trees: Trees,
    clock: Clock,
    environ: Mapping[str, str],
) -> InstanceRecord:
    """Start it, or return the record of the one that was started before under this id.

    Raises DeployError of kind START, PORT or DISK; leaves nothing behind then.
    """
    record = await asyncio.to_thread(folder.read_record)
    if record and record.process:
        return record
    # A start that was interrupted may have left files, and even a process that nobody wrote down.
    mark = instance_mark(spec.instance_id)
    if await asyncio.to_thread(folder.root.exists):
        await trees.end(None, mark, grace_s=0)
    try:
        await in_thread(delete_tree, folder.root)
        port = await asyncio.to_thread(ports.take, ports_in_use)
        return await in_thread(_start, spec, folder, cache=cache, port=port, now=clock.now(), environ=environ)
    except BaseException as error:
        await trees.end(None, mark, grace_s=0)
        await in_thread(delete_tree, folder.root)
        if isinstance(error, OSError):
            raise disk_failure(error, "start the application", FailureKind.START) from error
        if isinstance(error, ValueError):
            raise DeployError.of(
                FailureKind.START,
                f"Failed to start the application: its command or environment cannot be passed on ({error}).",
                hint="Look for NUL characters in the values and for '=' in the names of its variables.",
            ) from error
        raise


def started(record: InstanceRecord) -> Started:
    return Started(handle=record.handle(), address=record.address)


def _start(
    spec: InstanceSpec, folder: InstanceFolder, *, cache: Path, port: int, now: float, environ: Mapping[str, str]
) -> InstanceRecord:
    built = read_artifact(Path(spec.artifact.path))
    if built is None:
        raise DeployError.of(
            FailureKind.START,
            "The build of this version is no longer on disk.",
            evidence=(spec.artifact.path,),
            hint="Deploy again to build it anew.",
        )
    folder.root.mkdir(parents=True, mode=0o700)
    folder.home.mkdir(mode=0o700)
    folder.exit.touch(mode=0o600)
    folder.exit.write_bytes(b" " * EXIT_SIZE)
    record = InstanceRecord(
        instance_id=spec.instance_id,
        service_id=spec.service_id,
        cpu_units=spec.cpu_units,
        memory_mb=spec.memory_mb,
        address=Address(host=LOOPBACK, port=port),
    )
    write_record(folder.record, record)
    artifact = Path(spec.artifact.path)
    clone_tree(artifact / "app", folder.app, share=False)
    if built.own_venv:
        moved = {os.fspath(artifact / "app"): os.fspath(folder.app)}
        clone_tree(artifact / "venv", folder.venv, share=True, moved=moved)
    relocation = Relocation(folder.app)
    env = _environment(spec, folder, relocation, built, cache=cache, port=port, environ=environ)
    argv = _command(spec.plan, relocation)
    with os.fdopen(os.open(folder.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0) as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _SUPERVISOR, "[AppRunner] start command", folder.exit, *argv],
            cwd=folder.app / spec.plan.source_directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
        )
    # No wait() of its own: whoever waits for the instance reaps it, in this engine or in none.
    process.returncode = 0
    try:
        return _recorded(record, folder, process.pid, now)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
        raise


def _recorded(record: InstanceRecord, folder: InstanceFolder, pid: int, now: float) -> InstanceRecord:
    try:
        started_at = psutil.Process(pid).create_time()
    except psutil.Error:
        started_at = now
    record = msgspec.structs.replace(record, process=identify_child(pid), started_at=started_at)
    write_record(folder.record, record)
    return record


def _command(plan: BuildPlan, relocation: Relocation) -> list[str]:
    if plan.start is None:
        raise DeployError.of(FailureKind.START, "The service says nothing about how it is started.")
    if plan.start.shell:
        return [build_shell(), "-c", relocation.command(plan.start.text)]
    return [relocation.argument(argument) for argument in plan.start.argv]


def _environment(
    spec: InstanceSpec,
    folder: InstanceFolder,
    relocation: Relocation,
    built: ArtifactRecord,
    *,
    cache: Path,
    port: int,
    environ: Mapping[str, str],
) -> dict[str, str]:
    venv = Path(spec.artifact.path) / "venv"
    own = {os.fspath(venv / "bin"): folder.venv / "bin"} if built.own_venv else {}
    return run_environment(
        run_base(environ),
        relocation.env(spec.env),
        instance_id=spec.instance_id,
        home=folder.home,
        shim=ensure_shims(cache),
        bin_dirs=[own.get(name, Path(name)) for name in spec.artifact.bin_dirs],
        venv=(folder.venv if built.own_venv else venv) if venv.is_dir() else None,
        port=port,
        port_env=spec.plan.port_env,
        service_port=spec.plan.port,
        node_options=built.node_options,
    )
