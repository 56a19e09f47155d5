"""AWS Query: forms as requests, answers as XML that botocore reads, and nothing but refusals for nonsense."""

import asyncio
import re
import warnings
import xml.etree.ElementTree as ET
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.api.aws import Aws, find_call
from engine.api.aws_error import Refusal
from engine.api.aws_query import FORM, QueryCall, _parameters, find
from engine.api.message import Request
from engine.model.actions.identity import GetCallerIdentityRequest, GetCallerIdentityResponse
from engine.model.actions.metric import (
    Datapoint,
    Dimension,
    DimensionFilter,
    GetMetricDataRequest,
    GetMetricDataResponse,
    GetMetricStatisticsRequest,
    GetMetricStatisticsResponse,
    ListMetricsRequest,
    ListMetricsResponse,
    Metric,
    MetricDataQuery,
    MetricDataResult,
    MetricStat,
    Statistic,
)
from engine.model.audit import Caller
from engine.model.errors import EngineError, ErrorCode

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import botocore.session
    from botocore.parsers import create_parser

METRICS, STS = "2010-08-01", "2011-06-15"
AT = 1_800_000_000.0


def form(action, version=METRICS, **parameters):
    return urlencode({"Action": action, "Version": version, **parameters}).encode()


def posted(body):
    return Request(method="POST", target="/", headers=((b"content-type", FORM.encode()),), body=body)


def call_of(body):
    call = find(posted(body))
    assert isinstance(call, QueryCall), call
    return call


def read_form(body):
    return call_of(body).decode(posted(body))


def decoded(action, version=METRICS, **parameters):
    body = form(action, version, **parameters)
    return read_form(body)


STATISTICS = {
    "Namespace": "AWS/AppRunner",
    "MetricName": "Requests",
    "Dimensions.member.1.Name": "ServiceName",
    "Dimensions.member.1.Value": "shop",
    "Dimensions.member.2.Name": "ServiceID",
    "Dimensions.member.2.Value": "0" * 32,
    "StartTime": "2027-01-15T07:00:00Z",
    "EndTime": "2027-01-15T08:00:00Z",
    "Period": "60",
    "Statistics.member.1": "Sum",
    "Statistics.member.2": "Average",
}


class TestForms:
    def test_a_form_becomes_the_actions_request(self):
        assert decoded("GetMetricStatistics", **STATISTICS) == GetMetricStatisticsRequest(
            namespace="AWS/AppRunner",
            metric_name="Requests",
            dimensions=(Dimension(name="ServiceName", value="shop"), Dimension(name="ServiceID", value="0" * 32)),
            start_time=AT - 3600,
            end_time=AT,
            period=60,
            statistics=(Statistic.SUM, Statistic.AVERAGE),
        )

    def test_lists_within_lists_and_truths_are_read(self):
        stat = "MetricDataQueries.member.{}.MetricStat."
        request = decoded(
            "GetMetricData",
            **{
                "MetricDataQueries.member.1.Id": "a",
                "MetricDataQueries.member.1.ReturnData": "false",
                stat.format(1) + "Metric.Namespace": "AWS/AppRunner",
                stat.format(1) + "Metric.MetricName": "Requests",
                stat.format(1) + "Metric.Dimensions.member.1.Name": "ServiceName",
                stat.format(1) + "Metric.Dimensions.member.1.Value": "shop",
                stat.format(1) + "Period": "300",
                stat.format(1) + "Stat": "Sum",
                "MetricDataQueries.member.2.Id": "b",
                "MetricDataQueries.member.2.ReturnData": "true",
                "StartTime": "1800000000",
                "EndTime": "1800000000.5",
                "MaxDatapoints": "5",
            },
        )
        metric = Metric(
            namespace="AWS/AppRunner",
            metric_name="Requests",
            dimensions=(Dimension(name="ServiceName", value="shop"),),
        )
        first = MetricDataQuery(
            id="a", metric_stat=MetricStat(metric=metric, period=300, stat="Sum"), return_data=False
        )
        assert request == GetMetricDataRequest(
            metric_data_queries=(first, MetricDataQuery(id="b", return_data=True)),
            start_time=AT,
            end_time=AT + 0.5,
            max_datapoints=5,
        )

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("2027-01-15T08:00:00Z", AT),
            ("2027-01-15T08:00:00", AT),
            ("2027-01-15T08:00:00.500Z", AT + 0.5),
            ("2027-01-15T10:00:00+02:00", AT),
            ("2027-01-15", AT - 8 * 3600),
            ("1800000000", AT),
            ("1.8e9", AT),
        ],
    )
    def test_times_come_in_iso_8601_or_as_seconds(self, text, seconds):
        request = decoded("GetMetricStatistics", **{**STATISTICS, "EndTime": text})
        assert request.end_time == seconds

    def test_members_of_a_list_are_ordered_by_number(self):
        numbers = {f"Dimensions.member.{number}.Name": f"d{number}" for number in (10, 2, 1, 9)}
        request = decoded("ListMetrics", **numbers)
        assert [each.name for each in request.dimensions] == ["d1", "d2", "d9", "d10"]

    def test_what_is_written_as_text_stays_text(self):
        request = decoded("ListMetrics", MetricName="60", Namespace="true")
        assert (request.metric_name, request.namespace) == ("60", "true")

    def test_names_and_values_are_decoded_once(self):
        body = b"Action=ListMetrics&Version=2010-08-01&Metric%4eame=a%2Bb+c%25&Namespace=%C3%BC%F0%9F%99%82"
        request = read_form(body)
        assert (request.metric_name, request.namespace) == ("a+b c%", "ü🙂")

    def test_unknown_parameters_are_ignored_as_aws_does(self):
        request = decoded("ListMetrics", Surprise="1", **{"Other.member.1.X": "2", "X-Amz-Date": "x"})
        assert request == ListMetricsRequest()

    @pytest.mark.parametrize(
        "parameters",
        [
            "A=1&A.b=2",
            "A.b=2&A=1",
            "A.b.c=1&A.b=2",
            "Dimensions=1&Dimensions.member.1.Name=x",
            "Dimensions.member.1.Name=x&Dimensions.member.1=y",
        ],
    )
    def test_names_that_contradict_each_other_are_refused(self, parameters):
        body = form("ListMetrics") + b"&" + parameters.encode()
        refusal = read_form(body)
        assert (refusal.status, refusal.code) == (400, "SerializationException")
        assert "contradicts" in refusal.message

    @pytest.mark.parametrize(
        ("parameters", "member"),
        [
            ({"Period": "x"}, "period"),
            ({"Period": "1.5"}, "period"),
            ({"Period": "0"}, "period"),
            ({"StartTime": "yesterday"}, "startTime"),
            ({"Statistics.member.1": "Median"}, "statistics"),
            ({"Namespace": ""}, "namespace"),
            ({"Dimensions.member.1.Name": ""}, "dimensions"),
        ],
    )
    def test_what_does_not_fit_is_told_by_its_name(self, parameters, member):
        refusal = decoded("GetMetricStatistics", **{**STATISTICS, **parameters})
        assert (refusal.status, refusal.code) == (400, "InvalidParameterValue")
        assert f"at '{member}" in refusal.message

    @pytest.mark.parametrize(
        "parameters",
        [
            {"Dimensions": "x"},
            {"Dimensions.member": "x"},
            {"Dimensions.member.x.Name": "a"},
            {"Dimensions.member.-1.Name": "a"},
            {"MetricName.a": "x"},
            {"Dimensions.member.1.Name.b": "x"},
            {"IncludeLinkedAccounts": "maybe"},
        ],
    )
    def test_another_form_than_the_members_is_refused(self, parameters):
        refusal = decoded("ListMetrics", **parameters)
        assert isinstance(refusal, Refusal)
        assert refusal.status == 400

    def test_a_missing_member_is_named(self):
        refusal = decoded("GetMetricStatistics", Namespace="AWS/AppRunner")
        assert "Value null at 'metricName'" in refusal.message

    def test_a_folder_in_place_of_a_truth_is_refused(self):
        assert isinstance(decoded("ListMetrics", **{"IncludeLinkedAccounts.x": "true"}), Refusal)

    def test_a_member_numbered_in_another_script_is_refused(self):
        assert isinstance(decoded("ListMetrics", **{"Dimensions.member.²": "x"}), Refusal)

    def test_thousands_of_parameters_are_not_read(self):
        many = "&".join(f"Dimensions.member.{number}.Name=x" for number in range(3000))
        request = posted(form("ListMetrics") + b"&" + many.encode())
        assert isinstance(find_call(request).decode(request), Refusal)

    def test_a_call_is_known_by_the_beginning_of_its_form(self):
        """Nobody knows yet who sent it: a megabyte of escapes must not be read for that."""
        late = b"MetricName=" + b"%41" * 2000 + b"&" + form("ListMetrics")
        assert find_call(posted(late)).action is None
        assert find_call(posted(form("ListMetrics") + b"&MetricName=" + b"%41" * 300_000)).action.name == "ListMetrics"

    def test_a_plus_in_a_query_is_a_plus_as_it_is_signed(self):
        target = "/?Action=GetMetricStatistics&Version=2010-08-01&MetricName=a+b&StartTime=2026-01-01T00:00:00+01:00"
        request = Request(method="GET", target=target)
        assert "a+b" in dict(_parameters(request)).values()
        assert dict(_parameters(request))["StartTime"].endswith("+01:00")

    def test_parameters_nested_beyond_sense_do_no_harm(self):
        body = form("ListMetrics") + b"&" + b".".join([b"Dimensions"] * 5000) + b"=1"
        assert isinstance(read_form(body), (Refusal, ListMetricsRequest))

    @pytest.mark.parametrize(
        ("action", "version"),
        [
            ("ListMetrics", STS),
            ("GetCallerIdentity", METRICS),
            ("ListMetrics", "2009-01-01"),
            ("DeleteEverything", METRICS),
            ("", METRICS),
            ("ListServices", METRICS),
        ],
    )
    def test_an_action_of_no_api_here_is_unknown(self, action, version):
        assert find(posted(form(action, version))) == action
        call = find_call(posted(form(action, version)))
        assert call.refusal.code == "UnknownOperationException"

    def test_a_presigned_get_is_a_call_too(self):
        query = f"Action=GetCallerIdentity&Version={STS}&X-Amz-Signature=0"
        request = Request(method="GET", target=f"/?{query}")
        call = find(request)
        assert call.action.name == "GetCallerIdentity"
        assert call.decode(request) == GetCallerIdentityRequest()


MEMBERS = (
    "Dimensions.member.1.Name",
    "Dimensions.member.1.Value",
    "Dimensions.member.1",
    "Dimensions.1.Name",
    "Dimensions",
    "NextToken",
    "StartTime",
    "Period",
    "Statistics.member.1",
    "MetricDataQueries.member.1.Id",
    "MetricDataQueries.member.1.MetricStat.Period",
    "X-Amz-Signature",
    ".",
    "a..b",
)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200))
def test_junk_bytes_never_raise(junk):
    request = posted(junk)
    call = find_call(request)
    if call.action is not None:
        call.decode(request)
    body = form("ListMetrics") + b"&" + junk
    assert isinstance(read_form(body), (Refusal, ListMetricsRequest)) or b"Action" in junk


@settings(max_examples=80, deadline=None)
@given(
    action=st.sampled_from(["ListMetrics", "GetMetricData", "GetMetricStatistics"]),
    pairs=st.lists(st.tuples(st.sampled_from(MEMBERS), st.text(max_size=8) | st.sampled_from(["1", "nan", "-1e400"]))),
)
def test_nearly_right_forms_never_raise(action, pairs):
    body = form(action) + b"".join(f"&{quote(name)}={quote(value, errors='replace')}".encode() for name, value in pairs)
    call = call_of(body)
    assert isinstance(call.decode(posted(body)), (Refusal, call.action.request))


@pytest.fixture(scope="module")
def read():
    """An answer as botocore reads it."""
    session = botocore.session.Session()
    parser = create_parser("query")

    def parsed(service, operation, response):
        shape = session.get_service_model(service).operation_model(operation).output_shape
        headers = {"Content-Type": response.content_type, **dict(response.headers)}
        return parser.parse({"status_code": response.status, "headers": headers, "body": response.body}, shape)

    return parsed


def answered(answer, action, version=METRICS, request_id="r-1"):
    return call_of(form(action, version)).respond(answer, request_id)


class TestAnswers:
    def test_botocore_reads_who_calls(self, read):
        answer = GetCallerIdentityResponse(user_id="AIDA", account="000000000000", arn="arn:aws:iam::0:user/h")
        response = answered(answer, "GetCallerIdentity", STS)
        assert (response.status, response.content_type) == (200, "text/xml")
        assert ("x-amzn-RequestId", "r-1") in response.headers
        found = read("sts", "GetCallerIdentity", response)
        assert found["ResponseMetadata"]["RequestId"] == "r-1"
        del found["ResponseMetadata"]
        assert found == {"UserId": "AIDA", "Account": "000000000000", "Arn": "arn:aws:iam::0:user/h"}
        assert b'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"' in response.body

    def test_botocore_reads_statistics(self, read):
        points = (
            Datapoint(timestamp=AT, sum=3.5, average=1.0, unit="Count"),
            Datapoint(timestamp=AT + 60, unit="Milliseconds", extended_statistics={"p50": 1.25, "p99.9": 1e-7}),
        )
        response = answered(GetMetricStatisticsResponse(label="Requests", datapoints=points), "GetMetricStatistics")
        found = read("cloudwatch", "GetMetricStatistics", response)
        assert found["Label"] == "Requests"
        first, second = found["Datapoints"]
        assert (first["Timestamp"].timestamp(), first["Sum"], first["Average"]) == (AT, 3.5, 1.0)
        assert "Maximum" not in first
        assert second["Timestamp"].timestamp() == AT + 60
        assert second["ExtendedStatistics"] == {"p50": 1.25, "p99.9": 1e-7}

    def test_botocore_reads_data(self, read):
        result = MetricDataResult(
            id="q", label="l", timestamps=(AT, AT + 60), values=(1.0, 2.5), status_code="Complete"
        )
        response = answered(GetMetricDataResponse(metric_data_results=(result,), next_token="t"), "GetMetricData")
        found = read("cloudwatch", "GetMetricData", response)
        (series,) = found["MetricDataResults"]
        assert [each.timestamp() for each in series["Timestamps"]] == [AT, AT + 60]
        assert (series["Values"], series["StatusCode"], found["NextToken"]) == ([1.0, 2.5], "Complete", "t")

    def test_botocore_reads_metrics_and_empty_lists(self, read):
        metric = Metric(namespace="AWS/AppRunner", metric_name="Requests", dimensions=(Dimension(name="a", value="b"),))
        found = read("cloudwatch", "ListMetrics", answered(ListMetricsResponse(metrics=(metric,)), "ListMetrics"))
        assert found["Metrics"] == [
            {"Namespace": "AWS/AppRunner", "MetricName": "Requests", "Dimensions": [{"Name": "a", "Value": "b"}]}
        ]
        nothing = read("cloudwatch", "ListMetrics", answered(ListMetricsResponse(metrics=()), "ListMetrics"))
        assert nothing["Metrics"] == []

    @pytest.mark.parametrize("status", [400, 500])
    def test_botocore_reads_a_refusal(self, read, status):
        refusal = Refusal(status=status, code="InvalidParameterValue", message='Not <this> & "that" ü.')
        response = call_of(form("ListMetrics")).refuse(refusal, "r-9")
        assert response.status == status
        found = read("cloudwatch", "ListMetrics", response)
        assert found["Error"] == {
            "Type": "Sender" if status == 400 else "Receiver",
            "Code": "InvalidParameterValue",
            "Message": 'Not <this> & "that" ü.',
        }
        assert found["ResponseMetadata"]["RequestId"] == "r-9"

    @pytest.mark.parametrize("text", ["<Label>&amp;</Label>", "]]>", "a\x00b\x1b[31m", "\udc80", "tab\t\n", "🙂\x85"])
    def test_markup_and_control_characters_arrive_as_text(self, read, text):
        response = answered(GetMetricStatisticsResponse(label=text, datapoints=()), "GetMetricStatistics")
        wanted = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", "\ufffd", text)
        assert read("cloudwatch", "GetMetricStatistics", response)["Label"] == wanted

    @settings(max_examples=80, deadline=None)
    @given(st.text(st.characters(exclude_characters="\r\ufffe\uffff"), max_size=30))
    def test_any_text_makes_well_formed_xml(self, text):
        response = answered(GetMetricStatisticsResponse(label=text, datapoints=()), "GetMetricStatistics")
        (label,) = ET.fromstring(response.body).iter("{http://monitoring.amazonaws.com/doc/2010-08-01/}Label")
        assert (label.text or "") == re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", "\ufffd", text)
        refused = call_of(form("ListMetrics")).refuse(Refusal(status=400, code="X", message=text), "r")
        ET.fromstring(refused.body)

    @pytest.mark.parametrize("text", ["\ufffe", "\uffff"])
    def test_characters_that_are_none_make_well_formed_xml(self, text):
        response = answered(GetMetricStatisticsResponse(label=text, datapoints=()), "GetMetricStatistics")
        ET.fromstring(response.body)

    def test_a_carriage_return_arrives(self, read):
        response = answered(GetMetricStatisticsResponse(label="a\rb", datapoints=()), "GetMetricStatistics")
        assert read("cloudwatch", "GetMetricStatistics", response)["Label"] == "a\rb"


class TestCalls:
    """Through the front, with an engine behind it that says what it is told to."""

    @pytest.fixture
    def ask(self, engine, monkeypatch):
        def asked(body, answer):
            async def call(request, *, caller):
                if isinstance(answer, Exception):
                    raise answer
                return answer

            monkeypatch.setattr(engine, "call", call)
            request = posted(body)
            return asyncio.run(Aws(engine).answer(request, find_call(request), Caller(request_id="r-1")))

        return asked

    def test_an_answer_comes_as_xml(self, ask, read):
        response = ask(form("ListMetrics"), ListMetricsResponse(metrics=()))
        assert read("cloudwatch", "ListMetrics", response)["Metrics"] == []

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (EngineError(ErrorCode.INVALID_REQUEST, "No."), 400, "InvalidParameterValue"),
            (EngineError(ErrorCode.INVALID_REQUEST, "No.", wire="MissingParameter"), 400, "MissingParameter"),
            (EngineError(ErrorCode.INTERNAL, "No."), 500, "InternalServiceFault"),
            (RuntimeError("a defect"), 500, "InternalServiceFault"),
        ],
    )
    def test_an_error_comes_as_xml_with_the_apis_own_type(self, ask, read, error, status, code):
        response = ask(form("ListMetrics"), error)
        found = read("cloudwatch", "ListMetrics", response)
        assert (response.status, found["Error"]["Code"]) == (status, code)

    def test_a_form_that_does_not_fit_never_reaches_the_engine(self, ask, read):
        response = ask(form("GetMetricStatistics"), AssertionError("reached"))
        found = read("cloudwatch", "GetMetricStatistics", response)
        assert (response.status, found["Error"]["Code"]) == (400, "InvalidParameterValue")

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.binary(max_size=120))
    def test_no_form_whatever_is_a_500(self, ask, junk):
        response = ask(form("ListMetrics") + b"&" + junk, ListMetricsResponse(metrics=()))
        assert response.status in {200, 400}


def test_a_filter_by_a_dimension_needs_no_value():
    request = decoded("ListMetrics", **{"Dimensions.member.1.Name": "Instance"})
    assert request.dimensions == (DimensionFilter(name="Instance"),)
