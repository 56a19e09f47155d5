"""Makes a version of an image source: resolve the reference, find credentials, have the image brought here."""

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from engine.build.image_plan import plan_from_image
from engine.compute.base import Compute, OnProgress, PullJob
from engine.lifecycle import events
from engine.lifecycle.journal import Journal
from engine.model.clock import Clock
from engine.model.errors import DeployError, FailureKind
from engine.model.operation import Operation
from engine.model.record import ServiceRecord
from engine.model.service import ImageRepository
from engine.model.version import Revision, ServiceConfig, Version, VersionState
from engine.source.registry.credentials import Credentials, credentials_from_secret
from engine.source.registry.reference import ImageReference, parse_reference

SecretOf = Callable[[str], Awaitable[str | None]]
"""What was given to the connection of that ARN; None when nothing was. Raises HomerunError."""


class ImageFetch:
    """`secret_of` opens what connections hold."""

    def __init__(self, *, compute: Compute, journal: Journal, clock: Clock, secret_of: SecretOf) -> None:
        self._compute = compute
        self._journal = journal
        self._clock = clock
        self._secret_of = secret_of

    async def fetch(
        self,
        record: ServiceRecord,
        version: Version,
        image: ImageRepository,
        operation: Operation,
        on_progress: OnProgress,
        *,
        strict: bool,
    ) -> Version:
        """The version with its image kept on this machine. Raises DeployError, ComputeUnavailable."""
        reference = parse_reference(image.image_identifier)
        plan = plan_from_image(image.image_configuration, strict=strict)
        self._journal.event(record.id, events.image_artifact(reference))
        self._journal.both(operation, events.pulling_image(reference))
        for notice in plan.notices:
            self._journal.deployment(operation, events.PREFIX + notice)
        job = PullJob(
            service_id=record.id,
            service_name=record.name,
            number=version.number,
            version_id=version.id,
            reference=reference,
            credentials=await self.credentials(version.config, reference),
            strict=strict,
        )
        pulled = await self._compute.pull(job, lambda line: self._journal.deployment(operation, line), on_progress)
        if plan.start is None and not pulled.has_command:
            await self._compute.discard(pulled.artifact)
            raise DeployError.of(
                FailureKind.CONFIG,
                f"The image {reference.display} says nothing about how it is started, and neither does the service.",
                hint="Give the service a start command.",
            )
        self._journal.both(operation, events.IMAGE_PULLED)
        if pulled.ports and plan.port not in pulled.ports:
            others = ", ".join(map(str, pulled.ports))
            said = f"The image says that it listens on port {others}; the service's port is {plan.port}."
            self._journal.deployment(operation, events.PREFIX + said)
        self._journal.event(record.id, events.PROVISIONING)
        return replace(
            version,
            state=VersionState.BUILT,
            revision=Revision(id=pulled.digest, kind="image", branch=reference.tag, title=reference.familiar),
            plan=plan,
            artifact=pulled.artifact,
            built_at=self._clock.now(),
        )

    async def credentials(self, config: ServiceConfig, reference: ImageReference) -> Credentials | None:
        """Those of the service's connection; None leaves it to the user's own Docker configuration."""
        authentication = config.source.authentication_configuration
        if authentication is None or authentication.connection_arn is None:
            return None
        secret = await self._secret_of(authentication.connection_arn)
        return credentials_from_secret(secret, reference) if secret else None
