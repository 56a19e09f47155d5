"""Images from registries: brought here by digest, or used as they are where they exist on this machine only."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from engine.compute.base import Emit, Pulled, PullJob
from engine.compute.docker.api import ApiError, DockerApi
from engine.compute.docker.labels import Names
from engine.compute.docker.progress import PullProgress
from engine.model.errors import DeployError, FailureKind
from engine.model.version import Artifact
from engine.model.watch import Progress
from engine.source.registry.credentials import Credentials, find_credentials
from engine.source.registry.reference import ImageReference, parse_reference
from engine.source.registry.trouble import pull_failure, wrong_architecture

_LINE_EVERY_S = 2.0
_LOOK_UP_S = 40.0
_REMOVE_S = 60.0
logger = logging.getLogger(__name__)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}

OnProgress = Callable[[Progress | None], None]


class Puller:
    """Brings images to one engine. `environ` is where the user's registry credentials are found."""

    def __init__(self, api: DockerApi, names: Names, environ: Mapping[str, str]) -> None:
        self._api = api
        self._names = names
        self._environ = environ

    async def pull(self, job: PullJob, emit: Emit, on_progress: OnProgress, architecture: str) -> Pulled:
        """The image of a reference as it is now, kept under a name of our own.

        Raises DeployError of kind IMAGE or DISK.
        """
        reference = job.reference
        local = await self.inspect(reference.display)
        if local is not None and not local.get("RepoDigests"):
            emit(f"[AppRunner] {reference.display} exists on this machine only and is used as it is.")
            return await self._kept(job, local, digest=local["Id"], pulled="", architecture=architecture)
        credentials = job.credentials or await self._credentials(reference)
        try:
            digest = await self._digest(reference, credentials)
            image = await self._at(reference, digest, credentials, emit, on_progress)
        except DeployError as error:
            if local is None or job.strict:
                raise
            emit(f"[AppRunner] {error.failure.message} The copy on this machine is used instead.")
            digest = _digest_in(local, reference) or local["Id"]
            return await self._kept(job, local, digest=digest, pulled="", architecture=architecture)
        finally:
            on_progress(None)
        digest = digest or _digest_in(image, reference) or image["Id"]
        return await self._kept(job, image, digest=digest, pulled=reference.at(digest), architecture=architecture)

    async def ensure(self, name: str, emit: Emit, on_progress: OnProgress) -> None:
        """A base image: pulled when there is none of that name here. Raises DeployError of kind IMAGE or DISK."""
        if await self.inspect(name) is not None:
            return
        reference = parse_reference(name)
        emit(f"[AppRunner] Pulling the base image {reference.display}.")
        tag = reference.digest or reference.tag
        try:
            await self._bring(reference, tag, await self._credentials(reference), emit, on_progress)
        finally:
            on_progress(None)

    async def inspect(self, name: str) -> dict[str, Any] | None:
        """An image that is here."""
        try:
            answer: dict[str, Any] = await self._api.call("GET", f"/images/{name}/json")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return answer

    async def again(self, artifact: Artifact) -> bool:
        """Bring an image back that somebody removed, under its name of ours; whether that worked."""
        if not artifact.pulled:
            return False
        reference = parse_reference(artifact.pulled)
        try:
            await self._bring(
                reference, reference.digest, await self._credentials(reference), lambda _: None, lambda _: None
            )
        except DeployError:
            return False
        await self._tag(artifact.image, artifact.path)
        await self._tag(artifact.image, self._names.brought(artifact.image))
        return True

    async def remote_digest(self, reference: ImageReference, credentials: Credentials | None) -> str:
        """What the tag points to in its registry. Raises DeployError of kind IMAGE."""
        return await self._digest(reference, credentials or await self._credentials(reference))

    async def _credentials(self, reference: ImageReference) -> Credentials | None:
        return await asyncio.to_thread(find_credentials, reference, self._environ)

    async def _digest(self, reference: ImageReference, credentials: Credentials | None) -> str:
        """What the tag points to now, as the engine sees it; "" when the engine cannot say (Podman)."""
        if reference.digest:
            return reference.digest
        try:
            answer = await self._api.call(
                "GET",
                f"/distribution/{reference.name}:{reference.tag}/json",
                headers=_headers(credentials),
                timeout_s=_LOOK_UP_S,
            )
        except ApiError as error:
            if error.status == 404 and error.message.strip().lower() in ("not found", "page not found"):
                return ""  # Podman has no such call
            raise DeployError(pull_failure(reference, error.message)) from None
        return str(answer["Descriptor"]["digest"])

    async def _at(
        self,
        reference: ImageReference,
        digest: str,
        credentials: Credentials | None,
        emit: Emit,
        on_progress: OnProgress,
    ) -> dict[str, Any]:
        if digest:
            image = await self.inspect(reference.at(digest))
            if image is not None:
                emit("[AppRunner] The image is on this machine already.")
                return image
        # By digest no tag of the user's is moved.
        await self._bring(reference, digest or reference.tag, credentials, emit, on_progress)
        image = await self.inspect(reference.at(digest) if digest else reference.display)
        if image is None:
            raise DeployError.of(
                FailureKind.IMAGE, f"The image {reference.display} was pulled, and is gone again.", hint="Deploy again."
            )
        if digest:
            await self._tag(image["Id"], self._names.brought(image["Id"]))
        return image

    async def _bring(
        self,
        reference: ImageReference,
        tag: str,
        credentials: Credentials | None,
        emit: Emit,
        on_progress: OnProgress,
    ) -> None:
        progress = PullProgress()
        said, said_at = "", 0.0
        loop = asyncio.get_running_loop()
        query = {"fromImage": reference.name, "tag": tag}
        try:
            async with self._api.messages(
                "POST", "/images/create", query=query, headers=_headers(credentials)
            ) as messages:
                async for message in messages:
                    if error := message.get("error") or (message.get("errorDetail") or {}).get("message"):
                        raise DeployError(pull_failure(reference, str(error)))
                    progress.take(message)
                    now = progress.now
                    on_progress(now)
                    if now.text != said and progress.layers[1] and loop.time() - said_at > _LINE_EVERY_S:
                        said, said_at = now.text, loop.time()
                        emit(f"[AppRunner] Pulling: {now.text}.")
        except ApiError as error:
            raise DeployError(pull_failure(reference, error.message)) from None
        if progress.layers[1] and progress.now.text != said:
            emit(f"[AppRunner] Pulled: {progress.now.text}.")

    async def _kept(
        self, job: PullJob, image: dict[str, Any], *, digest: str, pulled: str, architecture: str
    ) -> Pulled:
        machine = _ARCHITECTURES.get(architecture, architecture)
        made_for = str(image.get("Architecture") or machine)
        if machine and made_for != machine:
            await self.drop_brought(image["Id"])
            raise DeployError(wrong_architecture(job.reference, made_for, machine))
        name = self._names.image(job.service_name, job.service_id, job.number)
        await self._tag(image["Id"], name)
        config = image.get("Config") or {}
        return Pulled(
            artifact=Artifact(image=image["Id"], path=name, pulled=pulled),
            digest=digest,
            ports=exposed_ports(image),
            has_command=bool(config.get("Cmd") or config.get("Entrypoint")),
        )

    async def release(self, name: str) -> None:
        """Take a name of ours off an image, and the image away if nobody else has a use for it."""
        image = await self.inspect(name)
        if image is not None:
            await self._untag(name)
            await self.drop_brought(image["Id"])

    async def drop_brought(self, image_id: str) -> None:
        """Remove an image that Homerun brought here and that nobody has a name for any more."""
        image = await self.inspect(image_id)
        brought = self._names.brought(image_id)
        if image is None or set(image.get("RepoTags") or ()) != {brought}:
            return
        for digest in image.get("RepoDigests") or ():
            if not str(digest).startswith(self._names.images):
                await self._untag(str(digest))
        await self._untag(brought)

    async def _untag(self, name: str) -> None:
        try:
            await self._api.call("DELETE", f"/images/{name}", timeout_s=_REMOVE_S)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            if error.status == 409:  # a container of somebody else's uses it
                logger.info("The image %s stays: %s", name, error)

    async def _tag(self, image_id: str, name: str) -> None:
        repository, _, tag = name.rpartition(":")
        await self._api.call("POST", f"/images/{image_id}/tag", query={"repo": repository, "tag": tag})


def exposed_ports(image: Mapping[str, Any]) -> tuple[int, ...]:
    """The TCP ports that an image says it listens on."""
    exposed = (image.get("Config") or {}).get("ExposedPorts") or {}
    return tuple(sorted(int(port.partition("/")[0]) for port in exposed if not port.endswith("/udp")))


def _headers(credentials: Credentials | None) -> dict[str, str]:
    return {"X-Registry-Auth": credentials.header()} if credentials else {}


def _digest_in(image: Mapping[str, Any], reference: ImageReference) -> str:
    """Under which digest the image is known in the reference's repository; "" for none."""
    for known in image.get("RepoDigests") or ():
        repository, _, digest = str(known).partition("@")
        if repository and parse_reference(repository).name == reference.name:
            return digest
    return ""
