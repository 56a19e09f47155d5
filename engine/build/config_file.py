"""An apprunner.yaml as an immutable value, and how it is read: helpful by default, faithful when strict."""

import posixpath
import re
from typing import Any

from engine.build.command import start_problem
from engine.build.config_tree import Leaf, Leaves, leaves_of
from engine.build.config_values import (
    Variables,
    commands_of,
    port_of,
    secrets_of,
    start_text_of,
    text_of,
    variables_of,
)
from engine.build.environment import in_both, name_problem
from engine.build.findings import Findings, ProblemError, refusal, shown
from engine.build.keys import COMMAND_LISTS, EXAMPLES, Path, nested
from engine.build.runtimes import DOCKER, MANAGED, RUNTIME_NAMES, runtime_named, version_locked
from engine.build.yaml_nodes import Document, Fields, Items, Text, decoded, lines_of, read_yaml
from engine.model.base import Value
from engine.model.errors import DeployError
from engine.model.plan import BuildGeneration, Runtime, RuntimeFamily

CONFIG_FILE = "apprunner.yaml"
DEFAULT_PORT = 8080

_BUILD: Path = ("build", "commands", "build")
_DOCKERFILE: Path = ("build", "dockerfile")
_REDUNDANT = re.compile(r"\s*(?:echo\b|true\b|:\s|(?:docker|podman)(?:\s+buildx)?\s+build\b)")
"""Commands that people write because some command had to be there."""
_STARTS = {
    RuntimeFamily.PYTHON: "python3 app.py",
    RuntimeFamily.NODEJS: "node app.js",
    RuntimeFamily.CORRETTO: "java -jar target/app.jar",
    RuntimeFamily.GO: "./app",
    RuntimeFamily.DOTNET: "dotnet out/app.dll",
    RuntimeFamily.PHP: "php -S 0.0.0.0:8080 -t public",
    RuntimeFamily.RUBY: "bundle exec puma -p 8080",
}


class ConfigFile(Value, frozen=True, kw_only=True):
    """What an apprunner.yaml says, every default filled in. Commands are as written, a block of lines one each."""

    path: str
    """Its path from the root of the source, as messages name it."""
    runtime: Runtime
    pre_build: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    post_build: tuple[str, ...] = ()
    build_env: dict[str, str] = {}
    pre_run: tuple[str, ...] = ()
    command: str
    """"" where a Dockerfile says it."""
    dockerfile: str = ""
    """Of the runtime docker: its path, relative to the source directory."""
    port: int = DEFAULT_PORT
    port_env: str = ""
    """`run.network.env`; "" when absent or PORT, which carries the port anyway."""
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Name to ARN or parameter name, as written."""
    notices: tuple[str, ...] = ()
    """What was understood although App Runner would not have, one sentence or two each; empty when strict."""

    def __repr__(self) -> str:
        return f"ConfigFile(path={self.path!r}, runtime={self.runtime.name!r}, …)"  # environment is sensitive


def parse_config(data: bytes, path: str = CONFIG_FILE, *, strict: bool = False) -> ConfigFile:
    """Read an apprunner.yaml. `path` is how messages name it.

    Raises DeployError of kind CONFIG: the message names file, line, key, what was found and what is allowed, the
    evidence quotes the lines of every problem found, the hint is YAML to paste.
    """
    findings = Findings(path, strict=strict)
    try:
        document = read_yaml(data, strict=strict)
    except ProblemError as error:
        raise refusal(path, [error.problem], lines_of(decoded(data))) from None
    if posixpath.basename(path) != CONFIG_FILE:
        findings.notice(0, f"the file is used under this name. App Runner itself reads {CONFIG_FILE} only.")
    for line, sentence in document.notices:
        findings.notice(line, sentence)
    leaves = leaves_of(document.root, findings)
    config = _Reading(leaves, document, findings).config() if leaves or not findings.problems else None
    if config is None or findings.problems:
        raise refusal(path, findings.problems, document.lines)
    return config


class _Reading:
    """One reading: every value in turn, so that all problems are found and not only the first."""

    def __init__(self, leaves: Leaves, document: Document, findings: Findings) -> None:
        self.leaves = leaves
        self.document = document
        self.findings = findings

    def config(self) -> ConfigFile | None:
        """The configuration; None when there is no runtime, which is a problem by then."""
        self._version()
        runtime = self._runtime()
        pre_build, build, post_build = (
            self._commands(("build", "commands", phase)) for phase in ("pre-build", "build", "post-build")
        )
        dockerfile = self._dockerfile(runtime)
        if runtime is None or runtime.family is not RuntimeFamily.DOCKER:
            self._build_is_there(build)
        else:
            pre_build, build, post_build = self._no_commands(build, pre_build, post_build)
        build_env, _ = self._variables(("build", "env"))
        port_env, misplaced, misplaced_secrets = self._port_env()
        env, env_secrets = self._variables(("run", "env"))
        secrets = {**misplaced_secrets, **env_secrets, **self._secrets()}
        self._no_name_twice(env, misplaced)
        env = {**misplaced, **env}
        self._no_name_twice(env, secrets)
        pre_run = self._pre_run(runtime)
        command = self._start(runtime)
        port = self._port()
        if runtime is None:
            return None
        return ConfigFile(
            path=self.findings.file,
            runtime=runtime,
            pre_build=pre_build,
            build=build,
            post_build=post_build,
            build_env=build_env,
            pre_run=pre_run,
            command=command,
            dockerfile=dockerfile,
            port=port,
            port_env=port_env,
            env=env,
            secrets=secrets,
            notices=self.findings.notices,
        )

    def _version(self) -> None:
        leaf = self.leaves.get(("version",))
        text = text_of(leaf, self.findings, example=1.0) if leaf else None
        line = leaf.line if leaf else 0
        if text is None and (leaf is None or isinstance(leaf.node, Text)):
            self.findings.understand(
                line, "version is missing", meant="1.0 is assumed", allowed="it must be 1.0", fix={"version": 1.0}
            )
        elif text is not None and text not in ("1.0", "1"):
            self.findings.understand(
                line,
                f"version is {shown(text)}",
                meant="it is read as 1.0, the only version there is",
                allowed="it must be 1.0",
                fix={"version": 1.0},
            )

    def _runtime(self) -> Runtime | None:
        leaf = self.leaves.get(("runtime",))
        text = text_of(leaf, self.findings, example="python311") if leaf else None
        by_file = self.leaves.get(_DOCKERFILE)
        if leaf is None and by_file is not None and not self.findings.strict:
            self.findings.notice(by_file.line, "runtime docker is meant. App Runner itself builds no Dockerfile.")
            return DOCKER
        if leaf is None or text is None:
            if leaf is None or (isinstance(leaf.node, Text) and leaf.node.null):
                self.findings.refuse(
                    leaf.line if leaf else 0,
                    f"runtime is missing; it must be one of {', '.join(RUNTIME_NAMES)}",
                    fix={"runtime": "python311"},
                )
            return None
        try:
            runtime, notices = runtime_named(text, self.findings.strict)
        except DeployError as error:
            _, _, suggestion = error.failure.hint.partition(": ")
            self.findings.refuse(leaf.line, error.failure.message, fix={"runtime": suggestion})
            return None
        if by_file is not None and runtime.family is not RuntimeFamily.DOCKER and self._says_nothing_else():
            said = f"the Dockerfile is built and run, since nothing says how {runtime.name} would be built or started"
            self.findings.notice(by_file.line, f"{said}. App Runner itself builds no Dockerfile.")
            return DOCKER
        self._said(leaf, notices)
        return self._locked(runtime)

    def _says_nothing_else(self) -> bool:
        """Whether there is neither a build nor a start: a Dockerfile says both."""
        return not any(path in COMMAND_LISTS or path == ("run", "command") for path in self.leaves)

    def _dockerfile(self, runtime: Runtime | None) -> str:
        leaf = self.leaves.get(_DOCKERFILE)
        docker = runtime is not None and runtime.family is RuntimeFamily.DOCKER
        if leaf is None:
            return "Dockerfile" if docker else ""
        text = text_of(leaf, self.findings, example="Dockerfile")
        if runtime is not None and not docker:
            self.findings.refuse(
                leaf.line,
                f"build.dockerfile does not go with {runtime.name}, whose image App Runner makes itself",
                advice="Remove it, or write runtime: docker (which App Runner does not have).",
            )
        path = posixpath.normpath(text or "Dockerfile").lstrip("/")
        if text is not None and (path.startswith("../") or path in ("..", ".") or "\x00" in path):
            self.findings.refuse(
                leaf.line,
                f"build.dockerfile is {shown(text)}; it must be a file inside the source directory",
                fix=nested(_DOCKERFILE, "Dockerfile"),
            )
        return path

    def _dockerfile_named(self) -> str:
        leaf = self.leaves.get(_DOCKERFILE)
        return leaf.node.value if leaf and isinstance(leaf.node, Text) and leaf.node.value else "Dockerfile"

    def _no_commands(self, *phases: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """A Dockerfile has its own build. What only says "docker build" again is left out, anything else refused."""
        commands = [command for phase in phases for command in phase]
        leaf = next((self.leaves[path] for path in COMMAND_LISTS if path in self.leaves and path[0] == "build"), None)
        if commands and leaf:
            if all(_REDUNDANT.match(command) for command in commands):
                self.findings.notice(leaf.line, "the build commands are left out: the Dockerfile has the build.")
            else:
                self.findings.refuse(
                    leaf.line,
                    f"{leaf.key} does not go with the runtime docker, whose Dockerfile has the build",
                    fix={"runtime": "docker"} | nested(_DOCKERFILE, self._dockerfile_named()),
                    advice="Move the commands into the Dockerfile as RUN lines.",
                )
        return (), (), ()

    def _locked(self, runtime: Runtime) -> Runtime:
        leaf = self.leaves.get(("run", "runtime-version"))
        if leaf is not None and runtime.family is RuntimeFamily.DOCKER:
            self.findings.notice(leaf.line, "run.runtime-version is left out: the Dockerfile says what it runs on.")
            return runtime
        text = text_of(leaf, self.findings, example=runtime.accepts[0]) if leaf else None
        if leaf is None or text is None:
            return runtime
        try:
            locked, notices = version_locked(runtime, text, self.findings.strict)
        except DeployError as error:
            self.findings.refuse(leaf.line, error.failure.message, fix=nested(leaf.path, runtime.accepts[0]))
            return runtime
        self._said(leaf, notices)
        return locked

    def _commands(self, path: Path) -> tuple[str, ...]:
        leaf = self.leaves.get(path)
        return commands_of(leaf, self.document.text, self.findings) if leaf else ()

    def _build_is_there(self, build: tuple[str, ...]) -> None:
        leaf = self.leaves.get(_BUILD)
        given = leaf is not None and not _is_empty(leaf)
        if build or given or any(problem.text.startswith("build") for problem in self.findings.problems):
            return
        self.findings.understand(
            leaf.line if leaf else 0,
            "build.commands.build has no commands",
            meant="there is nothing to build",
            allowed="it must have at least one",
            fix=EXAMPLES[("build",)],
        )

    def _variables(self, path: Path) -> tuple[Variables, Variables]:
        leaf = self.leaves.get(path)
        return variables_of(leaf, self.findings) if leaf else ({}, {})

    def _secrets(self) -> Variables:
        leaf = self.leaves.get(("run", "secrets"))
        return secrets_of(leaf, self.findings) if leaf else {}

    def _no_name_twice(self, env: Variables, other: Variables) -> None:
        for name in in_both(env, other):
            line = next((leaf.line for path, leaf in self.leaves.items() if path == ("run", "env")), 0)
            self.findings.refuse(
                line, f"{shown(name)} is given twice for the application; keep one", advice=f"Remove one {name}."
            )

    def _port(self) -> int:
        leaf = self.leaves.get(("run", "network", "port"))
        return port_of(leaf, self.findings, DEFAULT_PORT) if leaf else DEFAULT_PORT

    def _port_env(self) -> tuple[str, Variables, Variables]:
        """The extra variable for the port; and the variables (plain, secret) that people put in its place."""
        leaf = self.leaves.get(("run", "network", "env"))
        if leaf is None:
            return "", {}, {}
        allowed = "it must be the name of one variable, which then carries the port as PORT does"
        fix = nested(leaf.path, "APP_PORT")
        if isinstance(leaf.node, Text):
            name = text_of(leaf, self.findings, example="APP_PORT") or ""
            return self._port_name(leaf, name, allowed, fix), {}, {}
        entries = leaf.node.items if isinstance(leaf.node, Items) else ()
        if len(entries) == 1 and isinstance(entries[0], Text):
            if self.findings.understand(
                leaf.line,
                "run.network.env is a list",
                meant="its item is the name of the variable for the port",
                allowed=allowed,
                fix=nested(leaf.path, entries[0].value),
            ):
                return self._port_name(leaf, entries[0].value, allowed, fix), {}, {}
        elif not isinstance(leaf.node, Text) and (isinstance(leaf.node, Fields) or _all_pairs(entries)):
            if self.findings.understand(
                leaf.line,
                "run.network.env is a list of variables",
                meant="they are read as run.env",
                allowed=f"{allowed}, and variables belong under run.env",
                fix={"run": {"network": {"env": "APP_PORT"}, "env": [{"name": "NAME", "value": "…"}]}},
            ):
                moved = Leaf(path=("run", "env"), node=leaf.node, line=leaf.line)
                return "", *variables_of(moved, self.findings)
        else:
            self.findings.refuse(leaf.line, f"run.network.env is a list; {allowed}", fix=fix)
        return "", {}, {}

    def _port_name(self, leaf: Leaf, name: str, allowed: str, fix: dict[str, Any]) -> str:
        problem = name_problem(name) if name else ""
        if name.isdecimal() or problem:
            self.findings.refuse(leaf.line, f"run.network.env is {shown(name)}; {problem or allowed}", fix=fix)
            return ""
        return "" if name == "PORT" else name

    def _pre_run(self, runtime: Runtime | None) -> tuple[str, ...]:
        leaf = self.leaves.get(("run", "pre-run"))
        commands = commands_of(leaf, self.document.text, self.findings) if leaf else ()
        if leaf and commands and runtime and runtime.family is RuntimeFamily.DOCKER:
            self.findings.refuse(
                leaf.line,
                "run.pre-run does not go with the runtime docker",
                advice="Move the commands of run.pre-run into the Dockerfile as RUN lines.",
            )
        elif leaf and commands and runtime and runtime.generation is BuildGeneration.ORIGINAL:
            revised = ", ".join(n for n, row in MANAGED.items() if row.runtime.generation is BuildGeneration.REVISED)
            self.findings.understand(
                leaf.line,
                f"run.pre-run does not go with {runtime.name}",
                meant="its commands run all the same, after the build",
                allowed=f"it takes a runtime with the revised build ({revised})",
                advice=f"Move the commands of run.pre-run to build.commands.build, or use one of {revised}.",
            )
        return commands

    def _start(self, runtime: Runtime | None) -> str:
        leaf = self.leaves.get(("run", "command"))
        before = len(self.findings.problems)
        text = start_text_of(leaf, self.document.text, self.findings) if leaf else ""
        if not text and runtime is not None and runtime.family is RuntimeFamily.DOCKER:
            return ""
        if not text and len(self.findings.problems) == before:
            example = _STARTS[runtime.family] if runtime else _STARTS[RuntimeFamily.PYTHON]
            self.findings.refuse(
                leaf.line if leaf else 0,
                "run.command is missing; it must be the command that starts the application",
                fix={"run": {"command": example, "network": {"port": DEFAULT_PORT}}},
            )
        elif leaf and text and (problem := start_problem(text, self.findings.strict)):
            self.findings.refuse(leaf.line, f"run.command cannot be read: {problem}")
        return text

    def _said(self, leaf: Leaf, notices: tuple[str, ...]) -> None:
        for notice in notices:
            self.findings.notice(leaf.line, notice)


def _is_empty(leaf: Leaf) -> bool:
    node = leaf.node
    return (isinstance(node, Text) and node.null) or (isinstance(node, Items) and not node.items)


def _all_pairs(entries: tuple[object, ...]) -> bool:
    return bool(entries) and all(isinstance(entry, Fields) for entry in entries)
