"""A whole engine behind its real doors, and boto3 in front of it whose every answer is held against the API's model."""

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.api.credentials import load_or_create
from engine.api.host import Host
from engine.model.home import Home
from engine.model.settings import Settings

pytest.importorskip("botocore")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

from tests.conformance.calls import source
from tests.conformance.generate import faults

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(
    api="127.0.0.1:0",
    edge="127.0.0.1:0",
    compute="process",
    startup_timeout_s=20.0,
    wrong_port_grace_s=1.5,
    stop_grace_s=2.0,
    drain_timeout_s=2.0,
    service_quota=24,
)
CONFIG = """\
version: 1.0
runtime: python3
build:
  commands:
    build:
      - COMMAND
run:
  command: python3 server.py
"""
SERVER = """\
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Hosted:
    """A host on a throw-away home, in a thread with a loop of its own."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.home = home
        self.host: Host
        self.loop: asyncio.AbstractEventLoop
        self._settings = settings
        self._ready = threading.Event()
        self._trouble: BaseException | None = None
        self._end: asyncio.Event
        self._thread = threading.Thread(target=self._run, name="host", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30), "the host did not start"
        if self._trouble is not None:
            raise self._trouble

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the host did not end"
        if self._trouble is not None:
            raise self._trouble

    def do(self, coroutine: Any) -> Any:
        """Run something on the host's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as trouble:  # noqa: BLE001 - told to the test
            self._trouble = trouble
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        async with Host.open(self.home, self._settings) as host:
            host.stop_instances = True
            self.host = host
            self._ready.set()
            await self._end.wait()


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """Prepared virtual environments, shared so that not every home makes its own."""
    folder = Path(tempfile.mkdtemp(prefix="hr-cache-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def hosted(cache: Path) -> Iterator[Hosted]:
    folder = Path(tempfile.mkdtemp(prefix="hr-"))
    home = Home(path=folder / "home")
    home.path.mkdir(mode=0o700)
    home.cache.symlink_to(cache)
    hosted = Hosted(home, SETTINGS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("engine.control.vpc._PENDING_S", 0.2)
        patched.setattr("engine.control.custom_domains._CREATING_S", 0.2)
        hosted.start()
        yield hosted
        hosted.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def connect(hosted: Hosted) -> Iterator[Callable[[], Any]]:
    """Makes boto3 clients with the home's credentials that send what they are given."""
    credentials = load_or_create(hosted.home)
    clients = []

    def connected() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client = boto3.client(
                "apprunner",
                endpoint_url=hosted.host.record.api,
                region_name="us-east-1",
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, proxies={}),
            )
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def client(connect: Callable[[], Any]) -> Any:
    """boto3; every answer must be what the model says of the operation, before botocore parses it."""
    client = connect()
    client.meta.events.register("after-call.apprunner", hold_against_the_model)
    return client


def hold_against_the_model(http_response: Any, model: Any, **_: Any) -> None:
    body = json.loads(http_response.content, parse_constant=_no_constant)
    if http_response.status_code == 200:
        assert list(faults(model.output_shape, body)) == [], model.name
        return
    assert http_response.status_code == 400, (model.name, body)
    assert set(body) == {"__type", "Message"}
    listed = {shape.name for shape in model.error_shapes}
    assert body["__type"] in listed | {"InvalidRequestException"}, (model.name, body)
    assert 0 < len(body["Message"]) <= 600


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture(scope="module")
def send(connect: Callable[[], Any]) -> Callable[[str, bytes], tuple[int, dict[str, Any]]]:
    """Signs and sends any bytes as the body of an operation: what no client can be made to say."""
    client = connect()
    outgoing: list[bytes] = []
    incoming: list[tuple[int, dict[str, Any]]] = []

    def replace_body(params: dict[str, Any], **_: Any) -> None:
        params["body"] = outgoing.pop()

    def keep_answer(http_response: Any, **_: Any) -> None:
        incoming.append((http_response.status_code, json.loads(http_response.content)))

    client.meta.events.register("before-call.apprunner", replace_body)
    client.meta.events.register("after-call.apprunner", keep_answer)
    methods = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}

    def sent(operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
        outgoing.append(body)
        with contextlib.suppress(ClientError):
            getattr(client, methods[operation])()
        return incoming.pop()

    return sent


@pytest.fixture(scope="module")
def repository() -> Iterator[Path]:
    """A git repository with a small web service: main works, `slow` takes a moment to build, `broken` fails."""
    folder = Path(tempfile.mkdtemp(prefix="hr-repository-"))
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_NAME": "a" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@example.com" for who in ("AUTHOR", "COMMITTER")},
    }

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    (folder / "server.py").write_text(SERVER)
    for branch, command in (("main", "true"), ("slow", "sleep 0.7"), ("broken", "false")):
        if branch != "main":
            git("checkout", "--quiet", "-b", branch)
        (folder / "apprunner.yaml").write_text(CONFIG.replace("COMMAND", command))
        git("add", "--all")
        git("commit", "--quiet", "--message", branch)
    git("checkout", "--quiet", "main")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Account:
    """Makes things through the API, each with a name of its own, and takes everything away again."""

    def __init__(self, client: Any, repository: Path) -> None:
        self.client = client
        self.repository = repository
        self.kept = ""
        """The ARN of a service that stays."""
        self._numbers = itertools.count(1)

    def name(self) -> str:
        return f"thing-{next(self._numbers)}"

    def service(self, name: str = "", **more: Any) -> dict[str, Any]:
        """One that cannot be created: its source is nowhere. Settled as CREATE_FAILED."""
        more = {"SourceConfiguration": source(), **more}
        created = self.client.create_service(ServiceName=name or self.name(), **more)["Service"]
        return self.settled(created["ServiceArn"])

    def running(self, name: str = "") -> dict[str, Any]:
        check = {"Interval": 1, "Timeout": 1}
        service = self.service(name, SourceConfiguration=source(self.repository), HealthCheckConfiguration=check)
        assert service["Status"] == "RUNNING", self.operations(service["ServiceArn"])
        return service

    def private_service(self) -> dict[str, Any]:
        return self.service(NetworkConfiguration={"IngressConfiguration": {"IsPubliclyAccessible": False}})

    def services(self) -> list[str]:
        """The names of all but the one that stays."""
        found = self.client.list_services()["ServiceSummaryList"]
        return [each["ServiceName"] for each in found if each["ServiceArn"] != self.kept]

    def describe(self, arn: str) -> dict[str, Any]:
        return self.client.describe_service(ServiceArn=arn)["Service"]

    def settled(self, arn: str, timeout_s: float = 40.0) -> dict[str, Any]:
        """The service once no operation runs on it."""
        deadline = time.monotonic() + timeout_s
        while (service := self.describe(arn))["Status"] == "OPERATION_IN_PROGRESS":
            assert time.monotonic() < deadline, self.operations(arn)
            time.sleep(0.02)
        return service

    def operations(self, arn: str) -> list[str]:
        found = self.client.list_operations(ServiceArn=arn)["OperationSummaryList"]
        return [f"{each['Type']} {each['Status']}" for each in found]

    def scaling(self, name: str = "", **more: Any) -> dict[str, Any]:
        arguments = {"AutoScalingConfigurationName": name or self.name(), **more}
        return self.client.create_auto_scaling_configuration(**arguments)["AutoScalingConfiguration"]

    def observing(self, name: str = "", **more: Any) -> dict[str, Any]:
        arguments = {"ObservabilityConfigurationName": name or self.name(), **more}
        return self.client.create_observability_configuration(**arguments)["ObservabilityConfiguration"]

    def connection(self, name: str = "", provider: str = "GITHUB", **more: Any) -> dict[str, Any]:
        arguments = {"ConnectionName": name or self.name(), "ProviderType": provider, **more}
        return self.client.create_connection(**arguments)["Connection"]

    def connector(self, name: str = "", **more: Any) -> dict[str, Any]:
        arguments = {"VpcConnectorName": name or self.name(), "Subnets": ["subnet-1"], **more}
        return self.client.create_vpc_connector(**arguments)["VpcConnector"]

    def ingress(self, service_arn: str = "", **more: Any) -> dict[str, Any]:
        arguments = {
            "ServiceArn": service_arn or self.private_service()["ServiceArn"],
            "VpcIngressConnectionName": self.name(),
            "IngressVpcConfiguration": {"VpcId": "vpc-1", "VpcEndpointId": "vpce-1"},
            **more,
        }
        return self.client.create_vpc_ingress_connection(**arguments)["VpcIngressConnection"]

    def available_ingress(self) -> dict[str, Any]:
        return self.until_available(self.ingress()["VpcIngressConnectionArn"])

    def until_available(self, arn: str) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while True:
            answer = self.client.describe_vpc_ingress_connection(VpcIngressConnectionArn=arn)
            if answer["VpcIngressConnection"]["Status"] == "AVAILABLE":
                return answer["VpcIngressConnection"]
            assert time.monotonic() < deadline, answer
            time.sleep(0.02)

    def clear(self) -> None:
        """As a new account, but for the service that stays."""
        client = self.client
        for each in client.list_vpc_ingress_connections()["VpcIngressConnectionSummaryList"]:
            self.until_available(each["VpcIngressConnectionArn"])
            client.delete_vpc_ingress_connection(VpcIngressConnectionArn=each["VpcIngressConnectionArn"])
        arns = [each["ServiceArn"] for each in client.list_services()["ServiceSummaryList"]]
        for arn in arns:
            status = self.settled(arn)["Status"]
            if arn == self.kept:
                self._restore(arn)
            elif status != "DELETED":
                client.delete_service(ServiceArn=arn)
        for arn in arns:
            assert self.settled(arn)["Status"] == ("RUNNING" if arn == self.kept else "DELETED")
        for each in client.list_vpc_connectors()["VpcConnectors"]:
            client.delete_vpc_connector(VpcConnectorArn=each["VpcConnectorArn"])
        for each in client.list_connections()["ConnectionSummaryList"]:
            client.delete_connection(ConnectionArn=each["ConnectionArn"])
        self._clear_configurations()

    def _restore(self, arn: str) -> None:
        self.client.resume_service(ServiceArn=arn)
        self.settled(arn)
        for domain in self.client.describe_custom_domains(ServiceArn=arn)["CustomDomains"]:
            self.client.disassociate_custom_domain(ServiceArn=arn, DomainName=domain["DomainName"])
        tags = self.client.list_tags_for_resource(ResourceArn=arn)["Tags"]
        self.client.untag_resource(ResourceArn=arn, TagKeys=[tag["Key"] for tag in tags])

    def _clear_configurations(self) -> None:
        client = self.client
        found = client.list_observability_configurations(LatestOnly=False)["ObservabilityConfigurationSummaryList"]
        for each in found:
            if each["ObservabilityConfigurationName"] != "DefaultConfiguration":
                client.delete_observability_configuration(
                    ObservabilityConfigurationArn=each["ObservabilityConfigurationArn"]
                )
        found = client.list_auto_scaling_configurations(LatestOnly=False)["AutoScalingConfigurationSummaryList"]
        first = next(
            each["AutoScalingConfigurationArn"]
            for each in found
            if (each["AutoScalingConfigurationName"], each["AutoScalingConfigurationRevision"])
            == ("DefaultConfiguration", 1)
        )
        client.update_default_auto_scaling_configuration(AutoScalingConfigurationArn=first)
        for each in found:
            if each["AutoScalingConfigurationArn"] != first:
                client.delete_auto_scaling_configuration(
                    AutoScalingConfigurationArn=each["AutoScalingConfigurationArn"]
                )


@pytest.fixture(scope="module")
def whole_account(client: Any, repository: Path) -> Account:
    return Account(client, repository)


@pytest.fixture
def account(whole_account: Account) -> Iterator[Account]:
    """Empty at the beginning of each test, but for the service `running`."""
    yield whole_account
    whole_account.clear()


@pytest.fixture(scope="module")
def running(whole_account: Account) -> str:
    """The ARN of a service that runs."""
    whole_account.kept = whole_account.running("running")["ServiceArn"]
    return whole_account.kept


@pytest.fixture
def served(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """`homerun serve` as a process of its own; its ready line."""
    argv = [sys.executable, "-m", "tui.command", "serve", "--home", str(tmp_path / "home"), "--compute", "process"]
    argv += ["--api", "127.0.0.1:0", "--edge", "127.0.0.1:0", "--stop-instances"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.terminate()
    process.wait(timeout=30)
    process.stdout.close()


@pytest.fixture
def as_documented(served: dict[str, Any]) -> Callable[[str], str]:
    """The README's text with the real address and the real command in it."""
    bin_ = str(Path(sys.executable).parent)
    return lambda text: text.replace("http://127.0.0.1:8801", served["api"]).replace("/path/to/homerun/.venv/bin", bin_)


@pytest.fixture
def cli_environment(served: dict[str, Any], tmp_path: Path) -> dict[str, str]:
    """For the AWS CLI and boto3 as a person has them: what there is stands in AWS_CONFIG_FILE, still to be written."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_PAGER": "",
        "NO_PROXY": "127.0.0.1",
        "HOMERUN_HOME": served["home"],
    }
