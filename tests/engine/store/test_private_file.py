"""Private files: readable by their owner only, there whole or not at all, never in pieces lying about."""

import os
import threading

import pytest

from engine.store.private_file import create_once, replace_whole


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "secret"


@pytest.mark.parametrize("write", [create_once, replace_whole])
def test_only_the_owner_can_read_the_file_and_its_folder(path, write):
    path.parent.mkdir(mode=0o755)
    write(path, b"content")
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("write", [create_once, replace_whole])
def test_missing_folders_are_made(tmp_path, write):
    write(tmp_path / "a" / "b" / "c", b"x")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"x"


def test_what_is_there_already_is_left_alone(path):
    create_once(path, b"first")
    create_once(path, b"second")
    assert path.read_bytes() == b"first"


def test_what_is_there_can_be_replaced(path):
    create_once(path, b"first")
    replace_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o600


def test_whoever_comes_first_wins_and_everybody_sees_the_same(path):
    contents = [bytes([number]) * 1000 for number in range(8)]
    seen = []

    def race(content):
        create_once(path, content)
        seen.append(path.read_bytes())

    threads = [threading.Thread(target=race, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert seen[0] in contents


@pytest.mark.parametrize("write", [create_once, replace_whole])
def test_nothing_else_is_left_in_the_folder(path, write):
    write(path, b"one")
    write(path, b"two")
    assert [each.name for each in path.parent.iterdir()] == ["secret"]


@pytest.mark.parametrize("write", [create_once, replace_whole])
def test_a_write_that_fails_leaves_what_there_was_and_no_draft(path, write, monkeypatch):
    create_once(path, b"first")
    missing = path.with_name("new")

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    for target in (path, missing):
        with pytest.raises(OSError, match="No space left"):
            write(target, b"second")
    assert path.read_bytes() == b"first"
    assert [each.name for each in path.parent.iterdir()] == ["secret"]
