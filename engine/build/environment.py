"""Rules for environment variables that hold wherever they come from: file, API values or service."""

from collections.abc import Collection, Mapping

MAX_VALUE = 51_200
"""Characters of a name or of a value."""

RESERVED_PREFIX = "AWSAPPRUNNER"


def name_problem(name: str) -> str:
    """Why a variable cannot have this name, as the end of a sentence; "" when it can."""
    if not name.strip():
        return "a variable needs a name"
    if "=" in name or "\x00" in name or any(char.isspace() for char in name):
        return "a name cannot hold =, blanks or control characters"
    if name.upper().startswith(RESERVED_PREFIX):
        return f"names that start with {RESERVED_PREFIX} are reserved by App Runner"
    if len(name) > MAX_VALUE:
        return f"a name has at most {MAX_VALUE:,} characters"
    return ""


def without_ports(
    env: Mapping[str, str], port: int, port_env: str, where: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables without those that carry the port, which every instance gets for itself; and notices.

    Nothing is said of the service's own `port`: what is meant happens.
    """
    kept = dict(env)
    carried = {name: kept.pop(name) for name in ("PORT", port_env) if name in kept}
    return kept, tuple(
        f"{name} is set in {where}, but is overridden: every instance gets its own port in {name}."
        for name, value in carried.items()
        if value.strip() != str(port)
    )


def in_both(env: Collection[str], secrets: Collection[str]) -> tuple[str, ...]:
    """Names that are both a variable and a secret, sorted."""
    return tuple(sorted(set(env) & set(secrets)))
