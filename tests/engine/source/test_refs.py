"""Branch names, and what a remote's list of refs says."""

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.model.errors import DeployError
from engine.source.refs import Listing, check_branch, default_branch, missing_branch, parse_listing

A, B = "a" * 40, "b" * 40


@pytest.mark.parametrize("branch", ["main", "feature/login", "v1.2", "a-b", "été", "@x", "x@", "refs/heads/odd"])
def test_names_that_git_allows(branch):
    check_branch(branch)


REFUSED = (
    *(
        "",
        "-b",
        "--upload-pack=x",
        "HEAD",
        "@",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "/a",
        "a/",
    ),
    *("a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a@{1}", "a\n", "a\x7f", "\ud800", "x" * 2000),
)


@pytest.mark.parametrize("branch", REFUSED)
def test_names_that_git_refuses(branch):
    with pytest.raises(DeployError) as caught:
        check_branch(branch)
    assert caught.value.failure.message.isprintable()


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab.-/@{~^:?*[\\ \x01lock"), min_size=1, max_size=8))
@example("a.lock/b")
@example("a/-b")
def test_the_rules_are_git_s_own(branch):
    """Git itself is the judge."""
    judged = subprocess.run(["git", "check-ref-format", "--branch", branch], capture_output=True, check=False)
    if branch.startswith("@{-"):
        return  # git expands those here, they name no branch
    try:
        check_branch(branch)
        allowed = True
    except DeployError:
        allowed = False
    assert allowed == (judged.returncode == 0 and branch != "@")


def test_a_listing_is_read_with_its_head_branches_and_tags():
    listing = parse_listing(
        f"ref: refs/heads/trunk\tHEAD\n{A}\tHEAD\n{A}\trefs/heads/trunk\n{B}\trefs/heads/f/x\n"
        f"{B}\trefs/tags/v1\n{A}\trefs/tags/v1^{{}}\nref: refs/remotes/origin/x\trefs/remotes/origin/HEAD\n"
        f"{B}\trefs/remotes/origin/HEAD\n"
    )
    assert listing == Listing(branches={"trunk": A, "f/x": B}, head="trunk", head_commit=A, tags=frozenset({"v1"}))


@pytest.mark.parametrize(
    ("listing", "branch"),
    [
        (Listing(branches={"main": A, "dev": B}, head="dev", head_commit=B), "dev"),
        (Listing(branches={"main": A, "dev": B}, head_commit=B), "dev"),
        (Listing(branches={"main": A, "aaa": A}, head_commit=A), "main"),
        (Listing(branches={"main": A}, head_commit=B), ""),
        (Listing(branches={"main": A, "dev": B}, head="gone"), "main"),
        (Listing(branches={"dev": B}, head="gone"), "dev"),
        (Listing(branches={"x": A, "y": B}, head="gone"), ""),
        (Listing(branches={}), ""),
    ],
)
def test_the_default_branch_is_what_a_clone_checks_out(listing, branch):
    assert default_branch(listing) == branch


def test_a_missing_branch_suggests_the_nearest_and_lists_ten():
    branches = {f"feature-{number:02}": A for number in range(12)} | {"main": A}
    failure = missing_branch("Mian", Listing(branches=branches, head="main", head_commit=A), "/srv/app").failure
    assert failure.message == "The repository /srv/app has no branch 'Mian'."
    assert failure.hint.startswith("Did you mean main? Its branches: feature-00, ")
    assert failure.hint.endswith("feature-09 and 3 more.")


def test_a_tag_is_told_from_a_branch():
    listing = Listing(branches={"main": A}, tags=frozenset({"v1"}))
    assert "'v1' is a tag" in missing_branch("v1", listing, "/srv/app").failure.message


def test_an_empty_repository_says_so():
    assert "no commits yet" in missing_branch("main", Listing(branches={}, head="main"), "/srv/app").failure.message
