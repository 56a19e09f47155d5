"""What a build gets besides the source, and what of this machine it never gets."""

import hashlib
import subprocess

import pytest

from engine.compute.docker.build_inputs import loopback_notices, private_files, proxies_of, stamp_of, surroundings
from engine.compute.docker.context import wanted
from engine.model.errors import DeployError, FailureKind
from engine.model.settings import BuildSettings


def exported(build_env=None, settings=None, environ=None) -> dict[str, str]:
    """What a shell has after it has read the file."""
    found = private_files(build_env or {}, settings or BuildSettings(), environ or {})
    script = found.files["env"] + b"\nexec /usr/bin/env -0\n"
    output = subprocess.run(["/bin/sh"], input=script, env={}, capture_output=True, check=True).stdout
    pairs = (entry.partition("=") for entry in output.decode().split("\0") if entry)
    return {name: value for name, _, value in pairs if name not in ("PWD", "_", "OLDPWD", "SHLVL")}


DEFAULTS = exported()


def test_settings_of_tools_come_in_and_places_of_this_machine_do_not():
    environ = {
        "PIP_INDEX_URL": "https://pypi.example/simple",
        "npm_config_registry": "https://npm.example/",
        "UV_INDEX": "x",
        "PIP_FIND_LINKS": "/srv/wheels",
        "PIP_CONSTRAINT": "./c.txt",
        "PIP_EXTRA_INDEX_URL": "https://a.example file:///opt",
        "NPM_CONFIG_CACHE": "~/.npm",
        "PIP_TARGET": "somewhere",
        "LC_ALL": "de_DE.UTF-8",
        "HOME": "/home/me",
        "PATH": "/home/me/bin",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "NPM_TOKEN": "secret",
    }
    assert exported(environ=environ) == DEFAULTS | {
        "PIP_INDEX_URL": "https://pypi.example/simple",
        "npm_config_registry": "https://npm.example/",
        "UV_INDEX": "x",
    }


@pytest.mark.parametrize("value", ["", "a b", "it's", '"', "$HOME `x` \\", "two\nlines", "ümlaut", "-n", "#"])
def test_any_value_arrives_as_it_is(value):
    assert exported({"MY": value})["MY"] == value


def test_names_that_a_shell_cannot_have_break_nothing_and_are_told():
    """`export my-var=…` would end the shell before its command."""
    environ = {"npm_config_//registry.example/:_authToken": "x", "npm_config_@me:registry": "y"}
    assert exported({"my-var": "x", "GOOD": "1"}, environ=environ) == DEFAULTS | {"GOOD": "1"}
    notices = private_files({"my-var": "x"}, BuildSettings(), environ).notices
    assert notices == ("Build commands do not see 'my-var', which a shell cannot have as a variable.",)


def test_the_builds_own_variables_win_and_secrets_come_by_name(tmp_path):
    settings = BuildSettings(secrets=("NPM_TOKEN",))
    found = exported({"PIP_INDEX_URL": "mine"}, settings, {"PIP_INDEX_URL": "theirs", "NPM_TOKEN": "t"})
    assert (found["PIP_INDEX_URL"], found["NPM_TOKEN"]) == ("mine", "t")


def test_certificates_are_named_for_every_tool(tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"PEM")
    private = private_files({}, BuildSettings(ca_bundle=str(bundle)), {})
    assert private.files["ca.pem"] == b"PEM"
    assert exported(settings=BuildSettings(ca_bundle=str(bundle)))["GIT_SSL_CAINFO"] == "/dev/homerun/ca.pem"
    assert "PEM" not in repr(private)


def test_a_stamp_changes_with_any_of_the_files_and_is_no_digest_of_them():
    stamps = [
        stamp_of(files) for files in ({}, {"env": b"a"}, {"env": b"b"}, {"enva": b""}, {"env": b"a", "ca.pem": b""})
    ]
    assert len(set(stamps)) == len(stamps)
    assert stamp_of({"env": b"a"}) == stamps[1]
    assert hashlib.sha256(b"env 1 a").hexdigest()[:32] not in stamps


@pytest.mark.parametrize("settings", [BuildSettings(secrets=("GONE",)), BuildSettings(ca_bundle="/no/such.pem")])
def test_what_is_not_there_is_told(settings):
    with pytest.raises(DeployError) as caught:
        private_files({}, settings, {})
    assert caught.value.failure.kind is FailureKind.CONFIG
    assert "settings.yaml" in caught.value.failure.hint


def test_proxies_in_either_spelling():
    environ = {
        "http_proxy": "http://p:1",
        "HTTPS_PROXY": "http://p:2",
        "no_proxy": "localhost",
        "ALL_PROXY": "",
        "X": "y",
    }
    assert proxies_of(environ) == {"http_proxy": "http://p:1", "HTTPS_PROXY": "http://p:2", "no_proxy": "localhost"}


@pytest.mark.parametrize(
    ("environ", "count"),
    [
        ({"HTTP_PROXY": "http://127.0.0.1:3128", "http_proxy": "http://127.0.0.1:3128"}, 1),
        ({"HTTPS_PROXY": "http://u:p@localhost:3128"}, 1),
        ({"HTTPS_PROXY": "localhost:3128"}, 1),
        ({"HTTPS_PROXY": "http://[::1]:3128"}, 1),
        ({"PIP_INDEX_URL": "http://localhost:3141/root/pypi"}, 1),
        ({"NO_PROXY": "localhost,127.0.0.1"}, 0),
        ({"HTTP_PROXY": "http://localhost.example.com:1", "HTTPS_PROXY": "http://proxy.example.com:1"}, 0),
        ({}, 0),
    ],
)
def test_what_listens_on_this_machines_loopback_is_told_once(environ, count):
    notices = loopback_notices(environ)
    assert len(notices) == count
    assert all("loopback" in notice and "p@" not in notice for notice in notices)


def test_surroundings_are_what_the_context_has(tmp_path):
    for name in (
        "package.json",
        "web/package.json",
        "web/app/requirements.txt",
        "web/app/requirements/x.txt",
        "web/a/b",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "web/app/package.json").symlink_to("../package.json")
    (tmp_path / "web/app/binary.txt").write_bytes(b"\xff")
    (tmp_path / "web/app/ignored.txt").write_text("x")
    (tmp_path / ".dockerignore").write_text("**/ignored.txt\n")
    paths = wanted(tmp_path)
    found = surroundings(tmp_path, "web/app", paths, frozenset({"A"}))

    assert set(found.files) == {"requirements.txt", "requirements/x.txt"}  # no links, nothing that is no text
    assert found.names == {"requirements.txt", "requirements", "package.json", "binary.txt"}
    assert found.above == {"package.json", "web", "app", "a", ".dockerignore"}
    assert surroundings(tmp_path, "", paths, frozenset()).above == frozenset()
    assert "package.json" in surroundings(tmp_path, "", paths, frozenset()).files
