"""What a RepositoryUrl may be, and that its secrets stay out of everything printed."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.model.errors import DeployError, FailureKind
from engine.source.location import Location, parse_location, redacted


@pytest.mark.parametrize(
    ("text", "protocol", "url", "host"),
    [
        ("https://github.com/owner/app", "https", "https://github.com/owner/app", "github.com"),
        ("HTTPS://GitHub.com/owner/App.git/", "https", "https://github.com/owner/App.git", "github.com"),
        ("http://localhost:3000/a/b", "http", "http://localhost:3000/a/b", "localhost"),
        ("http://[::1]:3000/a", "http", "http://[::1]:3000/a", "[::1]"),
        ("ssh://git@host.example:2222/~ada/app.git", "ssh", "ssh://git@host.example:2222/~ada/app.git", "host.example"),
        ("git+ssh://git@host/app", "ssh", "ssh://git@host/app", "host"),
        ("git@github.com:owner/app.git", "ssh", "git@github.com:owner/app.git", "github.com"),
        ("host:app", "ssh", "host:app", "host"),
        ("git@[::1]:owner/app", "ssh", "git@[::1]:owner/app", "[::1]"),
        ("git://host:9418/app.git", "git", "git://host:9418/app.git", "host"),
        ("file:///srv/my%20app", "file", "/srv/my app", ""),
        ("file://localhost/srv/app", "file", "/srv/app", ""),
        ("/srv/app", "file", "/srv/app", ""),
        ("~/app", "file", "~/app", ""),
        ("~ada/a:b", "file", "~ada/a:b", ""),
        ("../app", "file", "../app", ""),
        ("./a:b", "file", "./a:b", ""),
        ("  app \n", "file", "app", ""),
        ("/srv/ext::app", "file", "/srv/ext::app", ""),
    ],
)
def test_a_location_has_a_protocol_a_url_and_a_host(text, protocol, url, host):
    location = parse_location(text)
    assert (location.protocol, location.url, location.host) == (protocol, url, host)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("--upload-pack=touch /tmp/x", "dash"),
        ("-oProxyCommand=x:y", "dash"),
        ("ext::sh -c touch% /tmp/x", "transport helper"),
        ("fd::17", "transport helper"),
        ("https::https://host/app", "transport helper"),
        ("::app", "transport helper"),
        ("https://host/app\x00", "control"),
        ("https://host/a\nb", "control"),
        ("/srv/\x1b[31mapp", "control"),
        ("/srv/\ud800", "control"),
        ("https://host/\u202eapp", "control"),
        ("ftp://host/app", "ftp://"),
        ("git+https://host/app", "git+https://"),
        ("s3://bucket/app", "s3://"),
        ("https://", "host name"),
        ("https:///app", "host name"),
        ("https://host:99999/app", "host name"),
        ("https://-host/app", "host name"),
        ("https://host/my app", "space"),
        ("https://token/with/slash@host/app", "@"),
        ("https://github.com", "no repository"),
        ("https://github.com/", "no repository"),
        ("https://host/app#main", "#"),
        ("ssh://-oProxyCommand=touch/app", "host name"),
        ("ssh://-l@host/app", "user name"),
        ("ssh://git@-host/app", "host name"),
        ("ssh://git@host", "no repository"),
        ("git@-oProxyCommand=touch:app", "valid user and host"),
        ("-l@host:app", "dash"),
        ("git@host:", "no repository"),
        ("git@host:--option", "no repository"),
        ("git://ada@host/app", "credentials"),
        ("file://server/share", "another machine"),
        ("file://", "absolute path"),
        ("https://github.com/owner/app/tree/main/services/api", "page"),
        ("https://gitlab.com/group/app/-/blob/main/app.py", "page"),
        ("https://a%0ausername=root@host/app", "control characters"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(text, word):
    with pytest.raises(DeployError) as caught:
        parse_location(text)
    failure = caught.value.failure
    assert failure.kind is FailureKind.SOURCE
    assert word in failure.message
    assert failure.message.endswith(".")
    assert failure.message.isprintable()


def test_a_web_page_names_the_repository_branch_and_folder_it_shows():
    with pytest.raises(DeployError) as caught:
        parse_location("https://github.com/owner/app/tree/main/services/api")
    assert (
        caught.value.failure.hint
        == "Use https://github.com/owner/app with the branch main and the source directory /services/api."
    )


def test_credentials_stand_apart_from_the_url():
    location = parse_location("https://ada:p%40ss@host/owner/app")
    assert location.url == "https://host/owner/app"
    assert (location.username, location.password) == ("ada", "p@ss")
    assert location.origin == "https://host"
    assert "p@ss" not in repr(location)
    assert "ada" not in repr(location)


def test_a_token_alone_is_a_secret_too():
    location = parse_location("https://ghp_secret@github.com/owner/app")
    assert (location.url, location.username) == ("https://github.com/owner/app", "ghp_secret")
    assert "ghp_secret" not in repr(location)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:secret@host/app", "https://***@host/app"),
        ("https://secret@host/app", "https://***@host/app"),
        ("https://ada:se@cret@host/app", "https://***@host/app"),
        ("https://ada:se/cret@host/app", "https://***@host/app"),
        ("https://host/app?access_token=secret", "https://host/app?***"),
        ("https://host:8443/@scope/app", "https://host:8443/@scope/app"),
        ("http://[::1]:80/@scope", "http://[::1]:80/@scope"),
        ("ssh://git@host/app", "ssh://git@host/app"),
        ("ssh://git:secret@host/app", "ssh://***@host/app"),
        ("git:secret@host:app", "***@host:app"),
        ("git@host:app", "git@host:app"),
        ("fatal: unable to access 'https://a:secret@host/x/': no", "fatal: unable to access 'https://***@host/x/': no"),
        ("/srv/app@2", "/srv/app@2"),
    ],
)
def test_redaction_masks_credentials_and_queries_only(text, shown):
    assert redacted(text) == shown


SECRET = st.text("abcXYZ019%!*@/:?#&=+~ -", min_size=6).map(lambda text: f"SEC{text}RET")


@given(
    SECRET,
    st.sampled_from(["https", "http", "ssh", "git", "ftp", "file", "ext"]),
    st.sampled_from(["ada:{}@", "{}@", ":{}@", "{}:{}@"]),
    st.sampled_from(["host/owner/app", "host", "", "host:x/app", "-host/app", "github.com/o/a/tree/main"]),
)
def test_no_refusal_repeats_a_password(secret, scheme, credentials, rest):
    assume(scheme != "ssh" or ":" in credentials)  # a user name alone is no secret there
    text = f"{scheme}://{credentials.format(secret, secret)}{rest}"
    try:
        location = parse_location(text)
    except DeployError as error:
        printed = str(error) + error.failure.hint
    else:
        printed = f"{location!r} {location.display} {location.url}"
    fragments = [part for part in secret.replace("%", " ").split() if part.startswith("SEC") or part.endswith("RET")]
    assert not any(len(part) > 3 and part in printed for part in fragments)


@given(st.text(max_size=60))
def test_any_text_is_a_location_or_refused(text):
    try:
        location = parse_location(text)
    except DeployError:
        return
    assert isinstance(location, Location)
    assert not location.url.startswith("-")
    assert location.url.isprintable()
