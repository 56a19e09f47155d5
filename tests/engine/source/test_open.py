"""Which source a RepositoryUrl becomes."""

from pathlib import Path

import pytest

from engine.model.errors import DeployError, FailureKind
from engine.source.directory import DirectorySource
from engine.source.git import GitSource
from engine.source.open import open_source


def refused(text: str, home) -> tuple[str, str]:
    with pytest.raises(DeployError) as caught:
        open_source(text, home)
    assert caught.value.failure.kind is FailureKind.SOURCE
    return caught.value.failure.message, caught.value.failure.hint


def test_remote_urls_are_git_and_nothing_is_fetched(home):
    source = open_source("https://ada:secret@host.invalid/app", home)
    assert isinstance(source, GitSource)
    assert source.kind == "git"
    assert source.subfolder == ""
    assert not home.path.exists()


def test_a_path_that_does_not_exist_is_a_clear_failure(home, tmp_path):
    message, hint = refused(str(tmp_path / "nothing"), home)
    assert message == f"There is no folder {tmp_path}/nothing."
    assert hint


def test_an_address_without_its_scheme_is_recognised(home):
    _, hint = refused("github.com/owner/app", home)
    assert hint == "Did you mean https://github.com/owner/app?"


def test_a_file_is_no_source(home, tmp_path):
    (tmp_path / "app.py").touch()
    message, _ = refused(str(tmp_path / "app.py"), home)
    assert message == f"{tmp_path}/app.py is a file, not a folder."


def test_an_unknown_user_s_home_is_a_clear_failure(home):
    message, _ = refused("~nobody-of-this-name/app", home)
    assert message == "The folder ~nobody-of-this-name/app cannot be opened: there is no user of that name."


def test_a_link_loop_is_a_clear_failure(home, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    message, _ = refused(str(tmp_path / "loop"), home)
    assert "cannot be opened" in message


def test_relative_and_home_paths_are_resolved(home, tmp_path, monkeypatch):
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "link").symlink_to("app")
    for text in ("app", "./app/", "~/app", "link", f"file://{tmp_path}/app"):
        source = open_source(text, home)
        assert isinstance(source, DirectorySource)
        assert source.root == Path(tmp_path / "app").resolve()


async def test_a_committed_subfolder_means_its_repository_and_says_so(repo, home):
    source = open_source(str(repo.path / "lib"), home)
    assert isinstance(source, GitSource)
    assert source.subfolder == "lib"
    (notice,) = (await source.resolve("main")).notices
    assert notice.startswith(f"/lib is a folder of the repository {repo.path}, and the source is all of it: ")


def test_a_folder_that_only_lies_in_a_work_tree_is_a_plain_folder(repo, home):
    (repo.path / "build" / "out").mkdir(parents=True)
    (repo.path / "build" / "out" / "x").touch()
    source = open_source(str(repo.path / "build" / "out"), home)
    assert isinstance(source, DirectorySource)


def test_a_git_folder_without_a_repository_in_it_does_not_count(home, tmp_path):
    (tmp_path / "app" / ".git").mkdir(parents=True)
    assert isinstance(open_source(str(tmp_path / "app"), home), DirectorySource)


def test_the_innermost_repository_counts(make_repo, home):
    make_repo({"x": ""}, "outer")
    inner = make_repo({"y": ""}, "outer/inner")
    source = open_source(str(inner.path), home)
    assert isinstance(source, GitSource)
    assert source.location.url == str(inner.path)
    assert source.subfolder == ""
