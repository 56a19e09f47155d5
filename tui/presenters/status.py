"""The lines around the panes and the face that stands in their place when there is nothing to show in them."""

import textwrap
from collections.abc import Sequence

from textual.content import Content

from engine.model.watch import ComputeState, EngineInfo, ServiceView
from tui.connection import Connection, ConnectionState
from tui.presenters.faces import BUSY, service_face
from tui.presenters.services import state_sentence, tally, url_of
from tui.presenters.table import Cell
from tui.text import clean
from tui.world import World

BRAND = "⌂ homerun"
_FACE_WIDTH = 64


def top_bar(
    views: Sequence[ServiceView],
    connection: Connection,
    busy: Sequence[str],
    *,
    compute: ComputeState | None = None,
    brief: bool,
) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """What is there and how it is; at the right what is going on, where instances run, and the engine."""
    left = (Cell(BRAND, "primary"), *(tally(views, brief=brief) if views else ()))
    right: list[Cell] = []
    if busy:
        right.append(Cell(f"{BUSY} {busy[-1]}…", "accent"))
    match connection.state:
        case ConnectionState.CONNECTING:
            right.append(Cell(f"{BUSY} Connecting…", "accent"))
        case ConnectionState.FAILED:
            right.append(Cell("✕ Not connected", "error"))
        case ConnectionState.RECONNECTING:
            right.append(Cell("▲ Reconnecting…", "warning"))
        case ConnectionState.CONNECTED:
            if connection.info is not None:
                info = connection.info
                edge = info.edge_url.partition("://")[2] or info.edge_url
                if compute is not None and compute.problem:
                    # The bar lets go of what comes first.
                    right.append(Cell(edge, "muted"))
                    silent = f"▲ no {compute.name}" if brief else f"▲ {compute.name} does not answer"
                    right.append(Cell(silent, "warning"))
                else:
                    right.append(Cell(f"{compute_text(compute) or info.compute} · {edge}", "muted"))
            right.append(Cell("● live", "success"))
    return left, tuple(right)


def who_bar(view: ServiceView, info: EngineInfo | None, *, brief: bool) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """The selected service's name and status; its URL at the right, without the scheme if `brief`."""
    left = (Cell(clean(view.service.service_name), "strong"), service_face(view).cell)
    url = url_of(view, info)
    return left, (Cell(url.partition("://")[2] if brief else url, "primary"),) if url else ()


def compute_text(compute: ComputeState | None) -> str:
    """Where instances run: "process", "docker 28.2"; "" while that is not known."""
    if compute is None:
        return ""
    return f"{compute.name} {'.'.join(clean(compute.version).split('.')[:2])}".rstrip()


def why_bar(view: ServiceView, compute: ComputeState | None = None) -> tuple[Cell, ...]:
    """The one sentence about the selected service; what is wrong with the container engine where it runs well."""
    if tells_trouble(view, compute) and compute is not None:
        return (Cell(clean(compute.problem), "warning"),)
    return (state_sentence(view),)


def tells_trouble(view: ServiceView, compute: ComputeState | None) -> bool:
    """Whether the container engine is more worth a word than the service. It is said whole: nowhere else is it."""
    return compute is not None and bool(compute.problem) and state_sentence(view).role == "muted"


def face(world: World, connection: Connection) -> Content | None:
    """What stands in place of the panes: loading, not connected, nothing there yet. None when there are services."""
    if connection.state is ConnectionState.FAILED:
        return _lines(
            ("✕ The engine could not be started or reached", "bold $text-error"),
            (clean(connection.reason), ""),
            ("", ""),
            ("r  try again      q  quit", "$text-accent"),
        )
    if not world.loaded:
        return _lines(
            (f"{BUSY} Opening your services…", "bold $text-accent"), (clean(connection.reason), "$text-muted")
        )
    if not world.services:
        return _lines(
            (BRAND, "bold $text-primary"),
            ("App Runner, at home", "$text-muted"),
            ("", ""),
            ("", ""),
            ("No services yet. Press n to create the first one.", "bold"),
            ("A Git repository, a folder or an image is all it takes:", ""),
            ("Homerun builds what needs building, runs it here and gives it a URL.", ""),
            *_trouble(world.compute),
        )
    return None


def _trouble(compute: ComputeState | None) -> tuple[tuple[str, str], ...]:
    if compute is None or not compute.problem:
        return ()
    return (("", ""), *((sentence, "$text-warning") for sentence in textwrap.wrap(clean(compute.problem), _FACE_WIDTH)))


def _lines(*lines: tuple[str, str]) -> Content:
    return Content("\n").join([Content.styled(text, style) if text else Content() for text, style in lines])
