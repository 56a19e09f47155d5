"""Back-pressure: reading from a peer stops while anyone has a reason to hold it."""

from asyncio import Transport

PIPELINE = 1
"""The peer sent a further request before the answer to the last one."""
PEER = 2
"""The other side of the exchange takes no more for now."""


class FlowControl:
    """Pauses a transport's reading as long as at least one reason holds."""

    __slots__ = ("_reasons", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._reasons = 0

    def held(self, reason: int) -> bool:
        return bool(self._reasons & reason)

    def hold(self, reason: int) -> None:
        if not self._reasons and not self._transport.is_closing():
            self._transport.pause_reading()
        self._reasons |= reason

    def release(self, reason: int) -> None:
        if not self._reasons & reason:
            return
        self._reasons &= ~reason
        if not self._reasons and not self._transport.is_closing():
            self._transport.resume_reading()
