"""Round numbers for a chart's axes, and values as people write them. Pure arithmetic."""

import math
import time
from itertools import chain, count

import msgspec

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_WHOLE = ("instances", "requests")  # units that make no sense in parts
_BINARY = "B"


class Scale(msgspec.Struct, frozen=True):
    """A value axis from 0 to `top`, marked at every multiple of `step`."""

    step: float
    top: float

    @property
    def marks(self) -> list[float]:
        return [self.step * number for number in range(round(self.top / self.step) + 1)]


def scale_for(largest: float, intervals: int, unit: str = "") -> Scale:
    """The lowest round scale that holds `largest` in at most `intervals` (>= 1) steps."""
    if not math.isfinite(largest) or largest <= 0:
        largest = 0
    steps = (2.0**power for power in count(0)) if unit == _BINARY else _decimal_steps(largest / intervals, unit)
    for step in steps:
        needed = math.ceil(round(largest / step, 9))
        if needed <= intervals:
            return Scale(step, step * max(1, needed))
    raise AssertionError("unreachable: steps grow without end")


def _decimal_steps(least: float, unit: str) -> chain[float]:
    """1, 2 and 5 times powers of ten, from somewhat below `least`; never parts of what comes in wholes."""
    lowest = 1.0 if unit in _WHOLE or not least else 10.0 ** (math.floor(math.log10(least)) - 1)
    if unit in _WHOLE:
        lowest = max(1.0, lowest)
    return chain.from_iterable((lowest * 10.0**power * factor for factor in (1, 2, 5)) for power in count(0))


def format_value(value: float, unit: str = "") -> str:
    """A value in few characters: "37%", "1.2s", "64M", "3.4k". Units that have no short form are left out."""
    if value == 0 and unit != "%":
        return "0"
    if unit == "%":
        return f"{_short(value)}%"
    if unit == "ms":
        if value < 999.5:
            return f"{_short(value)}ms"
        return f"{_short(value / 1000)}s" if value < 60_000 else f"{_short(value / 60_000)}m"
    if unit == _BINARY:
        return _scaled(value, 1024, "BKMGTP")
    return _scaled(value, 1000, ("", "k", "M", "G", "T"))


def _scaled(value: float, base: int, suffixes: str | tuple[str, ...]) -> str:
    power = 0
    while abs(value) >= base * 0.9995 and power < len(suffixes) - 1:
        value /= base
        power += 1
    return _short(value) + suffixes[power]


def _short(number: float) -> str:
    """At most three digits that mean anything."""
    if abs(number) >= 9.95 or number == 0:
        return f"{number:.0f}"
    if abs(number) >= 0.095:
        return f"{number:.1f}".removesuffix(".0")
    return f"{number:.2f}" if abs(number) >= 0.0095 else f"{number:.3f}" if abs(number) >= 0.0005 else "0"


def clock_marks(start: float, end: float, columns: int) -> list[tuple[int, str]]:
    """Labels for a time axis: (first column, text) from left to right, at round local times, never touching."""
    span = end - start
    if span <= 0 or columns < 5:
        return []
    offset = time.localtime(end).tm_gmtoff
    for step in _TIME_STEPS_S:
        width = 8 if step < 60 else 5 if step < 86400 else 6
        if step / span * columns >= width + 4:
            break
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86400 else "%a %d"
    marks: list[tuple[int, str]] = []
    first = math.ceil((start + offset) / step) * step - offset
    for number in range(int(span / step) + 1):
        at = first + number * step
        label = time.strftime(form, time.localtime(at))
        column = round((at - start) / span * columns) - len(label) // 2
        free_from = marks[-1][0] + len(marks[-1][1]) + 2 if marks else 0
        if free_from <= column <= columns - len(label):
            marks.append((column, label))
    return marks
