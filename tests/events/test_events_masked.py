"""What counts as a masked id, and what stands in its place."""

from __future__ import annotations

from typing import Any

import pytest
from events_cases import ACCOUNT, REAL, USER, issuing, native, raw, record, tables_of
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events import masked_ids
from tokentrail.events.kernel import Segment
from tokentrail.events.masked_ids import is_masked, is_stand_in

MASKED = [
    "AKIA****************", "ASIA************MPLE", "XXXXXXXXXXXXXXXXXXXX", "XXXXXXX", "xxxxxxxxxxx", "AKIAXXXXXXXXXXXXXXXX",
    "ASIAXXXXXXXXXXXXMPLE", "REDACTED_TEMPORARY_ACCESS_KEY", "REDACTED", "[REDACTED:AWS_ACCESS_KEY]", "HIDDEN",
    "HIDDEN_BY_TOKENTRAIL", "EXAMPLE_KEY_ID", "AKIA…", "AKIA...MPLE", "<masked>", "${KEY}", "{{ key }}", "AKIA____", "masked",
]  # fmt: skip
KEPT = [
    "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "AKIA3Z2XBVUDFQ9TU4MD", "ASIA0", "AKIA0000000000000000",
    "0123456789ABCDEFGHIJ", "AAAAAAAAAAAAAAAAAAAAA", "ASIA3OCGVC4GKK15OTHH3", "1345351435", "ACCAEXAMPLE", "AKIAXXXX7EXAMPLE2345",
    "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl",
]  # fmt: skip


@pytest.mark.parametrize("text", MASKED)
def test_a_text_in_place_of_an_id_is_masked(text: str) -> None:
    """What published evidence has in place of key ids is no id."""
    assert is_masked(text)


@pytest.mark.parametrize("text", KEPT)
def test_an_id_is_not_masked(text: str) -> None:
    """An id that tells a credential apart is one, also where a sample made it up."""
    assert not is_masked(text)


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWYZ234567", min_size=16, max_size=16))
def test_what_aws_makes_of_most_letters_is_no_mask(text: str) -> None:
    """A random id of AWS's alphabet, but for a run of X, is masked only where chance writes a word of six letters."""
    assert not is_masked(f"ASIA{text}") or any(
        one in text for one in ("REDACT", "MASKED", "HIDDEN", "CENSOR", "SECRET")
    )


def identity(**members: Any) -> dict[str, Any]:
    [found] = tables_of([record(userIdentity=USER | members)])["identities"]
    return found


@pytest.mark.parametrize(("key", "created", "expected"), [
    ("AKIA****************", None, "masked-key:AIDAEXAMPLE"), ("HIDDEN", None, "masked-key:AIDAEXAMPLE"),
    ("AKIA****************", "2024-03-01T00:00:00Z", "masked-key:AIDAEXAMPLE"), ("HIDDEN", "2024-03-01T00:00:00Z", None),
    ("ASIA****************", "2024-03-01T00:00:00Z", None), ("ASIA****************", None, "masked-session:AIDAEXAMPLE"),
])  # fmt: skip
def test_a_users_masked_key_is_told_by_the_user(key: str, created: str | None, expected: str | None) -> None:
    """A masked key of a user is one for the user; a session with a time of issue needs no key."""
    context = {"attributes": {"creationDate": created}} if created else None
    assert identity(accessKeyId=key, sessionContext=context)["key_id"] == expected


def test_an_id_that_looks_like_a_stand_in_is_masked() -> None:
    """Nobody can name another's stand-in in a record: it is replaced by the caller's own."""
    forged = identity(accessKeyId="masked-key:AIDAOTHER", principalId="masked-id/111122223333/user/eve")

    assert forged["key_id"] == f"masked-key:{forged['principal_id']}"
    assert forged["principal_id"] == f"masked-id/{ACCOUNT}/user/ada"


def test_a_masked_principal_without_an_arn_is_nobody() -> None:
    """Where neither the principal id nor an ARN tells who called, no credential is told."""
    found = identity(accessKeyId="HIDDEN", principalId="****", arn=None)
    assert (found["key_id"], found["principal_id"]) == (None, None)


def test_masked_ids_of_what_was_issued_and_made_are_left_out() -> None:
    """A masked key id in an answer names no credential and no key; the record is kept, and the field is listed as lost."""
    answer = {"credentials": {"accessKeyId": "ASIA****************"}, "assumedRoleUser": {
        "assumedRoleId": "AROA*****:s", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/s"}}  # fmt: skip
    made = record(
        eventSource="iam.amazonaws.com", eventName="CreateAccessKey", requestParameters={"userName": "eve"},
        responseElements={"accessKey": {"accessKeyId": "AKIA****************", "userName": "eve"}}, readOnly=False,
    )  # fmt: skip
    off = record(
        eventSource="iam.amazonaws.com", eventName="UpdateAccessKey", readOnly=False,
        requestParameters={"userName": "eve", "accessKeyId": "REDACTED", "status": "Inactive"},
    )  # fmt: skip
    found = tables_of([issuing() | {"responseElements": answer}, made, off])

    [issued] = found["issuances"]
    assert (issued["key_id"], issued["child_id"]) == (None, f"masked-id/{ACCOUNT}/role/Deploy:s")
    assert [one["response"] for one in found["changes"]] == ['{"accessKey":{"userName":"eve"}}', None]
    assert [one["request"] for one in found["changes"]] == [
        '{"userName":"eve"}',
        '{"userName":"eve","status":"Inactive"}',
    ]
    assert [(one["ordinal"], one["field"]) for one in found["rejected"]] == [
        (0, "responseElements.credentials.accessKeyId"), (0, "responseElements.assumedRoleUser.assumedRoleId"),
        (2, "requestParameters.accessKeyId"), (1, "responseElements.accessKey.accessKeyId"),
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from([*MASKED, *KEPT, "", None]), st.sampled_from(["AIDAEXAMPLE", "****", None]))
    )
)
def test_both_ways_of_reading_leave_out_the_same(callers: list[tuple[str | None, str | None]]) -> None:
    """The compiled scanner and the plain reading tell the same of masked ids."""
    data = native(*(
        raw(userIdentity=USER | {"accessKeyId": key, "principalId": who}, eventID=f"e{n}")
        for n, (key, who) in enumerate(callers)
    ))  # fmt: skip
    both = []
    for compiled in (True, False):
        segment = Segment(7, compiled=compiled)
        segment.add(data)
        made = segment.tables()
        both.append([made[name].to_pylist() for name in ("identities", "rejected")])

    assert both[0] == both[1]
    assert all(is_stand_in(one["key_id"]) or not is_masked(one["key_id"]) for one in both[0][0])


def test_real_evidence_has_ids() -> None:
    """No key id of the sets that were made of real attacks is taken for a mask."""
    if not REAL.exists():
        pytest.skip(f"the real evidence is not at {REAL}")
    for path in (REAL / "stratus-detonation-logs").rglob("*.json"):
        segment = Segment(7)
        segment.add(path.read_bytes())
        reasons = segment.tables()["rejected"].column("reason").to_pylist()
        assert masked_ids.MASKED not in reasons, path


@pytest.mark.parametrize("depth", [10, 900, 30_000])
def test_a_masked_id_beside_what_nests_deeply_ends_no_reading(depth: int) -> None:
    """Whoever writes a request that nests deeply beside a masked key id can't keep the other records from being read."""
    text = '{"accessKeyId":"AKIA****","userName":"u","x":' + "[" * depth + "]" * depth + "}"

    [left, other], masked = masked_ids.named_key_ids([text, '{"userName":"v"}'])

    assert [0] == masked
    assert '{"userName":"v"}' == other
    assert "AKIA" not in (left or "")
