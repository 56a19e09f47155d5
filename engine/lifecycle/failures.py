"""Turning what happened into one sentence with its cause, evidence and a hint. Pure."""

import errno
import re

from msgspec.structs import replace

from engine.compute.base import ComputeUnavailable
from engine.lifecycle.health import NOT_TAKEN
from engine.model.errors import Failure, FailureKind
from engine.model.instance import Address, Exit
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol

_PORT_TAKEN = re.compile(r"EADDRINUSE|[Aa]ddress already in use|port \d+ is (already )?in use", re.IGNORECASE)
_DISK_FULL = re.compile(r"No space left on device|ENOSPC")
_INSTANCE_FOLDER = re.compile(r"\A(?:/.*?/instances/[0-9a-f]{32})?/app/")
"""Where an instance's copy of the source is: people know its files by their path in the repository."""
_HINTS = (
    (
        re.compile(r"No module named '?([\w.]+)'?"),
        "Add the package that provides '{0}' to the build commands (requirements.txt), or correct the start command.",
    ),
    (
        re.compile(r"cannot import name '?\w+'? from '?(\w+)[\w.]*'? \(.*/site-packages/"),
        "The code does not fit the installed version of '{0}': pin one that fits in requirements.txt.",
    ),
    (
        re.compile(r"Cannot find (?:module|package) '([^']+)'"),
        "'{0}' was not found: add it to package.json, or correct the path in the start command.",
    ),
    (re.compile(r"can't open file '([^']+)'"), "The start command names {0}, which is not in the source directory."),
    (
        re.compile(r"Error loading ASGI app\.|Failed to find attribute '\w+' in"),
        "The start command has to name the application as module:variable, for example main:app.",
    ),
    (
        re.compile(r"ImproperlyConfigured: (?:The )?(\w+)"),
        "Django's settings lack something, {0}: settings often take it from a variable, which run.env can set.",
    ),
    (
        re.compile(r"Could not find a production build in the '([^']+)'"),
        "The application was not built: add its build (npm run build) to the build commands.",
    ),
    (
        re.compile(r"Environment variable not found: (\w+)"),
        "It needs the variable {0}: set it in run.env of apprunner.yaml, or on the service.",
    ),
    (
        re.compile(r"(?:NoCredentialsError|NoRegionError|CredentialsProviderError|Could not load credentials)"),
        "It asks for credentials or a region of AWS: give them to it as variables, and only those that it needs.",
    ),
    (
        re.compile(
            r"(?:psycopg2?|pymysql|MySQLdb|asyncpg|sqlalchemy|pymongo|redis)\S*(?:Error|Timeout)\b"
            r".*(?:[Cc]onnect|[Rr]efused|not known|timed out)"
            r"|MongooseServerSelectionError|PrismaClientInitializationError|SequelizeConnection\w*Error"
        ),
        "Its database does not answer: start it, and give its address to the application as a variable (run.env).",
    ),
    (
        re.compile(r"ECONNREFUSED ([\w.:-]{1,200}:\d+)"),
        "Nothing answers at {0}: start what the application connects to there, or give it another address.",
    ),
    (
        re.compile(r"ENOTFOUND|EAI_AGAIN|Name or service not known|name resolution|nodename nor servname"),
        "A host name that it connects to was not found: check the name, and this machine's network.",
    ),
)
"""What an application says as it dies, and what to do; of the last line that fits any, the first row."""
_ENVIRON = re.compile(r"(?:<frozen os>|/os\.py)\"?, line \d+, in __getitem__")
_KEY = re.compile(r"KeyError: '([A-Za-z_]\w*)'")
_LINE_MAX = 1000  # of what is searched: the lines are the application's, and can be of any length


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
    elif exit_.out_of_memory:
        hint = "Give the service more memory, or let the application use less."
    elif advice := _advice(tail):
        hint = advice
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


def wrong_port(expected: int, service_port: int, found: tuple[Address, ...], tail: tuple[str, ...]) -> Failure:
    """It listens, but not where requests will come."""
    ports = ", ".join(sorted({str(address.port) for address in found}, key=int))
    return Failure(
        kind=FailureKind.PORT,
        message=f"The application listens on port {ports}, but the service's port is {service_port}.",
        evidence=(f"Nothing accepted a connection on the instance's port {expected}.", *tail),
        hint=f"Set the service's port to {ports.split(', ')[0]} (run.network.port in apprunner.yaml), or let the"
        " application listen on the port in its PORT environment variable.",
    )


def loopback_only(port: int) -> Failure:
    """It listens where only its own container can reach it."""
    return Failure(
        kind=FailureKind.PORT,
        message=f"The application listens on port {port} of its container's own loopback address only.",
        evidence=("Nothing outside the container can connect to 127.0.0.1 inside it.",),
        hint="Let it listen on all addresses: 0.0.0.0 instead of 127.0.0.1 or localhost.",
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
    if last == NOT_TAKEN:
        hint = "Its server runs, but the application in it does not: the application log says what holds it up."
    return Failure(
        kind=FailureKind.HEALTH,
        message=f"The application did not become healthy within {waited_s:.0f} s: {check} got {last or 'no answer'}.",
        evidence=(f"Last answer: {last or 'none'}", *tail),
        hint=hint,
    )


def with_output(failure: Failure, tail: tuple[str, ...]) -> Failure:
    """A failed start with the application's last lines; what they give away is better advice than any guess."""
    return replace(failure, evidence=(*failure.evidence, *tail), hint=_advice(tail) or failure.hint)


def compute_away(error: ComputeUnavailable) -> Failure:
    """What runs instances is not there."""
    return Failure(kind=FailureKind.COMPUTE, message=error.cause, hint=error.hint)


def internal(error: BaseException) -> Failure:
    """A defect or an obstacle of ours: say what is known and where the rest is."""
    text = str(error) or type(error).__name__
    disk = (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "the disk is full" in text
    return Failure(
        kind=FailureKind.DISK if disk else FailureKind.INTERNAL,
        message="The disk is full." if disk else f"Homerun could not go on: {text.rstrip('.')}.",
        evidence=(f"{type(error).__name__}: {text}",),
        hint="Free some space and deploy again." if disk else "The engine's log (logs/engine.log) has the details.",
    )


def _advice(tail: tuple[str, ...]) -> str:
    """What to do about what the last lines say; "" when they say nothing known."""
    lines = [line[:_LINE_MAX] for line in tail]
    for at in range(len(lines) - 1, -1, -1):
        if (key := _KEY.search(lines[at])) and any(_ENVIRON.search(line) for line in lines[max(0, at - 6) : at]):
            return f"It needs the variable {key.group(1)}: set it in run.env of apprunner.yaml, or on the service."
        for pattern, advice in _HINTS:
            if match := pattern.search(lines[at]):
                named = next(filter(None, match.groups()), "")
                return advice.format(_INSTANCE_FOLDER.sub("", named))
    return ""


def _after(seconds: float) -> str:
    return "at once" if seconds < 1 else f"after {seconds:.0f} s"
