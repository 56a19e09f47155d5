"""The port translation for applications (`shim/`), put where instances find it whatever becomes of this engine."""

import functools
import hashlib
from pathlib import Path

from engine.compute.files import write_whole

_SOURCE = Path(__file__).parent / "shim"
_NAMES = ("sitecustomize.py", "homerun_shim.cjs")


def ensure_shims(cache: Path) -> Path:
    """The folder for PYTHONPATH under `cache`, made if it is not there. Blocks; raises OSError.

    A copy: instances outlive upgrades of Homerun and load it again for every process that they start.
    """
    texts = _texts()
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]
    folder = cache / f"shim-{digest}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in zip(_NAMES, texts, strict=True):
        if not (folder / name).exists():
            write_whole(folder / name, text)
    return folder


@functools.cache
def _texts() -> tuple[bytes, ...]:
    return tuple((_SOURCE / name).read_bytes() for name in _NAMES)
