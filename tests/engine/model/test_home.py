"""The layout of a home."""

import os
from pathlib import Path

from engine.model.home import Home


def test_sockets_live_in_the_home_where_their_path_fits(tmp_path):
    assert Home(path=Path("/home/a")).engine_socket == Path("/home/a/run/engine.sock")


def test_a_long_home_has_its_sockets_in_a_short_private_place():
    socket = Home(path=Path("/" + "x" * 200)).engine_socket

    assert len(os.fsencode(socket)) < 100
    assert f"homerun-{os.getuid()}" in str(socket)
    assert socket != Home(path=Path("/" + "y" * 200)).engine_socket
