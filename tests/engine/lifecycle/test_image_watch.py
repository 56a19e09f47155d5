"""What a digest that was found means for a service, and which services are watched."""

import pytest

from engine.lifecycle.image_watch import AFTER_RESUME, Finding, judge, watched
from engine.model.record import DesiredMode, ServiceRecord
from engine.model.service import (
    HealthCheckConfiguration,
    ImageRepository,
    ImageRepositoryType,
    InstanceConfiguration,
    NetworkConfiguration,
    ServiceStatus,
    SourceConfiguration,
)
from engine.model.version import Revision, ServiceConfig, Version, VersionState

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
RUNNING, BUSY, PAUSED = ServiceStatus.RUNNING, ServiceStatus.OPERATION_IN_PROGRESS, ServiceStatus.PAUSED


def config(image: str = "nginx:1", *, automatic: bool = True) -> ServiceConfig:
    return ServiceConfig(
        source=SourceConfiguration(
            image_repository=ImageRepository(image_identifier=image, image_repository_type=ImageRepositoryType.ECR),
            auto_deployments_enabled=automatic,
        ),
        instance=InstanceConfiguration(),
        health_check=HealthCheckConfiguration(),
        network=NetworkConfiguration(),
        auto_scaling_arn="",
    )


def record(status: ServiceStatus, seen: str = "", **changes: object) -> ServiceRecord:
    return ServiceRecord(
        id="5" * 32,
        name="shop",
        arn="arn",
        subdomain="abc",
        status=status,
        config=config(**changes),
        mode=DesiredMode.SERVING,
        seen_digest=seen,
        created_at=0.0,
        updated_at=0.0,
    )


def version(digest: str, state: VersionState = VersionState.BUILT) -> Version:
    revision = Revision(id=digest, kind="image", branch="1") if digest else None
    return Version(
        id="v",
        service_id="5" * 32,
        number=1,
        operation_id="o",
        state=state,
        config=config(),
        revision=revision,
        created_at=0.0,
    )


@pytest.mark.parametrize(
    ("status", "seen", "versions", "digest", "expected"),
    [
        (RUNNING, OLD, [OLD], OLD, Finding.NOTHING),
        (RUNNING, OLD, [OLD], NEW, Finding.DEPLOY),
        (RUNNING, "", [OLD], OLD, Finding.SEEN),
        (RUNNING, "", [OLD], NEW, Finding.DEPLOY),  # pushed while no engine ran
        (RUNNING, OLD, [NEW], NEW, Finding.SEEN),  # deployed by hand meanwhile
        (RUNNING, NEW, [OLD], NEW, Finding.NOTHING),  # it was tried, and failed
        (RUNNING, OLD, [OLD], "", Finding.NOTHING),
        (RUNNING, AFTER_RESUME, [OLD], NEW, Finding.SEEN),
        (BUSY, OLD, [OLD], NEW, Finding.LATER),
        (BUSY, AFTER_RESUME, [OLD], NEW, Finding.LATER),
        (PAUSED, OLD, [OLD], NEW, Finding.NOTHING),
        (ServiceStatus.CREATE_FAILED, "", [""], NEW, Finding.NOTHING),
    ],
)
def test_what_a_digest_means(status, seen, versions, digest, expected):
    assert judge(record(status, seen), [version(known) for known in versions], digest) is expected


def test_the_version_that_serves_counts_as_well_as_the_newest():
    """After a rollback the tag of the old configuration points to what serves."""
    assert judge(record(RUNNING), [version(NEW, VersionState.FAILED), version(OLD)], OLD) is Finding.SEEN


@pytest.mark.parametrize(
    ("status", "image", "automatic", "expected"),
    [
        (RUNNING, "nginx:1", True, "nginx:1"),
        (BUSY, "nginx:1", True, "nginx:1"),
        (RUNNING, "nginx:1", False, ""),
        (PAUSED, "nginx:1", True, ""),
        (ServiceStatus.DELETED, "nginx:1", True, ""),
        (ServiceStatus.CREATE_FAILED, "nginx:1", True, ""),
        (RUNNING, f"nginx@{OLD}", True, ""),
    ],
)
def test_which_services_are_watched(status, image, automatic, expected):
    assert watched(record(status, image=image, automatic=automatic)) == expected
