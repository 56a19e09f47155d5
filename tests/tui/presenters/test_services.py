"""The services table: cells, order, filter, and the sentence about the selected one."""

import msgspec
import pytest

from engine.model.errors import Failure, FailureKind
from engine.model.instance import InstanceState
from engine.model.metric import Pulse
from engine.model.operation import OperationStatus, OperationStep, OperationType
from engine.model.service import ServiceStatus
from engine.model.version import Revision
from tui.presenters.faces import service_face
from tui.presenters.services import (
    COLUMNS,
    SortBy,
    chosen,
    image_text,
    instances_cell,
    parse_filter,
    repository_text,
    service_cells,
    state_sentence,
    tally,
    url_of,
    version_text,
)
from tui.presenters.table import Cell


def cells(view, pulse=None, now=None, fake=None):
    return dict(zip((column.key for column in COLUMNS), service_cells(view, pulse, now or fake.NOW), strict=True))


def test_a_running_service(fake):
    shop = fake.service("shop-api", 1)
    view = fake.view(shop, instances=(fake.instance(shop, 1), fake.instance(shop, 2)))
    pulse = Pulse(
        service_id=shop.service_id,
        requests_per_s=12.4,
        cpu_percent=18.2,
        memory_bytes=231 * 1024**2,
        latency_p95_ms=41.7,
    )
    found = {key: cell.text for key, cell in cells(view, pulse, fake=fake).items()}
    assert found == {
        "name": "shop-api",
        "status": "● Running",
        "source": "acme/shop-api main",
        "instances": "2",
        "rate": "12.4",
        "p95": "42 ms",
        "cpu": "18%",
        "memory": "231 M",
        "age": "3d",
    }


def test_what_is_not_known_is_a_dash(fake):
    view = fake.view(fake.service("mailer", 1, status=ServiceStatus.PAUSED))
    found = cells(view, fake=fake)
    assert [found[key].text for key in ("instances", "rate", "p95", "cpu", "memory")] == ["-"] * 5


def test_instances_that_are_not_ready_show(fake):
    shop = fake.service("shop-api", 1)
    view = fake.view(
        shop,
        instances=(
            fake.instance(shop, 1),
            fake.instance(shop, 2, InstanceState.STARTING),
            fake.instance(shop, 3, InstanceState.DRAINING),
        ),
    )
    assert instances_cell(view) == Cell("1/2", "warning")


def test_every_status_has_a_face_of_its_own(fake):
    faces = set()
    for status in ServiceStatus:
        face = service_face(fake.view(fake.service("x", 1, status=status)))
        assert face.glyph
        assert face.word
        faces.add((face.glyph, face.word))
    assert len(faces) == len(ServiceStatus)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (OperationType.CREATE_SERVICE, "Creating"),
        (OperationType.START_DEPLOYMENT, "Deploying"),
        (OperationType.UPDATE_SERVICE, "Updating"),
        (OperationType.PAUSE_SERVICE, "Pausing"),
        (OperationType.RESUME_SERVICE, "Resuming"),
        (OperationType.DELETE_SERVICE, "Deleting"),
    ],
)
def test_a_busy_service_says_what_it_does(fake, kind, word):
    busy = fake.service("x", 1, status=ServiceStatus.OPERATION_IN_PROGRESS)
    running = fake.operation(busy, 1, kind=kind, status=OperationStatus.IN_PROGRESS, step=OperationStep.BUILD)
    assert service_face(fake.view(busy, operation=running)).word == word


def test_a_running_service_whose_deployment_failed_looks_different(fake):
    shop = fake.service("shop-api", 1)
    healthy, warned = fake.view(shop), fake.view(shop, failure=fake.BUILD_FAILURE)
    assert service_face(healthy).glyph != service_face(warned).glyph


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://github.com/acme/shop", "acme/shop"),
        ("https://github.com/acme/shop.git", "acme/shop"),
        ("https://gitlab.com/deep/group/shop/", "group/shop"),
        ("ssh://git@host:22/acme/shop.git", "acme/shop"),
        ("git@github.com:acme/shop.git", "acme/shop"),
        ("/home/ada/code/shop", "shop"),
        ("file:///home/ada/code/shop", "shop"),
        ("shop", "shop"),
    ],
)
def test_repositories_are_named_shortly(url, text):
    assert repository_text(url) == text


@pytest.fixture
def street(fake):
    return [
        fake.view(fake.service("Beta", 1, age_s=10)),
        fake.view(fake.service("alpha", 2, status=ServiceStatus.CREATE_FAILED, age_s=30)),
        fake.view(fake.service("gamma", 3, status=ServiceStatus.PAUSED, age_s=20)),
    ]


def names(views):
    return [view.service.service_name for view in views]


def test_the_order(fake, street):
    pulses = {fake.hexed(3): Pulse(service_id=fake.hexed(3), requests_per_s=5, cpu_percent=0, memory_bytes=0)}
    assert names(chosen(street, pulses)) == ["alpha", "Beta", "gamma"]
    assert names(chosen(street, pulses, reverse=True)) == ["gamma", "Beta", "alpha"]
    assert names(chosen(street, pulses, sort_by=SortBy.STATUS)) == ["alpha", "Beta", "gamma"]
    assert names(chosen(street, pulses, sort_by=SortBy.RATE)) == ["gamma", "alpha", "Beta"]
    assert names(chosen(street, pulses, sort_by=SortBy.AGE)) == ["Beta", "gamma", "alpha"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ["alpha", "Beta", "gamma"]),
        ("BETA", ["Beta"]),
        ("a fail", ["alpha"]),
        ("status:paused", ["gamma"]),
        ("!status:failed", ["Beta", "gamma"]),
        ("acme !gamma", ["alpha", "Beta"]),
        ("source:acme/gam", ["gamma"]),
        ("name:acme", []),
        ("!", ["alpha", "Beta", "gamma"]),
    ],
)
def test_the_filter(street, text, left):
    wanted = parse_filter(text)
    assert sorted(names(view for view in street if wanted(view)), key=str.lower) == left


def test_the_sentence_of_a_failure_has_the_exit_code_once(fake):
    broken = fake.service("x", 1, status=ServiceStatus.CREATE_FAILED)
    told = state_sentence(fake.view(broken, failure=fake.BUILD_FAILURE)).text
    assert told.count("code 1") == 1
    silent = Failure(kind=FailureKind.START, message="The application ended at once.", exit_code=3)
    assert "(exit code 3)" in state_sentence(fake.view(broken, failure=silent)).text


def test_the_sentence_says_which_version_still_serves(fake):
    shop = fake.service("x", 1)
    assert (
        "Version 4 still serves." in state_sentence(fake.view(shop, failure=fake.BUILD_FAILURE, version_number=4)).text
    )


def test_the_sentence_of_work_in_progress_says_what_it_waits_for(fake):
    busy = fake.service("x", 1, status=ServiceStatus.OPERATION_IN_PROGRESS)
    running = fake.operation(busy, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.HEALTH_CHECK)
    view = fake.view(busy, operation=running, waiting="health checks: 1 of 2 healthy")
    assert state_sentence(view).text == "Health checks: 1 of 2 healthy"


def test_control_sequences_of_others_do_not_get_through(fake):
    evil = fake.service("x", 1, branch="main\x1b[2J")
    revision = msgspec.structs.replace(fake.REVISION, title="\x1b]0;pwned\x07hello")
    view = fake.view(evil, revision=revision, version_number=1, failure=None)
    everything = "".join(cell.text for cell in service_cells(view, None, fake.NOW)) + state_sentence(view).text
    assert everything.isprintable()
    assert "hello" in everything


def test_the_tally_counts_each_kind(fake, street):
    assert [cell.text for cell in tally(street, brief=False)] == [
        "3 services",
        "● 1 running",
        "✕ 1 failed",
        "‖ 1 paused",
    ]
    assert [cell.text for cell in tally(street, brief=True)] == ["3 services", "● 1", "✕ 1", "‖ 1"]


async def test_the_url_has_the_scheme_of_the_edge(fake):
    info = await fake.FakeEngine().info()
    shop = fake.service("x", 1)
    assert url_of(fake.view(shop), info) == f"http://{shop.service_url}"
    assert url_of(fake.view(shop), msgspec.structs.replace(info, edge_url="https://127.0.0.1:8443")).startswith(
        "https://"
    )
    assert url_of(fake.view(msgspec.structs.replace(shop, service_url=None)), info) == ""


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("nginx", "nginx"),
        ("ghcr.io/acme/shop-api:1.4", "shop-api:1.4"),
        ("localhost:5000/app", "app"),
        ("public.ecr.aws/nginx/nginx:1@sha256:" + "5b2a1c9d" * 8, "nginx:1@5b2a1c9d5b2a"),
    ],
)
def test_an_image_is_shown_by_its_last_part_and_a_short_digest(fake, reference, shown):
    assert image_text(reference) == shown
    view = fake.view(fake.image_service("blog", 1, reference))
    assert cells(view, fake=fake)["source"].text == shown
    assert parse_filter(f"source:{shown.lower()}")(view)


def test_a_version_of_an_image_has_its_tag_and_digest(fake):
    digest = Revision(id="sha256:" + "5b2a1c9d" * 8, kind="image", branch="latest", title="nginx")
    blog = fake.image_service("blog", 1, "nginx:latest")
    view = fake.view(blog, version_number=3, revision=digest, instances=(fake.instance(blog, 1),))
    assert version_text(view) == "v3 nginx:latest 5b2a1c9d5b2a"
    assert state_sentence(view).text == "v3 nginx:latest 5b2a1c9d5b2a · 1 instance ready"
    fixed = msgspec.structs.replace(view, revision=msgspec.structs.replace(digest, branch=""))
    assert version_text(fixed) == "v3 nginx 5b2a1c9d5b2a"
