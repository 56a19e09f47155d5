"""Automatic deployments of image sources: notice that a tag has moved, and deploy what it points to now.

Level-triggered: what a look finds is compared with what is written down, so a push during an operation (or while no
engine ran) is deployed after it, several pushes come to the newest one, and one that failed is not tried again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum

from msgspec.structs import replace

from engine.compute.base import Compute, ComputeUnavailable
from engine.lifecycle import events
from engine.lifecycle.image_fetch import ImageFetch
from engine.lifecycle.journal import Journal
from engine.model.clock import Clock
from engine.model.errors import HomerunError
from engine.model.record import ServiceRecord
from engine.model.service import ServiceStatus
from engine.model.settings import Settings
from engine.model.version import Version
from engine.source.registry.client import Moved, RegistryError, look_up, next_look_s
from engine.source.registry.reference import ImageReference, parse_reference
from engine.store.state import Changed, StateStore, Transaction

logger = logging.getLogger(__name__)

AFTER_RESUME = "next"
"""In place of a digest: whatever the next look finds counts as seen. App Runner, too, deploys nothing on resume."""
_LOCAL_LOOK_S = 30.0
_AWAY_PAUSE_S = 0.3


class Finding(StrEnum):
    """What a digest that was found means for a service."""

    NOTHING = "nothing"
    SEEN = "seen"
    """It is what runs, or what a resume passes over: write it down."""
    DEPLOY = "deploy"
    LATER = "later"
    """An operation runs: look at it again after that."""


def judge(record: ServiceRecord, versions: Iterable[Version | None], digest: str) -> Finding:
    """Pure. `versions` are the service's newest one and the one that serves."""
    if not digest or digest == record.seen_digest:
        return Finding.NOTHING
    if record.status is ServiceStatus.OPERATION_IN_PROGRESS:
        return Finding.LATER
    if record.status is not ServiceStatus.RUNNING:
        return Finding.NOTHING
    tried = {version.revision.id for version in versions if version and version.revision}
    if record.seen_digest == AFTER_RESUME or digest in tried:
        return Finding.SEEN
    return Finding.DEPLOY


def watched(record: ServiceRecord) -> str:
    """The image reference that is to be watched, "" for none."""
    source = record.config.source
    image = source.image_repository
    alive = record.status in (ServiceStatus.RUNNING, ServiceStatus.OPERATION_IN_PROGRESS)
    if image is None or not source.auto_deployments_enabled or not alive or "@" in image.image_identifier:
        return ""
    return image.image_identifier


class ImageWatch:
    """Owns a task for each watched service. `deploy(arn)` starts a deployment through the door."""

    def __init__(
        self,
        *,
        store: StateStore,
        compute: Compute,
        images: ImageFetch,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        deploy: Callable[[str], Awaitable[object]],
    ) -> None:
        self._store = store
        self._compute = compute
        self._images = images
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._deploy = deploy
        self._watchers: dict[str, tuple[str, asyncio.Task[None], asyncio.Event]] = {}
        self._closing = False

    def start(self) -> None:
        self._compute.on_images(self._wake_all)
        self._store.listen(self._on_change)
        for service_id in self._store.services:
            self._follow(service_id)

    async def close(self) -> None:
        self._closing = True
        tasks = [task for _, task, _ in self._watchers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_change(self, changed: Changed) -> None:
        if not self._closing:
            for service_id in changed.services | changed.removed_services:
                self._follow(service_id)

    def _follow(self, service_id: str) -> None:
        """Begin, go on with or end the watch of a service, as it is now."""
        record = self._store.services.get(service_id)
        wanted = watched(record) if record else ""
        known = self._watchers.get(service_id)
        if known and known[0] != wanted:
            known[1].cancel()
            del self._watchers[service_id]
        elif known:
            known[2].set()
            return
        if wanted:
            news = asyncio.Event()
            task = asyncio.create_task(self._watch(service_id, wanted, news), name=f"watch image of {service_id}")
            self._watchers[service_id] = (wanted, task, news)

    def _wake_all(self) -> None:
        for _, _, news in self._watchers.values():
            news.set()

    async def _watch(self, service_id: str, identifier: str, news: asyncio.Event) -> None:
        reference = parse_reference(identifier)
        digest, etag, failures = "", "", 0
        while True:
            pause_s = self._settings.image_poll_s
            try:
                if self._is_local(service_id):
                    image = await self._compute.local_image(reference)
                    digest, pause_s = image.id if image else "", _LOCAL_LOOK_S
                else:
                    digest, etag = await self._look(service_id, reference, digest, etag)
                if failures:
                    self._journal.event(service_id, events.watch_recovered(reference))
                failures = 0
            except ComputeUnavailable:
                await self._clock.sleep(_AWAY_PAUSE_S)  # that it is away may not have been noticed yet
                await self._compute.available()
                continue
            except HomerunError as error:
                failures += 1
                if failures == 1:
                    self._journal.event(service_id, events.watch_failed(reference, str(error)))
                after_s = error.retry_after_s if isinstance(error, RegistryError) else None
                pause_s = next_look_s(pause_s, failures, after_s, seed=service_id)
            except Exception:
                failures += 1
                logger.exception("service %s: its image could not be looked up", service_id)
            await self._act_until(service_id, reference, digest, pause_s, news)

    async def _act_until(
        self, service_id: str, reference: ImageReference, digest: str, pause_s: float, news: asyncio.Event
    ) -> None:
        """Act on what was found; when the service changes, or images on this machine do, judge or look again."""
        until = self._clock.monotonic() + pause_s
        while True:
            news.clear()
            try:
                await self._act(service_id, reference, digest)
            except HomerunError as error:  # somebody else was quicker to begin an operation, or the disk is full
                logger.info("service %s: %s", service_id, error)
            waiting = asyncio.ensure_future(news.wait())
            sleeping = asyncio.ensure_future(self._clock.sleep(max(0.0, until - self._clock.monotonic())))
            try:
                await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
                if sleeping.done() or self._is_local(service_id):
                    return
            finally:
                waiting.cancel()
                sleeping.cancel()
                await asyncio.gather(waiting, sleeping, return_exceptions=True)

    async def _act(self, service_id: str, reference: ImageReference, digest: str) -> None:
        record = self._store.services[service_id]
        newest = max(self._store.versions_of(service_id), key=lambda version: version.number, default=None)
        serving = self._store.versions.get(record.serving_version_id or "")
        finding = judge(record, (newest, serving), digest)
        if finding is Finding.DEPLOY:
            self._journal.event(service_id, events.new_image(reference, digest))
            await self._deploy(record.arn)
        if finding in (Finding.DEPLOY, Finding.SEEN):

            def seen(tx: Transaction) -> None:
                tx.put(replace(tx.service(service_id), seen_digest=digest))

            await self._store.write(seen)

    async def _look(self, service_id: str, reference: ImageReference, digest: str, etag: str) -> tuple[str, str]:
        """The tag's digest now. What only the engine can reach (it has certificates of its own) it is asked for."""
        credentials = await self._images.credentials(self._store.services[service_id].config, reference)
        try:
            found = await look_up(reference, credentials, etag=etag)
        except RegistryError as error:
            if not error.unreachable:
                raise
            return await self._compute.remote_digest(reference, credentials), ""
        return (found.digest, found.etag) if isinstance(found, Moved) else (digest, etag)

    def _is_local(self, service_id: str) -> bool:
        """What serves came from no registry."""
        record = self._store.services.get(service_id)
        serving = self._store.versions.get(record.serving_version_id or "") if record else None
        return bool(serving and serving.artifact and not serving.artifact.pulled)
