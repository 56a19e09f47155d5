"""The engine's API: which version is spoken, what a call sends, and trouble in plain words."""

import asyncio
import base64
import errno
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compute.base import ComputeUnavailable
from engine.compute.docker.api import ApiError, DockerApi, EngineVersion, _objects, spoken_version, unavailable
from engine.compute.docker.http import Broken, Endpoint
from engine.model.errors import HomerunError

PODMAN = [{"Name": "Podman Engine"}, {"Name": "Conmon"}]


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [("1.41", "1.12", "1.41"), ("1.47", "1.24", "1.41"), ("1.52", "1.44", "1.44"), ("1.41", "", "1.41")],
)
def test_the_oldest_version_that_both_know_is_spoken(newest, oldest, spoken):
    answer = {"Version": "x", "ApiVersion": newest, "MinAPIVersion": oldest}

    assert spoken_version(answer) == EngineVersion(name="docker", version="x", api=spoken)


def test_podman_is_recognised():
    answer = {"Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24", "Components": PODMAN}

    assert spoken_version(answer) == EngineVersion(name="podman", version="4.3.1", api="1.41")


@pytest.mark.parametrize("newest", ["1.24", "1.40", "1.9", "", None, "latest"])
def test_an_engine_that_is_too_old_is_refused_with_what_to_do(newest):
    with pytest.raises(ComputeUnavailable) as caught:
        spoken_version({"Version": "17.03", "ApiVersion": newest})

    assert caught.value.cause.startswith("The container engine (docker 17.03) is too old")
    assert "Docker 20.10" in caught.value.hint


WHERE = Endpoint(path="/x.sock")


@pytest.mark.parametrize(
    ("cause", "said", "hint"),
    [
        (FileNotFoundError(errno.ENOENT, "x"), "There is no container engine at unix:///x.sock.", "systemctl start"),
        (
            PermissionError(errno.EACCES, "x"),
            "The container engine at unix:///x.sock may not be used by this user.",
            "usermod -aG docker",
        ),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "The container engine at unix:///x.sock does not run.", "S"),
        (TimeoutError(), "The container engine at unix:///x.sock does not take connections.", "Restart"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset"), "broke: gone", "Restart"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "broke: gone", "Restart"),
        (OSError(errno.EMFILE, "Too many open files"), "broke: gone", "Restart"),
        (None, "The connection to the container engine at unix:///x.sock broke: gone.", "Restart"),
    ],
)
def test_every_trouble_is_one_sentence_with_what_to_do(cause, said, hint):
    error = unavailable(WHERE, Broken("gone.", cause))

    assert said in error.cause
    assert error.cause.endswith(".")
    assert not error.cause.endswith("..")
    assert hint in error.hint
    assert str(error) == f"{error.cause} {error.hint}"


async def collected(parts) -> list[dict]:
    async def stream():
        for part in parts:
            yield part

    return [message async for message in _objects(stream())]


@given(
    st.lists(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3), max_size=5),
    st.lists(st.integers(0, 400), max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    st.booleans(),
)
def test_messages_may_be_torn_at_any_byte(messages, cuts, between, ends):
    data = between.join(json.dumps(message, ensure_ascii=False).encode() for message in messages)
    data += between if ends else b""
    at = sorted(min(cut, len(data)) for cut in cuts)
    parts = [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]

    assert asyncio.run(collected(parts)) == messages


async def test_a_call_goes_to_the_spoken_version_with_its_query_and_body(fake_engine):
    fake_engine.answers["POST /containers/create"] = (201, {"Id": "c"})
    api = DockerApi(fake_engine.endpoint)
    query = {"name": "a b&c", "filters": {"label": ["x=y"]}, "all": "1"}
    headers = {"X-Registry-Auth": base64.b64encode(b"{}").decode()}

    assert await api.call("POST", "/containers/create", query=query, body={"Image": "ü"}, headers=headers) == {
        "Id": "c"
    }
    version, call = fake_engine.calls
    assert (version.path, call.version) == ("/version", "1.41")
    assert call.query == {"name": "a b&c", "filters": '{"label": ["x=y"]}', "all": "1"}
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-registry-auth"] == "e30="
    assert json.loads(call.body) == {"Image": "ü"}


async def test_the_version_is_asked_once_and_again_when_the_connection_broke(fake_engine):
    fake_engine.answers["GET /info"] = {}
    api = DockerApi(fake_engine.endpoint)
    await api.call("GET", "/info")
    await api.call("GET", "/info")
    assert len(fake_engine.called("GET /version")) == 1

    await fake_engine.stop()
    with pytest.raises(ComputeUnavailable, match="There is no container engine"):
        await api.call("GET", "/info")
    await fake_engine.start()
    await api.call("GET", "/info")
    assert len(fake_engine.called("GET /version")) == 2


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ((404, {"message": "No such container: x"}), 404, "No such container: x"),
        ((500, {"cause": "out of luck", "message": ""}), 500, "out of luck"),
        ((409, {"other": 1}), 409, '{"other": 1}'),
        ((400, "just text"), 400, '"just text"'),
        ((302, None), 302, ""),
    ],
)
async def test_a_refusal_has_the_engines_own_words(fake_engine, answer, status, said):
    fake_engine.answers["GET /x"] = answer
    with pytest.raises(ApiError) as caught:
        await DockerApi(fake_engine.endpoint).call("GET", "/x")

    assert (caught.value.status, caught.value.message) == (status, said)


async def test_a_refused_stream_is_a_refusal(fake_engine):
    fake_engine.answers["GET /events"] = (403, {"message": "denied by a plugin"})
    with pytest.raises(ApiError, match="denied by a plugin"):
        async with DockerApi(fake_engine.endpoint).messages("GET", "/events") as messages:
            _ = [message async for message in messages]


async def test_an_empty_answer_is_none(fake_engine):
    fake_engine.answers["POST /containers/x/start"] = (204, None)

    assert await DockerApi(fake_engine.endpoint).call("POST", "/containers/x/start") is None


async def test_a_stream_of_messages_goes_on_until_the_engine_ends_it(fake_engine):
    async def events(_, send):
        for text in (b'{"a": 1}\n{"b"', b": 2}\r\n", b'{"c": 3}'):
            await send(text)

    fake_engine.answers["GET /events"] = events
    async with DockerApi(fake_engine.endpoint).messages("GET", "/events") as messages:
        assert [message async for message in messages] == [{"a": 1}, {"b": 2}, {"c": 3}]


async def test_a_stream_that_is_cut_off_is_unavailable(fake_engine):
    async def events(_, send):
        await send(b'{"a": 1}\n')
        await asyncio.sleep(60)

    fake_engine.answers["GET /events"] = events
    async with asyncio.timeout(10), DockerApi(fake_engine.endpoint).messages("GET", "/events") as messages:
        assert await anext(messages) == {"a": 1}
        await fake_engine.stop()
        with pytest.raises(ComputeUnavailable, match="broke"):
            await anext(messages)


async def test_an_engine_that_hangs_is_given_up_with_a_sentence(fake_engine):
    async def hang(_, send):
        await asyncio.sleep(60)

    fake_engine.answers["GET /info"] = hang
    with pytest.raises(ComputeUnavailable, match=r"did not answer within 0\.1 s") as caught:
        await DockerApi(fake_engine.endpoint).call("GET", "/info", timeout_s=0.1)

    assert "restart it" in caught.value.hint


async def test_a_call_that_nobody_waits_for_any_more_ends(fake_engine):
    begun = asyncio.Event()

    async def hang(_, send):
        begun.set()
        await asyncio.sleep(60)

    fake_engine.answers["GET /info"] = hang
    calling = asyncio.create_task(DockerApi(fake_engine.endpoint).call("GET", "/info"))
    await begun.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b'"text"', b"[1, 2]"], ids=["a page", "a text", "a list"])
async def test_something_else_that_speaks_http_is_no_engine(raw_server, body):
    """DOCKER_HOST points to some web server: that is said, and is no defect of Homerun."""

    async def handler(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    api = DockerApi(await raw_server(handler))
    with pytest.raises(HomerunError):
        await api.version()
