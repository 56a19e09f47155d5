"""Reading an SSH private key that somebody names, and refusing what is none, or what nobody here can open."""

import binascii
from pathlib import Path

from engine.model.actions.homerun import SSH_KEY_MAX

_OPENSSH = b"openssh-key-v1\0"


def read_private_key(named: str) -> str:
    """The text of the file with this path. Reads the disk; raises ValueError with a sentence."""
    try:
        path = Path(named).expanduser()
        if path.is_dir():
            raise ValueError(f"{named} is a folder, not the file of a key.")
        if not path.is_file():  # others could block for ever
            raise ValueError(f"There is no file {named}.")
        with path.open(encoding="ascii", errors="replace") as file:
            text = file.read(SSH_KEY_MAX + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of somebody unknown
        raise ValueError(f"{named} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    first, _, body = text.partition("\n")
    framed = first.startswith("-----BEGIN ") and "PRIVATE KEY-----" in first
    if text.startswith(("ssh-", "ecdsa-", "sk-")):
        raise ValueError(f"{named} is the public half of a key: give the private one.")
    if not framed or "\0" in text or len(text) > SSH_KEY_MAX:
        raise ValueError(f"{named} is no private key.")
    if _is_locked(first, body):
        raise ValueError(
            f"{named} is protected by a passphrase, which nobody can be asked for later: give a key without one"
            " (`ssh-keygen -p -N '' -f COPY` takes it off a copy)."
        )
    return text


def _is_locked(first: str, body: str) -> bool:
    """Whether it takes a passphrase: the old forms say so in words, OpenSSH's names the cipher inside."""
    if "ENCRYPTED" in first or "ENCRYPTED" in body[:100]:
        return True
    try:
        inside = binascii.a2b_base64("".join(body.split("-----", 1)[0].split()))
    except binascii.Error:
        return False
    return inside.startswith(_OPENSSH) and not inside[len(_OPENSSH) + 4 :].startswith(b"none")
