"""The two kinds of value: what goes over the App Runner wire, and what stays between our own rooms.

Type checkers and msgspec do not inherit `frozen` and `kw_only` alike, so every shape says both for itself.
"""

import msgspec


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A shape of the App Runner API: snake_case here, PascalCase in JSON, absent members left out.

    Optional members default to None only, so leaving out defaults never drops a real value.
    """


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable value of our own that travels between rooms, into the store and over the attach socket."""
