"""Turning what happened into one sentence with its cause, evidence and a hint. Pure."""

import re

from engine.model.errors import Failure, FailureKind
from engine.model.instance import Address, Exit
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol

_PORT_TAKEN = re.compile(r"EADDRINUSE|[Aa]ddress already in use|port \d+ is (already )?in use", re.IGNORECASE)
_NO_MODULE = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?")
_NO_NODE_MODULE = re.compile(r"Cannot find (?:module|package) '([^']+)'")
_NO_FILE = re.compile(r"can't open file '([^']+)'")
_DISK_FULL = re.compile(r"No space left on device|ENOSPC")


def died_at_start(exit_: Exit, tail: tuple[str, ...], after_s: float) -> Failure:
    """An instance of the version being deployed ended before the deployment was complete."""
    text = "\n".join(tail)
    kind, hint = FailureKind.START, ""
    cause = f"The application {exit_.describe()} {_after(after_s)}, before the deployment was complete."
    if _PORT_TAKEN.search(text):
        kind = FailureKind.PORT
        cause = f"The application {exit_.describe()} because a port that it wants is already in use."
        hint = "Let the application listen on the port in its PORT environment variable; end what holds the other port."
    elif _DISK_FULL.search(text):
        kind = FailureKind.DISK
        cause = f"The application {exit_.describe()} because the disk is full."
        hint = "Free some space and deploy again."
    elif match := _NO_MODULE.search(text):
        hint = f"Add the package that provides '{match.group(1)}' to the build commands (requirements.txt)."
    elif match := _NO_NODE_MODULE.search(text):
        hint = f"'{match.group(1)}' was not found: add it to package.json, or correct the path in the start command."
    elif match := _NO_FILE.search(text):
        hint = f"The start command names {match.group(1)}, which is not in the source directory."
    elif exit_.code == 127:
        hint = "The start command's program was not found: is it installed by a build command?"
    elif exit_.code == 126:
        hint = "The start command's program cannot be executed: check its permissions and first line."
    elif exit_.signal == 9:
        hint = "It was killed from outside, perhaps for want of memory."
    elif exit_.code == 0:
        hint = "The start command ended by itself: a web service has to stay in the foreground."
    elif not tail:
        hint = "It printed nothing."
    return Failure(kind=kind, message=cause, evidence=tail, hint=hint, exit_code=exit_.code)


def wrong_port(expected: Address, service_port: int, found: tuple[Address, ...], tail: tuple[str, ...]) -> Failure:
    """It listens, but not where requests will come."""
    ports = ", ".join(sorted({str(address.port) for address in found}, key=int))
    return Failure(
        kind=FailureKind.PORT,
        message=f"The application listens on port {ports}, but the service's port is {service_port}.",
        evidence=(f"Nothing accepted a connection on the instance's port {expected.port}.", *tail),
        hint=f"Set the service's port to {ports.split(', ')[0]} (run.network.port in apprunner.yaml), or let the"
        " application listen on the port in its PORT environment variable.",
    )


def never_healthy(
    config: HealthCheckConfiguration, port: int, last: str, waited_s: float, tail: tuple[str, ...]
) -> Failure:
    """The start-up window is over."""
    if config.protocol is HealthCheckProtocol.HTTP:
        check = f"GET {config.path or '/'}"
        hint = "Let that path answer 200 without a login, or choose another path or the TCP check."
    else:
        check = f"a connection to port {port}"
        hint = "Let the application listen on the port in its PORT environment variable."
    return Failure(
        kind=FailureKind.HEALTH,
        message=f"The application did not become healthy within {waited_s:.0f} s: {check} got {last or 'no answer'}.",
        evidence=(f"Last answer: {last or 'none'}", *tail),
        hint=hint,
    )


def internal(error: BaseException) -> Failure:
    """A defect or an obstacle of ours: say what is known and where the rest is."""
    text = str(error) or type(error).__name__
    disk = isinstance(error, OSError) and error.errno == 28
    return Failure(
        kind=FailureKind.DISK if disk else FailureKind.INTERNAL,
        message="The disk is full." if disk else f"Homerun could not go on: {text.rstrip('.')}.",
        evidence=(f"{type(error).__name__}: {text}",),
        hint="Free some space and deploy again." if disk else "The engine's log (logs/engine.log) has the details.",
    )


def _after(seconds: float) -> str:
    return "at once" if seconds < 1 else f"after {seconds:.0f} s"
