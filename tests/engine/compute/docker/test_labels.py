"""Names and labels: ours alone, valid for the engine, and different for every home."""

import re

from hypothesis import given
from hypothesis import strategies as st

from engine.compute.docker.labels import Names, names_of
from engine.model.home import Home

CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""What an engine takes as a container's name."""
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*:[\w][\w.-]{{0,127}}")
"""What an engine takes as an image's name and tag."""


def test_every_home_has_names_of_its_own(tmp_path):
    one, two = names_of(Home(path=tmp_path / "one")), names_of(Home(path=tmp_path / "two"))

    assert one == names_of(Home(path=tmp_path / "one")), "the same in the next engine"
    assert one.home != two.home
    assert len({one.label, two.label, one.network, two.network, one.images, two.images}) == 6
    assert one.label == f"homerun.home={one.home}"


@given(st.text(max_size=40), st.text("0123456789abcdef", min_size=32, max_size=32), st.integers(1, 10**6))
def test_any_service_name_makes_valid_names(service, identifier, number):
    names = Names("0123456789ab")

    assert CONTAINER.fullmatch(names.container(service, identifier))
    assert IMAGE.fullmatch(names.image(service, identifier, number))


def test_a_service_is_recognised_in_its_names():
    names = Names("0123456789ab")

    assert names.container("My_Shop", "f" * 32) == "homerun-my-shop-ffffffffffff"
    assert names.image("My_Shop", "e" * 32, 7) == "homerun-0123456789ab/my-shop-eeeeeeee:v7"


def test_what_was_brought_is_kept_under_a_name_of_the_same_home():
    names = Names("0123456789ab")
    brought = names.brought("sha256:" + "c" * 64)

    assert brought.startswith(names.images)
    assert IMAGE.fullmatch(brought)
    assert brought != names.brought("sha256:" + "d" * 64)
