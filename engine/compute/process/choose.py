"""Which interpreter serves a managed runtime: a pure choice among those found on the machine."""

from collections.abc import Sequence

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import Runtime, RuntimeFamily

_LANGUAGE = {RuntimeFamily.PYTHON: "Python", RuntimeFamily.NODEJS: "Node.js"}
_LINE = {RuntimeFamily.PYTHON: 2, RuntimeFamily.NODEJS: 1}
"""How many components of a version name a release line: Python 3.11, Node.js 20."""


class Interpreter(Value, frozen=True, kw_only=True):
    """A usable interpreter: final release, and for python able to make virtual environments."""

    family: RuntimeFamily
    executable: str
    version: str
    """Full: "3.11.7"."""


class Choice(Value, frozen=True, kw_only=True):
    interpreter: Interpreter
    notice: str = ""
    """What App Runner would have used instead, one sentence; "" when it is just that."""


def choose_interpreter(runtime: Runtime, found: Sequence[Interpreter], *, strict: bool) -> Choice:
    """The interpreter for a runtime: its `runtime-version` lock first, else what it accepts, best first.

    Helpful (not `strict`): another patch release of a locked line will do; a python runtime without a lock takes
    the nearest newer Python, a nodejs one the nearest newer Node.js, else the nearest older. Each says so.
    Raises DeployError of kind RUNTIME when nothing fits.
    """
    if runtime.family not in _LANGUAGE:
        raise DeployError.of(
            FailureKind.RUNTIME,
            f"The process compute runs Python and Node.js applications; the runtime '{runtime.name}' needs Docker.",
            hint="Start Docker (or Podman) on this machine, and Homerun with --compute docker or auto.",
        )
    mine = [interpreter for interpreter in found if interpreter.family is runtime.family]
    wanted = _wanted(runtime)
    for prefix in wanted:
        if fitting := _newest(mine, parse_version(prefix)):
            return Choice(interpreter=fitting)
    language, size = _LANGUAGE[runtime.family], _LINE[runtime.family]
    line = parse_version(wanted[0])[:size]
    if runtime.locked and (near := _newest(mine, parse_version(runtime.locked)[: 2 if strict else size])):
        notice = f"runtime-version {runtime.locked} is not on this machine; {language} {near.version} is used."
        return Choice(interpreter=near, notice=notice)
    # A lock names the very Python that the application was written for; a Node.js lock only refines the runtime.
    open_to_others = not strict and (not runtime.locked or runtime.family is RuntimeFamily.NODEJS)
    if open_to_others and (other := _nearest(mine, line, older=runtime.family is RuntimeFamily.NODEJS)):
        asked = " or ".join(wanted)
        notice = f"'{runtime.name}' means {language} {asked}, which is not on this machine; {other.version} is used."
        return Choice(interpreter=other, notice=notice)
    raise _missing(runtime, mine, wanted)


def parse_version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "3.11.7" -> (3, 11, 7), "18.x" -> (18,)."""
    numbers = []
    for part in text.strip().removeprefix("v").split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _wanted(runtime: Runtime) -> tuple[str, ...]:
    """Version prefixes, best first. A lock on the major alone picks among what the runtime accepts."""
    if not parse_version(runtime.locked):
        return runtime.accepts
    locked = parse_version(runtime.locked)
    if within := tuple(p for p in runtime.accepts if parse_version(p)[: len(locked)] == locked):
        return within
    return (runtime.locked,)


def _newest(found: Sequence[Interpreter], prefix: tuple[int, ...]) -> Interpreter | None:
    fitting = [i for i in found if parse_version(i.version)[: len(prefix)] == prefix]
    return max(fitting, key=lambda i: parse_version(i.version), default=None)


def _nearest(found: Sequence[Interpreter], line: tuple[int, ...], *, older: bool) -> Interpreter | None:
    """The newest release of the nearest newer line; failing that, when allowed, of the nearest older one."""
    lines = {parse_version(i.version)[: len(line)] for i in found}
    newer = (
        [each for each in lines if each > line and each[0] == line[0]]
        if len(line) > 1
        else [each for each in lines if each > line]
    )
    if newer:
        return _newest(found, min(newer))
    below = [each for each in lines if each < line]
    return _newest(found, max(below)) if older and below else None


def _missing(runtime: Runtime, mine: Sequence[Interpreter], wanted: Sequence[str]) -> DeployError:
    language = _LANGUAGE[runtime.family]
    ordered = sorted(mine, key=lambda i: parse_version(i.version))
    have = " and ".join(_listed([i.version for i in ordered])) or f"no {language} at all"
    if runtime.family is RuntimeFamily.PYTHON:
        line = ".".join(str(n) for n in parse_version(wanted[0])[:2])
        hint = f"Install it with `uv python install {line}` or `pyenv install {line}`, then deploy again."
    else:
        line = str(parse_version(wanted[0])[0])
        hint = f"Install it with `nvm install {line}` or `fnm install {line}`, then deploy again."
    asked = f"runtime '{runtime.name}'" + (f" with runtime-version {runtime.locked}" if runtime.locked else "")
    return DeployError.of(
        FailureKind.RUNTIME,
        f"The {asked} needs {language} {' or '.join(wanted)}; this machine has {have}.",
        evidence=tuple(f"{language} {i.version}  {i.executable}" for i in ordered),
        hint=hint,
    )


def _listed(versions: Sequence[str]) -> list[str]:
    """["a", "b", "c"] -> ["a, b", "c"], each version once."""
    unique = list(dict.fromkeys(versions))
    return [", ".join(unique[:-1]), unique[-1]] if len(unique) > 1 else unique
