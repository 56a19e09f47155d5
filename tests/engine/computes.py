"""For tests of the whole engine that hold wherever instances run."""

import pytest

on_both = pytest.mark.parametrize(
    "engine_settings", ["process", pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)
