"""IAM tells names of users, roles and groups apart without case: a request may spell one as it likes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from evidence import HOME, START, held
from tokentrail.testing import Credential, World
from tokentrail.testing.administration import trust_policy
from tokentrail.testing.names import Json

THIEF = "203.0.113.77"
_NAMES = frozenset({"userName", "newUserName", "roleName", "groupName"})


def shouted(records: Sequence[Json], user: str, *, others: bool) -> list[Json]:
    """The records with the names in a user's requests to IAM, or in those of all others, in capitals."""
    return [
        {**one, "requestParameters": dict(_shouted(one["requestParameters"]))}
        if (one["userIdentity"].get("userName") == user) is not others and one.get("requestParameters")
        else one
        for one in records
    ]


def _shouted(told: Json) -> Iterator[tuple[str, Any]]:
    for member, value in told.items():
        yield member, value.upper() if member in _NAMES else value


def _told(credential: Credential, action: str, statement: str, **names: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": statement, "Action": "*", "Resource": "*"}]}
    credential.iam(action, **names, policyName="p", policyDocument=json.dumps(document))


def password_set(world: World, thief: Credential) -> None:
    """The thief signs in as somebody whose password it has set, who gets a new one."""
    ada = world.user("ada")
    thief.iam("UpdateLoginProfile", userName="ada")
    world.wait(60)
    world.console_sign_in(ada, ip=THIEF).assumes("Ops", "x").calls("s3:ListBuckets")
    world.user("boss").iam("DeleteLoginProfile", userName="ada")


def trust_set(world: World, thief: Credential) -> None:
    """The thief lets itself into a role, and others put that right."""
    role = world.role("Deploy")
    for name in ("Deploy", "Other"):
        trust = json.dumps(trust_policy(f"arn:aws:iam::{HOME}:user/support"))
        thief.iam("UpdateAssumeRolePolicy", roleName=name, policyDocument=trust)
    thief.assumes(role, "x").calls("s3:ListBuckets")
    world.wait(60)
    trust = json.dumps(trust_policy(f"arn:aws:iam::{HOME}:user/boss"))
    world.user("boss").iam("UpdateAssumeRolePolicy", roleName="Other", policyDocument=trust)


def user_made(world: World, thief: Credential) -> None:
    """Of two users that the thief has made others delete one."""
    for name in ("eve", "mallory"):
        thief.creates_access_key(thief.creates_user(name)).seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(60)
    world.user("boss").iam("DeleteUser", userName="eve")


def policies_put(world: World, thief: Credential) -> None:
    """The thief gives itself and a group more power, which others take back; and it takes a limit away."""
    boss = world.user("boss")
    boss.iam(
        "PutUserPermissionsBoundary",
        userName="support",
        permissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess",
    )
    thief.iam("DeleteUserPermissionsBoundary", userName="support")
    _told(thief, "PutUserPolicy", "Allow", userName="support")
    thief.iam("AddUserToGroup", groupName="admins", userName="support")
    world.wait(60)
    boss.iam("DeleteUserPolicy", userName="support", policyName="p")
    boss.iam("RemoveUserFromGroup", groupName="admins", userName="support")
    _told(world.user("carol").assumes("Deploy", "c"), "PutRolePolicy", "Deny", roleName="Deploy")


@pytest.mark.parametrize(
    "deeds", [password_set, trust_set, user_made, policies_put], ids=lambda one: one.__name__
)
def test_no_answer_depends_on_how_requests_spell_names(deeds: Callable[[World, Credential], None]) -> None:
    """An attacker who spells a name otherwise hides nothing by it, and whoever puts something right has done so."""
    world = World(START)
    thief = world.user("support").seen_from(THIEF)
    thief.calls("s3:ListBuckets")
    deeds(world, thief)
    world.user("bystander").calls("s3:ListBuckets")
    records = world.records()
    answers = []
    for given in (
        records,
        shouted(records, "support", others=False),
        shouted(records, "support", others=True),
    ):
        with held(given) as case:
            plan = case.contain([thief.id])
            told = [
                (one.id, one.parent, one.parent_link, one.state, one.ended_by) for one in case.credentials()
            ]
        said = (plan.tainted, plan.proof.holds_if, plan.residual_risks, plan.proof.counterexample)
        steps = [(one.action, one.targets, one.ends) for one in plan.steps]
        answers.append(json.dumps([told, said, steps]).casefold())
    assert answers[0] == answers[1] == answers[2]
