"""What principals can come to, by the IAM of their accounts."""

from __future__ import annotations

from typing import Any

import pytest
from iam_cases import (
    HERE,
    THERE,
    doc,
    group,
    let,
    managed,
    may,
    never,
    reach,
    role,
    role_arn,
    root,
    snapshot,
    user,
    user_arn,
)  # fmt: skip

from tokentrail.errors import UsageError
from tokentrail.policy.account.reach import Reach

SUPPORT, BUCKET, FIRST = user_arn("support"), role_arn("MyBucketRole"), role_arn("First")
MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
POLICY = f"arn:aws:iam::{HERE}:policy/Own"
ASSUMES = doc(may("sts:AssumeRole"))
S3 = doc(may("s3:*"))
NOTHING = (None, None)


def told(found: Reach, principal: str = SUPPORT, target: str = BUCKET) -> tuple[bool | None, str | None]:
    """Whether it is certain, and why; nothing if it can't be."""
    way = found.may_assume(principal, target)
    return NOTHING if way is None else (way.certain, way.why)


def certain(found: Reach, principal: str = SUPPORT, target: str = BUCKET) -> bool | None:
    return told(found, principal, target)[0]


@pytest.mark.parametrize(
    ("trust", "holds", "expected"),
    [
        (let(SUPPORT), S3, True),
        (let(root()), ASSUMES, True),
        (let(root()), S3, None),
        (let(root()), doc(may("sts:AssumeRole", BUCKET)), True),
        (let(root()), doc(may("sts:AssumeRole", role_arn("Other"))), None),
        (let(root(), MFA), ASSUMES, False),
        (let(root()), doc(may("sts:*", condition=MFA)), False),
        (let(SUPPORT), doc(never("sts:AssumeRole")), None),
        (let(root()), doc(may("*"), never("*", condition={"Bool": {"aws:SecureTransport": "false"}})), False),
        (let(user_arn("ria")), ASSUMES, None),
        (let({"Service": "ec2.amazonaws.com"}), ASSUMES, None),
        (let("*"), S3, False),
        (let("*"), ASSUMES, True),
        (let("odd"), S3, False),
    ],
)
def test_a_user_in_the_roles_account(trust: Any, holds: Any, expected: bool | None) -> None:
    """Named itself it needs no permission; where the account is trusted, its identity policies decide."""
    found = reach(users=[user("support", holds)], roles=[role("MyBucketRole", doc(trust))])

    assert expected is certain(found)


@pytest.mark.parametrize(
    ("trust", "holds", "bound", "expected"),
    [
        (let(FIRST), S3, None, True),
        (let(FIRST), S3, S3, None),
        (let(FIRST), S3, ASSUMES, True),
        (let(root()), ASSUMES, S3, None),
        (let(root()), ASSUMES, ASSUMES, True),
        (let(f"arn:aws:sts::{HERE}:assumed-role/First/run"), S3, S3, False),
    ],
)
def test_a_role_is_bounded_even_where_it_is_named(
    trust: Any, holds: Any, bound: Any, expected: bool | None
) -> None:
    """A trust policy that names a role is limited by the role's boundary; one that names a session is not."""
    found = reach(
        roles=[role("First", doc(let({"Service": "ec2.amazonaws.com"})), holds, boundary=POLICY if bound else None),
               role("MyBucketRole", doc(trust))],
        policies=[managed(POLICY, bound)] if bound else [],
    )  # fmt: skip

    assert expected is certain(found, FIRST)


def test_a_user_that_is_named_is_not_bounded() -> None:
    """Neither an implicit deny of identity policies nor of the boundary limits a user named in its own account."""
    found = reach(
        users=[user("support", S3, boundary=POLICY)],
        roles=[role("MyBucketRole", doc(let(SUPPORT)))],
        policies=[managed(POLICY, S3)],
    )

    assert certain(found) is True


ABROAD = user_arn("guest", THERE)


@pytest.mark.parametrize("named", [ABROAD, root(THERE), THERE, "*"])
@pytest.mark.parametrize(("holds", "expected"), [(ASSUMES, True), (S3, None)])
def test_across_accounts_both_sides_must_allow(named: str, holds: Any, expected: bool | None) -> None:
    """Whatever the trust policy names, the caller's account must allow it as well."""
    here = snapshot(roles=[role("MyBucketRole", doc(let(named)))])
    there = snapshot(users=[user("guest", holds, account=THERE)])

    assert expected is certain(Reach([here, there]), ABROAD)


def test_a_caller_without_a_snapshot_may_hold_any_permission_but_must_be_trusted() -> None:
    """What is not known counts as possible; the trust policy is known."""
    found = reach(
        users=[user("support")],
        roles=[role("MyBucketRole", doc(let(root(THERE)))), role("Named", doc(let(user_arn("other", THERE)))),
               role("Own", doc(let(root())))],
    )  # fmt: skip

    assert told(found, ABROAD) == (
        False,
        "the trust policy of role MyBucketRole trusts account 444455556666, and sts:AssumeRole counts as allowed, since "
        "the identity policies of user guest can't be judged: they are not in the snapshots, which lack its account",
    )
    assert certain(found, ABROAD, role_arn("Named")) is certain(found, ABROAD, role_arn("Own")) is None
    assert certain(found, user_arn("made-since"), role_arn("Own")) is False


def test_of_a_role_that_no_snapshot_holds_nothing_can_be_said() -> None:
    """The prover goes by the edges that the log shows there."""
    found = reach(users=[user("support", ASSUMES)], roles=[role("MyBucketRole", doc(let(root())))])

    assert found.may_assume(SUPPORT, role_arn("MyBucketRole", THERE)) is None
    assert found.may_assume(SUPPORT, role_arn("Unheard")) is None


def test_a_path_that_a_caller_without_snapshot_lacks_is_not_held_against_it() -> None:
    """A log may show a role without its path, so that a condition on its ARN does not rule it out."""
    wanted = {"ArnEquals": {"aws:PrincipalArn": role_arn("ci/Deploy", THERE)}}
    found = reach(roles=[role("MyBucketRole", doc(let(root(THERE), wanted)))])

    assert certain(found, role_arn("Deploy", THERE)) is False
    assert certain(found, f"arn:aws:sts::{THERE}:assumed-role/Deploy/run-1") is False
    assert certain(found, role_arn("other/Deploy", THERE)) is None


def test_scps_of_the_callers_account_count_but_for_whom_they_do_not_bind() -> None:
    """They bind neither the management account nor service-linked roles."""
    parts: Any = {
        "users": [user("support", ASSUMES)],
        "roles": [
            role("MyBucketRole", doc(let(root()))),
            role(
                "aws-service-role/x.amazonaws.com/Linked", doc(let({"Service": "x.amazonaws.com"})), ASSUMES
            ),
        ],
    }
    denying = [doc(may("*")), doc(never("sts:AssumeRole"))]
    linked = role_arn("aws-service-role/x.amazonaws.com/Linked")

    assert certain(reach(**parts)) is True
    assert certain(reach(**parts, ServiceControlPolicies=denying)) is None
    assert certain(reach(**parts, ServiceControlPolicies=denying), linked) is True
    assert certain(reach(**parts, ServiceControlPolicies=denying, ManagementAccount=False)) is None
    assert certain(reach(**parts, ServiceControlPolicies=denying, ManagementAccount=True)) is True
    assert certain(reach(**parts, ServiceControlPolicies=[doc(may("*"))])) is True


def test_scps_do_not_bind_callers_from_other_accounts() -> None:
    """The role's account can't forbid it by an SCP."""
    here = snapshot(
        roles=[role("MyBucketRole", doc(let(root(THERE))))],
        ServiceControlPolicies=[doc(may("*")), doc(never("sts:AssumeRole"))],
    )
    there = snapshot(users=[user("guest", ASSUMES, account=THERE)])

    assert certain(Reach([here, there]), ABROAD) is True


def test_a_role_may_assume_itself_without_being_trusted() -> None:
    """Roles that did so before 2022 still may, so that it counts as possible where permissions allow it."""
    service = let({"Service": "ec2.amazonaws.com"})
    found = reach(
        roles=[role("First", doc(service), ASSUMES), role("Poor", doc(service), S3),
               role("Shut", doc(service, let("*", Effect="Deny")), ASSUMES), role("Open", doc(let(root())), ASSUMES)]
    )  # fmt: skip

    assert [False, None, None, True] == [
        certain(found, role_arn(name), role_arn(name)) for name in ("First", "Poor", "Shut", "Open")
    ]
    assert [role_arn("First"), role_arn("Open")] == [arn for arn, _ in found.assumable(FIRST)]


def test_someone_gone_is_not_its_namesake() -> None:
    """A trust policy that shows a unique id means a principal that was deleted, not one made anew."""
    found = reach(
        users=[user("support", ASSUMES)],
        roles=[role("MyBucketRole", doc(let("AIDAGONEGONEGONEGONE1"))),
               role("Same", doc(let("AIDASUPPORTXXXXXXXXXX")))],
    )  # fmt: skip

    assert certain(found) is None
    assert certain(found, SUPPORT, role_arn("Same")) is True
    assert "gone" in (told(found, user_arn("x", THERE))[1] or "")


def test_who_assumes_no_role() -> None:
    """Federated users, services and texts that name nobody get no way; root is only as far as STS refuses it."""
    found = reach(users=[user("support", ASSUMES)], roles=[role("MyBucketRole", doc(let("*"), let(root())))])

    for arn in (f"arn:aws:sts::{HERE}:federated-user/support", "ec2.amazonaws.com", "", "AIDAX"):
        assert found.may_assume(arn, BUCKET) is None
        assert found.assumable(arn) == ()
    assert certain(found, root()) is False


def test_groups_and_managed_policies_count() -> None:
    """A permission, or a deny, may come by a group."""
    roles = [role("MyBucketRole", doc(let(root())))]
    found = reach(users=[user("support", groups=["Ops"])], groups=[group("Ops", attached=[POLICY])], roles=roles,
                  policies=[managed(POLICY, ASSUMES, old=S3)])  # fmt: skip
    shut = reach(
        users=[user("support", ASSUMES, groups=["Ops"])], groups=[group("Ops", doc(never("*")))], roles=roles
    )
    lost = reach(users=[user("support", groups=["Ops"])], roles=roles)

    assert told(found) == (
        True,
        "the trust policy of role MyBucketRole trusts account 111122223333, and managed policy Own of group Ops "
        "allows sts:AssumeRole",
    )
    assert [None, False] == [certain(shut), certain(lost)]


@pytest.mark.parametrize(
    ("trust", "holds", "words"),
    [
        (let(SUPPORT), S3, "the trust policy of role MyBucketRole names user support itself"),
        (
            let(SUPPORT, {"StringEquals": {"sts:ExternalId": "7"}, **MFA}),
            S3,
            "the trust policy of role MyBucketRole names user support itself, if the attacker meets the condition "
            "aws:MultiFactorAuthPresent and sts:ExternalId of the trust policy",
        ),
        (
            let(root()),
            doc(may("sts:*", condition=MFA)),
            "the trust policy of role MyBucketRole trusts account 111122223333, and inline policy P0 of user support "
            "allows sts:AssumeRole, if the attacker meets the condition aws:MultiFactorAuthPresent",
        ),
        (let("*"), S3, "the trust policy of role MyBucketRole trusts anyone"),
        (let("odd"), S3, "the trust policy of role MyBucketRole may trust anyone"),
    ],
)
def test_each_way_says_why(trust: Any, holds: Any, words: str) -> None:
    """The sentence names whom the trust policy lets in, what allows the call, and what the attacker must meet."""
    assert words == told(reach(users=[user("support", holds)], roles=[role("MyBucketRole", doc(trust))]))[1]


def test_a_trust_policy_that_can_not_be_read_lets_anyone_in() -> None:
    """A proof must not rest on a document that nobody has understood."""
    found = reach(users=[user("support", S3)], roles=[role("MyBucketRole", "?")])

    assert told(found) == (
        False,
        "the trust policy of role MyBucketRole could not be read (it is not JSON), so that it may trust anyone",
    )


def test_principals_are_known_by_any_of_their_arns() -> None:
    """Path and session do not matter."""
    found = reach(users=[user("staff/support")], roles=[role("app/MyBucketRole", doc())])

    assert found.accounts == {HERE}
    assert found.is_known(SUPPORT) and found.is_known(BUCKET) and found.is_known(root())
    assert found.is_known(f"arn:aws:sts::{HERE}:assumed-role/MyBucketRole/x")
    assert not any(map(found.is_known, (user_arn("ria"), user_arn("support", THERE), root(THERE), "x")))
    assert (found.user(SUPPORT) is None, found.user(BUCKET), found.role(SUPPORT)) == (False, None, None)
    known = found.role(BUCKET)
    assert known is not None and known.arn == role_arn("app/MyBucketRole")


def test_two_snapshots_of_one_account_are_refused() -> None:
    """Which of them holds would be a guess."""
    one, other = snapshot(users=[user("a")]), snapshot(users=[user("b")])

    with pytest.raises(UsageError, match="Two snapshots are of account 111122223333"):
        Reach([one, other])
    assert Reach([one]).snapshots == (one,)


SELF_SERVICE = doc(may(["iam:CreateAccessKey", "iam:UpdateAccessKey"], user_arn("${aws:username}")))


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        (S3, set()),
        (SELF_SERVICE, {"CreateAccessKey", "UpdateAccessKey"}),
        (doc(may("iam:PutRolePolicy", role_arn("app/*"))), {"PutRolePolicy"}),
        (doc(may("iam:PutRolePolicy", user_arn("*"))), set()),
        (doc(may("iam:*"), never("iam:*")), set()),
        (
            doc(may("iam:Detach*", condition=MFA)),
            {"DetachUserPolicy", "DetachRolePolicy", "DetachGroupPolicy"},
        ),
        (doc(may(["iam:PassRole", "s3:*"])), set()),
        (doc(may(["iam:PassRole", "lambda:CreateFunction"])), {"launches"}),
        (
            doc(may("iam:PassRole", role_arn("x")), may("ec2:RunInstances", "arn:aws:ec2:*:*:instance/*")),
            {"launches"},
        ),
        (doc(may("ec2:*")), set()),
    ],
)
def test_what_iam_a_user_may_write(holds: Any, expected: set[str]) -> None:
    """A call is possible if it is on anything that it acts on."""
    assert expected == set(reach(users=[user("support", holds)]).may_write_iam(SUPPORT))


NAMED_IN_THE_ORDER = (
    "CreateAccessKey UpdateAccessKey CreateLoginProfile UpdateLoginProfile CreateUser CreateRole UpdateAssumeRolePolicy"
    " PutUserPolicy DeleteUserPolicy PutRolePolicy DeleteRolePolicy AttachUserPolicy DetachUserPolicy AttachRolePolicy"
    " DetachRolePolicy CreatePolicyVersion SetDefaultPolicyVersion AddUserToGroup RemoveUserFromGroup"
    " PutUserPermissionsBoundary DeleteUserPermissionsBoundary PutRolePermissionsBoundary"
    " DeleteRolePermissionsBoundary CreateOpenIDConnectProvider CreateSAMLProvider UpdateSAMLProvider launches"
)


@pytest.mark.parametrize(
    "arn", [role_arn("Admin"), root(), user_arn("unheard"), role_arn("Far", THERE), "odd"]
)
def test_an_administrator_and_whoever_is_unknown_may_write_all_of_it(arn: str) -> None:
    """What is not known counts as possible."""
    found = reach(roles=[role("Admin", doc(), attached=["arn:aws:iam::aws:policy/AdministratorAccess"])])

    assert set(NAMED_IN_THE_ORDER.split()) <= set(found.may_write_iam(arn))


def test_a_self_service_policy_gives_a_role_nothing() -> None:
    """A role's session has no user name."""
    assert reach(roles=[role("First", doc(), SELF_SERVICE)]).may_write_iam(FIRST) == ()


def test_a_denial_by_name_does_not_stop_a_federated_console_session() -> None:
    """A user that may federate writes IAM in the console under another name than its own."""
    by_name = never("iam:*", condition={"ArnEquals": {"aws:PrincipalArn": SUPPORT}})
    found = reach(users=[user("support", doc(may("*"), by_name)), user("ria", doc(may("iam:*"), by_name))])

    assert "CreateUser" in found.may_write_iam(SUPPORT)
    assert "CreateUser" in found.may_write_iam(user_arn("ria"))


def test_who_may_federate() -> None:
    """GetFederationToken needs permission, and no role has it."""
    found = reach(
        users=[user("support", doc(may("sts:*"))), user("ria", S3),
               user("one", doc(may("sts:GetFederationToken", f"arn:aws:sts::{HERE}:federated-user/x")))],
        roles=[role("First", doc(), doc(may("*")))],
    )  # fmt: skip

    assert [True, False, True, True, False, True, False] == [
        found.may_federate(arn)
        for arn in (SUPPORT, user_arn("ria"), user_arn("one"), user_arn("unheard"), FIRST, root(), "odd")
    ]


def test_who_may_take_scps_away() -> None:
    """A member account's administrator can only leave, as far as is known; the management account's can do all."""
    users = [user("support", doc(may("*")))]

    assert "DetachPolicy" in reach(users=users).may_write_organizations(SUPPORT)
    assert "DetachPolicy" in reach(users=users, ManagementAccount=True).may_write_organizations(SUPPORT)
    assert reach(users=users, ManagementAccount=False).may_write_organizations(SUPPORT) == (
        "LeaveOrganization",
    )
    assert reach(users=[user("support", S3)]).may_write_organizations(SUPPORT) == ()


def test_who_may_take_running_workloads_over() -> None:
    """
    New code in an old function, or a layer before it, gets its role's credentials without PassRole.

    A MicroVM's image may: its build role is named again, and whether that passes it again is not documented.
    """
    found = reach(users=[user("support", doc(may("lambda:Update*"))), user("ria", S3)])

    assert found.may_take_over(SUPPORT) == (
        "UpdateFunctionCode", "UpdateFunctionConfiguration", "UpdateMicrovmImage",
    )  # fmt: skip
    assert found.may_take_over(user_arn("ria")) == ()


@pytest.mark.parametrize(
    ("resource", "elsewhere"),
    [
        ("*", True),
        (f"arn:aws:iam::{THERE}:role/Deploy", True),
        ("arn:aws:iam::*:role/OrganizationAccountAccessRole", True),
        (f"arn:aws:iam::{HERE}:role/*", False),
    ],
)
def test_who_may_take_up_roles_of_accounts_without_a_snapshot(resource: str, elsewhere: bool) -> None:
    """A user who may assume roles of its own account alone does not leave it; who may assume any, or one elsewhere, may."""
    users = [user("support", doc(may("sts:AssumeRole", resource))), user("ria", S3)]
    found = reach(users=users)

    assert elsewhere == bool(found.may_go_elsewhere(SUPPORT))
    assert () == found.may_go_elsewhere(user_arn("ria"))
