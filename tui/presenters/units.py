"""Numbers as people read them: durations, ages, rates, sizes. Every text is short and of few widths."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration_text(seconds: float) -> str:
    """How long something took: "0.4s", "12s", "3m 05s", "2h 10m", "4d 3h"."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"


def age_text(seconds: float) -> str:
    """How old something is, in one unit: "now", "42s", "7m", "3h", "12d"."""
    if seconds < 1:
        return "now"
    if seconds < _MINUTE:
        return f"{int(seconds)}s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)}m"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)}h"
    return f"{int(seconds // _DAY)}d"


def rate_text(per_second: float) -> str:
    """Requests per second: "0", "0.4", "12.5", "340", "1.2k"."""
    if per_second < 0.05:
        return "0"
    if per_second < 99.95:
        return f"{per_second:.1f}"
    if per_second < 999.5:
        return f"{per_second:.0f}"
    return f"{per_second / 1000:.1f}k"


def bytes_text(count: float) -> str:
    """A size with a binary unit: "0", "512 K", "48 M", "1.2 G"."""
    if count <= 0:
        return "0"
    if count < 1024**2:
        return f"{max(1, round(count / 1024))} K"
    if count < 1000 * 1024**2:
        return f"{count / 1024**2:.0f} M"
    return f"{count / 1024**3:.1f} G"


def millis_text(millis: float) -> str:
    """A latency: "0.8 ms", "42 ms", "1.3 s"."""
    if millis < 9.95:
        return f"{millis:.1f} ms"
    if millis < 999.5:
        return f"{millis:.0f} ms"
    return f"{millis / 1000:.1f} s"


def count_text(count: int, noun: str) -> str:
    """A number with its noun: "1 service", "2 services"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
