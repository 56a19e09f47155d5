"""From what went wrong to what the user reads."""

import errno

import pytest

from engine.compute.failures import build_failure, disk_failure
from engine.model.errors import FailureKind
from engine.model.plan import Phase


def test_a_failed_command_is_named_with_its_phase_and_exit_code():
    """App Runner's wording, and ours behind it."""
    failure = build_failure(Phase.PRE_BUILD, "make all", 2, ("one", "two")).failure

    assert failure.kind is FailureKind.BUILD
    assert failure.message == "Failed to execute 'pre_build' command: `make all` ended with exit code 2."
    assert (failure.evidence, failure.exit_code) == (("one", "two"), 2)


def test_a_killed_command_has_a_signal_and_no_exit_code():
    failure = build_failure(Phase.BUILD, "npm ci", -9, ()).failure

    assert "killed by signal 9" in failure.message
    assert failure.exit_code is None
    assert "memory" in failure.hint


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("bash: line 1: poetry: command not found", "'poetry'"),
        ("/bin/sh: 1: poetry: not found", "'poetry' is not on this machine's PATH"),
        ("sh: 1: vite: not found", "'vite' is not installed: run `npm install`"),
        ("sh: line 1: vite: command not found", "'vite' is not installed: run `npm install`"),
        ("ERROR: No matching distribution found for python==3.9", "runtime-version"),
        ("Internal Error: Cannot find matching keyid: {}", "npm install -g"),
        ("  code: 'ERR_OSSL_EVP_UNSUPPORTED'", "nodejs16"),
        ("ERROR: No matching distribution found for flaks==3", "'flaks==3'"),
        ("ERROR: Could not open requirements file: [Errno 2] No such file: 'reqs.txt'", "'reqs.txt'"),
        ('npm error Missing script: "build"', "'build'"),
        ("npm ERR! code E404", "registry"),
        ("npm error code ENOTFOUND", "network"),
        ("error: command 'gcc' failed: No such file or directory", "compiler"),
    ],
)
def test_a_known_cause_gets_advice(line, hint):
    assert hint in build_failure(Phase.BUILD, "x", 1, ("before", line, "after")).failure.hint


def test_an_unknown_cause_gets_no_advice():
    assert build_failure(Phase.BUILD, "x", 1, ("KeyError: 'a: b'",)).failure.hint == ""


def test_a_full_disk_is_its_own_kind_of_failure():
    failure = build_failure(Phase.BUILD, "pip install x", 1, ("OSError: [Errno 28] No space left on device",)).failure

    assert failure.kind is FailureKind.DISK
    assert "disk is full" in failure.message


@pytest.mark.parametrize(
    ("number", "kind", "word"),
    [
        (errno.ENOSPC, FailureKind.DISK, "full"),
        (errno.EDQUOT, FailureKind.DISK, "full"),
        (errno.EROFS, FailureKind.DISK, "read-only"),
        (errno.EACCES, FailureKind.DISK, "Permission"),
        (errno.E2BIG, FailureKind.START, "too long"),
    ],
)
def test_a_refusal_of_the_operating_system_names_its_cause(number, kind, word):
    failure = disk_failure(OSError(number, "x", "/some/file"), "start the application", FailureKind.START).failure

    assert failure.kind is kind
    assert word in failure.message
    assert "/some/file" in failure.message


def test_a_very_long_command_is_cut_in_the_message():
    failure = build_failure(Phase.BUILD, "echo " + "x" * 5000, 1, ()).failure

    assert len(failure.message) < 400
