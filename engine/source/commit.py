"""What `git cat-file --batch` and a commit object say. Pure."""

import re

from engine.model.base import Value
from engine.model.version import Revision

_TITLE_MOST = 500
_PERSON = re.compile(r"(?P<name>.*?) ?<[^>]*> (?P<at>-?[0-9]+) [+-][0-9]{4}")
_SUBMODULE = re.compile(r"^\s*path\s*=\s*(.+?)\s*$", re.MULTILINE)
_LFS = re.compile(r"^[^#\n]*\sfilter=lfs(\s|$)", re.MULTILINE)


class Reply(Value, frozen=True, kw_only=True):
    """One answer of `git cat-file --batch`."""

    id: str
    kind: str
    """commit, tree, blob, tag; or why there is nothing: missing, dangling, notdir, loop, symlink (leads outside)."""
    content: bytes = b""


def parse_replies(answer: bytes) -> tuple[Reply, ...]:
    """Raises ValueError when the answer is cut off."""
    replies: list[Reply] = []
    position = 0
    while position < len(answer):
        end = answer.index(b"\n", position)
        header = answer[position:end].decode("utf-8", "replace")
        position = end + 1
        first, _, last = header.rpartition(" ")
        if last in {"missing", "ambiguous"}:
            replies.append(Reply(id=first, kind="missing"))
            continue
        size = int(last)
        content = answer[position : position + size]
        position += size + 1
        if position > len(answer):
            raise ValueError("the answer of git cat-file is cut off")
        name, _, kind = first.rpartition(" ")
        # With --follow-symlinks the header of a link that leads nowhere is "<why> <length>".
        replies.append(Reply(id=name, kind=kind, content=content))
    return tuple(replies)


def parse_commit(commit_id: str, content: bytes, branch: str, notices: tuple[str, ...]) -> Revision:
    """A Revision from a raw commit object. Its text may be anything and in any encoding."""
    head, _, message = content.partition(b"\n\n")
    headers: dict[str, bytes] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        headers.setdefault(name.decode("ascii", "replace"), value)
    encoding = headers.get("encoding", b"utf-8").decode("ascii", "replace")
    author = _PERSON.fullmatch(_decoded(headers.get("author", b""), encoding))
    committer = _PERSON.fullmatch(_decoded(headers.get("committer", b""), encoding))
    paragraph = _decoded(message, encoding).strip().partition("\n\n")[0]
    return Revision(
        id=commit_id,
        kind="commit",
        branch=branch,
        title=" ".join(paragraph.split())[:_TITLE_MOST],
        author=author["name"] if author else "",
        at=float(committer["at"]) if committer else None,
        notices=notices,
    )


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def notices_of(gitmodules: bytes, gitattributes: bytes) -> tuple[str, ...]:
    """What a copy of the commit will lack, one sentence each."""
    notices: list[str] = []
    if paths := _SUBMODULE.findall(gitmodules.decode("utf-8", "replace")):
        notices.append(
            f"Git submodules are not fetched: {', '.join(paths[:5])}{' …' if len(paths) > 5 else ''} "
            f"will be empty. A build command can clone them."
        )
    if _LFS.search(gitattributes.decode("utf-8", "replace")):
        notices.append("Files kept in Git LFS are not fetched: the copy holds their small pointer files instead.")
    return tuple(notices)
