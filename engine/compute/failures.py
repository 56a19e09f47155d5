"""From what went wrong to the sentence, the evidence and the advice that the user reads. Pure."""

import errno
import os
import re
from collections.abc import Sequence

from engine.model.errors import DeployError, FailureKind
from engine.model.plan import Phase

_NAMES = {
    Phase.PRE_BUILD: "pre_build",
    Phase.BUILD: "build",
    Phase.POST_BUILD: "post_build",
    Phase.PRE_RUN: "pre_run",
}
_FULL = re.compile(r"No space left on device|ENOSPC|Disk quota exceeded")
_COMMAND_MAX = 200
_HINTS = (
    (
        # What an npm script says; a build command's own shell is named with its path.
        re.compile(r"^sh: (?:line )?(?:\d+: )?([^\s:/]+): (?:command )?not found$"),
        "'{0}' is not installed: run `npm install` in an earlier build command (with its development dependencies).",
    ),
    (
        re.compile(r"(?:^|: )(?:line \d+: )?([^\s:]+): (?:command )?not found$"),
        "'{0}' is not on this machine's PATH: install it, or have an earlier build command install it.",
    ),
    (
        re.compile(r"No matching distribution found for python[=<>~!]"),
        "Python itself is no package: take that line out of the requirements; `runtime-version` chooses the Python.",
    ),
    (
        re.compile(r"No matching distribution found for (\S+)"),
        "Nothing fits '{0}': check its name and version, and that it supports this Python version.",
    ),
    (
        re.compile(r"Could not open requirements file.*?'([^']+)'"),
        "There is no '{0}' in the source folder: check the name and the source directory.",
    ),
    (
        re.compile(r"(?:ENOTFOUND|EAI_AGAIN|Temporary failure in name resolution|Could not resolve host)"),
        "The network was not reachable: check the connection or the proxy settings, then deploy again.",
    ),
    (
        re.compile(r"npm (?:ERR!|error) (?:code )?E404"),
        "npm's registry does not have one of the packages: check names and versions in package.json.",
    ),
    (
        re.compile(r"`npm ci` can only install|can only install packages when your package.json and package-lock"),
        "package.json and package-lock.json disagree: run `npm install` in the source and commit the lock file.",
    ),
    (
        re.compile(r"npm (?:ERR!|error) Missing script: \"?([^\s\"]+)"),
        "package.json has no script '{0}'.",
    ),
    (
        re.compile(
            r"(?:command '?(?:gcc|cc|g\+\+|clang)'? failed|(?:gcc|g\+\+|cc).*No such file|Unable to find a compiler)"
        ),
        "A package is compiled and no working compiler was found: install one, or choose a version with a wheel.",
    ),
    (
        re.compile(r"No compatible signature found|Cannot find matching keyid"),
        "This Node.js's corepack cannot verify what it fetched: use `npm install -g pnpm@10` (or yarn@1) instead.",
    ),
    (
        re.compile(r"ERR_OSSL_EVP_UNSUPPORTED"),
        "A build tool is older than Node.js 17: choose nodejs16 as the runtime, or update it.",
    ),
    (
        re.compile(r"requires a different Python|Requires-Python"),
        "A package does not support this Python version: set `runtime-version` or choose another package version.",
    ),
    (
        re.compile(r"(?:can't cd to|cd:) ?(\S+?):? ?(?:No such file|$)"),
        "That folder does not exist; every command starts in the source directory again.",
    ),
)


_IMAGE_HINTS = (
    (
        re.compile(r"(?:^|: )(?:line \d+: |\d+: )?(yum|dnf|microdnf|amazon-linux-extras): (?:command )?not found$"),
        "'{0}' belongs to Amazon Linux: use apt-get, or choose such a base with base_images in settings.yaml.",
    ),
    (
        re.compile(r"(?:^|: )(?:line \d+: |\d+: )?([^\s:]+): (?:command )?not found$"),
        "'{0}' is not in the image: have an earlier build command install it, or choose another base image.",
    ),
)
"""What differs where commands run in an image."""


def build_failure(phase: Phase, command: str, code: int, tail: Sequence[str], *, in_image: bool = False) -> DeployError:
    """A build command that ended with `code` (negative: the signal); `tail` is the end of its output."""
    shown = command if len(command) <= _COMMAND_MAX else command[: _COMMAND_MAX - 1] + "…"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    full = any(_FULL.search(line) for line in tail)
    return DeployError.of(
        FailureKind.DISK if full else FailureKind.BUILD,
        f"Failed to execute '{_NAMES[phase]}' command: `{shown}` {how}"
        + (", because the disk is full." if full else "."),
        evidence=tuple(tail),
        hint="Free some space, then deploy again." if full else _hint(code, tail, in_image=in_image),
        exit_code=code if code >= 0 else None,
    )


def disk_failure(error: OSError, doing: str, otherwise: FailureKind) -> DeployError:
    """An operating system's refusal as a failure: of kind DISK when the disk is to blame, else of kind `otherwise`."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DeployError.of(
            FailureKind.DISK,
            f"Failed to {doing}, because the disk is full{where}.",
            hint="Free some space, then deploy again.",
        )
    if error.errno == errno.EROFS:
        return DeployError.of(
            FailureKind.DISK,
            f"Failed to {doing}, because the disk is read-only{where}.",
            hint="Choose a data folder on a writable disk with --home.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return DeployError.of(
            FailureKind.DISK,
            f"Failed to {doing}: {reason}{where}.",
            hint="Check the permissions of Homerun's data folder and its owner.",
        )
    return DeployError.of(otherwise, f"Failed to {doing}: {reason}{where}.")


def _hint(code: int, tail: Sequence[str], *, in_image: bool) -> str:
    text = [line.strip() for line in tail]
    for pattern, advice in (*_IMAGE_HINTS, *_HINTS) if in_image else _HINTS:
        for line in reversed(text):
            if match := pattern.search(line):
                return advice.format(*match.groups())
    if code == 126:
        return "The program is there and may not be executed: check its permissions (git keeps the executable bit)."
    if code == -9 or (in_image and code == 128 + 9):
        return "Something killed it; on a small machine that is usually a lack of memory."
    return ""
