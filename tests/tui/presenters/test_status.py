"""The lines around the panes: what is said of the container engine, and when."""

import pytest
from msgspec.structs import replace

from engine.model.errors import Failure, FailureKind
from engine.model.service import ServiceStatus
from engine.model.watch import ComputeState, EngineInfo
from tui.connection import Connection, ConnectionState
from tui.presenters.status import compute_text, face, tells_trouble, top_bar, why_bar
from tui.presenters.table import Cell
from tui.widgets.bars import line
from tui.world import World

DOCKER = ComputeState(name="docker", version="28.2.2")
AWAY = replace(
    DOCKER,
    problem="The container engine at unix:///var/run/docker.sock may not be used by this user. Join the group that owns"
    " its socket (sudo usermod -aG docker $USER, then log in again), or run a rootless engine.",
)
INFO = EngineInfo(
    version="1",
    home="/h",
    api_url="http://127.0.0.1:8801",
    edge_url="http://127.0.0.1:8800",
    socket="/h/s",
    pid=1,
    region="us-east-1",
    compute="auto",
)
LIVE = Connection(state=ConnectionState.CONNECTED, info=INFO)


def right(compute, *, brief=False):
    return top_bar([], LIVE, (), compute=compute, brief=brief)[1]


def test_the_engine_is_named_with_its_version():
    assert right(DOCKER)[0] == Cell("docker 28.2 · 127.0.0.1:8800", "muted")
    assert right(None)[0].text == "auto · 127.0.0.1:8800", "before anything is known of it"
    assert compute_text(ComputeState(name="podman", version="5")) == "podman 5"
    assert compute_text(ComputeState(name="process")) == "process"


def test_an_engine_that_is_away_is_a_warning():
    assert Cell("▲ docker does not answer", "warning") in right(AWAY)
    assert Cell("▲ no docker", "warning") in right(AWAY, brief=True)


def test_the_warning_outlasts_the_address_where_there_is_no_room(fake):
    views = [fake.view(fake.service(f"s{n}", n, status=status)) for n, status in enumerate(ServiceStatus)] * 20
    left, ends = top_bar(views, LIVE, ("Deploying a-service",), compute=AWAY, brief=True)
    shown = line(left, ends, 78).plain
    assert "▲ no docker  ● live" in shown
    assert "8800" not in shown


def test_its_problem_is_said_where_the_service_has_nothing_to_say(fake):
    shop = fake.view(fake.service("shop-api", 1), version_number=1)
    paused = fake.view(fake.service("mailer", 2, status=ServiceStatus.PAUSED))
    assert why_bar(shop, DOCKER)[0].text.startswith("v1")
    for view in (shop, paused):
        assert why_bar(view, AWAY) == (Cell(AWAY.problem, "warning"),)


def test_a_service_that_has_something_to_say_comes_first(fake):
    failed = fake.view(
        fake.service("shop-api", 1, status=ServiceStatus.CREATE_FAILED),
        failure=Failure(kind=FailureKind.IMAGE, message="There is no such image."),
    )
    busy = fake.view(fake.service("blog", 2, status=ServiceStatus.OPERATION_IN_PROGRESS), waiting="the build")
    assert why_bar(failed, AWAY)[0].text == "There is no such image."
    assert not tells_trouble(busy, AWAY)


@pytest.mark.parametrize("compute", [None, DOCKER, AWAY])
def test_the_empty_face_says_all_of_it_in_lines_that_fit(compute):
    shown = face(World(loaded=True, compute=compute), LIVE)
    lines = shown.plain.splitlines()
    assert max(map(len, lines)) <= 68
    assert (AWAY.problem in " ".join(lines)) == (compute is AWAY)


def test_what_the_engine_says_is_cleaned(fake):
    bad = ComputeState(name="docker", version="\x1b[31m28.1.0", problem="\x1b[2Jgone")
    shop = fake.view(fake.service("shop-api", 1))
    told = [why_bar(shop, bad)[0].text, compute_text(bad), face(World(loaded=True, compute=bad), LIVE).plain]
    assert not any("\x1b" in text for text in told)
