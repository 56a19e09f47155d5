"""Which images managed runtimes are built and run on."""

import pytest

from engine.build.base_images import amazon_linux_notice, base_images
from engine.build.runtimes import MANAGED, RUNTIME_NAMES, runtime_named, version_locked


def of(name: str, version: str = "", overrides: dict[str, str] | None = None) -> tuple[str, str]:
    runtime, _ = runtime_named(name, strict=False)
    if version:
        runtime, _ = version_locked(runtime, version, strict=False)
    bases = base_images(runtime, overrides or {})
    return bases.build, bases.run


@pytest.mark.parametrize(
    ("name", "build", "run"),
    [
        ("python3", "python:3.8", "python:3.8-slim"),
        ("python311", "python:3.11", "python:3.11-slim"),
        ("nodejs12", "node:12", "node:12-slim"),
        ("nodejs22", "node:22", "node:22-slim"),
        ("corretto8", "maven:3-amazoncorretto-8", "amazoncorretto:8"),
        ("corretto11", "maven:3-amazoncorretto-11", "amazoncorretto:11"),
        ("go1", "golang:1.18", "golang:1.18"),
        ("dotnet6", "mcr.microsoft.com/dotnet/sdk:6.0", "mcr.microsoft.com/dotnet/aspnet:6.0"),
        ("php81", "php:8.1-cli", "php:8.1-cli"),
        ("ruby31", "ruby:3.1", "ruby:3.1-slim"),
        ("nodejs20", "node:20", "node:20-slim"),
        ("python3.12", "python:3.12", "python:3.12-slim"),
        ("corretto17", "maven:3-amazoncorretto-17", "amazoncorretto:17"),
    ],
)
def test_the_official_image_of_each_runtime(name, build, run):
    assert of(name) == (build, run)


def test_every_managed_runtime_has_one():
    for name in RUNTIME_NAMES:
        build, run = of(name)
        assert "{" not in build + run
        assert ":" in build


@pytest.mark.parametrize(
    ("name", "version", "build"),
    [
        ("python3", "3", "python:3.8"),  # says less than the runtime's own name
        ("python3", "3.7", "python:3.7"),
        ("python3", "3.8.16", "python:3.8.16"),
        ("python311", "3.11.4", "python:3.11.4"),
        ("nodejs18", "18.20", "node:18.20"),
        ("corretto11", "11.0.13.08.1", "maven:3-amazoncorretto-11"),
        ("corretto8", "8.312.07.1", "maven:3-amazoncorretto-8"),
        ("dotnet6", "6.0.36", "mcr.microsoft.com/dotnet/sdk:6.0"),
        ("go1", "1.18.10", "golang:1.18.10"),
        ("go1", "1", "golang:1.18"),
    ],
)
def test_a_locked_version_picks_the_tag(name, version, build):
    assert of(name, version)[0] == build


def test_an_image_of_the_settings_takes_the_place_of_both():
    assert of("python311", "3.11.4", {"python311": "mine:1", "nodejs22": "other:1"}) == ("mine:1", "mine:1")


@pytest.mark.parametrize(
    "command", ["yum install -y gcc", "sudo dnf -y install x", "amazon-linux-extras enable php8.1"]
)
def test_commands_for_amazon_linux_on_another_system_are_told(command):
    runtime = MANAGED["python311"].runtime
    notice = amazon_linux_notice(["pip install x", command], runtime, "python:3.11")

    assert notice.startswith("The build uses ")
    assert "base_images: {python311: public.ecr.aws/amazonlinux/amazonlinux:2023}" in notice
    assert not amazon_linux_notice([command], runtime, "public.ecr.aws/amazonlinux/amazonlinux:2023")
    assert not amazon_linux_notice([command], runtime, "maven:3-amazoncorretto-11")


def test_nothing_is_told_of_other_commands():
    runtime = MANAGED["nodejs22"].runtime
    assert not amazon_linux_notice(["npm ci", "npm run yummy", "apt-get install -y curl"], runtime, "node:22")
