"""Start commands, which App Runner runs without a shell, and paths below /app, which only a container has.

App Runner splits a start command at its blanks and executes the words: `&&`, `|`, `>`, `$PORT`, `VAR=x` in front and
globs are plain arguments there, and `sh -c "a b"` hands sh the single word `"a`.
"""

import re
import shlex
from collections.abc import Mapping

from engine.build.shell_text import (
    COMMENT,
    OPERATOR,
    UnclosedQuoteError,
    ends_open,
    logical_lines,
    mask,
    quoting,
    simple_commands,
)
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import StartCommand

MAX_COMMAND = 32_768
"""Characters; a shell takes no much longer text as one argument."""

_BUILTINS = frozenset(
    {"cd", "export", "source", ".", "exec", "set", "unset", "ulimit", "umask", "eval", "trap", "wait"}
)
_EXPANSION = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z0-9_]*\}?|[(0-9@*#?!$-])|`")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_CALL = re.compile(r"[\w.:/-]+\([\w,=.]*\)")
"""A factory as servers take it, `app:create_app()`: a subshell to a shell, an argument to everyone else."""
_SUDO = re.compile(r"sudo\s+(?:-[EHSni]+\s+|-u\s+\S+\s+)*")
_SHELLS = frozenset({"sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/bash", "dash", "ash"})


def start_problem(text: str, strict: bool) -> str:
    """Why a text cannot be a start command, as the end of a sentence; "" when it can."""
    if "\x00" in text:
        return "it holds a NUL character"
    if not (text.strip() if strict else _one_line(text)):
        return "it is empty"
    if len(text) > MAX_COMMAND:
        return f"it is longer than {MAX_COMMAND:,} characters"
    if not strict:
        try:
            mask(text)
        except UnclosedQuoteError as error:
            return str(error)
    return ""


def start_command(text: str, strict: bool) -> tuple[StartCommand, tuple[str, ...]]:
    """How to start an instance, and notices. Raises DeployError of kind CONFIG for a text that is no command.

    Strict: never a shell, words split at blanks with their quotes left on, as App Runner does it. Otherwise words are
    split as a shell splits them, and a text that only makes sense to a shell goes to one.
    """
    problem = start_problem(text, strict)
    if problem:
        raise DeployError.of(
            FailureKind.CONFIG,
            f"The start command cannot be read: {problem}.",
            hint="Give one command that starts the application, such as: python3 app.py",
        )
    if strict:
        return StartCommand(text=text.strip(), argv=tuple(text.split()), shell=False), ()
    line = _one_line(text)
    notices: list[str] = []
    bare = without_sudo(line)
    if bare != line:
        notices.append("sudo is left out of the start command. App Runner itself has no sudo.")
        line = bare
    reasons = _shell_reasons(line)
    if not reasons:
        argv = tuple(shlex.split(line))
        if len(argv) > 2 and argv[0] in _SHELLS and argv[1].startswith("-") and argv[1].endswith("c"):
            notices.append(
                f"The start command works as written. App Runner itself splits it at its blanks, so {argv[0]} -c would"
                " get the first word only."
            )
        return StartCommand(text=line, argv=argv, shell=False), tuple(notices)
    notices.append(
        f"The start command is run by a shell because of {', '.join(reasons)}. App Runner itself uses"
        " no shell and passes such signs to the program as they are."
    )
    return StartCommand(text=_for_shell(line), argv=(), shell=True), tuple(notices)  # noqa: S604 - a value, no call


def without_sudo(line: str) -> str:
    """The line without `sudo` where a command begins; the line itself when it cannot be read."""
    try:
        masked = mask(line)
    except UnclosedQuoteError:
        return line
    for start, end in reversed([*simple_commands(masked)]):
        body = start + len(masked[start:end]) - len(masked[start:end].lstrip())
        match = _SUDO.match(masked, body, end)
        if match and match.end() < end:
            line = line[:body] + line[match.end() :]
    return line


def relocate_app(text: str, app: str) -> str:
    """`text` with every absolute path into `/app` pointing into the folder `app` instead.

    Only a path that begins there: after a blank, quote, `=`, `:`, `,`, `;`, bracket or operator (or `sqlite:///`,
    `file://`), and ending or going on with `/`. Never /apple, /var/app or https://host/app.
    """
    folder = app.rstrip("/") or "/"
    return _APP.sub(folder.replace("\\", r"\\"), text)


def relocate_command(text: str, app: str) -> str:
    """`relocate_app` for shell text: the folder is quoted as the place where it lands needs it."""
    try:
        quotes = quoting(text)
    except UnclosedQuoteError:
        return relocate_app(text, app)
    folder = app.rstrip("/") or "/"
    spelt = {
        " ": re.sub(r"([^\w@%+=:,./-])", r"\\\1", folder, flags=re.ASCII),
        '"': re.sub(r'([\\"$`])', r"\\\1", folder),
        "'": folder.replace("'", "'\\''"),
    }
    return _APP.sub(lambda match: spelt[quotes[match.start()]], text)


def relocate_env(env: Mapping[str, str], app: str) -> dict[str, str]:
    """`relocate_app` for the values of variables, except those whose name says that they hold a path of a URL."""
    return {name: value if _URL_NAME.search(name) else relocate_app(value, app) for name, value in env.items()}


_APP = re.compile(r"""(?:(?<![^\s"'`=:;,|&<>(\[{])|(?<=:///)|(?<=file://))/app(?=\Z|[/\s"'`:;,|&<>)\]}])""")
_URL_NAME = re.compile(
    r"(?:URL|URI|ROUTE|BASE_?PATH|ROOT_?PATH|SCRIPT_NAME|CONTEXT_PATH|ENDPOINT|PREFIX|ORIGIN)", re.IGNORECASE
)


def _one_line(text: str) -> str:
    """Continued lines joined: those after a backslash, and those that begin with an option."""
    joined: list[str] = []
    for line in logical_lines(text):
        if joined and line.startswith("-"):
            joined[-1] = f"{joined[-1]} {line}"
        else:
            joined.append(line)
    whole = "\n".join(joined)
    while ends_open(whole):  # continued by nothing
        whole = whole[:-1].rstrip()
    return whole


def _shell_reasons(line: str) -> list[str]:
    """What in the line only a shell understands, each once, in the order of the line."""
    masked = mask(line)
    reasons: dict[str, None] = {}
    leading = True
    for word in re.finditer(r"\S+", masked):
        sign = word.group()
        if leading and _ASSIGNMENT.match(sign):
            reasons[f"{sign.split('=')[0]}=… in front"] = None
            continue
        if leading and line[word.start() : word.end()] in _BUILTINS:
            reasons[sign] = None
        if leading and sign[0] in "({":
            reasons[sign[0]] = None
        leading = False
        for dollar in re.finditer(r"[$`]", sign):
            if expansion := _EXPANSION.match(line, word.start() + dollar.start()):
                reasons[expansion.group()] = None
        if sign == "~" or sign.startswith("~/"):
            reasons["~"] = None
        if "://" not in sign and (operator := OPERATOR.search(sign)):
            reasons[operator.group()] = None
        if "*" in sign and len(sign) > 1 and sign[0] != "-" and ("/" in sign or "." in sign) and "://" not in sign:
            reasons[sign[:30]] = None
    if COMMENT in masked:
        reasons["its comment"] = None
    if "\n" in masked:
        reasons["its several lines"] = None
    return [*reasons]


def _for_shell(line: str) -> str:
    """The line with those words quoted that were never meant for a shell; several lines stop at the first failure."""
    masked = mask(line)
    for word in reversed([*re.finditer(r"\S+", masked)]):
        raw = line[word.start() : word.end()]
        literal = raw == "*" or raw.endswith("=*") or _CALL.fullmatch(raw)
        url = "://" in raw and re.search(r"[&?;*]", word.group()) and not _EXPANSION.search(raw)
        if (literal or url) and raw == word.group() and not raw.endswith(";"):
            line = line[: word.start()] + shlex.quote(raw) + line[word.end() :]
    return f"set -e\n{line}" if "\n" in line else line
