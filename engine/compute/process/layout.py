"""Where things are in a process compute's artifact, and the record that makes it whole."""

from pathlib import Path

import msgspec

from engine.compute.files import write_whole
from engine.compute.process.tree import Identity
from engine.model.base import Value
from engine.model.plan import RuntimeFamily
from engine.model.version import Artifact


class Layout(Value, frozen=True, kw_only=True):
    """The folders of an artifact (or of the throw-away copy that post-build commands work on)."""

    root: Path
    family: RuntimeFamily

    @property
    def app(self) -> Path:
        return self.root / "app"

    @property
    def venv(self) -> Path | None:
        return self.root / "venv" if self.family is RuntimeFamily.PYTHON else None

    @property
    def npm(self) -> Path:
        """Where `npm install --global` installs."""
        return self.root / "npm"

    @property
    def tools(self) -> Path:
        """Links to the chosen Node.js and what comes with it."""
        return self.root / "bin"

    @property
    def bin_dirs(self) -> tuple[Path, ...]:
        first = self.venv / "bin" if self.venv else self.tools
        return (first, self.npm / "bin")


class BuildRecord(Value, frozen=True, kw_only=True):
    """A build under way, in `build.json`: what a later engine has to end if this one dies."""

    version_id: str
    command: Identity | None = None


class ArtifactRecord(Value, frozen=True, kw_only=True):
    """A finished artifact, in `artifact.json`; a folder without it is a build that never ended."""

    artifact: Artifact
    own_venv: bool = False
    """The virtual environment points into `app/` (an editable install): every instance needs a clone of its own."""
    node_options: str = ""
    """What its Node.js is started with, in the build and in instances."""


def read_artifact(root: Path) -> ArtifactRecord | None:
    try:
        return msgspec.json.decode((root / "artifact.json").read_bytes(), type=ArtifactRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def read_build(root: Path) -> BuildRecord | None:
    try:
        return msgspec.json.decode((root / "build.json").read_bytes(), type=BuildRecord)
    except (OSError, msgspec.MsgspecError):
        return None


def write_record(path: Path, record: Value) -> None:
    """Write a record whole or not at all, for the owner's eyes only. Raises OSError."""
    write_whole(path, msgspec.json.encode(record))
