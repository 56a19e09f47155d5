"""What a tag points to now: the registry's HTTP API, asked for the head of a manifest only, which costs no pull."""

import asyncio
import hashlib
import re
import time
import zlib
from typing import Any
from urllib.parse import quote

from engine.model.base import Value
from engine.model.errors import HomerunError
from engine.source.registry.credentials import Credentials
from engine.source.registry.reference import DOCKER_HUB, ImageReference

_TIMEOUT_S = 10.0
_LONGEST_S = 1800.0
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json,"
    " application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
_MANIFEST_MOST = 4 << 20
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?")


class RegistryError(HomerunError):
    """The registry did not say. `unreachable`: not by us; a container engine may have certificates of its own."""

    def __init__(self, message: str, *, unreachable: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        self.retry_after_s = retry_after_s


class Moved(Value, frozen=True, kw_only=True):
    """What the tag points to."""

    digest: str
    etag: str = ""
    """For the next look: the registry then only says whether anything changed."""


async def look_up(reference: ImageReference, credentials: Credentials | None, *, etag: str = "") -> Moved | None:
    """The digest of the tag; None when it is still the one that `etag` came with. Raises RegistryError."""
    return await asyncio.to_thread(_look_up, reference, credentials, etag)


def next_look_s(base_s: float, failures: int, retry_after_s: float | None, *, seed: str) -> float:
    """Seconds until the next look: doubled with every failure in a row, spread a little so that not all ask at once."""
    pause_s = min(_LONGEST_S, base_s * 2.0 ** min(failures, 16))
    spread = zlib.crc32(seed.encode()) % 1000 / 1000 * 0.1
    return max(pause_s * (1 + spread), retry_after_s or 0.0)


def _look_up(reference: ImageReference, credentials: Credentials | None, etag: str) -> Moved | None:
    import requests

    host = "registry-1.docker.io" if reference.registry == DOCKER_HUB else reference.registry
    schemes = ("https", "http") if _LOOPBACK.fullmatch(reference.registry) else ("https",)
    with requests.Session() as session:
        session.headers["User-Agent"] = "homerun"
        for scheme in schemes:
            try:
                return _Asking(session, f"{scheme}://{host}", reference, credentials).head(etag)
            except requests.exceptions.SSLError as error:
                if scheme != schemes[-1]:
                    continue
                raise RegistryError(
                    f"The TLS certificate of {reference.registry} is not trusted.", unreachable=True
                ) from error
            except requests.exceptions.Timeout as error:
                raise RegistryError(f"{reference.registry} did not answer in time.", unreachable=True) from error
            except requests.exceptions.RequestException as error:
                raise RegistryError(
                    f"{reference.registry} cannot be reached: {_reason(error)}.", unreachable=True
                ) from error
    raise AssertionError("unreachable: the last scheme returns or raises")


class _Asking:
    """One look at one registry."""

    def __init__(self, session: Any, base: str, reference: ImageReference, credentials: Credentials | None) -> None:
        self._session = session
        self._reference = reference
        self._credentials = credentials
        self._url = f"{base}/v2/{quote(reference.repository)}/manifests/{quote(reference.tag or reference.digest)}"

    def head(self, etag: str) -> Moved | None:
        answer = self._ask("HEAD", {"If-None-Match": etag} if etag else {})
        if answer.status_code == 304:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not digest:
            body = self._ask("GET", {}).content[:_MANIFEST_MOST]
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return Moved(digest=digest, etag=answer.headers.get("ETag", ""))

    def _ask(self, method: str, more: dict[str, str]) -> Any:
        headers = {"Accept": _ACCEPT, **more}
        answer = self._send(method, headers)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code == 401 and challenge:
            kind, _, rest = challenge.partition(" ")
            if kind.lower() == "bearer":
                token = self._token(dict(_PARAMETER.findall(rest)))
                answer = self._send(method, {**headers, "Authorization": f"Bearer {token}"})
            elif kind.lower() == "basic" and self._basic:
                answer = self._send(method, headers, auth=self._basic)
        self._check(answer)
        return answer

    def _send(self, method: str, headers: dict[str, str], auth: tuple[str, str] | None = None) -> Any:
        # A redirect could lead the credentials elsewhere; manifests are never redirected by those that matter.
        return self._session.request(
            method, self._url, headers=headers, auth=auth or _NoAuth(), timeout=_TIMEOUT_S, allow_redirects=False
        )

    @property
    def _basic(self) -> tuple[str, str] | None:
        given = self._credentials
        return (given.username, given.password) if given and given.password else None

    def _token(self, challenge: dict[str, str]) -> str:
        """From the authority that the registry names, for reading this repository."""
        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise RegistryError(f"{self._reference.registry} asks for a token and does not say from where.")
        wanted = {
            "service": challenge.get("service", ""),
            "scope": challenge.get("scope") or f"repository:{self._reference.repository}:pull",
        }
        given = self._credentials
        if given and given.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": given.identity_token, "client_id": "homerun"}
            answer = self._session.post(realm, data=form | wanted, timeout=_TIMEOUT_S, allow_redirects=False)
        else:
            answer = self._session.get(
                realm, params=wanted, auth=self._basic or _NoAuth(), timeout=_TIMEOUT_S, allow_redirects=False
            )
        self._check(answer)
        try:
            body = answer.json()
            return str(body.get("token") or body["access_token"])
        except (ValueError, KeyError, AttributeError):
            raise RegistryError(f"{self._reference.registry} gave no token that could be read.") from None

    def _check(self, answer: Any) -> None:
        status, reference = answer.status_code, self._reference
        if status in (200, 304):
            return
        if status in (401, 403):
            raise RegistryError(
                f"{reference.registry} does not let {reference.familiar} be read"
                f"{' with these credentials' if self._credentials else ' without credentials'}, or has no such image."
            )
        if status == 404:
            raise RegistryError(f"{reference.registry} has no image {reference.display}.")
        if status == 429:
            after_s = retry_after(answer.headers.get("Retry-After", ""), time.time())
            raise RegistryError(f"{reference.registry} takes no more requests for now.", retry_after_s=after_s)
        if status >= 500:
            raise RegistryError(f"{reference.registry} answered with an error ({status}).")
        raise RegistryError(f"{reference.registry} does not answer as a registry does ({status}).", unreachable=True)


class _NoAuth:
    """Keeps requests from sending what a .netrc has for that host."""

    def __call__(self, request: Any) -> Any:
        return request


def retry_after(header: str, now: float) -> float | None:
    """Seconds, from a header with a number or a date; None for none."""
    from email.utils import parsedate_to_datetime

    if header.strip().isdigit():
        return min(float(header), 86400.0)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (TypeError, ValueError):
        return None


def _reason(error: BaseException) -> str:
    """The innermost cause, in the system's words."""
    inner: BaseException = error
    while (next_one := inner.__cause__ or inner.__context__) is not None:
        inner = next_one
    text = getattr(inner, "strerror", None) or str(inner)
    return str(text)[:200].rstrip(".").lower()
