"""What an apprunner.yaml (or its API counterpart) comes to: a plan that any compute can execute."""

from enum import StrEnum

from engine.model.base import Value


class RuntimeFamily(StrEnum):
    PYTHON = "python"
    NODEJS = "nodejs"
    CORRETTO = "corretto"
    GO = "go"
    DOTNET = "dotnet"
    PHP = "php"
    RUBY = "ruby"
    DOCKER = "docker"
    """No managed runtime: a Dockerfile in the source, or an image from elsewhere."""


class BuildGeneration(StrEnum):
    """App Runner's two build procedures."""

    ORIGINAL = "original"
    REVISED = "revised"


class Runtime(Value, frozen=True, kw_only=True):
    """A managed runtime: its name as the file spells it, and which interpreter versions it accepts."""

    name: str
    """"python311", "nodejs18", …"""
    family: RuntimeFamily
    generation: BuildGeneration
    accepts: tuple[str, ...]
    """Version prefixes that App Runner offers for it, best first: ("3.11",), ("3.8", "3.7"), ("18",)."""
    locked: str = ""
    """The file's `runtime-version` as its source text ("3.10", never the float 3.1); "" when absent or `latest`."""


class Phase(StrEnum):
    """A build phase; the value is the prefix of its log lines."""

    PRE_BUILD = "PreBuild"
    BUILD = "Build"
    POST_BUILD = "PostBuild"
    PRE_RUN = "PreRun"


class StartCommand(Value, frozen=True, kw_only=True):
    """How an instance starts. With `shell`, `text` goes to `sh -c`; otherwise `argv` is executed as it is."""

    text: str
    argv: tuple[str, ...]
    shell: bool

    def __repr__(self) -> str:
        return f"StartCommand(shell={self.shell}, …)"  # App Runner marks commands as sensitive


class BuildPlan(Value, frozen=True, kw_only=True):
    """Everything a compute needs to build a version and to run it. Pure data; commands are single shell lines."""

    runtime: Runtime
    source_directory: str
    """Relative to the root of the source, "" for the root itself; the working directory of every phase."""
    pre_build: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    post_build: tuple[str, ...] = ()
    pre_run: tuple[str, ...] = ()
    build_env: dict[str, str] = {}
    dockerfile: str = ""
    """Of the runtime `docker`: its path relative to the source directory."""
    start: StartCommand | None
    """None: the image's own; there is always one for a managed runtime."""
    port: int = 8080
    port_env: str = ""
    """An extra variable that carries the port besides PORT (`run.network.env`); "" for none."""
    run_env: dict[str, str] = {}
    run_secrets: dict[str, str] = {}
    notices: tuple[str, ...] = ()
    """What was understood although App Runner itself would not have; one sentence each, for the deployment log."""
    strict: bool = False

    def __repr__(self) -> str:
        return f"BuildPlan(runtime={self.runtime.name!r}, port={self.port}, …)"  # environment is sensitive
