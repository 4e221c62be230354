"""What a principal's policies allow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iam_cases import HERE, doc, may, never, role_arn, user_arn

from tokentrail.policy.account.permissions import Need, Permissions, Policy, Rules, allows
from tokentrail.policy.history.managed import aws_document
from tokentrail.policy.language.context import context_for, federated
from tokentrail.policy.language.documents import Malformed, parse
from tokentrail.policy.language.evaluate import Request
from tokentrail.policy.language.truth import Truth

SUPPORT, TARGET = user_arn("support"), role_arn("app/Target")
ASSUME = "sts:AssumeRole"
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
NO_MFA = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
YES, NO, UNDECIDED = Truth.YES, Truth.NO, Truth.UNDECIDED


def policy(document: Any, label: str = "policy P") -> Policy:
    """A policy of a document, or of its statements."""
    return Policy(label=label, document=parse(doc(*document) if isinstance(document, list) else document))


def held(*statements: Any, boundary: Any = None, controls: Any = None) -> Permissions:
    """What a principal holds: one policy, perhaps a boundary, perhaps SCPs, each a list of statements."""
    return Permissions(
        identity=(policy(list(statements)),),
        boundary=None if boundary is None else policy(boundary, "boundary B"),
        controls=None if controls is None else tuple(policy(one, "SCP S") for one in controls),
    )


def judged(
    permissions: Permissions, action: str = ASSUME, resource: str | None = TARGET, arn: str = SUPPORT
) -> Truth:
    """Whether it is allowed."""
    return allows(permissions, action, resource, Request(context_for(arn))).truth


@pytest.mark.parametrize(
    ("statement", "truth"),
    [
        (may(ASSUME), YES),
        (may("sts:Assume*", TARGET), YES),
        (may("*", role_arn("*")), YES),
        (may(ASSUME, "arn:aws:iam::*:role/app/*"), YES),
        (may(ASSUME, role_arn("Target")), NO),
        (may(ASSUME, role_arn("app/target")), NO),
        (may(ASSUME, [role_arn("x"), role_arn("app/Targe?")]), YES),
        (may("sts:GetFederationToken"), NO),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, YES),
        ({"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}, NO),
        ({"Effect": "Allow", "Action": "*", "NotResource": TARGET}, NO),
        ({"Effect": "Allow", "Action": "*", "NotResource": "*"}, NO),
        ({"Effect": "Allow", "Action": "*", "NotResource": role_arn("admin/*")}, YES),
        (may(ASSUME, "arn:aws:iam::111122223333:role/app/${aws:username}"), NO),
        (may(ASSUME, "arn:aws:iam::${aws:PrincipalAccount}:role/app/Target"), YES),
        (may(ASSUME, "arn:aws:iam::111122223333:role/${aws:PrincipalTag/team}/Target"), UNDECIDED),
        (may(ASSUME, condition=MFA), UNDECIDED),
        (may(ASSUME, condition={"StringEquals": {"iam:ResourceTag/team": "x"}}), UNDECIDED),
        (may(ASSUME, condition={"StringEquals": {"aws:username": "support"}}), YES),
        (may(ASSUME, condition={"StringEquals": {"aws:username": "other"}}), NO),
        (may(ASSUME, Principal="*"), UNDECIDED),
        (never("*"), NO),
    ],
)
def test_what_one_statement_allows(statement: Any, truth: Truth) -> None:
    """Action, resource and conditions must all fit; what the attacker may meet is undecided."""
    assert judged(held(statement)) is truth


@pytest.mark.parametrize(
    ("permissions", "truth"),
    [
        (held(may("*"), never(ASSUME)), NO),
        (held(may("*"), never(ASSUME, TARGET)), NO),
        (held(may("*"), never(ASSUME, role_arn("Other"))), YES),
        (held(may("*"), never("*", condition=NO_MFA)), UNDECIDED),
        (
            held(
                may("*"),
                never("*", condition={"DateLessThan": {"aws:TokenIssueTime": "2026-11-24T10:00:00Z"}}),
            ),
            UNDECIDED,
        ),
        (held(may("*"), boundary=[may("s3:*")]), NO),
        (held(may("*"), boundary=[may("sts:*")]), YES),
        (held(may("s3:*"), boundary=[may("*")]), NO),
        (held(may("*"), boundary=[may("*"), never("sts:*")]), NO),
        (held(may("*"), boundary=[may("*", condition=MFA)]), UNDECIDED),
        (held(may("*"), boundary="unreadable"), UNDECIDED),
        (held(may("s3:*"), boundary="unreadable"), NO),
        (held(may("*"), controls=[[may("*")]]), YES),
        (held(may("*"), controls=[[may("*")], [never("sts:*")]]), NO),
        (held(may("*"), controls=[[may("s3:*")]]), NO),
        (held(may("*"), controls=[[may("*")], [may("s3:*")]]), UNDECIDED),
        (held(may("*"), controls=[[may("*")], [never("s3:*")]]), YES),
        (held(may("*"), controls=[[never("s3:*")]]), UNDECIDED),
        (held(may("*"), controls=[]), YES),
        (held(controls=[[may("*")]]), NO),
        (Permissions(identity=(policy("unreadable"), policy([may("*"), never(ASSUME)]))), NO),
        (Permissions(identity=(policy("unreadable"), policy([may("*"), never("s3:*")]))), UNDECIDED),
    ],
)
def test_every_layer_must_allow_and_none_may_deny(permissions: Permissions, truth: Truth) -> None:
    """Identity policies, boundary and SCPs are an intersection, and an explicit deny wins in each."""
    assert judged(permissions) is truth


@pytest.mark.parametrize(("need", "truth"), [(Need.IDENTITY, NO), (Need.BOUNDARY, NO), (Need.CONTROLS, YES)])
def test_where_a_resource_policy_grants_less_must_allow(need: Need, truth: Truth) -> None:
    """What the trust policy names directly needs no identity policy, and as a user no boundary either."""
    rules = Rules(
        held(may("s3:*"), boundary=[may("s3:*")], controls=[[may("*")]]),
        ASSUME,
        Request(context_for(SUPPORT)),
    )

    assert rules.truth(TARGET, need) is truth


@pytest.mark.parametrize("need", list(Need))
def test_an_explicit_denial_counts_whatever_the_need(need: Need) -> None:
    """A deny in any policy wins over a trust policy that names the principal."""
    for permissions in (
        held(may("*"), never(ASSUME)),
        held(may("*"), boundary=[may("*"), never(ASSUME)]),
        held(may("*"), controls=[[may("*"), never(ASSUME)]]),
    ):
        assert Rules(permissions, ASSUME, Request(context_for(SUPPORT))).truth(TARGET, need) is NO


@pytest.mark.parametrize(
    ("statements", "truth"),
    [
        ([may("iam:*")], YES),
        ([may("iam:CreateAccessKey", user_arn("${aws:username}"))], UNDECIDED),
        ([may("iam:CreateAccessKey", user_arn("bob"))], UNDECIDED),
        ([may("iam:CreateAccessKey", role_arn("*"))], NO),
        ([may("iam:*"), never("iam:*", user_arn("break-glass"))], UNDECIDED),
        ([may("iam:*"), never("iam:*", user_arn("*"))], NO),
        ([may("iam:*"), never("iam:*", "arn:aws:iam::*:user/*")], NO),
        ([{"Effect": "Allow", "Action": "iam:*", "NotResource": user_arn("break-glass")}], UNDECIDED),
        ([{"Effect": "Allow", "Action": "iam:*", "NotResource": user_arn("*")}], NO),
    ],
)
def test_of_many_resources_it_is_possible_if_it_is_on_any(statements: Any, truth: Truth) -> None:
    """Asked for a pattern, an allowance for some counts, and a denial only if it takes in all."""
    assert judged(held(*statements), "iam:CreateAccessKey", user_arn("*")) is truth


def test_of_an_unknown_resource_only_everything_is_sure() -> None:
    """Where nothing is known of the resource, a statement for some resources leaves it open."""
    assert judged(held(may("ec2:*")), "ec2:RunInstances", None) is YES
    assert judged(held(may("ec2:*", "arn:aws:ec2:*:*:instance/*")), "ec2:RunInstances", None) is UNDECIDED


def test_a_variable_that_a_role_does_not_have_matches_nothing() -> None:
    """A self-service policy for users gives a role's session nothing."""
    own = held(may("iam:CreateAccessKey", user_arn("${aws:username}")))

    assert judged(own, "iam:CreateAccessKey", user_arn("*"), role_arn("R")) is NO


def test_a_federated_users_requests_carry_its_own_name() -> None:
    """A denial by the user's name does not surely hit the console session of a federated user."""
    permissions = held(may("*"), never("iam:*", condition={"StringEquals": {"aws:username": "support"}}))
    context = context_for(SUPPORT)

    assert allows(permissions, "iam:CreateUser", "*", Request(context)).truth is NO
    assert allows(permissions, "iam:CreateUser", "*", Request(federated(context))).truth is UNDECIDED


@pytest.mark.parametrize(
    ("name", "action", "truth"),
    [
        ("AdministratorAccess", "iam:CreateUser", YES),
        ("PowerUserAccess", ASSUME, YES),
        ("PowerUserAccess", "iam:CreateUser", NO),
        ("PowerUserAccess", "iam:PassRole", NO),
        ("IAMFullAccess", "iam:CreateUser", YES),
        ("IAMFullAccess", ASSUME, NO),
        ("ReadOnlyAccess", ASSUME, NO),
        ("ReadOnlyAccess", "sts:GetFederationToken", NO),
        ("ReadOnlyAccess", "iam:PutRolePolicy", NO),
        ("ReadOnlyAccess", "iam:GetRole", YES),
        ("ReadOnlyAccess", "s3:GetObject", UNDECIDED),
        ("SecurityAudit", ASSUME, NO),
        ("job-function/ViewOnlyAccess", ASSUME, NO),
        ("AWSDenyAll", ASSUME, NO),
        ("AWSCompromisedKeyQuarantineV3", ASSUME, NO),
        ("SomethingNew", ASSUME, UNDECIDED),
    ],
)
def test_what_is_known_of_policies_that_aws_keeps(name: str, action: str, truth: Truth) -> None:
    """Where a snapshot lacks the document, a few are known as far as credentials go; others may allow anything."""
    document = aws_document(f"arn:aws:iam::aws:policy/{name}")

    assert judged(Permissions(identity=(Policy(label=name, document=document),)), action) is truth


def test_a_customers_policy_is_not_taken_for_one_of_aws() -> None:
    """Anyone may call a policy AWSDenyAll."""
    assert isinstance(aws_document(f"arn:aws:iam::{HERE}:policy/AWSDenyAll"), Malformed)


@pytest.mark.parametrize(
    ("permissions", "words"),
    [
        (held(may("*")), "policy P allows sts:AssumeRole"),
        (held(may("s3:*")), "no identity policy allows sts:AssumeRole"),
        (held(may("*"), never("sts:*")), "policy P denies sts:AssumeRole"),
        (held(may("*"), boundary=[may("s3:*")]), "the permissions boundary does not allow sts:AssumeRole"),
        (held(may("*"), controls=[[may("s3:*")]]), "no SCP allows sts:AssumeRole"),
        (held(may("*"), controls=[[may("*")], [never("*")]]), "SCP S denies sts:AssumeRole"),
        (
            held(may("*", condition=MFA)),
            "policy P allows sts:AssumeRole, if the attacker meets the condition aws:MultiFactorAuthPresent",
        ),
        (
            held(may("*"), never("*", condition=NO_MFA)),
            "policy P allows sts:AssumeRole, unless a denial under aws:MultiFactorAuthPresent stops it",
        ),
        (
            Permissions(identity=(policy("?"),)),
            "sts:AssumeRole counts as allowed, since policy P can't be judged: it is not JSON",
        ),
    ],
)
def test_each_answer_says_why(permissions: Permissions, words: str) -> None:
    """The policy that decides is named, and what it hangs on."""
    assert allows(permissions, ASSUME, TARGET, Request(context_for(SUPPORT))).why == words


ACTIONS = st.sampled_from([ASSUME, "sts:*", "*", "s3:*"])
RESOURCES = st.sampled_from(
    [
        "*",
        TARGET,
        role_arn("*"),
        role_arn("Other"),
        "arn:aws:iam::*:role/${aws:username}/*",
        "arn:*:${aws:PrincipalTag/x}",
    ]
)
CONDITIONS = st.sampled_from(
    [
        None,
        MFA,
        NO_MFA,
        {"StringEquals": {"aws:username": "support"}},
        {"StringNotEquals": {"aws:username": "support"}},
    ]
)
STATEMENTS = st.builds(may, ACTIONS, RESOURCES, CONDITIONS)
DENIALS = st.builds(never, ACTIONS, RESOURCES, CONDITIONS)
LISTS = st.lists(STATEMENTS | DENIALS, max_size=4)
HELD = st.builds(
    lambda own, boundary, controls: (own, boundary, controls),
    LISTS, st.none() | LISTS, st.none() | st.lists(st.lists(STATEMENTS, min_size=1, max_size=2), max_size=2),
)  # fmt: skip
ASKED = st.sampled_from([TARGET, role_arn("Other"), role_arn("*"), None])


@given(HELD, DENIALS, ASKED, st.integers(0, 1))
def test_a_denial_more_never_makes_anything_possible(
    parts: Any, denial: Any, resource: Any, where: int
) -> None:
    """In identity policies or boundary, a deny only takes."""
    own, boundary, controls = parts
    before = judged(held(*own, boundary=boundary, controls=controls), resource=resource)
    if where and boundary is not None:
        after = judged(held(*own, boundary=[*boundary, denial], controls=controls), resource=resource)
    else:
        after = judged(held(*own, denial, boundary=boundary, controls=controls), resource=resource)

    assert after.value <= before.value


@given(HELD, STATEMENTS, ASKED)
def test_an_allowance_more_never_takes(parts: Any, allowance: Any, resource: Any) -> None:
    """In identity policies or boundary, an allow only gives."""
    own, boundary, controls = parts
    before = judged(held(*own, boundary=boundary, controls=controls), resource=resource)
    wider = None if boundary is None else [*boundary, allowance]

    assert (
        judged(held(*own, allowance, boundary=boundary, controls=controls), resource=resource).value
        >= before.value
    )
    assert judged(held(*own, boundary=wider, controls=controls), resource=resource).value >= before.value


@given(LISTS.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))), ASKED)
def test_the_order_of_statements_does_not_matter(pair: Any, resource: Any) -> None:
    """Any order of the same statements gives the same answer."""
    assert judged(held(*pair[0]), resource=resource) is judged(held(*pair[1]), resource=resource)


@given(HELD, st.lists(ASKED, max_size=6))
def test_what_was_asked_before_does_not_matter(parts: Any, resources: Any) -> None:
    """Rules that are asked many times answer as new ones would, and the reason fits the answer."""
    own, boundary, controls = parts
    permissions = held(*own, boundary=boundary, controls=controls)
    request = Request(context_for(SUPPORT))
    rules = Rules(permissions, ASSUME, request)
    for resource in resources:
        for need in Need:
            fresh = Rules(permissions, ASSUME, Request(context_for(SUPPORT)))

            assert rules.truth(resource, need) is fresh.truth(resource, need)
            assert rules.judge(resource, need) == fresh.judge(resource, need)
            assert rules.judge(resource, need).why
