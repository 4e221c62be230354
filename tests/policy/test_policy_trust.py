"""Whom a role's trust policy lets in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iam_cases import HERE, THERE, doc, let, role_arn, root, user_arn

from tokentrail.aws.principals import Principal, principal_of_arn
from tokentrail.policy.account.trust import Basis, Trust, TrustVerdict, Who, parse_trust, trusts
from tokentrail.policy.language.context import context_for
from tokentrail.policy.language.documents import Malformed
from tokentrail.policy.language.evaluate import Request
from tokentrail.policy.language.truth import Truth

SUPPORT, DEPLOY = user_arn("support"), role_arn("ci/Deploy")
IDS = {SUPPORT: "AIDASUPPORTXXXXXXXXXX", DEPLOY: "AROADEPLOYXXXXXXXXXXX"}
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def asked(document: Any, arn: str = SUPPORT, **more: Any) -> TrustVerdict:
    """What a document says to a principal."""
    identity = principal_of_arn(arn)
    assert identity is not None
    who = Who(identity=identity, unique_id=IDS.get(arn))
    return trusts(parse_trust(document), who, Request(context_for(arn, unique_id=IDS.get(arn))), **more)


@pytest.mark.parametrize(
    ("principal", "arn", "basis", "truth"),
    [
        (SUPPORT, SUPPORT, Basis.PRINCIPAL, Truth.YES),
        (DEPLOY, DEPLOY, Basis.PRINCIPAL, Truth.YES),
        (role_arn("Deploy"), DEPLOY, Basis.PRINCIPAL, Truth.YES),
        ([user_arn("x"), SUPPORT], SUPPORT, Basis.PRINCIPAL, Truth.YES),
        (IDS[SUPPORT], SUPPORT, Basis.PRINCIPAL, Truth.YES),
        (IDS[DEPLOY], DEPLOY, Basis.PRINCIPAL, Truth.YES),
        ("AIDAGONEGONEGONEGONE1", user_arn("unheard", THERE), Basis.PRINCIPAL, Truth.UNDECIDED),
        (
            ["AIDAGONEGONEGONEGONE1", "AROAGONEGONEGONEGONE1"],
            user_arn("unheard", THERE),
            Basis.PRINCIPAL,
            Truth.UNDECIDED,
        ),
        (HERE, SUPPORT, Basis.ACCOUNT, Truth.YES),
        (root(), DEPLOY, Basis.ACCOUNT, Truth.YES),
        (root(), root(), Basis.ACCOUNT, Truth.YES),
        (root().replace("aws", "aws-cn", 1), SUPPORT, Basis.ACCOUNT, Truth.YES),
        ("*", SUPPORT, Basis.ANYONE, Truth.YES),
        ({"AWS": "*"}, user_arn("x", THERE), Basis.ANYONE, Truth.YES),
        (f"arn:aws:sts::{HERE}:assumed-role/Deploy/run-7", DEPLOY, Basis.SESSION, Truth.UNDECIDED),
        (f"arn:aws:iam::{HERE}:role/*", SUPPORT, Basis.ANYONE, Truth.UNDECIDED),
        ("who knows", SUPPORT, Basis.ANYONE, Truth.UNDECIDED),
        ({"Martian": "x"}, SUPPORT, Basis.ANYONE, Truth.UNDECIDED),
        ({"AWS": 7}, SUPPORT, Basis.ANYONE, Truth.UNDECIDED),
    ],
)
def test_whom_a_principal_element_lets_in(principal: Any, arn: str, basis: Basis, truth: Truth) -> None:
    """An account delegates, a name or unique id lets its own in, `*` anyone; what is unclear may be anyone."""
    grants = asked(doc(let(principal)), arn).grants

    assert [(basis, truth)] == [(grant.basis, grant.truth) for grant in grants]


@pytest.mark.parametrize(
    ("principal", "arn"),
    [
        (user_arn("other"), SUPPORT),
        (user_arn("support", THERE), SUPPORT),
        (role_arn("support"), SUPPORT),
        (root(THERE), SUPPORT),
        (THERE, DEPLOY),
        ("AIDAGONEGONEGONEGONE1", SUPPORT),
        ("AROAGONEGONEGONEGONE1", user_arn("unheard")),
        (f"arn:aws:sts::{HERE}:assumed-role/Other/run-7", DEPLOY),
        (f"arn:aws:sts::{HERE}:federated-user/support", SUPPORT),
        ({"Service": "ec2.amazonaws.com"}, DEPLOY),
        ({"Federated": f"arn:aws:iam::{HERE}:saml-provider/Corp"}, SUPPORT),
        ({"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}, SUPPORT),
        ({"AWS": []}, SUPPORT),
    ],
)
def test_whom_a_principal_element_leaves_out(principal: Any, arn: str) -> None:
    """Another's name, account or service lets nobody else in; a namesake of someone gone is not meant."""
    assert asked(doc(let(principal)), arn).truth is Truth.NO


@pytest.mark.parametrize(
    ("elements", "truth"),
    [
        ({"Action": "sts:AssumeRole"}, Truth.YES),
        ({"Action": ["sts:TagSession", "STS:assumerole"]}, Truth.YES),
        ({"Action": "sts:*"}, Truth.YES),
        ({"Action": "sts:Assume*"}, Truth.YES),
        ({"Action": "*"}, Truth.YES),
        ({"Action": "sts:TagSession"}, Truth.NO),
        ({"Action": "sts:AssumeRoleWithSAML"}, Truth.NO),
        ({"Action": "sts:AssumeRole?"}, Truth.NO),
        ({"NotAction": "sts:AssumeRoleWithWebIdentity"}, Truth.YES),
        ({"NotAction": "sts:Assume*"}, Truth.NO),
        ({"Action": "sts:AssumeRole", "Resource": role_arn("Other")}, Truth.NO),
        ({"Action": "sts:AssumeRole", "Resource": "*"}, Truth.YES),
    ],
)
def test_what_an_action_element_lets_do(elements: dict[str, Any], truth: Truth) -> None:
    """AssumeRole alone opens the way for AWS credentials, by name, wildcard or exception."""
    statement = {key: value for key, value in let(SUPPORT).items() if key != "Action"} | elements

    assert asked(doc(statement), role=role_arn("Target")).truth is truth


@pytest.mark.parametrize(
    ("condition", "truth", "keys"),
    [
        (MFA, Truth.UNDECIDED, ("aws:MultiFactorAuthPresent",)),
        ({"StringEquals": {"sts:ExternalId": "x"}}, Truth.UNDECIDED, ("sts:ExternalId",)),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, Truth.UNDECIDED, ("aws:SourceIp",)),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-x"}}, Truth.UNDECIDED, ("aws:PrincipalOrgID",)),
        ({"StringEquals": {"aws:PrincipalTag/team": "x"}}, Truth.UNDECIDED, ("aws:principaltag/team",)),
        ({"ArnEquals": {"aws:PrincipalArn": SUPPORT}}, Truth.YES, ()),
        ({"ArnLike": {"aws:PrincipalArn": role_arn("*")}}, Truth.NO, ()),
        ({"StringEquals": {"aws:PrincipalAccount": THERE}}, Truth.NO, ()),
        ({"StringEquals": {"aws:username": "support"}}, Truth.YES, ()),
        (
            {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}},
            Truth.UNDECIDED,
            ("sts:RoleSessionName",),
        ),
        ({"Null": {"aws:TokenIssueTime": "true"}}, Truth.UNDECIDED, ("aws:TokenIssueTime",)),
        ({"Rhyme": {"aws:username": "x"}}, Truth.UNDECIDED, ("aws:username",)),
    ],
)
def test_conditions_that_the_attacker_may_meet_count_as_possible(
    condition: Any, truth: Truth, keys: tuple[str, ...]
) -> None:
    """Who the caller is decides; what a single call carries is the attacker's to choose, and is named."""
    verdict = asked(doc(let(root(), condition)))

    assert verdict.truth is truth
    assert [keys] == [grant.keys for grant in verdict.grants] or truth is Truth.NO


@pytest.mark.parametrize(
    ("denial", "arn", "truth"),
    [
        (let("*", Effect="Deny"), SUPPORT, Truth.NO),
        (let(root(), Effect="Deny"), DEPLOY, Truth.NO),
        (let(SUPPORT, Effect="Deny"), SUPPORT, Truth.NO),
        (let(SUPPORT, Effect="Deny"), DEPLOY, Truth.YES),
        (let("*", Effect="Deny", Action="sts:*"), SUPPORT, Truth.NO),
        (let("*", Effect="Deny", Action="sts:TagSession"), SUPPORT, Truth.YES),
        (let("*", {"ArnNotEquals": {"aws:PrincipalArn": SUPPORT}}, Effect="Deny"), DEPLOY, Truth.NO),
        (let("*", {"ArnNotEquals": {"aws:PrincipalArn": SUPPORT}}, Effect="Deny"), SUPPORT, Truth.YES),
        (
            let("*", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, Effect="Deny"),
            SUPPORT,
            Truth.UNDECIDED,
        ),
        (let(f"arn:aws:sts::{HERE}:assumed-role/Deploy/s", Effect="Deny"), DEPLOY, Truth.UNDECIDED),
        (let("who knows", Effect="Deny"), SUPPORT, Truth.UNDECIDED),
        (
            {"Effect": "Deny", "NotPrincipal": {"AWS": DEPLOY}, "Action": "sts:AssumeRole"},
            SUPPORT,
            Truth.UNDECIDED,
        ),
        ({"Effect": "Deny", "Action": "sts:AssumeRole"}, SUPPORT, Truth.UNDECIDED),
    ],
)
def test_only_a_denial_that_surely_applies_refuses(denial: Any, arn: str, truth: Truth) -> None:
    """What may or may not apply leaves the way open, but no longer certain."""
    assert asked(doc(let(root()), denial), arn).truth is truth


def test_other_calls_than_assume_role_can_be_asked_for() -> None:
    """A trust policy says of each call apart whom it lets make it."""
    document = doc(let(SUPPORT, Action=["sts:TagSession"]))

    assert asked(document, action="sts:TagSession").truth is Truth.YES
    assert asked(document).truth is Truth.NO


@pytest.mark.parametrize("principal", [7, None, ["*"], "someone"])
def test_a_principal_of_the_wrong_shape_may_be_anyone(principal: Any) -> None:
    """IAM would not have stored it, so that what it means is not known."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}

    assert asked(doc(statement)).truth is Truth.UNDECIDED


def test_not_principal_lets_anyone_in_as_far_as_can_be_told() -> None:
    """IAM takes no NotPrincipal in a trust policy, so that one that stands there is undecided for everyone."""
    statement = {"Effect": "Allow", "NotPrincipal": {"AWS": SUPPORT}, "Action": "sts:AssumeRole"}

    assert {Truth.UNDECIDED} == {asked(doc(statement), arn).truth for arn in (SUPPORT, DEPLOY)}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", None, 7, {"Statement": [1]}, '{"Statement": {"Effect": "May"}}']
)
def test_a_trust_policy_that_can_not_be_read_may_let_anyone_in(text: Any) -> None:
    """What is not known counts as possible, and is never certain."""
    assert isinstance(parse_trust(text), Malformed)
    assert asked(text).truth is Truth.UNDECIDED


def test_a_document_says_the_same_as_an_object_as_text_and_as_encoded_text() -> None:
    """The CLI prints objects, the API sends URL-encoded text."""
    document = doc(let([SUPPORT, root(THERE)], MFA), let({"Service": ["ec2.amazonaws.com"]}))
    text = json.dumps(document)
    read = parse_trust(document)

    assert isinstance(read, Trust)
    assert read == parse_trust(text) == parse_trust(quote(text))
    assert read.services == {"ec2.amazonaws.com"}


def test_identity_providers_are_told() -> None:
    """Whoever bears a provider's assertion or token comes in without any AWS credential."""
    saml = f"arn:aws:iam::{HERE}:saml-provider/Corp"
    read = parse_trust(
        doc(
            let({"Federated": saml}, Action="sts:AssumeRoleWithSAML"),
            let({"Federated": "accounts.google.com"}, Action="sts:AssumeRoleWithWebIdentity"),
        )
    )

    assert isinstance(read, Trust)
    assert read.providers == {saml, "accounts.google.com"}


@pytest.mark.parametrize(
    ("arn", "identity"),
    [
        (SUPPORT, Principal(HERE, "user", "support")),
        (DEPLOY, Principal(HERE, "role", "deploy")),
        (f"arn:aws:sts::{HERE}:assumed-role/Deploy/a/b", Principal(HERE, "role", "deploy")),
        (root(), Principal(HERE, "root", "root")),
        (f"arn:aws-us-gov:iam::{HERE}:user/a/b/C", Principal(HERE, "user", "c")),
        (f"arn:aws:sts::{HERE}:federated-user/support", None),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", None),
        (f"arn:aws:iam::{HERE}:user/", None),
        (f"arn:aws:iam::{HERE}:role", None),
        ("ec2.amazonaws.com", None),
        ("", None),
    ],
)
def test_whom_an_arn_names(arn: str, identity: Principal | None) -> None:
    """Account, kind and name tell a principal, whatever its path, case and session."""
    assert principal_of_arn(arn) == identity


PRINCIPALS = st.sampled_from(
    ["*", SUPPORT, DEPLOY, user_arn("x"), root(), HERE, root(THERE), IDS[SUPPORT], "AIDAGONEGONEGONEGONE1",
     f"arn:aws:sts::{HERE}:assumed-role/Deploy/s", "odd", {"Service": "ec2.amazonaws.com"}]
)  # fmt: skip
CONDITIONS = st.sampled_from(
    [None, MFA, {"ArnEquals": {"aws:PrincipalArn": SUPPORT}}, {"StringNotEquals": {"aws:username": "support"}},
     {"DateLessThan": {"aws:TokenIssueTime": "2026-11-24T10:00:00Z"}}]
)  # fmt: skip
STATEMENTS = st.builds(
    lambda principal, condition, effect, action: let(principal, condition, Effect=effect, Action=action),
    PRINCIPALS, CONDITIONS, st.sampled_from(["Allow", "Deny"]), st.sampled_from(["sts:AssumeRole", "sts:*", "s3:*"]),
)  # fmt: skip
CALLERS = st.sampled_from([SUPPORT, DEPLOY, user_arn("x", THERE), root()])


@given(st.lists(STATEMENTS, max_size=5), STATEMENTS, CALLERS)
def test_a_denial_only_takes_and_an_allowance_only_gives(statements: Any, more: Any, arn: str) -> None:
    """One statement more never moves the answer the wrong way."""
    before, after = asked(doc(*statements), arn).truth, asked(doc(*statements, more), arn).truth

    if more["Effect"] == "Deny":
        assert after.value <= before.value
    else:
        assert after.value >= before.value


@given(
    st.lists(STATEMENTS, max_size=5).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))),
    CALLERS,
)
def test_the_order_of_statements_does_not_matter(pair: Any, arn: str) -> None:
    """Any order of the same statements gives the same answer."""
    assert asked(doc(*pair[0]), arn).truth is asked(doc(*pair[1]), arn).truth


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["Statement", "Effect", "Principal", "AWS", "Action", "x"]), inner
            )
        ),
    )
)
def test_nothing_that_a_document_may_hold_raises(value: Any) -> None:
    """A document of any shape becomes a trust policy or the reason why not."""
    assert asked(value).truth in Truth


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123:root",
        "arn:aws:iam::\u0661\u0661\u0661\u0661\u0662\u0662\u0662\u0662\u0663\u0663\u0663\u0663:role/x",
    ],
)
def test_an_arn_without_an_account_s_twelve_digits_may_mean_anybody(arn: str) -> None:
    """What IAM would not have stored names nobody surely, so that it counts as possible for everybody."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn}}
    trust = parse_trust({"Version": "2012-10-17", "Statement": [statement]})

    assert not isinstance(trust, Malformed)
    assert [True] == [principals.unclear for principals in trust.naming()]
