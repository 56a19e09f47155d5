"""Whole files, whole folders."""

import asyncio
import stat
import threading
import time

import pytest

from engine.compute.files import delete_tree, in_thread, move_tree, write_whole


def test_a_file_is_written_whole_for_the_owner_only(tmp_path):
    write_whole(tmp_path / "f", b"one")
    write_whole(tmp_path / "f", b"two")

    assert (tmp_path / "f").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "f", b"one")

    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_many_who_write_the_same_file_do_not_meet(tmp_path):
    threads = [threading.Thread(target=write_whole, args=(tmp_path / "f", b"x" * 1000)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tmp_path / "f").read_bytes() == b"x" * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_folder_moves_and_an_existing_target_stays(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").touch()
    move_tree(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b/x").exists()

    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="not empty"):
        move_tree(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b/x").exists()


def test_two_may_delete_the_same_folder(tmp_path):
    for n in range(300):
        (tmp_path / f"a/{n % 7}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"a/{n % 7}/{n}").touch()
    errors = []

    def delete():
        try:
            delete_tree(tmp_path / "a")
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=delete) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert not (tmp_path / "a").exists()


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a/link").symlink_to(tmp_path / "real")
    delete_tree(tmp_path / "a")

    assert (tmp_path / "real/x").exists()


async def test_cancelled_work_is_finished_first():
    """Nobody cleans up under the hands of a thread."""
    done = []

    def work():
        time.sleep(0.1)
        done.append(1)

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert done == [1]
