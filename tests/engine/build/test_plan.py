"""Plans: what reaches the build, what reaches the application, and what is refused before either."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.build.config_file import parse_config
from engine.build.plan import normal_directory, plan_from_file, plan_from_values
from engine.model.errors import DeployError
from engine.model.plan import BuildPlan
from engine.model.service import ApiRuntime, CodeConfigurationValues

FILE = """\
version: 1.0
runtime: python311
build:
  commands:
    build:
      - cd web
      - npm ci
  env:
    - name: BUILD_ONLY
      value: b
run:
  command: cd web && python3 app.py
  pre-run:
    - echo pre
  network:
    port: 8000
    env: APP_PORT
  env:
    - name: RUN_ONLY
      value: r
    - name: PORT
      value: "1"
    - name: APP_PORT
      value: "2"
  secrets:
    - name: S
      value-from: /p
"""


def from_file(text: str = FILE, *, strict: bool = False) -> BuildPlan:
    return plan_from_file(parse_config(text.encode(), strict=strict), "/server/", strict)


def values(**members: object) -> CodeConfigurationValues:
    return CodeConfigurationValues(**({"runtime": ApiRuntime.NODEJS_22, "start_command": "npm start"} | members))


def test_build_env_is_the_builds_and_run_env_the_applications():
    """pre-run gets its environment from build_env too: there is no other one before the application starts."""
    plan = from_file()
    assert plan.build_env == {"BUILD_ONLY": "b"}
    assert plan.run_env == {"RUN_ONLY": "r"}
    assert plan.run_secrets == {"S": "/p"}
    assert plan.pre_run == ("echo pre",)


def test_variables_that_carry_the_port_are_overridden_with_a_notice():
    plan = from_file()
    assert (plan.port, plan.port_env) == (8000, "APP_PORT")
    said = [notice for notice in plan.notices if "is overridden" in notice]
    assert [notice.split()[0] for notice in said] == ["PORT", "APP_PORT"]


@pytest.mark.parametrize(("value", "notices"), [("3000", 0), (" 3000 ", 0), ("3001", 1)])
def test_a_port_variable_that_says_what_the_service_says_is_not_worth_a_word(value, notices):
    plan = plan_from_values(values(port="3000", runtime_environment_variables={"PORT": value}), "/", strict=False)
    assert plan.run_env == {}
    assert len(plan.notices) == notices


def test_habits_in_commands_are_mended_and_said():
    plan = from_file()
    assert plan.build == ("cd web && npm ci",)
    assert plan.start.shell
    assert len(plan.notices) == 4


def test_strict_changes_nothing_and_says_nothing():
    plan = from_file(strict=True)
    assert plan.build == ("cd web", "npm ci")
    assert plan.start.argv == ("cd", "web", "&&", "python3", "app.py")
    assert not plan.start.shell
    assert plan.notices == ()
    assert plan.strict
    assert "PORT" not in plan.run_env


def test_a_plan_from_values_has_one_build_command_and_one_start_command():
    plan = plan_from_values(
        values(
            build_command="npm ci && npm run build", port="3000", runtime_environment_variables={"A": "b", "PORT": "1"}
        ),
        "/",
        strict=False,
    )
    assert plan.build == ("npm ci && npm run build",)
    assert (plan.pre_build, plan.post_build, plan.pre_run, plan.build_env) == ((), (), (), {})
    assert plan.start.argv == ("npm", "start")
    assert plan.port == 3000
    assert plan.run_env == {"A": "b"}
    assert plan.source_directory == ""
    assert plan.notices == (
        "PORT is set in RuntimeEnvironmentVariables, but is overridden: every instance gets its own port in PORT.",
    )


def test_values_have_defaults():
    plan = plan_from_values(values(), "/x", strict=False)
    assert (plan.port, plan.build, plan.run_env, plan.notices, plan.source_directory) == (8080, (), {}, (), "x")


def test_a_runtime_without_support_is_said_with_values_too():
    assert (
        "ended its support for python3"
        in plan_from_values(values(runtime=ApiRuntime.PYTHON_3), "", strict=False).notices[0]
    )
    assert plan_from_values(values(runtime=ApiRuntime.PYTHON_3), "", strict=True).notices == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "the service has no CodeConfigurationValues"),
        (values(start_command=None), "no StartCommand"),
        (values(start_command="  "), "no StartCommand"),
        (values(port="0"), 'Port is "0"; it must be a whole number from 1 to 65535'),
        (values(port="65536"), "Port is"),
        (values(port="80a"), "Port is"),
        (values(port=""), "Port is"),
        (values(port="8080\n"), "Port is"),
        (values(port="٨٠"), "Port is"),
        (values(runtime_environment_variables={"AWSAPPRUNNER_X": "1"}), "reserved by App Runner"),
        (values(runtime_environment_secrets={"awsapprunner": "p"}), "reserved by App Runner"),
        (values(runtime_environment_variables={"A=B": "1"}), "a name cannot hold ="),
        (values(runtime_environment_variables={"A": "\x00"}), "NUL"),
        (
            values(runtime_environment_variables={"A": "1"}, runtime_environment_secrets={"A": "p"}),
            "both a variable and a secret",
        ),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_values_that_cannot_work_are_refused(wrong, message, strict, refused):
    failure = refused(lambda: plan_from_values(wrong, "/", strict))
    assert message in failure.message
    assert failure.hint


@pytest.mark.parametrize(
    ("written", "relative"),
    [("", ""), ("/", ""), ("/server", "server"), ("server/", "server"), ("/a//b/./c/", "a/b/c"), ("/..a", "..a")],
)
def test_source_directory_is_relative_to_the_root(written, relative):
    assert normal_directory(written) == relative


@pytest.mark.parametrize("written", ["..", "/a/../..", "a/..", "a\x00b"])
def test_a_source_directory_outside_the_source_is_refused(written, refused):
    assert "leaves the source" in refused(lambda: normal_directory(written)).message


def test_a_plan_does_not_print_its_environment():
    assert "RUN_ONLY" not in repr(from_file())


@given(
    st.text(max_size=30),
    st.text(max_size=30) | st.none(),
    st.text(max_size=8) | st.none(),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.booleans(),
)
def test_any_values_are_a_plan_or_a_plain_refusal(start, build, port, env, strict):
    try:
        plan = plan_from_values(
            values(start_command=start, build_command=build, port=port, runtime_environment_variables=env), "/", strict
        )
    except DeployError:
        return
    assert 1 <= plan.port <= 65535
    assert "PORT" not in plan.run_env
    assert not (strict and plan.notices)
