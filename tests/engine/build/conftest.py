"""Helpers for the build room's tests."""

from collections.abc import Callable

import pytest

from engine.model.errors import DeployError, Failure, FailureKind


@pytest.fixture
def refused() -> Callable[[Callable[[], object]], Failure]:
    """Calls something that must be refused and returns why."""

    def call(action: Callable[[], object]) -> Failure:
        with pytest.raises(DeployError) as caught:
            action()
        assert caught.value.failure.kind is FailureKind.CONFIG
        return caught.value.failure

    return call
