"""The key pair of a home: minted once whoever asks, kept private, never shown by accident."""

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.api.credentials import CredentialsError, credential_process_json, load_or_create


def test_credentials_look_like_aws_keys_and_stay_the_same(home):
    first = load_or_create(home)
    assert re.fullmatch(r"HOMERUN[A-Z0-9]{13}", first.access_key_id)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", first.secret_access_key)
    assert load_or_create(home) == first


def test_only_the_owner_can_read_them(home):
    load_or_create(home)
    assert stat.S_IMODE(home.credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.credentials.parent.stat().st_mode) == 0o700
    assert [each.name for each in home.credentials.parent.iterdir()] == ["credentials.json"]


def test_a_file_that_others_can_read_is_made_private_again(home):
    load_or_create(home)
    home.credentials.chmod(0o644)
    load_or_create(home)
    assert stat.S_IMODE(home.credentials.stat().st_mode) == 0o600


def test_many_at_once_agree_on_one_pair(home):
    with ThreadPoolExecutor(16) as pool:
        pairs = set(pool.map(lambda _: load_or_create(home), range(64)))
    assert len(pairs) == 1


def test_the_secret_is_in_no_repr(home):
    credentials = load_or_create(home)
    assert credentials.secret_access_key not in f"{credentials!r} {credentials!s} {[credentials]}"


def test_the_aws_cli_gets_what_credential_process_expects(home):
    credentials = load_or_create(home)
    assert json.loads(credential_process_json(credentials)) == {
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
    }


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"AccessKeyId": 1}'])
def test_a_file_that_holds_no_credentials_says_what_to_do(home, content):
    load_or_create(home)
    home.credentials.write_bytes(content)
    with pytest.raises(CredentialsError, match="delete it"):
        load_or_create(home)


def test_a_place_that_cannot_be_written_is_one_sentence(home):
    home.path.mkdir()
    (home.path / "keys").write_text("in the way")
    with pytest.raises(CredentialsError, match=r"credentials\.json cannot be kept"):
        load_or_create(home)
