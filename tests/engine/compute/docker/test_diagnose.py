"""What `homerun doctor` says about the container engine."""

import asyncio

import pytest

from engine.compute.docker.diagnose import diagnose, notes_of


@pytest.mark.parametrize(
    ("info", "notes"),
    [
        ({}, ()),
        (
            {"CgroupVersion": "2", "OperatingSystem": "Debian GNU/Linux 12 (bookworm)", "OSType": "linux"},
            ("cgroup v2", "Debian GNU/Linux 12 (bookworm)"),
        ),
        ({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}, ("rootless",)),
        ({"SecurityOptions": None, "MemoryLimit": True, "CpuCfsQuota": True, "PidsLimit": True}, ()),
        ({"MemoryLimit": False, "PidsLimit": True}, ("no memory limits",)),
        ({"MemoryLimit": False, "CpuCfsQuota": False, "PidsLimit": False}, ("no memory or CPU or process limits",)),
        ({"OSType": "windows"}, ("Windows containers, which cannot be used",)),
    ],
)
def test_what_is_worth_knowing_about_an_engine(info, notes):
    assert notes_of(info) == notes


async def test_an_engine_that_answers_is_described(fake_engine):
    fake_engine.answers["GET /info"] = {"CgroupVersion": "2"}
    found = await asyncio.to_thread(diagnose, fake_engine.address, {})

    assert (found.found, found.name, found.version, found.api_version) == (True, "docker", "20.10.24", "1.41")
    assert found.address == fake_engine.address
    assert "cgroup v2" in found.notes
    assert not found.problem


def test_none_that_answers_is_said_with_what_to_do(tmp_path):
    found = diagnose(f"unix://{tmp_path}/none.sock", {})

    assert not found.found
    assert found.problem == f"There is no container engine at unix://{tmp_path}/none.sock."
    assert "systemctl start docker" in found.advice


def test_an_address_that_cannot_be_used_is_said():
    found = diagnose("", {"DOCKER_HOST": "ssh://me@example.com"})

    assert not found.found
    assert "engines on other machines cannot be used" in found.problem
