"""The guide's tutorial with the AWS CLI, step by step: a service, other code, another configuration, logs, the end.

Its application to the letter, but for the releases of Flask that it pins: no Python of today installs them.
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SERVER = """\
from flask import Flask
import os

PORT = 8080
name = os.environ['NAME']
if name == None or len(name) == 0:
    name = "world"
MESSAGE = "Hello, " + name + "!"
print("Message: '" + MESSAGE + "'")

app = Flask(__name__)

@app.route("/")
def root():
    print("Handling web request. Returning message.")
    result = MESSAGE.encode("utf-8")
    return result

if __name__ == "__main__":
    app.run(debug=True, host="0.0.0.0", port=PORT)
"""
CONFIG = """\
[default]
region = us-east-1
endpoint_url = http://127.0.0.1:8801
credential_process = /path/to/homerun/.venv/bin/homerun credentials
"""


@pytest.fixture
def python_hello(tmp_path) -> Path:
    """The guide's example repository."""
    folder = tmp_path / "python-hello"
    folder.mkdir()
    (folder / "requirements.txt").write_text("Flask\n")
    (folder / "server.py").write_text(SERVER)
    subprocess.run(["git", "init", "-q", "--initial-branch=main"], cwd=folder, check=True)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *who, "commit", "-qm", "change"], cwd=folder, check=True)


@pytest.fixture
def aws(as_documented, cli_environment):
    """Run the AWS CLI; what it answers."""
    Path(cli_environment["AWS_CONFIG_FILE"]).write_text(as_documented(CONFIG))

    def run(*arguments: str) -> dict:
        done = subprocess.run(
            ["aws", *arguments], env=cli_environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return json.loads(done.stdout or "{}")

    return run


@pytest.fixture
def settled(aws):
    """Wait as people do, by asking once a second; the service when it is no longer busy."""

    def wait(arn: str) -> dict:
        deadline = time.monotonic() + 120
        while True:
            service = aws("apprunner", "describe-service", "--service-arn", arn)["Service"]
            if service["Status"] != "OPERATION_IN_PROGRESS":
                return service
            assert time.monotonic() < deadline
            time.sleep(1)

    return wait


def page(served, service) -> str:
    request = urllib.request.Request(served["edge"] + "/", headers={"Host": service["ServiceUrl"]})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def source(repository: Path, connection: str, name: str) -> str:
    values = {
        "Runtime": "PYTHON_3",
        "BuildCommand": "pip install -r requirements.txt",
        "StartCommand": "python server.py",
        "Port": "8080",
        "RuntimeEnvironmentVariables": {"NAME": name},
    }
    return json.dumps(
        {
            "CodeRepository": {
                "RepositoryUrl": str(repository),
                "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"},
                "CodeConfiguration": {"ConfigurationSource": "API", "CodeConfigurationValues": values},
            },
            "AuthenticationConfiguration": {"ConnectionArn": connection},
        }
    )


def test_the_tutorial_from_the_first_step_to_the_last(aws, served, settled, python_hello, cli_environment):
    # Step 1: the connection with its handshake, then the service.
    made = aws("apprunner", "create-connection", "--connection-name", "github", "--provider-type", "GITHUB")
    connection = made["Connection"]["ConnectionArn"]
    assert made["Connection"]["Status"] == "PENDING_HANDSHAKE"
    subprocess.run(
        ["homerun", "connection", "authorize", "github"], env=cli_environment, input="t0ken\n", text=True, check=True
    )
    listed = aws("apprunner", "list-connections", "--connection-name", "github")["ConnectionSummaryList"]
    assert [each["Status"] for each in listed] == ["AVAILABLE"]

    created = aws(
        "apprunner", "create-service", "--service-name", "python-test",
        "--source-configuration", source(python_hello, connection, "Jane"),
        "--instance-configuration", "Cpu=0.25 vCPU,Memory=1 GB",
        "--health-check-configuration", "Protocol=HTTP",
    )  # fmt: skip
    arn = created["Service"]["ServiceArn"]
    service = settled(arn)
    assert service["Status"] == "RUNNING"
    assert service["InstanceConfiguration"] == {"Cpu": "256", "Memory": "1024"}
    assert page(served, service) == "Hello, Jane!"

    # Step 2: another version of the code.
    server = python_hello / "server.py"
    server.write_text(server.read_text().replace("Hello", "Good morning"))
    commit(python_hello)
    aws("apprunner", "start-deployment", "--service-arn", arn)
    assert settled(arn)["Status"] == "RUNNING"
    assert page(served, service) == "Good morning, Jane!"

    # Step 3: another configuration.
    changed = source(python_hello, connection, "Joe")
    aws("apprunner", "update-service", "--service-arn", arn, "--source-configuration", changed)
    assert settled(arn)["Status"] == "RUNNING"
    assert page(served, service) == "Good morning, Joe!"

    # Step 4: the logs.
    group = f"/aws/apprunner/python-test/{service['ServiceId']}"
    streams = aws("logs", "describe-log-streams", "--log-group-name", f"{group}/service")["logStreams"]
    operations = aws("apprunner", "list-operations", "--service-arn", arn)["OperationSummaryList"]
    assert [f"{each['Type']} {each['Status']}" for each in operations] == [
        "UPDATE_SERVICE SUCCEEDED",
        "START_DEPLOYMENT SUCCEEDED",
        "CREATE_SERVICE SUCCEEDED",
    ]
    assert {each["logStreamName"] for each in streams} == {
        "events",
        *(f"deployment/{each['Id'].replace('-', '')}" for each in operations),
    }
    events = aws("logs", "get-log-events", "--log-group-name", f"{group}/service", "--log-stream-name", "events")
    texts = [each["message"] for each in events["events"]]
    assert "[AppRunner] Service creation completed successfully." in texts
    assert "[AppRunner] Deployment completed successfully." in texts
    assert any(re.match(r"\[AppRunner\] Service update completed successfully", text) for text in texts)
    printed = aws("logs", "filter-log-events", "--log-group-name", f"{group}/application")["events"]
    assert {"Message: 'Hello, Jane!'", "Message: 'Good morning, Joe!'"} <= {each["message"] for each in printed}

    # Step 5: cleaning up.
    aws("apprunner", "delete-service", "--service-arn", arn)
    assert settled(arn)["Status"] == "DELETED"
    assert aws("apprunner", "list-services")["ServiceSummaryList"] == []
    with pytest.raises(urllib.error.HTTPError) as caught:
        page(served, service)
    assert caught.value.code == 404
    caught.value.close()
    gone = aws("apprunner", "delete-connection", "--connection-arn", connection)["Connection"]
    assert gone["Status"] == "DELETED"
