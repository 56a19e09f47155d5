"""The create form without its screen: what was typed, what is wrong with it, and the request it comes to. Pure."""

import re
from collections.abc import Collection
from enum import StrEnum
from os.path import normpath
from pathlib import PurePath, PurePosixPath

from msgspec.structs import replace

from engine.model.actions.service import CreateServiceRequest
from engine.model.base import Value
from engine.model.errors import FailureKind
from engine.model.service import (
    ApiRuntime,
    CodeConfiguration,
    CodeConfigurationValues,
    CodeRepository,
    ConfigurationSource,
    HealthCheckConfiguration,
    HealthCheckProtocol,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    InstanceConfiguration,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)
from engine.model.watch import InspectSourceRequest, InspectSourceResponse


class Step(StrEnum):
    """The steps of the form, in order."""

    SOURCE = "source"
    BUILD = "build"
    SERVICE = "service"
    REVIEW = "review"


STEPS = tuple(Step)


class SourceKind(StrEnum):
    """What a service is made of."""

    REPOSITORY = "repository"
    IMAGE = "image"


class Deployments(StrEnum):
    """When a new image is deployed."""

    BY_HAND = "by hand"
    ON_PUSH = "on push"


MEMORY_FOR: dict[str, tuple[str, ...]] = {
    "256": ("512", "1024"),
    "512": ("1024",),
    "1024": ("2048", "3072", "4096"),
    "2048": ("4096", "6144"),
    "4096": ("8192", "10240", "12288"),
}
"""App Runner's combinations: CPU units to the memory sizes in MB that go with them."""

RUNTIMES: dict[ApiRuntime, str] = {
    ApiRuntime.PYTHON_311: "Python 3.11",
    ApiRuntime.NODEJS_22: "Node.js 22",
    ApiRuntime.CORRETTO_11: "Java 11",
    ApiRuntime.CORRETTO_8: "Java 8",
    ApiRuntime.NODEJS_18: "Node.js 18",
    ApiRuntime.NODEJS_16: "Node.js 16",
    ApiRuntime.NODEJS_14: "Node.js 14",
    ApiRuntime.NODEJS_12: "Node.js 12",
    ApiRuntime.PYTHON_3: "Python 3.7, 3.8",
    ApiRuntime.GO_1: "Go 1",
    ApiRuntime.DOTNET_6: ".NET 6",
    ApiRuntime.PHP_81: "PHP 8.1",
    ApiRuntime.RUBY_31: "Ruby 3.1",
    ApiRuntime.DOCKER: "Dockerfile in the source",
}
"""Every runtime by the name that people know, the current ones first."""

_RUNTIME_BY_FILE_NAME = {runtime.value.lower().replace("_", ""): runtime for runtime in RUNTIMES}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,39}")
_SCP = re.compile(r"[^/]*:")
_KNOWN_HOST = re.compile(r"(github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)/.")
_RESERVED = "AWSAPPRUNNER"
_MOST_TEXT = 51200
_MOST_IMAGE = 1024
_MOST_BRANCHES = 200  # as many as an inspection lists; there may be more


class Form(Value, frozen=True, kw_only=True):
    """What stands in the fields, as it was typed."""

    kind: SourceKind = SourceKind.REPOSITORY
    repository: str = ""
    image: str = ""
    deployments: Deployments = Deployments.BY_HAND
    """Of an image."""
    branch: str = ""
    directory: str = "/"
    configuration: ConfigurationSource = ConfigurationSource.REPOSITORY
    runtime: ApiRuntime = ApiRuntime.PYTHON_311
    build_command: str = ""
    start_command: str = ""
    port: str = "8080"
    name: str = ""
    cpu: str = "1024"
    memory: str = "2048"
    environment: str = ""
    """Lines of NAME=value; blank ones and those that begin with # do not count."""
    protocol: HealthCheckProtocol = HealthCheckProtocol.TCP
    path: str = "/"
    interval: str = "5"
    timeout: str = "2"
    healthy: str = "1"
    unhealthy: str = "5"

    @property
    def is_image(self) -> bool:
        return self.kind is SourceKind.IMAGE

    @property
    def by_file(self) -> bool:
        """An apprunner.yaml says how it is built and started."""
        return not self.is_image and self.configuration is ConfigurationSource.REPOSITORY

    @property
    def by_dockerfile(self) -> bool:
        return not self.is_image and not self.by_file and self.runtime is ApiRuntime.DOCKER


FIELDS: dict[Step, tuple[str, ...]] = {
    Step.SOURCE: ("kind", "repository", "image", "branch", "directory", "deployments"),
    Step.BUILD: ("configuration", "runtime", "build_command", "start_command", "port"),
    Step.SERVICE: (
        "name",
        "cpu",
        "memory",
        "environment",
        "protocol",
        "path",
        "interval",
        "timeout",
        "healthy",
        "unhealthy",
    ),
    Step.REVIEW: (),
}
STEP_OF: dict[str, Step] = {field: step for step, fields in FIELDS.items() for field in fields}

_CHECK_NUMBERS = {
    "interval": "The interval",
    "timeout": "The timeout",
    "healthy": "The healthy threshold",
    "unhealthy": "The unhealthy threshold",
}


def is_local(typed: str) -> bool:
    """Whether it can only be a folder on this machine."""
    return typed.startswith(("/", "~", "./", "../")) or typed in {".", ".."}


def repository_url(typed: str, folder: PurePath, home: PurePath) -> str:
    """What is typed as the engine takes it: an absolute path, seen from `folder`, or the URL; "" for nothing.

    The engine may be another process with another working folder, so no relative path goes to it.
    """
    text = typed.strip()
    if _KNOWN_HOST.match(text):
        return f"https://{text}"
    if not text or (not is_local(text) and ("://" in text or _SCP.match(text))):
        return text
    if text == "~" or text.startswith("~/"):
        return normpath(home / text[2:])
    return text if text.startswith("~") else normpath(folder / text)


def source_directory(typed: str) -> str:
    """Absolute from the root of the repository, as App Runner has it."""
    return normpath(f"/{typed.strip()}").replace("//", "/")


def inspection_of(form: Form, url: str, *, strict: bool = False) -> InspectSourceRequest:
    """What to ask about the source."""
    if form.is_image:
        return InspectSourceRequest(repository_url=url, image=True, strict=strict)
    return InspectSourceRequest(
        repository_url=url,
        branch=form.branch.strip(),
        source_directory=source_directory(form.directory),
        strict=strict,
    )


def source_of(form: Form, folder: PurePath, home: PurePath) -> str:
    """What names the source as the engine takes it; "" for nothing."""
    return form.image.strip() if form.is_image else repository_url(form.repository, folder, home)


def unneeded(form: Form) -> frozenset[str]:
    """Fields that do not apply to what was chosen so far."""
    hidden: set[str] = set() if form.protocol is HealthCheckProtocol.HTTP else {"path"}
    if form.is_image:
        return frozenset({*hidden, "repository", "branch", "directory", "configuration", "runtime", "build_command"})
    hidden |= {"image", "deployments"}
    if form.by_file:
        hidden |= {"runtime", "build_command", "start_command", "port"}
    elif form.by_dockerfile:
        hidden.add("build_command")
    return frozenset(hidden)


def with_repository(form: Form, typed: str, touched: Collection[str]) -> Form:
    """Another repository; a branch that only was the last one's default goes."""
    return replace(form, repository=typed, branch=form.branch if "branch" in touched else "")


_SUGGESTED = ("branch", "configuration", "runtime", "build_command", "start_command", "port", "name")


def with_kind(form: Form, kind: SourceKind, touched: Collection[str]) -> Form:
    """Another kind of source; what only the last one suggested goes: an image is not started as a repository is."""
    fresh = Form()
    return replace(form, kind=kind, **{name: getattr(fresh, name) for name in _SUGGESTED if name not in touched})


def with_runtime(
    form: Form, runtime: ApiRuntime, found: InspectSourceResponse | None, touched: Collection[str]
) -> Form:
    """Another runtime; a start command that was only suggested would take the place of a Dockerfile's own."""
    form = replace(form, runtime=runtime)
    if found is None or "start_command" in touched:
        return form
    own = found.suggested_runtime or _RUNTIME_BY_FILE_NAME.get(found.runtime)
    foreign = runtime is ApiRuntime.DOCKER and own is not ApiRuntime.DOCKER
    return replace(form, start_command="" if foreign else found.start_command or found.suggested_start)


def free_name(name: str, names: Collection[str]) -> str:
    """The name, with a number after it where it is taken."""
    if name not in names:
        return name
    numbered = (f"{name[:36]}-{number}" for number in range(2, 1000))
    return next((free for free in numbered if free not in names), name)


def filled(form: Form, found: InspectSourceResponse, touched: Collection[str], names: Collection[str] = ()) -> Form:
    """The form with everything that the source suggests, save what the user has set already. `names` are taken."""
    name = free_name(found.suggested_name, names) or form.name
    if not found.kind:
        return form if "name" in touched else replace(form, name=name)
    if found.kind == "image":
        seen = {"port": str(found.port), "name": name}
        return replace(form, **{field: value for field, value in seen.items() if field not in touched})
    # A file with a mistake in it is still the way that this repository is configured.
    in_file = bool(found.config_file) or (found.problem is not None and found.problem.kind is FailureKind.CONFIG)
    suggested: dict[str, object] = {
        "configuration": ConfigurationSource.REPOSITORY if in_file else ConfigurationSource.API,
        "runtime": found.suggested_runtime or _RUNTIME_BY_FILE_NAME.get(found.runtime, form.runtime),
        "build_command": " && ".join(found.build_commands) if in_file else found.suggested_build,
        "start_command": found.start_command if in_file else found.suggested_start,
        "port": str(found.port),
        "name": name,
    }
    untouched = {field: value for field, value in suggested.items() if field not in touched}
    return replace(form, branch=form.branch.strip() or found.default_branch, **untouched)


def with_cpu(form: Form, cpu: str) -> Form:
    """Another CPU size, and the memory that comes nearest among those that go with it."""
    sizes = MEMORY_FOR[cpu]
    memory = form.memory if form.memory in sizes else min(sizes, key=lambda size: abs(int(size) - int(form.memory)))
    return replace(form, cpu=cpu, memory=memory)


def parse_environment(text: str) -> tuple[dict[str, str], str]:
    """The variables, and one sentence about the first line that is none ("" when all is well)."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip().removeprefix("export ").strip()
        if not equals:
            return variables, f"Line {number} has no =. Write NAME=value, one a line."
        if not name or not name.isprintable() or " " in name or "\0" in value:
            return variables, f"Line {number} has no valid name before the =. Write NAME=value, one a line."
        if name.upper().startswith(_RESERVED):
            return variables, f"Line {number}: names that begin with {_RESERVED} are reserved."
        if name in variables:
            return variables, f"Line {number} sets {name} a second time."
        if len(name) > _MOST_TEXT or len(value) > _MOST_TEXT:
            return variables, f"Line {number} is longer than App Runner takes ({_MOST_TEXT:,} characters)."
        variables[name] = value
    return variables, ""


def problems_of(form: Form, found: InspectSourceResponse | None, names: Collection[str] = ()) -> dict[str, str]:
    """One sentence for each field that cannot stay as it is, in the order of the form. `names` are taken."""
    problems = {**_source_problems(form, found), **_build_problems(form, found), **_service_problems(form, names)}
    return {field: problems[field] for field in STEP_OF if field in problems}


def _image_problems(form: Form, found: InspectSourceResponse | None) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not form.image.strip():
        problems["image"] = "Give the image as docker pull takes it."
    elif len(form.image) > _MOST_IMAGE or not form.image.isprintable():
        problems["image"] = "This is no image reference: it has control characters in it or is too long."
    elif found and found.problem:
        problems["image"] = found.problem.message
    if form.deployments is Deployments.ON_PUSH and "@" in form.image:
        problems["deployments"] = "An image named by its digest never changes: name a tag, or deploy by hand."
    return problems


def _source_problems(form: Form, found: InspectSourceResponse | None) -> dict[str, str]:
    if form.is_image:
        return _image_problems(form, found)
    problems: dict[str, str] = {}
    if not form.repository.strip():
        problems["repository"] = "Give the URL of a Git repository, or the path of a folder."
    elif len(form.repository) > _MOST_TEXT or not form.repository.isprintable():
        problems["repository"] = "This is no URL and no path: it has control characters in it or is too long."
    elif found and (problem := found.problem) and problem.kind is not FailureKind.CONFIG:
        listed = found.branches and len(found.branches) < _MOST_BRANCHES
        about_branch = listed and form.branch.strip() and form.branch.strip() not in found.branches
        problems["branch" if about_branch else "repository"] = problem.message
    if ".." in PurePosixPath(form.directory.strip()).parts:
        problems["directory"] = "The source directory is given from the repository's root, without .. in it."
    elif "\0" in form.directory or len(form.directory) > 4000:
        problems["directory"] = "This is no path within the repository."
    return problems


def _build_problems(form: Form, found: InspectSourceResponse | None) -> dict[str, str]:
    if form.by_file:
        if found and found.problem and found.problem.kind is FailureKind.CONFIG:
            return {"configuration": found.problem.message}
        if found and found.kind and not found.config_file and not found.problem:
            return {"configuration": "There is no apprunner.yaml in the source directory; set the commands here."}
        return {}
    problems: dict[str, str] = {}
    if not form.start_command.strip() and not (form.is_image or form.by_dockerfile):
        problems["start_command"] = "App Runner needs the command that starts the application."
    for field in ("build_command", "start_command"):
        if not getattr(form, field).isprintable():
            problems[field] = "A command is one line without control characters."
    if not _is_number(form.port, 1, 65535):
        problems["port"] = "A port is a number from 1 to 65535."
    return problems


def _service_problems(form: Form, names: Collection[str]) -> dict[str, str]:
    problems: dict[str, str] = {}
    name = form.name.strip()
    if not 4 <= len(name) <= 40:
        problems["name"] = "A name has 4 to 40 characters."
    elif not _NAME.fullmatch(name):
        problems["name"] = "A name has letters, digits, - and _, and begins with a letter or a digit."
    elif name in names:
        problems["name"] = f"There is a service named {name} already."
    if form.memory not in MEMORY_FOR.get(form.cpu, ()):
        problems["memory"] = "App Runner does not offer this memory with this CPU."
    if not form.by_file:
        _, problem = parse_environment(form.environment)
        if problem:
            problems["environment"] = problem
    if form.protocol is HealthCheckProtocol.HTTP and not (form.path.startswith("/") and form.path.isprintable()):
        problems["path"] = "A path begins with /."
    for field, words in _CHECK_NUMBERS.items():
        if not _is_number(getattr(form, field), 1, 20):
            problems[field] = f"{words} is a number from 1 to 20."
    return problems


def _is_number(text: str, least: int, most: int) -> bool:
    text = text.strip()
    return text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= most


def _code_source(form: Form, url: str) -> SourceConfiguration:
    code = CodeConfiguration(configuration_source=form.configuration)
    if form.configuration is ConfigurationSource.API:
        variables, _ = parse_environment(form.environment)
        code = CodeConfiguration(
            configuration_source=form.configuration,
            code_configuration_values=CodeConfigurationValues(
                runtime=form.runtime,
                build_command=None if form.by_dockerfile else form.build_command.strip() or None,
                start_command=form.start_command.strip() or None,
                port=form.port.strip(),
                runtime_environment_variables=variables or None,
            ),
        )
    return SourceConfiguration(
        code_repository=CodeRepository(
            repository_url=url,
            source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value=form.branch.strip()),
            code_configuration=code,
            source_directory=source_directory(form.directory),
        ),
        # There is nothing yet that would deploy a repository by itself.
        auto_deployments_enabled=False,
    )


def _image_source(form: Form, reference: str) -> SourceConfiguration:
    variables, _ = parse_environment(form.environment)
    public = reference.startswith("public.ecr.aws/")
    return SourceConfiguration(
        image_repository=ImageRepository(
            image_identifier=reference,
            image_repository_type=ImageRepositoryType.ECR_PUBLIC if public else ImageRepositoryType.ECR,
            image_configuration=ImageConfiguration(
                port=form.port.strip(),
                start_command=form.start_command.strip() or None,
                runtime_environment_variables=variables or None,
            ),
        ),
        auto_deployments_enabled=form.deployments is Deployments.ON_PUSH,
    )


def request_of(form: Form, url: str) -> CreateServiceRequest:
    """The request that a form without problems comes to."""
    is_http = form.protocol is HealthCheckProtocol.HTTP
    return CreateServiceRequest(
        service_name=form.name.strip(),
        source_configuration=_image_source(form, url) if form.is_image else _code_source(form, url),
        instance_configuration=InstanceConfiguration(cpu=form.cpu, memory=form.memory),
        health_check_configuration=HealthCheckConfiguration(
            protocol=form.protocol,
            path=form.path if is_http else None,
            interval=int(form.interval),
            timeout=int(form.timeout),
            healthy_threshold=int(form.healthy),
            unhealthy_threshold=int(form.unhealthy),
        ),
    )
