"""A version as an image: a plan's Dockerfile (or the source's own), built by the engine; its output comes as it is."""

import asyncio
import contextlib
import os
import re
import shlex
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.build.base_images import amazon_linux_notice, base_images, commands_of
from engine.build.dockerfile import (
    DEPLOYMENT,
    IMAGE,
    MARK,
    MOUNT,
    POST_BUILD,
    PRIVATE,
    SOURCE,
    Recipe,
    Step,
    from_images,
    recipe_of,
)
from engine.build.install_steps import Install, install_steps
from engine.compute.base import BuildJob, Emit
from engine.compute.docker import buildkit
from engine.compute.docker.api import ApiError, DockerApi
from engine.compute.docker.build_failures import builder_failure, exit_code
from engine.compute.docker.context import pack
from engine.compute.failures import build_failure, disk_failure
from engine.compute.process.environment import tool_settings
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import Phase, RuntimeFamily
from engine.model.settings import BuildSettings

DOCKERFILE = "homerun.Dockerfile"
_TAIL = 20
_FILE_MOST = 512 * 1024
_LOOKED_AT = 400
"""Files of the source directory whose texts are looked into."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY")
_CA_NAMES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
_STEP = re.compile(rf"{MARK}(\d+)")
_LOOPBACK = re.compile(r"(?:^|//|@)(?:localhost|127\.|\[::1\])")


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
    proxies = proxies_of(supplies.environ)
    for name, value in proxies.items():
        if _LOOPBACK.search(value):
            emit(
                f"[AppRunner] The proxy in {name} listens on this machine's loopback: a build in a container cannot"
                " reach it there."
            )
    request = _Request(api, emit, tag=tag, labels=labels, arguments=proxies, scratch=supplies.scratch)
    try:
        if job.plan.runtime.family is RuntimeFamily.DOCKER:
            return await _own_dockerfile(request, job, supplies)
        return await _managed(request, job, supplies)
    except OSError as error:
        raise disk_failure(error, "pack the source for the build", FailureKind.BUILD) from error


async def _managed(request: "_Request", job: BuildJob, supplies: Supplies) -> str:
    plan, emit = job.plan, request.emit
    bases = base_images(plan.runtime, supplies.base_images)
    folder = job.source / plan.source_directory
    if not await asyncio.to_thread(folder.is_dir):
        raise DeployError.of(
            FailureKind.CONFIG, f"The source has no folder '{plan.source_directory}'; check SourceDirectory."
        )
    install = Install()
    if not plan.pre_build:
        install = install_steps(plan.build, *await asyncio.to_thread(_look_into, folder))
    recipe = recipe_of(plan, bases, install)
    emit(f"[AppRunner] Building on {bases.build}.")
    if notice := amazon_linux_notice(commands_of(plan), plan.runtime, bases.build):
        emit(f"[AppRunner] {notice}")
    for notice in recipe.notices:
        emit(f"[AppRunner] {notice}")
    for base in recipe.bases:
        await supplies.ensure_image(base)
    private = await asyncio.to_thread(_private_files, plan.build_env, supplies.settings, supplies.environ)
    context = {DOCKERFILE: recipe.text.encode()} | {f"{PRIVATE}/{name}": data for name, data in private.items()}
    image = await request.send(job.source, context, recipe, IMAGE)
    if recipe.has_post_build:
        await request.send(job.source, context, recipe, POST_BUILD, deployment=job.version_id)
    return image


async def _own_dockerfile(request: "_Request", job: BuildJob, supplies: Supplies) -> str:
    folder = job.source / job.plan.source_directory
    name = job.plan.dockerfile or "Dockerfile"
    try:
        text = await asyncio.to_thread((folder / name).read_text, encoding="utf-8", errors="replace")
    except OSError:
        there = await asyncio.to_thread(_names_in, folder)
        raise DeployError.of(
            FailureKind.CONFIG,
            f"There is no {name} in the source directory /{job.plan.source_directory}.",
            evidence=there,
            hint="Put one there, name another with build.dockerfile, or choose a managed runtime.",
        ) from None
    request.emit(f"[AppRunner] Building {name} of the source.")
    for base in from_images(text):
        await supplies.ensure_image(base)
    request.arguments |= job.plan.build_env
    return await request.send(folder, {}, None, "", dockerfile=name)


def _names_in(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in folder.iterdir())[:20])
    except OSError:
        return ()


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

    async def send(
        self,
        source: Path,
        files: Mapping[str, bytes],
        recipe: Recipe | None,
        target: str,
        *,
        dockerfile: str = DOCKERFILE,
        deployment: str = "",
    ) -> str:
        query: dict[str, object] = {
            "version": "2",
            "dockerfile": dockerfile,
            "buildargs": self.arguments | ({DEPLOYMENT: deployment} if deployment else {}),
            "rm": "1",
            "forcerm": "1",
        }
        if target:
            query["target"] = target
        if target != POST_BUILD:
            query |= {"t": self._tag, "labels": dict(self._labels)}
        talk = _Talk(self.emit, recipe.steps if recipe else (), after=target == POST_BUILD)
        inside = SOURCE if recipe else ""
        context = await asyncio.to_thread(pack, source, inside, files, self._scratch)
        try:
            headers = {"Content-Type": "application/x-tar"}
            async with self._api.messages("POST", "/build", query=query, body=context, headers=headers) as messages:
                async for message in messages:
                    talk.take(message)
        except ApiError as error:
            raise builder_failure(error.message) from None
        finally:
            context.close()
        talk.finish()
        if target == POST_BUILD:
            await self._forget(talk.image)
            return ""
        return talk.image or str((await self._api.call("GET", f"/images/{self._tag}/json"))["Id"])

    async def _forget(self, image: str) -> None:
        """What post-build commands left is nobody's."""
        if image:
            with contextlib.suppress(ApiError):
                await self._api.call("DELETE", f"/images/{image}")


class _Talk:
    """Turns a builder's messages into lines of the deployment log, and its last word into a failure.

    `after` the image, only post-build commands are worth a word: the others are those of the image again.
    """

    def __init__(self, emit: Emit, steps: tuple[Step, ...], *, after: bool) -> None:
        self._emit = emit
        self._steps = steps
        self._after = after
        self._vertices: dict[str, buildkit.Vertex] = {}
        self._said: set[str] = set()
        self._rest: dict[str, bytes] = {}
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._failed: buildkit.Vertex | None = None
        self._current = ""
        """The step of a builder that only streams text."""
        self.image = ""

    def take(self, message: dict[str, Any]) -> None:
        """Raises DeployError when the builder has given up."""
        if message.get("id") == buildkit.IMAGE_ID:
            self.image = str((message.get("aux") or {}).get("ID", ""))
        elif isinstance(message.get("stream"), str):
            self._text(message["stream"])
        elif error := message.get("error") or (message.get("errorDetail") or {}).get("message"):
            self._flush()
            raise self._failure(str(error))
        else:
            for event in buildkit.events(message):
                if isinstance(event, buildkit.Output):
                    self._output(event.vertex_id, event.data)
                else:
                    self._vertex(event)

    def finish(self) -> None:
        self._flush()

    def _vertex(self, vertex: buildkit.Vertex) -> None:
        self._vertices[vertex.id] = vertex
        if vertex.error and self._failed is None and "context canceled" not in vertex.error:
            self._failed = vertex
        if vertex.id in self._said or not (vertex.started or vertex.cached):
            return
        step = self._step(vertex.name)
        if step is not None:
            self._said.add(vertex.id)
            self._begun(step, cached=vertex.cached)
        elif not self._steps and not vertex.name.startswith("[internal]") and vertex.name.startswith("["):
            self._said.add(vertex.id)
            self._emit(f"[{Phase.BUILD}] {vertex.name}{' (cached)' if vertex.cached else ''}")

    def _begun(self, step: Step, *, cached: bool) -> None:
        if self._after and step.phase is not Phase.POST_BUILD:
            return
        self._emit(f"[{step.phase}] $ {step.command}")
        if cached:
            self._emit(f"[{step.phase}] [AppRunner] Nothing that it depends on has changed: taken from the cache.")

    def _output(self, vertex_id: str, data: bytes) -> None:
        *lines, rest = (self._rest.pop(vertex_id, b"") + data).split(b"\n")
        for line in lines:
            self._line(vertex_id, line)
        if rest:
            self._rest[vertex_id] = rest

    def _line(self, vertex_id: str, line: bytes) -> None:
        vertex = self._vertices.get(vertex_id)
        step = self._step(vertex.name) if vertex else None
        text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
        self._tail.append(text)
        self._emit(f"[{step.phase if step else Phase.BUILD}] {text}")

    def _text(self, text: str) -> None:
        """Buildah's output: lines that announce a step, and what its command prints."""
        for line in text.splitlines():
            if re.match(r"(?:\[\d+/\d+\] )?STEP \d+", line):
                self._current = line
                if step := self._step(line):
                    self._begun(step, cached=False)
                elif not self._steps:
                    self._emit(f"[{Phase.BUILD}] {line}")
            elif line.startswith("--> Using cache") and (step := self._step(self._current)):
                self._emit(f"[{step.phase}] [AppRunner] Nothing that it depends on has changed: taken from the cache.")
            elif (
                line
                and not line.startswith(("--> ", "COMMIT ", "Successfully tagged "))
                and not re.fullmatch(r"[0-9a-f]{64}", line)
            ):
                step = self._step(self._current)
                self._tail.append(line)
                self._emit(f"[{step.phase if step else Phase.BUILD}] {line}")

    def _step(self, name: str) -> Step | None:
        match = _STEP.search(name)
        number = int(match.group(1)) if match else -1
        return self._steps[number] if 0 <= number < len(self._steps) else None

    def _flush(self) -> None:
        for vertex_id, rest in list(self._rest.items()):
            self._line(vertex_id, rest)
        self._rest.clear()

    def _failure(self, message: str) -> DeployError:
        said = self._failed.error if self._failed else message
        code = exit_code(said) if exit_code(said) is not None else exit_code(message)
        step = self._step(self._failed.name if self._failed else message) or self._step(self._current)
        tail = tuple(self._tail)
        if step is not None and code is not None:
            return build_failure(step.phase, step.command, code, tail, in_image=True)
        if code is not None:
            name = self._failed.name if self._failed else self._current
            return build_failure(Phase.BUILD, re.sub(r"^\[[^\]]*\] (?:RUN )?", "", name), code, tail, in_image=True)
        return builder_failure(message)


def proxies_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Proxy settings, as build arguments that builders know: they are in no layer, no history and no cache key."""
    return {name: value for name, value in environ.items() if name.upper() in _PROXIES and value}


def _private_files(
    build_env: Mapping[str, str], settings: BuildSettings, environ: Mapping[str, str]
) -> dict[str, bytes]:
    """What is mounted while a command runs. Blocks; raises DeployError of kind CONFIG."""
    env = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    }
    env |= {"NPM_CONFIG_FUND": "false", "PYTHONUNBUFFERED": "1"}
    env |= {name: value for name, value in tool_settings(environ).items() if not _is_place(value)}
    missing = [name for name in settings.secrets if name not in environ]
    if missing:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"The build secret {missing[0]} has no value: it is no variable of Homerun's own environment.",
            hint="Set it where Homerun is started, or take it out of build.secrets in settings.yaml.",
        )
    env |= {name: environ[name] for name in settings.secrets}
    files: dict[str, bytes] = {}
    if settings.ca_bundle:
        try:
            files["ca.pem"] = Path(settings.ca_bundle).expanduser().read_bytes()
        except OSError as error:
            raise DeployError.of(
                FailureKind.CONFIG,
                f"The CA bundle {settings.ca_bundle} cannot be read: {error.strerror}.",
                hint="Correct build.ca_bundle in settings.yaml.",
            ) from None
        env |= dict.fromkeys(_CA_NAMES, f"{MOUNT}/ca.pem")
    env |= build_env
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(env.items())]
    files["env"] = ("\n".join(lines) + "\n").encode()
    return files


def _is_place(value: str) -> bool:
    """A path of this machine, which means nothing in a container."""
    return value.startswith(("/", "~", "file:")) or " /" in value or " file:" in value


def _look_into(folder: Path) -> tuple[dict[str, str], frozenset[str]]:
    """Texts of the small files right in the source directory (and in requirements/), and all names there. Blocks."""
    texts: dict[str, str] = {}
    names = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            names.add(entry.name)
    for name in sorted(names)[:_LOOKED_AT]:
        path = folder / name
        if name == "requirements" and path.is_dir():
            texts |= {f"{name}/{each.name}": _text(each) for each in sorted(path.glob("*.txt"))[:_LOOKED_AT]}
        elif name.endswith((".txt", ".in")) or name in ("package.json", "package-lock.json"):
            texts[name] = _text(path)
    return texts, frozenset(names)


def _text(path: Path) -> str:
    try:
        if path.is_symlink() or path.stat().st_size > _FILE_MOST * 8:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
