"""The activity table and everything that is told about one operation."""

import pytest

from engine.model.errors import Failure, FailureKind
from engine.model.operation import OperationStatus, OperationStep, OperationType
from engine.model.service import ServiceStatus
from engine.model.watch import Progress
from tui.presenters.faces import operation_face
from tui.presenters.operations import (
    STEPS,
    detail_cell,
    operation_cells,
    operation_content,
    progress_bar,
    progress_texts,
    steps_content,
    why_waiting,
)


@pytest.fixture
def shop(fake):
    return fake.service("shop-api", 1, status=ServiceStatus.OPERATION_IN_PROGRESS)


@pytest.fixture
def running(fake, shop):
    return fake.operation(
        shop, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.HEALTH_CHECK, note="main 3f2a91c", ago_s=12
    )


def test_an_open_operation_counts_its_seconds_and_says_why_it_waits(fake, shop, running):
    view = fake.view(shop, operation=running, waiting="health checks: 1 of 2 healthy")
    status, name, detail, took, ago = operation_cells(running, view, fake.NOW)
    assert status.text == "◐ Deploying"
    assert name.text == "shop-api"
    assert detail.text == "health checks: 1 of 2 healthy"
    assert took.text == "12s"
    assert ago.text == "12s"


def test_what_another_operation_waits_for_is_not_shown(fake, shop, running):
    other = fake.operation(shop, 2, status=OperationStatus.IN_PROGRESS, step=OperationStep.BUILD)
    view = fake.view(shop, operation=other, waiting="something else")
    assert why_waiting(running, view) == "health check: main 3f2a91c"


@pytest.mark.parametrize(
    ("waiting", "told"),
    [
        ("", "build: main 3f2a91c"),
        ("the build", "build: main 3f2a91c"),
        ("2 requests in flight", "build: 2 requests in flight"),
    ],
)
def test_what_is_waited_for_is_said_once(fake, shop, waiting, told):
    building = fake.operation(
        shop, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.BUILD, note="main 3f2a91c"
    )
    assert why_waiting(building, fake.view(shop, operation=building, waiting=waiting)) == told


def test_an_ended_operation_stops_counting(fake, shop):
    done = fake.operation(shop, 1, ago_s=600, took_s=4.2, note="main 3f2a91c Fix it")
    _, _, detail, took, ago = operation_cells(done, None, fake.NOW + 1000)
    assert (detail.text, took.text, ago.text) == ("main 3f2a91c Fix it", "4.2s", "26m")


@pytest.mark.parametrize("kind", OperationType)
@pytest.mark.parametrize("status", OperationStatus)
def test_every_operation_has_a_face_in_its_column(fake, shop, kind, status):
    face = operation_face(fake.operation(shop, 1, kind=kind, status=status))
    assert len(face.text) <= 17
    assert face.role


@pytest.mark.parametrize("kind", OperationType)
def test_steps_tick_one_after_the_other(fake, shop, kind):
    for index, step in enumerate(STEPS[kind]):
        running = fake.operation(shop, 1, kind=kind, status=OperationStatus.IN_PROGRESS, step=step)
        glyphs = [word for word in steps_content(running).plain.split() if word in "✓◐·✕"]
        assert glyphs == ["✓"] * index + ["◐"] + ["·"] * (len(STEPS[kind]) - index - 1)


def test_a_failure_tells_cause_exit_code_hint_and_evidence(fake, shop):
    failed = fake.operation(
        shop, 1, status=OperationStatus.FAILED, step=OperationStep.BUILD, failure=fake.BUILD_FAILURE
    )
    told = operation_content(failed).plain
    assert told.splitlines()[0] == "✕ Deploy failed: the build failed · exit code 1"
    assert fake.BUILD_FAILURE.message in told
    assert fake.BUILD_FAILURE.hint in told
    assert all(line in told for line in fake.BUILD_FAILURE.evidence)
    assert detail_cell(failed, None).text == fake.BUILD_FAILURE.message


def test_a_pull_under_way_has_a_bar_and_says_how_much(fake, shop):
    started = fake.operation(shop, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.FETCH)
    progress = Progress(done=12_100_000, total=28_000_000, text="12.1 of 28.0 MB, 3 of 5 layers")
    view = fake.view(shop, operation=started, progress=progress)

    assert detail_cell(started, view).text == "━━━━━─────── 43 % · 12.1 of 28.0 MB, 3 of 5 layers"
    assert operation_content(started, view, width=18).plain.splitlines()[1:3] == [
        "━━━━━─────── 43 %",
        "12.1 of 28.0 MB, 3 of 5 layers",
    ]
    other = fake.operation(shop, 2, status=OperationStatus.IN_PROGRESS, step=OperationStep.FETCH)
    assert "MB" not in detail_cell(other, view).text


def test_how_far_it_is_fits_every_column():
    texts = progress_texts(Progress(done=1, total=2, text="1 of 2 layers"))
    assert texts == (
        "━━━━━━────── 50 % · 1 of 2 layers",
        "━━━─── 50 % · 1 of 2 layers",
        "50 % · 1 of 2 layers",
        "━━━━━━────── 50 %",
        "━━━─── 50 %",
        "50 %",
    )
    assert progress_texts(Progress(done=1, total=0, text="0 of 2 layers")) == ("0 of 2 layers",)
    assert progress_texts(Progress(done=1, total=2, text=""))[-1] == "50 %"


def test_nothing_is_built_of_an_image(fake):
    service = fake.image_service("blog", 1, "nginx:latest", status=ServiceStatus.OPERATION_IN_PROGRESS)
    started = fake.operation(service, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.START)
    view = fake.view(service, operation=started)
    assert steps_content(started, view).plain == "✓ fetch ◐ start · health · route · drain"


@pytest.mark.parametrize(
    ("done", "total", "bar"),
    [
        (0, 10, "──── 0 %"),
        (10, 10, "━━━━ 100 %"),
        (5, 8, "━━╸─ 62 %"),
        (999, 1000, "━━━╸ 99 %"),
        (20, 10, "━━━━ 100 %"),
        (-1, 10, "──── 0 %"),
        (5, 0, ""),
    ],
)
def test_a_bar_never_leaves_its_bounds(done, total, bar):
    assert progress_bar(Progress(done=done, total=total, text="x"), 4) == bar


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_of_failure_has_words(fake, shop, kind):
    failed = fake.operation(shop, 1, status=OperationStatus.FAILED, failure=Failure(kind=kind, message="m"))
    said = operation_content(failed).plain
    assert said.startswith("✕ Deploy failed: the ") or kind in {FailureKind.INTERNAL, FailureKind.COMPUTE}


def test_evidence_is_cleaned_and_never_markup(fake, shop):
    failure = Failure(kind=FailureKind.BUILD, message="[red]m[/]", evidence=("\x1b[2Jgone", "[b]x[/b]"))
    told = operation_content(fake.operation(shop, 1, status=OperationStatus.FAILED, failure=failure))
    assert "\x1b" not in told.plain
    assert "[red]m[/]" in told.plain
    assert "[b]x[/b]" in told.plain
