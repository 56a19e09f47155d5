"""Settings: defaults, file, command line, in this order; every fault names its key and where it stands."""

import pytest

from engine.api.settings import SettingsError, load_settings, parse_address
from engine.model.settings import Settings


@pytest.fixture
def write(home):
    def written(content: str | bytes) -> None:
        home.path.mkdir(exist_ok=True)
        home.settings.write_bytes(content.encode() if isinstance(content, str) else content)

    return written


def test_without_a_file_the_defaults_hold(home):
    assert load_settings(home) == Settings()


@pytest.mark.parametrize("content", ["", "# nothing yet\n"])
def test_an_empty_file_changes_nothing(home, write, content):
    write(content)
    assert load_settings(home) == Settings()


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(home, write):
    write("region: eu-west-1\napi: 127.0.0.1:9000\nstop_grace_s: 3\n")
    settings = load_settings(home, {"api": "127.0.0.1:0", "edge": None})
    assert settings == Settings(region="eu-west-1", api="127.0.0.1:0", stop_grace_s=3.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("regoin: x\n", 'there is no setting "regoin"; there are region, api,'),
        ("strict: maybe\n", 'setting "strict": expected bool, got str.'),
        ("api: 8801\n", 'setting "api": expected str, got int.'),
        ("api: localhost\n", 'setting "api": expected HOST:PORT like 127.0.0.1:8801, found "localhost".'),
        ("edge: 127.0.0.1:70000\n", 'setting "edge": "127.0.0.1:70000" has no port between 0 and 65535'),
        ("compute: magic\n", 'setting "compute": expected one of auto, process, docker, found "magic".'),
        ("region: US East\n", 'setting "region": expected a region like us-east-1'),
        ("stop_grace_s: -1\n", 'setting "stop_grace_s": expected a number from 0 up, found -1.0.'),
        ("stop_grace_s: .inf\n", 'setting "stop_grace_s": expected a number from 0 up'),
        ("stop_grace_s: .nan\n", 'setting "stop_grace_s": expected a number from 0 up'),
        ("keep_versions: 0\n", 'setting "keep_versions": expected 1 or more'),
        ("- a\n- b\n", 'expected lines like "region: us-east-1".'),
        ("1: 2\n", 'expected lines like "region: us-east-1".'),
        ("region: x\n  api: [\n", "settings.yaml line 2: this is not YAML: mapping values are not allowed here."),
        (b"region: \x00\n", "this is not YAML"),
        (b"\xff\xfe\xff", "this is not YAML"),
        ("!!python/object/apply:os.system ['true']\n", "this is not YAML"),
        ("x" * 300_000, "too large"),
    ],
)
def test_a_fault_in_the_file_names_key_and_file(home, write, content, message):
    write(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(home)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(home.settings))


def test_a_fault_on_the_command_line_says_so(home):
    with pytest.raises(SettingsError) as caught:
        load_settings(home, {"api": "nowhere"})
    assert str(caught.value).startswith('the command line: setting "api": expected HOST:PORT')


@pytest.mark.parametrize("edge", ["0.0.0.0:8800", "example.com:80", "127.0.0.1", "127.0.0.1:x"])
def test_the_edge_stays_on_this_machine(home, edge):
    with pytest.raises(SettingsError, match=r"""the command line: setting "edge": ".*; use 127\.0\.0\.1:PORT\.$"""):
        load_settings(home, {"edge": edge})


def test_a_file_that_cannot_be_read_is_one_sentence(home):
    home.settings.mkdir(parents=True)
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(home)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8801", ("::1", 8801)), ("localhost:65535", ("localhost", 65535))],
)
def test_addresses_are_host_and_port(address, expected):
    assert parse_address(address) == expected


@pytest.mark.parametrize("address", ["", ":", ":80", "a:", "a:b", "a:-1", "a:65536", "a:٣", "8801"])
def test_anything_else_is_no_address(address):
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        parse_address(address)
