"""The variables git gets: what is kept of the user's, what is forced, and where credentials travel."""

import subprocess
from pathlib import Path

from engine.source.environment import local_environment, network_environment, offline_environment
from engine.source.location import parse_location

BASE = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/home/ada",
    "HTTPS_PROXY": "http://proxy:3128",
    "SSH_AUTH_SOCK": "/run/agent",
    "SSH_ASKPASS": "/usr/bin/ask",
    "GIT_DIR": "/elsewhere/.git",
    "GIT_TRACE": "1",
    "GIT_TEMPLATE_DIR": "/elsewhere/template",
    "GIT_SSL_CAINFO": "/etc/ca.pem",
    "GIT_SSH_COMMAND": "ssh -i key",
    "GIT_EXEC_PATH": "/opt/git",
    "GIT_CONFIG_GLOBAL": "/home/ada/gitconfig",
    "GIT_CONFIG_PARAMETERS": "'a.b=c'",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "http.proxy",
    "GIT_CONFIG_VALUE_0": "http://other:3128",
}
PLAIN = parse_location("https://host/app")
SECRET = parse_location("https://ada:hunter22@host:8443/app")


def numbered(environment: dict[str, str]) -> list[tuple[str, str]]:
    count = int(environment["GIT_CONFIG_COUNT"])
    return [(environment[f"GIT_CONFIG_KEY_{n}"], environment[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]


def test_nothing_of_the_user_s_git_reaches_the_mirror():
    environment = offline_environment(BASE)
    assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert environment["GIT_ALLOW_PROTOCOL"] == "none"
    assert environment["GIT_EXEC_PATH"] == "/opt/git"
    for name in ("GIT_DIR", "GIT_TRACE", "GIT_TEMPLATE_DIR", "GIT_SSH_COMMAND", "GIT_CONFIG_PARAMETERS", "SSH_ASKPASS"):
        assert name not in environment
    assert ("http.proxy", "http://other:3128") not in numbered(environment)
    assert ("core.hooksPath", "/dev/null") in numbered(environment)


def test_a_local_repository_is_read_with_one_file_of_ours_as_configuration():
    environment = local_environment(BASE, Path("/home/mirrors/local.gitconfig"))
    assert environment["GIT_CONFIG_GLOBAL"] == "/home/mirrors/local.gitconfig"
    assert environment["GIT_ALLOW_PROTOCOL"] == "file"


def test_what_reaches_and_trusts_a_host_is_kept_and_our_settings_come_last():
    environment = network_environment(BASE, PLAIN)
    for name in ("HTTPS_PROXY", "SSH_AUTH_SOCK", "GIT_SSL_CAINFO", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL"):
        assert environment[name] == BASE[name]
    for name in ("GIT_DIR", "GIT_TRACE", "GIT_TEMPLATE_DIR", "GIT_CONFIG_PARAMETERS", "SSH_ASKPASS"):
        assert name not in environment
    settings = numbered(environment)
    assert settings[0] == ("http.proxy", "http://other:3128")
    assert ("core.hooksPath", "/dev/null") in settings[1:]
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert "HOMERUN_GIT_PASSWORD" not in environment


def test_credentials_are_in_two_variables_alone_and_for_their_host_alone():
    environment = network_environment(BASE, SECRET)
    holding = {name for name, value in environment.items() if "hunter22" in value}
    assert holding == {"HOMERUN_GIT_PASSWORD"}
    scoped = [name for name, _ in numbered(environment) if name.startswith("credential.")]
    assert scoped
    assert all(name.startswith("credential.https://host:8443.") for name in scoped)


def test_git_s_own_credential_lookup_finds_them_there_and_nowhere_else():
    for host, found in (("host:8443", True), ("host", False), ("other", False)):
        answer = subprocess.run(
            ["git", "credential", "fill"],
            input=f"protocol=https\nhost={host}\n\n",
            env=network_environment({"PATH": BASE["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}, SECRET),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("password=hunter22" in answer.stdout) is found
