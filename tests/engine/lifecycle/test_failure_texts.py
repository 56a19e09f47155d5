"""What people read when an application dies or does not answer: the cause, and what to do."""

import pytest

from engine.lifecycle.failures import died_at_start, internal, never_healthy, wrong_port
from engine.lifecycle.instances import last_lines
from engine.lifecycle.pacing import back_off_s
from engine.model.errors import FailureKind
from engine.model.instance import Address, Exit
from engine.model.service import HealthCheckConfiguration, HealthCheckProtocol


@pytest.mark.parametrize(
    ("exit_", "tail", "kind", "says"),
    [
        (Exit(code=1, at=1), ("ModuleNotFoundError: No module named 'flask'",), FailureKind.START, "'flask'"),
        (Exit(code=1, at=1), ("Error: Cannot find module 'express'",), FailureKind.START, "package.json"),
        (Exit(code=1, at=1), ("Error: listen EADDRINUSE: address already in use :::80",), FailureKind.PORT, "PORT"),
        (Exit(code=1, at=1), ("OSError: [Errno 28] No space left on device",), FailureKind.DISK, "space"),
        (Exit(code=127, at=1), ("sh: 1: nope: not found",), FailureKind.START, "not found"),
        (Exit(code=126, at=1), ("permission denied",), FailureKind.START, "permissions"),
        (Exit(code=0, at=1), ("done",), FailureKind.START, "foreground"),
        (Exit(signal=9, at=1), ("x",), FailureKind.START, "memory"),
        (Exit(code=1, at=1), (), FailureKind.START, "printed nothing"),
        (
            Exit(code=2, at=1),
            ("python: can't open file '/x/app.py': [Errno 2] No such file or directory",),
            FailureKind.START,
            "/x/app.py",
        ),
    ],
)
def test_a_death_at_start(exit_, tail, kind, says):
    failure = died_at_start(exit_, tail, 0.2)

    assert failure.kind is kind
    assert says in failure.hint
    assert failure.evidence == tail
    assert failure.exit_code == exit_.code
    assert exit_.describe() in failure.message


def test_the_wrong_port_names_both():
    here = Address(host="127.0.0.1", port=23000)
    found = (Address(host="0.0.0.0", port=5000), Address(host="::", port=5000))

    failure = wrong_port(here, 8080, found, ())

    assert failure.message == "The application listens on port 5000, but the service's port is 8080."
    assert "5000" in failure.hint


def test_never_healthy_says_what_was_asked_and_answered():
    check = HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path="/up")

    failure = never_healthy(check, 8080, "HTTP 401 Unauthorized", 300.4, ())

    assert failure.message == (
        "The application did not become healthy within 300 s: GET /up got HTTP 401 Unauthorized."
    )


def test_our_own_trouble_has_a_sentence_too():
    assert internal(OSError(28, "No space left on device")).kind is FailureKind.DISK
    assert "engine.log" in internal(ValueError("x")).hint


def test_the_back_off_doubles_up_to_a_minute():
    assert [back_off_s(n) for n in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_the_last_lines_of_a_long_file(tmp_path):
    path = tmp_path / "output.log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)) + b"\xff last")

    assert last_lines(path, 3) == ("line 99998", "line 99999", "\ufffd last")
    assert last_lines(tmp_path / "absent", 3) == ()
