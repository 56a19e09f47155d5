"""Git's words, as different versions and hosts say them, become one plain sentence with evidence."""

import errno

import pytest

from engine.model.errors import FailureKind
from engine.source.command import Ending, Output
from engine.source.location import parse_location
from engine.source.trouble import disk_failure, known_failure, unknown_failure

HTTPS = parse_location("https://ada:hunter22@host.example/owner/app")
SSH = parse_location("git@host.example:owner/app.git")
LOCAL = parse_location("/srv/app")


def said(*lines: str, code: int = 128, ending: Ending = Ending.EXIT) -> Output:
    return Output(ending=ending, code=code, stdout=b"", errors=lines)


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("fatal: write error: No space left on device", FailureKind.DISK, "The disk is full"),
        ("error: unable to write file x: Disk quota exceeded", FailureKind.DISK, "The disk is full"),
        ("error: unable to create temporary file: Read-only file system", FailureKind.DISK, "cannot write its copy"),
        ("fatal: unable to access 'x': Could not resolve host: host.example", FailureKind.SOURCE, "cannot be found"),
        ("ssh: Could not resolve hostname x: Name or service not known", FailureKind.SOURCE, "cannot be found"),
        ("ssh: connect to host x port 22: Connection refused", FailureKind.SOURCE, "does not accept the connection"),
        ("ssh: connect to host x port 22: Connection timed out", FailureKind.SOURCE, "does not accept the connection"),
        ("fatal: unable to access: SSL certificate problem: self-signed", FailureKind.SOURCE, "TLS certificate"),
        ("Host key verification failed.", FailureKind.SOURCE, "ssh host key of host.example is not known"),
        ("git@host: Permission denied (publickey).", FailureKind.SOURCE, "accepted no ssh key"),
        ("ERROR: Repository not found.", FailureKind.SOURCE, "There is no repository"),
        ("fatal: repository 'https://host.example/owner/app/' not found", FailureKind.SOURCE, "There is no repository"),
        ("fatal: Authentication failed for 'x'", FailureKind.SOURCE, "credentials in the URL were not accepted"),
        ("fatal: could not read Username for 'x': terminal prompts disabled", FailureKind.SOURCE, "not accepted"),
        (
            "fatal: unable to access: The requested URL returned error: 502",
            FailureKind.SOURCE,
            "answered with an error",
        ),
        ("fatal: x/info/refs not valid: is this a git repository?", FailureKind.SOURCE, "no Git repository"),
        ("fatal: early EOF", FailureKind.SOURCE, "broke while"),
        ("fatal: transport 'ext' not allowed", FailureKind.SOURCE, "transport"),
    ],
)
def test_known_causes(line, kind, words):
    failure = known_failure(said(line), HTTPS)
    assert failure is not None
    assert failure.kind is kind
    assert words in failure.message
    assert failure.message.endswith(".")
    assert failure.hint
    assert failure.evidence == (line,)
    assert failure.exit_code == 128


@pytest.mark.parametrize(
    "line",
    [
        "fatal: not a git repository: '/home/mirrors/x.git'",
        "fatal: loose object aa (stored in objects/aa) is corrupt",
        "fatal: Unable to create '/home/mirrors/x.git/shallow.lock': File exists.",
        "error: object file objects/aa/bb is empty",
    ],
)
def test_what_may_be_the_mirror_s_own_fault_has_no_known_cause(line):
    assert known_failure(said(line), HTTPS) is None


def test_the_network_is_never_the_cause_on_this_machine():
    output = said("fatal: object x is corrupt", "fatal: the remote end hung up unexpectedly")
    assert known_failure(output, LOCAL) is None
    assert unknown_failure(output, LOCAL).message == "Git failed on /srv/app: object x is corrupt."


def test_an_unknown_complaint_is_quoted_and_silence_names_the_exit_code():
    assert unknown_failure(said("warning: a", "fatal: odd thing."), SSH).message == (
        "Git failed on git@host.example:owner/app.git: odd thing."
    )
    assert unknown_failure(said(code=-9), LOCAL).message == "Git failed on /srv/app: exit code -9."


@pytest.mark.parametrize("ending", [Ending.STALLED, Ending.LATE, Ending.FLOODED])
def test_a_command_that_was_ended_has_no_exit_code(ending):
    failure = known_failure(said("fatal: early EOF", ending=ending, code=-15), HTTPS)
    assert failure is not None
    assert failure.exit_code is None
    assert "broke" not in failure.message


def test_credentials_are_masked_wherever_git_repeats_them():
    line = "fatal: bad thing at https://ada:hunter22@host.example/owner/app and hunter22 alone {braces}"
    failure = unknown_failure(said(line), HTTPS)
    assert "hunter22" not in repr(failure)
    assert "https://***@host.example/owner/app and *** alone {braces}" in failure.message


def test_evidence_is_short():
    failure = unknown_failure(said(*(f"line {number}" * 200 for number in range(10))), LOCAL)
    assert len(failure.evidence) == 6
    assert max(map(len, failure.evidence)) <= 500


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk is full: copying /srv/app failed."),
        (errno.EROFS, "Copying /srv/app failed: Read-only file system."),
        (errno.EACCES, "Copying /srv/app failed: Permission denied."),
    ],
)
def test_errors_of_the_disk(number, words):
    import os

    failure = disk_failure(OSError(number, os.strerror(number)), "copying /srv/app").failure
    assert (failure.kind, failure.message) == (FailureKind.DISK, words)
