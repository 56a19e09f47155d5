"""Nothing that a repository, a configuration or a URL plants is ever run, and nothing leaves the copy."""

import os
from pathlib import Path

import pytest

from engine.model.errors import DeployError, FailureKind
from engine.source.git import GitSource
from engine.source.location import Location
from engine.source.open import open_source

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

HOOKS = ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc", "post-merge", "post-rewrite")


@pytest.fixture
def trap(tmp_path: Path):
    """A program that leaves a mark when it is run, whatever its arguments."""
    folder = tmp_path / "trap"
    folder.mkdir()
    program = folder / "spring"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {folder}/sprung\ncat\n')
    program.chmod(0o755)

    class Trap:
        path = str(program)

        def plant_hooks(self, hooks: Path) -> None:
            hooks.mkdir(parents=True, exist_ok=True)
            for name in HOOKS:
                (hooks / name).write_text(program.read_text())
                (hooks / name).chmod(0o755)

        def sprung(self) -> str:
            mark = folder / "sprung"
            return mark.read_text() if mark.exists() else ""

    return Trap()


async def deploy(url: str, home, target: Path) -> None:
    source = open_source(url, home)
    revision = await source.resolve("")
    await source.branches()
    await source.names(revision, "")
    await source.read(revision, "app.py")
    await source.export(revision, target)


async def test_hooks_in_source_mirror_and_template_never_run(repo, home, tmp_path, trap, monkeypatch):
    trap.plant_hooks(repo.path / ".git" / "hooks")
    trap.plant_hooks(tmp_path / "template" / "hooks")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    await deploy(str(repo.path), home, tmp_path / "one")
    (mirror,) = home.mirrors.glob("*.git")
    assert not (mirror / "hooks").exists()
    trap.plant_hooks(mirror / "hooks")
    repo.git("-c", "core.hooksPath=/dev/null", "commit", "-q", "--allow-empty", "-m", "second")
    await deploy(str(repo.path), home, tmp_path / "two")
    assert trap.sprung() == ""


async def test_the_trap_works_where_git_is_run_carelessly(repo, tmp_path, trap):
    """The tests around this one would prove nothing with a trap that never springs."""
    trap.plant_hooks(repo.path / ".git" / "hooks")
    repo.git("checkout", "-q", "-b", "other")
    assert "post-checkout" in trap.sprung()


async def test_settings_in_a_source_never_run_anything(make_repo, home, tmp_path, trap):
    repo = make_repo({"app.py": "kept as it is", ".gitattributes": "* filter=x diff=x\n*.py text eol=lf\n"})
    for name in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.alternateRefsCommand",
        "uploadpack.packObjectsHook",
        "filter.x.smudge",
        "filter.x.process",
        "diff.x.textconv",
        "credential.helper",
    ):
        repo.git("config", name, trap.path)
    for command in ("fetch", "upload-pack", "ls-remote", "read-tree", "cat-file"):
        repo.git("config", f"alias.{command}", f"!{trap.path}")
    await deploy(str(repo.path), home, tmp_path / "out")
    await deploy(str(repo.path / "."), home, tmp_path / "again")
    assert trap.sprung() == ""
    assert (tmp_path / "out" / "app.py").read_text() == "kept as it is"


async def test_filters_and_templates_in_the_user_s_configuration_never_run(  # noqa: PLR0917 - fixtures
    repo, home, tmp_path, trap, git_server, monkeypatch
):
    """Over the network the user's configuration is read, as it says how to authenticate, but not for the copy."""
    repo.commit({".gitattributes": "* filter=lfs\n"})
    trap.plant_hooks(tmp_path / "template" / "hooks")
    trap.plant_hooks(tmp_path / "hooks")
    configuration = tmp_path / "gitconfig"
    commands = f"fsmonitor = {trap.path}\n pager = {trap.path}\n askPass = {trap.path}\n"
    configuration.write_text(
        f'[filter "lfs"]\n smudge = {trap.path}\n process = {trap.path}\n required = true\n'
        f"[core]\n hooksPath = {tmp_path}/hooks\n {commands}"
        f"[init]\n templateDir = {tmp_path}/template\n[gc]\n auto = 1\n autoDetach = false\n"
        f"[fetch]\n recurseSubmodules = true\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("GIT_ASKPASS", trap.path)
    monkeypatch.setenv("SSH_ASKPASS", trap.path)
    await deploy(f"{git_server.url}/repo", home, tmp_path / "out")
    git_server.credentials = "ada:secret"
    with pytest.raises(DeployError, match="credentials"):
        await deploy(f"{git_server.url}/repo", home, tmp_path / "out2")
    assert trap.sprung() == ""
    assert (tmp_path / "out" / "app.py").read_text() == "print('one')\n"


async def test_variables_that_would_redirect_git_have_no_effect(  # noqa: PLR0917 - fixtures
    repo, make_repo, home, tmp_path, monkeypatch, trap
):
    other = make_repo({"wrong.py": ""}, "other")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", trap.path)
    monkeypatch.setenv("GIT_PROXY_COMMAND", trap.path)
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor={trap.path}'")
    await deploy(str(repo.path), home, tmp_path / "out")
    assert (tmp_path / "out" / "app.py").exists()
    assert not (tmp_path / "index").exists()
    assert not (tmp_path / "objects").exists()
    assert trap.sprung() == ""


@pytest.mark.parametrize(
    "text", ["ext::{trap}", "ext::sh -c {trap}% %S", "--upload-pack={trap}", "ssh://-oProxyCommand={trap}/x", "fd::3"]
)
def test_urls_that_run_commands_are_refused(text, home, trap):
    with pytest.raises(DeployError) as caught:
        open_source(text.format(trap=trap.path), home)
    assert caught.value.failure.kind is FailureKind.SOURCE
    assert trap.sprung() == ""


async def test_even_past_the_url_check_git_itself_refuses_transport_helpers(home, trap):
    source = GitSource(Location(protocol="https", url=f"ext::{trap.path}"), home)
    with pytest.raises(DeployError, match="transport that Homerun does not use"):
        await source.resolve("main")
    assert trap.sprung() == ""


async def test_a_configuration_cannot_send_a_url_to_a_transport_helper(home, trap, monkeypatch, tmp_path):
    configuration = tmp_path / "gitconfig"
    configuration.write_text(f'[url "ext::{trap.path} "]\n insteadOf = https://\n[protocol "ext"]\n allow = always\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    with pytest.raises(DeployError, match="transport that Homerun does not use"):
        await open_source("https://host.invalid/app", home).resolve("main")
    assert trap.sprung() == ""


@pytest.mark.parametrize(
    ("link", "text"),
    [("up", "../outside"), ("away", "/etc/passwd"), ("deep/up", "../../outside"), ("root", "/")],
)
async def test_a_link_that_leads_out_is_refused_and_leaves_nothing(make_repo, home, tmp_path, link, text):
    repo = make_repo()
    repo.write({"deep/x": "", "app.py": ""})
    (repo.path / link).symlink_to(text)
    repo.commit({})
    source = open_source(str(repo.path), home)
    revision = await source.resolve("main")
    with pytest.raises(DeployError) as caught:
        await source.export(revision, tmp_path / "out")
    failure = caught.value.failure
    assert failure.message == f"The symbolic link {link} leads out of the source, to {text}."
    assert failure.evidence == (f"{link} -> {text}",)
    assert [place.name for place in tmp_path.iterdir() if "out" in place.name] == []


async def test_links_that_only_together_lead_out_are_refused(make_repo, home, tmp_path):
    repo = make_repo()
    repo.write({"a/b/x": ""})
    (repo.path / "a" / "b" / "top").symlink_to("../..")
    (repo.path / "out").symlink_to("a/b/top/..")
    repo.commit({})
    source = open_source(str(repo.path), home)
    with pytest.raises(DeployError, match="The symbolic link out leads out"):
        await source.export(await source.resolve("main"), tmp_path / "copy")


async def test_a_tree_that_writes_through_a_link_or_into_dot_git_stays_inside(repo, home, tmp_path):
    """Trees that git would never make itself: a file below a link, and a .git folder."""
    (tmp_path / "victim").mkdir()
    blob = repo.git("hash-object", "-w", "app.py")
    (repo.path / "text").write_text("../victim")
    link = repo.git("hash-object", "-w", "text")

    def made(listing: bytes) -> str:
        place = repo.path / "listing"
        place.write_bytes(listing)
        return repo.git("hash-object", "-w", "-t", "tree", "--literally", "listing")

    inner = made(b"100755 evil\0" + bytes.fromhex(blob))
    outcomes = []
    for listing in (
        b"120000 x\0" + bytes.fromhex(link) + b"40000 x\0" + bytes.fromhex(inner),
        b"40000 .git\0" + bytes.fromhex(inner),
        b"40000 ..\0" + bytes.fromhex(inner),
        b"100644 ../victim/evil\0" + bytes.fromhex(blob),
    ):
        commit = repo.git("commit-tree", "-m", "evil", made(listing))
        repo.git("update-ref", "refs/heads/main", commit)
        source = open_source(str(repo.path), home)
        copy = tmp_path / f"copy{len(outcomes)}"
        try:
            await source.export(await source.resolve("main"), copy)
            outcomes.append("exported")
        except DeployError:
            outcomes.append("refused")
        assert not list((tmp_path / "victim").iterdir())
        assert not (copy / ".git").exists()
    assert outcomes[1:] == ["refused"] * 3  # of the first one git may keep the link or the folder


async def test_nobody_is_asked_for_a_password(home, tmp_path, monkeypatch):
    """The ssh command gets no terminal to ask on, no program to ask with, and says why it failed."""
    fake = tmp_path / "bin" / "ssh"
    fake.parent.mkdir()
    fake.write_text(
        f"#!/bin/sh\nenv > {tmp_path}/env\n(: < /dev/tty) 2> {tmp_path}/tty && echo terminal > {tmp_path}/tty\n"
        "echo 'git@host: Permission denied (publickey).' >&2\nexit 255\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_ASKPASS", "/usr/bin/ask")
    with pytest.raises(DeployError) as caught:
        await open_source("git@host.example:owner/app.git", home).resolve("main")
    assert caught.value.failure.message == (
        "The host host.example accepted no ssh key for git@host.example:owner/app.git."
    )
    environment = (tmp_path / "env").read_text()
    assert "SSH_ASKPASS_REQUIRE=never" in environment
    assert "/usr/bin/ask" not in environment
    assert (tmp_path / "tty").read_text().strip() != "terminal"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_a_repository_of_another_user_can_be_read(repo, home, tmp_path):
    for place in (repo.path, *repo.path.rglob("*")):
        os.chown(place, 4242, 4242)
    await deploy(str(repo.path), home, tmp_path / "out")
    assert (tmp_path / "out" / "app.py").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("section", ['[remote "x"]\n promisor = true\n', "[include]\n path = elsewhere\n"])
def test_one_that_could_run_its_owner_s_commands_is_refused(repo, home, section):
    with (repo.path / ".git" / "config").open("a") as file:
        file.write(section)
    os.chown(repo.path / ".git", 4242, 4242)
    with pytest.raises(DeployError, match="belongs to another user"):
        open_source(str(repo.path), home)


async def test_ssh_urls_deploy_with_the_user_s_own_ssh_command(repo, home, tmp_path, monkeypatch):
    """A stand-in for ssh that runs what the far side would."""
    stand_in = tmp_path / "far"
    stand_in.write_text('#!/bin/sh\nfor last; do :; done\nunset GIT_CONFIG_COUNT\nexec sh -c "$last"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(stand_in))
    monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")
    for number, url in enumerate((f"ssh://git@host.example{repo.path}", f"git@host.example:{repo.path}")):
        await deploy(url, home, tmp_path / f"out{number}")
        assert (tmp_path / f"out{number}" / "app.py").exists()
