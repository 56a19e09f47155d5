"""The contract of EngineApi: the same tests on the engine itself and on an AttachedEngine in front of it."""

import asyncio
from pathlib import Path

import pytest

from engine.api.attached import AttachedEngine
from engine.model.actions.service import (
    CreateServiceRequest,
    DeleteServiceRequest,
    DescribeServiceRequest,
    ListOperationsRequest,
    ListServicesRequest,
    PauseServiceRequest,
    ResumeServiceRequest,
    StartDeploymentRequest,
    UpdateServiceRequest,
)
from engine.model.api import EngineApi
from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogKind, LogQuery, LogSelector
from engine.model.metric import MetricName, MetricQuery
from engine.model.service import CodeRepository, InstanceConfiguration, SourceCodeVersion, SourceConfiguration
from engine.model.watch import InspectSourceRequest

SELECTOR = LogSelector(service_id="s", kind=LogKind.APPLICATION)


def code_source() -> SourceConfiguration:
    return SourceConfiguration(
        code_repository=CodeRepository(
            repository_url="/srv/hello", source_code_version=SourceCodeVersion(type="BRANCH", value="main")
        )
    )


@pytest.fixture(params=["embedded", "attached"])
async def api(request, engine, host):
    if request.param == "embedded":
        yield engine
        return
    async with await AttachedEngine.connect(Path(host.record.socket)) as attached:
        yield attached


async def test_every_action_answers_with_its_own_shape(api: EngineApi, engine):
    """Create, describe, list, update, deploy, pause, resume, list operations and delete a service."""
    created = await api.call(CreateServiceRequest(service_name="hello", source_configuration=code_source()))
    arn = created.service.service_arn
    described = await api.call(DescribeServiceRequest(service_arn=arn))
    assert described.service == created.service == engine.services[arn]
    updated = await api.call(
        UpdateServiceRequest(service_arn=arn, instance_configuration=InstanceConfiguration(cpu="1 vCPU"))
    )
    assert updated.service == created.service
    assert engine.requests[-1].instance_configuration.cpu == "1 vCPU"
    deployed = await api.call(StartDeploymentRequest(service_arn=arn))
    paused = await api.call(PauseServiceRequest(service_arn=arn))
    assert paused.operation_id is None
    resumed = await api.call(ResumeServiceRequest(service_arn=arn))
    listed = await api.call(ListServicesRequest())
    assert [each.service_name for each in listed.service_summary_list] == ["hello"]
    operations = await api.call(ListOperationsRequest(service_arn=arn))
    ids = [each.id for each in operations.operation_summary_list]
    assert ids == [resumed.operation_id, deployed.operation_id, updated.operation_id, created.operation_id]
    deleted = await api.call(DeleteServiceRequest(service_arn=arn))
    assert deleted.service.service_arn == arn
    assert not engine.services


async def test_values_that_app_runner_has_no_action_for(api: EngineApi, host):
    info = await api.info()
    assert (info.api_url, info.socket) == (host.record.api, host.record.socket)
    found = await api.inspect_source(InspectSourceRequest(repository_url="/srv/hello"))
    assert found.branches == ("main",)
    page = await api.query_logs(LogQuery(selector=SELECTOR, limit=3))
    assert [line.text for line in page.lines] == [f"line {seq} \x1b[31m\u2028" for seq in range(3)]
    answer = await api.query_metrics(
        MetricQuery(service_id="s", metrics=(MetricName.CPU, MetricName.REQUESTS), start=1.0, end=2.0)
    )
    assert answer.series[1].metric is MetricName.REQUESTS
    assert answer.series[1].values == (1.0, None, 2.5)


async def test_a_refused_call_raises_engine_error_with_its_code(api: EngineApi):
    arn = "arn:aws:apprunner:us-east-1:000000000000:service/none/" + "0" * 32
    with pytest.raises(EngineError) as caught:
        await api.call(DescribeServiceRequest(service_arn=arn))
    assert caught.value.code is ErrorCode.RESOURCE_NOT_FOUND
    assert caught.value.message == f"Service not found: {arn}."


async def test_a_watch_begins_with_the_present_and_goes_on_with_changes(api: EngineApi, engine):
    engine.add("hello")
    async with api.watch_services() as changes:
        first = await anext(changes)
        assert first.snapshot
        assert [view.service.service_name for view in first.changed] == ["hello"]
        await engine.changed()
        assert (await anext(changes)).removed == ("1",)


async def test_changes_between_opening_and_reading_are_not_missed(api: EngineApi, engine):
    async with api.watch_services() as changes:
        service = engine.add("early")
        await engine.changed()
        seen = []
        async with asyncio.timeout(2):
            async for change in changes:
                seen += [view.service.service_arn for view in change.changed] + list(change.removed)
                if seen:
                    break
        assert seen[0] in {service.service_arn, "1"}


async def test_a_watch_that_ends_ends_the_loop(api: EngineApi, engine):
    service = engine.add("hello")
    await api.call(StartDeploymentRequest(service_arn=service.service_arn))
    async with api.watch_operations(service.service_id) as changes:
        got = [change async for change in changes]
    assert [change.changed for change in got] == [tuple(engine.operations)]


async def test_a_watch_that_is_refused_raises_on_entering(api: EngineApi):
    with pytest.raises(EngineError) as caught:
        async with api.watch_operations("missing"):
            pytest.fail("entered")
    assert caught.value.code is ErrorCode.RESOURCE_NOT_FOUND


async def test_a_watch_that_breaks_gives_what_it_had_and_then_raises(api: EngineApi):
    selector = LogSelector(service_id="s", kind=LogKind.DEPLOYMENT)
    async with api.watch_logs(selector, 3) as batches:
        assert [(await anext(batches)).lines[0].seq for _ in range(3)] == [0, 1, 2]
        with pytest.raises(EngineError, match="The stream broke"):
            await anext(batches)


async def test_a_long_watch_comes_whole_and_in_order(api: EngineApi):
    async with api.watch_logs(SELECTOR, 1000) as batches:
        assert [batch.lines[0].seq async for batch in batches] == list(range(1000))


async def test_leaving_a_watch_closes_it_in_the_engine(api: EngineApi, engine, eventually):
    async with api.watch_services() as changes:
        await anext(changes)
        assert engine.watching == 1
    await eventually(lambda: engine.watching == 0)


async def test_many_calls_at_once_get_their_own_answers(api: EngineApi, engine):
    services = [engine.add(f"service-{number}") for number in range(100)]
    answers = await asyncio.gather(
        *(api.call(DescribeServiceRequest(service_arn=each.service_arn)) for each in services)
    )
    assert [answer.service for answer in answers] == services


async def test_a_slow_call_does_not_hold_up_others(api: EngineApi, engine):
    engine.hold.clear()
    slow = asyncio.create_task(api.inspect_source(InspectSourceRequest(repository_url="/x")))
    await api.info()
    assert not slow.done()
    engine.hold.set()
    assert (await slow).kind == "git"


async def test_cancelling_a_call_cancels_it_in_the_engine(api: EngineApi, engine, eventually):
    engine.hold.clear()
    call = asyncio.create_task(api.inspect_source(InspectSourceRequest(repository_url="/x")))
    await eventually(lambda: engine.requests)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: engine.cancelled == ["inspect_source"])
