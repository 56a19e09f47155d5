"""Why a source could not be read: git's own words and the system's errors, turned into one plain sentence. Pure."""

import errno
import re

import msgspec

from engine.model.base import Value
from engine.model.errors import DeployError, Failure, FailureKind
from engine.source.command import Ending, Output
from engine.source.location import Location, redacted

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_EVIDENCE_LINES = 6
_LINE_MOST = 500


class Cause(Value, frozen=True, kw_only=True):
    """What git says in some trouble, and how to say it plainly. {place}, {host} and {credentials} are filled in."""

    signs: tuple[str, ...]
    """Patterns; one of them in git's messages, in any case, is enough."""
    kind: FailureKind = FailureKind.SOURCE
    message: str
    hint: str
    remote: bool = False
    """Means nothing when the repository is on this machine."""


# The first match wins.
_CAUSES = (
    Cause(
        signs=("no space left on device", "disk quota exceeded"),
        kind=FailureKind.DISK,
        message="The disk is full: {place} could not be stored.",
        hint="Free some space and deploy again.",
    ),
    Cause(
        signs=(
            "read-only file system",
            "insufficient permission for adding an object",
            "cannot mkdir",
            "could not create (work tree|leading)",
            "unable to (create temporary|create|write) file",
            "unable to write new index",
        ),
        kind=FailureKind.DISK,
        message="Homerun cannot write its copy of {place}.",
        hint="Check the free space, and that the data folder is writable.",
    ),
    Cause(
        signs=(
            "could not resolve (host|proxy)",
            "name or service not known",
            "unable to look up",
            "temporary failure in name resolution",
            "nodename nor servname",
        ),
        remote=True,
        message="The host {host} of {place} cannot be found.",
        hint="Check the spelling of the URL and the network connection.",
    ),
    Cause(
        signs=(
            "connection refused",
            "couldn't connect to server",
            "no route to host",
            "network is unreachable",
            "connection timed out",
            "operation timed out",
            "failed to connect to",
        ),
        remote=True,
        message="The host {host} of {place} does not accept the connection.",
        hint="Check the host and port in the URL, the network and any proxy or VPN.",
    ),
    Cause(
        signs=("ssl certificate problem", "certificate verif", "unable to get local issuer", "ssl_error", r"\btls\b"),
        remote=True,
        message="The TLS certificate of {host} was not accepted for {place}.",
        hint="For a private authority tell git its certificate: git config --global http.sslCAInfo FILE",
    ),
    Cause(
        signs=("host key verification failed",),
        remote=True,
        message="The ssh host key of {host} is not known on this machine.",
        hint="Connect once by hand to check and accept it: ssh -T {host}",
    ),
    Cause(
        signs=(r"permission denied \(", "too many authentication failures", "no supported authentication methods"),
        remote=True,
        message="The host {host} accepted no ssh key for {place}.",
        hint="Load a key with ssh-add and try: ssh -T {host}",
    ),
    Cause(
        signs=(
            "repository .{0,300}not found",
            "requested url returned error: 40[04]",
            "repository does not exist",
            "project you were looking for could not be found",
        ),
        message="There is no repository at {place}.",
        hint="Check the URL. Hosts often say so of a private repository when credentials are missing or wrong.",
    ),
    Cause(
        signs=(
            "authentication failed",
            "could not read (username|password)",
            "requested url returned error: 40[13]",
            "access denied",
            "invalid username or (password|token)",
        ),
        remote=True,
        message="{credentials} for {place}.",
        hint=(
            "Check the URL. For a private repository let git remember credentials (git config credential.helper), "
            "or use an ssh URL with a key."
        ),
    ),
    Cause(
        signs=(r"requested url returned error: (429|5\d\d)",),
        remote=True,
        message="The host {host} answered with an error for {place}.",
        hint="Try again in a while.",
    ),
    Cause(
        signs=("is this a git repository", "does not appear to be a git repository"),
        message="What is at {place} is no Git repository that git can read.",
        hint="Check the URL.",
    ),
    Cause(
        signs=(
            "early eof",
            "rpc failed",
            "unexpected disconnect",
            "hung up unexpectedly",
            "connection reset",
            "empty reply",
            "connection closed",
            "broken pipe",
            "transfer closed",
        ),
        remote=True,
        message="The connection to {host} broke while {place} was fetched.",
        hint="Try again.",
    ),
    Cause(
        signs=("not our ref", "unadvertised object", "couldn't find remote ref"),
        message="That commit is no longer in {place}.",
        hint="Deploy the newest commit of the branch.",
    ),
    Cause(
        signs=("transport '.*' not allowed",),
        message="Git's configuration sends {place} to a transport that Homerun does not use.",
        hint="Look for insteadOf in: git config --list --show-origin",
    ),
)
_ENDED_EARLY = {
    Ending.STALLED: "The host {host} stopped answering while {place} was read.",
    Ending.LATE: "Reading {place} took too long and was ended.",
    Ending.FLOODED: "Git answered with far too much data for {place}.",
}


def known_failure(output: Output, location: Location) -> Failure | None:
    """The cause, when git's messages name one that lies outside our own copy; None otherwise."""
    if early := _ENDED_EARLY.get(output.ending):
        return _failure(output, location, early, hint="Check the network and try again.")
    text = "\n".join(output.errors)
    for cause in _CAUSES:
        if cause.remote and location.is_local:
            continue
        if any(re.search(sign, text, re.IGNORECASE) for sign in cause.signs):
            return _failure(output, location, cause.message, hint=cause.hint, kind=cause.kind)
    return None


def unknown_failure(output: Output, location: Location) -> Failure:
    """For messages that we do not know: git's own last complaint is the cause."""
    lines = _evidence(output, location)
    # The first one: later ones are consequences.
    complaint = next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "")
    told = re.sub(r"^(fatal|error|warning): ", "", complaint).rstrip(".") or f"exit code {output.code}"
    failure = _failure(output, location, "Git failed on {place}")
    return msgspec.structs.replace(failure, message=f"{failure.message}: {told}.")


def disk_failure(error: OSError, doing: str) -> DeployError:
    """A DeployError of kind DISK for a system error met while `doing` ("copying /srv/app")."""
    if error.errno in _DISK_FULL:
        return DeployError.of(
            FailureKind.DISK,
            f"The disk is full: {doing} failed.",
            evidence=(str(error),),
            hint="Free some space and deploy again.",
        )
    return DeployError.of(
        FailureKind.DISK,
        f"{doing[:1].upper()}{doing[1:]} failed: {error.strerror or error}.",
        evidence=(str(error),),
        hint="Check that the data folder is writable.",
    )


def _failure(
    output: Output, location: Location, message: str, *, hint: str = "", kind: FailureKind = FailureKind.SOURCE
) -> Failure:
    words = {
        "place": location.display,
        "host": location.host or "this machine",
        "credentials": "The credentials in the URL were not accepted"
        if location.username or location.password
        else "There is no such repository, or credentials are needed and git has none",
    }
    return Failure(
        kind=kind,
        message=message.format(**words),
        evidence=_evidence(output, location),
        hint=hint.format(**words),
        exit_code=output.code if output.ending is Ending.EXIT else None,
    )


def _evidence(output: Output, location: Location) -> tuple[str, ...]:
    secrets = [secret for secret in (location.password, location.username) if len(secret) > 3]
    lines = []
    for line in output.errors[-_EVIDENCE_LINES:]:
        shown = redacted(line[:_LINE_MOST])
        for secret in secrets:
            shown = shown.replace(secret, "***")
        lines.append(shown)
    return tuple(lines)
