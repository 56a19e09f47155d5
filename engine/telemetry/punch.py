"""Giving disk space back from the front of a file that is still being written, where the system can do that."""

import ctypes
import os
import sys
from pathlib import Path

_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02


def punch_hole(path: Path, start: int, end: int) -> None:
    """Free the bytes from `start` to `end`; they read as zeros afterwards, and every offset stays what it was.

    Raises OSError where the system or the file system cannot.
    """
    if sys.platform != "linux":
        raise OSError("Only Linux frees the front of a file.")
    fallocate = ctypes.CDLL(None, use_errno=True).fallocate
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    descriptor = os.open(path, os.O_WRONLY)
    try:
        if fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, end - start) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
