"""The README's section on the AWS CLI, boto3 and Terraform, command by command, with the real tools."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TITLE = "## Use it with the AWS CLI, boto3, Terraform"

CONFIG = "version: 1.0\nruntime: python3\nrun:\n  command: python3 server.py\n"
SERVER = """\
import http.server, os
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler)
server.serve_forever()
"""


def blocks() -> dict[str, str]:
    """The code of the section by its first word."""
    section = (ROOT / "README.md").read_text().partition(TITLE)[2].partition("\n## ")[0]
    found = {}
    for match in re.finditer(r"(?m)((?:^    .*\n|^\n(?=    ))+)", section):
        code = re.sub(r"(?m)^    ", "", match[1]).strip("\n")
        if code:
            found[code.split()[0]] = code
    return found


@pytest.fixture
def run(served, as_documented, cli_environment, tmp_path):
    """Run a block of the README where its paths and its port are the real ones; what it printed."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "apprunner.yaml").write_text(CONFIG)
    (repository / "server.py").write_text(SERVER)
    for name in ("init -q --initial-branch=main", "add -A", "-c user.name=a -c user.email=a@b commit -qm one"):
        subprocess.run(["git", *name.split()], cwd=repository, check=True)

    def real(text: str) -> str:
        return as_documented(text).replace("/path/to/repository", str(repository))

    Path(cli_environment["AWS_CONFIG_FILE"]).write_text(real(blocks()["[profile"]) + "\n")

    def run(argv: list[str], text: str) -> str:
        done = subprocess.run(
            [*argv, real(text)], env=cli_environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run


def test_the_commands_of_the_readme_work_one_after_the_other(run):
    said = run(["bash", "-euo", "pipefail", "-c"], blocks()["export"])

    answers = [text for text in re.split(r"(?m)^(?=[\[{])", said) if text.strip()]
    values = [json.loads(text) for text in answers]
    created, operations, scaling, updated, domain, deployed, events, metrics, trail, who, paused, deleted = values
    assert created["Service"]["Status"] == "OPERATION_IN_PROGRESS"
    assert [each["Status"] for each in operations["OperationSummaryList"]] == ["SUCCEEDED"]
    assert scaling["AutoScalingConfiguration"]["MinSize"] == 2
    assert updated["Service"]["AutoScalingConfigurationSummary"]["AutoScalingConfigurationName"] == "pair"
    assert len(domain["CustomDomain"]["CertificateValidationRecords"]) == 3
    assert len(deployed["OperationId"]) == 36
    assert "[AppRunner] Service creation started." in events
    assert metrics["Label"] == "Requests"
    assert [each["EventName"] for each in trail["Events"]] == ["UpdateService"]
    assert who["Account"] == "000000000000"
    assert paused["Service"]["Status"] == deleted["Service"]["Status"] == "OPERATION_IN_PROGRESS"


def test_boto3_needs_the_profile_and_nothing_else(run):
    program = "import warnings\nwarnings.simplefilter('ignore')\nimport os\nos.environ.pop('AWS_PROFILE', None)\n"
    assert run([sys.executable, "-c"], program + blocks()["import"]) == "[]\n"


def test_terraforms_endpoints_are_where_the_profile_says():
    provider, profile = blocks()["provider"], blocks()["[profile"]
    (url,) = re.findall(r"endpoint_url = (\S+)", profile)
    names = ["apprunner", "sts", "logs", "cloudwatch", "cloudtrail"]
    assert re.findall(r'(\w+) += +"(http\S+)"', provider) == [(name, url) for name in names]
