"""What Bundler and Go need of a source in order to fetch dependencies. Pure."""

import re

from engine.build.install_around import Needs, Surroundings, is_archive

_JOBS = re.compile(r"--(?:jobs|retry)(?:=\d+)?|-j\d*|-r\d*|\d+|--quiet|--without(?:=[\w:]+)?|development|test")
_QUOTED = r"(?:\"[\w .~><=!/-]+\"|'[\w .~><=!/-]+')"
_VALUE = rf"(?:true|false|:\w+|{_QUOTED}|%i\[[\w ]*\]|\[[\w:,\s\"'/-]*\])"
_OPTION = rf"(?:(?:require|groups?|platforms?):\s*{_VALUE}|:(?:require|groups?|platforms?)\s*=>\s*{_VALUE})"
_GEM_LINE = re.compile(
    rf"end|source\s+[\"']https://[^\"'#]+[\"']|ruby\s+{_QUOTED}|(?:group|platforms?)\s+:\w+(?:\s*,\s*:\w+)*\s+do"
    rf"|gem\s+{_QUOTED}(?:\s*,\s*(?:{_QUOTED}|{_OPTION}))*"
)
_GEM = re.compile(r"[\w-]+(?::[\w.]+)?")
_GEM_FLAG = re.compile(r"--no-document|-N|-v|--version|--version=[\w.]+|[\d.]+|--quiet|-q")


def other_needs(words: tuple[str, ...], around: Surroundings) -> Needs | None:
    """The files that such a command reads; None for another command, or one that may read more."""
    match words:
        case ("bundle", "install", *options) if all(_JOBS.fullmatch(option) for option in options):
            return _gems(around)
        case ("gem", "install", *asked) if asked and all(_is_gem(word) for word in asked):
            return frozenset()
        case ("go", "mod", "download"):
            return _modules(around)
    return None


def _is_gem(word: str) -> bool:
    return bool(_GEM_FLAG.fullmatch(word) or _GEM.fullmatch(word)) and not is_archive(word)


def _gems(around: Surroundings) -> Needs | None:
    """A Gemfile is a program: only one of the simplest lines says all it needs."""
    needed = frozenset({"Gemfile", "Gemfile.lock"})
    if not needed <= around.names or {".bundle", "vendor", "gems.rb"} & around.names:
        return None
    text, lock = around.files.get("Gemfile"), around.files.get("Gemfile.lock")
    if text is None or lock is None or re.search(r"^PATH\s*$", lock, re.MULTILINE):
        return None
    lines = [re.sub(r"(?:^|\s)#.*", "", line).strip() for line in text.splitlines()]
    return needed if all(not line or _GEM_LINE.fullmatch(line) for line in lines) else None


def _modules(around: Surroundings) -> Needs | None:
    needed = frozenset({"go.mod", "go.sum"})
    if not needed <= around.names or "go.work" in around.names | around.above:
        return None
    text = around.files.get("go.mod")
    if text is None or re.search(r"=>\s*[\"'`]?(?:\.|/)", text):
        return None
    return needed
