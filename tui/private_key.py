"""Reading an SSH private key that somebody names, and refusing what is none."""

from pathlib import Path

_LONGEST = 16_384
"""Characters; as long as the engine takes them."""


def read_private_key(named: str) -> str:
    """The text of the file with this path. Reads the disk; raises ValueError with a sentence."""
    try:
        path = Path(named).expanduser()
        if not path.is_file():  # others could block for ever
            raise ValueError(f"There is no file {named}.")
        with path.open(encoding="ascii", errors="replace") as file:
            text = file.read(_LONGEST + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of somebody unknown
        raise ValueError(f"{named} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    first = text.partition("\n")[0]
    framed = first.startswith("-----BEGIN ") and "PRIVATE KEY-----" in first
    if not framed or "\0" in text or len(text) > _LONGEST:
        raise ValueError(f"{named} is no private key.")
    return text
