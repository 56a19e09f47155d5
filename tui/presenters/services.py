"""The services table: one line a service, its order, its filter, and the lines that say more about the selected one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum

from engine.model.instance import InstanceState
from engine.model.metric import Pulse
from engine.model.service import ServiceStatus, SourceConfiguration
from engine.model.version import Revision
from engine.model.watch import EngineInfo, ServiceView
from tui.presenters.faces import service_face
from tui.presenters.operations import why_waiting
from tui.presenters.table import Cell, Cells, Column
from tui.presenters.units import age_text, bytes_text, count_text, millis_text, rate_text
from tui.text import clean

COLUMNS = (
    Column(key="name", title="Service", width=13, most=40, wish=16),
    Column(key="status", title="Status", width=15),
    Column(key="source", title="Source", width=10, most=44, wish=24, rank=1),
    Column(key="instances", title="Inst", width=4, right=True, rank=2),
    Column(key="rate", title="Req/s", width=5, right=True, rank=2),
    Column(key="p95", title="p95", width=6, right=True, rank=5),
    Column(key="cpu", title="CPU", width=4, right=True, rank=6),
    Column(key="memory", title="Memory", width=6, right=True, rank=6),
    Column(key="age", title="Age", width=4, right=True, rank=3),
)


class SortBy(StrEnum):
    """What the table can be sorted by; the value is the column's key."""

    NAME = "name"
    STATUS = "status"
    RATE = "rate"
    AGE = "age"


_MOST_URGENT_FIRST = {"error": 0, "warning": 1, "accent": 2, "success": 3, "muted": 4}


def service_cells(view: ServiceView, pulse: Pulse | None, now: float) -> Cells:
    """The cells of one service, in the order of COLUMNS. `now` in seconds since the epoch."""
    service = view.service
    serving = service.status is ServiceStatus.RUNNING or bool(view.instances)
    nothing = Cell("-", "muted")
    return (
        Cell(clean(service.service_name), "strong"),
        service_face(view).cell,
        Cell(source_text(service.source_configuration), "muted"),
        instances_cell(view),
        Cell(rate_text(pulse.requests_per_s)) if pulse and serving else nothing,
        Cell(millis_text(pulse.latency_p95_ms)) if pulse and pulse.latency_p95_ms is not None else nothing,
        Cell(f"{pulse.cpu_percent:.0f}%") if pulse and serving else nothing,
        Cell(bytes_text(pulse.memory_bytes)) if pulse and pulse.memory_bytes else nothing,
        Cell(age_text(now - service.created_at), "muted"),
    )


def instances_cell(view: ServiceView) -> Cell:
    """Ready ones, and of how many where they differ: "2", "1/2"."""
    wanted = [
        instance for instance in view.instances if instance.state not in {InstanceState.STOPPED, InstanceState.DRAINING}
    ]
    ready = sum(instance.state is InstanceState.READY for instance in wanted)
    if not wanted:
        return Cell("-", "muted")
    return Cell(str(ready)) if ready == len(wanted) else Cell(f"{ready}/{len(wanted)}", "warning")


def source_text(source: SourceConfiguration) -> str:
    """The repository's short name with its branch ("me/shop main"), or the image."""
    if (repository := source.code_repository) is not None:
        branch = repository.source_code_version.value
        folder = (repository.source_directory or "/").strip("/")
        name = repository_text(repository.repository_url) + (f"/{folder}" if folder else "")
        return clean(f"{name} {branch}".rstrip())
    if (image := source.image_repository) is not None:
        return clean(image_text(image.image_identifier))
    return "-"


def image_text(reference: str) -> str:
    """The last part of an image reference with its tag and a short digest: "app:1.2", "app@5b2a1c9d5b2a"."""
    name, at, digest = reference.rpartition("/")[2].partition("@")
    return name + at + digest.removeprefix("sha256:")[:12]


def repository_text(url: str) -> str:
    """The last two parts of a remote ("me/shop"), the last one of a path ("shop")."""
    bare = url.rstrip("/").removesuffix(".git")
    if "://" in bare and not bare.startswith("file://"):
        return "/".join(bare.partition("://")[2].split("/")[1:][-2:]) or bare
    host, colon, path = bare.partition(":")
    if colon and "/" not in host and "@" in host:
        return "/".join(path.split("/")[-2:])
    return bare.rpartition("/")[2] or bare


_SORT_KEYS: dict[SortBy, Callable[[ServiceView, Pulse | None], tuple[object, ...]]] = {
    SortBy.NAME: lambda _view, _pulse: (),
    SortBy.STATUS: lambda view, _: (_MOST_URGENT_FIRST[service_face(view).role],),
    SortBy.RATE: lambda _, pulse: (-(pulse.requests_per_s if pulse else 0.0),),
    SortBy.AGE: lambda view, _: (-view.service.created_at,),
}


def chosen(
    views: Iterable[ServiceView],
    pulses: Mapping[str, Pulse],
    *,
    filter_text: str = "",
    sort_by: SortBy = SortBy.NAME,
    reverse: bool = False,
) -> list[ServiceView]:
    """The services that the filter leaves, in order. Equal ones follow their names."""
    key = _SORT_KEYS[sort_by]
    return sorted(
        filter(parse_filter(filter_text), views) if filter_text.strip() else views,
        key=lambda view: (
            *key(view, pulses.get(view.service.service_id)),
            view.service.service_name.lower(),
            view.service.service_id,
        ),
        reverse=reverse,
    )


def parse_filter(text: str) -> Callable[[ServiceView], bool]:
    """A filter as the user types it: words that must all occur, `!word` must not, `status:failed` looks there only."""
    words = text.lower().split()

    def matches(view: ServiceView) -> bool:
        name = view.service.service_name.lower()
        status = service_face(view).word.lower()
        source = source_text(view.service.source_configuration).lower()
        fields = {"name": name, "status": status, "source": source}
        everything = f"{name} {status} {source}"
        for word in words:
            bare = word.removeprefix("!")
            field, colon, wanted = bare.partition(":")
            hit = wanted in fields[field] if colon and field in fields else bare in everything
            if hit == word.startswith("!") and bare:
                return False
        return True

    return matches


def url_of(view: ServiceView, info: EngineInfo | None) -> str:
    """Where the service answers, with its scheme; "" while it has no address."""
    if not view.service.service_url:
        return ""
    scheme = info.edge_url.partition("://")[0] if info and "://" in info.edge_url else "http"
    return f"{scheme}://{view.service.service_url}"


def version_text(view: ServiceView) -> str:
    """What serves: "v3 3f2a91c Fix the greeting", "v3 nginx:latest 5b2a1c9d5b2a"; "" before the first version."""
    parts = [f"v{view.version_number}"] if view.version_number is not None else []
    if (revision := view.revision) is not None:
        if revision.kind == "image":
            parts.append(clean(revision_image(revision)))
        parts.append(revision.short)
        if revision.kind != "image":
            parts.append(clean(revision.title))
    return " ".join(filter(None, parts))


def revision_image(revision: Revision) -> str:
    """The name of an image and its tag, which one that is named by its digest has not."""
    return f"{revision.title}:{revision.branch}".rstrip(":")


def state_sentence(view: ServiceView) -> Cell:
    """One line about the selected service: why it failed, what it waits for, or what it serves."""
    status = view.service.status
    if status is ServiceStatus.OPERATION_IN_PROGRESS:
        why = why_waiting(view.operation, view) if view.operation else clean(view.waiting) or "working"
        return Cell(why[:1].upper() + why[1:], "accent")
    if view.failure is not None:
        exit_code = f" (exit code {view.failure.exit_code})" if view.failure.exit_code is not None else ""
        message = clean(view.failure.message)
        serves = status is ServiceStatus.RUNNING and view.version_number is not None
        note = f" Version {view.version_number} still serves." if serves else ""
        stated = exit_code if f"code {view.failure.exit_code}" not in message else ""
        return Cell(f"{message}{stated}{note}", "warning" if serves else "error")
    if status is ServiceStatus.PAUSED:
        return Cell("Paused: it answers no requests and runs no instances. Press p to resume it.", "muted")
    if status is ServiceStatus.DELETED:
        return Cell("Deleted. It leaves the list soon.", "muted")
    ready = sum(instance.state is InstanceState.READY for instance in view.instances)
    return Cell(" · ".join(filter(None, (version_text(view), count_text(ready, "instance") + " ready"))), "muted")


def tally(views: Sequence[ServiceView], *, brief: bool) -> tuple[Cell, ...]:
    """The counts of the top bar: all, then every kind of state there is, in words or `brief` by the glyph."""
    words: dict[str, list[Cell]] = {}
    for view in views:
        face = service_face(view)
        kind, role = {
            "success": ("running", "success"),
            "warning": ("warning", "warning"),
            "accent": ("working", "accent"),
            "error": ("failed", "error"),
            "muted": ("paused", "muted"),
        }[face.role]
        words.setdefault(kind, []).append(Cell(face.glyph, role))
    cells = [Cell(count_text(len(views), "service"), "strong")]
    for kind in ("running", "working", "warning", "failed", "paused"):
        if found := words.get(kind):
            text = f"{found[0].text} {len(found)}"
            cells.append(Cell(text if brief else f"{text} {kind}", found[0].role))
    return tuple(cells)
