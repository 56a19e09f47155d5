"""Writing down what has happened already. It cannot be undone or happen again, so a full disk is waited out."""

import logging
from collections.abc import Callable
from typing import TypeVar

from engine.lifecycle.pacing import back_off_s
from engine.lifecycle.rooms import Rooms
from engine.store.sqlite import StoreError
from engine.store.state import Transaction

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_S = 5.0
"""Between two attempts: whoever frees some space should not have to wait long."""


async def store_fact(rooms: Rooms, change: Callable[[Transaction], T]) -> T:
    """`rooms.store.write`, tried until the disk takes it. Other errors pass through.

    `change` may run long after the call: it has to look at what the store holds by then.
    """
    failures = 0
    while True:
        try:
            return await rooms.store.write(change)
        except StoreError as error:
            failures += 1
            logger.warning("what happened cannot be stored yet: %s", error)
            await rooms.clock.sleep(min(_LONGEST_S, back_off_s(failures)))
