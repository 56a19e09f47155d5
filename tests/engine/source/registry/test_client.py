"""What a tag points to, asked of a real registry and of a small server that misbehaves on request."""

import base64
import contextlib
import hashlib
import http.server
import json
import shutil
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from engine.source.registry import client as client_module
from engine.source.registry.client import Moved, RegistryError, look_up, next_look_s, retry_after
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import parse_reference
from tests.docker.registry import PROGRAM, Registry

USER = "me:$2b$04$wPBztOa4Tgjg7iLJRviIZeN4VFQtWF4zB1xntdaFeBDtx6HhyJNuS\n"
MINE = Credentials(username="me", password="secret")
DIGEST = "sha256:" + "ab" * 32
MEDIA = "application/vnd.docker.distribution.manifest.v2+json"


# A real registry.


def put_manifest(address: str, tag: str, text: str, user: str = "") -> str:
    """Push the smallest image there is: a configuration and no layers. Its digest."""

    def send(method: str, url: str, data: bytes = b"", kind: str = "application/octet-stream"):
        request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})
        if user:
            request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        return urllib.request.urlopen(request, timeout=10)

    config = json.dumps({"text": text}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    with send("POST", f"http://{address}/v2/shop/blobs/uploads/") as answer:
        where = answer.headers["Location"]
    send("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", config).close()
    about = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MEDIA, "config": about, "layers": []}).encode()
    with send("PUT", f"http://{address}/v2/shop/manifests/{tag}", manifest, MEDIA) as answer:
        return str(answer.headers["Docker-Content-Digest"])


@pytest.fixture
def real(tmp_path) -> Iterator[Callable[..., Registry]]:
    if not shutil.which(PROGRAM):
        pytest.skip("docker-registry is not on this machine")
    with contextlib.ExitStack() as running:

        def real(users: str = "") -> Registry:
            registry = Registry(tmp_path, users=users)
            registry.start()
            running.callback(registry.stop)
            return registry

        yield real


@pytest.mark.slow
async def test_a_tag_is_looked_up_and_looked_up_again_for_nothing_until_it_moves(real):
    registry = real()
    first = put_manifest(registry.address, "live", "one")
    reference = parse_reference(f"{registry.address}/shop:live")

    found = await look_up(reference, None)
    assert found.digest == first
    assert found.etag
    assert await look_up(reference, None, etag=found.etag) is None
    second = put_manifest(registry.address, "live", "two")
    assert (await look_up(reference, None, etag=found.etag)).digest == second != first


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shop:none", "nobody:live"])
async def test_what_is_not_there_is_said(real, name):
    registry = real()
    put_manifest(registry.address, "live", "one")
    with pytest.raises(RegistryError, match="has no image") as caught:
        await look_up(parse_reference(f"{registry.address}/{name}"), None)
    assert not caught.value.unreachable


@pytest.mark.slow
async def test_basic_credentials_are_used_and_missed(real):
    registry = real(users=USER)
    digest = put_manifest(registry.address, "live", "one", user="me:secret")
    reference = parse_reference(f"{registry.address}/shop:live")

    assert (await look_up(reference, MINE)).digest == digest
    with pytest.raises(RegistryError, match="without credentials"):
        await look_up(reference, None)
    with pytest.raises(RegistryError, match="with these credentials") as caught:
        await look_up(reference, Credentials(username="me", password="wr0ng"))
    assert "wr0ng" not in str(caught.value)


# A server that does as it is told.


class Server:
    """`answers[path]` is (status, headers, body), or a function of the handler."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.partition("?")[0]
                outer.seen.append((self.command, self.path, dict(self.headers), body))
                answer = outer.answers.get(path, (404, {}, b""))
                status, headers, text = answer(self) if callable(answer) else answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = answer  # noqa: N815 - the library's names

            def log_message(self, *args) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def reference(server):
    return parse_reference(f"{server.address}/app:1")


MANIFEST = "/v2/app/manifests/1"
FOUND = (200, {"Docker-Content-Digest": DIGEST, "ETag": '"e"'}, b"")


def with_token(server: Server, token: str = "t0ken"):
    """A manifest that wants a token from the server's own realm."""

    def manifest(handler):
        if handler.headers.get("Authorization") == f"Bearer {token}":
            return FOUND
        realm = f'Bearer realm="http://{server.address}/token",service="reg",scope="repository:app:pull"'
        return 401, {"WWW-Authenticate": realm}, b""

    return manifest


async def test_a_token_is_fetched_where_the_registry_says(server, reference):
    server.answers[MANIFEST] = with_token(server)
    server.answers["/token"] = (200, {}, b'{"token": "t0ken"}')

    assert await look_up(reference, MINE) == Moved(digest=DIGEST, etag='"e"')
    _, path, headers, _ = next(seen for seen in server.seen if seen[1].startswith("/token"))
    assert "service=reg" in path
    assert "scope=repository%3Aapp%3Apull" in path
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()


async def test_an_identity_token_is_exchanged(server, reference):
    server.answers[MANIFEST] = with_token(server)
    server.answers["/token"] = (200, {}, b'{"access_token": "t0ken"}')
    await look_up(reference, Credentials(identity_token="refresh-me"))

    method, _, _, body = next(seen for seen in server.seen if seen[1].startswith("/token"))
    assert method == "POST"
    assert b"refresh_token=refresh-me" in body


async def test_without_a_header_the_manifest_is_hashed(server, reference):
    server.answers[MANIFEST] = (200, {}, b"{}")
    assert (await look_up(reference, None)).digest == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


@pytest.mark.parametrize(
    ("answer", "said", "unreachable"),
    [
        ((404, {}, b""), "has no image", False),
        ((403, {}, b""), "does not let", False),
        ((401, {}, b""), "does not let", False),
        ((429, {"Retry-After": "120"}, b""), "takes no more requests", False),
        ((503, {}, b""), "answered with an error (503)", False),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "does not answer as a registry does (302)", True),
        ((418, {}, b""), "does not answer as a registry does", True),
        ((401, {"WWW-Authenticate": 'Bearer service="x"'}, b""), "does not say from where", False),
    ],
)
async def test_what_goes_wrong_is_one_sentence(server, reference, answer, said, unreachable):
    server.answers[MANIFEST] = answer
    with pytest.raises(RegistryError) as caught:
        await look_up(reference, None)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.unreachable is unreachable
    assert caught.value.retry_after_s == (120 if answer[0] == 429 else None)


async def test_a_token_that_cannot_be_read_is_said(server, reference):
    server.answers[MANIFEST] = with_token(server)
    server.answers["/token"] = (200, {}, b"<html>")
    with pytest.raises(RegistryError, match="no token that could be read"):
        await look_up(reference, None)


async def test_silence_ends_after_the_timeout(server, reference, monkeypatch):
    monkeypatch.setattr(client_module, "_TIMEOUT_S", 0.2)
    released = threading.Event()

    def silent(_):
        released.wait(10)
        return FOUND

    server.answers[MANIFEST] = silent
    try:
        with pytest.raises(RegistryError, match="did not answer in time") as caught:
            await look_up(reference, None)
    finally:
        released.set()
    assert caught.value.unreachable


async def test_nobody_there_is_said_and_plain_http_is_for_loopback_only(unused_tcp_port):
    with pytest.raises(RegistryError, match="cannot be reached") as caught:
        await look_up(parse_reference(f"127.0.0.1:{unused_tcp_port}/app:1"), None)
    assert caught.value.unreachable


# When to look.


def test_looks_are_spread_and_back_off():
    first = next_look_s(60, 0, None, seed="a")
    assert 60 <= first <= 66
    assert next_look_s(60, 0, None, seed="a") == first
    assert next_look_s(60, 3, None, seed="a") >= 480
    assert next_look_s(60, 99, None, seed="a") <= 1980
    assert next_look_s(60, 1, 7200.0, seed="a") == 7200.0


@pytest.mark.parametrize(
    ("header", "expected"),
    [("120", 120.0), ("", None), ("soon", None), ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0), ("999999999", 86400.0)],
)
def test_when_to_try_again(header, expected):
    assert retry_after(header, 60.0) == expected
