"""The audit trail's table and everything that is told about one call."""

import msgspec
import pytest

from engine.model.ids import resource_arn
from tui.presenters.audit import COLUMNS, about, call_cells, call_content, empty_text, outcome_face
from tui.presenters.table import fit

REFUSAL = ("InvalidRequestException", "Service with the provided name already exists: shop.")


@pytest.fixture
def shop(fake):
    return fake.service("shop-api", 1)


def test_a_call_says_what_whom_and_when(fake, shop):
    call, subject, outcome, who, ago = call_cells(fake.record("PauseService", 1, of=shop, ago_s=95), fake.NOW)
    assert [call.text, subject.text, outcome.text, who.text, ago.text] == [
        "PauseService",
        "shop-api",
        "✓ ok",
        "homerun",
        "1m",
    ]
    assert (call.role, outcome.role) == ("strong", "success")


def test_reads_step_back(fake, shop):
    assert call_cells(fake.record("DescribeService", 1, of=shop), fake.NOW)[0].role == "muted"


def test_an_error_is_red_and_called_by_its_type(fake):
    call, _, outcome, _, _ = call_cells(fake.record("CreateService", 1, error=REFUSAL), fake.NOW)
    assert (outcome.text, outcome.role) == ("✕ InvalidRequest", "error")
    assert call.role == "strong"


def test_a_call_that_was_turned_away_stands_out_without_colours_too(fake):
    away = fake.record("ListServices", 1, error=("UnrecognizedClientException", "?"), refused=True)
    call, _, outcome, _, _ = call_cells(away, fake.NOW)
    assert (outcome.text, outcome.role, call.role) == ("⊘ UnrecognizedClient", "error", "error")
    assert outcome_face(msgspec.structs.replace(away, error_code="")).word == "turned away"


def test_a_call_without_a_name_keeps_its_line(fake):
    assert call_cells(fake.record("", 1, error=("X", "y"), refused=True), fake.NOW)[0].text == "-"


@pytest.mark.parametrize(
    ("call", "paths", "name"),
    [
        ("CreateService", [("autoscalingconfiguration", "Default", 1, "f00"), ("service", "shop", "f00")], "shop"),
        ("CreateVpcIngressConnection", [("service", "shop", "f00"), ("vpcingressconnection", "door", "f00")], "door"),
        ("DeleteConnection", [("connection", "acme", "f00")], "acme"),
        ("TagResource", [("service", "shop", "f00")], "shop"),
    ],
)
def test_a_call_is_about_the_resource_that_it_is_named_after(fake, call, paths, name):
    arns = tuple(sorted(resource_arn("us-east-1", *path) for path in paths))
    assert about(msgspec.structs.replace(fake.record(call, 1), resources=arns)) == name


def test_an_arn_without_a_name_is_shown_as_it_is(fake):
    assert about(msgspec.structs.replace(fake.record("X", 1), resources=("odd",))) == "odd"


def test_a_refused_creation_is_about_what_was_asked_for(fake):
    asked = {"size": 3, "serviceName": "shop"}
    assert about(fake.record("CreateService", 1, error=REFUSAL, parameters=asked)) == "shop"
    assert about(fake.record("ListServices", 1, parameters={})) == "-"
    assert about(fake.record("ListServices", 1)) == "-"


def test_the_detail_tells_the_refusal_first_then_who_then_what(fake):
    told = call_content(
        fake.record("CreateService", 1, error=REFUSAL, parameters={"serviceName": "shop", "tags": [{"key": "a"}]})
    ).plain.splitlines()
    assert told[:2] == ["✕ InvalidRequestException", REFUSAL[1]]
    assert told[2] == "2026-11-23T14:29:00Z · apprunner.amazonaws.com"
    assert told[3] == "homerun · key HRAKQ7XW3M5T2Y8ZB4NC · from 127.0.0.1"
    assert told[4].startswith("aws-cli/2.31.2")
    assert told[5] == f"request {fake.uuid_of(51)}"
    assert told[6:] == [
        "Request parameters",
        "{",
        '  "serviceName": "shop",',
        '  "tags": [',
        "    {",
        '      "key": "a"',
        "    }",
        "  ]",
        "}",
    ]


def test_the_answer_of_a_change_is_told_and_what_is_unknown_is_left_out(fake, shop):
    record = fake.record("PauseService", 1, of=shop, user="screen", elements={"operationId": "x"})
    told = call_content(record).plain
    assert told.startswith("2026-11-23T14:29:00Z · apprunner.amazonaws.com\nscreen\nRequest parameters")
    assert told.endswith('Response elements\n{\n  "operationId": "x"\n}')
    assert "key" not in told


def test_a_call_that_was_turned_away_says_so(fake):
    away = fake.record("ListServices", 1, error=("MissingAuthenticationTokenException", "No signature."), refused=True)
    told = call_content(away).plain
    assert told.startswith("⊘ MissingAuthenticationTokenException · turned away\nNo signature.")


def test_what_callers_sent_is_cleaned_and_never_markup(fake):
    evil = "\x1b]0;mine\x07[red]x[/]\x9b31m\u202e"
    record = fake.record(
        evil, 1, error=(evil, evil), user=evil, agent=evil, parameters={"serviceName": evil, evil: [evil]}
    )
    told = call_content(msgspec.structs.replace(record, access_key_id=evil, source=evil))
    shown = [told.plain, *(cell.text for cell in call_cells(record, fake.NOW))]
    for text in shown:
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)
    assert "[red]x[/]" in told.plain
    assert not any("red" in str(span.style).split() for span in told.spans)


def test_an_endless_answer_is_cut(fake):
    told = call_content(fake.record("X", 1, elements={"a": "b" * 50_000})).plain
    assert len(told) < 21_000
    assert told.endswith("characters more")


def test_the_columns_that_matter_least_leave_first():
    shown = {
        width: [column.key for column, given in zip(COLUMNS, fit(COLUMNS, width), strict=True) if given]
        for width in (76, 50, 45)
    }
    assert shown[76] == ["call", "about", "outcome", "who", "ago"]
    assert shown[50] == ["call", "about", "outcome", "ago"]
    assert shown[45] == ["call", "about", "outcome"]


def test_an_empty_trail_says_why_it_is_empty():
    sentences = {empty_text(known=known, reads=reads) for known in (True, False) for reads in (True, False)}
    assert len(sentences) == 3
    assert "Press a" in empty_text(known=True, reads=False)
