"""The managed runtimes: what App Runner offers, under which names, and what people write instead."""

import re

from engine.build.findings import shown
from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import BuildGeneration, Runtime, RuntimeFamily
from engine.model.service import ApiRuntime

_OLD, _NEW = BuildGeneration.ORIGINAL, BuildGeneration.REVISED


class ManagedRuntime(Value, frozen=True, kw_only=True):
    """A row of App Runner's own table."""

    api: ApiRuntime
    runtime: Runtime
    end_of_support: str = ""
    """The day App Runner stopped offering it to new services, "2025-12-01"; "" for none announced."""


def _row(
    name: str, api: ApiRuntime, family: RuntimeFamily, generation: BuildGeneration, accepts: str, *, ended: str = ""
) -> ManagedRuntime:
    runtime = Runtime(name=name, family=family, generation=generation, accepts=tuple(accepts.split()))
    return ManagedRuntime(api=api, runtime=runtime, end_of_support=ended)


MANAGED: dict[str, ManagedRuntime] = {
    row.runtime.name: row
    for row in (
        _row("python3", ApiRuntime.PYTHON_3, RuntimeFamily.PYTHON, _OLD, "3.8 3.7", ended="2025-12-01"),
        _row("python311", ApiRuntime.PYTHON_311, RuntimeFamily.PYTHON, _NEW, "3.11"),
        _row("nodejs12", ApiRuntime.NODEJS_12, RuntimeFamily.NODEJS, _OLD, "12", ended="2025-12-01"),
        _row("nodejs14", ApiRuntime.NODEJS_14, RuntimeFamily.NODEJS, _OLD, "14", ended="2025-12-01"),
        _row("nodejs16", ApiRuntime.NODEJS_16, RuntimeFamily.NODEJS, _OLD, "16", ended="2025-12-01"),
        _row("nodejs18", ApiRuntime.NODEJS_18, RuntimeFamily.NODEJS, _NEW, "18", ended="2025-12-01"),
        _row("nodejs22", ApiRuntime.NODEJS_22, RuntimeFamily.NODEJS, _NEW, "22"),
        _row("corretto8", ApiRuntime.CORRETTO_8, RuntimeFamily.CORRETTO, _OLD, "8"),
        _row("corretto11", ApiRuntime.CORRETTO_11, RuntimeFamily.CORRETTO, _OLD, "11"),
        _row("go1", ApiRuntime.GO_1, RuntimeFamily.GO, _OLD, "1.18", ended="2025-12-01"),
        _row("dotnet6", ApiRuntime.DOTNET_6, RuntimeFamily.DOTNET, _OLD, "6", ended="2025-12-01"),
        _row("php81", ApiRuntime.PHP_81, RuntimeFamily.PHP, _OLD, "8.1", ended="2025-12-31"),
        _row("ruby31", ApiRuntime.RUBY_31, RuntimeFamily.RUBY, _OLD, "3.1", ended="2025-12-01"),
    )
}
"""By the name that the file uses, in the order that messages list them."""

RUNTIME_NAMES = tuple(MANAGED)
_BY_API = {row.api: row for row in MANAGED.values()}

_LANGUAGES = {
    "python": RuntimeFamily.PYTHON,
    "py": RuntimeFamily.PYTHON,
    "node": RuntimeFamily.NODEJS,
    "nodejs": RuntimeFamily.NODEJS,
    "corretto": RuntimeFamily.CORRETTO,
    "java": RuntimeFamily.CORRETTO,
    "openjdk": RuntimeFamily.CORRETTO,
    "jdk": RuntimeFamily.CORRETTO,
    "go": RuntimeFamily.GO,
    "golang": RuntimeFamily.GO,
    "dotnet": RuntimeFamily.DOTNET,
    "dotnetcore": RuntimeFamily.DOTNET,
    "php": RuntimeFamily.PHP,
    "ruby": RuntimeFamily.RUBY,
}
_LABELS = {
    RuntimeFamily.PYTHON: "Python",
    RuntimeFamily.NODEJS: "Node.js",
    RuntimeFamily.CORRETTO: "Java",
    RuntimeFamily.GO: "Go",
    RuntimeFamily.DOTNET: ".NET",
    RuntimeFamily.PHP: "PHP",
    RuntimeFamily.RUBY: "Ruby",
}
_NEWEST = {
    RuntimeFamily.PYTHON: "python311",
    RuntimeFamily.NODEJS: "nodejs22",
    RuntimeFamily.CORRETTO: "corretto11",
    RuntimeFamily.GO: "go1",
    RuntimeFamily.DOTNET: "dotnet6",
    RuntimeFamily.PHP: "php81",
    RuntimeFamily.RUBY: "ruby31",
}
_TWO_PART = frozenset({RuntimeFamily.PYTHON, RuntimeFamily.PHP, RuntimeFamily.RUBY})
"""Languages whose minor version is part of the runtime's name."""
_FIRST_REVISED = {RuntimeFamily.PYTHON: (3, 11), RuntimeFamily.NODEJS: (18,)}
DOCKER = Runtime(name="docker", family=RuntimeFamily.DOCKER, generation=_NEW, accepts=())
"""Our own: the Dockerfile of the source is built. App Runner's users asked for it for years."""
_DOCKERFILES = frozenset({"docker", "dockerfile", "container", "podman"})
_IMAGES = frozenset({"docker", "dockerfile", "container", "image", "custom", "ecr", "oci", "podman", "buildpack"})

_LOOSE_NAME = re.compile(r"\A([a-z]+?)(?:lts|latest|x|v)?(\d{1,4}(?:\.\d{1,3}){0,3})?(?:\.x|lts|latest)*\Z")
_LOOSE_VERSION = re.compile(
    r"\A(?:python|node(?:\.?js)?|v|=|~|\^)*\s*(\d{1,4}(?:\.\d{1,4}){0,4})(?:\.[x*])*\Z", re.IGNORECASE
)
_STRICT_VERSION = re.compile(r"\A\d{1,4}(\.\d{1,4}){0,4}\Z")
_MAX_TEXT = 60


def runtime_of(api: ApiRuntime) -> Runtime:
    """The runtime that the API's enumeration means."""
    if api is ApiRuntime.DOCKER:
        return DOCKER
    return _BY_API[api].runtime


def end_of_support(runtime: Runtime) -> str:
    """The day App Runner stopped offering it to new services ("2025-12-01"), or ""."""
    row = MANAGED.get(runtime.name)
    return row.end_of_support if row else ""


def runtime_named(text: str, strict: bool) -> tuple[Runtime, tuple[str, ...]]:
    """The runtime that a file's `runtime` means, and notices. Raises DeployError of kind CONFIG, its hint YAML."""
    row = MANAGED.get(text)
    if row is not None:
        return row.runtime, () if strict else support_notices(row.runtime)
    squashed = re.sub(r"[\s_-]", "", text[:_MAX_TEXT].lower())
    if squashed in _DOCKERFILES and not strict:
        said = "the Dockerfile in the source directory is built and run"
        return DOCKER, (f"runtime {shown(text)}: {said}. App Runner itself builds no Dockerfile.",)
    if squashed in _IMAGES:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"runtime {shown(text)} is not a managed runtime: App Runner builds no Dockerfile from a repository;"
            f" name the language's runtime, one of {', '.join(RUNTIME_NAMES)}, or deploy the image itself",
            hint="runtime: python311",
        )
    guess = None if len(text) > _MAX_TEXT else _guessed(squashed)
    if guess is None or strict:
        suggestion = guess.name if guess and guess.name in MANAGED else _nearest(guess)
        raise DeployError.of(
            FailureKind.CONFIG,
            f"runtime {shown(text)} is not a managed runtime; allowed are {', '.join(RUNTIME_NAMES)}",
            hint=f"runtime: {suggestion}",
        )
    if guess.name in MANAGED:
        said = f"runtime {shown(text)} is read as {guess.name}. App Runner itself refuses this spelling."
        return guess, (said, *support_notices(guess))
    wanted = f"{_LABELS[guess.family]} {guess.accepts[0]}"
    return guess, (
        f"runtime {shown(text)} is read as {wanted}. App Runner itself refuses it; its nearest is {_nearest(guess)}.",
    )


def version_locked(runtime: Runtime, text: str, strict: bool) -> tuple[Runtime, tuple[str, ...]]:
    """The runtime with the file's `runtime-version`, and notices. Raises DeployError of kind CONFIG, its hint YAML."""
    offered = " and ".join(runtime.accepts)
    if strict:
        if _STRICT_VERSION.match(text) and any(_same_line(text, version) for version in runtime.accepts):
            return _locked(runtime, text), ()
        raise DeployError.of(
            FailureKind.CONFIG,
            f"run.runtime-version {shown(text)} is not supported; {runtime.name} offers {offered}",
            hint=_version_hint(runtime),
        )
    if text.strip().lower() in ("latest", "lts", "lts/*", "stable", "current", "*", ""):
        newest = f"run.runtime-version {shown(text)} is read as the newest version of {runtime.name}."
        return runtime, (f"{newest} App Runner itself takes a version number there.",)
    match = _LOOSE_VERSION.match(text.strip()[:_MAX_TEXT])
    if match is None:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"run.runtime-version {shown(text)} is not a version; write major, major.minor or major.minor.patch",
            hint=_version_hint(runtime),
        )
    number = match.group(1)
    notices: list[str] = []
    if number != text:
        notices.append(f"run.runtime-version {shown(text)} is read as {number}. App Runner itself refuses this.")
    if not any(_same_line(number, version) for version in runtime.accepts):
        notices.append(
            f"run.runtime-version {number} is used as asked. App Runner itself refuses it: {runtime.name} there is"
            f" {_LABELS[runtime.family]} {offered} only."
        )
    return _locked(runtime, number), tuple(notices)


def _locked(runtime: Runtime, version: str) -> Runtime:
    return Runtime(
        name=runtime.name,
        family=runtime.family,
        generation=runtime.generation,
        accepts=runtime.accepts,
        locked=version,
    )


def _same_line(asked: str, offered: str) -> bool:
    """Whether one version is a prefix of the other, by components: "3" and "3.8.16" both go with "3.8"."""
    pairs = zip(asked.split("."), offered.split("."), strict=False)
    return all(mine == theirs for mine, theirs in pairs)


def support_notices(runtime: Runtime) -> tuple[str, ...]:
    """What there is to say about a runtime that App Runner has given up."""
    ended = end_of_support(runtime)
    if not ended:
        return ()
    return (
        f"App Runner ended its support for {runtime.name} on {ended} and refuses it for new services; it works here.",
    )


def _version_hint(runtime: Runtime) -> str:
    return f'run:\n  runtime-version: "{runtime.accepts[0]}"'


def _guessed(squashed: str) -> Runtime | None:
    """What a name without blanks, dashes and capitals most likely means."""
    match = _LOOSE_NAME.match(squashed.replace("node.js", "nodejs").replace(":", "").replace("@", ""))
    family = _LANGUAGES.get(match.group(1)) if match else None
    if match is None or family is None:
        return None
    version = match.group(2) or ""
    if not version:
        return MANAGED[_NEWEST[family]].runtime
    parts = _version_parts(family, version)
    if family is RuntimeFamily.PYTHON and parts[0] != 3:
        return None
    for row in MANAGED.values():
        same = row.runtime.family is family
        if same and (row.runtime.name == f"{family.value}{version}" or _dotted(parts) in row.runtime.accepts):
            exact = row.runtime.name != "python3" or version == "3"
            return row.runtime if exact else _one_version(row.runtime, parts)
    if len(parts) == 1 and family in _TWO_PART | {RuntimeFamily.GO}:
        return MANAGED[_NEWEST[family]].runtime
    return _one_version(MANAGED[_NEWEST[family]].runtime, parts)


def _version_parts(family: RuntimeFamily, version: str) -> tuple[int, ...]:
    """(3, 11) for Python's "311" and "3.11.4", (20,) for Node's "20.1"."""
    numbers = [int(part) for part in version.split(".")]
    if family not in _TWO_PART and family is not RuntimeFamily.GO:
        return (numbers[0],)
    if len(numbers) == 1 and len(version) > 1:
        numbers = [int(version[0]), int(version[1:])]
    return tuple(numbers[:2])


def _dotted(parts: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in parts)


def _one_version(base: Runtime, parts: tuple[int, ...]) -> Runtime:
    """A runtime that App Runner does not have, for one version of a language it does have."""
    joined = "".join(str(part) for part in parts)
    revised = base.family in _FIRST_REVISED and parts >= _FIRST_REVISED[base.family]
    return Runtime(
        name=f"{base.family.value}{joined}",
        family=base.family,
        generation=_NEW if revised else _OLD,
        accepts=(_dotted(parts),),
    )


def _nearest(guess: Runtime | None) -> str:
    if guess is None:
        return "python311"
    same = [row.runtime for row in MANAGED.values() if row.runtime.family is guess.family]
    same_generation = [runtime for runtime in same if runtime.generation is guess.generation]
    return (same_generation or same)[-1].name
