"""Makes a version: resolve and fetch its source, read its configuration, plan, build. And throws versions away."""

import asyncio
import contextlib
import os
import shutil
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from engine.build.config_file import parse_config
from engine.build.image_plan import plan_from_image
from engine.build.plan import normal_directory, plan_from_file, plan_from_values
from engine.compute.base import BuildJob, Compute, OnProgress
from engine.lifecycle import events
from engine.lifecycle.image_fetch import ImageFetch
from engine.lifecycle.journal import Journal
from engine.lifecycle.transitions import set_step
from engine.model.clock import Clock
from engine.model.errors import DeployError, FailureKind
from engine.model.home import Home
from engine.model.operation import Operation, OperationStep
from engine.model.plan import BuildPlan
from engine.model.record import ServiceRecord
from engine.model.service import CodeRepository, ConfigurationSource
from engine.model.settings import Settings
from engine.model.version import Artifact, Revision, Version, VersionState
from engine.source.base import Source
from engine.source.location import redacted
from engine.source.open import open_source
from engine.store.state import StateStore

CONFIG_NAMES = ("apprunner.yaml", "apprunner.yml")
"""The second name is a common slip; strict accepts the first one only."""


class Deployer:
    """Everything between "a version is wanted" and "its build lies on disk"."""

    def __init__(
        self,
        *,
        home: Home,
        store: StateStore,
        compute: Compute,
        images: ImageFetch,
        journal: Journal,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._home = home
        self._store = store
        self._compute = compute
        self._images = images
        self._journal = journal
        self._clock = clock
        self._settings = settings

    async def build(
        self, record: ServiceRecord, version: Version, operation: Operation, on_progress: OnProgress
    ) -> Version:
        """The version, built. Raises DeployError, ComputeUnavailable; a failed build leaves nothing on disk."""
        strict, source = self._strict(record), version.config.source
        if version.reuse_of:
            return self._take_over(version, self._store.versions[version.reuse_of], strict=strict)
        if source.image_repository is not None:
            await self._step(operation, OperationStep.FETCH, note=source.image_repository.image_identifier)
            return await self._images.fetch(
                record, version, source.image_repository, operation, on_progress, strict=strict
            )
        if source.code_repository is None:
            raise DeployError.of(FailureKind.SOURCE, "The service has no source.", hint="Update it with one.")
        return await self._from_repository(record, version, source.code_repository, operation, on_progress)

    async def _from_repository(
        self,
        record: ServiceRecord,
        version: Version,
        repository: CodeRepository,
        operation: Operation,
        on_progress: OnProgress,
    ) -> Version:
        branch = repository.source_code_version.value
        directory = normal_directory(repository.source_directory or "/")
        source = await asyncio.to_thread(open_source, repository.repository_url, self._home)
        url = redacted(repository.repository_url)

        await self._step(operation, OperationStep.FETCH)
        self._journal.event(record.id, events.deployment_artifact(url, branch, f"/{directory}"))
        self._journal.both(operation, events.pulling(url))
        revision = await source.resolve(branch)
        await self._step(operation, OperationStep.FETCH, note=f"{revision.branch} {revision.short} {revision.title}")
        plan = await self._plan(source, revision, repository, directory, strict=self._strict(record))
        self._journal.event(record.id, events.CONFIG_VALID)
        for notice in (*revision.notices, *plan.notices):
            self._journal.deployment(operation, events.PREFIX + notice)

        staging = self._home.staging(version.id)
        target = self._home.artifact(record.id, version.id)
        try:
            await asyncio.to_thread(_make_room, staging, target)
            await source.export(revision, staging)
            self._journal.both(operation, events.SOURCE_PULLED)
            await self._step(operation, OperationStep.BUILD)
            self._journal.both(operation, events.BUILD_STARTED)
            artifact = await self._compute.build(
                BuildJob(
                    service_id=record.id,
                    service_name=record.name,
                    number=version.number,
                    version_id=version.id,
                    source=staging,
                    target=target,
                    plan=plan,
                    previous=self._previous(record.id),
                ),
                lambda line: self._journal.deployment(operation, line),
                on_progress,
            )
        except BaseException:
            await asyncio.shield(self._compute.discard(Artifact(path=os.fspath(target))))
            raise
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True))
        self._journal.both(operation, events.BUILD_SUCCEEDED)
        self._journal.event(record.id, events.PROVISIONING)
        return replace(
            version,
            state=VersionState.BUILT,
            revision=revision,
            plan=plan,
            artifact=artifact,
            built_at=self._clock.now(),
        )

    async def secrets(self, plan: BuildPlan) -> dict[str, str]:
        """The values of the plan's secrets. Raises DeployError naming those that have none."""
        if plan.run_secrets:
            names = ", ".join(sorted(plan.run_secrets))
            raise DeployError.of(
                FailureKind.CONFIG,
                f"No value is known for the secret{'s' if len(plan.run_secrets) > 1 else ''} {names}.",
                hint="Homerun cannot read AWS secrets yet; set plain values under run.env meanwhile.",
            )
        return {}

    async def remove_everything_of(self, record: ServiceRecord) -> None:
        """What a deleted service has on disk: its artifacts, and what was cached of a source that nobody else uses."""
        for version in self._store.versions_of(record.id):
            if version.artifact:
                await self._compute.discard(version.artifact)
            await self._compute.discard(Artifact(path=os.fspath(self._home.artifact(record.id, version.id))))
        folder = self._home.artifacts / record.id
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        url = _url(record)
        others = (r for r in self._store.services.values() if r.id != record.id and r.deleted_at is None)
        if url and url not in {_url(other) for other in others}:
            with contextlib.suppress(DeployError):  # a source that is gone by now has nothing to forget
                await (await asyncio.to_thread(open_source, url, self._home)).forget()

    async def discard_old_versions(self, record: ServiceRecord) -> None:
        """Keep the newest builds, whatever serves and whatever an instance still runs; the others lose their files."""
        versions = self._store.versions_of(record.id)
        newest = [v for v in versions if v.state is VersionState.BUILT and v.artifact][-self._settings.keep_versions :]
        in_use = {record.serving_version_id, record.target_version_id}
        in_use |= {instance.version_id for instance in self._store.instances_of(record.id)}
        keep = {v.artifact.path for v in versions if v.artifact and (v in newest or v.id in in_use)}
        for version in versions:
            if version.artifact and version.artifact.path not in keep:
                artifact, bare = version.artifact, replace(version, artifact=None)
                await self._store.write(lambda tx, bare=bare: tx.put(bare))  # type: ignore[misc]
                await self._compute.discard(artifact)

    def _take_over(self, version: Version, built: Version, *, strict: bool) -> Version:
        """A configuration-only update: the same build, perhaps with another start command, port or environment."""
        repository, image = version.config.source.code_repository, version.config.source.image_repository
        plan = built.plan
        if image:
            plan = plan_from_image(image.image_configuration, strict=strict)
        elif repository and plan:
            code = repository.code_configuration
            if code and code.configuration_source is ConfigurationSource.API and code.code_configuration_values:
                plan = plan_from_values(code.code_configuration_values, plan.source_directory, strict=strict)
        return replace(
            version,
            state=VersionState.BUILT,
            revision=built.revision,
            plan=plan,
            artifact=built.artifact,
            built_at=self._clock.now(),
        )

    async def _plan(
        self, source: Source, revision: Revision, repository: CodeRepository, directory: str, *, strict: bool
    ) -> BuildPlan:
        code = repository.code_configuration
        names = await source.names(revision, directory)
        if directory and not names:
            raise DeployError.of(
                FailureKind.CONFIG,
                f"The source directory /{directory} does not exist in {revision.branch or 'the source'}"
                f" at {revision.short}.",
                evidence=tuple(await source.names(revision, ""))[:20],
                hint="Correct the source directory; it is an absolute path from the root of the repository.",
            )
        if code and code.configuration_source is ConfigurationSource.API:
            if code.code_configuration_values is None:
                raise DeployError.of(
                    FailureKind.CONFIG, "CodeConfigurationValues is required when ConfigurationSource is API."
                )
            return plan_from_values(code.code_configuration_values, directory, strict=strict)
        for name in CONFIG_NAMES[:1] if strict else CONFIG_NAMES:
            path = str(PurePosixPath(directory) / name)
            data = await source.read(revision, path)
            if data is not None:
                return plan_from_file(parse_config(data, path, strict=strict), directory, strict=strict)
        raise await no_config_file(source, revision, directory)

    def _previous(self, service_id: str) -> Artifact | None:
        return next((v.artifact for v in reversed(self._store.versions_of(service_id)) if v.artifact), None)

    def _strict(self, record: ServiceRecord) -> bool:
        return self._settings.strict or record.tags.get("homerun:strict", "").lower() == "true"

    async def _step(self, operation: Operation, step: OperationStep, note: str = "") -> None:
        now = self._clock.now()

        await self._store.write(lambda tx: set_step(tx, operation.service_id, step, now=now, note=note))


def _url(record: ServiceRecord) -> str:
    repository = record.config.source.code_repository
    return repository.repository_url if repository else ""


async def no_config_file(source: Source, revision: Revision, directory: str) -> DeployError:
    """Nothing says how to build it: say where the file was looked for, and where there is one."""
    where = f"/{directory}" if directory else "the root of the source"
    hint = "Add an apprunner.yaml there, or give the runtime and commands with the service (configuration source API)."
    found = []
    if not directory:
        for name in await source.names(revision, ""):
            if name.endswith("/") and not name.startswith("."):
                inside = await source.names(revision, name.rstrip("/"))
                found += [f"{name}{config}" for config in CONFIG_NAMES if config in inside]
    if found:
        folder = found[0].rsplit("/", 1)[0]
        hint = f"There is one at {found[0]}: set the source directory to /{folder}."
    return DeployError.of(FailureKind.CONFIG, f"There is no apprunner.yaml in {where} at {revision.short}.", hint=hint)


def _make_room(staging: Path, target: Path) -> None:
    """A build that a crash cut off may have left something in either place."""
    for folder in (staging, target):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
