"""Pages of lists: a token says where the next one begins. Pure."""

import base64
from collections.abc import Sequence
from typing import TypeVar

from engine.model.errors import invalid_request

T = TypeVar("T")

_OFFSET_MAX = 2**62


def page(items: Sequence[T], token: str | None, size: int | None) -> tuple[tuple[T, ...], str | None]:
    """One page and the token of the next; everything at once when no size was asked for, as App Runner documents it.

    Raises EngineError (InvalidRequestException) for a token that was never given out.
    """
    start = offset_of(token) if token is not None else 0
    end = len(items) if size is None else start + size
    return tuple(items[start:end]), token_for(end) if end < len(items) else None


def token_for(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def offset_of(token: str) -> int:
    try:
        offset = int(base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode("ascii"))
    except ValueError as error:
        raise invalid_request("The NextToken is not one that was given out.") from error
    if not 0 <= offset <= _OFFSET_MAX:
        raise invalid_request("The NextToken is not one that was given out.")
    return offset
