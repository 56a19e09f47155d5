"""What only the attach socket has: versions, windows, clients that go, engines that go, frames that are none."""

import asyncio
import inspect
import typing
from pathlib import Path

import msgspec
import pytest

from engine.api import attach_protocol as protocol
from engine.api.attached import AttachedEngine, AttachMismatch
from engine.model.actions.service import DescribeServiceRequest, PauseServiceRequest
from engine.model.actions.table import ACTIONS
from engine.model.api import EngineApi
from engine.model.errors import EngineError, ErrorCode
from engine.model.log import LogKind, LogSelector
from engine.model.watch import InspectSourceRequest

SELECTOR = LogSelector(service_id="s", kind=LogKind.APPLICATION)


def test_the_table_is_the_protocol():
    """Every method of EngineApi is in the table with its own types, and nothing else is."""
    methods = {name: each for name, each in vars(EngineApi).items() if inspect.isfunction(each) and name[0] != "_"}
    actions = {method.name for method in protocol.ACTION_METHODS.values()}
    table = {name: method for name, method in {**protocol.CALLS, **protocol.WATCHES}.items() if name not in actions}
    del methods["call"]  # it takes every action: see the next test
    assert set(table) == set(methods)
    for name, function in methods.items():
        hints = typing.get_type_hints(function)
        result = hints.pop("return")
        if name in protocol.WATCHES:
            (iterator, *_) = typing.get_args(result)
            (result,) = typing.get_args(iterator)
        assert table[name].result is result
        assert typing.get_args(table[name].arguments) == tuple(hints.values())


def test_every_action_can_be_called_by_whoever_attaches():
    methods = protocol.ACTION_METHODS
    assert set(methods) == set(ACTIONS)
    for shape, action in ACTIONS.items():
        assert methods[shape].result is action.response
        assert methods[shape].mutates == action.mutates
        assert protocol.CALLS[methods[shape].name] is methods[shape]


async def test_an_attached_engine_is_an_engine_api(attached):
    api: EngineApi = attached
    assert callable(api.call)
    for name in protocol.WATCHES:
        assert callable(getattr(api, name))


async def test_an_unread_watch_stops_the_engine_from_producing(attached, engine, eventually):
    """At most the window is under way; reading on makes room for more."""
    async with attached.watch_logs(SELECTOR, 10_000) as batches:
        await eventually(lambda: engine.pulled == protocol.WINDOW)
        await asyncio.sleep(0.05)
        assert engine.pulled == protocol.WINDOW
        for _ in range(protocol.WINDOW):
            await anext(batches)
        await eventually(lambda: engine.pulled > protocol.WINDOW)
        assert engine.pulled <= 2 * protocol.WINDOW


async def test_an_unread_watch_leaves_the_others_and_the_calls_alone(attached):
    async with attached.watch_logs(SELECTOR, 10_000), attached.watch_services() as changes:
        assert (await anext(changes)).snapshot
        assert (await attached.info()).region == "us-east-1"


async def test_when_the_client_goes_its_watches_and_questions_end(host, engine, eventually):
    attached = await AttachedEngine.connect(Path(host.record.socket))
    engine.hold.clear()
    watch = attached.watch_services()
    changes = await watch.__aenter__()
    await anext(changes)
    question = asyncio.create_task(attached.inspect_source(InspectSourceRequest(repository_url="/x")))
    await eventually(lambda: engine.requests and engine.watching)
    await attached.aclose()
    await eventually(lambda: engine.cancelled == ["inspect_source"] and engine.watching == 0)
    with pytest.raises(ConnectionError):
        await question
    with pytest.raises(ConnectionError):
        await anext(changes)
    await watch.__aexit__(None, None, None)
    with pytest.raises(ConnectionError):
        await attached.info()


async def test_a_change_that_was_begun_is_finished_when_the_client_goes(host, engine, eventually):
    service = engine.add("hello")
    attached = await AttachedEngine.connect(Path(host.record.socket))
    engine.hold.clear()
    call = asyncio.create_task(attached.call(PauseServiceRequest(service_arn=service.service_arn)))
    await eventually(lambda: engine.requests)
    await attached.aclose()
    with pytest.raises(ConnectionError):
        await call
    engine.hold.set()
    await eventually(lambda: engine.finished == ["pause_service"])


async def test_when_the_engine_goes_everything_says_so(open_host, engine, eventually):
    async with open_host() as host:
        attached = await AttachedEngine.connect(Path(host.record.socket))
        engine.hold.clear()
        watch = attached.watch_services()
        changes = await watch.__aenter__()
        await anext(changes)
        question = asyncio.create_task(attached.inspect_source(InspectSourceRequest(repository_url="/x")))
        await eventually(lambda: engine.requests)
    with pytest.raises(ConnectionError, match="The engine has gone away"):
        await question
    with pytest.raises(ConnectionError, match="The engine has gone away"):
        await anext(changes)
    await watch.__aexit__(None, None, None)
    with pytest.raises(ConnectionError, match="The engine has gone away"):
        await attached.info()
    with pytest.raises(ConnectionError, match="The engine has gone away"):
        async with attached.watch_services():
            pytest.fail("entered")
    await attached.aclose()


async def test_no_engine_at_all_is_a_connection_error(tmp_path):
    with pytest.raises(ConnectionError, match="No engine answers at"):
        await AttachedEngine.connect(tmp_path / "none.sock")


@pytest.mark.parametrize("theirs", [("PROTOCOL", 99), ("VERSION", "9.9.9")])
async def test_another_version_is_refused_with_what_to_do(host, monkeypatch, theirs):
    """The handshake compares protocol and version; the message names the engine's version."""
    socket = Path(host.record.socket)
    monkeypatch.setattr(f"engine.api.attach.{theirs[0]}", theirs[1])
    with pytest.raises(AttachMismatch, match="homerun stop"):
        await AttachedEngine.connect(socket)


async def test_a_socket_of_something_else_is_no_engine(tmp_path):
    async def other(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(other, tmp_path / "s")
    async with server:
        with pytest.raises(ConnectionError):
            await AttachedEngine.connect(tmp_path / "s")


async def test_a_request_outside_its_limits_is_refused_by_name(attached):
    with pytest.raises(EngineError) as caught:
        await attached.call(DescribeServiceRequest(service_arn="not an arn"))
    assert caught.value.code is ErrorCode.INVALID_REQUEST
    assert "Value 'not an arn' at 'serviceArn' failed to satisfy constraint" in caught.value.message


async def test_an_unexpected_error_is_logged_and_told_without_its_traceback(attached, engine, caplog):
    engine.crash = RuntimeError("secret detail")
    with pytest.raises(EngineError) as caught:
        await attached.call(DescribeServiceRequest(service_arn="arn:aws:apprunner:us-east-1:000000000000:service/a"))
    assert caught.value.code is ErrorCode.INTERNAL
    assert "secret detail" not in caught.value.message
    assert "secret detail" in caplog.text


async def _raw(host):
    reader, writer = await asyncio.open_unix_connection(host.record.socket)
    writer.write(
        b"GET /attach HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: homerun-attach\r\n"
        + f"Homerun-Protocol: {protocol.PROTOCOL}\r\nHomerun-Version: {protocol.VERSION}\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    assert isinstance(await protocol.read_frame(reader, protocol.SERVER_FRAMES), protocol.Hello)
    return reader, writer


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x00",
        protocol.encode_frame(protocol.Call(id=1, method="close", arguments=protocol.pack(()))),
        protocol.encode_frame(protocol.Call(id=1, method="__init__", arguments=protocol.pack(()))),
        protocol.encode_frame(protocol.Call(id=1, method="watch_services", arguments=protocol.pack(()))),
        protocol.encode_frame(protocol.Watch(id=1, method="info", arguments=protocol.pack(()))),
    ],
)
async def test_what_is_no_frame_or_no_method_ends_the_connection_and_nothing_else(host, engine, sent):
    """Only methods of EngineApi can be called, each in its own way."""
    reader, writer = await _raw(host)
    writer.write(sent)
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()
    assert engine.closed_with is None
    async with await AttachedEngine.connect(Path(host.record.socket)) as attached:
        await attached.info()


async def test_a_number_cannot_be_used_twice_at_a_time(host, engine):
    engine.hold.clear()
    reader, writer = await _raw(host)
    frame = protocol.Call(
        id=7, method="inspect_source", arguments=protocol.pack((InspectSourceRequest(repository_url="/x"),))
    )
    writer.write(protocol.encode_frame(frame) * 2)
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()


async def test_arguments_of_the_wrong_shape_are_refused(host):
    reader, writer = await _raw(host)
    writer.write(
        protocol.encode_frame(protocol.Call(id=1, method="query_logs", arguments=msgspec.Raw(b"\x91\x01")))
        + protocol.encode_frame(protocol.Call(id=2, method="info", arguments=protocol.pack((1, 2))))
    )
    for _ in range(2):
        refused = await protocol.read_frame(reader, protocol.SERVER_FRAMES)
        assert isinstance(refused, protocol.Refused)
        assert refused.code == "InvalidRequestException"
    writer.close()


async def test_get_attach_without_the_upgrade_is_told_what_it_is_for(host):
    reader, writer = await asyncio.open_unix_connection(host.record.socket)
    writer.write(b"GET /attach HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 426 ")
    writer.close()


async def test_tcp_does_not_offer_attach(host):
    address, port = host.record.api.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(
        b"GET /attach HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: homerun-attach\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    answers = await reader.read()
    assert answers.startswith(b"HTTP/1.1 404 ")
    assert answers.endswith(b"ok\n")
    writer.close()
