"""Build commands, which are shell lines run one by one in the source directory, and the habits that break them."""

import posixpath
import re

from engine.build.command import without_sudo
from engine.build.shell_text import COMMENT, UnclosedQuoteError, mask, simple_commands

_CD = re.compile(r"cd\s+(?:--\s+)?([A-Za-z0-9_./@+-]+)/?\s*;?")
_EXPORT = re.compile(r"export\s+[A-Za-z_][A-Za-z0-9_]*=\S*\s*;?")
_SOURCE = re.compile(r"source(\s+)(?=\S)")
_INSTALL = re.compile(
    r"\s*(?:[A-Za-z_]\w*=\S*\s+)*(?:(?:python[\d.]*\s+-m\s+|uv\s+)?pip[\d.]*\s+(?:-\S+\s+)*(?:install|download|wheel)"
    r"|uv\s+add|poetry\s+add|pipenv\s+install)\s"
)
_COMPARE = r"(?:[<>]=?|[=!~]=)[0-9][A-Za-z0-9.*+!-]*"
_REQUIREMENT = re.compile(rf"(?!\d+[<>])[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9,._-]*\])?{_COMPARE}(?:,{_COMPARE})*")
_ONLY_AND = re.compile(rf"[;|\n{COMMENT}]|(?<!&)&(?!&)|\|\|")


def build_lines(commands: tuple[str, ...], key: str, strict: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines of one phase as they are to be run, each by a shell of its own, and notices.

    Strict changes no meaning. Otherwise a lone `cd` or `export` is carried into the lines after it, `sudo` goes, and
    `pkg>=1.0` is quoted. `source` becomes `.` either way: App Runner's shell is bash, ours may be any sh.
    """
    if strict:
        return tuple(_portable(command) for command in commands), ()
    notices: list[str] = []
    lines: list[str] = []
    folder = ""
    exports: list[str] = []
    for number, command in enumerate(commands, 1):
        line = _portable(command)
        where = f"{key} command {number}"
        bare = without_sudo(line)
        if bare != line:
            notices.append(f"{where}: sudo is left out. App Runner itself has no sudo.")
        line, requirements = _requirements_quoted(bare)
        notices.extend(
            f"{where}: {requirement} is put in quotes. To App Runner's shell the {sign} in it redirects to a file."
            for requirement, sign in requirements
        )
        moved = _CD.fullmatch(line)
        last = number == len(commands)
        if moved and not last:
            folder = posixpath.normpath(posixpath.join(folder, moved.group(1)))
            notices.append(
                f"{where}: cd holds for the commands after it. App Runner runs every command in the source directory."
            )
        elif _EXPORT.fullmatch(line) and not last:
            exports.append(line.rstrip("; \t"))
            notices.append(f"{where}: export holds for the commands after it. App Runner forgets it with the command.")
        else:
            lines.append(_prefixed(line, folder, exports))
    return tuple(lines), tuple(notices)


def _portable(line: str) -> str:
    """`source file` as every shell knows it."""
    try:
        masked = mask(line)
    except UnclosedQuoteError:
        return line
    for start, end in reversed([*simple_commands(masked)]):
        body = start + len(masked[start:end]) - len(masked[start:end].lstrip())
        match = _SOURCE.match(masked, body, end)
        if match:
            file = re.match(r"\S+", line[match.end() :])
            here = "./" if file and "/" not in file.group() and file.group()[0] not in "\"'$~" else ""
            line = f"{line[:body]}.{match.group(1)}{here}{line[match.end() :]}"
    return line


def _requirements_quoted(line: str) -> tuple[str, list[tuple[str, str]]]:
    """The line with version requirements of an install command in quotes, and those (with the sign that hurt)."""
    try:
        masked = mask(line)
    except UnclosedQuoteError:
        return line, []
    found: list[tuple[str, str]] = []
    for start, end in reversed([*simple_commands(masked)]):
        install = _INSTALL.match(masked, start, end)
        if install is None:
            continue
        for word in reversed([*re.finditer(r"\S+", masked[install.end() : end])]):
            sign = re.search(r"[<>]", word.group())
            if sign and _REQUIREMENT.fullmatch(word.group()):
                at = install.end() + word.start()
                line = f"{line[:at]}'{word.group()}'{line[at + len(word.group()) :]}"
                found.append((word.group()[:60], sign.group()))
    return line, found[::-1]


def _prefixed(line: str, folder: str, exports: list[str]) -> str:
    """The line, run where and as the lone lines before it said."""
    before = [f"cd {folder}"] if folder not in ("", ".") else []
    before += exports
    if not before:
        return line
    try:
        simple = not _ONLY_AND.search(mask(line))
    except UnclosedQuoteError:
        simple = False
    return f"{' && '.join(before)} && {line}" if simple else f"{' && '.join(before)} || exit 1; {line}"
