"""CreateScreen: from a repository or an image to a service in four steps, or in one when the source says it all."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, ContentSwitcher, Input, Static, TextArea
from textual.worker import Worker

from engine.model.actions.service import CreateServiceRequest
from engine.model.errors import EngineError, Failure, FailureKind
from engine.model.service import ApiRuntime, ConfigurationSource, HealthCheckProtocol
from engine.model.watch import InspectSourceRequest, InspectSourceResponse
from tui.screens.create_form import (
    FIELDS,
    STEP_OF,
    STEPS,
    Deployments,
    Form,
    SourceKind,
    Step,
    filled,
    inspection_of,
    is_local,
    problems_of,
    request_of,
    source_of,
    unneeded,
    with_cpu,
    with_kind,
    with_repository,
    with_runtime,
)
from tui.screens.create_steps import (
    BESIDE,
    branches_text,
    draw_findings,
    draw_rail,
    memory_options,
    review_rows,
    start_placeholder,
    step_fields,
)
from tui.screens.create_words import Rows, build_question, deployments_note, review_of
from tui.text import clean
from tui.widgets.choice import Choice
from tui.widgets.dialog_button import DialogButton
from tui.widgets.entry import ChoiceSuggester, Entry, folder_matches, here
from tui.widgets.form_field import FormField

Inspect = Callable[[InspectSourceRequest], Awaitable[InspectSourceResponse]]

_TYPING_PAUSE_S = 0.4
_MOST_FOLDERS = 6
_FROM_FILE = (
    "They come from apprunner.yaml (run.env) as long as the file configures the service, as in App Runner."
    " Choose “Set here” in the build step to give them here."
)


class CreateScreen(ModalScreen[CreateServiceRequest | None]):
    """Dismisses with what is to be created, or None. It looks at the source by itself while the form is filled in."""

    CSS_PATH = "create.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Next", show=False),
        Binding("ctrl+n", "next", "Next", show=False),
        Binding("escape", "back", "Back", show=False),
        Binding("ctrl+s", "create", "Create", show=False, priority=True),
        Binding("pageup", "scroll_step(-1)", "Up", show=False),
        Binding("pagedown", "scroll_step(1)", "Down", show=False),
    ]

    def __init__(
        self,
        inspect: Inspect,
        *,
        names: Collection[str] = (),
        strict: bool = False,
        form: Form | None = None,
        problem: str = "",
    ) -> None:
        """A new form; or, with `form` and `problem`, one that was refused, opened at its review.

        `inspect` answers what a source is; `names` are taken by other services; `strict` asks for App Runner's own
        judgement of an apprunner.yaml.
        """
        super().__init__()
        self._inspect = inspect
        self._names = frozenset(names)
        self._strict = strict
        self._form = form or Form()
        self._problem = problem
        self._touched: set[str] = set(Form.__struct_fields__) if form else set()
        self._attempted: set[Step] = set()
        self._step = Step.REVIEW if form else Step.SOURCE
        self._found: InspectSourceResponse | None = None
        self._asked: InspectSourceRequest | None = None
        self._looking: Worker[None] | None = None
        self._answered = asyncio.Event()
        self._advancing: Worker[None] | None = None
        self._aside = ""
        """What stands below the repository until something was found there."""
        self._rows: dict[str, Rows] = {}
        self._branch_suggester = ChoiceSuggester()

    @property
    def form(self) -> Form:
        """What stands in the fields; give it to another CreateScreen to go on with it."""
        return self._form

    # How it looks.

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="create") as dialog:
            dialog.border_title = "Create a service"
            yield Static(id="rail")
            with ContentSwitcher(initial=self._step.value, id="steps"):
                for step in STEPS:
                    yield VerticalScroll(id=step.value, can_focus=False)
            with Horizontal(id="buttons"):
                yield DialogButton("Back", id="to-back")
                yield DialogButton("Next", id="to-next")

    async def on_mount(self) -> None:
        await self._go(self._step)
        if self._url:
            self._look()

    # Going through the steps.

    async def _go(self, step: Step) -> None:
        """Show a step; its fields are made when it is first seen, from what the form has by then."""
        place = self.query_one(f"#{step.value}", VerticalScroll)
        if not place.children:
            await place.mount_all(step_fields(step, self._form, self._branch_suggester))
        self._step = step
        self.query_one("#steps", ContentSwitcher).current = step.value
        forward = "Create" if step is Step.REVIEW else "Next"
        back = "Cancel" if step is Step.SOURCE else "Back"
        self.query_one("#to-next", Button).label = forward
        self.query_one("#to-back", Button).label = back
        at_once = "" if step is Step.REVIEW else " · Ctrl+S create now"
        self.query_one("#create").border_subtitle = f"Enter {forward.lower()} · Esc {back.lower()}{at_once}"
        self._show()
        first = {Step.SOURCE: self._form.kind.value, Step.SERVICE: "name"}.get(step, "to-next")
        if step is Step.BUILD and not self._form.by_file:
            first = "start_command"
        self.query_one(f"#{first}").focus()

    def action_next(self) -> None:
        self._advancing = self._advance(to_the_end=self._step is Step.REVIEW)

    def action_create(self) -> None:
        self._advancing = self._advance(to_the_end=True)

    @work(group="advance", exclusive=True)
    async def _advance(self, *, to_the_end: bool) -> None:
        """One step on, or all of them: as far as nothing is wrong, and to the field where something is."""
        if (to_the_end or self._step is Step.SOURCE) and self._url and not await self._looked():
            return
        passed = STEPS if to_the_end else STEPS[: STEPS.index(self._step) + 1]
        self._attempted.update(passed)
        wrong = [field for field in self._problems() if STEP_OF[field] in passed]
        if wrong:
            await self._go(STEP_OF[wrong[0]])
            self.query_one(f"#{wrong[0]}").focus()
        elif to_the_end:
            self.dismiss(request_of(self._form, self._url))
        else:
            await self._go(STEPS[STEPS.index(self._step) + 1])

    async def action_back(self) -> None:
        """Stop waiting for the source; else one step back; else leave, asking if there is something to lose."""
        if self._stop_advancing():
            self._stop_looking()
            self._show()
        elif self._step is not Step.SOURCE:
            await self._go(STEPS[STEPS.index(self._step) - 1])
        elif self._touched:
            from tui.screens.confirm import ConfirmScreen  # only now: most forms are finished

            def answered(sure: bool | None) -> None:
                if sure:
                    self.dismiss(None)

            question = ConfirmScreen("Leave the form?", "Nothing was created. What you entered is lost.", "Leave")
            self.app.push_screen(question, answered)
        else:
            self.dismiss(None)

    def _stop_advancing(self) -> bool:
        """Whether there was a way on to be given up."""
        advancing, self._advancing = self._advancing, None
        if advancing is None or not advancing.is_running:
            return False
        advancing.cancel()
        return True

    def action_scroll_step(self, pages: int) -> None:
        step = self.query_one(f"#{self._step.value}", VerticalScroll)
        step.scroll_relative(y=pages * max(1, step.size.height - 2), animate=False)

    @on(Button.Pressed)
    async def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "to-next":
            self.action_next()
        else:
            await self.action_back()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_next()

    # What the user enters.

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        field = event.input.id or ""
        if getattr(self._form, field) == event.value:
            return  # the first value of a new field, or one that the form gave it
        if field == "repository":
            self._form = with_repository(self._form, event.value, self._touched)
            self.query_one("#branch", Entry).fill(self._form.branch)
            self._list_folders(event.value)
        else:
            self._form = replace(self._form, **{field: event.value})
        self._touched.add(field)
        if field in FIELDS[Step.SOURCE]:
            self._stop_advancing()
            self._stop_looking()
            if field not in {"repository", "image"} or is_local(event.value):
                self._look(_TYPING_PAUSE_S)
        self._show()

    @on(Input.Blurred, "#repository, #branch, #directory, #image")
    def _left(self) -> None:
        self._look()

    @on(TextArea.Changed)
    def _wrote(self, event: TextArea.Changed) -> None:
        event.stop()
        self._form = replace(self._form, environment=event.text_area.text)
        self._touched.add("environment")
        self._show()

    @on(Choice.Changed)
    def _chose(self, event: Choice.Changed) -> None:
        event.stop()
        field, value = event.choice.id or "", event.value
        self._touched.add(field)
        match field:
            case "cpu":
                self._form = with_cpu(self._form, value)
                self.query_one("#memory", Choice).set_options(memory_options(value), self._form.memory)
            case "configuration":
                self._form = replace(self._form, configuration=ConfigurationSource(value))
            case "runtime":
                self._form = with_runtime(self._form, ApiRuntime(value), self._found, self._touched)
                self._fill()
            case "kind":
                self._form = with_kind(self._form, SourceKind(value), self._touched)
                self._stop_advancing()
                self._stop_looking()
                self._fill()
                self._look()
            case "deployments":
                self._form = replace(self._form, deployments=Deployments(value))
            case "protocol":
                self._form = replace(self._form, protocol=HealthCheckProtocol(value))
            case _:
                self._form = replace(self._form, **{field: value})
        self._show()

    @work(group="folders", exclusive=True)
    async def _list_folders(self, typed: str) -> None:
        """Show where a path could go on to, below the field."""
        if not is_local(typed):
            return
        matches = await asyncio.to_thread(folder_matches, typed, here(), Path.home())
        if self._found is not None or typed != self._form.repository:
            return
        names = [match.removesuffix("/").rpartition("/")[2] + "/" for match in matches]
        more = f"  {len(names) - _MOST_FOLDERS} more" if len(names) > _MOST_FOLDERS else ""
        self._aside = "  ".join(names[:_MOST_FOLDERS]) + more
        self._show()

    # Looking at the source.

    @property
    def _url(self) -> str:
        return source_of(self._form, here(), Path.home())

    @property
    def _wanted(self) -> InspectSourceRequest:
        return inspection_of(self._form, self._url, strict=self._strict)

    def _stop_looking(self) -> None:
        """Forget what is known of the source: another one is being entered."""
        if self._looking is not None:
            self._looking.cancel()
        self._looking = None
        self._asked = None
        self._found = None
        self._aside = ""

    def _look(self, after_s: float = 0.0) -> None:
        """Inspect the source, unless that is known or under way already."""
        wanted = self._wanted
        if not wanted.repository_url or (wanted == self._asked and (self._found is not None or after_s)):
            return
        if wanted == self._asked and self._looking is not None and self._looking.is_running:
            return
        self._stop_looking()
        self._asked = wanted
        self._answered = asyncio.Event()
        self._looking = self._ask(wanted, self._answered, after_s)

    @work(group="inspect", exclusive=True)
    async def _ask(self, request: InspectSourceRequest, answered: asyncio.Event, after_s: float) -> None:
        try:
            await asyncio.sleep(after_s)
            self._aside = f"Looking at {(self._form.image if request.image else self._form.repository).strip()} …"
            self._show()
            found = await self._inspect(request)
        except (EngineError, OSError) as error:
            found = InspectSourceResponse(problem=Failure(kind=FailureKind.INTERNAL, message=str(error)))
        finally:
            answered.set()
        self._found = found
        self._form = filled(self._form, found, self._touched, self._names)
        self._asked = self._wanted
        self._fill()
        self._show()

    async def _looked(self) -> bool:
        """Wait until the source as it is entered now was looked at, once more where something was wrong with it."""
        if self._found is not None and self._found.problem is not None:
            self._stop_looking()
        self._look()
        if self._looking is not None:
            await self._answered.wait()  # not for the worker: waiting for that one swallows being cancelled oneself
        return self._found is not None

    def _fill(self) -> None:
        """Put what the source suggested into the fields that are there already."""
        form, found = self._form, self._found or InspectSourceResponse()
        for entry in self.query(Entry):
            entry.fill(getattr(form, entry.id or ""))
        for choice in self.query(Choice):
            if choice.id in {"configuration", "runtime"}:
                choice.value = getattr(form, choice.id).value
        self._branch_suggester.choices = found.branches
        for branch in self.query("#branch").results(Entry):
            branch.choices = found.branches
            branch.disabled = found.kind == "directory"
            branch.placeholder = "a folder has no branches" if branch.disabled else "the default branch"

    # What is said about it.

    def _problems(self) -> dict[str, str]:
        return problems_of(self._form, self._found, self._names)

    def _show(self) -> None:
        """Everything that follows from the form and from what was found, on the steps seen so far."""
        form, by_file = self._form, self._form.by_file
        problems = self._problems()
        said = {field: text for field, text in problems.items() if self._may_say(field)}
        notes = self._notes(problems)
        hidden = unneeded(form)
        for row in self.query(FormField):
            name = row.name or ""
            row.display = name not in hidden
            error = said.get(name) or said.get(BESIDE.get(name, ""), "")
            row.say(notes.get(name, ""), "" if self._is_told(error) else error)
        for entry in self.query(Entry):
            entry.set_class(entry.id in said, "-wrong")
        for environment in self.query("#environment"):
            environment.display = not by_file
        for rail in self.query("#rail").results(Static):
            rail.update(draw_rail(self._step, {STEP_OF[field] for field in said}, form))
        for question in self.query("#build-question").results(Static):
            question.update(build_question(form))
        for start in self.query("#start_command").results(Entry):
            start.placeholder = start_placeholder(form)
        review = review_of(form, self._url, self._found)
        for plan in self.query("#plan"):
            plan.display = by_file
            known = by_file and self._found is not None and self._found.runtime
            self._show_rows(plan, {"": review["Build"]} if known else {})
        for rows in self.query("#rows"):
            self._show_rows(rows, review)
        for refused in self.query("#refused").results(Static):
            refused.update(clean(self._problem))
            refused.display = bool(self._problem)

    def _may_say(self, field: str) -> bool:
        """A field that nobody has been at is not wrong yet."""
        return field in self._touched or STEP_OF[field] in self._attempted

    def _is_told(self, error: str) -> bool:
        """Whether a sentence is among the findings, which stand below the field that it is about."""
        problem = self._found.problem if self._found else None
        return problem is not None and error == problem.message

    def _notes(self, problems: Mapping[str, str]) -> dict[str, str | Content]:
        """What is said quietly below the fields; what was found, below the one that it is about."""
        source = self._form.kind.value
        notes: dict[str, str | Content] = {source: self._aside, "deployments": deployments_note(self._form)}
        if self._form.by_file:
            notes["environment"] = _FROM_FILE
        if self._found is not None:
            about = next((field for field, problem in problems.items() if self._is_told(problem)), source)
            notes["branch"] = branches_text(self._found.branches, self._form.branch)
            notes[source] = ""
            notes[source if about == "configuration" else about] = notes[about] = draw_findings(self._found)
        return notes

    def _show_rows(self, place: Widget, sections: Rows) -> None:
        if sections != self._rows.get(place.id or ""):
            self._rows[place.id or ""] = sections
            place.remove_children()
            place.mount_all(review_rows(sections))
