"""Where an engine is looked for, in which order, and which addresses are refused with what words."""

import hashlib
import json
import os

import pytest

from engine.compute.docker.http import Endpoint
from engine.compute.docker.locate import AddressError, locate, parse_host, sockets


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """A user without any engine; docker-py looks into the real environment, so that is this one, too."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.fixture
def context(environ, tmp_path):
    """`context("name", "unix:///…")` is one that the docker command made; `use` makes it the current one."""

    def context(name: str, host: str, *, use: bool = True) -> None:
        folder = tmp_path / ".docker"
        meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        meta.mkdir(parents=True)
        endpoint = {"docker": {"Host": host, "SkipTLSVerify": False}}
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoint}))
        (folder / "config.json").write_text(json.dumps({"currentContext": name} if use else {}))

    return context


def test_the_setting_wins_over_everything(environ, context):
    context("other", "unix:///context.sock")

    found = locate("unix:///setting.sock", {**environ, "DOCKER_HOST": "unix:///variable.sock"})

    assert found == Endpoint(path="/setting.sock")


def test_docker_host_wins_over_the_context(environ, context):
    context("other", "unix:///context.sock")

    assert locate("", {**environ, "DOCKER_HOST": "unix:///variable.sock"}).path == "/variable.sock"


def test_the_current_context_of_the_docker_command_is_used(environ, context):
    context("other", "unix:///context.sock")

    assert locate("", environ).path == "/context.sock"


def test_docker_context_names_another_one(environ, context):
    context("other", "unix:///context.sock", use=False)

    assert locate("", {**environ, "DOCKER_CONTEXT": "other"}).path == "/context.sock"


@pytest.mark.parametrize("config", ["{}", "no json", '{"currentContext": "gone"}', '{"currentContext": "default"}'])
def test_a_configuration_without_a_usable_context_changes_nothing(environ, tmp_path, monkeypatch, config):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(config)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "docker.sock").touch()
    monkeypatch.setattr("engine.compute.docker.locate.sockets", lambda _: [str(tmp_path / "run" / "docker.sock")])

    assert locate("", environ).path == str(tmp_path / "run" / "docker.sock")


def test_the_first_socket_that_is_there_is_taken_the_likeliest_first(environ, tmp_path, monkeypatch):
    mine = [str(tmp_path / name) for name in ("first.sock", "second.sock", "third.sock")]
    monkeypatch.setattr("engine.compute.docker.locate.sockets", lambda _: mine)
    assert locate("", environ).path == mine[0], "with none there, the likeliest one is named"

    (tmp_path / "third.sock").touch()
    assert locate("", environ).path == mine[2]

    (tmp_path / "second.sock").touch()
    assert locate("", environ).path == mine[1]


def test_rootless_engines_and_podman_are_among_the_places(environ, tmp_path):
    places = sockets(environ)

    assert places[0] == "/var/run/docker.sock"
    assert f"{tmp_path}/run/docker.sock" in places
    assert places.index(f"{tmp_path}/run/podman/podman.sock") > places.index(f"{tmp_path}/run/docker.sock")
    assert f"/run/user/{os.getuid()}/docker.sock" in sockets({"HOME": "/home/a"})


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("unix:///run/docker.sock", Endpoint(path="/run/docker.sock")),
        ("tcp://127.0.0.1:2375", Endpoint(host="127.0.0.1", port=2375)),
        ("tcp://localhost", Endpoint(host="localhost", port=2375)),
        ("localhost:4000", Endpoint(host="localhost", port=4000)),
        ("tcp://[::1]:2375", Endpoint(host="::1", port=2375)),
        ("http://127.0.0.1:2375", Endpoint(host="127.0.0.1", port=2375)),
        ("https://127.0.0.1", Endpoint(host="127.0.0.1", port=2376, certificates="/u/.docker")),
    ],
)
def test_addresses_as_docker_host_spells_them(host, endpoint):
    assert parse_host(host, {"HOME": "/u"}, "DOCKER_HOST") == endpoint


def test_tls_is_spoken_when_it_is_asked_for():
    tls = {"HOME": "/u", "DOCKER_TLS_VERIFY": "1"}

    assert parse_host("tcp://127.0.0.1:2376", tls, "x").certificates == "/u/.docker"
    assert parse_host("tcp://127.0.0.1:2376", {**tls, "DOCKER_CERT_PATH": "/c"}, "x").certificates == "/c"
    assert not parse_host("tcp://127.0.0.1:2376", {"DOCKER_CERT_PATH": "/c"}, "x").certificates


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("tcp://build.example.com:2375", "another machine"),
        ("tcp://10.0.0.7:2375", "another machine"),
        ("ssh://me@example.com", "Run Homerun over there"),
        ("tcp://127.0.0.1:99999", "no number from 1 to 65535"),
        ("tcp://127.0.0.1:port", "no number from 1 to 65535"),
        ("fd://", "expected unix:///"),
        ("unix://", "expected unix:///"),
        ("npipe:////./pipe/docker_engine", "expected unix:///"),
    ],
)
def test_what_cannot_be_used_is_refused_with_who_said_it(host, said):
    with pytest.raises(AddressError) as caught:
        locate("", {"DOCKER_HOST": host})

    assert said in str(caught.value)
    assert str(caught.value).startswith(f"DOCKER_HOST is {host}")
    with pytest.raises(AddressError, match="docker_host in settings"):
        locate(host, {})


def test_an_endpoint_is_shown_as_docker_host_would_spell_it():
    assert Endpoint(path="/x.sock").display == "unix:///x.sock"
    assert Endpoint(host="127.0.0.1", port=2375).display == "tcp://127.0.0.1:2375"
