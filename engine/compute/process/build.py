"""A build: the source becomes an artifact, phase by phase, in App Runner's order.

Pre-build and build commands run in the artifact; pre-run commands after them. Post-build commands see what the build
made but work on a throw-away copy, so nothing they write reaches the running application. App Runner's original
procedure runs the build commands twice; once is enough here.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.compute.base import BuildJob, Emit
from engine.compute.failures import build_failure, disk_failure
from engine.compute.files import delete_tree, in_thread, move_tree
from engine.compute.process.choose import Choice, Interpreter
from engine.compute.process.clone import clone_tree, mentions
from engine.compute.process.command import run_command
from engine.compute.process.dependencies import dependency_key_of, take_over
from engine.compute.process.environment import BUILD_MARK, build_base, build_environment
from engine.compute.process.layout import ArtifactRecord, BuildRecord, Layout, read_artifact, read_build, write_record
from engine.compute.process.older_code import OLDER_HASHES, allows_older_hashes, needs_older_hashes
from engine.compute.process.relocation import Relocation
from engine.compute.process.toolbox import ensure_toolbox
from engine.compute.process.tree import identify
from engine.compute.process.trees import Trees
from engine.compute.process.venv import compile_template, make_venv
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import BuildGeneration, Phase, RuntimeFamily
from engine.model.version import Artifact, ResolvedRuntime

_NODE_TOOLS = ("node", "npm", "npx", "corepack", "yarn", "pnpm")


class Build:
    """One build under way. `run` it once."""

    def __init__(
        self, job: BuildJob, choice: Choice, emit: Emit, *, cache: Path, trees: Trees, environ: Mapping[str, str]
    ) -> None:
        self._job = job
        self._plan = job.plan
        self._interpreter = choice.interpreter
        self._emit = emit
        self._cache = cache
        self._trees = trees
        self._environ = environ
        self._layout = Layout(root=job.target, family=job.plan.runtime.family)
        self._node_options = ""

    async def run(self) -> Artifact:
        """Raises DeployError of kind RUNTIME, BUILD or DISK; leaves nothing behind then, or when cancelled."""
        if record := await in_thread(read_artifact, self._job.target):
            return record.artifact  # built before a crash that came between the build and its record in the store
        try:
            return await self._run()
        except OSError as error:
            await self._clean_up()
            raise disk_failure(error, "build the application", FailureKind.BUILD) from error
        except BaseException:
            await self._clean_up()
            raise

    async def _run(self) -> Artifact:
        await end_unfinished(self._job.target, self._trees)
        await in_thread(self._move_in)
        key = await in_thread(dependency_key_of, self._plan, self._layout.app, self._interpreter.version)
        await in_thread(self._prepare, key)
        compiling = None
        if self._layout.venv and self._plan.build:  # there will be time for it
            compiling = asyncio.create_task(compile_template(self._cache, self._interpreter))
        try:
            await self._phases()
        finally:
            if compiling:
                compiling.cancel()
                await asyncio.gather(compiling, return_exceptions=True)
            await self._end_processes()
        return await in_thread(self._finish, key)

    def _move_in(self) -> None:
        layout = self._layout
        layout.root.mkdir(parents=True, mode=0o700)
        write_record(layout.root / "build.json", BuildRecord(version_id=self._job.version_id))
        move_tree(self._job.source, layout.app)
        if not (layout.app / self._plan.source_directory).is_dir():
            raise DeployError.of(
                FailureKind.CONFIG, f"The source has no folder '{self._plan.source_directory}'; check SourceDirectory."
            )

    def _prepare(self, key: str) -> None:
        """Tools and dependencies: those of the previous version where its key is equal, else fresh ones."""
        layout = self._layout
        if layout.family is RuntimeFamily.NODEJS:
            layout.tools.mkdir()
            source = Path(self._interpreter.executable).parent
            for name in _NODE_TOOLS:
                if (source / name).exists():
                    (layout.tools / name).symlink_to(source / name)
            self._fit_older_code()
        previous = self._job.previous
        if (
            previous
            and key
            and previous.dependency_key == key
            and previous.runtime is not None
            and previous.runtime.executable == self._interpreter.executable
            and not self._strictly_revised
            and take_over(Layout(root=Path(previous.path), family=layout.family), layout)
        ):
            self._emit("[AppRunner] Dependencies are unchanged and taken over from the previous version.")
            return
        self._fresh_tools()

    def _fit_older_code(self) -> None:
        """A newer Node.js in the place of one before 17 still has to offer the hashes that build tools used then."""
        if needs_older_hashes(self._plan.runtime, self._interpreter) and allows_older_hashes(self._interpreter):
            self._node_options = OLDER_HASHES
            self._emit(f"[AppRunner] It is started with {OLDER_HASHES}, which code for Node.js before 17 may need.")

    def _fresh_tools(self) -> None:
        layout = self._layout
        layout.npm.mkdir(exist_ok=True)
        if layout.venv:
            asked = self._plan.runtime.locked or self._plan.runtime.accepts[0]
            name = f"python{'.'.join(asked.split('.')[:2])}"
            make_venv(self._cache, self._interpreter, layout.venv, also_named=name)

    @property
    def _revised(self) -> bool:
        return self._plan.runtime.generation is BuildGeneration.REVISED

    @property
    def _strictly_revised(self) -> bool:
        return self._plan.strict and self._revised

    async def _phases(self) -> None:
        plan, layout = self._plan, self._layout
        await self._phase(Phase.PRE_BUILD, plan.pre_build, layout)
        await self._phase(Phase.BUILD, plan.build, layout)
        copy = layout.root / "post-build"
        if plan.post_build:
            await in_thread(self._copy_for_post_build, copy)
        if self._strictly_revised and plan.build:
            self._emit("[AppRunner] What the build installed outside the source folder stays behind (strict).")
            await in_thread(self._forget_tools)
        elif self._revised and plan.build and not plan.pre_run and await in_thread(_installed_outside, layout):
            self._emit(
                "[AppRunner] What the build installed outside the source folder stays available. App Runner itself "
                f"drops it for {plan.runtime.name}; run.pre-run commands are the place for it there."
            )
        await self._phase(Phase.PRE_RUN, plan.pre_run, layout)
        if plan.post_build:
            await self._phase(Phase.POST_BUILD, plan.post_build, Layout(root=copy, family=layout.family))
            await self._end_processes()
            await in_thread(delete_tree, copy)
        relocation = Relocation(layout.app)
        relocation.command(plan.start.text if plan.start else "")
        relocation.env(plan.run_env)
        if relocation.take_news():
            self._emit(
                "[AppRunner] '/app' in the start command or its variables is each instance's copy of the source."
            )

    async def _phase(self, phase: Phase, commands: Sequence[str], layout: Layout) -> None:
        if not commands:
            return
        plan = self._plan
        relocation = Relocation(layout.app)
        build_env = relocation.env(plan.build_env)
        env = build_environment(
            build_base(self._environ),
            build_env,
            version_id=self._job.version_id,
            toolbox=await in_thread(ensure_toolbox, self._cache, with_pip=layout.venv is not None),
            bin_dirs=layout.bin_dirs,
            npm_prefix=layout.npm,
            venv=layout.venv,
            node_options=self._node_options,
        )
        prefix = f"[{phase}] "
        for command in commands:
            line = relocation.command(command)
            self._emit(f"{prefix}$ {command}")
            if relocation.take_news():
                self._emit(f"{prefix}[AppRunner] '/app' stands for this version's copy of the source, {layout.app}.")
            code, tail = await run_command(
                line,
                cwd=layout.app / plan.source_directory,
                env=env,
                emit=self._prefixed(prefix),
                started=self._started,
                end_daemons=self._end_processes,
            )
            if code != 0:
                raise build_failure(phase, command, code, tail)

    def _prefixed(self, prefix: str) -> Callable[[str], None]:
        return lambda text: self._emit(prefix + text)

    def _started(self, pid: int) -> None:
        record = BuildRecord(version_id=self._job.version_id, command=identify(pid))
        write_record(self._layout.root / "build.json", record)

    def _copy_for_post_build(self, copy: Path) -> None:
        layout = self._layout
        copy.mkdir(mode=0o700)
        moved = {os.fspath(layout.root): os.fspath(copy)}
        clone_tree(layout.app, copy / "app", share=False, moved=moved)
        for folder in (layout.venv, layout.npm, layout.tools):
            if folder and folder.is_dir():
                clone_tree(folder, copy / folder.name, share=True, moved=moved)

    def _forget_tools(self) -> None:
        for folder in (self._layout.venv, self._layout.npm):
            if folder:
                shutil.rmtree(folder)
        self._fresh_tools()

    def _finish(self, key: str) -> Artifact:
        layout = self._layout
        artifact = Artifact(
            path=os.fspath(layout.root),
            runtime=ResolvedRuntime(executable=self._interpreter.executable, version=self._interpreter.version),
            bin_dirs=tuple(os.fspath(folder) for folder in layout.bin_dirs),
            dependency_key=key,
        )
        own_venv = layout.venv is not None and mentions(layout.venv, layout.app)
        write_record(
            layout.root / "artifact.json",
            ArtifactRecord(artifact=artifact, own_venv=own_venv, node_options=self._node_options),
        )
        (layout.root / "build.json").unlink()
        return artifact

    async def _end_processes(self) -> None:
        """Daemons that build commands left behind."""
        await self._trees.end(None, f"{BUILD_MARK}={self._job.version_id}", grace_s=0)

    async def _clean_up(self) -> None:
        with contextlib.suppress(OSError):
            await in_thread(delete_tree, self._job.target)


def _installed_outside(layout: Layout) -> bool:
    """Whether there are packages besides those that an environment begins with, or global ones of npm."""
    names = {path.name.partition("-")[0] for path in layout.root.glob("venv/lib/python*/site-packages/*.dist-info")}
    return bool(names - {"pip", "setuptools"}) or any(layout.npm.glob("lib/node_modules/*"))


async def end_unfinished(target: Path, trees: Trees) -> None:
    """End and delete what a build that never finished left at `target`. Raises OSError."""
    if record := await in_thread(read_build, target):
        await trees.end(record.command, f"{BUILD_MARK}={record.version_id}", grace_s=0)
    await in_thread(delete_tree, target)


def runtime_line(choice: Choice) -> str:
    """What the deployment log says about the interpreter."""
    interpreter: Interpreter = choice.interpreter
    language = "Python" if interpreter.family is RuntimeFamily.PYTHON else "Node.js"
    return f"[AppRunner] Using {language} {interpreter.version} ({interpreter.executable})."
