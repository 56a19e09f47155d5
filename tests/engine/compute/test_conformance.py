"""What every compute does alike: one suite, run against plain processes and against containers."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import asyncio
import shutil
import signal
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import docker
import pytest

from engine.compute.base import BuildJob, Compute
from engine.model.errors import DeployError, FailureKind
from engine.model.ids import new_id
from engine.model.instance import Address, Instance
from engine.model.plan import BuildPlan
from tests.engine.compute.conftest import Builder
from tests.engine.compute.kinds import Containers, Kind, Processes

pytestmark = pytest.mark.slow  # real processes, real containers

SERVER = """
import http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ.get("GREETING", "hello").encode())
http.server.HTTPServer(("", int(os.environ["PORT"])), Hello).serve_forever()
"""


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def kind(request, home, environ):
    if request.param == "process":
        yield Processes(home, environ, request.getfixturevalue("made_folder"))
        return
    address = request.getfixturevalue("docker_address")
    client = docker.DockerClient(base_url=address)
    try:
        yield Containers(home, environ, address, client)
    finally:
        client.close()


@pytest.fixture
async def another(kind: Kind) -> AsyncIterator[Callable[[], Awaitable[Compute]]]:
    """Makes another engine's compute on the same home. At the end nothing of the home is left."""
    computes: list[Compute] = []

    async def another() -> Compute:
        compute = kind.compute()
        computes.append(compute)
        await compute.open(lambda: None)
        assert not compute.state.problem
        return compute

    yield another
    if computes:
        await computes[0].sweep((), ())
    for compute in reversed(computes):
        await compute.close()


@pytest.fixture
async def compute(another) -> Compute:
    return await another()


@pytest.fixture
def made(kind):
    return kind.made


@pytest.fixture
def build(compute, home, tmp_path):
    return NewEveryTime(compute, home, tmp_path)


class NewEveryTime(Builder):
    """Builds what was never built before, so that no engine takes it from its cache."""

    def job(self, plan: BuildPlan, files: dict[str, str]) -> BuildJob:
        return super().job(plan, {**files, f"{plan.source_directory}/.unique".lstrip("/"): new_id()})


def printed_by(log: list[str], phase: str) -> list[str]:
    """What a phase's commands printed, without the commands."""
    prefix = f"[{phase}] "
    return [line.removeprefix(prefix) for line in log if line.startswith(prefix) and not line.startswith(prefix + "$ ")]


async def seen(log: list[str], line: str) -> None:
    async with asyncio.timeout(60):
        while line not in log:
            await asyncio.sleep(0.01)


# Builds.


async def test_phases_run_in_app_runners_order_with_their_prefixes(build, plan_of):
    """The revised build's log has PreBuild, Build, PreRun, PostBuild."""
    plan = plan_of(
        "echo two; echo oops >&2", pre_build=("echo one",), pre_run=("echo three",), post_build=("echo four",)
    )
    await build(plan)

    phases = [line for line in build.log if not line.startswith("[AppRunner]")]
    assert phases == [
        "[PreBuild] $ echo one",
        "[PreBuild] one",
        "[Build] $ echo two; echo oops >&2",
        "[Build] two",
        "[Build] oops",
        "[PreRun] $ echo three",
        "[PreRun] three",
        "[PostBuild] $ echo four",
        "[PostBuild] four",
    ]


async def test_output_streams_while_the_command_runs(compute, build, plan_of):
    """A line is seen before its command has ended."""
    plan = plan_of("echo ready; sleep 1; echo gone")
    building = asyncio.create_task(compute.build(build.job(plan, {}), build.log.append))
    await seen(build.log, "[Build] ready")
    assert not building.done()
    assert "[Build] gone" not in build.log

    await building
    assert "[Build] gone" in build.log


async def test_each_command_starts_in_the_source_directory_in_a_shell_of_its_own(build, plan_of):
    await build(plan_of("cd /; A=1", "pwd; ls; echo [$A]", source_directory="server"), readme="x")
    where, *rest = printed_by(build.log, "Build")

    assert where.endswith("/server")
    assert rest == ["[]"]


async def test_commands_see_the_plans_variables_and_no_credentials(build, plan_of):
    await build(plan_of("env", build_env={"GREETING": "hello you"}))
    printed = printed_by(build.log, "Build")

    assert "GREETING=hello you" in printed
    assert not any("never to be seen" in line for line in printed)


async def test_a_failing_command_says_which_and_shows_its_last_lines(kind, build, plan_of):
    """What failed, how, and the evidence; nothing is left of it."""
    plan = plan_of("seq 1 50; echo 'no such thing'; exit 3", "touch never")
    job = build.job(plan, {})
    with pytest.raises(DeployError) as caught:
        await build.compute.build(job, build.log.append)

    failure = caught.value.failure
    assert failure.kind is FailureKind.BUILD
    assert failure.message.startswith("Failed to execute 'build' command: `seq 1 50;")
    assert failure.exit_code == 3
    assert failure.evidence == (*(str(n) for n in range(32, 51)), "no such thing")
    assert not job.target.exists()
    assert kind.builds(job.version_id) == 0


async def test_an_unknown_command_gets_a_hint(build, plan_of):
    with pytest.raises(DeployError) as caught:
        await build(plan_of("no-such-program --version"))

    assert caught.value.failure.exit_code == 127
    assert "'no-such-program'" in caught.value.failure.hint


async def test_a_missing_source_directory_is_named(compute, build, plan_of):
    job = build.job(plan_of(source_directory="server"), {})
    shutil.rmtree(job.source / "server")
    with pytest.raises(DeployError, match="no folder 'server'"):
        await compute.build(job, build.log.append)


async def test_what_post_build_writes_never_reaches_the_application(kind, build, plan_of, run, compute):
    """It sees what the build made, and works on a copy."""
    plan = plan_of(
        "echo built > made.txt",
        pre_run=("touch ready",),
        post_build=("cat made.txt; echo spoiled > made.txt; touch /app/other",),
        start="cat made.txt; ls",
    )
    artifact = await build(plan, app__py="")
    instance = await run(artifact, plan)
    await compute.wait(instance)

    assert printed_by(build.log, "PostBuild")[-1] == "built"
    assert run.printed(instance) == "built\napp.py\nmade.txt\nready\n"


async def test_what_was_built_is_what_runs(build, plan_of, run, get):
    """Files that a command made, on the port that it is told."""
    plan = plan_of("sed 's/hello/hallo/' template > app.py")
    instance = await run(await build(plan, template=SERVER), plan)

    assert await get(instance) == "hallo"


async def test_an_application_starts_in_the_source_directory(kind, build, plan_of, run, compute):
    plan = plan_of(source_directory="server", start="pwd")
    instance = await run(await build(plan, app__py=""), plan)
    await compute.wait(instance)

    assert run.printed(instance) == f"{kind.app(instance)}/server\n"


async def test_cancelling_a_build_ends_it_and_leaves_nothing(kind, compute, build, plan_of):
    job = build.job(plan_of("sleep 60 & { setsid sleep 60 || sleep 60; } & echo started; sleep 60"), {})
    building = asyncio.create_task(compute.build(job, build.log.append))
    await seen(build.log, "[Build] started")
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    async with asyncio.timeout(10):
        while kind.builds(job.version_id):
            await asyncio.sleep(0.05)

    assert not job.target.exists()


async def test_a_discarded_build_is_gone_and_may_be_discarded_again(kind, compute, build, plan_of):
    artifact = await build(plan_of("true"))
    assert kind.exists(artifact)
    await compute.discard(artifact)
    await compute.discard(artifact)

    assert not kind.exists(artifact)


# Starts.


async def test_an_instance_serves_where_it_says(kind, made, plan_of, run, get, compute):
    """Two of them do not meet, although they listen on the same port of their own."""
    plan = plan_of()
    artifact = made(app__py=SERVER)
    one, two = await run(artifact, plan), await run(artifact, plan, env={"GREETING": "hallo"})

    assert (await get(one), await get(two)) == ("hello", "hallo")
    assert one.address != two.address
    assert compute.is_running(one)
    assert {address.port for address in compute.listening_ports(one)} == {kind.port(one, plan)}


async def test_what_an_instance_gets(kind, made, plan_of, run):
    """Its port in PORT and in the plan's variable, whatever its settings say; no credentials of this machine."""
    plan = plan_of(start="env; echo end", port=8080, port_env="LISTEN")
    instance = await run(made(), plan, env={"PORT": "1", "MODE": "a=b c", "DATA": "/app/data"})
    printed = (await run.output(instance, "\nend\n")).splitlines()

    port = kind.port(instance, plan)
    assert {f"PORT={port}", f"LISTEN={port}", "MODE=a=b c", f"DATA={kind.app(instance)}/data"} <= set(printed)
    assert "PYTHONUNBUFFERED=1" in printed
    assert not any("never to be seen" in line for line in printed)


async def test_an_instance_writes_into_its_own_copy_only(made, plan_of, run, compute):
    artifact = made(data__txt="original")
    await compute.wait(await run(artifact, plan_of(start="echo changed > data.txt; touch new")))
    other = await run(artifact, plan_of(start="cat data.txt; ls"))
    await compute.wait(other)

    assert run.printed(other) == "originaldata.txt\n"


async def test_files_are_for_the_owners_eyes_only(made, plan_of, run, home):
    instance = await run(made(), plan_of(start="echo ready; sleep 60"))
    await run.output(instance, "ready")
    folder = home.instance(instance.id)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [path for path in folder.iterdir() if path.is_file()]
    assert folder / "output.log" in files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_secrets_are_not_written_down(made, plan_of, run, home):
    instance = await run(made(), plan_of(start="echo ready; sleep 60"), env={"TOKEN": "s3cr3t-value"})
    await run.output(instance, "ready")

    files = [path for path in home.path.rglob("*") if path.is_file()]
    assert home.instance_output(instance.id) in files
    assert not [path for path in files if b"s3cr3t-value" in path.read_bytes()]


async def test_arguments_reach_the_program_as_they_are(kind, made, plan_of, run, compute):
    """No shell looks at them."""
    plan = plan_of(start=("printf", "%s|", "a b", "$HOME", "`id`", '"', "&&", "*", "", "ü"))
    instance = await run(made(), plan)
    await compute.wait(instance)

    assert run.printed(instance) == 'a b|$HOME|`id`|"|&&|*||ü|'


async def test_starting_twice_is_starting_once(made, plan_of, run, compute, another):
    """In this engine and in the next one."""
    spec = run.spec(made(), plan_of(start="echo started; sleep 60"))
    instance = await run.start(spec)
    await run.output(instance, "started")
    again = await compute.start(spec)
    later = await (await another()).start(spec)

    assert again == later
    assert (again.handle, again.address) == (instance.handle, instance.address)
    assert run.printed(instance) == "started\n"


async def test_starting_at_the_same_time_is_starting_once(made, plan_of, run, compute):
    spec = run.spec(made(), plan_of(start="sleep 60"))
    first, second = await asyncio.gather(run.start(spec), compute.start(spec))

    assert first.handle == second.handle
    assert compute.is_running(first)


async def test_a_build_that_is_gone_fails_the_start(made, plan_of, run, compute, home):
    artifact = made()
    await compute.discard(artifact)
    spec = run.spec(artifact, plan_of())
    with pytest.raises(DeployError, match="no longer") as caught:
        await compute.start(spec)

    assert caught.value.failure.kind is FailureKind.START
    assert not home.instance(spec.instance_id).exists()


async def test_an_environment_that_cannot_be_passed_on_fails_the_start(made, plan_of, run, compute, home):
    spec = run.spec(made(), plan_of(start="sleep 60"), env={"A": "x\0y"})
    with pytest.raises(DeployError):
        await compute.start(spec)

    assert not home.instance(spec.instance_id).exists()


@pytest.mark.parametrize(
    ("argv", "codes", "said"),
    [
        (("no-such-program",), {127}, ("not found", "no such file")),
        (("./data.txt",), {126, 127}, ("denied",)),  # which one is up to the engine's init
        (("./folder/app",), {127}, ("not found", "no such file")),
    ],
)
async def test_a_program_that_cannot_be_executed_says_so(kind, made, plan_of, run, compute, argv, codes, said):
    """Either the start fails for it, or the instance has ended at once and says why."""
    artifact = made(data__txt="x")
    if kind.name == "process":
        Path(artifact.path, "app/data.txt").chmod(0o644)
    try:
        instance = await run(artifact, plan_of(start=argv))
    except DeployError as error:
        failure = error.failure
        assert failure.exit_code in codes
        return

    assert (await compute.wait(instance)).code in codes
    assert any(words in run.printed(instance).lower() for words in said)


# Output.


async def test_output_is_complete_and_in_order_when_the_end_is_known(made, plan_of, run, compute):
    """Many lines, one that is longer than any buffer, and a last one without an end."""
    plan = plan_of(start="seq 1 20000; head -c 300000 /dev/zero | tr '\\0' x; echo; printf 'no newline'")
    instance = await run(made(), plan)
    await compute.wait(instance)

    lines = [*map(str, range(1, 20001)), "x" * 300_000, "no newline"]
    assert run.printed(instance) == "\n".join(lines)


async def test_output_has_both_streams_and_nothing_else(made, plan_of, run, compute):
    plan = plan_of(start="echo one; echo two >&2; echo three; kill -TERM $$")
    instance = await run(made(), plan)
    await compute.wait(instance)

    assert sorted(run.printed(instance).splitlines()) == ["one", "three", "two"]


async def test_control_characters_are_kept_as_they_are(made, plan_of, run, compute):
    """Whoever shows them cleans them."""
    instance = await run(made(), plan_of(start="printf 'ü\\033[31m\\001\\r\\n\\ttab'"))
    await compute.wait(instance)

    assert compute.output(instance.id).read_bytes() == "ü\x1b[31m\x01\r\n\ttab".encode()


# Ends.


@pytest.mark.parametrize(
    ("start", "code", "number"),
    [("exit 0", 0, None), ("exit 3", 3, None), ("exit 255", 255, None), ("kill -SEGV $$", None, signal.SIGSEGV)],
)
async def test_how_it_ended_is_known(made, plan_of, run, compute, start, code, number):
    instance = await run(made(), plan_of(start=start))
    end = await compute.wait(instance)

    assert (end.code, end.signal, end.expected) == (code, number, False)
    assert abs(end.at - time.time()) < 10
    assert not compute.is_running(instance)
    assert await compute.wait(instance) == end


async def test_stop_is_sigterm_with_a_grace(made, plan_of, run, compute):
    plan = plan_of(start="trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done")
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    end = await compute.stop(instance, 10)

    assert (end.code, end.expected) == (7, True)
    assert "bye" in run.printed(instance).splitlines()
    assert not compute.is_running(instance)


async def test_stop_kills_what_does_not_go(made, plan_of, run, compute):
    plan = plan_of(start="trap '' TERM; echo ready; while :; do sleep 0.02; done")
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    begun = time.monotonic()
    end = await compute.stop(instance, 0.2)

    assert (end.signal, end.expected) == (signal.SIGKILL, True)
    assert time.monotonic() - begun < 3


async def test_nothing_of_a_stopped_instance_is_left(kind, made, plan_of, run, compute):
    """Children in the background, in sessions of their own, and those that ignore SIGTERM."""
    start = "sleep 60 & { setsid sleep 60 || sleep 60; } & (trap '' TERM; sleep 60; sleep 60) & echo ready; wait"
    plan = plan_of(start=start)
    instance = await run(made(), plan)
    await run.output(instance, "ready")
    assert kind.processes(instance) >= 4

    await compute.stop(instance, 0.3)
    assert kind.processes(instance) == 0


async def test_what_outlives_its_main_process_is_ended(kind, made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="sleep 60 & sleep 60 & exit 4"))

    assert (await compute.wait(instance)).code == 4
    assert kind.processes(instance) == 0


async def test_stopping_what_has_ended_returns_how_it_ended(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="exit 5"))
    await compute.wait(instance)
    end = await compute.stop(instance, 10)

    assert (end.code, end.expected) == (5, False)


async def test_stopping_something_unknown_is_no_trouble(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="exit 0"))
    await compute.stop(instance, 0)
    await compute.remove(instance)
    end = await compute.stop(instance, 10)

    assert (end.code, end.signal) == (None, None)
    assert not compute.is_running(instance)


async def test_a_waiter_sees_a_stop(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="echo ready; exec sleep 60"))
    waiting = asyncio.create_task(compute.wait(instance))
    await run.output(instance, "ready")
    end = await compute.stop(instance, 10)

    assert end.expected
    async with asyncio.timeout(10):
        assert (await waiting).signal == end.signal


async def test_a_waiter_sees_a_removal(made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="echo ready; exec sleep 60"))
    waiting = asyncio.create_task(compute.wait(instance))
    await run.output(instance, "ready")
    await compute.remove(instance)
    await asyncio.wait([waiting], timeout=10)

    assert waiting.done()
    assert not waiting.cancelled()


# What is left.


async def test_remove_ends_and_deletes(kind, made, plan_of, run, compute):
    instance = await run(made(), plan_of(start="sleep 60"))
    assert kind.leftovers(instance)
    await compute.remove(instance)
    await compute.remove(instance)

    assert kind.leftovers(instance) == []


async def test_a_sweep_keeps_what_is_known(kind, made, plan_of, run, compute):
    plan = plan_of(start="sleep 60")
    artifact = made()
    known, unknown = await run(artifact, plan), await run(artifact, plan)
    await compute.sweep([known], [artifact])

    assert compute.is_running(known)
    assert kind.processes(known) >= 1
    assert kind.exists(artifact)
    assert kind.processes(unknown) == 0


# For saying what is wrong.


async def test_listening_elsewhere_is_seen(made, plan_of, run, compute):
    """The ports of everything it consists of."""
    code = (
        "import socket, time; s = [socket.create_server(('127.0.0.1', 0)) for _ in 'ab'];"
        "print(*[x.getsockname()[1] for x in s]); time.sleep(60)"
    )
    instance = await run(made(), plan_of(start=("sh", "-c", f'python -c "{code}"; true')))
    ports = sorted(int(port) for port in (await run.output(instance, "\n")).split())

    assert compute.listening_ports(instance) == tuple(Address(host="127.0.0.1", port=port) for port in ports)


async def test_connections_that_wait_are_seen(kind, made, plan_of, run, compute):
    """The kernel's tables are those of the network that the application lives in."""
    listen = "import os, socket, time; s = socket.create_server(('', int(os.environ['PORT'])))"
    plan = plan_of(start=("python", "-c", f"{listen}; print('up'); time.sleep(60)"))
    instance = await run(made(), plan)
    await run.output(instance, "up")
    tables = "".join(table.read_text() for table in compute.socket_tables(instance) if table.exists())

    assert f":{kind.port(instance, plan):04X} " in tables


# Samples.


async def sampled(compute: Compute, *instances: Instance) -> dict[str, object]:
    return {s.instance_id: s for s in await asyncio.to_thread(compute.sample, instances, time.time())}


async def test_samples_have_cpu_and_memory_of_everything_it_consists_of(made, plan_of, run, compute):
    """Percent of the allocation, children included; ended instances are left out."""
    spin = "import time; end=time.time()+60\nwhile time.time()<end: sum(range(10000))"
    plan = plan_of(start=f"python -c '{spin}' & python -c '{spin}' & echo ready; wait")
    artifact = made()
    busy = await run(artifact, plan, cpu_units=512, memory_mb=1024)
    idle = await run(artifact, plan_of(start="exec sleep 60"), cpu_units=256)
    gone = await run(artifact, plan_of(start="exit 0"))
    await run.output(busy, "ready")
    await compute.wait(gone)
    await sampled(compute, busy, idle, gone)
    await asyncio.sleep(0.5)
    samples = await sampled(compute, busy, idle, gone)

    assert set(samples) == {busy.id, idle.id}
    first, second = samples[busy.id], samples[idle.id]
    assert first.cpu_percent > 25  # two busy processes on half a CPU, on a machine that may be busy itself
    assert first.memory_bytes > 4 << 20
    assert first.memory_percent == pytest.approx(first.memory_bytes / (1024 << 20) * 100)
    assert second.cpu_percent < 20


async def test_the_time_of_children_that_ended_counts(made, plan_of, run, compute):
    """A shell that only starts short-lived programs is as busy as they are."""
    work = "python -S -c 'sum(range(3000000))'"
    instance = await run(made(), plan_of(start=f"echo ready; while :; do {work}; done"))
    await run.output(instance, "ready")
    await sampled(compute, instance)
    await asyncio.sleep(0.8)

    assert (await sampled(compute, instance))[instance.id].cpu_percent > 25


# Another engine.


async def test_another_engine_adopts_what_runs(kind, made, plan_of, run, compute, another):
    """It knows that it runs, hears of its end, samples it, and its output is complete: no line lost, none twice."""
    plan = plan_of(start="trap 'echo last; exit 42' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done")
    instance = await run(made(), plan, cpu_units=256, memory_mb=512)
    await run.output(instance, "\n20\n")
    await compute.close()
    next_engine = await another()
    assert next_engine.is_running(instance)
    waiting = asyncio.create_task(next_engine.wait(instance))
    before = len(run.printed(instance))
    async with asyncio.timeout(10):
        while len(run.printed(instance)) < before + 100:
            await asyncio.sleep(0.01)
    sample = (await sampled(next_engine, instance))[instance.id]
    assert sample.memory_percent == pytest.approx(sample.memory_bytes / (512 << 20) * 100)
    assert not waiting.done()

    end = await next_engine.stop(instance, 5)
    assert (end.code, end.expected) == (42, True)
    async with asyncio.timeout(10):
        assert (await waiting).code == 42
    lines = run.printed(instance).splitlines()
    numbers = [line for line in lines if line.isdigit()]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert lines[-1] == "last"
    assert not next_engine.is_running(instance)


async def test_what_ended_while_no_engine_was_there_has_its_exit_code_and_its_output(
    made, plan_of, run, compute, another
):
    instance = await run(made(), plan_of(start="echo first; sleep 0.5; echo last; exit 9"))
    await run.output(instance, "first")
    await compute.close()
    await asyncio.sleep(1)
    next_engine = await another()
    assert not next_engine.is_running(instance)

    assert (await next_engine.wait(instance)).code == 9
    assert run.printed(instance) == "first\nlast\n"


async def test_a_starting_engine_keeps_what_it_knows_and_ends_the_rest(kind, made, plan_of, run, compute, another):
    plan = plan_of(start="echo ready; sleep 60")
    artifact, unused = made(), made()
    known, unknown = await run(artifact, plan), await run(artifact, plan)
    await compute.close()
    next_engine = await another()
    await next_engine.sweep([known], [artifact])

    assert next_engine.is_running(known)
    assert kind.processes(unknown) == 0
    assert kind.exists(artifact)
    assert kind.exists(unused) == (kind.name == "process")  # a folder is whole by its record, an image by the store
