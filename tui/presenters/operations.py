"""The activity table and what is told about one operation: its steps, what it waits for, why it failed."""

from textual.content import Content

from engine.model.errors import Failure, FailureKind
from engine.model.operation import Operation, OperationStatus, OperationStep, OperationType
from engine.model.watch import Progress, ServiceView
from tui.presenters.faces import Face, operation_face
from tui.presenters.table import Cell, Cells, Column
from tui.presenters.units import age_text, duration_text
from tui.text import clean

COLUMNS = (
    Column(key="status", title="Operation", width=15, most=17),
    Column(key="service", title="Service", width=10, most=24, wish=14, rank=4),
    Column(key="detail", title="Detail", width=10, most=200, wish=60, rank=1),
    Column(key="took", title="Took", width=6, right=True, rank=2),
    Column(key="ago", title="Ago", width=4, right=True, rank=3),
)

_DEPLOY_STEPS = (
    OperationStep.FETCH,
    OperationStep.BUILD,
    OperationStep.START,
    OperationStep.HEALTH_CHECK,
    OperationStep.ROUTE,
    OperationStep.DRAIN,
)
STEPS: dict[OperationType, tuple[OperationStep, ...]] = {
    OperationType.CREATE_SERVICE: _DEPLOY_STEPS[:-1],
    OperationType.START_DEPLOYMENT: _DEPLOY_STEPS,
    OperationType.UPDATE_SERVICE: _DEPLOY_STEPS,
    OperationType.PAUSE_SERVICE: (OperationStep.DRAIN, OperationStep.STOP),
    OperationType.RESUME_SERVICE: (OperationStep.START, OperationStep.HEALTH_CHECK, OperationStep.ROUTE),
    OperationType.DELETE_SERVICE: (OperationStep.DRAIN, OperationStep.STOP, OperationStep.CLEAN_UP),
}
"""The steps an operation usually takes, in order."""

_FAILED_AT = {
    FailureKind.SOURCE: "the source could not be used",
    FailureKind.IMAGE: "the image could not be used",
    FailureKind.COMPUTE: "Docker is not there",
    FailureKind.CONFIG: "the configuration is not valid",
    FailureKind.RUNTIME: "the runtime is missing",
    FailureKind.BUILD: "the build failed",
    FailureKind.START: "the application did not start",
    FailureKind.PORT: "the application listens elsewhere",
    FailureKind.HEALTH: "the health check failed",
    FailureKind.DISK: "the disk refused",
    FailureKind.INTERNAL: "Homerun itself failed",
}

_BAR, _SMALL_BAR = 12, 6
_PERCENT = len(" 100 %")
_SHORT = {OperationStep.HEALTH_CHECK: "health", OperationStep.CLEAN_UP: "clean"}

HAS_DEPLOYMENT_LOG = frozenset(
    {
        OperationType.CREATE_SERVICE,
        OperationType.START_DEPLOYMENT,
        OperationType.UPDATE_SERVICE,
        OperationType.RESUME_SERVICE,
    }
)


def operation_cells(operation: Operation, view: ServiceView | None, now: float) -> Cells:
    """The cells of one operation, in the order of COLUMNS. `view` is its service as it is now, if it still is."""
    took = (operation.ended_at if operation.ended_at is not None else now) - operation.started_at
    return (
        operation_face(operation).cell,
        Cell(clean(operation.service_name), "strong"),
        detail_cell(operation, view),
        Cell(duration_text(took), "accent" if operation.status.is_open else ""),
        Cell(age_text(now - operation.started_at), "muted"),
    )


def detail_cell(operation: Operation, view: ServiceView | None) -> Cell:
    """The step and why it waits, the reason of a failure, or what was deployed."""
    if operation.failure is not None:
        return Cell(clean(operation.failure.message), "error")
    if operation.status.is_open:
        if (progress := progress_of(operation, view)) is not None:
            widest, *shorter = progress_texts(progress)
            return Cell(widest, "accent", tuple(shorter))
        return Cell(why_waiting(operation, view), "accent")
    return Cell(clean(operation.note), "muted")


def progress_of(operation: Operation, view: ServiceView | None) -> Progress | None:
    """How far a long step of this operation is; None for another one's."""
    is_current = view is not None and view.operation is not None and view.operation.id == operation.id
    return view.progress if view is not None and is_current else None


def progress_bar(progress: Progress, width: int) -> str:
    """A bar of so many cells and the percentage: "━━━╸──── 43 %"; "" while nobody knows how much there is."""
    if progress.total <= 0:
        return ""
    # Rounded down: it is not full before all is there.
    done = min(max(progress.done, 0), progress.total)
    full, half = divmod(done * width * 2 // progress.total, 2)
    bar = "━" * full + "╸" * half + "─" * (width - full - half)
    return f"{bar} {done * 100 // progress.total} %".lstrip()


def progress_texts(progress: Progress) -> tuple[str, ...]:
    """How far it is, for ever narrower columns: the bar gets smaller, then the words go, then the bar."""
    told = clean(progress.text)
    bars = [bar for width in (_BAR, _SMALL_BAR, 0) if (bar := progress_bar(progress, width))]
    if not bars or not told:
        return tuple(bars) or (told,)
    return (*(f"{bar} · {told}" for bar in bars), *bars)


def why_waiting(operation: Operation, view: ServiceView | None) -> str:
    """What an open operation waits for: "health checks: 0 of 1 healthy", or its step and what it is about."""
    step = operation.step.value
    is_current = view is not None and view.operation is not None and view.operation.id == operation.id
    waiting = clean(view.waiting) if view is not None and is_current else ""
    if waiting.startswith(step):
        return waiting
    if waiting in {"", f"the {step}"}:
        return f"{step}: {clean(operation.note)}" if operation.note else step
    return f"{step}: {waiting}"


def steps_content(operation: Operation, view: ServiceView | None = None) -> Content:
    """The operation's steps with the done ones ticked: "✓ fetch ◐ build · start". An image is not built."""
    steps = STEPS[operation.type]
    if view is not None and view.service.source_configuration.image_repository is not None:
        steps = tuple(step for step in steps if step is not OperationStep.BUILD or operation.step is step)
    finished = operation.status is OperationStatus.SUCCEEDED
    at = steps.index(operation.step) if operation.step in steps else (len(steps) if finished else -1)
    parts: list[tuple[str, str]] = []
    for index, step in enumerate(steps):
        if finished or index < at:
            glyph, style = "✓", "$text-success"
        elif index > at:
            glyph, style = "·", "$text-muted"
        elif operation.status.is_open:
            glyph, style = "◐", "bold $text-accent"
        else:
            glyph, style = "✕", "bold $text-error"
        parts.append((f"{glyph} {_SHORT.get(step, step.value)}", style))
        parts.append((" ", ""))
    return Content.assemble(*parts[:-1])


def operation_content(operation: Operation, view: ServiceView | None = None, *, width: int = 60) -> Content:
    """What the operation's row has no room for, as lines for the detail under the table, `width` cells wide."""
    face = operation_face(operation)
    if operation.failure is not None:
        return Content("\n").join(failure_lines(operation.failure, face))
    if not operation.status.is_open:
        return Content(clean(operation.note))
    lines = [steps_content(operation, view)]
    if (progress := progress_of(operation, view)) is not None:
        told = (progress_bar(progress, max(1, width - _PERCENT)), clean(progress.text))
        lines += [Content.styled(text, "$text-accent") for text in told if text]
    if operation.note:
        lines.append(Content.styled(clean(operation.note), "$text-muted"))
    return Content("\n").join(lines)


def failure_lines(failure: Failure, face: Face) -> list[Content]:
    """Cause, exit code, what to do, and the evidence word for word."""
    headline = f"{face.text}: {_FAILED_AT[failure.kind]}"
    if failure.exit_code is not None:
        headline += f" · exit code {failure.exit_code}"
    lines = [Content.styled(headline, "bold $text-error"), Content(clean(failure.message))]
    if failure.hint:
        lines.append(Content.assemble(("→ ", "bold $text-accent"), clean(failure.hint)))
    if failure.evidence:
        lines.extend(Content.assemble(("▏ ", "$text-error"), (clean(line), "$text-muted")) for line in failure.evidence)
    return lines
