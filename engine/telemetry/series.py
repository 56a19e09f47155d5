"""From cells to a chart's series: which resolution serves a time range, and what each metric is. Pure."""

import math
from collections.abc import Mapping

from engine.model.base import Value
from engine.model.histogram import percentile
from engine.model.metric import MetricName
from engine.store.cell import EMPTY, Cell

KEPT_S = {1: 3600, 60: 7 * 86400, 3600: 400 * 86400}
"""How long each resolution serves queries, in seconds."""

SLACK_S = 120
"""It is kept this much longer, so that "the last hour" does not fall off while it is being asked for."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 2592000)
_UNSETTLED_S = 1.5  # what the edge counted in a second is here that long after the second's end, at the latest


class Grid(Value, frozen=True, kw_only=True):
    """`count` intervals of `step` seconds from `start`, made of what is stored every `resolution` seconds."""

    start: int
    step: int
    count: int
    resolution: int

    @property
    def end(self) -> int:
        return self.start + self.step * self.count


def choose_grid(start: float, end: float, points: int, now: float) -> Grid:
    """The finest grid over the range that has at most `points` intervals and data that old.

    Intervals begin at multiples of their length. Where that makes one too many, the oldest, of which the range holds a
    part only, is left out.
    """
    points = max(points, 1)
    finest = next((resolution for resolution, kept in KEPT_S.items() if start >= now - kept - SLACK_S / 2), 3600)
    for step in _STEPS:
        if step >= finest and ((end - start) / step <= points + 0.5 or step == _STEPS[-1]):
            first, last = math.floor(start / step), math.ceil(end / step)
            count = min(max(last - first, 1), points)
            resolution = max(each for each in KEPT_S if each <= step and step % each == 0)
            return Grid(start=(max(last, first + 1) - count) * step, step=step, count=count, resolution=resolution)
    raise AssertionError("unreachable: the last step always serves")


class Interval(Value, frozen=True, kw_only=True):
    """What was measured about one subject in one interval of a grid."""

    start: int
    cell: Cell
    watched_s: int
    """Seconds in which the engine was sampling."""
    quiet: bool
    """Where nothing was counted, nothing happened."""

    def value(self, metric: MetricName) -> float | None:
        return value(metric, self.cell, self.watched_s, quiet=self.quiet)


def grid_of(start: float, end: float, period: int, now: float) -> Grid:
    """Intervals of `period` seconds that cover the range, of the finest data there is that old.

    A period under a minute is served from the last hour only; what is older than a week comes in hours.
    """
    wanted = [resolution for resolution in KEPT_S if resolution <= period and period % resolution == 0]
    kept = [resolution for resolution in KEPT_S if start >= now - KEPT_S[resolution] - SLACK_S / 2]
    resolution = next((each for each in wanted if each in kept), kept[0] if kept else max(KEPT_S))
    step = max(resolution, period)
    first = math.floor(start / step)
    return Grid(start=first * step, step=step, count=max(math.ceil(end / step) - first, 1), resolution=resolution)


def intervals(
    grid: Grid, cells: Mapping[int, Cell], watched: Mapping[int, int], *, since: float, now: float
) -> tuple[Interval, ...]:
    """One for each interval. `watched` has the seconds that the engine was sampling, by interval number.

    Quiet is one in which the engine was sampling, and of which it is not too early to say.
    """
    result: list[Interval] = []
    for number in range(grid.count):
        seconds = watched.get(number, 0)
        start = grid.start + number * grid.step
        quiet = seconds > 0 and start + grid.step > since and start + 1 <= now - _UNSETTLED_S
        result.append(Interval(start=start, cell=cells.get(number, EMPTY), watched_s=seconds, quiet=quiet))
    return tuple(result)


def values(
    metric: MetricName, grid: Grid, cells: Mapping[int, Cell], watched: Mapping[int, int], *, since: float, now: float
) -> tuple[float | None, ...]:
    """One value an interval.

    Counts are 0 where nothing came while the engine was sampling, and None where it was not, where the service was not
    known yet, and where the interval is too young to say.
    """
    return tuple(each.value(metric) for each in intervals(grid, cells, watched, since=since, now=now))


def value(metric: MetricName, cell: Cell, watched_s: int, *, quiet: bool) -> float | None:
    """What `metric` is in one interval; `quiet` says that where nothing was counted, nothing happened."""
    counted = cell.edge_seconds > 0 or quiet
    match metric:
        case MetricName.CPU:
            return cell.cpu_percent / cell.samples if cell.samples else None
        case MetricName.MEMORY:
            return cell.memory_percent / cell.samples if cell.samples else None
        case MetricName.MEMORY_BYTES:
            return cell.memory_bytes / cell.ticks if cell.ticks else None
        case MetricName.REQUESTS:
            return float(cell.requests) if counted else None
        case MetricName.STATUS_2XX:
            return float(cell.status_2xx) if counted else None
        case MetricName.STATUS_4XX:
            return float(cell.status_4xx) if counted else None
        case MetricName.STATUS_5XX:
            return float(cell.status_5xx) if counted else None
        case MetricName.LATENCY_P50:
            return milliseconds(cell, 0.50)
        case MetricName.LATENCY_P95:
            return milliseconds(cell, 0.95)
        case MetricName.LATENCY_P99:
            return milliseconds(cell, 0.99)
        case MetricName.CONCURRENCY:
            return cell.in_flight / max(watched_s, cell.edge_seconds, 1) if counted else None
        case MetricName.ACTIVE_INSTANCES:
            return float(cell.active_instances) if counted else None
        case MetricName.PROVISIONED_INSTANCES:
            return float(cell.provisioned_instances) if quiet or cell.provisioned_instances else None


def milliseconds(cell: Cell, share: float) -> float | None:
    seconds = percentile(cell.latency, share)
    return None if seconds is None else seconds * 1000
