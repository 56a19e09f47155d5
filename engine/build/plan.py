"""From a configuration to a plan: what a compute has to run, in which environment, on which port."""

from collections.abc import Mapping

from engine.build.build_lines import build_lines
from engine.build.command import start_command
from engine.build.config_file import DEFAULT_PORT, ConfigFile
from engine.build.config_values import port_number
from engine.build.environment import MAX_VALUE, in_both, name_problem, without_ports
from engine.build.findings import shown
from engine.build.runtimes import runtime_of, support_notices
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import BuildPlan, RuntimeFamily
from engine.model.service import CodeConfigurationValues

_START_HINT = "Set StartCommand in CodeConfigurationValues, for example python3 app.py or npm start."


def plan_from_file(config: ConfigFile, source_directory: str, strict: bool) -> BuildPlan:
    """The plan of a configuration file. Raises DeployError of kind CONFIG.

    build.env reaches the build and pre-run, run.env the application only; the port's variables are each instance's own.
    """
    pre_build, before = build_lines(config.pre_build, "build.commands.pre-build", strict)
    build, during = build_lines(config.build, "build.commands.build", strict)
    post_build, after = build_lines(config.post_build, "build.commands.post-build", strict)
    pre_run, last = build_lines(config.pre_run, "run.pre-run", strict)
    start, started = start_command(config.command, strict) if config.command else (None, ())
    env, ports = without_ports(config.env, config.port, config.port_env, f"{config.path} (run.env)")
    secrets, secret_ports = without_ports(config.secrets, config.port, config.port_env, f"{config.path} (run.secrets)")
    notices = (*config.notices, *before, *during, *after, *last, *started, *ports, *secret_ports)
    return BuildPlan(
        runtime=config.runtime,
        source_directory=normal_directory(source_directory),
        pre_build=pre_build,
        build=build,
        post_build=post_build,
        pre_run=pre_run,
        build_env=dict(config.build_env),
        dockerfile=config.dockerfile,
        start=start,
        port=config.port,
        port_env=config.port_env,
        run_env=env,
        run_secrets=secrets,
        notices=() if strict else notices,
        strict=strict,
    )


def plan_from_values(values: CodeConfigurationValues | None, source_directory: str, strict: bool) -> BuildPlan:
    """The plan of a service that is configured through the API: one build command, one start command.

    Its variables are the application's; the build sees none. Raises DeployError of kind CONFIG.
    """
    if values is None:
        raise DeployError.of(
            FailureKind.CONFIG,
            "The configuration source is API, but the service has no CodeConfigurationValues.",
            hint="Set CodeConfigurationValues (at least Runtime and StartCommand), or use the configuration source"
            " REPOSITORY with an apprunner.yaml.",
        )
    runtime = runtime_of(values.runtime)
    docker = runtime.family is RuntimeFamily.DOCKER
    if not (values.start_command or "").strip() and not docker:
        raise DeployError.of(
            FailureKind.CONFIG,
            "The service has no StartCommand, so there is nothing to start.",
            evidence=(f"Runtime: {values.runtime.value}",),
            hint=_START_HINT,
        )
    start, notices = (
        start_command(values.start_command or "", strict) if (values.start_command or "").strip() else (None, ())
    )
    port = _port(values.port)
    variables, secrets = values.runtime_environment_variables or {}, values.runtime_environment_secrets or {}
    _check_names(variables, secrets)
    commands = (values.build_command,) if (values.build_command or "").strip() and values.build_command else ()
    if docker and commands:
        raise DeployError.of(
            FailureKind.CONFIG,
            "BuildCommand does not go with the runtime DOCKER, whose Dockerfile has the build.",
            hint="Remove BuildCommand, or move it into the Dockerfile as a RUN line.",
        )
    build, during = build_lines(commands, "BuildCommand", strict)
    env, ports = without_ports(variables, port, "", "RuntimeEnvironmentVariables")
    kept_secrets, secret_ports = without_ports(secrets, port, "", "RuntimeEnvironmentSecrets")
    return BuildPlan(
        runtime=runtime,
        source_directory=normal_directory(source_directory),
        build=build,
        dockerfile="Dockerfile" if docker else "",
        start=start,
        port=port,
        run_env=env,
        run_secrets=kept_secrets,
        notices=() if strict else (*support_notices(runtime), *during, *notices, *ports, *secret_ports),
        strict=strict,
    )


def normal_directory(source_directory: str) -> str:
    """A source directory relative to the root of the source, "" for the root. Raises DeployError of kind CONFIG."""
    parts = [part for part in source_directory.split("/") if part not in ("", ".")]
    if ".." in parts or "\x00" in source_directory:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"The source directory {shown(source_directory)} leaves the source; it must be a folder inside it.",
            hint="Write it from the root of the repository, for example /server.",
        )
    return "/".join(parts)


def _port(text: str | None) -> int:
    if text is None:
        return DEFAULT_PORT
    port = port_number(text)
    if port is None:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"Port is {shown(text)}; it must be a whole number from 1 to 65535.",
            evidence=(f"Port: {shown(text)}",),
            hint=f"Set Port to the port that the application listens on; the default is {DEFAULT_PORT}.",
        )
    return port


def _check_names(variables: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    for member, names in (("RuntimeEnvironmentVariables", variables), ("RuntimeEnvironmentSecrets", secrets)):
        for name, value in names.items():
            problem = name_problem(name)
            if not problem and ("\x00" in value or len(value) > MAX_VALUE):
                problem = f"its value has a NUL character or more than {MAX_VALUE:,} characters"
            if problem:
                raise DeployError.of(
                    FailureKind.CONFIG,
                    f"{member} has the name {shown(name)}; {problem}.",
                    hint=f"Rename or remove {shown(name)}.",
                )
    twice = in_both(variables, secrets)
    if twice:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"{', '.join(twice)} is both a variable and a secret; keep one.",
            hint="Remove it from RuntimeEnvironmentVariables or from RuntimeEnvironmentSecrets.",
        )
