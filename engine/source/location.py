"""What a RepositoryUrl means: its transport, host and path, and which ones are refused. Pure: nothing is looked up."""

import re
from typing import NoReturn
from urllib.parse import unquote

from engine.model.base import Value
from engine.model.errors import DeployError, FailureKind

_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")
_AUTHORITY = re.compile(r"([^/?#]*)(.*)")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][\w.-]*)(?::([0-9]{1,5}))?")
_SCP_HOST = re.compile(r"(?:([^@]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][\w.-]*)")
_SSH_USER = re.compile(r"[A-Za-z0-9_][\w.+-]*")
_WEB_PAGE = re.compile(r"/([^/]+/[^/]+)(?:/-)?/(?:tree|blob|src)/([^/]+)/?(.*)")
_SCHEMES = {
    "https": "https",
    "http": "http",
    "ssh": "ssh",
    "git+ssh": "ssh",
    "ssh+git": "ssh",
    "git": "git",
    "file": "file",
}
_FORMS = "Use https://host/owner/repository, git@host:owner/repository, ssh://…, git://…, file:///path or a path."

_URL_SECRET = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<rest>[^\s'\"<>]*)")
_SCP_SECRET = re.compile(r"(?<![^\s'\"])[^/@:\s'\"]+:[^/@\s'\"]+@(?=[^\s'\"]+:)")
_MASK = "***"


class Location(Value, frozen=True, kw_only=True):
    """Where a repository is. `url` is what git is given and never holds credentials; those stand apart."""

    protocol: str
    """https, http, ssh, git, or file for a path."""
    url: str
    """A URL or scp-like address; for `file` the path as it was written ("~/app", "../app", "/srv/app")."""
    host: str = ""
    username: str = ""
    """Of an http(s) URL only. Many sites take a token here, so it is a secret too."""
    password: str = ""

    @property
    def is_local(self) -> bool:
        return self.protocol == "file"

    @property
    def display(self) -> str:
        """For messages and logs."""
        return self.url if self.is_local else redacted(self.url)

    @property
    def origin(self) -> str:
        """Scheme, host and port of an http(s) URL: whom the credentials are for."""
        return "/".join(self.url.split("/", 3)[:3])

    def __repr__(self) -> str:
        return f"Location({self.display!r})"


def redacted(text: str) -> str:
    """The text with the credentials and queries of every URL in it masked. Errs on the side of masking."""
    return _SCP_SECRET.sub(f"{_MASK}@", _URL_SECRET.sub(_masked, text))


def _masked(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    rest, question, _ = rest.partition("?")
    authority, slash, path = rest.partition("/")
    port = authority.rpartition(":")[2] if ":" in authority else ""
    if "@" not in authority and "@" in path and port and not port.isdigit() and not authority.startswith("["):
        # An unescaped slash in a password: the real host comes after the last @.
        authority, slash, path = rest, "", ""
    user, at, host = authority.rpartition("@")
    plain_user = scheme.lower() in {"ssh", "git+ssh", "ssh+git"} and ":" not in user
    shown = authority if not at or plain_user else f"{_MASK}@{host}"
    return f"{scheme}://{shown}{slash}{path}" + (f"?{_MASK}" if question else "")


def parse_location(repository_url: str) -> Location:
    """Classify a RepositoryUrl. Raises DeployError of kind SOURCE for one that is malformed or not allowed."""
    text = repository_url.strip()
    if not text:
        _refuse("The repository URL is empty.", _FORMS)
    if not text.isprintable():
        _refuse("The repository URL contains control or invisible characters.", "Type it again instead of pasting it.")
    if text.startswith("-"):
        _refuse(f"The repository URL {redacted(text)} begins with a dash, as an option does.", _FORMS)
    if _HELPER.match(text):
        name = text.partition("::")[0]
        _refuse(f"The repository URL names the Git transport helper {name}::, which Homerun never runs.", _FORMS)
    if scheme := _SCHEME.fullmatch(text):
        return _from_url(scheme[1].lower(), scheme[2], text)
    before_slash = text.partition("/")[0]
    if ":" in before_slash and not text.startswith("~"):
        return _from_scp(text)
    return Location(protocol="file", url=text)


def _from_url(scheme: str, rest: str, text: str) -> Location:
    protocol = _SCHEMES.get(scheme)
    if protocol is None:
        hint = "Leave out git+." if scheme in {"git+https", "git+http", "git+file"} else _FORMS
        _refuse(f"Homerun cannot fetch from {scheme}:// URLs.", hint)
    parts = _AUTHORITY.fullmatch(rest)
    if parts is None:
        raise AssertionError("unreachable: the pattern takes every text")
    userinfo, at, address = parts[1].rpartition("@")
    tail = parts[2]
    if protocol == "file":
        return _from_file_url(parts[1], tail)
    if "@" in tail or " " in rest:
        # Most likely an unescaped "/", "?" or "#" in a password, so nothing of it is repeated here.
        _refuse(
            f"The {scheme}:// URL of the repository has a space or an @ in the wrong place.",
            "Percent-encode special characters: %20 for a space, %40 for @, %2F for a slash in a password.",
        )
    host = _HOST.fullmatch(address)
    if host is None or (host[2] and not 0 < int(host[2]) < 65536):
        _refuse(
            f"The repository URL has no valid host name after {scheme}://.",
            _FORMS,
        )
    path, hash_mark, _ = tail.partition("#")
    if hash_mark:
        _refuse(
            f"The repository URL {redacted(text.partition('#')[0])} ends in a # part.", "Give the branch by itself."
        )
    path = path.rstrip("/")
    if not path:
        _refuse(f"The repository URL {redacted(text)} names a host but no repository.", _FORMS)
    if protocol == "ssh":
        return _from_ssh_url(userinfo, at, address, path, host[1])
    if protocol == "git":
        if at:
            _refuse(
                f"The repository URL {redacted(text)} has credentials, which git:// does not know.", "Use https://."
            )
        return Location(protocol="git", url=f"git://{address.lower()}{path}", host=host[1].lower())
    return _from_web_url(protocol, userinfo, address.lower(), path, host[1].lower())


def _from_web_url(protocol: str, userinfo: str, address: str, path: str, host: str) -> Location:
    if page := _WEB_PAGE.fullmatch(path):
        folder = f" and the source directory /{page[3]}" if page[3] else ""
        _refuse(
            f"The URL {redacted(f'{protocol}://{address}{path}')} is a page about a repository, not the repository.",
            f"Use {protocol}://{address}/{page[1]} with the branch {page[2]}{folder}.",
        )
    username, _, password = userinfo.partition(":")
    username, password = unquote(username), unquote(password)
    if not (username + password).isprintable():
        # The credential protocol is made of lines: a line break would smuggle in other attributes.
        _refuse(
            "The credentials in the repository URL contain control characters.", "Percent-encode only what must be."
        )
    return Location(
        protocol=protocol, url=f"{protocol}://{address}{path}", host=host, username=username, password=password
    )


def _from_ssh_url(userinfo: str, at: str, address: str, path: str, host: str) -> Location:
    if ":" in userinfo:
        _refuse("The repository URL has a password, which ssh does not take from a URL.", "Use a key and ssh-agent.")
    if at and not _SSH_USER.fullmatch(userinfo):
        _refuse("The repository URL has no valid user name before the @.", _FORMS)
    return Location(protocol="ssh", url=f"ssh://{userinfo}{at}{address}{path}", host=host)


def _from_scp(text: str) -> Location:
    end = text.find("]:") + 1 or text.index(":")
    match, path = _SCP_HOST.fullmatch(text[:end]), text[end + 1 :]
    if match is None or (match[1] is not None and not _SSH_USER.fullmatch(match[1])):
        _refuse("The repository URL looks like user@host:path but has no valid user and host.", _FORMS)
    if "@" in path.partition("/")[0]:
        _refuse("The repository URL has a password, which ssh does not take from a URL.", "Use a key and ssh-agent.")
    path = path.rstrip("/")
    if not path or path.startswith("-"):
        _refuse(f"The repository URL {text} names a host but no repository.", _FORMS)
    prefix = f"{match[1]}@" if match[1] is not None else ""
    return Location(protocol="ssh", url=f"{prefix}{match[2]}:{path}", host=match[2])


def _from_file_url(authority: str, path: str) -> Location:
    if authority not in {"", "localhost"}:
        _refuse("The file:// URL names another machine.", "Write file:///path, or use ssh.")
    decoded = unquote(path)
    if not decoded.startswith("/") or not decoded.isprintable():
        _refuse("The file:// URL holds no absolute path.", "Write file:///path.")
    return Location(protocol="file", url=decoded)


def _refuse(message: str, hint: str = "") -> NoReturn:
    raise DeployError.of(FailureKind.SOURCE, message, hint=hint)
