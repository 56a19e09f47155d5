"""Which interpreter serves a runtime."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compute.process.choose import Choice, Interpreter, choose_interpreter, parse_version
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import BuildGeneration, Runtime, RuntimeFamily

PY, JS = RuntimeFamily.PYTHON, RuntimeFamily.NODEJS


def runtime(name: str, *accepts: str, locked: str = "", family: RuntimeFamily = PY) -> Runtime:
    return Runtime(name=name, family=family, generation=BuildGeneration.REVISED, accepts=accepts, locked=locked)


def machine(*versions: str, family: RuntimeFamily = PY) -> list[Interpreter]:
    return [Interpreter(family=family, executable=f"/opt/{v}/bin/x", version=v) for v in versions]


PYTHON3 = ("python3", "3.8", "3.7")


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        (runtime("python311", "3.11"), machine("3.10.13", "3.11.7", "3.12.1"), "3.11.7"),
        (runtime(*PYTHON3), machine("3.7.16", "3.8.18", "3.11.7"), "3.8.18"),
        (runtime(*PYTHON3), machine("3.7.16", "3.11.7"), "3.7.16"),
        (runtime("python311", "3.11"), machine("3.11.2", "3.11.11", "3.11.7"), "3.11.11"),
        (runtime(*PYTHON3, locked="3.10"), machine("3.1.5", "3.8.18", "3.10.13"), "3.10.13"),
        (runtime(*PYTHON3, locked="3.8.18"), machine("3.8.17", "3.8.18", "3.8.20"), "3.8.18"),
        (runtime(*PYTHON3, locked="3"), machine("3.7.16", "3.8.18", "3.12.1"), "3.8.18"),
        (runtime("nodejs18", "18", family=JS), machine("18.20.4", "20.1.0", family=JS), "18.20.4"),
        (runtime("nodejs18", "18", locked="18.17", family=JS), machine("18.17.1", "18.20.4", family=JS), "18.17.1"),
    ],
)
def test_what_app_runner_offers_is_taken_without_a_notice(asked, found, expected):
    """The lock first, else the accepted versions, best first; the newest patch release of it."""
    choice = choose_interpreter(asked, found, strict=False)

    assert (choice.interpreter.version, choice.notice) == (expected, "")


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        (runtime(*PYTHON3), machine("3.6.15", "3.11.7", "3.10.13", "3.12.1"), "3.10.13"),
        (runtime("python311", "3.11"), machine("3.10.13", "3.12.1", "3.13.0"), "3.12.1"),
        (runtime(*PYTHON3, locked="3.8.16"), machine("3.8.18", "3.9.18"), "3.8.18"),
        (runtime("nodejs16", "16", family=JS), machine("20.20.2", family=JS), "20.20.2"),
        (runtime("nodejs22", "22", family=JS), machine("18.20.4", "20.20.2", family=JS), "20.20.2"),
        (runtime("nodejs16", "16", locked="16.17.0", family=JS), machine("20.20.2", family=JS), "20.20.2"),
        (runtime("nodejs18", "18", locked="18.17.0", family=JS), machine("18.20.4", "20.1.0", family=JS), "18.20.4"),
    ],
)
def test_the_nearest_serves_with_a_notice(asked, found, expected):
    """What App Runner would have used is missing: the nearest that will do, said aloud."""
    choice = choose_interpreter(asked, found, strict=False)

    assert choice.interpreter.version == expected
    assert expected in choice.notice


@pytest.mark.parametrize(
    ("asked", "found", "strict"),
    [
        (runtime("python311", "3.11"), machine("3.12.1"), True),
        (runtime("python311", "3.11"), machine("3.10.13"), False),
        (runtime(*PYTHON3, locked="3.9"), machine("3.8.18", "3.11.7"), False),
        (runtime("nodejs16", "16", family=JS), machine("20.20.2", family=JS), True),
        (runtime("nodejs18", "18", family=JS), [], False),
    ],
)
def test_a_missing_one_says_what_was_asked_what_is_there_and_what_to_do(asked, found, strict):
    """Strict takes no other release line; a lock on a Python is never replaced."""
    with pytest.raises(DeployError) as caught:
        choose_interpreter(asked, found, strict=strict)

    failure = caught.value.failure
    assert failure.kind is FailureKind.RUNTIME
    assert asked.name in failure.message
    assert (asked.locked or asked.accepts[0]) in failure.message
    assert all(interpreter.version in failure.message for interpreter in found)
    assert "install" in failure.hint


def test_strict_takes_another_patch_release_of_the_locked_line():
    """Major and minor are what strict insists on."""
    choice = choose_interpreter(runtime(*PYTHON3, locked="3.8.16"), machine("3.8.18"), strict=True)

    assert choice.interpreter.version == "3.8.18"


@pytest.mark.parametrize("family", [RuntimeFamily.CORRETTO, RuntimeFamily.GO, RuntimeFamily.PHP])
def test_other_languages_are_sent_to_docker(family):
    """The failure names the compute that can."""
    with pytest.raises(DeployError, match="Docker") as caught:
        choose_interpreter(runtime("corretto11", "11", family=family), machine("3.11.7"), strict=False)

    assert caught.value.failure.kind is FailureKind.RUNTIME


versions = st.tuples(st.just(3), st.integers(6, 14), st.integers(0, 20)).map(lambda v: ".".join(map(str, v)))


@given(st.lists(versions, max_size=6), st.sampled_from(["3.7", "3.8", "3.11"]), st.booleans())
def test_the_choice_is_one_that_was_found_and_never_older(found, wanted, strict):
    """Whatever the machine has: a found interpreter of the line asked for or a newer one, or a clear failure."""
    try:
        choice = choose_interpreter(runtime("python3", wanted), machine(*found), strict=strict)
    except DeployError:
        lines = [parse_version(v)[:2] for v in found]
        assert all(line < parse_version(wanted) or (strict and line != parse_version(wanted)) for line in lines)
        return

    assert isinstance(choice, Choice)
    assert choice.interpreter.version in found
    line = parse_version(choice.interpreter.version)[:2]
    assert line >= parse_version(wanted)
    assert (line == parse_version(wanted)) == (choice.notice == "")
