"""The bundled samples as Git repositories of their own, and the requests that create them as services."""

import shutil
import subprocess
from importlib.resources import as_file, files
from pathlib import Path

from engine.model.actions.service import CreateServiceRequest
from engine.model.base import Value
from engine.model.service import (
    CodeConfiguration,
    CodeRepository,
    ConfigurationSource,
    HealthCheckConfiguration,
    HealthCheckProtocol,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)


class Sample(Value, frozen=True, kw_only=True):
    """One bundled application. `paths` (with weights) are what the traffic generator asks it for."""

    name: str
    folder: str
    needs: str = ""
    """A program that must be on PATH, "" for none."""
    paths: dict[str, int] = {}
    peak_per_s: float = 0.0
    health_path: str = ""


SAMPLES = (
    Sample(
        name="hello-python",
        folder="hello-python",
        paths={"/": 6, "/api/orders": 10, "/report": 1, "/favicon.ico": 1},
        peak_per_s=9.0,
        health_path="/",
    ),
    Sample(
        name="hello-node", folder="hello-node", needs="node", paths={"/": 8, "/cart": 3, "/checkout": 1}, peak_per_s=5.0
    ),
    Sample(name="broken-start", folder="broken-start"),
)


def available(samples: tuple[Sample, ...] = SAMPLES) -> tuple[Sample, ...]:
    """Those that this machine can run."""
    return tuple(sample for sample in samples if not sample.needs or shutil.which(sample.needs))


def write_repository(sample: Sample, parent: Path) -> Path:
    """The sample as a folder below `parent`, a Git repository with one commit where git is there. Blocking."""
    target = parent / sample.folder
    with as_file(files("tui.demo") / "samples" / sample.folder) as folder:
        shutil.copytree(folder, target)
    if shutil.which("git"):
        for arguments in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", f"Add {sample.name}"),
        ):
            subprocess.run(
                ["git", "-c", "user.name=Homerun", "-c", "user.email=demo@homerun.localhost", "-c",
                 "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", *arguments],
                cwd=target,
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )  # fmt: skip
    return target


def create_request(sample: Sample, repository: Path) -> CreateServiceRequest:
    return CreateServiceRequest(
        service_name=sample.name,
        source_configuration=SourceConfiguration(
            code_repository=CodeRepository(
                repository_url=str(repository),
                source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
                code_configuration=CodeConfiguration(configuration_source=ConfigurationSource.REPOSITORY),
            )
        ),
        health_check_configuration=HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path=sample.health_path)
        if sample.health_path
        else None,
    )
