"""Proofs over trust policies and permissions, from snapshots of the accounts' IAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from contain_cases import ROLE, USER, actions, asked, checked, hit, planned, refuted, statements

from evidence import AWAY, HOME, START
from policy.iam_cases import (
    doc,
    let,
    managed,
    may,
    never,
    role,
    role_arn,
    root,
    snapshot,
    user,
    user_arn,
)
from tokentrail import Case
from tokentrail.testing import Credential, LongTermKey, World

SUPPORT = user_arn("support")
ASSUMES = doc(may("sts:AssumeRole"))


def stolen() -> tuple[World, LongTermKey]:
    """A stolen key that was seen to assume nothing."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    return world, key


def busy() -> tuple[World, LongTermKey, Credential, Credential]:
    """The same, and a colleague in a role that the thief may assume: one session long ago, one in the blind window."""
    world, key = stolen()
    key.assumes("Seen", "x").calls("s3:ListBuckets")
    grace = world.user("grace")
    world.wait(600)
    old = grace.assumes("Unseen", "grace")
    world.wait(1800)
    new = grace.assumes("Unseen", "grace")
    world.wait(60)
    new.calls("s3:ListBuckets")
    return world, key, old, new


ROLES = (
    role("Seen", doc(let(SUPPORT))),
    role("Unseen", doc(let(root()))),
    role("Others", doc(let(user_arn("grace")))),
    role("Function", doc(let({"Service": "lambda.amazonaws.com"}))),
)


def test_a_role_that_was_never_seen_is_cut_over_the_blind_window_alone() -> None:
    """In the same step as the rest: whoever was in it before stays, and in the window around the known session's second."""
    world, key, old, new = busy()
    plan = planned(world, key.id, snapshots=[snapshot(users=[user("support", ASSUMES)], roles=ROLES)])

    assert "trust-policies" == plan.proof.scope and plan.proof.complete
    assert (f"{ROLE}Seen", f"{ROLE}Unseen") == plan.steps[-1].principals
    first, twin, last = (one["Condition"] for one in statements(plan.steps[-1], "Unseen"))
    assert "DateGreaterThanEquals" in first and "DateGreaterThanEquals" in last
    assert [f"{new.identity.principal_id}"] == twin["StringNotEquals"]["aws:userid"]
    assert {old.id, new.id}.isdisjoint(hit(plan))
    assert any("very second of its issue" in one for one in plan.proof.holds_if)


def test_without_the_snapshot_that_role_is_not_part_of_the_proof() -> None:
    """Then it covers what was seen, and says how to get the other proof."""
    world, key, _, _ = busy()
    plan = planned(world, key.id)

    assert "observed-edges" == plan.proof.scope
    assert (f"{ROLE}Seen",) == plan.steps[-1].principals
    assert any("--iam SNAPSHOT" in one for one in plan.proof.holds_if)


def test_steps_that_leave_out_an_allowed_role_are_refuted() -> None:
    """What was enough for what was seen is not enough for what is allowed."""
    world, key, _, _ = busy()
    steps = [
        f"deactivate-key:{key.id}",
        f"revoke-user-sessions:{USER}support",
        f"revoke-role-sessions:{ROLE}Seen",
    ]
    with asked(world) as case:
        seen = case.contain([key.id], what_if=steps)
        allowed = case.contain(
            [key.id], what_if=steps, snapshots=[snapshot(users=[user("support", ASSUMES)], roles=ROLES)]
        )

    assert checked(seen).proof.complete
    refuted(allowed, "role/Unseen session at")
    assert "trust-policies" == allowed.proof.scope


def test_juggling_that_only_trust_policies_allow_is_cut_in_one_step() -> None:
    """Ping may assume Pong and Pong Ping, though nobody saw it: in two steps it is refuted."""
    world, key = stolen()
    key.assumes("Ping", "x").calls("s3:ListBuckets")
    shot = snapshot(
        users=[user("support", doc(may("sts:AssumeRole", role_arn("Ping"))))],
        roles=[
            role("Ping", doc(let([SUPPORT, role_arn("Pong")]))),
            role("Pong", doc(let(role_arn("Ping")))),
        ],
    )
    cut = [f"deactivate-key:{key.id}", f"revoke-user-sessions:{USER}support"]
    with asked(world) as case:
        plan = checked(case.contain([key.id], snapshots=[shot]))
        in_two = case.contain(
            [key.id], snapshots=[shot],
            what_if=[*cut, f"revoke-role-sessions:{ROLE}Ping", f"revoke-role-sessions:{ROLE}Pong"],
        )  # fmt: skip

    assert plan.proof.complete
    assert (f"{ROLE}Ping", f"{ROLE}Pong") == plan.steps[-1].principals
    refuted(in_two, "the role/Pong session of .* mints a new role/Ping session")


BOUNDARY = f"arn:aws:iam::{HOME}:policy/Bound"
CASES: dict[str, tuple[bool, dict[str, Any]]] = {
    "the role trusts the account, and the user is allowed": (
        True, {"users": [user("support", ASSUMES)], "roles": [role("Deploy", doc(let(root())))]},
    ),
    "the role trusts the account, and the user is not allowed": (
        False, {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
    ),
    "the role names the user, who needs no permission then": (
        True, {"users": [user("support")], "roles": [role("Deploy", doc(let(SUPPORT)))]},
    ),
    "a wildcard of the permission fits": (
        True,
        {"users": [user("support", doc(may("sts:*", f"{ROLE}Dep*")))], "roles": [role("Deploy", doc(let("*")))]},
    ),
    "a wildcard of the permission does not fit": (
        False,
        {"users": [user("support", doc(may("sts:*", f"{ROLE}Prod*")))], "roles": [role("Deploy", doc(let(root())))]},
    ),
    "a deny wins": (
        False,
        {
            "users": [user("support", doc(may("*"), never("sts:AssumeRole")))],
            "roles": [role("Deploy", doc(let(root())))],
        },
    ),
    "a boundary leaves it out": (
        False,
        {
            "users": [user("support", ASSUMES, boundary=BOUNDARY)],
            "roles": [role("Deploy", doc(let(root())))],
            "policies": [managed(BOUNDARY, doc(may("s3:*")))],
        },
    ),
    "a boundary holds it": (
        True,
        {
            "users": [user("support", ASSUMES, boundary=BOUNDARY)],
            "roles": [role("Deploy", doc(let(root())))],
            "policies": [managed(BOUNDARY, doc(may("sts:*")))],
        },
    ),
    "a service control policy denies it": (
        False,
        {
            "users": [user("support", ASSUMES)],
            "roles": [role("Deploy", doc(let(root())))],
            "ServiceControlPolicies": [doc(may("*"), never("sts:AssumeRole"))],
        },
    ),
    "the role trusts a service": (
        False,
        {
            "users": [user("support", ASSUMES)],
            "roles": [role("Deploy", doc(let({"Service": "lambda.amazonaws.com"})))],
        },
    ),
    "the trust asks for MFA, which nobody can rule out": (
        True,
        {
            "users": [user("support", ASSUMES)],
            "roles": [role("Deploy", doc(let(root(), {"Bool": {"aws:MultiFactorAuthPresent": "true"}})))],
        },
    ),
}  # fmt: skip


@pytest.fixture(name="alone", scope="module")
def _alone() -> Iterator[tuple[Case, str]]:
    """A case of a stolen key alone, and its id."""
    world, key = stolen()
    with asked(world) as case:
        yield case, key.id


@pytest.mark.parametrize("what", CASES)
def test_a_role_is_cut_if_it_may_be_assumed(what: str, alone: tuple[Case, str]) -> None:
    """Trust and permission, wildcards, boundaries and service control policies decide; doubt counts as may."""
    expected, parts = CASES[what]
    case, key = alone
    plan = checked(case.contain([key], snapshots=[snapshot(**parts)]))

    assert expected == ("deny-sessions" in actions(plan))
    assert expected == any(f"{ROLE}Deploy" in one.principals for one in plan.steps)
    assert plan.proof.complete


def test_the_proof_names_accounts_without_a_snapshot() -> None:
    """There it covers what was seen alone."""
    world, key = stolen()
    key.assumes("Deploy", "x", account=AWAY).calls("s3:ListBuckets")
    here = snapshot(users=[user("support", ASSUMES)])
    there = snapshot(roles=[role("Deploy", doc(let(SUPPORT)), account=AWAY)])
    with asked(world) as case:
        one = checked(case.contain([key.id], snapshots=[here]))
        both = checked(case.contain([key.id], snapshots=[here, there]))

    assert any(f"without a snapshot ({AWAY})" in said for said in one.proof.holds_if)
    assert not any("without a snapshot" in said for said in both.proof.holds_if)


def test_the_proof_names_what_the_game_does_not_play() -> None:
    """Who may change the organisation, take over a workload, go to other accounts or write IAM is a condition."""
    world, key = stolen()
    plan = planned(world, key.id, snapshots=[snapshot(users=[user("support", doc(may("*")))])])
    conditions = "\n".join(plan.proof.holds_if)

    assert plan.proof.complete
    assert "user/support never changes the organisation or leaves it" in conditions
    assert "user/support never takes over a workload that runs with another role" in conditions
    assert "user/support never takes up, unseen, a role in an account other than those" in conditions
    assert "read-back after the last step" in conditions and f"{key.id}, which may call" in conditions


def test_whoever_may_hand_a_role_on_is_told_in_words() -> None:
    """With PassRole and RunInstances the attacker starts what runs with another role: a condition looks for that, too."""
    world, key = stolen()
    allowed = doc(may(["iam:PassRole", "ec2:RunInstances"]))
    plan = planned(world, key.id, snapshots=[snapshot(users=[user("support", allowed)])])
    [said] = [one for one in plan.proof.holds_if if "read-back" in one]

    assert "nothing new that runs with a role" in said
    assert f"{key.id}, which may start a machine or function with a role of its choice (iam:PassRole)" in said


def test_whoever_may_write_nothing_is_no_condition() -> None:
    """A user who may read a bucket does none of that."""
    world, key = stolen()
    plan = planned(world, key.id, snapshots=[snapshot(users=[user("support", doc(may("s3:GetObject")))])])

    assert not any("never" in one or "read-back" in one for one in plan.proof.holds_if)


def test_a_user_and_a_role_of_one_name_have_policies_of_their_own() -> None:
    """IAM lets both be called alike, and a managed policy's name is the account's: it says which of them it is for."""
    world = World(START)
    key = world.user("Deploy")
    key.assumes("Deploy", "x").calls("s3:ListBuckets")
    full = doc(may("s3:" + "x" * 2000), may("s3:" + "y" * 8200))
    found = snapshot(users=[user("Deploy", full)], roles=[role("Deploy", doc(let(user_arn("Deploy"))), full)])
    plan = planned(world, key.id, strategy="scorched", snapshots=[found])

    calls = [call for one in plan.steps for call in one.calls]
    made = [call.parameters["PolicyName"] for call in calls if call.operation == "CreatePolicy"]
    assert ["user-Deploy-1", "role-Deploy-1"] == [
        name[len("TokenTrail-DenyAll-01234567-") :][:13] for name in made
    ]
    assert 2 == len({call.parameters["PolicyArn"] for call in calls if call.operation.startswith("Attach")})
    assert plan.proof.complete


@pytest.mark.parametrize("attached", [4, 9, 10])
def test_policies_that_are_attached_already_count_against_iam_s_ten(attached: int) -> None:
    """With no room inline, a managed policy is attached as long as ten are enough; else the plan says that it is not."""
    world, key = stolen()
    long = doc(may("s3:" + "x" * 2000))
    full = user("support", long, attached=[f"arn:aws:iam::{HOME}:policy/p{n}" for n in range(attached)])
    plan = planned(world, key.id, strategy="scorched", snapshots=[snapshot(users=(full,), roles=ROLES)])
    denied = next(one for one in plan.steps if one.action == "deny-user")

    if attached < 10:
        assert ["CreatePolicy", "AttachUserPolicy"] == [call.operation for call in denied.calls]
        assert plan.proof.complete
    else:
        assert () == denied.calls and "no room for another policy" in denied.why
        assert not plan.proof.complete
