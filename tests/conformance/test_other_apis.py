"""CloudWatch Logs, CloudWatch, CloudTrail and STS on the same port, asked by boto3 about a service that runs."""

import contextlib
import json
import time
import urllib.request
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from engine.api.credentials import load_or_create
from tests.conformance.generate import faults

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow
MESSAGES = [f"[AppRunner] {text}" for text in ("Service creation started.", "Service status is set to RUNNING.")]


@pytest.fixture(scope="module")
def clients(hosted):
    """Makes boto3 clients of any service; every answer must be what botocore's model says."""
    credentials = load_or_create(hosted.home)
    made = {}

    def client(name: str):
        if name not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made[name] = boto3.client(
                    name,
                    endpoint_url=hosted.host.record.api,
                    region_name="us-east-1",
                    aws_access_key_id=credentials.access_key_id,
                    aws_secret_access_key=credentials.secret_access_key,
                    config=Config(
                        retries={"total_max_attempts": 1},
                        parameter_validation=False,
                        proxies={},
                        inject_host_prefix=False,
                    ),
                )
            made[name].meta.events.register("after-call", hold_against_the_model)
        return made[name]

    yield client
    for each in made.values():
        each.close()


def hold_against_the_model(http_response, model, **_):
    is_json = "json" in http_response.headers.get("content-type", "")
    if http_response.status_code == 200 and is_json and model.output_shape is not None:
        assert list(faults(model.output_shape, json.loads(http_response.content))) == [], model.name


@pytest.fixture(scope="module")
def service(running, whole_account):
    return whole_account.describe(running)


@pytest.fixture(scope="module")
def group(service):
    return f"/aws/apprunner/{service['ServiceName']}/{service['ServiceId']}"


def ask(hosted, service, times: int, path: str = "/") -> None:
    request = urllib.request.Request(hosted.host.record.edge + path, headers={"Host": service["ServiceUrl"]})
    for _ in range(times):
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200


def eventually(check, timeout_s: float = 10.0):
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
    return found


def code_of(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"]


def test_the_service_has_its_log_groups_and_their_streams(clients, hosted, service, group):
    logs = clients("logs")
    ask(hosted, service, 1)  # the server prints a line for it
    names = eventually(
        lambda: (found := [each["logGroupName"] for each in groups(logs, group)]) and len(found) == 2 and found
    )
    assert names == [f"{group}/application", f"{group}/service"]
    streams = logs.describe_log_streams(logGroupName=f"{group}/service")["logStreams"]
    assert [each["logStreamName"].partition("/")[0] for each in streams] == ["deployment", "events"]
    assert all(each["firstEventTimestamp"] <= each["lastEventTimestamp"] for each in streams)
    (instance,) = logs.describe_log_streams(logGroupName=f"{group}/application")["logStreams"]
    assert instance["logStreamName"].startswith("instance/")


def groups(logs, group):
    return logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]


def test_events_come_page_by_page_forward_and_backward_each_once(clients, group):
    logs, where = clients("logs"), {"logGroupName": f"{group}/service", "logStreamName": "events"}
    everything = [each["message"] for each in logs.get_log_events(**where, startFromHead=True)["events"]]
    assert set(MESSAGES) <= set(everything)

    forward, token = [], {}
    while True:
        page = logs.get_log_events(**where, limit=2, startFromHead=True, **token)
        forward += [each["message"] for each in page["events"]]
        if token == {"nextToken": page["nextForwardToken"]}:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert forward == everything

    backward, token = [], {}
    while True:
        page = logs.get_log_events(**where, limit=2, **token)
        backward = [each["message"] for each in page["events"]] + backward
        if token == {"nextToken": page["nextBackwardToken"]}:
            break
        token = {"nextToken": page["nextBackwardToken"]}
    assert backward == everything


def test_following_as_the_aws_cli_does_sees_each_new_line_once(clients, hosted, service, group):
    """Version 2's `aws logs tail --follow`: from the newest time on, again and again, without what it has shown."""
    logs, name = clients("logs"), f"{group}/application"
    start, shown = int(time.time() * 1000), {}

    def look() -> None:
        token: dict[str, str] = {}
        while True:
            newest = max((each["timestamp"] for each in shown.values()), default=start)
            page = logs.filter_log_events(logGroupIdentifier=name, startTime=newest, interleaved=True, **token)
            shown.update({each["eventId"]: each for each in page["events"]})
            if "nextToken" not in page:
                return
            token = {"nextToken": page["nextToken"]}

    for count in (3, 2):
        ask(hosted, service, count, "/followed")
        wanted = len(shown) + count
        eventually(lambda wanted=wanted: look() or len(shown) >= wanted)
    assert len(shown) == 5


def test_a_filter_finds_lines_of_both_kinds_of_the_service_group(clients, group):
    logs = clients("logs")
    found = logs.filter_log_events(logGroupName=f"{group}/service", filterPattern='"Successfully" -routed')["events"]
    assert {each["logStreamName"].partition("/")[0] for each in found} == {"events", "deployment"}
    assert all("Successfully" in each["message"] and "routed" not in each["message"] for each in found)
    assert [each["eventId"] for each in found] == sorted(each["eventId"] for each in found)


def test_a_live_tail_brings_new_lines(clients, hosted, service, group):
    stream = clients("logs").start_live_tail(
        logGroupIdentifiers=[f"{group}/application"], logEventFilterPattern="alive"
    )["responseStream"]
    with contextlib.closing(stream):
        events = iter(stream)
        assert next(events)["sessionStart"]["logGroupIdentifiers"] == [f"{group}/application"]
        ask(hosted, service, 1, "/not-this")
        ask(hosted, service, 2, "/alive")
        seen: list[str] = []
        deadline = time.monotonic() + 10
        while len(seen) < 2:
            assert time.monotonic() < deadline
            seen += [each["message"] for each in next(events)["sessionUpdate"]["sessionResults"]]
    assert len(seen) == 2
    assert all("/alive" in line for line in seen)


def test_a_retention_policy_is_kept_and_taken_back(clients, group):
    logs, name = clients("logs"), f"{group}/service"

    def days() -> int:
        return next(each["retentionInDays"] for each in groups(logs, group) if each["logGroupName"] == name)

    logs.put_retention_policy(logGroupName=name, retentionInDays=30)
    assert days() == 30
    logs.delete_retention_policy(logGroupName=name)
    assert days() == 14
    assert code_of(logs.put_retention_policy, logGroupName=name, retentionInDays=2) == "InvalidParameterException"


def test_logs_that_are_not_there_are_refused_in_their_own_words(clients, group):
    logs = clients("logs")
    assert code_of(logs.filter_log_events, logGroupName="/aws/none") == "ResourceNotFoundException"
    unknown = {"logGroupName": f"{group}/service", "logStreamName": "deployment/" + "0" * 32}
    assert code_of(logs.get_log_events, **unknown) == "ResourceNotFoundException"
    assert code_of(logs.describe_log_streams) == "InvalidParameterException"
    assert code_of(logs.describe_log_groups, limit=51) == "InvalidParameterException"


def dimensions(service):
    return [
        {"Name": "ServiceName", "Value": service["ServiceName"]},
        {"Name": "ServiceID", "Value": service["ServiceId"]},
    ]


def test_requests_are_counted_and_timed(clients, hosted, service):
    metrics = clients("cloudwatch")
    span = {"StartTime": datetime.now(UTC) - timedelta(minutes=10), "Namespace": "AWS/AppRunner", "Period": 60}

    def total() -> float:
        found = metrics.get_metric_statistics(
            **span,
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            MetricName="Requests",
            Dimensions=dimensions(service),
            Statistics=["Sum"],
        )
        return sum(each["Sum"] for each in found["Datapoints"])

    before = total()
    ask(hosted, service, 4)
    eventually(lambda: total() == before + 4)
    latency = metrics.get_metric_statistics(
        **span,
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        MetricName="RequestLatency",
        Dimensions=dimensions(service),
        Statistics=["Average", "Minimum", "Maximum", "SampleCount"],
        ExtendedStatistics=["p50", "p99"],
    )["Datapoints"]
    assert sum(each["SampleCount"] for each in latency) == before + 4
    for each in latency:
        assert 0 < each["Minimum"] <= each["ExtendedStatistics"]["p50"] <= each["ExtendedStatistics"]["p99"]
        assert each["Minimum"] <= each["Average"] <= each["Maximum"]
        assert each["Unit"] == "Milliseconds"


def test_metrics_are_listed_and_asked_for_together(clients, service):
    metrics = clients("cloudwatch")
    listed = metrics.list_metrics(Namespace="AWS/AppRunner", Dimensions=dimensions(service))["Metrics"]
    of_service = {each["MetricName"] for each in listed if len(each["Dimensions"]) == 2}
    assert of_service == {
        "Requests", "2xxStatusResponses", "4xxStatusResponses", "5xxStatusResponses", "RequestLatency",
        "ActiveInstances", "Concurrency", "CPUUtilization", "MemoryUtilization",
    }  # fmt: skip
    assert {each["MetricName"] for each in listed if len(each["Dimensions"]) == 3} == {
        "CPUUtilization",
        "MemoryUtilization",
    }

    def stat(name: str, metric: dict, stat: str) -> dict:
        return {"Id": name, "MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}}

    instance = next(each for each in listed if len(each["Dimensions"]) == 3 and "Memory" in each["MetricName"])
    asked = [
        stat("memory", instance, "Average"),
        stat("latency", {**instance, "MetricName": "RequestLatency", "Dimensions": dimensions(service)}, "p95"),
        stat("invented", {**instance, "MetricName": "RequestCount"}, "Sum"),
    ]

    def answers():
        data = metrics.get_metric_data(
            MetricDataQueries=asked,
            StartTime=datetime.now(UTC) - timedelta(minutes=5),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
        )
        found = {each["Id"]: each for each in data["MetricDataResults"]}
        return found if found["memory"]["Values"] else None

    found = eventually(answers)
    assert all(0 < value <= 100 for value in found["memory"]["Values"])
    assert found["invented"]["Values"] == []
    assert len(found["memory"]["Timestamps"]) == len(found["memory"]["Values"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Period": 61}, "InvalidParameterValue"),
        ({"Period": 0}, "InvalidParameterValue"),
        ({"StartTime": 2, "EndTime": 1}, "InvalidParameterValue"),
        ({"StartTime": 0, "EndTime": 10**6, "Period": 60}, "InvalidParameterCombination"),
        ({"Statistics": None}, "MissingParameter"),
        ({"Statistics": None, "ExtendedStatistics": ["p101"]}, "InvalidParameterValue"),
    ],
)
def test_what_cloudwatch_refuses_is_refused(clients, service, changes, code):
    arguments = {
        "Namespace": "AWS/AppRunner",
        "MetricName": "Requests",
        "Dimensions": dimensions(service),
        "StartTime": 0,
        "EndTime": 60,
        "Period": 60,
        "Statistics": ["Sum"],
        **changes,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    assert code_of(clients("cloudwatch").get_metric_statistics, **given) == code


def test_calls_are_found_in_the_trail_with_their_secrets_hidden(clients, client, running):
    source = client.describe_service(ServiceArn=running)["Service"]["SourceConfiguration"]
    code = source["CodeRepository"]
    values = {
        "Runtime": "PYTHON_311",
        "StartCommand": "python3 server.py --token=hush",
        "RuntimeEnvironmentVariables": {"PASSWORD": "hush"},
    }
    refused = {
        "ServiceName": "x",
        "SourceConfiguration": {
            "CodeRepository": {
                **code,
                "CodeConfiguration": {"ConfigurationSource": "API", "CodeConfigurationValues": values},
            }
        },
    }
    with pytest.raises(ClientError):
        client.create_service(**refused)
    with pytest.raises(ClientError):
        client.create_service(**{**refused, "ServiceName": "running"})

    trail = clients("cloudtrail")
    events = trail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateService"}], MaxResults=3
    )["Events"]
    taken, garbled, created = (json.loads(each["CloudTrailEvent"]) for each in events)
    assert taken["errorCode"] == garbled["errorCode"] == "InvalidRequestException"
    shown = taken["requestParameters"]["sourceConfiguration"]["codeRepository"]["codeConfiguration"]
    assert shown["codeConfigurationValues"] == {
        "runtime": "PYTHON_311",
        "startCommand": "HIDDEN_DUE_TO_SECURITY_REASONS",
        "runtimeEnvironmentVariables": "HIDDEN_DUE_TO_SECURITY_REASONS",
    }
    assert created["responseElements"]["service"]["serviceArn"]
    assert "hush" not in json.dumps([each["CloudTrailEvent"] for each in events])
    assert created["userIdentity"]["userName"] == "homerun"
    assert created["sourceIPAddress"] == "127.0.0.1"
    assert "Boto3" in created["userAgent"]


def test_the_trail_pages_through_every_call_once(clients, client):
    for _ in range(5):
        client.list_connections()
    trail, seen, token = clients("cloudtrail"), [], {}
    while True:
        page = trail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ListConnections"}],
            MaxResults=2,
            **token,
        )
        seen += [each["EventId"] for each in page["Events"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert len(seen) == len(set(seen)) >= 5


def test_an_unsigned_call_is_recorded(clients, hosted):
    request = urllib.request.Request(
        hosted.host.record.api + "/",
        data=b"{}",
        headers={"X-Amz-Target": "AppRunner.DeleteService", "Content-Type": "application/x-amz-json-1.0"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    caught.value.close()

    (event,) = clients("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": "unknown"}], MaxResults=1
    )["Events"]
    record = json.loads(event["CloudTrailEvent"])
    assert (record["eventName"], record["errorCode"]) == ("DeleteService", "MissingAuthenticationTokenException")
    assert record["userIdentity"]["type"] == "Unknown"


def test_who_calls_is_the_one_user_that_there_is(clients):
    identity = clients("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"] == "arn:aws:iam::000000000000:user/homerun"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_presigned_call_works_until_it_expires(clients, method):
    url = clients("sts").generate_presigned_url("get_caller_identity", ExpiresIn=1, HttpMethod=method)
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert b"user/homerun" in answer.read()
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert b"Signature expired" in caught.value.read()
    caught.value.close()
