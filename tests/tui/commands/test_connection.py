"""`homerun connection` and `homerun credentials --rotate`, on an engine that runs."""

import json
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow
TOKEN = "ghp_very-secret-0123456789"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def engine(serve, homerun):
    _, ready = serve()
    yield ready
    homerun("stop", "--instances")


def statuses(homerun) -> dict[str, str]:
    return {line.split()[0]: line.split()[2] for line in homerun("connection", "list").stdout.splitlines()}


def test_a_connection_is_made_and_authorized_with_a_token_from_stdin(homerun, tmp_path):
    assert "There are no connections." in homerun("connection").stderr
    arn = homerun("connection", "create", "work", "--provider", "bitbucket").stdout.strip()
    assert ":connection/work/" in arn
    assert statuses(homerun) == {"work": "PENDING_HANDSHAKE"}

    done = homerun("connection", "authorize", "work", given=f"{TOKEN}\n")

    assert "AVAILABLE" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert statuses(homerun) == {"work": "AVAILABLE"}
    homerun("stop")
    stored = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert any(path.name == "state.db" for path in stored)
    assert not [path for path in stored if TOKEN.encode() in path.read_bytes()]


def test_a_key_file_does_as_well_and_delete_takes_the_connection_away(homerun, tmp_path):
    homerun("connection", "create", "work")
    (tmp_path / "id").write_text(KEY)

    homerun("connection", "authorize", "work", "--ssh-key", str(tmp_path / "id"))
    assert statuses(homerun) == {"work": "AVAILABLE"}

    homerun("connection", "delete", "work")
    assert statuses(homerun) == {}


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        (("connection", "authorize", "nobody"), TOKEN, "There is no connection named nobody."),
        (("connection", "authorize", "work"), "", "No token was given."),
        (("connection", "authorize", "work", "--ssh-key", "/does/not/exist"), "", "There is no file /does/not/exist."),
        (("connection", "authorize", "work", "--ssh-key", "/etc/hostname"), "", "is no private key"),
        (("connection", "create", "x"), "", "A name has 4 to 32 letters"),
        (("connection", "authorize", "work"), "one\ntwo\n", "Several lines were given"),
        (("connection", "authorize", "work"), "a b", "That is no token"),
        (("connection", "create", "work"), "", "already exists: work"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(homerun, arguments, given, sentence):
    homerun("connection", "create", "work")

    refused = homerun(*arguments, given=given, check=False)

    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_without_an_engine_the_command_says_how_to_start_one(homerun):
    homerun("stop")
    assert "No engine runs on" in homerun("connection", "list", check=False).stderr


def test_rotated_keys_count_at_once_and_the_old_ones_no_more(homerun, engine):
    def who(keys: dict[str, str]) -> str:
        client = boto3.client(
            "sts",
            endpoint_url=engine["api"],
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            config=Config(proxies={}, retries={"max_attempts": 0}),
        )
        try:
            return client.get_caller_identity()["Arn"]
        finally:
            client.close()

    old = json.loads(homerun("credentials").stdout)
    assert who(old).endswith(":user/homerun")

    new = json.loads(homerun("credentials", "--rotate").stdout)

    assert new["AccessKeyId"] != old["AccessKeyId"]
    assert json.loads(homerun("credentials").stdout) == new
    assert who(new).endswith(":user/homerun")
    with pytest.raises(ClientError) as caught:
        who(old)
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
