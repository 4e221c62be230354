"""Which condition keys a credential's requests carry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_cases import ACCOUNT, ROLE, at, federated, key, root_session, session, token

from tokentrail.policy.language.context import (
    Caller,
    DateRange,
    Known,
    Presence,
    PrincipalType,
    context_of,
    with_time,
)

ABSENT, PRESENT = Presence.ABSENT, Presence.PRESENT
ISSUED = (at(0).isoformat(),)
ROOT = Caller(
    kind="long_term_key", account=ACCOUNT, principal=f"arn:aws:iam::{ACCOUNT}:root", principal_id=ACCOUNT
)


def known(caller: Caller, name: str) -> Known | None:
    """What is known of one key."""
    return context_of(caller).get(name.casefold())


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (key(), ABSENT),
        (ROOT, ABSENT),
        (token(), ISSUED),
        (federated(), ISSUED),
        (session(), ISSUED),
        (replace(ROOT, kind="console_session", issued_at=at(0)), ISSUED),
        (root_session(), ISSUED),
        (session(None), PRESENT),
        (replace(session(None), issued_no_later_than=at(3)), DateRange(latest=at(3))),
        (replace(session(), kind="scoped"), DateRange(latest=at(0))),
        (replace(session(None), kind="unknown"), None),
    ],
)
def test_token_issue_time(caller: Caller, expected: Known | None) -> None:
    """All temporary credentials carry their issue time, and no long-term key does."""
    assert expected == known(caller, "aws:TokenIssueTime")


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (key(), ("AIDASUPPORT",)),
        (token(), ("AIDASUPPORT",)),
        (federated(), (f"{ACCOUNT}:visitor",)),
        (session(), ("AROAEXAMPLE:s",)),
        (replace(session(), principal_id="AROAEXAMPLE"), ("AROAEXAMPLE:s",)),
        (replace(session(), principal_id=None), None),
        (ROOT, (ACCOUNT,)),
        (root_session(), None),
    ],
)
def test_user_id(caller: Caller, expected: Known | None) -> None:
    """`aws:userid` is the unique id, with the session's name for roles, and the account for root."""
    assert expected == known(caller, "aws:userid")


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (key(), ("support",)),
        (token(), ("support",)),
        (federated(), ABSENT),
        (session(), ABSENT),
        (ROOT, ABSENT),
        (root_session(), ABSENT),
    ],
)
def test_user_name(caller: Caller, expected: Known) -> None:
    """Only a user's own credentials carry `aws:username`."""
    assert expected == known(caller, "aws:username")


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (key(), f"arn:aws:iam::{ACCOUNT}:user/support"),
        (token(), f"arn:aws:iam::{ACCOUNT}:user/support"),
        (federated(), f"arn:aws:sts::{ACCOUNT}:federated-user/visitor"),
        (
            replace(federated(), principal=f"arn:aws:iam::{ACCOUNT}:federated-user/visitor"),
            f"arn:aws:sts::{ACCOUNT}:federated-user/visitor",
        ),
        (session(), ROLE),
        (ROOT, f"arn:aws:iam::{ACCOUNT}:root"),
        (root_session(), f"arn:aws:iam::{ACCOUNT}:root"),
    ],
)
def test_principal_arn(caller: Caller, expected: str) -> None:
    """A role session has the ARN of its role; a federated user that of STS, however the log spells it."""
    assert (expected,) == known(caller, "aws:PrincipalArn")


def test_a_role_session_of_an_unknown_role_has_an_unknown_principal_arn() -> None:
    """The role's path does not stand in the session's ARN, so it is not guessed."""
    assert known(replace(session(), role=None), "aws:PrincipalArn") is None


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (key(), ABSENT),
        (token(), ("false",)),
        (replace(token(), mfa=True), ("true",)),
        (replace(token(), mfa=None), None),
        (federated(), ABSENT),
        (session(), ("false",)),
        (replace(session(), kind="assumed_role_saml"), ABSENT),
        (replace(session(), kind="assumed_role_web_identity"), ABSENT),
        (replace(session(), kind="identity_center"), ABSENT),
        (root_session(), None),
    ],
)
def test_mfa(caller: Caller, expected: Known | None) -> None:
    """Users' tokens and AssumeRole sessions carry it, long-term keys and federated ones do not."""
    assert expected == known(caller, "aws:MultiFactorAuthPresent")


def test_the_age_of_mfa_is_there_only_with_mfa() -> None:
    """A token without MFA has no age of it; one with has an age that depends on the moment."""
    assert known(token(), "aws:MultiFactorAuthAge") is ABSENT
    assert known(replace(token(), mfa=True), "aws:MultiFactorAuthAge") is PRESENT
    assert known(replace(token(), mfa=None), "aws:MultiFactorAuthAge") is None


def test_source_identity_is_there_if_it_was_set() -> None:
    """A session that was given none carries none."""
    assert known(session(), "aws:SourceIdentity") is ABSENT
    assert known(replace(session(), source_identity="ria"), "aws:SourceIdentity") == ("ria",)


def test_the_key_of_assume_root_is_on_its_sessions_alone() -> None:
    """Only AssumeRoot credentials carry `aws:AssumedRoot`."""
    assert known(root_session(), "aws:AssumedRoot") == ("true",)
    assert known(ROOT, "aws:AssumedRoot") is ABSENT


def test_sign_in_sessions() -> None:
    """`aws login` carries its session's ARN; the console and keys never do."""
    login = replace(token(), kind="oauth_login")

    assert known(login, "aws:SignInSessionArn") is None
    assert known(replace(login, sign_in_session_arn="arn"), "aws:SignInSessionArn") == ("arn",)
    assert known(replace(token(), kind="console_session"), "aws:SignInSessionArn") is ABSENT
    assert known(key(), "aws:SignInSessionArn") is ABSENT


def test_the_provider_is_on_sessions_of_openid_connect_alone() -> None:
    """`aws:FederatedProvider` names the provider of a web identity session."""
    web = replace(session(), kind="assumed_role_web_identity")

    assert known(session(), "aws:FederatedProvider") is ABSENT
    assert known(web, "aws:FederatedProvider") is None
    assert known(replace(web, federated_provider="idp"), "aws:FederatedProvider") == ("idp",)


def test_instance_keys_are_present_for_what_ec2_was_given() -> None:
    """That EC2's keys are there is known, their values are not."""
    assert known(replace(session(), ec2_instance=True), "ec2:SourceInstanceARN") is PRESENT
    assert known(session(), "ec2:SourceInstanceARN") is ABSENT


@pytest.mark.parametrize(
    "name", ["aws:SourceIp", "aws:PrincipalTag/team", "aws:RequestedRegion", "aws:CurrentTime"]
)
def test_what_depends_on_the_call_is_unknown(name: str) -> None:
    """Addresses, tags, regions and, unless given, the time are not in the log of the past."""
    assert known(session(), name) is None


def test_the_time_is_known_when_given() -> None:
    """Asked about a moment, the context carries it in both forms."""
    context = with_time(context_of(session()), at(1))

    assert (at(1).isoformat(),) == context["aws:currenttime"]
    assert (str(int(at(1).timestamp())),) == context["aws:epochtime"]


@pytest.mark.parametrize(
    ("caller", "principal", "type_"),
    [
        (key(), "user", "User"),
        (federated(), "federated_user", "FederatedUser"),
        (session(), "role", "AssumedRole"),
        (ROOT, "root", "Account"),
        (root_session(), "root", "Account"),
        (Caller(kind="unknown", account=None), "unknown", None),
        (Caller(kind="unknown", account=None, principal="nonsense"), "unknown", None),
    ],
)
def test_the_sort_of_principal(caller: Caller, principal: PrincipalType, type_: str | None) -> None:
    """The sort of principal follows from the kind and the ARN."""
    assert principal == caller.principal_type
    assert ((type_,) if type_ else None) == known(caller, "aws:PrincipalType")
