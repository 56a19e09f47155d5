"""The record file and the private folder."""

import stat

import psutil
import pytest

from engine.edge.record import EdgeRecord, own_start_time, private_folder, read_record, remove_record, write_record

RECORD = EdgeRecord(pid=12, started_at=1.5, address="127.0.0.1:8800", control="/x/edge.sock")


def test_a_record_is_written_privately_and_read_back(tmp_path):
    path = tmp_path / "edge.json"
    write_record(path, RECORD)
    assert read_record(path) == RECORD
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": "x"}', b"\xff"])
def test_what_is_no_record_reads_as_none(tmp_path, content):
    path = tmp_path / "edge.json"
    assert read_record(path) is None
    path.write_bytes(content)
    assert read_record(path) is None


def test_a_record_is_removed_only_by_its_own_process(tmp_path):
    path = tmp_path / "edge.json"
    write_record(path, RECORD)
    remove_record(path, 13)
    assert path.exists()
    remove_record(path, 12)
    assert not path.exists()
    remove_record(path, 12)


def test_the_start_time_is_the_one_that_psutil_gives():
    assert own_start_time() == pytest.approx(psutil.Process().create_time(), abs=0.011)


def test_a_private_folder_is_made_and_tightened(tmp_path):
    folder = tmp_path / "a" / "b"
    private_folder(folder)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (folder, folder.parent)] == [0o700, 0o700]
    folder.chmod(0o755)
    private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_others_could_replace_is_refused(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(PermissionError, match="can be changed by others"):
        private_folder(shared / "run")


def test_a_link_is_no_private_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError):
        private_folder(tmp_path / "run")
