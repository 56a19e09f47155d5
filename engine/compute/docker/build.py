"""A version as an image: a plan's Dockerfile (or the source's own), built by the engine; its output comes as it is."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.build.base_images import amazon_linux_notice, base_images, commands_of
from engine.build.dockerfile import DEPLOYMENT, IMAGE, POST_BUILD, PRIVATE, SOURCE, Recipe, from_images, recipe_of
from engine.build.install_steps import install_steps
from engine.compute.base import BuildJob, Emit
from engine.compute.docker.api import ApiError, DockerApi
from engine.compute.docker.build_failures import builder_failure
from engine.compute.docker.build_inputs import loopback_notices, private_files, proxies_of, stamp_of, surroundings
from engine.compute.docker.build_output import BuildOutput
from engine.compute.docker.context import pack, wanted
from engine.compute.failures import disk_failure
from engine.compute.files import in_thread
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import RuntimeFamily
from engine.model.settings import BuildSettings

DOCKERFILE = "homerun.Dockerfile"


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a build draws on besides its job."""

    base_images: Mapping[str, str]
    """Runtime to image, in place of the table's."""
    settings: BuildSettings
    environ: Mapping[str, str]
    scratch: Path
    """A folder for temporary files."""
    ensure_image: Callable[[str], Awaitable[None]]
    """Has a base image brought here; raises DeployError."""


async def build_image(
    api: DockerApi, job: BuildJob, emit: Emit, *, tag: str, labels: Mapping[str, str], supplies: Supplies
) -> str:
    """The id of the image, which `tag` names.

    Raises DeployError of kind CONFIG, BUILD, IMAGE or DISK, ComputeUnavailable. Cancelling ends the build.
    """
    for notice in loopback_notices(supplies.environ):
        emit(f"[AppRunner] {notice}")
    arguments = proxies_of(supplies.environ)
    request = _Request(api, emit, tag=tag, labels=labels, arguments=arguments, scratch=supplies.scratch)
    try:
        if job.plan.runtime.family is RuntimeFamily.DOCKER:
            return await _own_dockerfile(request, job, supplies)
        return await _managed(request, job, supplies)
    except OSError as error:
        raise disk_failure(error, "pack the source for the build", FailureKind.BUILD) from error


async def _managed(request: "_Request", job: BuildJob, supplies: Supplies) -> str:
    plan, emit = job.plan, request.emit
    bases = base_images(plan.runtime, supplies.base_images)
    if not await in_thread((job.source / plan.source_directory).is_dir):
        raise _no_folder(plan.source_directory)
    paths = await in_thread(wanted, job.source)
    private = await in_thread(private_files, plan.build_env, supplies.settings, supplies.environ)
    around = await in_thread(surroundings, job.source, plan.source_directory, paths, private.variables)
    # Buildah takes a layer from its cache although what was mounted for it has changed.
    stamp = stamp_of(private.files) if await request.has_buildah() else ""
    recipe = recipe_of(plan, bases, install_steps(plan.build, around), stamp)
    emit(f"[AppRunner] Building on {bases.build}.")
    chosen = plan.runtime.name in supplies.base_images  # then the user knows what is in it
    amazon = "" if chosen else amazon_linux_notice(commands_of(plan), plan.runtime, bases.build)
    for notice in filter(None, (amazon, *private.notices, *recipe.notices)):
        emit(f"[AppRunner] {notice}")
    for base in recipe.bases:
        await supplies.ensure_image(base)
    files = {DOCKERFILE: recipe.text.encode()} | {f"{PRIVATE}/{name}": data for name, data in private.files.items()}
    context = _Context(source=job.source, paths=paths, inside=SOURCE, files=files, dockerfile=DOCKERFILE)
    image = await request.send(context, recipe, IMAGE)
    if recipe.has_post_build:
        await request.send(context, recipe, POST_BUILD, deployment=job.version_id)
    return image


async def _own_dockerfile(request: "_Request", job: BuildJob, supplies: Supplies) -> str:
    directory = job.plan.source_directory
    folder = job.source / directory
    name = job.plan.dockerfile or "Dockerfile"
    if not await in_thread(folder.is_dir):
        raise _no_folder(directory)
    try:
        text = await in_thread((folder / name).read_text, encoding="utf-8", errors="replace")
    except OSError:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"There is no {name} in the source directory /{directory}.",
            evidence=await in_thread(_names_in, folder),
            hint="Put one there, name another with build.dockerfile, or choose a managed runtime.",
        ) from None
    request.emit(f"[AppRunner] Building {name} of the source.")
    for base in from_images(text):
        await supplies.ensure_image(base)
    request.arguments |= job.plan.build_env
    paths = await in_thread(wanted, folder, name)
    return await request.send(_Context(source=folder, paths=paths, inside="", files={}, dockerfile=name), None, "")


def _no_folder(directory: str) -> DeployError:
    return DeployError.of(FailureKind.CONFIG, f"The source has no folder '{directory}'; check SourceDirectory.")


def _names_in(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in folder.iterdir())[:20])
    except OSError:
        return ()


@dataclass(frozen=True, slots=True)
class _Context:
    """What the builder sees."""

    source: Path
    paths: list[str]
    inside: str
    files: Mapping[str, bytes]
    dockerfile: str


class _Request:
    """One version's build: what is asked of the builder, once for each target."""

    def __init__(
        self,
        api: DockerApi,
        emit: Emit,
        *,
        tag: str,
        labels: Mapping[str, str],
        arguments: dict[str, str],
        scratch: Path,
    ) -> None:
        self._api = api
        self.emit = emit
        self._tag = tag
        self._labels = labels
        self.arguments = arguments
        self._scratch = scratch

    async def has_buildah(self) -> bool:
        return (await self._api.version()).name == "podman"

    async def send(self, context: _Context, recipe: Recipe | None, target: str, *, deployment: str = "") -> str:
        query: dict[str, object] = {
            "version": "2",
            "dockerfile": context.dockerfile,
            "buildargs": self.arguments | ({DEPLOYMENT: deployment} if deployment else {}),
            "rm": "1",
            "forcerm": "1",
        }
        if target:
            query["target"] = target
        if target != POST_BUILD:
            query |= {"t": self._tag, "labels": dict(self._labels)}
        output = BuildOutput(self.emit, recipe.steps if recipe else (), after=target == POST_BUILD)
        tars: list[BinaryIO] = []  # closed even when the build is cancelled while it is packed
        try:
            await in_thread(lambda: tars.append(self._packed(context)))
            headers = {"Content-Type": "application/x-tar"}
            async with self._api.messages("POST", "/build", query=query, body=tars[0], headers=headers) as messages:
                async for message in messages:
                    output.take(message)
        except ApiError as error:
            raise builder_failure(error.message) from None
        finally:
            for tar in tars:
                tar.close()
        output.finish()
        if target == POST_BUILD:
            await self._forget(output.image or output.built)
            return ""
        return output.image or str((await self._api.call("GET", f"/images/{self._tag}/json"))["Id"])

    def _packed(self, context: _Context) -> BinaryIO:
        return pack(context.source, context.paths, context.inside, context.files, self._scratch)

    async def _forget(self, image: str) -> None:
        """What post-build commands left is nobody's."""
        if image:
            with contextlib.suppress(ApiError):
                await self._api.call("DELETE", f"/images/{image}")
