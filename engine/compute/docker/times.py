"""Times as container engines write them: RFC 3339 with up to nine decimals. Pure."""

import re
from datetime import datetime

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*(Z|[+-]\d\d:\d\d)")


def nanoseconds(text: str) -> int:
    """Since the epoch; 0 for what is no time, and for the year 1, which stands for none."""
    match = _STAMP.fullmatch(text)
    if match is None:
        return 0
    main, fraction, zone = match.groups()
    try:
        seconds = int(datetime.fromisoformat(main + zone.replace("Z", "+00:00")).timestamp())
    except (ValueError, OverflowError):
        return 0
    return max(0, seconds * 10**9 + int((fraction or "").ljust(9, "0")))


def seconds(text: str) -> float:
    """Since the epoch; 0 for none."""
    return nanoseconds(text) / 1e9
