"""kill -9 of the engine while a service serves: it keeps answering, and the next engine finds everything as it was."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def serve(tmp_path):
    """Start `homerun serve` on one home, as often as wanted; everything has ended at the end."""
    home = tmp_path / "home"
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], dict]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tui.command", "serve", "--home", home, "--api", "127.0.0.1:0",
             "--edge", "127.0.0.1:0", "--compute", "process"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        started.append(process)
        return process, json.loads(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
    subprocess.run(
        [sys.executable, "-m", "tui.command", "stop", "--home", home, "--instances"],
        check=True,
        cwd=Path(__file__).parents[2],
        capture_output=True,
    )


@pytest.fixture
def client(tmp_path):
    """boto3 on a running engine, with the credentials that it minted."""

    def connect(ready: dict):
        import boto3

        answer = subprocess.run(
            [sys.executable, "-m", "tui.command", "credentials", "--home", tmp_path / "home"],
            check=True,
            capture_output=True,
            cwd=Path(__file__).parents[2],
        )
        keys = json.loads(answer.stdout)
        return boto3.client(
            "apprunner",
            endpoint_url=ready["api"],
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
        )

    return connect


def ask(ready: dict, host: str) -> str:
    request = urllib.request.Request(ready["edge"] + "/", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def running(client, arn: str) -> dict:
    deadline = time.monotonic() + 60
    while (service := client.describe_service(ServiceArn=arn)["Service"])["Status"] == "OPERATION_IN_PROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert service["Status"] == "RUNNING"
    return service


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_killed_engine_leaves_services_serving_and_the_next_one_adopts_them(serve, client, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "apprunner.yaml").write_text(
        "version: 1.0\nruntime: python3\nbuild:\n  commands:\n    build:\n      - echo ok\n"
        "run:\n  command: python3 server.py\n"
    )
    (source / "server.py").write_text(
        "import http.server, os\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        body = str(os.getpid()).encode()\n"
        "        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()\n"
        "        self.wfile.write(body)\n"
        "http.server.ThreadingHTTPServer(('', int(os.environ['PORT'])), H).serve_forever()\n"
    )
    engine, ready = serve()
    api = client(ready)
    created = api.create_service(
        ServiceName="survivor",
        SourceConfiguration={
            "CodeRepository": {
                "RepositoryUrl": str(source),
                "SourceCodeVersion": {"Type": "BRANCH", "Value": "main"},
                "CodeConfiguration": {"ConfigurationSource": "REPOSITORY"},
            }
        },
    )["Service"]
    service = running(api, created["ServiceArn"])
    pid = ask(ready, service["ServiceUrl"])

    os.kill(engine.pid, signal.SIGKILL)
    engine.wait()
    for _ in range(5):
        assert ask(ready, service["ServiceUrl"]) == pid

    _, ready_again = serve()
    assert ready_again["edge"] == ready["edge"], "the edge was adopted, its address is the same"
    again = running(client(ready_again), created["ServiceArn"])
    assert {key: again[key] for key in ("ServiceId", "ServiceUrl", "Status", "CreatedAt")} == {
        key: service[key] for key in ("ServiceId", "ServiceUrl", "Status", "CreatedAt")
    }
    assert ask(ready_again, service["ServiceUrl"]) == pid, "the very same instance"
    assert psutil.pid_exists(int(pid))

    client(ready_again).delete_service(ServiceArn=created["ServiceArn"])
    deadline = time.monotonic() + 30
    while psutil.pid_exists(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
