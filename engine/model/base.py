"""The kinds of value: what goes over a wire, what asks for something, and what stays between our own rooms.

Type checkers and msgspec do not inherit `frozen` and `kw_only` alike, so every shape says both for itself.
"""

from typing import Generic, TypeVar

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A shape of an AWS API: snake_case here, PascalCase in JSON (a few APIs: camelCase), absent members left out.

    Optional members default to None only, so leaving out defaults never drops a real value.
    """


R = TypeVar("R", bound=Wire)


class Request(Wire, Generic[R], frozen=True, kw_only=True):
    """What an action takes; R is the shape of its answer. The class is named after the action: CreateServiceRequest."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable value of our own that travels between rooms, into the store and over the attach socket."""
