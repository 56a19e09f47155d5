"""The managed runtimes and the names that people give them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.build.runtimes import (
    DOCKER,
    MANAGED,
    end_of_support,
    runtime_named,
    runtime_of,
    version_locked,
)
from engine.model.errors import DeployError
from engine.model.plan import BuildGeneration, RuntimeFamily
from engine.model.service import ApiRuntime

OLD, NEW = BuildGeneration.ORIGINAL, BuildGeneration.REVISED


def test_every_runtime_of_the_api_has_a_row_and_back():
    theirs = set(ApiRuntime) - {ApiRuntime.DOCKER}  # our own
    assert {MANAGED[runtime_of(api).name].api for api in theirs} == theirs
    assert len(MANAGED) == len(theirs)
    assert runtime_of(ApiRuntime.DOCKER) is DOCKER


def test_the_revised_build_is_that_of_python311_and_nodejs18_on():
    revised = {name for name, row in MANAGED.items() if row.runtime.generation is NEW}
    assert revised == {"python311", "nodejs18", "nodejs22"}


@pytest.mark.parametrize("name", MANAGED)
def test_strict_takes_the_names_of_app_runner_without_a_word(name):
    assert runtime_named(name, strict=True) == (MANAGED[name].runtime, ())


@pytest.mark.parametrize(
    ("written", "name", "accepts", "generation"),
    [
        ("Nodejs12", "nodejs12", ("12",), OLD),
        ("Nodejs 12", "nodejs12", ("12",), OLD),
        ("nodejs-18", "nodejs18", ("18",), NEW),
        ("NODEJS_22", "nodejs22", ("22",), NEW),
        ("nodejs22.x", "nodejs22", ("22",), NEW),
        ("node", "nodejs22", ("22",), NEW),
        ("Node.js 16", "nodejs16", ("16",), OLD),
        ("nodejs20", "nodejs20", ("20",), NEW),
        ("node17", "nodejs17", ("17",), OLD),
        ("python", "python311", ("3.11",), NEW),
        ("python3.11", "python311", ("3.11",), NEW),
        ("python 3.11.4", "python311", ("3.11",), NEW),
        ("PYTHON_3", "python3", ("3.8", "3.7"), OLD),
        ("python3.9", "python39", ("3.9",), OLD),
        ("python3.8", "python38", ("3.8",), OLD),
        ("python312", "python312", ("3.12",), NEW),
        ("python3.10", "python310", ("3.10",), OLD),
        ("java11", "corretto11", ("11",), OLD),
        ("corretto17", "corretto17", ("17",), OLD),
        ("go", "go1", ("1.18",), OLD),
        ("golang1.21", "go121", ("1.21",), OLD),
        ("dotnet 6.0", "dotnet6", ("6",), OLD),
        ("dotnet8", "dotnet8", ("8",), OLD),
        ("php8", "php81", ("8.1",), OLD),
        ("php 8.1", "php81", ("8.1",), OLD),
        ("ruby3.2", "ruby32", ("3.2",), OLD),
    ],
)
def test_a_name_with_one_obvious_meaning_is_understood_with_a_notice_and_refused_when_strict(
    written, name, accepts, generation, refused
):
    runtime, notices = runtime_named(written, strict=False)
    assert (runtime.name, runtime.accepts, runtime.generation) == (name, accepts, generation)
    assert f'runtime "{written}" is read as' in notices[0]
    failure = refused(lambda: runtime_named(written, strict=True))
    assert "allowed are python3, python311, nodejs12" in failure.message
    suggested = failure.hint.removeprefix("runtime: ")
    assert MANAGED[suggested].runtime.family is runtime.family


@pytest.mark.parametrize(
    "written",
    [
        "buildpack",
        "ecr",
        "3.11",
        "18",
        "",
        "rust",
        "python2",
        "python2.7",
        pytest.param("x" * 10_000, id="long"),
    ],
)
def test_a_name_without_a_meaning_is_refused(written, refused):
    for strict in (False, True):
        failure = refused(lambda strict=strict: runtime_named(written, strict))
        assert "is not a managed runtime" in failure.message
        assert len(failure.message) < 500


def test_a_docker_runtime_means_the_dockerfile_and_is_refused_as_app_runner_does_it_when_strict(refused):
    for written in ("docker", "Dockerfile", "container"):
        runtime, (notice,) = runtime_named(written, strict=False)
        assert runtime is DOCKER
        assert "App Runner itself builds no Dockerfile" in notice
        assert "builds no Dockerfile" in refused(lambda written=written: runtime_named(written, strict=True)).message


def test_the_end_of_support_is_a_notice_and_never_an_error():
    runtime, notices = runtime_named("python3", strict=False)
    assert end_of_support(runtime) == "2025-12-01"
    assert notices == (
        "App Runner ended its support for python3 on 2025-12-01 and refuses it for new services; it works here.",
    )
    assert end_of_support(runtime_of(ApiRuntime.PYTHON_311)) == ""
    assert runtime_named("nodejs22", strict=False)[1] == ()


PYTHON3, NODE16 = MANAGED["python3"].runtime, MANAGED["nodejs16"].runtime


@pytest.mark.parametrize(
    ("runtime", "text", "locked", "noticed", "strict"),
    [
        (PYTHON3, "3", "3", False, True),
        (PYTHON3, "3.8", "3.8", False, True),
        (PYTHON3, "3.7.7", "3.7.7", False, True),
        (PYTHON3, "3.10", "3.10", True, False),
        (PYTHON3, "3.11", "3.11", True, False),
        (PYTHON3, "3.80", "3.80", True, False),
        (PYTHON3, "latest", "", True, False),
        (PYTHON3, "python3.8", "3.8", True, False),
        (NODE16, "16.x", "16", True, False),
        (NODE16, "v16.13.1", "16.13.1", True, False),
        (NODE16, "18", "18", True, False),
        (MANAGED["corretto11"].runtime, "11.0.13.08.1", "11.0.13.08.1", False, True),
        (MANAGED["go1"].runtime, "1.18.3", "1.18.3", False, True),
    ],
)
def test_runtime_version(runtime, text, locked, noticed, strict):
    """Helpful: the version asked for, with a notice where App Runner has none such. Strict: what it offers."""
    answer, notices = version_locked(runtime, text, strict=False)
    assert answer.locked == locked
    assert answer.name == runtime.name
    assert bool(notices) is noticed
    if strict:
        assert version_locked(runtime, text, strict=True)[0].locked == locked
    else:
        with pytest.raises(DeployError, match=f"{runtime.name} offers"):
            version_locked(runtime, text, strict=True)


@pytest.mark.parametrize("text", ["new", ">=3.8", "3.8 or 3.9", "3..8", "3.8.", pytest.param("1" * 1000, id="long")])
def test_a_runtime_version_that_is_none_is_refused(text, refused):
    for strict in (False, True):
        failure = refused(lambda strict=strict: version_locked(PYTHON3, text, strict))
        assert failure.hint == 'run:\n  runtime-version: "3.8"'


@given(st.text(max_size=80), st.booleans())
def test_any_name_is_a_runtime_or_a_plain_refusal(text, strict):
    try:
        runtime, notices = runtime_named(text, strict)
    except DeployError:
        return
    assert runtime.family in RuntimeFamily
    assert runtime.accepts
    assert not (strict and notices)


@given(st.sampled_from([*MANAGED.values()]), st.text(max_size=40), st.booleans())
def test_any_version_is_a_version_or_a_plain_refusal(row, text, strict):
    try:
        runtime, notices = version_locked(row.runtime, text, strict)
    except DeployError:
        return
    assert runtime.locked.replace(".", "").isdigit() or runtime.locked == ""
    assert not (strict and notices)
