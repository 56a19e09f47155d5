"""One engine a home: the lock, its record, private folders, and what is said when a folder is no good."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.api.claim import Claim, EngineRecord, HomeInUse, HomeUnusable, read_record
from engine.model.home import Home


def record(home: Home, pid: int = 4711) -> EngineRecord:
    return EngineRecord(
        home=str(home.path), api="http://a", edge="http://e", socket=str(home.engine_socket), pid=pid, started_at=1.5
    )


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_claimed_home_has_its_folders_and_they_are_private(home):
    claim = Claim.take(home)
    for folder in (home.path, home.credentials.parent, home.engine_log.parent, home.sockets):
        assert mode(folder) == 0o700
    assert mode(home.lock) == 0o600
    claim.release()


def test_a_second_claim_is_refused_with_the_record_of_the_first(home):
    claim = Claim.take(home)
    claim.announce(record(home))
    assert mode(home.engine_record) == 0o600
    with pytest.raises(HomeInUse, match="in use by process 4711") as caught:
        Claim.take(home)
    assert caught.value.record == record(home)
    claim.release()
    assert read_record(home) is None
    Claim.take(home).release()


def test_while_the_first_is_still_starting_there_is_no_record(home):
    claim = Claim.take(home)
    with pytest.raises(HomeInUse, match="just starting") as caught:
        Claim.take(home)
    assert caught.value.record is None
    claim.release()


def test_a_killed_owner_leaves_no_claim_and_its_record_is_cleared_away(home):
    """A kill -9 gives the lock back, and the next owner starts without the old record."""
    script = (
        "import sys; from pathlib import Path; from engine.api.claim import Claim; from engine.model.home import Home\n"
        "claim = Claim.take(Home(path=Path(sys.argv[1]))); print('held', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with owner:
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(HomeInUse):
            Claim.take(home)
        home.engine_record.write_text("{}")
        owner.kill()
        owner.wait()
    claim = Claim.take(home)
    assert not home.engine_record.exists()
    claim.release()


def test_children_do_not_inherit_the_lock(home):
    claim = Claim.take(home)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        claim.release()
        Claim.take(home).release()
        child.communicate(b"\n")


def test_a_folder_with_things_of_the_user_keeps_its_mode(home):
    home.path.mkdir(mode=0o755)
    (home.path / "mine.txt").touch()
    Claim.take(home).release()
    assert mode(home.path) == 0o755
    assert mode(home.credentials.parent) == 0o700


def test_a_file_in_the_way_is_one_sentence(home):
    home.path.write_text("not a folder")
    with pytest.raises(HomeUnusable, match="because it is not a folder: choose another one with --home"):
        Claim.take(home)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EROFS, "cannot be used as a home, because it cannot be written to: choose another folder"),
        (errno.EACCES, "because it cannot be written to"),
        (errno.ENOENT, "because it cannot be made there: choose another folder"),
        (errno.ENOSPC, "because the disk is full: free some space"),
        (errno.EIO, "because Input/output error"),
    ],
)
def test_a_disk_that_refuses_is_one_sentence(home, monkeypatch, number, message):
    real = os.open

    def refuse(path, *args, **kwargs):
        if path == home.lock:
            raise OSError(number, os.strerror(number))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(HomeUnusable) as caught:
        Claim.take(home)
    assert message in str(caught.value)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that even root cannot write to")
def test_a_really_read_only_place_is_one_sentence():
    with pytest.raises(HomeUnusable, match="cannot be used as a home, because"):
        Claim.take(Home(path=Path("/sys/kernel/homerun")))


def test_a_socket_folder_of_somebody_else_is_refused(home, tmp_path, monkeypatch):
    """Where the home's path is too long the sockets live in /tmp, where anybody may have been first."""
    deep = Home(path=home.path / ("x" * 120))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / f"homerun-{os.getuid()}").symlink_to(tmp_path)
    with pytest.raises(HomeUnusable, match="belongs to somebody else"):
        Claim.take(deep)
    (tmp_path / f"homerun-{os.getuid()}").unlink()
    claim = Claim.take(deep)
    assert mode(deep.sockets) == mode(deep.sockets.parent) == 0o700
    claim.release()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"])
def test_a_record_that_is_none_reads_as_none(home, content):
    home.path.mkdir()
    home.engine_record.write_bytes(content)
    assert read_record(home) is None
