"""Where the engine's own log goes: a file in the home, rotated; stderr as well when nobody draws on it."""

import logging
import logging.handlers
import os
import time
from io import TextIOWrapper
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """Its files are ours alone, those that rotation makes as well."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding=self.encoding)


def hold_log() -> logging.handlers.MemoryHandler:
    """Keep what is logged until `log_to` knows where to; a home that is not ours yet gets no file from us."""
    early = logging.handlers.MemoryHandler(10_000, flushLevel=logging.CRITICAL + 1)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(early)
    # How each subprocess of asyncio comes and goes is of no interest to anybody.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    return early


def log_to(path: Path, *, stderr: bool, early: logging.handlers.MemoryHandler) -> None:
    """Set the root logger up and pass on what `early` has kept. The file is private and kept under 16 MB."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    formatter = logging.Formatter(_FORMAT, "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handlers: list[logging.Handler] = [_PrivateFile(path, maxBytes=4_000_000, backupCount=3, encoding="utf-8")]
    if stderr:
        handlers.append(logging.StreamHandler())
    root = logging.getLogger()
    root.removeHandler(early)
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
        for record in early.buffer:
            handler.handle(record)
    early.close()
