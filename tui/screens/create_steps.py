"""What the create form consists of: the fields of each step, and how findings, the rail and the review are drawn."""

from collections.abc import Iterator, Mapping

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Static, TextArea

from engine.model.service import ConfigurationSource, HealthCheckProtocol
from engine.model.watch import InspectSourceResponse
from tui.screens.create_form import MEMORY_FOR, RUNTIMES, STEPS, Deployments, Form, SourceKind, Step
from tui.screens.create_words import build_question, cpu_text, default_start, findings_of, memory_text, step_title
from tui.text import clean
from tui.widgets.choice import Choice, Option
from tui.widgets.entry import Entry, FolderSuggester
from tui.widgets.form_field import FormField

BESIDE = {"interval": "timeout", "healthy": "unhealthy"}
"""Fields that have another one in their row."""

_MOST_BRANCHES = 6
_MARKS = {
    "good": ("✓ ", "$text-success", "$foreground"),
    "note": ("· ", "$text-muted", "$text-muted"),
    "bad": ("✗ ", "$text-error", "$text-error"),
    "evidence": ("│ ", "$text-muted", "$text-muted"),
    "hint": ("→ ", "$text-accent", "$text-accent"),
    "more": ("  ", "$text-accent", "$text-accent"),
}


def step_fields(step: Step, form: Form, branches: Suggester) -> Iterator[Widget]:
    """The widgets of a step, filled in from the form; `branches` completes the name of a branch."""
    match step:
        case Step.SOURCE:
            yield from _source_step(form, branches)
        case Step.BUILD:
            yield from _build_step(form)
        case Step.SERVICE:
            yield from _service_step(form)
        case Step.REVIEW:
            yield Static(id="refused", markup=False)
            yield Vertical(id="rows")


def _source_step(form: Form, branches: Suggester) -> Iterator[Widget]:
    yield Static("Where does it come from? Code is built here, an image is run as it is.", classes="question")
    kinds = [("Repository or folder", SourceKind.REPOSITORY.value), ("Container image", SourceKind.IMAGE.value)]
    yield _choice("Source", "kind", kinds, form.kind.value)
    yield _entry("Image", "image", form, "nginx:latest or ghcr.io/you/app:1.2")
    yield _entry("Repository", "repository", form, "https://github.com/you/app or ~/code/app", FolderSuggester())
    yield _entry("Branch", "branch", form, "the default branch", branches)
    yield _entry("Directory", "directory", form, "/")
    ways = [("By hand", Deployments.BY_HAND.value), ("On every push", Deployments.ON_PUSH.value)]
    yield _choice("Deployments", "deployments", ways, form.deployments.value)


def _build_step(form: Form) -> Iterator[Widget]:
    yield Static(build_question(form), classes="question", id="build-question")
    ways = [
        ("From apprunner.yaml", ConfigurationSource.REPOSITORY.value),
        ("Set here", ConfigurationSource.API.value),
    ]
    yield _choice("Configuration", "configuration", ways, form.configuration.value)
    yield Vertical(id="plan")
    runtimes = [(label, runtime.value) for runtime, label in RUNTIMES.items()]
    yield _choice("Runtime", "runtime", runtimes, form.runtime.value)
    yield _entry("Build command", "build_command", form, "nothing to build")
    yield _entry("Start command", "start_command", form, start_placeholder(form))
    yield _entry("Port", "port", form)


def _service_step(form: Form) -> Iterator[Widget]:
    yield _entry("Name", "name", form, "my-service")
    yield _choice("CPU", "cpu", [(cpu_text(cpu), cpu) for cpu in MEMORY_FOR], form.cpu)
    yield _choice("Memory", "memory", memory_options(form.cpu), form.memory)
    variables = TextArea(
        form.environment,
        id="environment",
        compact=True,
        soft_wrap=False,
        tab_behavior="focus",
        highlight_cursor_line=False,
        placeholder="NAME=value, one a line",
    )
    yield FormField("environment", "Environment", variables)
    protocols = [(protocol.value, protocol.value) for protocol in HealthCheckProtocol]
    yield _choice("Health check", "protocol", protocols, form.protocol.value)
    yield _entry("", "path", form, "/")
    every = (_word("every"), _number("interval", form), _word("s, timeout"), _number("timeout", form), _word("s"))
    yield FormField("interval", "", *every)
    after = (_word("healthy after"), _number("healthy", form), _word("unhealthy after"), _number("unhealthy", form))
    yield FormField("healthy", "", *after)


def _entry(label: str, field: str, form: Form, placeholder: str = "", suggester: Suggester | None = None) -> FormField:
    return FormField(field, label, Entry(getattr(form, field), placeholder=placeholder, suggester=suggester, id=field))


def _choice(label: str, field: str, options: list[Option], value: str) -> FormField:
    return FormField(field, label, Choice(options, value, id=field))


def _number(field: str, form: Form) -> Entry:
    entry = Entry(getattr(form, field), id=field)
    entry.choices = tuple(map(str, range(1, 21)))
    return entry


def _word(word: str) -> Static:
    return Static(word, classes="word")


def memory_options(cpu: str) -> list[Option]:
    """The memory sizes that go with a CPU size."""
    return [(memory_text(memory), memory) for memory in MEMORY_FOR[cpu]]


def start_placeholder(form: Form) -> str:
    """What stands in an empty start command: what starts it then, or an example."""
    return default_start(form) or "python app.py"


def draw_rail(step: Step, wrong: set[Step], form: Form) -> Content:
    """Where in the form one is: steps passed, the present one, and those with something wrong."""
    parts: list[tuple[str, str]] = []
    here = STEPS.index(step)
    for number, each in enumerate(STEPS):
        if number:
            parts.append((" ── ", "$foreground 25%"))
        mark = "!" if each in wrong else "✓" if number < here else str(number + 1)
        style = "$text-primary bold" if each is step else "$text-error" if each in wrong else "$text-muted"
        parts.append((f"{mark} {step_title(each, form)}", style))
    return Content.assemble(*parts)


def draw_findings(found: InspectSourceResponse) -> Content:
    """What an inspection says; what it quotes is plain text."""
    lines: list[Content] = []
    for finding in findings_of(found):
        mark, mark_style, style = _MARKS[finding.mood]
        lines.append(Content.assemble((mark, mark_style), (clean(finding.text), style)))
    return Content("\n").join(lines)


def branches_text(branches: tuple[str, ...], chosen: str) -> str:
    """The other branches, for the note below the field."""
    others = [branch for branch in branches if branch != chosen]
    if not others:
        return ""
    more = f" and {len(others) - _MOST_BRANCHES} more" if len(others) > _MOST_BRANCHES else ""
    return f"↑↓ also {', '.join(others[:_MOST_BRANCHES])}{more}"


def review_rows(sections: Mapping[str, tuple[tuple[str, str], ...]]) -> list[Widget]:
    """A row for each pair, the section's name before its first one."""
    return [
        Horizontal(
            Static(section if number == 0 else "", classes="section", markup=False),
            Static(label, classes="label", markup=False),
            Static(clean(value), classes="value", markup=False),
            classes="first" if number == 0 else "",
        )
        for section, pairs in sections.items()
        for number, (label, value) in enumerate(pairs)
    ]
