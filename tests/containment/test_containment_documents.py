"""Documents deny exactly what they say, by two judges that share no code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.policy_evaluator import denies
from oracle.policy_limits import grammar, size
from tokentrail.containment import documents
from tokentrail.containment.cutoff import moved
from tokentrail.containment.documents import Statement, Token
from tokentrail.containment.model import Call
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.language.context import Caller

ACCOUNT, UNIQUE = "111122223333", "AROAEXAMPLEEXAMPLE123"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deploy"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PUT, LATER = NOON - timedelta(days=2), NOON + timedelta(days=2)
SECOND = timedelta(seconds=1)

seconds = st.integers(-90, 90).map(lambda number: NOON + number * SECOND)
ids = st.sampled_from(
    [f"{UNIQUE}:{name}" for name in ("ada", "grace", "build-1", "build-10", "*", "a,b=c@d")]
)
tokens = st.builds(Token, seconds, ids)
nameless = st.builds(Token, seconds, st.none())


def theirs(document: str, token: Token) -> bool:
    """What the evidence builder's judge says."""
    context = {
        "aws:tokenissuetime": f"{token.issued_at:%Y-%m-%dT%H:%M:%SZ}",
        "aws:userid": token.user_id or f"{UNIQUE}:nobody",
        "aws:principalarn": ROLE,
        "aws:principalaccount": ACCOUNT,
        "aws:principaltype": "AssumedRole",
    }
    return denies(document, context, "s3:GetObject", "arn:aws:s3:::bucket/key")


def ours(document: str, token: Token) -> bool:
    """What the package's own rules say, by which state is judged."""
    put = Change(
        time=PUT, event_id="put", account=ACCOUNT, event_source="iam.amazonaws.com", event_name="PutRolePolicy",
        request={"roleName": "Deploy", "policyName": "P", "policyDocument": document},
    )  # fmt: skip
    who = token.user_id or f"{UNIQUE}:nobody"
    caller = Caller(
        kind="assumed_role", account=ACCOUNT, role=ROLE, principal_id=who, session_name=who.partition(":")[2],
        principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/{who.partition(':')[2]}", issued_at=token.issued_at,
    )  # fmt: skip
    return Effects([put]).ended(caller, None, LATER) is not None


def denied(statements: list[Statement], token: Token) -> bool:
    """Whether a document denies a token everything; both judges must say the same, and AWS must take it."""
    document = documents.text(statements)
    assert [] == list(grammar(document))
    found = theirs(document, token)
    assert found == ours(document, token)
    return found


def among(token: Token, listed: list[Token]) -> bool:
    """Whether a token is one of those listed; one without user id stands for everybody of its second."""
    return any(token.issued_at == one.issued_at and one.user_id in (None, token.user_id) for one in listed)


@given(seconds, st.lists(tokens | nameless, max_size=8), tokens)
def test_older_denies_all_issued_before_but_the_spared(
    cutoff: datetime, spared: list[Token], token: Token
) -> None:
    """A token is denied if it was issued before the cutoff, to the second, and is none of those left out."""
    expected = token.issued_at < cutoff and not among(token, spared)

    assert expected == denied(documents.older(cutoff, spared), token) or not documents.older(cutoff, spared)


@given(seconds, st.integers(1, 90), st.lists(tokens | nameless, max_size=8), tokens)
def test_a_window_denies_all_issued_in_it_but_the_spared(
    start: datetime, length: int, spared: list[Token], token: Token
) -> None:
    """From its first second up to the cutoff, which is not in it."""
    cutoff = start + length * SECOND
    statements = documents.window(start, cutoff, spared)
    inside = start <= token.issued_at < cutoff

    if statements:
        assert (inside and not among(token, spared)) == denied(statements, token)
    else:
        assert all(among(Token(start + n * SECOND, None), spared) for n in range(length))


@given(seconds, st.lists(tokens, min_size=1, max_size=8), tokens)
def test_spared_tokens_are_never_denied(cutoff: datetime, spared: list[Token], token: Token) -> None:
    """Whatever the cutoff and whoever else is spared; and a namesake of another second is never spared with them."""
    statements = documents.older(cutoff, spared)

    if statements:
        assert not any(denied(statements, one) for one in spared)
        if not among(token, spared):
            assert (token.issued_at < cutoff) == denied(statements, token)


@given(st.lists(tokens | nameless, min_size=1, max_size=8), tokens)
def test_brackets_deny_single_tokens(listed: list[Token], token: Token) -> None:
    """Each in the very second of its issue, and under its user id where that is its own."""
    assert among(token, listed) == denied(documents.brackets(listed), token)


@given(st.lists(ids, min_size=1, max_size=6), st.none() | seconds, tokens)
def test_names_deny_all_tokens_of_some_user_ids(
    listed: list[str], cutoff: datetime | None, token: Token
) -> None:
    """Of whatever time, or before a cutoff; a star in a name is a star, no wildcard."""
    expected = token.user_id in listed and (cutoff is None or token.issued_at < cutoff)

    assert expected == denied(documents.of_user_ids(listed, cutoff), token)


@given(tokens)
def test_a_plain_deny_denies_everybody_and_a_freeze_nobody_all(token: Token) -> None:
    """A freeze leaves everything but minting."""
    assert denied([documents.deny()], token)
    frozen = documents.freeze()
    assert not ours(frozen, token) and not theirs(frozen, token)
    context = {"aws:tokenissuetime": "2026-11-23T12:00:00Z", "aws:principalarn": ROLE}
    for action in ("sts:AssumeRole", "sts:GetFederationToken", "iam:CreateAccessKey", "iam:PutRolePolicy"):
        assert denies(frozen, context, action, "*")
    assert not denies(frozen, context, "s3:GetObject", "arn:aws:s3:::bucket/key")


def test_a_long_term_key_has_no_issue_time_to_be_cut_by() -> None:
    """A deny by TokenIssueTime leaves the user's keys, and a plain deny does not."""
    key = {
        "aws:userid": "AIDAEXAMPLE",
        "aws:username": "ada",
        "aws:principalarn": f"arn:aws:iam::{ACCOUNT}:user/ada",
    }
    older = documents.text(documents.older(NOON))

    assert not denies(older, key, "s3:GetObject", "*")
    assert denies(documents.deny_all(), key, "s3:GetObject", "*")


@pytest.mark.parametrize(
    ("arn", "cutoff", "expected"),
    [
        (ROLE, None, True),
        (ROLE, NOON + SECOND, True),
        (ROLE, NOON, False),
        (f"arn:aws:iam::{ACCOUNT}:role/Deploy2", None, False),
        (f"arn:aws:iam::{ACCOUNT}:role/*", None, True),
    ],
)
def test_a_control_denies_the_principals_that_it_names(
    arn: str, cutoff: datetime | None, expected: bool
) -> None:
    """By ARN, all their tokens or those issued before a cutoff."""
    document = documents.text([documents.of_principals([arn], cutoff)])

    assert expected == theirs(document, Token(NOON, f"{UNIQUE}:ada"))


@given(
    st.lists(ids, min_size=1, max_size=120).map(lambda found: [f"{one}{n}" for n, one in enumerate(found)])
)
def test_a_long_list_is_split_into_statements_that_fit_a_managed_policy(listed: list[str]) -> None:
    """Each statement alone fits, so that a document can be cut between any two."""
    statements = documents.of_user_ids(listed, NOON)

    assert all(size(documents.text([one])) <= documents.MANAGED for one in statements)
    assert sorted(listed) == sorted(
        one for each in statements for one in each["Condition"]["StringEquals"]["aws:userid"]
    )


@given(seconds, st.lists(tokens, max_size=5), st.integers(1, 7200), tokens)
def test_moving_a_cutoff_moves_nothing_else(
    cutoff: datetime, spared: list[Token], later: int, token: Token
) -> None:
    """Sent later, a document denies what one written then would: spared seconds stay where they are."""
    kept = [one for one in spared if one.issued_at + SECOND < cutoff]
    call = Call(account=ACCOUNT, service="iam", operation="PutRolePolicy",
                parameters={"PolicyDocument": documents.text(documents.older(cutoff, kept))})  # fmt: skip
    sent = moved(call, cutoff, cutoff + later * SECOND).parameters["PolicyDocument"]
    expected: list[Any] = documents.older(cutoff + later * SECOND, kept)

    assert denied(expected, token) == theirs(sent, token)
