"""Which call shows that a credential still worked after it should have ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.history.survival import Ended, called, from_service, outlives
from tokentrail.policy.language.context import Caller
from tokentrail.policy.language.documents import UNDENIABLE

AT = datetime(2026, 11, 23, 10, 0, 0, 500_000, tzinfo=UTC)
SECOND = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
DENIED, UNUSABLE = Ended(effective_at=AT), Ended(effective_at=AT, unusable=True)
LATER = SECOND + timedelta(seconds=9)


@pytest.mark.parametrize("ended", [DENIED, UNUSABLE])
@pytest.mark.parametrize(
    ("seconds", "call", "how", "expected"),
    [
        (-1, "s3:GetObject", {}, False),
        (0, "s3:GetObject", {}, False),
        (1, "s3:GetObject", {}, True),
        (9, "s3:GetObject", {"failed": True}, False),
        (9, "s3:GetObject", {"forwarded": True}, False),
    ],
)
def test_a_success_after_the_second_in_which_it_took_effect_shows_it(
    ended: Ended, seconds: int, call: str, how: dict[str, Any], expected: bool
) -> None:
    """The log rounds the time of completion down, so that a call of the very second may have come before."""
    assert outlives([ended], SECOND + timedelta(seconds=seconds), call, **how) == expected


@pytest.mark.parametrize("call", [*sorted(UNDENIABLE), "sts:GetCallerIdentity", "STS:GetSessionToken"])
def test_what_no_policy_denies_shows_it_of_an_unusable_key_alone(call: str) -> None:
    """No request can be signed with a key that is inactive or deleted, while GetCallerIdentity needs no permission."""
    assert not outlives([DENIED], LATER, call)
    assert outlives([UNUSABLE], LATER, call)


def test_a_call_of_that_name_of_another_service_is_deniable() -> None:
    """Only STS's own calls need no permission."""
    assert outlives([DENIED], LATER, "elsewhere:GetCallerIdentity")


def test_each_of_several_endings_counts_by_itself() -> None:
    """A user is denied first and its key deleted later: until then it may ask who it is."""
    gone = Ended(effective_at=AT + timedelta(minutes=5), unusable=True)

    assert not outlives([DENIED, gone], LATER, "sts:GetCallerIdentity")
    assert outlives([DENIED, gone], LATER, "s3:GetObject")
    assert outlives([DENIED, gone], LATER + timedelta(minutes=5), "sts:GetCallerIdentity")
    assert not outlives([], LATER, "s3:GetObject")


def test_a_moment_of_the_log_may_lie_anywhere_in_its_second() -> None:
    """The time of the change is rounded down, too."""
    ended = Ended(effective_at=SECOND + timedelta(seconds=60))  # a minute that IAM may take

    assert not outlives([ended], SECOND + timedelta(seconds=60), "s3:GetObject")
    assert outlives([ended], SECOND + timedelta(seconds=61), "s3:GetObject")


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [("s3.amazonaws.com", "GetObject", "s3:GetObject"), (None, None, "?:?"), (["x"], 7, "['x']:7")],
)
def test_a_call_is_named_whatever_the_log_holds(source: object, name: object, expected: str) -> None:
    """A field may be missing, or hold anything."""
    assert called(source, name) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [("cloudformation.amazonaws.com", True), ("AWS Internal", True), ("203.0.113.7", False), (None, False)],
)
def test_a_call_from_a_service_is_known_by_its_address(address: str | None, expected: bool) -> None:
    """CloudTrail gives the service's name in place of an address."""
    assert from_service(address) == expected


USER = "arn:aws:iam::111122223333:user/support"
KEY = Caller(kind="long_term_key", account="111122223333", principal=USER, user_name="support")
TOKEN = Caller(
    kind="session_token", account="111122223333", principal=USER, user_name="support", issued_at=AT
)
DENY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'


@pytest.mark.parametrize(
    ("caller", "name", "asked", "unusable"),
    [
        (KEY, "UpdateAccessKey", {"accessKeyId": "AKIA1", "status": "Inactive"}, True),
        (KEY, "DeleteAccessKey", {"accessKeyId": "AKIA1"}, True),
        (KEY, "DeleteUser", {}, True),
        (TOKEN, "DeleteUser", {}, False),
        (KEY, "PutUserPolicy", {"policyName": "p", "policyDocument": DENY}, False),
        (TOKEN, "PutUserPolicy", {"policyName": "p", "policyDocument": DENY}, False),
    ],
)
def test_the_log_tells_whether_a_key_can_not_sign_any_more(
    caller: Caller, name: str, asked: dict[str, object], unusable: bool
) -> None:
    """Of a session whose user was deleted AWS does not say that no call works."""
    change = Change(
        time=SECOND + timedelta(minutes=1), event_id="e", account="111122223333", event_source="iam.amazonaws.com",
        event_name=name, request={"userName": "support", **asked},
    )  # fmt: skip
    ending = Effects([change]).ended(caller, "AKIA1", LATER + timedelta(hours=1))

    assert ending is not None and ending.unusable == unusable
