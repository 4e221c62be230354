"""Evidence whose key ids or principal ids were masked before it was shared."""

from __future__ import annotations

import json
import re

import pytest

from evidence import HOME, START, Json, answers, call, held, session, user
from tokentrail.errors import SubjectNotFound
from tokentrail.testing import World

MASKS = [
    "AKIA****************", "XXXXXXXXXXXXXXXXXXXX", "AKIAXXXXXXXXXXXXXXXX", "REDACTED_TEMPORARY_ACCESS_KEY", "HIDDEN",
    "[REDACTED:AWS_ACCESS_KEY]", "EXAMPLE_KEY_ID", "xxxxxxxxxxx", "AKIA...MPLE", "<access-key>", "AKIA…", "***",
]  # fmt: skip
"""What stands for key ids in published evidence."""


def masked(records: list[Json], text: str) -> list[Json]:
    """Records with another text for every key id."""
    instead = f'"accessKeyId": {json.dumps(text)}'
    whole = re.sub('"accessKeyId": "[^"]*"', lambda _: instead, json.dumps(records))
    found: list[Json] = json.loads(whole)
    return found


@pytest.mark.parametrize("mask", MASKS)
def test_a_masked_key_is_told_apart_by_its_user(mask: str) -> None:
    """Two users whose keys are masked alike hold two credentials, and none has an access key id."""
    found = answers(
        [call("ListBuckets", "2026-11-23T09:00:00Z", user("ada", mask), source="s3.amazonaws.com")],
        [call("ListBuckets", "2026-11-23T09:01:00Z", user("eve", mask), source="s3.amazonaws.com")],
    )

    assert sorted((one.principal, one.kind, one.access_key_ids) for one in found.values()) == [
        (f"arn:aws:iam::{HOME}:user/{name}", "long_term_key", ()) for name in ("ada", "eve")
    ]


@pytest.mark.parametrize(
    "mask", ["ASIA****************", "XXXXXXXXXXXXXXXXXXXX", "REDACTED_TEMPORARY_ACCESS_KEY"]
)
def test_masked_sessions_are_told_apart_by_principal_and_time_of_issue(mask: str) -> None:
    """Sessions of one role begun at two times are two credentials, though their keys are masked alike."""
    found = answers([
        call("ListBuckets", f"2026-11-23T1{n}:30:00Z", session(mask, f"2026-11-23T1{n}:00:00Z"), source="s3.amazonaws.com")
        for n in range(2)
    ])  # fmt: skip

    assert len(found) == 2
    assert {one.access_key_ids for one in found.values()} == {()}
    assert {one.kind for one in found.values()} == {"assumed_role"}


@pytest.mark.parametrize("mask", MASKS)
def test_the_lineage_of_masked_evidence_is_that_of_the_unmasked(mask: str) -> None:
    """A key's session, and that one's session, are linked by principal and time of issue where all key ids are masked."""
    world = World(START)
    key = world.user("support")
    deploy = key.assumes("Deploy", "x")
    deploy.calls("s3:ListBuckets")
    deploy.assumes("Admin", "y").calls("s3:ListBuckets")

    plain = answers(world.records())
    found = answers(masked(world.records(), mask))

    def told(some: dict) -> list:
        return sorted(
            (
                one.principal,
                one.kind,
                one.depth,
                one.events,
                some[one.parent].principal if one.parent else None,
            )
            for one in some.values()
        )

    assert told(found) == told(plain)


def test_a_masked_session_whose_time_of_issue_is_not_told_is_one_for_its_principal() -> None:
    """A session's principal tells it apart where neither its key id nor its creation date does."""

    def of(name: str) -> Json:
        who = session("ASIA****************", name=name)
        del who["sessionContext"]["attributes"]
        return call("ListBuckets", "2026-11-23T09:00:00Z", who, source="s3.amazonaws.com", eventID=name)

    found = answers([of("ada"), of("eve")])

    assert sorted(one.session_name or "" for one in found.values()) == ["ada", "eve"]


@pytest.mark.parametrize("mask", MASKS)
def test_a_masked_id_is_no_subject(mask: str) -> None:
    """Nobody can say which credential a masked id means: it is refused, with what to name instead."""
    with held(
        [call("ListBuckets", "2026-11-23T09:00:00Z", user("ada", mask), source="s3.amazonaws.com")]
    ) as case:
        with pytest.raises(SubjectNotFound, match="masked in the evidence"):
            case.trace([mask])
        assert case.trace([f"arn:aws:iam::{HOME}:user/ada"]).credentials


def test_a_trace_and_an_ingest_tell_how_many_records_mask_ids() -> None:
    """How many records mask ids is a gap of a trace, and each such field is listed with what could not be read."""
    masks = [
        call(
            "ListBuckets",
            "2026-11-23T09:00:00Z",
            user("ada", mask),
            source="s3.amazonaws.com",
            eventID=str(n),
        )
        for n, mask in enumerate(("AKIA************", "HIDDEN", "AKIAIOSFODNN7EXAMPLE"))
    ]
    with held(masks) as case:
        [gap] = [one for one in case.trace([f"arn:aws:iam::{HOME}:user/ada"]).gaps if "mask" in one.why]
        lost = [(one.ordinal, one.field) for one in case.status().rejected]

    assert gap.why.startswith("2 records mask access key ids")
    assert lost == [(0, "userIdentity.accessKeyId"), (1, "userIdentity.accessKeyId")]


def test_masked_principals_are_told_apart_by_their_arns() -> None:
    """Users and sessions whose principal ids are masked alike are told apart by account and name."""
    hide = {"principalId": "AIDA****************"}
    found = answers([
        call("ListBuckets", "2026-11-23T09:00:00Z", user("ada", "HIDDEN", **hide), source="s3.amazonaws.com", eventID="1"),
        call("ListBuckets", "2026-11-23T09:00:00Z", user("eve", "HIDDEN", **hide), source="s3.amazonaws.com", eventID="2"),
        call("ListBuckets", "2026-11-23T09:30:00Z", session("HIDDEN", role="A", principalId="AROA*****:s"),
             source="s3.amazonaws.com", eventID="3"),
        call("ListBuckets", "2026-11-23T09:30:00Z", session("HIDDEN", role="B", principalId="AROA*****:s"),
             source="s3.amazonaws.com", eventID="4"),
    ])  # fmt: skip

    assert len(found) == 4
    assert {one.principal_id for one in found.values()} == {None}
