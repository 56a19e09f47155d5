"""What the doctor says of the container engine, found or not."""

import os

import pytest

from engine.compute.docker.diagnose import Diagnosis
from engine.model.home import Home
from tui.commands import doctor
from tui.commands.doctor import State


@pytest.fixture
def asked(monkeypatch):
    """The addresses that the engine was asked at, which answers as set."""
    hosts = []

    def diagnose(docker_host, environ):
        assert environ is os.environ
        hosts.append(docker_host)
        return diagnose.answer

    diagnose.answer = Diagnosis(
        found=True,
        name="podman",
        version="5.1",
        api_version="1.41",
        address="unix:///run/podman.sock",
        notes=("rootless", "cgroup v2"),
    )
    monkeypatch.setattr(doctor, "diagnose", diagnose)
    diagnose.hosts = hosts
    return diagnose


def test_an_engine_that_answers_with_what_is_worth_knowing(asked, tmp_path):
    found = doctor._docker(Home(path=tmp_path))
    assert found.state is State.OK
    assert found.found == "podman 5.1 (API 1.41) at unix:///run/podman.sock; rootless, cgroup v2"
    assert asked.hosts == [""]


def test_none_is_no_fault_but_images_need_one(asked, tmp_path):
    asked.answer = Diagnosis(found=False, problem="There is no container engine.", advice="Start it.")
    found = doctor._docker(Home(path=tmp_path))
    assert (found.state, found.found) == (State.MISSING, "There is no container engine.")
    assert found.advice.startswith("Start it. ")
    assert "images" in found.advice


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ("docker_host: unix:///srv/docker.sock\n", "unix:///srv/docker.sock"),
        ("docker_host: 7\n", ""),
        ("compute: nowhere\n", ""),
        (": [", ""),
        ("\x00\xff", ""),
    ],
)
def test_the_settings_name_the_engine_and_broken_ones_break_nothing(asked, tmp_path, settings, host):
    (tmp_path / "settings.yaml").write_text(settings, encoding="latin-1")
    assert doctor._docker(Home(path=tmp_path)).state is State.OK
    assert asked.hosts == [host]
