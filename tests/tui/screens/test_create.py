"""The create form as its user meets it."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from engine.model.errors import EngineError, ErrorCode, Failure, FailureKind
from engine.model.service import ApiRuntime, ConfigurationSource, HealthCheckProtocol
from engine.model.version import Revision
from engine.model.watch import InspectSourceResponse
from tui.screens.confirm import ConfirmScreen
from tui.screens.create import CreateScreen
from tui.screens.create_form import STEPS, Form, SourceKind, Step
from tui.widgets.form_field import FormField

pytestmark = pytest.mark.slow  # a whole screen

COMMIT = Revision(id="3f2a91c" + "0" * 33, kind="commit", branch="main", title="Fix the greeting")
WITH_FILE = InspectSourceResponse(
    kind="git",
    default_branch="main",
    branches=("dev", "feature/login", "main"),
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
    revision=Revision(id="dir-" + "a" * 40, kind="directory"),
    suggested_name="shop",
    suggested_runtime=ApiRuntime.NODEJS_22,
    suggested_build="npm ci",
    suggested_start="node server.js",
    port=3000,
)
DOCKERFILE = replace(
    WITHOUT_FILE, suggested_runtime=ApiRuntime.DOCKER, suggested_build="", suggested_start="", port=8080
)
NO_SUCH = InspectSourceResponse(
    problem=Failure(
        kind=FailureKind.SOURCE,
        message="There is no repository at https://example.org/app.",
        evidence=("fatal: repository 'https://example.org/app/' not found",),
        hint="Check the spelling; a private repository needs credentials.",
    )
)
BAD_FILE = InspectSourceResponse(
    kind="git",
    default_branch="main",
    branches=("main",),
    revision=COMMIT,
    suggested_name="python-hello",
    config_file="apprunner.yaml",
    problem=Failure(
        kind=FailureKind.CONFIG,
        message="apprunner.yaml line 2: runtime 'python' is not a managed runtime; allowed are python3, python311 …",
        hint="runtime: python311",
    ),
)


class Inspector:
    """Answers as told, remembers what it was asked, and waits while told to."""

    def __init__(self, answer=WITH_FILE):
        self.answer = answer
        self.asked = []
        self.cancelled = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, request):
        self.asked.append(request)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def inspector():
    return Inspector()


@pytest.fixture
def open_form(app_with):
    """A form at 80x24, empty at its first step or as given."""

    @asynccontextmanager
    async def opened(inspector, form=None, step=Step.SOURCE, **options):
        screen = CreateScreen(inspector, **options)
        if form:
            screen._form, screen._step = form, step
        app = app_with(screen)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            yield app, pilot

    return opened


def error_at(app, field):
    return app.screen.query_one(f"#field-{field}", FormField).error


async def test_a_repository_with_its_file_needs_only_its_url_and_enter(app_with, press, settled, inspector):
    app = app_with(CreateScreen(inspector))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await press(pilot, *"https://host/python-hello", "enter")
        await settled(pilot, lambda: app.screen._step == "build")
        await press(pilot, "enter")
        await settled(pilot, lambda: app.screen._step == "service")
        await press(pilot, "enter")
        await settled(pilot, lambda: app.screen._step == "review")
        await press(pilot, "enter")
        await settled(pilot, lambda: app.answers)

    (request,) = app.answers
    repository = request.source_configuration.code_repository
    assert repository.repository_url == "https://host/python-hello"
    assert repository.source_code_version.value == "main"
    assert repository.code_configuration.configuration_source is ConfigurationSource.REPOSITORY
    assert request.service_name == "python-hello"
    assert (request.instance_configuration.cpu, request.instance_configuration.memory) == ("1024", "2048")
    assert len(inspector.asked) == 1


async def test_ctrl_s_creates_at_once(open_form, press, settled, inspector):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/python-hello", "ctrl+s")
        await settled(pilot, lambda: app.answers)

    assert app.answers[0].service_name == "python-hello"


async def test_ctrl_s_goes_to_what_is_missing(open_form, press, settled, inspector):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, "ctrl+s")
        await settled(pilot, lambda: error_at(app, "repository"))

        assert error_at(app, "repository") == "Give the URL of a Git repository, or the path of a folder."
        assert app.focused.id == "repository"
        assert inspector.asked == []


async def test_nothing_is_called_wrong_before_anyone_was_there(open_form, inspector):
    async with open_form(inspector) as (app, pilot):
        await pilot.pause()

        assert not any(field.error for field in app.screen.query(FormField))


async def test_leaving_the_field_looks_at_the_source(open_form, press, settled, inspector, text_on_screen):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/app", "down")
        await settled(pilot, lambda: "apprunner.yaml: python311, port 8000" in text_on_screen(app))

        assert app.screen.query_one("#branch").value == "main"
        assert "dev, feature/login" in text_on_screen(app)
        assert [request.repository_url for request in inspector.asked] == ["https://host/app"]


@pytest.mark.slow
async def test_a_url_is_not_looked_at_while_it_is_typed(open_form, press, inspector, monkeypatch):
    monkeypatch.setattr("tui.screens.create._TYPING_PAUSE_S", 0.01)
    async with open_form(inspector) as (_, pilot):
        await press(pilot, *"https://host/app")
        await pilot.pause(0.1)

        assert inspector.asked == []


async def test_a_folder_is_looked_at_when_typing_pauses(open_form, press, settled, inspector, monkeypatch):
    monkeypatch.setattr("tui.screens.create._TYPING_PAUSE_S", 0.05)
    async with open_form(inspector) as (_, pilot):
        await press(pilot, *"/srv/app")
        await settled(pilot, lambda: inspector.asked)

        assert [request.repository_url for request in inspector.asked] == ["/srv/app"]


async def test_typing_on_cancels_looking_and_a_late_answer_counts_for_nothing(open_form, press, settled, inspector):
    inspector.open.clear()
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/a", "enter")
        await settled(pilot, lambda: len(inspector.asked) == 1)
        await press(pilot, "p", "p")
        await settled(pilot, lambda: inspector.cancelled == 1)
        assert app.screen._step is Step.SOURCE
        inspector.open.set()
        await press(pilot, "enter")
        await settled(pilot, lambda: app.screen._step is Step.BUILD)

        assert [request.repository_url for request in inspector.asked] == ["https://host/a", "https://host/app"]


@pytest.mark.slow
async def test_escape_stops_waiting_for_the_source(open_form, press, settled, inspector):
    inspector.open.clear()
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/app", "enter")
        await settled(pilot, lambda: inspector.asked)
        await press(pilot, "escape")
        await settled(pilot, lambda: inspector.cancelled == 1)

        assert app.screen._step is Step.SOURCE
        assert app.answers == []


async def test_a_wrong_source_is_explained_right_there_and_asked_again(
    open_form, press, settled, inspector, text_on_screen
):
    inspector.answer = NO_SUCH
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://example.org/app", "enter")
        await settled(pilot, lambda: "There is no repository" in text_on_screen(app))

        assert app.screen._step is Step.SOURCE
        assert "fatal: repository" in text_on_screen(app)
        assert "Check the spelling" in text_on_screen(app)

        inspector.answer = WITH_FILE
        await press(pilot, "enter")
        await settled(pilot, lambda: app.screen._step is Step.BUILD)


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [EngineError(ErrorCode.INTERNAL, "The engine is busy."), ConnectionError("The engine went away.")]
)
async def test_an_engine_that_cannot_answer_is_a_sentence_too(open_form, press, settled, text_on_screen, error):
    async with open_form(Inspector(error)) as (app, pilot):
        await press(pilot, *"/srv/app", "enter")
        await settled(pilot, lambda: str(error) in text_on_screen(app))


async def test_what_a_source_says_is_no_markup_and_controls_nothing(
    open_form, press, settled, inspector, text_on_screen
):
    title = "[red]Fix[/] \x1b[2Jit"
    inspector.answer = replace(WITH_FILE, revision=replace(COMMIT, title=title), start_command="[b]x[/b]")
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"/srv/app", "enter")
        await settled(pilot, lambda: app.screen._step is Step.BUILD)
        await settled(pilot, lambda: "[b]x[/b]" in text_on_screen(app))
        await press(pilot, "escape")

        assert "[red]Fix[/] it" in text_on_screen(app)


@pytest.mark.slow
async def test_another_branch_is_chosen_by_arrow_and_looked_at(open_form, press, settled, inspector, monkeypatch):
    monkeypatch.setattr("tui.screens.create._TYPING_PAUSE_S", 0.0)
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/app", "down")
        await settled(pilot, lambda: app.screen._found)
        app.screen.query_one("#branch").focus()
        await press(pilot, "down")
        await settled(pilot, lambda: len(inspector.asked) == 2)

        assert app.screen.query_one("#branch").value == "dev"
        assert inspector.asked[1].branch == "dev"


@pytest.mark.slow
async def test_a_missing_branch_is_said_at_the_branch(open_form, press, settled, inspector, text_on_screen):
    problem = Failure(kind=FailureKind.SOURCE, message="There is no branch mian; there are dev and main.")
    inspector.answer = replace(WITH_FILE, revision=None, config_file="", problem=problem)
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/app")
        app.screen.query_one("#branch").value = "mian"
        await pilot.pause()
        await press(pilot, "ctrl+s")
        await settled(pilot, lambda: "There is no branch mian" in text_on_screen(app) and app.focused.id == "branch")

        assert text_on_screen(app).count("There is no branch mian") == 1


async def test_a_source_without_the_file_is_configured_by_hand(open_form, press, settled, inspector):
    inspector.answer = WITHOUT_FILE
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"/srv/shop", "enter")
        await settled(pilot, lambda: app.screen._step is Step.BUILD)
        app.screen.query_one("#start_command").focus()
        await press(pilot, "end", *" --fast", "enter")
        await settled(pilot, lambda: app.screen._step is Step.SERVICE)
        app.screen.query_one("#environment").focus()
        await press(pilot, *"A=1", "enter", *"B=2", "ctrl+s")
        await settled(pilot, lambda: app.answers)

    values = app.answers[0].source_configuration.code_repository.code_configuration.code_configuration_values
    assert (values.runtime, values.build_command, values.port) == (ApiRuntime.NODEJS_22, "npm ci", "3000")
    assert values.start_command == "node server.js --fast"
    assert values.runtime_environment_variables == {"A": "1", "B": "2"}


@pytest.mark.slow
async def test_variables_need_configuration_by_hand_and_it_says_so(
    open_form, press, settled, inspector, text_on_screen
):
    async with open_form(inspector, Form(repository="/srv/app"), Step.SERVICE) as (app, pilot):
        await settled(pilot, lambda: app.screen._found)
        await settled(pilot, lambda: "They come from apprunner.yaml" in text_on_screen(app))

        assert not app.screen.query_one("#environment").display


@pytest.mark.slow
async def test_memory_follows_the_cpu(open_form, press, settled, inspector):
    async with open_form(inspector, Form(repository="/srv/app"), Step.SERVICE) as (app, pilot):
        await settled(pilot, lambda: app.screen._found)
        app.screen.query_one("#cpu").focus()
        await press(pilot, "left", "left")

        assert (app.screen.form.cpu, app.screen.form.memory) == ("256", "1024")
        assert app.screen.query_one("#memory").value == "1024"


@pytest.mark.slow
async def test_an_http_check_asks_for_its_path(open_form, press, settled, inspector):
    async with open_form(inspector, Form(repository="/srv/app", name="name"), Step.SERVICE) as (app, pilot):
        await settled(pilot, lambda: app.screen._found)
        assert not app.screen.query_one("#field-path").display
        app.screen.query_one("#protocol").focus()
        await press(pilot, "right", "down", "end", *"up", "down", "up", "ctrl+s")
        await settled(pilot, lambda: app.answers)

    check = app.answers[0].health_check_configuration
    assert (check.protocol, check.path, check.interval) == (HealthCheckProtocol.HTTP, "/up", 4)


@pytest.mark.slow
async def test_a_name_is_judged_while_it_is_typed(open_form, press, settled, inspector):
    async with open_form(inspector, Form(repository="/srv/app"), Step.SERVICE, names={"mine"}) as (app, pilot):
        await settled(pilot, lambda: app.screen._found)
        await press(pilot, "ctrl+u", *"min")
        assert error_at(app, "name") == "A name has 4 to 40 characters."
        await press(pilot, "e")
        assert error_at(app, "name") == "There is a service named mine already."
        await press(pilot, "2")
        assert error_at(app, "name") == ""


@pytest.mark.slow
async def test_escape_goes_back_a_step_and_keeps_everything(open_form, press, settled, inspector):
    async with open_form(inspector, Form(repository="/srv/app"), Step.SERVICE) as (app, pilot):
        await settled(pilot, lambda: app.screen._found)
        await press(pilot, "ctrl+u", *"my-name", "escape", "escape")

        assert app.screen._step is Step.SOURCE
        assert app.screen.form.name == "my-name"
        assert app.focused.id == "repository"


@pytest.mark.slow
async def test_an_untouched_form_closes_at_once(open_form, press, settled, inspector):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, "escape")
        await settled(pilot, lambda: app.answers)

    assert app.answers == [None]


@pytest.mark.slow
async def test_a_form_with_something_in_it_asks_before_it_closes(open_form, press, settled, inspector):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, "x", "escape")
        assert isinstance(app.screen, ConfirmScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, CreateScreen)
        await press(pilot, "escape", "enter")
        await settled(pilot, lambda: app.answers)

    assert app.answers == [None]


@pytest.mark.slow
async def test_the_buttons_do_what_the_keys_do(open_form, press, settled, inspector):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"/srv/app")
        await pilot.click("#to-next")
        await settled(pilot, lambda: app.screen._step is Step.BUILD)
        await pilot.click("#to-back")
        await settled(pilot, lambda: app.screen._step is Step.SOURCE)


@pytest.mark.slow
async def test_tab_completes_a_path(open_form, press, settled, tmp_path, text_on_screen):
    (tmp_path / "shop-api" / "src").mkdir(parents=True)
    (tmp_path / "shop-web").mkdir()
    async with open_form(Inspector()) as (app, pilot):
        await press(pilot, *f"{tmp_path}/sh")
        await settled(pilot, lambda: "shop-api/  shop-web/" in text_on_screen(app))
        await press(pilot, "tab")

        assert app.screen.form.repository == f"{tmp_path}/shop-api/"
        assert app.focused.id == "repository"


@pytest.mark.slow
async def test_a_refused_form_opens_again_with_the_reason(app_with, settled, inspector, text_on_screen):
    form = Form(repository="/srv/app", branch="dev", name="my-name")
    app = app_with(CreateScreen(inspector, form=form, problem="The account has 30 services already."))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "The account has 30 services already." in text_on_screen(app))

        assert app.screen._step is Step.REVIEW
        assert "my-name" in text_on_screen(app)
        await settled(pilot, lambda: inspector.asked)
        assert app.screen.form == form


async def test_an_image_is_created_with_keys_alone(open_form, press, settled, inspector):
    inspector.answer = WITHOUT_FILE
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"/srv/shop", "up")  # what the repository suggests must not stay
        await settled(pilot, lambda: app.screen.form.start_command == "node server.js")
        inspector.answer = IMAGE
        await press(pilot, "right", "down", *"nginx:latest", "enter")
        await settled(pilot, lambda: app.screen._step is Step.BUILD)
        assert app.focused.placeholder == "as the image says"
        await press(pilot, "enter")
        await settled(pilot, lambda: app.screen._step is Step.SERVICE)
        app.screen.query_one("#environment").focus()
        await press(pilot, *"A=1", "ctrl+s")
        await settled(pilot, lambda: app.answers)

    assert [(request.repository_url, request.image) for request in inspector.asked] == [
        ("/srv/shop", False),
        ("nginx:latest", True),
    ]
    (request,) = app.answers
    assert request.service_name == "nginx"
    image = request.source_configuration.image_repository
    assert image.image_identifier == "nginx:latest"
    assert image.image_configuration.start_command is None
    assert image.image_configuration.port == "80"
    assert image.image_configuration.runtime_environment_variables == {"A": "1"}


@pytest.mark.slow
async def test_back_at_the_repository_it_is_looked_at_again(open_form, press, settled, inspector):
    async with open_form(inspector) as (app, pilot):
        await press(pilot, *"https://host/app", "up")
        await settled(pilot, lambda: app.screen._found)
        await press(pilot, "right", "left")
        await settled(pilot, lambda: len(inspector.asked) == 2 and app.screen._found)

        assert app.screen.query_one("#branch").value == "main"
        assert app.screen.form.start_command == "python app.py"


IMAGE = InspectSourceResponse(
    kind="image",
    revision=Revision(id="sha256:" + "5b2a1c9d" * 8, kind="image", branch="latest", title="nginx"),
    suggested_name="nginx",
    port=80,
)
FIXED = replace(IMAGE, revision=replace(IMAGE.revision, branch=""))
DENIED = InspectSourceResponse(
    kind="image",
    suggested_name="app-service",
    problem=Failure(
        kind=FailureKind.IMAGE,
        message="There is no image ghcr.io/you/app in ghcr.io, or it may not be read without credentials.",
        hint="Check its name; for a private one log in with docker login ghcr.io, or use a connection.",
    ),
)
FACES = {
    "source": (WITH_FILE, "https://github.com/you/python-hello", Step.SOURCE),
    "source-empty": (WITH_FILE, "", Step.SOURCE),
    "source-wrong": (NO_SUCH, "https://example.org/app", Step.SOURCE),
    "source-bad-file": (BAD_FILE, "/srv/python-hello", Step.SOURCE),
    "build-file": (WITH_FILE, "https://github.com/you/python-hello", Step.BUILD),
    "build-here": (WITHOUT_FILE, "/srv/shop", Step.BUILD),
    "build-dockerfile": (DOCKERFILE, "/srv/shop", Step.BUILD),
    "service": (WITHOUT_FILE, "/srv/shop", Step.SERVICE),
    "service-wrong": (WITHOUT_FILE, "/srv/shop", Step.SERVICE),
    "review": (WITH_FILE, "https://github.com/you/python-hello", Step.REVIEW),
    "image": (IMAGE, "image:nginx:latest", Step.SOURCE),
    "image-denied": (DENIED, "image:ghcr.io/you/app:1.2", Step.SOURCE),
    "image-digest": (FIXED, "image:nginx@sha256:" + "5b2a1c9d" * 8, Step.SOURCE),
    "image-start": (IMAGE, "image:nginx:latest", Step.BUILD),
    "image-review": (IMAGE, "image:nginx:latest", Step.REVIEW),
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize("face", FACES)
def test_faces(snap_compare, app_with, settled, face, size):
    answer, url, step = FACES[face]
    inspector = Inspector(answer)
    screen = CreateScreen(inspector, names={"taken"})
    kind, colon, image = url.partition(":")
    form = Form(kind=SourceKind.IMAGE, image=image) if colon and kind == "image" else Form(repository=url)
    screen._form, screen._step = form, step
    screen._attempted.update(STEPS[: STEPS.index(step)] or [Step.SOURCE] * bool(url))

    async def arrange(pilot):
        await settled(pilot, lambda: screen.is_mounted and (screen._found or not url))
        for field in screen.query("Input, TextArea"):
            field.cursor_blink = False
        if face == "service-wrong":
            screen.query_one("#environment").text = "GREETING=hello\nnonsense"
            screen.query_one("#interval").value = "99"
            screen.query_one("#name").value = "taken"
        await pilot.pause()

    assert snap_compare(app_with(screen), terminal_size=size, run_before=arrange)
