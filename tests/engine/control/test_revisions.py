"""Revisions of one name: the latest is the highest active one, and a number never means two things."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.revisions import active, is_latest, latest, meant_by, next_revision
from engine.model.errors import EngineError, ErrorCode
from engine.model.ids import resource_arn
from engine.model.resource import AutoScalingRecord

REGION, KIND = "us-east-1", "autoscalingconfiguration"


def record(name, revision, *, deleted=False):
    record_id = f"{abs(hash((name, revision))):032x}"[-32:]
    return AutoScalingRecord(
        id=record_id,
        arn=resource_arn(REGION, KIND, name, revision, record_id),
        name=name,
        revision=revision,
        deleted_at=1.0 if deleted else None,
    )


@st.composite
def some_records(draw):
    keys = draw(st.lists(st.tuples(st.sampled_from(["busy", "calm"]), st.integers(1, 12)), unique=True, max_size=12))
    return [record(name, revision, deleted=draw(st.booleans())) for name, revision in keys]


@settings(max_examples=40)
@given(some_records())
def test_one_active_revision_of_a_name_is_the_latest(records):
    for name in ("busy", "calm"):
        alive = [each for each in records if each.name == name and each.deleted_at is None]
        newest = latest(records, name)
        assert newest == max(alive, key=lambda each: each.revision, default=None)
        assert [each for each in records if each.name == name and is_latest(each, records)] == (
            [newest] if alive else []
        )


@settings(max_examples=40)
@given(some_records())
def test_the_next_number_was_never_used(records):
    for name in ("busy", "calm", "none"):
        number = next_revision(records, name, what="thing", names=10, revisions=20)
        assert number >= 1
        assert all(each.revision < number for each in records if each.name == name)


@pytest.mark.parametrize(("names", "revisions"), [(0, 9), (1, 9), (9, 2)])
def test_there_is_no_next_number_beyond_what_an_account_can_have(names, revisions):
    records = [record("busy", 1), record("busy", 2), record("calm", 1, deleted=True)]
    with pytest.raises(EngineError) as caught:
        next_revision(records, "calm" if revisions > 2 else "busy", what="thing", names=names, revisions=revisions)
    assert caught.value.code is ErrorCode.QUOTA_EXCEEDED
    assert "as many as it can" in caught.value.message


@settings(max_examples=40)
@given(some_records())
def test_active_ones_come_by_name_and_revision(records):
    found = active(records)
    assert [(each.name, each.revision) for each in found] == sorted((each.name, each.revision) for each in found)
    assert {each.arn for each in found} == {each.arn for each in records if each.deleted_at is None}


@settings(max_examples=40)
@given(some_records())
def test_an_arn_means_what_it_says(records):
    for each in records:
        assert meant_by(each.arn, records, REGION, KIND) == each
        short = meant_by(resource_arn(REGION, KIND, each.name, each.revision), records, REGION, KIND)
        assert short == each
        by_name = meant_by(resource_arn(REGION, KIND, each.name), records, REGION, KIND)
        newest = max((r for r in records if r.name == each.name), key=lambda r: r.revision)
        assert by_name == (latest(records, each.name) or newest)
        assert meant_by(each.arn, records, REGION, "observabilityconfiguration") == each
    assert meant_by("", records, REGION, KIND) is None
