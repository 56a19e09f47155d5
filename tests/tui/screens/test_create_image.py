"""The create form for images, as values: fields that apply, what is wrong, the request, the review."""

from msgspec.structs import replace

from engine.model.service import ApiRuntime, ConfigurationSource, ImageRepositoryType
from engine.model.version import Revision
from engine.model.watch import InspectSourceResponse
from tui.screens.create_form import (
    Deployments,
    Form,
    SourceKind,
    Step,
    filled,
    inspection_of,
    problems_of,
    request_of,
    unneeded,
    with_kind,
    with_runtime,
)
from tui.screens.create_words import deployments_note, findings_of, review_of, step_title

FORM = Form(kind=SourceKind.IMAGE, image=" ghcr.io/you/app:1.2 ", name="my-app", port="3000")
FOUND = InspectSourceResponse(
    kind="image",
    suggested_name="app-service",
    port=80,
    revision=Revision(id="sha256:" + "ab" * 32, kind="image", branch="1.2", title="ghcr.io/you/app"),
)


def test_an_image_is_asked_about_as_one():
    request = inspection_of(FORM, "ghcr.io/you/app:1.2")
    assert (request.image, request.repository_url) == (True, "ghcr.io/you/app:1.2")


def test_what_is_found_fills_in_what_nobody_has_typed():
    form = filled(Form(kind=SourceKind.IMAGE, image="x"), FOUND, set())
    assert (form.port, form.name) == ("80", "app-service")
    assert filled(FORM, FOUND, {"port", "name"}) == FORM


def test_only_fields_that_apply_are_there():
    hidden = unneeded(FORM)
    assert {"repository", "branch", "directory", "configuration", "runtime", "build_command"} <= hidden
    assert not {"image", "deployments", "start_command", "port"} & hidden
    assert {"image", "deployments", "start_command"} <= unneeded(Form())
    by_hand = Form(configuration=ConfigurationSource.API)
    assert "build_command" not in unneeded(by_hand)
    assert "build_command" in unneeded(replace(by_hand, runtime=ApiRuntime.DOCKER))


def test_the_request_names_the_image_its_port_and_what_the_application_gets():
    form = replace(FORM, environment="A=b", deployments=Deployments.ON_PUSH)
    source = request_of(form, "ghcr.io/you/app:1.2").source_configuration
    image = source.image_repository

    assert source.code_repository is None
    assert source.auto_deployments_enabled is True
    assert (image.image_identifier, image.image_repository_type) == ("ghcr.io/you/app:1.2", ImageRepositoryType.ECR)
    assert image.image_configuration.port == "3000"
    assert image.image_configuration.start_command is None
    assert image.image_configuration.runtime_environment_variables == {"A": "b"}
    public = request_of(FORM, "public.ecr.aws/nginx/nginx:1").source_configuration
    assert public.image_repository.image_repository_type is ImageRepositoryType.ECR_PUBLIC
    assert public.auto_deployments_enabled is False


def test_a_dockerfile_needs_no_commands():
    form = Form(
        repository="/srv/app",
        name="my-app",
        configuration=ConfigurationSource.API,
        runtime=ApiRuntime.DOCKER,
        build_command="left over",
    )
    assert problems_of(form, None) == {}
    values = request_of(form, "/srv/app").source_configuration.code_repository.code_configuration
    assert values.code_configuration_values.runtime is ApiRuntime.DOCKER
    assert values.code_configuration_values.build_command is None
    assert values.code_configuration_values.start_command is None


def test_what_is_wrong_is_said_at_its_field():
    assert problems_of(FORM, FOUND) == {}
    assert "docker pull" in problems_of(replace(FORM, image=" "), None)["image"]
    fixed = replace(FORM, image="nginx@sha256:" + "a" * 64, deployments=Deployments.ON_PUSH)
    assert "never changes" in problems_of(fixed, None)["deployments"]


def test_the_review_and_the_findings_speak_of_the_image():
    review = review_of(replace(FORM, deployments=Deployments.ON_PUSH), "ghcr.io/you/app:1.2", FOUND)
    assert ("Image", "ghcr.io/you/app:1.2 · abababababab") in review["Source"]
    assert ("Deployments", "by itself when its tag moves") in review["Source"]
    assert ("Command", "as the image says") in review["Start"]
    assert [step_title(step, FORM) for step in Step] == ["Source", "Start", "Service", "Review"]
    (finding,) = findings_of(FOUND)
    assert finding.text == "Image ghcr.io/you/app:1.2, abababababab"


def test_what_a_repository_suggested_is_not_for_an_image():
    found = InspectSourceResponse(
        kind="directory", suggested_runtime=ApiRuntime.NODEJS_22, suggested_start="node server.js", port=3000
    )
    form = filled(Form(repository="/srv/app"), found, {"repository"})
    assert (form.start_command, form.port) == ("node server.js", "3000")

    image = with_kind(form, SourceKind.IMAGE, {"repository"})
    assert (image.repository, image.start_command, image.port) == ("/srv/app", "", "8080")
    typed = with_kind(form, SourceKind.IMAGE, {"repository", "start_command"})
    assert typed.start_command == "node server.js"


def test_a_command_that_was_only_suggested_does_not_replace_a_dockerfiles():
    found = InspectSourceResponse(
        kind="directory", suggested_runtime=ApiRuntime.PYTHON_311, suggested_start="python app.py"
    )
    form = filled(Form(repository="/srv/app"), found, set())
    docker = with_runtime(form, ApiRuntime.DOCKER, found, set())
    assert (docker.runtime, docker.start_command) == (ApiRuntime.DOCKER, "")
    assert with_runtime(docker, ApiRuntime.PYTHON_311, found, set()) == form
    assert with_runtime(form, ApiRuntime.DOCKER, found, {"start_command"}).start_command == "python app.py"


def test_the_choice_of_deployments_is_explained():
    assert deployments_note(FORM) == ""
    assert "tag" in deployments_note(replace(FORM, deployments=Deployments.ON_PUSH))
    assert "never changes" in deployments_note(replace(FORM, image="nginx@sha256:" + "a" * 64))
