"""The whole path through the engine: from a repository to a served request and back to nothing."""

import asyncio
import json
import subprocess

import psutil
import pytest

from engine.engine import Engine
from engine.model.actions.auto_scaling import (
    CreateAutoScalingConfigurationRequest,
    ListAutoScalingConfigurationsRequest,
)
from engine.model.actions.service import (
    DeleteServiceRequest,
    DescribeServiceRequest,
    ListServicesRequest,
    PauseServiceRequest,
    ResumeServiceRequest,
    StartDeploymentRequest,
    UpdateServiceRequest,
)
from engine.model.actions.trail import LookupEventsRequest
from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogKind
from engine.model.metric import MetricName, MetricQuery
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol, ServiceStatus
from engine.model.watch import InspectSourceRequest
from tests.engine.computes import on_both

pytestmark = pytest.mark.slow


@on_both
async def test_from_a_repository_to_a_service_and_back_to_nothing(driver, repository):
    first = repository.service("one")
    service = await driver.create(repository.path)
    assert service.status is ServiceStatus.OPERATION_IN_PROGRESS

    service = await driver.settled(service)
    assert service.status is ServiceStatus.RUNNING, await driver.operation(service)
    assert await driver.operations(service) == ["CREATE_SERVICE SUCCEEDED"]
    assert await driver.get(service, "/a") == (200, "one")
    operation = await driver.operation(service)
    assert first[:7] in operation.note

    # Logs and metrics show it.
    async def application_saw_it():
        return "request /a" in await driver.lines(service, LogKind.APPLICATION)

    await driver.eventually(application_saw_it)
    events = await driver.lines(service, LogKind.EVENTS)
    assert events[0] == "[AppRunner] Service creation started."
    assert events[-1] == "[AppRunner] Service status is set to RUNNING."
    deployment = await driver.lines(service, LogKind.DEPLOYMENT, operation.id.replace("-", ""))
    assert "[Build] $ echo building" in deployment

    async def metrics_saw_it():
        now = service.created_at
        answer = await driver.engine.query_metrics(
            MetricQuery(
                service_id=service.service_id,
                metrics=(MetricName.REQUESTS, MetricName.MEMORY_BYTES),
                start=now - 5,
                end=now + 60,
            )
        )
        requests, memory = (series.values for series in answer.series)
        return sum(value or 0 for value in requests) >= 1 and any(value for value in memory)

    await driver.eventually(metrics_saw_it)

    # A change, committed and deployed.
    repository.service("two")
    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    service = await driver.settled(service)
    assert (await driver.operations(service))[0] == "START_DEPLOYMENT SUCCEEDED"
    assert await driver.get(service) == (200, "two")

    # Pause, twice; resume, twice.
    paused = await driver.engine.call(PauseServiceRequest(service_arn=service.service_arn))
    assert paused.operation_id
    service = await driver.settled(service)
    assert service.status is ServiceStatus.PAUSED
    status, text = await driver.get(service)
    assert (status, "paused" in text) == (503, True)
    again = await driver.engine.call(PauseServiceRequest(service_arn=service.service_arn))
    assert (again.operation_id, again.service.status) == (None, ServiceStatus.PAUSED)
    await driver.engine.call(ResumeServiceRequest(service_arn=service.service_arn))
    service = await driver.settled(service)
    assert await driver.get(service) == (200, "two")
    again = await driver.engine.call(ResumeServiceRequest(service_arn=service.service_arn))
    assert (again.operation_id, again.service.status) == (None, ServiceStatus.RUNNING)

    # Delete: nothing is left.
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    assert before
    await driver.engine.call(DeleteServiceRequest(service_arn=service.service_arn))
    service = await driver.settled(service)
    assert service.status is ServiceStatus.DELETED
    assert service.deleted_at
    assert (await driver.engine.call(ListServicesRequest())).service_summary_list == ()
    assert (await driver.get(service))[0] == 404
    assert not (driver.home.artifacts / service.service_id).exists()
    assert list(driver.home.instances.iterdir()) == []
    assert list(driver.home.mirrors.glob("*.git")) == []
    listening = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(driver.home.path / "instances") not in listening


async def test_a_failed_deployment_leaves_the_old_version_and_its_configuration(driver, repository):
    repository.service("good")
    service = await driver.settled(await driver.create(repository.path))
    repository.commit("Break it", server__py="import sys; print('no database', flush=True); sys.exit(7)")

    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    service = await driver.settled(service)

    assert service.status is ServiceStatus.RUNNING
    assert (await driver.operations(service))[0] == "START_DEPLOYMENT ROLLBACK_SUCCEEDED"
    failure = await driver.failure(service)
    assert failure.exit_code == 7
    assert "no database" in failure.evidence
    assert await driver.get(service) == (200, "good")


async def test_no_request_is_lost_while_a_version_replaces_another(driver, repository):
    repository.service("one")
    service = await driver.settled(await driver.create(repository.path))
    answers: list[tuple[int, str]] = []
    deployed = asyncio.Event()

    async def ask():
        while not deployed.is_set():
            answers.append(await driver.get(service))

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    repository.service("two")
    await driver.engine.call(StartDeploymentRequest(service_arn=service.service_arn))
    await driver.settled(service)
    await asyncio.sleep(0.3)
    deployed.set()
    await asyncio.gather(*asking)

    assert {status for status, _ in answers} == {200}
    assert answers[0][1] == "one"
    assert answers[-1][1] == "two"


async def test_an_update_of_the_configuration_alone_builds_nothing(driver, repository):
    repository.service("one")
    service = await driver.settled(await driver.create(repository.path))
    repository.service("two")

    check = HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path="/health", interval=1)
    answer = await driver.engine.call(
        UpdateServiceRequest(service_arn=service.service_arn, health_check_configuration=check)
    )
    assert answer.service.health_check_configuration.path == "/health"
    service = await driver.settled(service)

    assert (await driver.operations(service))[0] == "UPDATE_SERVICE SUCCEEDED"
    assert await driver.get(service) == (200, "one")
    assert "[AppRunner] Service update completed successfully. New configuration is deployed." in await driver.lines(
        service, LogKind.EVENTS
    )


async def test_a_service_has_as_many_instances_as_its_min_size_and_loses_no_request_on_the_way(driver, repository):
    repository.service()
    server = (repository.path / "server.py").read_text()
    repository.commit("Say who", server__py=server.replace('b"hello"', "str(os.getpid()).encode()"))
    service = await driver.settled(await driver.create(repository.path))
    made = await driver.engine.call(
        CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name="three", min_size=3)
    )
    stop = asyncio.Event()

    async def ask() -> set[str]:
        seen = set()
        while not stop.is_set():
            status, pid = await driver.get(service)
            assert status == 200
            seen.add(pid)
        return seen

    asking = asyncio.create_task(ask())
    await driver.engine.call(
        UpdateServiceRequest(
            service_arn=service.service_arn,
            auto_scaling_configuration_arn=made.auto_scaling_configuration.auto_scaling_configuration_arn,
        )
    )
    updated = await driver.settled(service)
    assert updated.auto_scaling_configuration_summary.auto_scaling_configuration_name == "three"
    stop.set()
    await asking
    pids = set(await asyncio.gather(*(driver.get(service) for _ in range(30))))
    assert len(pids) == 3, "each instance answers"


async def test_the_trail_knows_who_did_what_also_after_a_restart(home, engine_settings, driver_for, repository):
    repository.service()
    engine = await Engine.open(home, engine_settings)
    driver = driver_for(engine)
    service = await driver.settled(await driver.create(repository.path))
    with pytest.raises(EngineError):
        await driver.engine.call(DescribeServiceRequest(service_arn=service.service_arn[:-1] + "x"))
    await engine.close()
    engine = await Engine.open(home, engine_settings)

    answer = await engine.call(LookupEventsRequest())

    await engine.close(stop_instances=True)
    calls = [(event.event_name, event.username, json.loads(event.cloud_trail_event)) for event in answer.events]
    assert [name for name, _, _ in calls if name != "DescribeService"] == ["CreateService"]
    name, user, refused = calls[0]
    assert (name, user, refused["errorCode"]) == ("DescribeService", "screen", "ResourceNotFoundException")
    created = calls[-1][2]
    assert created["responseElements"]["service"]["serviceArn"] == service.service_arn
    assert [each.resource_name for each in answer.events[-1].resources] == [service.service_arn]


async def test_an_instance_that_dies_is_replaced_and_an_event_says_why(driver, repository):
    repository.service("alive")
    service = await driver.settled(await driver.create(repository.path))
    async with driver.engine.watch_services() as changes:
        async for change in changes:
            (instance,) = change.changed[0].instances
            break
    victim = psutil.Process(instance.handle.pid)
    for process in (*victim.children(recursive=True), victim):
        process.kill()

    async def replaced():
        async with driver.engine.watch_services() as changes:
            async for change in changes:
                fresh = change.changed[0].instances
                return any(other.id != instance.id and other.state == "ready" for other in fresh)
        raise AssertionError("no snapshot")

    await driver.eventually(replaced, 20)
    assert await driver.get(service) == (200, "alive")
    events = "\n".join(await driver.lines(service, LogKind.EVENTS))
    assert f"Instance {instance.id[:8]}" in events
    assert "being replaced" in events


async def test_what_ended_while_no_engine_ran_is_replaced_and_nobody_is_blamed(repository, reopen):
    repository.service("back again")
    driver = await reopen()
    service = await driver.settled(await driver.create(repository.path))
    async with driver.engine.watch_services() as changes:
        async for change in changes:
            (instance,) = change.changed[0].instances
            break
    await driver.engine.close()
    victim = psutil.Process(instance.handle.pid)
    for process in (*victim.children(recursive=True), victim):
        process.kill()

    driver = await reopen()
    try:

        async def answers():
            return await driver.get(service) == (200, "back again")

        await driver.eventually(answers, 20)
        assert (await driver.describe(service)).status is ServiceStatus.RUNNING
        assert await driver.operations(service) == ["CREATE_SERVICE SUCCEEDED"]
        events = "\n".join(await driver.lines(service, LogKind.EVENTS))
        assert "while Homerun was not running." in events
    finally:
        await driver.engine.close(stop_instances=True)


async def test_an_edge_that_dies_comes_back_with_its_routes(driver, repository):
    repository.service("still here")
    service = await driver.settled(await driver.create(repository.path))
    edge_url = driver.engine.edge_url
    edge = psutil.Process(json.loads(driver.home.edge_record.read_text())["pid"])
    assert "engine.edge" in edge.cmdline()
    edge.kill()

    async def answers():
        try:
            return await driver.get(service) == (200, "still here")
        except OSError:
            return False

    await driver.eventually(answers)
    assert driver.engine.edge_url == edge_url


class TestTheDoor:
    async def test_names_are_unique_and_described_things_exist(self, driver, repository):
        repository.service()
        service = await driver.create(repository.path)
        with pytest.raises(EngineError) as caught:
            await driver.create(repository.path)
        assert caught.value.code is ErrorCode.INVALID_REQUEST
        assert str(caught.value) == "Service with the provided name already exists: test-service."
        missing = service.service_arn[:-4] + "beef"
        with pytest.raises(EngineError) as caught:
            await driver.engine.call(DescribeServiceRequest(service_arn=missing))
        assert caught.value.code is ErrorCode.RESOURCE_NOT_FOUND
        await driver.settled(service)

    async def test_a_busy_service_refuses_other_operations_in_app_runners_words(self, driver, repository):
        repository.service()
        service = await driver.create(repository.path)
        arn = service.service_arn

        with pytest.raises(EngineError) as caught:
            await driver.engine.call(StartDeploymentRequest(service_arn=arn))
        assert caught.value.code is ErrorCode.INVALID_REQUEST
        assert "it isn't in RUNNING state" in str(caught.value)
        with pytest.raises(EngineError) as caught:
            await driver.engine.call(UpdateServiceRequest(service_arn=arn))
        assert caught.value.code is ErrorCode.INVALID_STATE
        assert str(caught.value) == "Service cannot be updated in the current state: OPERATION_IN_PROGRESS."
        with pytest.raises(EngineError) as caught:
            await driver.engine.call(DeleteServiceRequest(service_arn=arn))
        assert caught.value.code is ErrorCode.INVALID_STATE
        await driver.settled(service)

    async def test_pages_visit_everything_once(self, driver, repository):
        repository.commit("nothing here")
        created = [await driver.create(repository.path, f"service-{n}") for n in range(7)]

        seen, token = [], None
        while True:
            page = await driver.engine.call(ListServicesRequest(max_results=3, next_token=token))
            seen += [summary.service_id for summary in page.service_summary_list]
            token = page.next_token
            if token is None:
                break

        assert seen == [service.service_id for service in created]
        with pytest.raises(EngineError):
            await driver.engine.call(ListServicesRequest(next_token="nonsense!"))
        for service in created:
            await driver.settled(service)


class TestInspecting:
    async def test_a_source_is_described_before_anything_is_created(self, driver, repository):
        commit = repository.service("x")
        answer = await driver.engine.inspect_source(InspectSourceRequest(repository_url=str(repository.path)))

        assert answer.problem is None
        assert (answer.kind, answer.default_branch, answer.branches) == ("git", "main", ("main",))
        assert answer.revision.id == commit
        assert (answer.config_file, answer.runtime, answer.port) == ("apprunner.yaml", "python3", 8080)
        assert (answer.build_commands, answer.start_command) == (("echo building",), "python3 server.py")
        assert answer.suggested_name == "repository"

    async def test_a_faulty_file_is_found_and_its_fault_told(self, driver, repository):
        repository.commit(apprunner__yaml="version: 1.0\nruntime: python3\n")
        answer = await driver.engine.inspect_source(InspectSourceRequest(repository_url=str(repository.path)))

        assert answer.config_file == "apprunner.yaml"
        assert "run" in answer.problem.message

    async def test_without_a_file_something_is_suggested(self, driver, repository):
        repository.commit(requirements__txt="flask\n", app__py="from flask import Flask\napp = Flask(__name__)\n")
        answer = await driver.engine.inspect_source(InspectSourceRequest(repository_url=str(repository.path)))

        assert answer.config_file == ""
        assert "pip" in answer.suggested_build
        assert answer.suggested_start


async def test_a_change_whose_caller_gives_up_is_done_and_recorded(home, engine_settings):
    engine = await Engine.open(home, engine_settings)
    try:
        for number in range(8):
            request = CreateAutoScalingConfigurationRequest(auto_scaling_configuration_name=f"conf-{number}")
            call = asyncio.ensure_future(engine.call(request))
            for _ in range(number):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await asyncio.sleep(0.3)
        listed = await engine.call(ListAutoScalingConfigurationsRequest())
        events = (await engine.call(LookupEventsRequest())).events
        made = [each.auto_scaling_configuration_name for each in listed.auto_scaling_configuration_summary_list]
        recorded = [
            json.loads(event.cloud_trail_event)["requestParameters"]["autoScalingConfigurationName"]
            for event in events
            if event.event_name == "CreateAutoScalingConfiguration"
        ]
        assert sorted(recorded) == sorted(set(made) - {"DefaultConfiguration"})
        assert recorded
    finally:
        await engine.close()
