"""From an image's configuration to a plan: nothing to build; its own start command unless one is given. Pure."""

from engine.build.command import start_command
from engine.build.environment import without_ports
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.service import ImageConfiguration

IMAGE = Runtime(name="image", family=RuntimeFamily.DOCKER, generation=BuildGeneration.REVISED, accepts=())
_DEFAULT_PORT = 8080


def plan_from_image(configuration: ImageConfiguration | None, *, strict: bool) -> BuildPlan:
    """The plan of an image service. Raises DeployError of kind CONFIG."""
    configuration = configuration or ImageConfiguration()
    start: StartCommand | None = None
    notices: tuple[str, ...] = ()
    if (configuration.start_command or "").strip():
        start, notices = start_command(configuration.start_command or "", strict)
    port = int(configuration.port or _DEFAULT_PORT)
    env, ports = without_ports(
        configuration.runtime_environment_variables or {}, port, "", "RuntimeEnvironmentVariables"
    )
    secrets, secret_ports = without_ports(
        configuration.runtime_environment_secrets or {}, port, "", "RuntimeEnvironmentSecrets"
    )
    return BuildPlan(
        runtime=IMAGE,
        source_directory="",
        start=start,
        port=port,
        run_env=env,
        run_secrets=secrets,
        notices=() if strict else (*notices, *ports, *secret_ports),
        strict=strict,
    )
