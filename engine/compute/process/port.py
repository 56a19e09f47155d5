"""A free port on loopback for each instance, outside the range that the kernel hands out by itself."""

import errno
import random
import socket
from collections import deque
from collections.abc import Collection

from engine.model.errors import DeployError, FailureKind

_FIRST, _LAST = 20000, 32000  # below Linux's ephemeral ports (32768 on) and macOS's (49152 on)
_REST = 200
"""A port rests until this many others were given: a late packet for a stopped instance must find nobody."""
_ATTEMPTS = 500


class PortPool:
    """Gives out ports; remembers the last ones given."""

    def __init__(self) -> None:
        self._recent: deque[int] = deque(maxlen=_REST)
        # Engines of several homes on one machine start their search in different places.
        self._next = random.randrange(_FIRST, _LAST)  # noqa: S311 - not a secret

    def take(self, in_use: Collection[int] = ()) -> int:
        """A port that nobody listens on. Raises DeployError of kind PORT when there is none."""
        for _ in range(_ATTEMPTS):
            port = self._next
            self._next = port + 1 if port + 1 < _LAST else _FIRST
            if port not in self._recent and port not in in_use and is_free(port):
                self._recent.append(port)
                return port
        raise DeployError.of(
            FailureKind.PORT,
            f"No free port was found between {_FIRST} and {_LAST} on 127.0.0.1.",
            hint="Stop some of the programs that listen there, then deploy again.",
        )


def is_free(port: int) -> bool:
    """Whether an application could bind the port on loopback now, over IPv4 and IPv6."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((host, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False  # anything else: this machine does without that family
    return True
