"""What the create form says of a source and of the service to be."""

from msgspec.structs import replace

from engine.model.errors import Failure, FailureKind
from engine.model.service import ApiRuntime, ConfigurationSource, HealthCheckProtocol
from engine.model.version import Revision
from engine.model.watch import InspectSourceResponse
from tui.screens.create_form import Form
from tui.screens.create_words import cpu_text, findings_of, memory_text, review_of

COMMIT = Revision(id="3f2a91c" + "0" * 33, kind="commit", branch="main", title="Fix the greeting")
FOUND = InspectSourceResponse(
    kind="git",
    revision=COMMIT,
    config_file="api/apprunner.yaml",
    runtime="python311",
    build_commands=("pip install flask", "make"),
    start_command="python app.py",
    port=8000,
    notices=("Read as it was meant.",),
)
BY_FILE = Form(repository="x", branch="main", name="hello", directory="api")


def said(found):
    return [(finding.mood, finding.text) for finding in findings_of(found)]


def test_a_repository_with_its_file():
    assert said(FOUND) == [
        ("good", "Git, main 3f2a91c Fix the greeting"),
        ("good", "api/apprunner.yaml: python311, port 8000"),
        ("note", "Read as it was meant."),
    ]


def test_a_folder_and_what_it_looks_like():
    folder = Revision(id="dir-" + "a" * 40, kind="directory")
    found = InspectSourceResponse(kind="directory", revision=folder, suggested_runtime=ApiRuntime.NODEJS_22)

    assert [mood for mood, _ in said(found)] == ["good", "note"]
    assert "looks like Node.js 22" in said(found)[1][1]
    assert "asks how to build" in said(replace(found, suggested_runtime=None))[1][1]


def test_a_problem_with_its_evidence_and_what_to_do():
    problem = Failure(
        kind=FailureKind.CONFIG,
        message="apprunner.yaml line 3: no such key.",
        evidence=tuple(f"line {n}" for n in range(9)),
        hint="run:\n  command: python app.py",
    )
    found = InspectSourceResponse(kind="git", revision=COMMIT, config_file="apprunner.yaml", problem=problem)

    assert said(found)[:2] == [
        ("good", "Git, main 3f2a91c Fix the greeting"),
        ("bad", "apprunner.yaml line 3: no such key."),
    ]
    assert [text for mood, text in said(found) if mood == "evidence"] == [f"line {n}" for n in range(3, 9)]
    assert said(found)[-2:] == [("hint", "run:"), ("more", "  command: python app.py")]


def test_a_source_that_could_not_be_opened():
    found = InspectSourceResponse(problem=Failure(kind=FailureKind.SOURCE, message="There is no such folder."))

    assert said(found) == [("bad", "There is no such folder.")]


def test_the_review_of_a_service_by_its_file():
    review = review_of(BY_FILE, "https://ada:secret@host/app", FOUND)

    assert review["Source"] == (
        ("Repository", "https://***@host/app"),
        ("Branch", "main · 3f2a91c Fix the greeting"),
        ("Directory", "/api"),
        ("Deployments", "by hand, with d"),
    )
    assert ("Build", "pip install flask && make") in review["Build"]
    assert ("Environment", "as the file sets it") in review["Service"]
    assert ("Instances", "1 vCPU, 2 GB each") in review["Service"]
    assert ("Health check", "TCP every 5 s, timeout 2 s; healthy after 1, unhealthy after 5") in review["Service"]


def test_the_review_names_variables_and_keeps_their_values_to_itself():
    form = replace(
        BY_FILE,
        configuration=ConfigurationSource.API,
        start_command="node .",
        environment="KEY=secret\nOTHER=x",
        protocol=HealthCheckProtocol.HTTP,
        path="/up",
    )

    review = review_of(form, "/srv/app", None)

    assert ("Environment", "KEY, OTHER") in review["Service"]
    assert "secret" not in str(review)
    assert ("Deployments", "by hand, with d") in review["Source"]
    assert ("Start", "node .") in review["Build"]
    assert review["Service"][-1][1].startswith("HTTP /up every")


def test_sizes_as_people_say_them():
    assert [cpu_text(cpu) for cpu in ("256", "1024")] == ["0.25 vCPU", "1 vCPU"]
    assert [memory_text(memory) for memory in ("512", "12288")] == ["0.5 GB", "12 GB"]
