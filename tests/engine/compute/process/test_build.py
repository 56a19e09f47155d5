"""Builds with real commands: order, environment, output, failures, what reaches the artifact."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import asyncio
import os
import stat
import subprocess
import time
import zipfile
from pathlib import Path

import msgspec
import pytest

from engine.compute.process import ProcessCompute
from engine.compute.process.environment import BUILD_MARK
from engine.model.clock import SystemClock
from engine.model.errors import DeployError
from engine.model.plan import BuildGeneration

pytestmark = pytest.mark.slow  # real processes, sockets or repositories


def lines(log, prefix):
    return [line.removeprefix(prefix) for line in log if line.startswith(prefix)]


async def test_the_source_becomes_the_artifact(build, plan_of):
    """`app/` and `venv/`, for the owner only; the source is moved in."""
    artifact = await build(plan_of("touch made-by-build"), app__py="print('hi')")
    root = Path(artifact.path)

    assert {path.name for path in (root / "app").iterdir()} == {"app.py", "made-by-build"}
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert list(build.folder.glob("source-*")) == []
    assert artifact.bin_dirs[0] == f"{root}/venv/bin"
    assert artifact.runtime.version in build.log[0]
    assert len(artifact.dependency_key) == 64
    assert not (root / "build.json").exists()


async def test_python_and_pip_have_every_name_people_use(with_pip, build, plan_of):
    """python, python3, python3.x, pip, pip3 are the version's own."""
    names = ("python", "python3", f"python{'.'.join(map(str, os.sys.version_info[:2]))}")
    report = "import sys; print(sys.prefix)"
    artifact = await build(plan_of(*(f"{name} -c '{report}'" for name in names), "pip --version", "command -v pip3"))
    seen = [line for line in lines(build.log, "[Build] ") if not line.startswith("$")]

    assert seen[:3] == [f"{artifact.path}/venv"] * 3
    assert f"{artifact.path}/venv/lib" in seen[3]
    assert "/toolbox-" in seen[4]


async def test_bash_is_the_shell_of_build_lines(build, plan_of):
    """As in App Runner's images."""
    await build(plan_of("[[ -n $BASH_VERSION ]] && echo bash"))

    assert build.log[-1] == "[Build] bash"


async def test_system_packages_are_answered_with_a_visible_warning(build, plan_of):
    await build(plan_of("yum install -y gcc && sudo apt-get install -y jq"))

    warnings = [line for line in build.log if line.startswith("[Build] [AppRunner] Warning")]
    assert [("gcc" in one, "jq" in one) for one in warnings] == [(True, False), (False, True)]


async def test_paths_into_app_are_relocated_and_it_is_said(build, plan_of):
    artifact = await build(plan_of("touch /app/here; echo $TARGET", build_env={"TARGET": "/app/there"}))

    assert (Path(artifact.path) / "app/here").exists()
    assert build.log[-1] == f"[Build] {artifact.path}/app/there"
    assert any("'/app' stands for" in line for line in build.log)


async def test_app_in_the_start_command_is_said_too(build, plan_of):
    await build(plan_of(start=("python", "/app/main.py")))

    assert "start command" in build.log[-1]


async def test_post_build_works_on_a_copy_of_the_environment_too(build, plan_of):
    """And the copy is gone afterwards."""
    artifact = await build(plan_of("true", post_build=("touch $VIRTUAL_ENV/extra; echo done",)))
    root = Path(artifact.path)

    assert lines(build.log, "[PostBuild] ")[-1] == "done"
    assert not (root / "venv/extra").exists()
    assert not (root / "post-build").exists()


async def test_strict_revised_builds_lose_what_they_put_outside_the_source(build, plan_of, python_runtime):
    """As App Runner does it: only pre-run still reaches the running environment. The original build keeps it."""
    steps = ("touch $VIRTUAL_ENV/from-build inside",)
    strict = await build(plan_of(*steps, pre_run=("touch $VIRTUAL_ENV/from-pre-run",), strict=True))
    helpful = await build(plan_of(*steps))
    original = msgspec.structs.replace(python_runtime, generation=BuildGeneration.ORIGINAL)
    kept = await build(plan_of(*steps, runtime=original, strict=True))

    assert not Path(strict.path, "venv/from-build").exists()
    assert Path(strict.path, "venv/from-pre-run").exists()
    assert Path(strict.path, "app/inside").exists()
    assert Path(helpful.path, "venv/from-build").exists()
    assert Path(kept.path, "venv/from-build").exists()


@pytest.mark.parametrize(("generation", "said"), [(BuildGeneration.REVISED, True), (BuildGeneration.ORIGINAL, False)])
async def test_what_app_runner_would_drop_is_said(build, plan_of, python_runtime, generation, said):
    """Packages installed by a revised build stay, with a notice."""
    runtime = msgspec.structs.replace(python_runtime, generation=generation)
    await build(plan_of("mkdir $(echo $VIRTUAL_ENV/lib/python3.*/site-packages)/flask-3.dist-info", runtime=runtime))

    assert any("stays available" in line for line in build.log) == said


async def test_unchanged_dependencies_are_taken_over_and_the_old_version_stays_as_it_is(build, plan_of):
    """The new version owns its environment; nothing done to it shows in the old one."""
    script = "printf '#!%s/bin/python\\n' $VIRTUAL_ENV > $VIRTUAL_ENV/bin/tool"
    plan = plan_of(
        "[ -e $VIRTUAL_ENV/pkg ] && echo found; echo x >> $VIRTUAL_ENV/pkg", f"[ -e $VIRTUAL_ENV/bin/tool ] || {script}"
    )
    first = await build(plan, requirements__txt="flask", app__py="1")
    old = {path: path.stat().st_mtime_ns for path in Path(first.path, "venv").rglob("*")}
    second = await build(plan, requirements__txt="flask", app__py="2")

    assert "[Build] found" in build.log
    assert any("taken over" in line for line in build.log)
    assert first.dependency_key == second.dependency_key
    tool = Path(second.path, "venv/bin/tool").read_text()
    assert f"{second.path}/venv/bin/python" in tool
    assert first.path not in tool
    assert old.keys() == set(Path(first.path, "venv").rglob("*"))


async def test_changed_requirements_start_afresh(build, plan_of):
    plan = plan_of("[ -e $VIRTUAL_ENV/pkg ] && echo found; touch $VIRTUAL_ENV/pkg")
    await build(plan, requirements__txt="flask")
    await build(plan, requirements__txt="flask==3")

    assert "[Build] found" not in build.log


async def test_a_lost_previous_version_costs_nothing_but_time(compute, build, plan_of):
    plan = plan_of("true")
    first = await build(plan)
    await compute.discard(first)
    second = await build(plan)

    assert Path(second.path, "venv/bin/python").exists()


async def test_background_processes_end_with_their_command(build, plan_of, processes_of):
    """As in an image build; and nobody waits for the pipe that they hold."""
    begun = time.monotonic()
    artifact = await build(plan_of("sleep 60 & setsid sleep 60 & echo done"))

    assert time.monotonic() - begun < 10
    assert processes_of(f"{BUILD_MARK}={Path(artifact.path).name}") == 0


async def test_a_finished_build_is_found_again(compute, build, plan_of):
    """The engine died after the build and before it wrote that down."""
    job = build.job(plan_of("true"), {"app.py": "1"})
    first = await compute.build(job, build.log.append)

    assert await compute.build(job, build.log.append) == first


async def test_a_sweep_ends_builds_of_an_engine_that_died(compute, home, build, plan_of, processes_of, environ):
    """Processes and files; the finished artifact beside it stays."""
    finished = await build(plan_of("true"))
    job = build.job(plan_of("sleep 60 & echo started; sleep 60"), {})
    building = asyncio.create_task(compute.build(job, build.log.append))
    async with asyncio.timeout(10):
        while "[Build] started" not in build.log:
            await asyncio.sleep(0.01)

    await ProcessCompute(home, SystemClock(), environ).sweep((), ())
    assert processes_of(f"{BUILD_MARK}={job.version_id}") == 0
    assert Path(finished.path).exists()
    with pytest.raises(DeployError, match="killed by signal 9"):
        await building
    assert not job.target.exists()


async def test_files_that_nobody_may_write_are_deleted_all_the_same(compute, build, plan_of):
    """Go's module cache and the like."""
    artifact = await build(plan_of("mkdir -p cache/x && touch cache/x/y && chmod 0500 cache/x cache"))
    await compute.discard(artifact)

    assert not Path(artifact.path).exists()
    await compute.discard(artifact)


async def test_a_home_that_cannot_be_written_is_a_disk_failure(compute, home, build, plan_of):
    """One sentence, no traceback."""
    job = build.job(plan_of("true"), {})
    home.artifacts.write_text("in the way")
    with pytest.raises(DeployError) as caught:
        await compute.build(job, build.log.append)

    assert "Failed to build the application" in caught.value.failure.message
    home.artifacts.unlink()


async def test_a_node_build_has_the_chosen_node_and_a_global_prefix_of_its_own(build, plan_of, node_runtime):
    """`npm install -g` installs into the artifact, whose bin is on PATH for what comes after."""
    plan = plan_of(
        "node --version; echo $npm_config_prefix",
        "mkdir -p $npm_config_prefix/bin && ln -s $(command -v node) $npm_config_prefix/bin/globalnode",
        "globalnode -e 'console.log(1+1)'",
        runtime=node_runtime,
        start=("node", "server.js"),
    )
    artifact = await build(plan)

    assert f"[Build] {artifact.path}/npm" in build.log
    assert build.log[-1] == "[Build] 2"
    assert artifact.bin_dirs == (f"{artifact.path}/bin", f"{artifact.path}/npm/bin")
    assert any("nodejs18" in line and artifact.runtime.version in line for line in build.log[:2])


async def test_older_node_code_hashes_as_it_did_in_the_build_and_in_an_instance(build, plan_of, node_runtime, run):
    """What bundlers of before Node.js 17 do, on whatever newer Node.js this machine has."""
    hashes = 'node -e \'console.log(require("crypto").createHash("md4").update(process.argv[1]).digest("hex"))\' a'
    older = msgspec.structs.replace(node_runtime, name="nodejs14", generation=BuildGeneration.ORIGINAL, accepts=("14",))
    plan = plan_of(hashes, runtime=older, start=f"{hashes}; exec sleep 60")
    artifact = await build(plan)

    assert build.log[-1] == "[Build] bde52cb31de33e46245e05fbdbd6fb24"
    assert any("--openssl-legacy-provider" in line for line in build.log)
    await run.output(await run(artifact, plan), "bde52cb31de33e46245e05fbdbd6fb24")


def write_wheel(path: Path) -> None:
    """The smallest package that pip installs: one empty module, `hello`. The same bytes every time."""
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(zipfile.ZipInfo("hello.py"), "")
        wheel.writestr(
            zipfile.ZipInfo("hello-1.dist-info/METADATA"), "Metadata-Version: 2.1\nName: hello\nVersion: 1\n"
        )
        wheel.writestr(
            zipfile.ZipInfo("hello-1.dist-info/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(zipfile.ZipInfo("hello-1.dist-info/RECORD"), "hello.py,,\n")


@pytest.mark.slow
async def test_pip_installs_into_the_version_and_a_second_build_reuses_it(with_pip, build, plan_of):
    """A package, and an editable one, which follows its version."""
    plan = plan_of(
        "pip install --no-index --no-deps ./hello-1-py3-none-any.whl",
        "python -c 'import hello; print(hello.__file__)'",
        "python -c 'import edited' 2>&1 || echo $PWD/edit > $(echo $VIRTUAL_ENV/lib/python3*/site-packages)/edited.pth",
        "python -c 'import edited; print(edited.__file__)'",
    )
    versions = []
    for _ in range(2):
        job = build.job(plan, {"edit/edited.py": ""})
        write_wheel(job.source / "hello-1-py3-none-any.whl")
        build.log.clear()
        build.previous = await build.compute.build(job, build.log.append)
        versions.append(build.previous.path)
        assert any(line.startswith(f"[Build] {build.previous.path}/venv/lib") for line in build.log)
        assert f"[Build] {build.previous.path}/app/edit/edited.py" in build.log

    first, _ = versions
    assert any("taken over" in line for line in build.log)
    assert any("already installed" in line for line in build.log)
    ask = [f"{first}/venv/bin/python", "-c", "import edited; print(edited.__file__)"]
    still = subprocess.run(ask, capture_output=True, text=True, check=True)
    assert still.stdout == f"{first}/app/edit/edited.py\n"


@pytest.mark.slow
async def test_npm_installs_are_taken_over(build, plan_of, node_runtime):
    """A second `npm install` of the same lock finds its packages; the old version keeps its own."""
    plan = plan_of(
        "npm install", "chmod +x tool/tool.js; npm install -g ./tool", runtime=node_runtime, start=("npm", "start")
    )
    files = {
        "package.json": '{"name": "a", "version": "1.0.0", "dependencies": {"dep": "file:./dep"}}',
        "dep/package.json": '{"name": "dep", "version": "1.0.0"}',
        "tool/package.json": '{"name": "tool", "version": "1.0.0", "bin": {"tool": "tool.js"}}',
        "tool/tool.js": "#!/usr/bin/env node\nconsole.log('tool runs')",
    }
    first = await build.compute.build(build.job(plan, files), build.log.append)
    build.previous = first
    second = await build.compute.build(build.job(plan, files), build.log.append)

    assert any("taken over" in line for line in build.log)
    for artifact in (first, second):
        assert Path(artifact.path, "app/node_modules/dep/package.json").exists()
        env = {"PATH": os.pathsep.join([*artifact.bin_dirs, os.defpath])}
        ran = subprocess.run(["tool"], env=env, capture_output=True, text=True, check=True)
        assert ran.stdout == "tool runs\n"
