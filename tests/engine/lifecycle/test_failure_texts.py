"""What people read when an application dies or does not answer: the cause, and what to do."""

import pytest

from engine.lifecycle.failures import died_at_start, internal, never_healthy, with_output, wrong_port
from engine.lifecycle.health import NOT_TAKEN
from engine.lifecycle.instances import last_lines
from engine.lifecycle.pacing import Pacing, back_off_s
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
        (
            Exit(code=2, at=1),
            (f"python: can't open file '/home/me/.local/instances/{'0a' * 16}/app/src/app/web.py': [Errno 2] No such",),
            FailureKind.START,
            "names src/app/web.py,",
        ),
        (
            Exit(code=2, at=1),
            ("python: can't open file '/app/web.py': [Errno 2] No such file or directory",),
            FailureKind.START,
            "names web.py,",
        ),
        (
            Exit(code=1, at=1),
            ("ImportError: cannot import name 'quote' from 'web.urls' (/v/lib/python3.8/site-packages/web/urls.py)",),
            FailureKind.START,
            "version of 'web': pin",
        ),
        (
            Exit(code=1, at=1),
            ("NoRegionError", '  File "<frozen os>", line 679, in __getitem__', "KeyError: 'TOKEN'"),
            FailureKind.START,
            "the variable TOKEN:",
        ),
        (
            Exit(code=1, at=1),
            ('  File "/usr/lib/python3.8/os.py", line 675, in __getitem__', "    raise", "KeyError: 'TOKEN'", ""),
            FailureKind.START,
            "the variable TOKEN:",
        ),
        (
            Exit(code=1, at=1),
            ("psycopg2.OperationalError: connection to server failed: No such file", "\tIs the server running?"),
            FailureKind.START,
            "database does not answer",
        ),
        (
            Exit(code=1, at=1),
            ("Error: connect ECONNREFUSED 127.0.0.1:6379", "  errno: -111,", "  code: 'ECONNREFUSED',"),
            FailureKind.START,
            "Nothing answers at 127.0.0.1:6379:",
        ),
        (
            Exit(code=1, at=1),
            ("urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>",),
            FailureKind.START,
            "network",
        ),
        (
            Exit(code=1, at=1),
            ("Error: Could not find a production build in the '.next' directory.",),
            FailureKind.START,
            "npm run build",
        ),
        (
            Exit(code=1, at=1),
            ("botocore.exceptions.NoRegionError: You must specify a region.",),
            FailureKind.START,
            "AWS",
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


@pytest.mark.parametrize(
    "tail",
    [
        ("KeyError: 'row'",),
        ('  File "<frozen os>", line 679, in __getitem__', *["x"] * 9, "KeyError: 'row'"),
        ("ImportError: cannot import name 'db' from 'app' (/srv/app/__init__.py)",),
    ],
)
def test_what_is_no_known_trouble_gets_no_advice(tail):
    assert died_at_start(Exit(code=1, at=1), tail, 0.2).hint == ""


def test_a_server_whose_workers_never_load_is_not_told_about_its_port():
    failure = never_healthy(HealthCheckConfiguration(), 8080, NOT_TAKEN, 60, ())

    assert failure.message == (
        "The application did not become healthy within 60 s: a connection to port 8080 got no answer: it listens, but"
        " takes no connections."
    )
    assert "PORT" not in failure.hint
    assert "log" in failure.hint


def test_what_an_application_printed_is_better_advice_than_a_guess():
    failure = never_healthy(HealthCheckConfiguration(), 8080, "connection refused", 60, ())

    silent, telling = with_output(failure, ("starting",)), with_output(failure, ("Cannot find module 'express'", "…"))

    assert silent.hint == failure.hint
    assert silent.evidence == (*failure.evidence, "starting")
    assert "'express'" in telling.hint


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


def test_pacing_grows_with_failures_and_is_forgotten():
    pacing = Pacing()
    for _ in range(3):
        pacing.failed(100.0)
    assert (pacing.failed_starts, pacing.may_start_at) == (3, 104.0)

    pacing.reset()
    assert (pacing.failed_starts, pacing.may_start_at) == (0, 0.0)


def test_the_back_off_doubles_up_to_a_minute():
    assert [back_off_s(n) for n in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_the_last_lines_of_a_long_file(tmp_path):
    path = tmp_path / "output.log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)) + b"\xff last")

    assert last_lines(path, 3) == ("line 99998", "line 99999", "\ufffd last")
    assert last_lines(tmp_path / "absent", 3) == ()
