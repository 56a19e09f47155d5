"""Reading cat-file's answers and commit objects, however odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.source.commit import Reply, notices_of, parse_commit, parse_replies

ID = "a" * 40


def commit(message: bytes, author: str = "Ada <a@b> 1700000000 +0100", extra: bytes = b"") -> bytes:
    return f"tree {ID}\nauthor {author}\ncommitter Bob <b@c> 1700000100 +0000\n".encode() + extra + b"\n" + message


def test_replies_of_every_kind():
    answer = f"{ID} blob 3\na\nb\n{ID} tree 0\n\nx:gone missing\n".encode() + b"dangling 4\nx:up\nsymlink 2\n..\n"
    assert parse_replies(answer) == (
        Reply(id=ID, kind="blob", content=b"a\nb"),
        Reply(id=ID, kind="tree", content=b""),
        Reply(id="x:gone", kind="missing"),
        Reply(id="", kind="dangling", content=b"x:up"),
        Reply(id="", kind="symlink", content=b".."),
    )


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(min_value=1, max_value=60))
def test_contents_come_back_whole_and_a_cut_answer_is_noticed(contents, cut):
    answer = b"".join(b"%b blob %d\n%b\n" % (ID.encode(), len(content), content) for content in contents)
    assert [reply.content for reply in parse_replies(answer)] == contents
    last = len(contents[-1]) + 1 if contents else 0
    if 0 < cut <= last:
        with pytest.raises(ValueError):
            parse_replies(answer[:-cut])


def test_a_title_is_the_first_paragraph_on_one_line():
    revision = parse_commit(ID, commit(b"\n  One\ntwo\n\nbody\n"), "main", ("note",))
    assert (revision.title, revision.author, revision.at) == ("One two", "Ada", 1700000100.0)
    assert (revision.id, revision.branch, revision.notices) == (ID, "main", ("note",))


@pytest.mark.parametrize(
    ("encoding", "message", "title"),
    [
        (b"", "Grüße".encode(), "Grüße"),
        (b"encoding ISO-8859-1\n", "Grüße".encode("latin-1"), "Grüße"),
        (b"encoding nonsense\n", b"plain", "plain"),
        (b"", b"\xff\xfe", "\ufffd\ufffd"),
        (b"", b"", ""),
    ],
)
def test_messages_in_any_encoding(encoding, message, title):
    assert parse_commit(ID, commit(message, extra=encoding), "", ()).title == title


@pytest.mark.parametrize("author", ["", "nobody", "A <a> x +0"])
def test_broken_people_are_left_out(author):
    assert parse_commit(ID, commit(b"x", author=author), "", ()).author == ""


def test_long_titles_are_cut():
    assert len(parse_commit(ID, commit(b"x" * 10_000), "", ()).title) == 500


@pytest.mark.parametrize(
    ("attributes", "count"),
    [(b"*.bin filter=lfs -text\n", 1), (b"# *.bin filter=lfs\n", 0), (b"* filter=lfsx\n", 0), (b"", 0)],
)
def test_lfs_is_noticed(attributes, count):
    assert len(notices_of(b"", attributes)) == count
