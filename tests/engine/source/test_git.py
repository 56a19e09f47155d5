"""GitSource on local repositories of every shape: resolve, read, names, export."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from engine.model.errors import DeployError, FailureKind
from engine.model.version import Revision
from engine.source.git import GitSource
from engine.source.open import open_source

pytestmark = pytest.mark.slow  # real processes, sockets or repositories


def tree(folder: Path) -> dict[str, str]:
    return {
        str(place.relative_to(folder)): place.read_text()
        for place in sorted(folder.rglob("*"))
        if place.is_file() and not place.is_symlink()
    }


async def failure_of(awaitable):
    with pytest.raises(DeployError) as caught:
        await awaitable
    return caught.value.failure


async def test_a_branch_resolves_to_its_newest_commit_with_title_author_and_time(repo, home):
    commit = repo.commit({"app.py": "print('two')\n"}, "Say two\nmore of it\n\nAnd a body.")
    revision = await open_source(str(repo.path), home).resolve("main")
    assert (revision.id, revision.kind, revision.branch) == (commit, "commit", "main")
    assert (revision.title, revision.author) == ("Say two more of it", "Ada")
    assert revision.at == float(repo.git("log", "-1", "--format=%ct"))
    assert revision.notices == ()


async def test_an_export_holds_the_committed_files_and_nothing_else(repo, home, tmp_path):
    repo.write({"app.py": "changed, not committed", "new.py": "untracked"})
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    await source.export(revision, tmp_path / "deep" / "out")
    assert tree(tmp_path / "deep" / "out") == {"app.py": "print('one')\n", "lib/tool.py": "TOOL = 1\n"}
    assert [place.name for place in (tmp_path / "deep").iterdir()] == ["out"]
    assert (tmp_path / "deep" / "out").stat().st_mode & 0o777 == 0o700


async def test_an_export_keeps_executable_bits_inner_links_and_what_archives_would_drop(make_repo, home, tmp_path):
    repo = make_repo()
    repo.write(
        {
            "run.sh": "#!/bin/sh\n",
            ".gitattributes": "secret.txt export-ignore\nversion.txt export-subst\n",
            "secret.txt": "kept",
            "version.txt": "$Format:%H$",
        }
    )
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "link").symlink_to("run.sh")
    repo.commit({"sub/x": "1"})
    source = open_source(str(repo.path), home)
    await source.export(await source.resolve(""), tmp_path / "out")
    assert os.access(tmp_path / "out" / "run.sh", os.X_OK)
    assert (tmp_path / "out" / "link").readlink() == Path("run.sh")
    assert (tmp_path / "out" / "secret.txt").read_text() == "kept"
    assert (tmp_path / "out" / "version.txt").read_text() == "$Format:%H$"


async def test_a_new_commit_is_seen_and_the_old_revision_still_exports(repo, home, tmp_path):
    source = open_source(str(repo.path), home)
    old = await source.resolve("main")
    repo.commit({"app.py": "print('two')\n"})
    new = await source.resolve("main")
    assert new.id != old.id
    await source.export(old, tmp_path / "old")
    await source.export(new, tmp_path / "new")
    assert (tmp_path / "old" / "app.py").read_text() == "print('one')\n"
    assert (tmp_path / "new" / "app.py").read_text() == "print('two')\n"


async def test_a_force_pushed_branch_is_followed(repo, home):
    source = open_source(str(repo.path), home)
    repo.commit({"x": "1"})
    await source.resolve("main")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    rewritten = repo.commit({"y": "1"})
    assert (await source.resolve("main")).id == rewritten


async def test_a_deleted_branch_is_missing_and_a_branch_below_its_name_can_follow(repo, home):
    source = open_source(str(repo.path), home)
    repo.git("branch", "feature")
    await source.resolve("feature")
    repo.git("branch", "-D", "feature")
    repo.git("branch", "feature/login")
    failure = await failure_of(source.resolve("feature"))
    assert failure.message == f"The repository {repo.path} has no branch 'feature'."
    assert failure.hint == "Did you mean feature/login? Its branches: feature/login, main."
    assert (await source.resolve("feature/login")).branch == "feature/login"


async def test_a_branch_wins_over_a_tag_of_the_same_name(repo, home):
    repo.git("tag", "same")
    repo.git("checkout", "-q", "-b", "same")
    commit = repo.commit({"x": "1"})
    assert (await open_source(str(repo.path), home).resolve("same")).id == commit


async def test_a_tag_is_not_a_branch(repo, home):
    repo.git("tag", "-a", "-m", "one", "v1")
    assert "'v1' is a tag" in (await failure_of(open_source(str(repo.path), home).resolve("v1"))).message


async def test_a_name_that_is_no_branch_name_is_refused(repo, home):
    assert "not one that Git allows" in (await failure_of(open_source(str(repo.path), home).resolve("-x"))).message


async def test_branches_are_sorted_and_the_default_one_is_head_s(repo, home):
    repo.git("branch", "b/x")
    repo.git("checkout", "-q", "-b", "a")
    source = open_source(str(repo.path), home)
    assert await source.branches() == ("a", "b/x", "main")
    assert await source.default_branch() == "a"
    assert (await source.resolve("")).branch == "a"


async def test_at_most_200_branches_are_listed(repo, home):
    commit = repo.git("rev-parse", "HEAD")
    refs = "".join(f"{commit} refs/heads/b{number:03}\n" for number in range(250))
    (repo.path / ".git" / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted \n{refs}")
    branches = await open_source(str(repo.path), home).branches()
    assert len(branches) == 200


async def test_an_empty_repository_says_that_it_has_no_commits(make_repo, home):
    source = open_source(str(make_repo().path), home)
    for attempt in (source.resolve(""), source.resolve("main"), source.default_branch()):
        assert "has no commits yet" in (await failure_of(attempt)).message
    assert await source.branches() == ()


async def test_a_detached_head_away_from_every_branch_still_deploys_as_the_default(repo, home):
    repo.git("checkout", "-q", "--detach")
    source = open_source(str(repo.path), home)
    assert await source.default_branch() == "main"
    commit = repo.commit({"x": "1"})
    assert await source.default_branch() == ""
    revision = await source.resolve("")
    assert (revision.id, revision.branch) == (commit, "")


async def test_a_head_that_names_no_branch_falls_back_to_main(repo, home):
    repo.git("symbolic-ref", "HEAD", "refs/heads/gone")
    assert await open_source(str(repo.path), home).default_branch() == "main"


@pytest.mark.parametrize("shape", ["bare", "shallow", "worktree", "sha256", "git folder", "packed"])
async def test_repositories_of_every_shape(make_repo, home, tmp_path, shape):
    repo = make_repo({"app.py": "1"}, "origin", *(["--object-format=sha256"] if shape == "sha256" else []))
    newest = repo.commit({"app.py": "2"})
    place = repo.path
    branch = "main"
    if shape == "bare":
        place = tmp_path / "bare.git"
        repo.git("clone", "-q", "--bare", ".", str(place))
    elif shape == "shallow":
        place = tmp_path / "shallow"
        repo.git("clone", "-q", "--depth=1", f"file://{repo.path}", str(place))
    elif shape == "worktree":
        place = tmp_path / "worktree"
        branch = "side"
        repo.git("worktree", "add", "-q", "-b", "side", str(place))
    elif shape == "git folder":
        place = repo.path / ".git"
    elif shape == "packed":
        repo.git("gc", "-q")
    source = open_source(str(place), home)
    revision = await source.resolve("")
    assert (revision.id, revision.branch) == (newest, branch)
    await source.export(revision, tmp_path / "out")
    assert tree(tmp_path / "out") == {"app.py": "2"}
    assert await source.read(revision, "app.py") == b"2"


async def test_file_urls_and_odd_paths_work(make_repo, home):
    repo = make_repo({"a": "1"}, "odd: näme 'x' $(touch y) %41")
    for text in (str(repo.path), "file://" + str(repo.path).replace("%", "%25").replace(" ", "%20")):
        assert (await open_source(text, home).resolve("main")).title == "first"


async def test_a_file_is_read_through_links_inside_and_never_outside(make_repo, home, tmp_path):
    (tmp_path / "outside").write_text("secret")
    repo = make_repo()
    repo.write({"dir/real.yaml": "version: 1.0", "empty": ""})
    (repo.path / "apprunner.yaml").symlink_to("dir/real.yaml")
    (repo.path / "up").symlink_to("../outside")
    (repo.path / "away").symlink_to(tmp_path / "outside")
    (repo.path / "loop").symlink_to("loop")
    repo.commit({})
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    assert await source.read(revision, "apprunner.yaml") == b"version: 1.0"
    assert await source.read(revision, "./dir//real.yaml") == b"version: 1.0"
    assert await source.read(revision, "empty") == b""
    for absent in ("nothing", "dir", "dir/real.yaml/x", "up", "away", "loop", "a\nb", ""):
        assert await source.read(revision, absent) is None
    for bad in ("../outside", "dir/../../outside", "a\0b"):
        with pytest.raises(ValueError, match="not a path"):
            await source.read(revision, bad)


async def test_names_mark_folders_with_a_slash(repo, home):
    repo.commit({"Überraschung\t.txt": "", "lib/deep/x": ""})
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    assert await source.names(revision, "") == ("app.py", "lib/", "Überraschung\t.txt")
    assert await source.names(revision, "/lib/") == ("deep/", "tool.py")
    assert await source.names(revision, "nothing") == ()
    assert await source.names(revision, "app.py") == ()


async def test_a_revision_id_is_never_taken_as_an_option(repo, home, tmp_path):
    source = open_source(str(repo.path), home)
    for bad in ("--output=x", "HEAD", "main", "a" * 39, "dir-" + "a" * 40):
        with pytest.raises(ValueError, match="not a commit id"):
            await source.export(Revision(id=bad, kind="commit"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_an_existing_target_is_left_alone(repo, home, tmp_path):
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        await source.export(revision, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


async def test_submodules_and_lfs_are_announced_as_not_fetched(make_repo, home, tmp_path):
    library = make_repo({"lib.py": ""}, "library")
    repo = make_repo({"app.py": "", ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "vendor/library")
    repo.commit({})
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    assert len(revision.notices) == 2
    assert "vendor/library" in revision.notices[0]
    assert "Git LFS" in revision.notices[1]
    await source.export(revision, tmp_path / "out")
    assert list((tmp_path / "out" / "vendor" / "library").iterdir()) == []


async def test_only_the_newest_commit_of_the_wanted_branch_is_fetched(repo, home):
    repo.commit({"app.py": "2"})
    repo.git("checkout", "-q", "-b", "other")
    other = repo.commit({"app.py": "3"})
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    (mirror,) = home.mirrors.glob("*.git")
    assert repo.git(f"--git-dir={mirror}", "rev-list", "--count", revision.id) == "1"
    with pytest.raises(AssertionError):
        repo.git(f"--git-dir={mirror}", "cat-file", "-e", other)


async def test_a_missing_mirror_is_fetched_again_by_the_commit_s_id(repo, home, tmp_path):
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    repo.commit({"app.py": "2"})
    shutil.rmtree(home.mirrors)
    await source.export(revision, tmp_path / "out")
    assert (tmp_path / "out" / "app.py").read_text() == "print('one')\n"


async def test_a_commit_that_is_gone_everywhere_is_a_clear_failure(repo, home, tmp_path):
    gone = Revision(id="1" * 40, kind="commit")
    source = open_source(str(repo.path), home)
    await source.resolve("main")
    failure = await failure_of(source.export(gone, tmp_path / "out"))
    assert failure.message == f"That commit is no longer in {repo.path}."
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def corrupt_objects(mirror: Path) -> None:
    for place in (mirror / "objects").rglob("*"):
        if place.is_file():
            place.chmod(0o600)
            place.write_bytes(b"garbage")


def corrupt_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def corrupt_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n")


def corrupt_refs(mirror: Path) -> None:
    for place in (mirror / "refs" / "homerun").iterdir():
        place.write_text("nonsense\n")


def leave_locks(mirror: Path) -> None:
    (mirror / "shallow.lock").touch()
    for place in list((mirror / "refs" / "homerun").iterdir()):
        place.with_name(place.name + ".lock").touch()


@pytest.mark.parametrize("damage", [corrupt_objects, corrupt_head, corrupt_config, corrupt_refs, leave_locks])
async def test_a_damaged_mirror_is_made_again(repo, home, tmp_path, damage):
    source = open_source(str(repo.path), home)
    first = await source.resolve("main")
    (mirror,) = home.mirrors.glob("*.git")
    damage(mirror)
    await source.export(first, tmp_path / "first")
    damage(mirror)
    newest = repo.commit({"app.py": "2"})
    revision = await source.resolve("main")
    assert revision.id == newest
    await source.export(revision, tmp_path / "second")
    assert (tmp_path / "second" / "app.py").read_text() == "2"


async def test_a_damaged_source_fails_with_git_s_own_words(repo, home):
    source = open_source(str(repo.path), home)
    corrupt_objects(repo.path / ".git")
    failure = await failure_of(source.resolve("main"))
    assert failure.kind is FailureKind.SOURCE
    assert failure.message.startswith(f"Git failed on {repo.path}: ")
    assert "corrupt" in failure.message
    assert failure.evidence


async def test_many_services_share_a_mirror_at_once(repo, home, tmp_path):
    async def deploy(number: int) -> str:
        source = open_source(str(repo.path), home)
        revision = await source.resolve("main")
        await source.export(revision, tmp_path / f"out{number}")
        return revision.id

    assert len(set(await asyncio.gather(*(deploy(number) for number in range(6))))) == 1
    assert len(list(home.mirrors.glob("*.git"))) == 1
    assert all(tree(tmp_path / f"out{number}") == tree(tmp_path / "out0") for number in range(6))


async def test_a_mirror_is_private_and_says_whose_copy_it_is(repo, home):
    await open_source(str(repo.path), home).resolve("main")
    (mirror,) = home.mirrors.glob("*.git")
    assert mirror.stat().st_mode & 0o777 == 0o700
    assert home.mirrors.stat().st_mode & 0o777 == 0o700
    assert {place.stat().st_mode & 0o777 for place in home.mirrors.iterdir() if place.is_file()} == {0o600}
    assert (mirror / "description").read_text() == f"Homerun's copy of {repo.path}\n"


async def test_the_source_repository_is_only_read(repo, home, tmp_path):
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(place): (place.lstat().st_mtime_ns, place.lstat().st_ino)
            for place in (repo.path, *repo.path.rglob("*"))
            if place.name != "objects"
        }

    before = state()
    source = open_source(str(repo.path), home)
    await source.branches()
    await source.export(await source.resolve("main"), tmp_path / "out")
    assert state() == before


async def test_a_home_inside_a_work_tree_does_not_take_that_repository_s_settings(make_repo, tmp_path, home):
    around = make_repo({"x": "1"}, "around")
    around.git("config", f"url.{tmp_path}/elsewhere.insteadOf", str(tmp_path / "repo"))
    repo = make_repo({"app.py": "1"})
    inner = type(home)(path=around.path / ".homerun")
    assert (await open_source(str(repo.path), inner).resolve("")).title == "first"


async def test_a_home_that_cannot_be_written_is_a_disk_failure(repo, home, tmp_path):
    home.path.mkdir()
    home.mirrors.write_text("a file where a folder should be")
    failure = await failure_of(open_source(str(repo.path), home).resolve("main"))
    assert failure.kind is FailureKind.DISK
    assert failure.message.endswith("File exists.")


async def test_a_full_disk_is_named_and_what_was_half_written_is_gone(repo, home, small_disk, tmp_path):
    (repo.path / "big").write_bytes(os.urandom(2_000_000))
    repo.commit({})
    full = open_source(str(repo.path), type(home)(path=small_disk / "home"))
    failure = await failure_of(full.resolve("main"))
    assert (failure.kind, failure.message) == (FailureKind.DISK, f"The disk is full: {repo.path} could not be stored.")
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    shutil.rmtree(small_disk / "home")
    failure = await failure_of(source.export(revision, small_disk / "out"))
    assert failure.kind is FailureKind.DISK
    assert failure.message.startswith("The disk is full")
    assert list(small_disk.iterdir()) == []


async def test_git_that_is_not_installed_is_a_clear_failure(repo, home, monkeypatch, tmp_path):
    source = open_source(str(repo.path), home)
    monkeypatch.setenv("PATH", str(tmp_path))
    failure = await failure_of(source.resolve("main"))
    assert failure.message == "Git cannot be started: it is not installed or not on PATH."


async def test_small_fetches_are_packed_once_they_pile_up(repo, home, monkeypatch):
    monkeypatch.setattr("engine.source.mirror._LOOSE_MOST", -1)
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    (mirror,) = home.mirrors.glob("*.git")
    assert list((mirror / "objects" / "pack").glob("*.pack"))
    assert await source.read(revision, "app.py") == b"print('one')\n"


@pytest.mark.parametrize("delay_s", [0, 0.001, 0.002, 0.004])
async def test_cancelling_an_export_leaves_the_whole_copy_or_nothing(repo, home, tmp_path, delay_s):
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    task = asyncio.ensure_future(source.export(revision, tmp_path / "out"))
    await asyncio.sleep(delay_s)
    task.cancel()
    await asyncio.wait({task})
    assert [place.name for place in tmp_path.iterdir() if "out" in place.name] == ([] if task.cancelled() else ["out"])


def test_the_subfolder_of_a_repository_names_itself(repo, home):
    source = open_source(str(repo.path / "lib"), home)
    assert isinstance(source, GitSource)
    assert source.subfolder == "lib"
    assert source.location.url == str(repo.path)
