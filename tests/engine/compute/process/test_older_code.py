"""Code for a Node.js before 17 on a newer one."""

import pytest

from engine.compute.process.choose import Interpreter
from engine.compute.process.older_code import allows_older_hashes, needs_older_hashes
from engine.model.plan import BuildGeneration, Runtime, RuntimeFamily


def node(version: str, executable: str = "/usr/bin/node") -> Interpreter:
    return Interpreter(family=RuntimeFamily.NODEJS, executable=executable, version=version)


@pytest.mark.parametrize(
    ("accepts", "locked", "version", "expected"),
    [
        ("14", "", "20.1.0", True),
        ("16", "", "17.0.0", True),
        ("16", "", "16.20.2", False),
        ("18", "", "20.1.0", False),
        ("16", "20", "20.1.0", False),
    ],
)
def test_only_a_node_that_stands_in_for_one_before_17(accepts, locked, version, expected):
    runtime = Runtime(
        name=f"nodejs{accepts}",
        family=RuntimeFamily.NODEJS,
        generation=BuildGeneration.ORIGINAL,
        accepts=(accepts,),
        locked=locked,
    )
    assert needs_older_hashes(runtime, node(version)) is expected


def test_a_python_runtime_has_no_part_in_it(python_runtime):
    assert not needs_older_hashes(python_runtime, node("20.1.0"))


def test_a_node_that_does_not_start_with_the_option_is_left_alone(tmp_path):
    picky = tmp_path / "node"
    picky.write_text('#!/bin/sh\n[ -z "$NODE_OPTIONS" ] || exit 9\n')
    picky.chmod(0o755)

    assert not allows_older_hashes(node("20.1.0", str(picky)))
    assert not allows_older_hashes(node("20.1.0", str(tmp_path / "gone")))
