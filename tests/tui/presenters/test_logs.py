"""Which stream the logs pane asks for."""

from engine.model.ids import hex_of
from engine.model.log import LogKind, LogSelector
from engine.model.operation import OperationStatus, OperationStep, OperationType
from engine.model.service import ServiceStatus
from tui.presenters.logs import deployment_to_show, next_instance, next_kind, selector_for, telling_kind


def test_no_service_no_stream():
    assert selector_for(LogKind.EVENTS, "") is None


def test_each_kind_has_its_stream(fake):
    shop = fake.service("x", 1)
    deployment = fake.operation(shop, 1)
    assert selector_for(LogKind.EVENTS, "s", instance_id="i", deployment=deployment) == LogSelector(
        service_id="s", kind=LogKind.EVENTS
    )
    assert selector_for(LogKind.APPLICATION, "s", instance_id="i").stream == "i"
    assert selector_for(LogKind.DEPLOYMENT, "s", deployment=deployment).stream == hex_of(deployment.id)


def test_the_highlighted_deployment_wins_where_it_has_a_log_of_this_service(fake):
    shop, other = fake.service("x", 1), fake.service("y", 2)
    old, new = fake.operation(shop, 1, ago_s=50), fake.operation(shop, 2, ago_s=5)
    pause = fake.operation(shop, 3, kind=OperationType.PAUSE_SERVICE)
    history = [pause, new, old]
    assert deployment_to_show(shop.service_id, old, history) is old
    assert deployment_to_show(shop.service_id, pause, history) is new
    assert deployment_to_show(shop.service_id, fake.operation(other, 4), history) is new
    assert deployment_to_show(shop.service_id, None, [pause]) is None


def test_the_telling_log(fake):
    shop = fake.service("x", 1, status=ServiceStatus.OPERATION_IN_PROGRESS)
    deploying = fake.operation(shop, 1, status=OperationStatus.IN_PROGRESS, step=OperationStep.BUILD)
    pausing = fake.operation(shop, 1, kind=OperationType.PAUSE_SERVICE, status=OperationStatus.IN_PROGRESS)
    assert telling_kind(fake.view(shop, operation=deploying)) is LogKind.DEPLOYMENT
    assert telling_kind(fake.view(shop, operation=pausing)) is LogKind.APPLICATION
    assert telling_kind(fake.view(shop, failure=fake.BUILD_FAILURE)) is LogKind.DEPLOYMENT
    assert telling_kind(None) is LogKind.APPLICATION


def test_tabs_and_instances_go_round():
    assert next_kind(LogKind.APPLICATION, 1) is LogKind.EVENTS
    assert next_kind(LogKind.EVENTS, -1) is LogKind.APPLICATION
    assert [next_instance("", ("a", "b")), next_instance("a", ("a", "b")), next_instance("b", ("a", "b"))] == [
        "a",
        "b",
        "",
    ]
    assert next_instance("gone", ("a",)) == ""
