"""The create form's rules: paths and URLs, what a source fills in, what is wrong, and the request in the end."""

from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.model.actions.service import CreateServiceRequest
from engine.model.errors import Failure, FailureKind
from engine.model.service import ApiRuntime, ConfigurationSource, HealthCheckProtocol
from engine.model.version import Revision
from engine.model.watch import InspectSourceResponse
from tui.screens.create_form import (
    FIELDS,
    MEMORY_FOR,
    RUNTIMES,
    STEP_OF,
    Form,
    filled,
    inspection_of,
    is_local,
    parse_environment,
    problems_of,
    repository_url,
    request_of,
    source_directory,
    with_cpu,
    with_repository,
)

FOLDER, HOME = PurePosixPath("/srv/here"), PurePosixPath("/home/ada")
COMMIT = Revision(id="3f2a91c" + "0" * 33, kind="commit", branch="main", title="Fix the greeting")
WITH_FILE = InspectSourceResponse(
    kind="git",
    default_branch="main",
    branches=("dev", "main"),
    revision=COMMIT,
    suggested_name="python-hello",
    config_file="apprunner.yaml",
    runtime="python311",
    build_commands=("pip install -r requirements.txt",),
    start_command="python app.py",
    port=8000,
)
WITHOUT_FILE = InspectSourceResponse(
    kind="directory",
    suggested_name="shop",
    suggested_runtime=ApiRuntime.NODEJS_22,
    suggested_build="npm ci",
    suggested_start="node server.js",
    port=3000,
)
GOOD = Form(repository="/srv/app", branch="main", name="good-name")
HERE = replace(GOOD, configuration=ConfigurationSource.API, start_command="python app.py")


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("https://github.com/you/app.git", "https://github.com/you/app.git"),
        ("  git@github.com:you/app  ", "git@github.com:you/app"),
        ("ssh://git@host/app", "ssh://git@host/app"),
        ("github.com/you/app", "https://github.com/you/app"),
        ("/srv/app/", "/srv/app"),
        ("~/app", "/home/ada/app"),
        ("~", "/home/ada"),
        ("~bob/app", "~bob/app"),
        (".", "/srv/here"),
        ("../app", "/srv/app"),
        ("app", "/srv/here/app"),
        ("my:folder/../x", "my:folder/../x"),
        ("./my:folder", "/srv/here/my:folder"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_what_is_typed_becomes_what_the_engine_takes(typed, url):
    assert repository_url(typed, FOLDER, HOME) == url


@pytest.mark.parametrize(("typed", "local"), [("/a", True), ("~/a", True), ("./a", True), ("..", True), ("a/b", False)])
def test_what_can_only_be_a_folder(typed, local):
    assert is_local(typed) is local


@pytest.mark.parametrize(
    ("typed", "directory"),
    [("", "/"), ("/", "/"), ("api", "/api"), ("/api/", "/api"), ("//a//b", "/a/b"), (" a ", "/a")],
)
def test_source_directories_are_absolute(typed, directory):
    assert source_directory(typed) == directory


def test_a_repository_with_its_file_fills_everything_in():
    form = filled(Form(repository="/srv/python-hello"), WITH_FILE, {"repository"})

    assert (form.branch, form.name, form.port) == ("main", "python-hello", "8000")
    assert form.configuration is ConfigurationSource.REPOSITORY
    assert (form.runtime, form.start_command) == (ApiRuntime.PYTHON_311, "python app.py")
    assert problems_of(form, WITH_FILE) == {}


def test_a_file_with_a_mistake_stays_the_configuration_and_is_what_is_wrong():
    problem = Failure(kind=FailureKind.CONFIG, message="apprunner.yaml line 7: run.comand is not a key.")
    found = InspectSourceResponse(kind="git", default_branch="main", suggested_name="my-shop", problem=problem)
    form = filled(Form(repository="/srv/my-shop"), found, {"repository"})

    assert form.configuration is ConfigurationSource.REPOSITORY
    assert problems_of(form, found) == {"configuration": problem.message}


def test_a_source_without_the_file_is_configured_here_by_suggestions():
    form = filled(Form(repository="/srv/shop"), WITHOUT_FILE, {"repository"})

    assert form.configuration is ConfigurationSource.API
    assert (form.runtime, form.build_command, form.start_command) == (ApiRuntime.NODEJS_22, "npm ci", "node server.js")
    assert form.port == "3000"
    assert form.branch == ""
    assert problems_of(form, WITHOUT_FILE) == {}


@pytest.mark.parametrize(
    ("names", "name"), [((), "shop"), ({"shop"}, "shop-2"), ({"shop", "shop-2"}, "shop-3"), ({"other"}, "shop")]
)
def test_a_suggested_name_is_free(names, name):
    assert filled(Form(), WITHOUT_FILE, (), names).name == name


def test_a_long_name_keeps_its_limit_when_numbered():
    long = replace(WITHOUT_FILE, suggested_name="x" * 40)

    assert problems_of(filled(HERE, long, (), {"x" * 40}), None) == {}


def test_what_the_user_has_set_is_left_alone():
    mine = Form(repository="x", branch="dev", name="mine", port="9000", start_command="mine")

    form = filled(mine, WITHOUT_FILE, {"branch", "name", "port", "start_command"})

    assert (form.branch, form.name, form.port, form.start_command) == ("dev", "mine", "9000", "mine")
    assert form.build_command == "npm ci"


def test_suggestions_of_one_source_do_not_linger_for_the_next():
    first = filled(Form(repository="a"), WITH_FILE, set())

    second = filled(with_repository(first, "b", set()), WITHOUT_FILE, set())

    assert (second.branch, second.name, second.start_command) == ("", "shop", "node server.js")
    assert with_repository(replace(first, branch="dev"), "b", {"branch"}).branch == "dev"


def test_the_question_about_a_source():
    request = inspection_of(replace(GOOD, branch=" dev ", directory="api"), "/srv/app", strict=True)

    assert (request.repository_url, request.branch, request.source_directory) == ("/srv/app", "dev", "/api")
    assert request.strict


@pytest.mark.parametrize("cpu", MEMORY_FOR)
def test_every_cpu_comes_with_memory_that_goes_with_it(cpu):
    form = with_cpu(Form(), cpu)

    assert form.memory in MEMORY_FOR[cpu]
    assert problems_of(replace(GOOD, cpu=form.cpu, memory=form.memory), None) == {}


def test_memory_stays_when_it_may():
    assert with_cpu(Form(cpu="2048", memory="4096"), "1024").memory == "4096"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("A=1\n\n  # comment\nB = two words \nC==x=y\nexport D=", {"A": "1", "B": " two words ", "C": "=x=y", "D": ""}),
    ],
)
def test_environment_variables_are_lines_of_name_and_value(text, variables):
    assert parse_environment(text) == (variables, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A=1\nB", "Line 2 has no =."),
        ("=x", "Line 1 has no valid name"),
        ("A B=x", "Line 1 has no valid name"),
        ("A=1\nA=2", "Line 2 sets A a second time."),
        ("awsapprunner_x=1", "reserved"),
        ("A=" + "x" * 60_000, "longer"),
    ],
)
def test_a_wrong_line_is_named(text, sentence):
    assert sentence in parse_environment(text)[1]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"repository": " "}, "repository", "Give the URL"),
        ({"repository": "a\x1b[31m"}, "repository", "control characters"),
        ({"directory": "a/../../b"}, "directory", "without .."),
        ({"start_command": " "}, "start_command", "starts the application"),
        ({"build_command": "a\x00b"}, "build_command", "one line"),
        ({"port": "http"}, "port", "1 to 65535"),
        ({"port": "0"}, "port", "1 to 65535"),
        ({"port": "65536"}, "port", "1 to 65535"),
        ({"port": "٣"}, "port", "1 to 65535"),
        ({"name": "abc"}, "name", "4 to 40"),
        ({"name": "a" * 41}, "name", "4 to 40"),
        ({"name": "-abcd"}, "name", "begins with"),
        ({"name": "naïve"}, "name", "letters"),
        ({"name": "taken"}, "name", "already"),
        ({"memory": "512"}, "memory", "not offer"),
        ({"environment": "x"}, "environment", "no ="),
        ({"protocol": HealthCheckProtocol.HTTP, "path": "health"}, "path", "begins with /"),
        ({"interval": "21"}, "interval", "1 to 20"),
        ({"timeout": "0"}, "timeout", "The timeout"),
        ({"healthy": ""}, "healthy", "1 to 20"),
        ({"unhealthy": "five"}, "unhealthy", "1 to 20"),
    ],
)
def test_every_mistake_gets_one_sentence_at_its_field(changes, field, words):
    problems = problems_of(replace(HERE, **changes), None, {"taken"})

    assert list(problems) == [field]
    assert words in problems[field]
    assert problems[field].endswith(".")


def test_what_does_not_count_is_not_complained_about():
    by_file = replace(GOOD, environment="nonsense", port="x", start_command="")

    assert problems_of(by_file, None) == {}
    assert problems_of(replace(GOOD, path="nonsense"), None) == {}


def failed(because, /, **found):
    return InspectSourceResponse(problem=Failure(kind=because, message="It is so."), **found)


@pytest.mark.parametrize(
    ("form", "found", "field"),
    [
        pytest.param(GOOD, failed(FailureKind.SOURCE), "repository", id="no repository"),
        pytest.param(GOOD, failed(FailureKind.INTERNAL), "repository", id="anything else"),
        pytest.param(
            replace(GOOD, branch="mian"),
            failed(FailureKind.SOURCE, kind="git", branches=("main",)),
            "branch",
            id="branch",
        ),
        pytest.param(GOOD, failed(FailureKind.CONFIG, kind="git"), "configuration", id="a bad file"),
        pytest.param(HERE, failed(FailureKind.CONFIG, kind="git"), None, id="a bad file that is not used"),
        pytest.param(GOOD, InspectSourceResponse(kind="git"), "configuration", id="no file"),
        pytest.param(HERE, InspectSourceResponse(kind="git"), None, id="no file, none used"),
    ],
)
def test_what_an_inspection_found_wrong_stands_at_the_field_it_is_about(form, found, field):
    assert list(problems_of(form, found)) == ([field] if field else [])


def test_problems_come_in_the_order_of_the_form():
    problems = problems_of(Form(configuration=ConfigurationSource.API, interval="x"), None)

    assert list(problems) == ["repository", "start_command", "name", "interval"]
    assert list(STEP_OF) == [field for fields in FIELDS.values() for field in fields]
    assert set(STEP_OF) == set(Form.__struct_fields__)


def test_the_smallest_request_is_by_file():
    request = request_of(GOOD, "/srv/app")

    repository = request.source_configuration.code_repository
    assert repository.code_configuration.configuration_source is ConfigurationSource.REPOSITORY
    assert repository.code_configuration.code_configuration_values is None
    assert (repository.repository_url, repository.source_directory) == ("/srv/app", "/")
    assert repository.source_code_version.value == "main"
    assert request.source_configuration.auto_deployments_enabled is False
    assert request.health_check_configuration.path is None


def test_values_set_here_are_in_the_request():
    form = replace(HERE, environment="A=1", build_command=" make ", protocol=HealthCheckProtocol.HTTP, path="/up")

    request = request_of(form, "https://host/app")

    values = request.source_configuration.code_repository.code_configuration.code_configuration_values
    assert (values.runtime, values.build_command, values.port) == (ApiRuntime.PYTHON_311, "make", "8080")
    assert values.runtime_environment_variables == {"A": "1"}
    assert request.health_check_configuration.path == "/up"


def test_every_runtime_can_be_chosen():
    assert set(RUNTIMES) == set(ApiRuntime)


words = st.text(max_size=12)
numbers = st.sampled_from(["1", "5", "20", " 7 ", "21"])


@given(
    form=st.builds(
        Form,
        repository=words,
        branch=words,
        directory=words,
        configuration=st.sampled_from(ConfigurationSource),
        build_command=words,
        start_command=words,
        port=numbers,
        name=st.sampled_from(["some-name", " n_4 ", "x"]),
        environment=words | st.just("A=1\n#\nB= 2"),
        protocol=st.sampled_from(HealthCheckProtocol),
        path=words.map("/{}".format),
        interval=numbers,
    ),
    cpu=st.sampled_from(sorted(MEMORY_FOR)),
)
def test_a_form_without_problems_always_comes_to_a_valid_request(form, cpu):
    form = with_cpu(form, cpu)
    url = repository_url(form.repository, FOLDER, HOME)
    if not problems_of(form, None):
        request = request_of(form, url)

        assert msgspec.json.decode(msgspec.json.encode(request), type=CreateServiceRequest) == request
