"""Which images managed runtimes are built and run on: a table, and what a home's settings put in its place. Pure."""

import re
from collections.abc import Iterable, Mapping

from engine.model.base import Value
from engine.model.plan import BuildPlan, Runtime, RuntimeFamily


class BaseImages(Value, frozen=True, kw_only=True):
    """The base of one runtime."""

    build: str
    """Build commands run on it, and unless strict the application, too."""
    run: str
    """The slimmer one that a strict revised build puts the source folder into, as App Runner does."""


_TABLE: dict[RuntimeFamily, tuple[str, str]] = {
    RuntimeFamily.PYTHON: ("python:{0}", "python:{0}-slim"),
    RuntimeFamily.NODEJS: ("node:{0}", "node:{0}-slim"),
    # Java's official image has no Maven, which App Runner's build has.
    RuntimeFamily.CORRETTO: ("maven:3-amazoncorretto-{0}", "amazoncorretto:{0}"),
    RuntimeFamily.GO: ("golang:{0}", "golang:{0}"),
    RuntimeFamily.DOTNET: ("mcr.microsoft.com/dotnet/sdk:{0}.0", "mcr.microsoft.com/dotnet/aspnet:{0}.0"),
    RuntimeFamily.PHP: ("php:{0}-cli", "php:{0}-cli"),
    RuntimeFamily.RUBY: ("ruby:{0}", "ruby:{0}-slim"),
}
"""Family to the official images; {0} is the version."""
_MAJOR_ONLY = frozenset({RuntimeFamily.CORRETTO, RuntimeFamily.DOTNET})
"""Their images are named by the major version alone."""
_AMAZON = re.compile(r"amazonlinux|amazoncorretto|lambda/|public\.ecr\.aws/(?:amazonlinux|lambda)")
_AMAZON_TOOLS = re.compile(r"\b(yum|dnf|microdnf|amazon-linux-extras)\b")


def base_images(runtime: Runtime, overrides: Mapping[str, str]) -> BaseImages:
    """The base of a managed runtime; `overrides` (settings: base_images) go by the runtime's name."""
    if own := overrides.get(runtime.name):
        return BaseImages(build=own, run=own)
    build, run = _TABLE[runtime.family]
    version = _version(runtime)
    return BaseImages(build=build.format(version), run=run.format(version))


def _version(runtime: Runtime) -> str:
    """The lock, unless it only says less than what the runtime's own name does."""
    best = runtime.accepts[0]
    locked = runtime.locked
    if not locked or best == locked or best.startswith(f"{locked}."):
        return best
    return locked.split(".")[0] if runtime.family in _MAJOR_ONLY else locked


def amazon_linux_notice(commands: Iterable[str], runtime: Runtime, base: str) -> str:
    """A sentence when commands want Amazon Linux's package manager and the base is another system; "" else."""
    tool = next((match.group(1) for line in commands if (match := _AMAZON_TOOLS.search(line))), "")
    if not tool or _AMAZON.search(base):
        return ""
    return (
        f"The build uses {tool}, which App Runner's Amazon Linux has and {base} has not: use apt-get, or choose"
        f" an Amazon Linux base in settings.yaml, such as base_images: {{{runtime.name}: "
        "public.ecr.aws/amazonlinux/amazonlinux:2023}, and install the language in pre-build."
    )


def commands_of(plan: BuildPlan) -> tuple[str, ...]:
    """Every command that runs in the build."""
    return (*plan.pre_build, *plan.build, *plan.pre_run, *plan.post_build)
