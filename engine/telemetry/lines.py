"""Cutting what programs print into lines. Pure; the same bytes give the same lines however they arrive."""

MAX_LINE_BYTES = 64 * 1024
"""Longer lines are cut into pieces of this size."""


def complete(data: bytes) -> int:
    """How many bytes of `data` (the next bytes of a file, from a line's start or the last cut) are ready to be lines.

    They end with a line end, or fill a piece of a line that is too long. 0 when a line is still being written.
    """
    data = data[:MAX_LINE_BYTES]
    # A carriage return ends a line like a newline does, once something else than a newline follows.
    end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, max(len(data) - 1, 0))) + 1
    if end or len(data) < MAX_LINE_BYTES:
        return end
    for end in range(MAX_LINE_BYTES, MAX_LINE_BYTES - 4, -1):
        if data[end - 1] < 0x80:
            return end
        if data[end - 1] >= 0xC0:  # a character begins here: leave it whole for the next piece
            return end - 1
    return MAX_LINE_BYTES


def split(data: bytes, *, cut: bool) -> list[str]:
    r"""Lines of `data`. `cut` says that what stands before it was a line without its end: the end is no line itself.

    Invalid UTF-8 is replaced. Overwritten progress ("10%\r20%\r") gives a line each.
    """
    text = clean(data.decode("utf-8", "replace"))
    rows = text.split("\n")
    if "\r" not in text:
        if not rows[-1]:
            rows.pop()
        return rows[1:] if cut and rows and not rows[0] else rows
    lines: list[str] = []
    unfinished = rows.pop()
    for row in rows:
        parts = [part for part in row.split("\r") if part] if "\r" in row else [row]
        if row in {"", "\r"}:
            parts = [] if cut else [""]
        lines += parts
        cut = False
    lines += [part for part in unfinished.split("\r") if part]
    return lines


def split_text(text: str) -> list[str]:
    """Lines of a text handed over whole: at least one."""
    if "\n" not in text and "\r" not in text and len(text) <= MAX_LINE_BYTES:
        return [clean(text)]
    lines: list[str] = []
    for line in text.removesuffix("\n").replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        pieces = range(0, max(len(line), 1), MAX_LINE_BYTES)
        lines += [clean(line[start : start + MAX_LINE_BYTES]) for start in pieces]
    return lines


def clean(text: str) -> str:
    """Text that UTF-8 and SQLite can hold: no lone surrogates, no NUL."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()
