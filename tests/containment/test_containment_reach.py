"""With snapshots, every role into which trust policies let the attacker is cut, or the proof says why it is not his."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from contain_cases import asked, checked, planned
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from evidence import AWAY, HOME, START
from policy.iam_cases import (
    doc,
    group,
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
from tokentrail.containment.model import Plan
from tokentrail.testing import World

Json = dict[str, Any]
Who = tuple[str, str, str]
"""A principal: its kind, its account and its name."""
ATTACKER: Who = ("user", HOME, "support")
USERS: tuple[Who, ...] = (ATTACKER, ("user", HOME, "grace"))
ROLES: tuple[Who, ...] = tuple(
    ("role", account, name)
    for account, name in ((HOME, "R1"), (HOME, "R2"), (HOME, "R3"), (AWAY, "R4"), (AWAY, "R5"))
)
CONDITIONS: dict[str, tuple[Json, bool]] = {
    "none": ({}, True),
    "mfa": ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, True),
    "external id": ({"StringEquals": {"sts:ExternalId": "x"}}, True),
    "source identity": ({"StringLike": {"sts:SourceIdentity": "grace*"}}, True),
    "bearer's source identity": ({"StringEquals": {"aws:SourceIdentity": "grace"}}, None),
    "session name": ({"StringEquals": {"sts:RoleSessionName": "deploy"}}, True),
    "address": ({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, True),
    "tag": ({"StringEquals": {"aws:RequestTag/team": "red"}}, True),
    "not by a token": ({"Null": {"aws:TokenIssueTime": "true"}}, None),
    "by a token": ({"Null": {"aws:TokenIssueTime": "false"}}, True),
    "another account": ({"StringEquals": {"aws:PrincipalAccount": "999999999999"}}, False),
    "hours": ({"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T09:30:00Z"}}, True),
    "org": ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, True),
}  # fmt: skip
"""Conditions, and whether somebody can meet them: `None` for a user's own keys but not, or only, for roles."""


def arn(who: Who) -> str:
    return (user_arn if who[0] == "user" else role_arn)(who[2], who[1])


@dataclass(frozen=True)
class Statement:
    """An allowing statement of a trust policy: whom it names, and under which condition."""

    whom: Who | str
    condition: str

    @property
    def text(self) -> Json:
        if isinstance(self.whom, str):
            named: Any = "*" if self.whom == "*" else {"AWS": root(self.whom)}
        else:
            named = arn(self.whom)
        return let(named, CONDITIONS[self.condition][0])

    def names(self, who: Who) -> bool:
        return self.whom in ("*", who, who[1])

    def met_by(self, who: Who) -> bool:
        if self.condition == "bearer's source identity":
            return who[0] == "role"
        if self.condition == "not by a token":
            return who[0] == "user"
        return bool(CONDITIONS[self.condition][1])


@dataclass(frozen=True)
class Iam:
    """The trust policies of roles, and what permissions users and roles have to assume roles."""

    trusts: dict[Who, tuple[Statement, ...]]
    permissions: dict[Who, str]
    """`none`, `all`, `denied`, or the ARN of a role."""

    def permitted(self, by: Who, into: Who) -> bool:
        return self.permissions[by] in ("all", arn(into))

    def lets(self, by: Who, into: Who) -> bool:
        """Whether a principal may assume a role: IAM's rules for one account, and for two."""
        if self.permissions[by] == "denied":
            return False
        some = [one for one in self.trusts[into] if one.names(by) and one.met_by(by)]
        direct = any(one.whom in (by, "*") for one in some) and by[1] == into[1]
        return bool(some) and (direct or self.permitted(by, into))

    def reached(self, start: Who) -> set[Who]:
        found, fresh = {start}, [start]
        while fresh:
            by = fresh.pop()
            further = {into for into in ROLES if into not in found and self.lets(by, into)}
            found |= further
            fresh += further
        return found - {start}

    def snapshots(self) -> list[Any]:
        def document(who: Who) -> list[Json]:
            told = self.permissions[who]
            if told == "none":
                return []
            return [
                doc(
                    never("sts:*")
                    if told == "denied"
                    else may("sts:AssumeRole", "*" if told == "all" else told)
                )
            ]

        return [
            snapshot(
                users=[user(one[2], *document(one), account=account) for one in USERS if one[1] == account]
                or [user("nobody", account=account)],
                roles=[
                    role(one[2], doc(*(each.text for each in self.trusts[one])), *document(one), account=account)
                    for one in ROLES if one[1] == account
                ],
            )
            for account in (HOME, AWAY)
        ]  # fmt: skip


STATEMENTS = st.builds(
    Statement, st.sampled_from([*USERS, *ROLES, HOME, AWAY, "*"]), st.sampled_from(["none", *CONDITIONS])
)
IAM = st.builds(
    Iam,
    st.fixed_dictionaries({one: st.lists(STATEMENTS, min_size=1, max_size=2).map(tuple) for one in ROLES}),
    st.fixed_dictionaries(
        {one: st.sampled_from(["none", "all", "denied", *map(arn, ROLES)]) for one in (*USERS, *ROLES)}
    ),
)


def dealt_with(plan: Plan, some: set[Who]) -> None:
    """Each role is one of a step's principals, or a sentence of the proof names it."""
    cut = {one for step in plan.steps for one in step.principals}
    said = "\n".join(one for one in plan.proof.holds_if if one.startswith("no session of "))
    assert not [arn(one) for one in some if arn(one) not in cut and f"role/{one[2]}" not in said]


Ended = tuple[str, int, str]
"""The role in which the attacker was seen, the seconds of silence after it, and what became of its key."""


def theft(seen: str, wait: int, end: str) -> World:
    """A stolen key that is used, in a role too or not, and deactivated or not."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    if seen != "nothing":
        key.assumes(seen, "x", account=HOME if seen == "R1" else AWAY).calls("s3:ListBuckets")
    admin = world.user("admin")
    if end == "key long ago":
        admin.deactivates(key)
        world.wait(60 * 60 * 13)
    world.wait(wait)
    admin.calls("s3:ListBuckets")
    if end == "key":
        admin.deactivates(key)
    return world


@pytest.fixture(name="thefts", scope="module")
def _thefts() -> Iterator[Callable[[Ended], tuple[Case, str]]]:
    """Each theft's case, made once however many snapshots it is looked at with; and the key."""
    with ExitStack() as stack:

        @cache
        def theft_of(ended: Ended) -> tuple[Case, str]:
            world = theft(*ended)
            return stack.enter_context(asked(world)), world.user("support").id

        yield theft_of


@settings(max_examples=60, deadline=None, phases=[Phase.generate], report_multiple_bugs=False)
@given(iam=IAM, ended=st.tuples(
    st.sampled_from(["nothing", "R1", "R4"]), st.sampled_from([0, 600, 90_000]),
    st.sampled_from(["nothing", "key", "key long ago"])),
       strategy=st.sampled_from(["standard", "surgical", "scorched"]))  # fmt: skip
def test_every_role_that_trusts_let_the_attacker_into_is_dealt_with(
    thefts: Callable[[Ended], tuple[Case, str]], iam: Iam, ended: Ended, strategy: Any
) -> None:
    """Whatever trusts and permissions lead him into is cut, or a sentence says why none of its sessions is his."""
    case, key = thefts(ended)
    plan = checked(case.contain([key], snapshots=iam.snapshots(), strategy=strategy))

    dealt_with(plan, iam.reached(ATTACKER))


LATER: dict[str, tuple[dict[str, Any], Any]] = {
    "a role is made that trusts the account": (
        {"users": [user("support", doc(may("sts:AssumeRole")))]},
        lambda admin: admin.creates_role("Deploy", doc(let(root()))),
    ),
    "a role is made that trusts the user": (
        {"users": [user("support")]}, lambda admin: admin.creates_role("Deploy", doc(let(arn(ATTACKER)))),
    ),
    "a role's trust is widened": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(user_arn("grace"))))]},
        lambda admin: admin.iam(
            "UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=json.dumps(doc(let(arn(ATTACKER))))
        ),
    ),
    "a user is given a policy": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "PutUserPolicy", userName="support", policyName="P9", policyDocument=json.dumps(doc(may("sts:*")))
        ),
    ),
    "a denying policy is replaced": (
        {"users": [user("support", doc(may("*"), never("sts:*")))], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "PutUserPolicy", userName="support", policyName="P0", policyDocument=json.dumps(doc(may("*")))
        ),
    ),
    "a denying policy is deleted": (
        {"users": [user("support", doc(never("sts:*")), doc(may("*")))], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam("DeleteUserPolicy", userName="support", policyName="P0"),
    ),
    "a managed policy is attached": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "AttachUserPolicy", userName="support", policyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
    ),
    "a managed policy gets another version": (
        {
            "users": [user("support", attached=[f"arn:aws:iam::{HOME}:policy/Own"])],
            "roles": [role("Deploy", doc(let(root())))],
            "policies": [managed(f"arn:aws:iam::{HOME}:policy/Own", doc(never("sts:*")))],
        },
        lambda admin: admin.iam(
            "CreatePolicyVersion", policyArn=f"arn:aws:iam::{HOME}:policy/Own", setAsDefault=True,
            policyDocument=json.dumps(doc(may("*"))),
        ),
    ),
    "a policy is made and attached": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: (
            admin.iam("CreatePolicy", policyName="New", policyDocument=json.dumps(doc(may("sts:*")))),
            admin.iam("AttachUserPolicy", userName="support", policyArn=f"arn:aws:iam::{HOME}:policy/New"),
        ),
    ),
    "an earlier version of a policy counts again": (
        {
            "users": [user("support", attached=[f"arn:aws:iam::{HOME}:policy/Own"])],
            "roles": [role("Deploy", doc(let(root())))],
            "policies": [managed(f"arn:aws:iam::{HOME}:policy/Own", doc(never("sts:*")))],
        },
        lambda admin: admin.iam(
            "SetDefaultPolicyVersion", policyArn=f"arn:aws:iam::{HOME}:policy/Own", versionId="v1"
        ),
    ),
    "a boundary is taken away": (
        {
            "users": [user("support", doc(may("*")), boundary=f"arn:aws:iam::{HOME}:policy/Bound")],
            "roles": [role("Deploy", doc(let(root())))],
            "policies": [managed(f"arn:aws:iam::{HOME}:policy/Bound", doc(may("s3:*")))],
        },
        lambda admin: admin.iam("DeleteUserPermissionsBoundary", userName="support"),
    ),
    "a user joins a group": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))], "groups": [group("Admins", doc(may("*")))]},
        lambda admin: admin.iam("AddUserToGroup", userName="support", groupName="Admins"),
    ),
    "a user's group is given a policy": (
        {"users": [user("support", groups=["Staff"])], "roles": [role("Deploy", doc(let(root())))], "groups": [group("Staff")]},
        lambda admin: admin.iam(
            "PutGroupPolicy", groupName="staff", policyName="P1", policyDocument=json.dumps(doc(may("*")))
        ),
    ),
}  # fmt: skip
"""What a snapshot shows, and a change by which the attacker gets into the role Deploy afterwards."""


@pytest.mark.parametrize("what", LATER)
def test_what_the_log_shows_to_have_changed_counts_as_changed(what: str) -> None:
    """A snapshot is of one time: where the log shows a change that it does not hold, what that may open is cut."""
    shown, change = LATER[what]
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.calls("s3:ListBuckets")
    change(admin)
    plan = planned(world, key.id, snapshots=[snapshot(**shown)])

    assert plan.proof.complete
    assert role_arn("Deploy") in {one for step in plan.steps for one in step.principals}


HELD: dict[str, tuple[dict[str, Any], Any]] = {
    "the trust that the snapshot shows": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(user_arn("grace"))))]},
        lambda admin: admin.iam(
            "UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=json.dumps(doc(let(user_arn("grace"))))
        ),
    ),
    "the policy that the snapshot shows": (
        {"users": [user("support", doc(may("s3:*")))], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "PutUserPolicy", userName="support", policyName="P0", policyDocument=json.dumps(doc(may("s3:*")))
        ),
    ),
    "a policy that lets it assume nothing": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "PutUserPolicy", userName="support", policyName="P9", policyDocument=json.dumps(doc(may("s3:*")))
        ),
    ),
    "a denial": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "PutUserPolicy", userName="support", policyName="P9", policyDocument=json.dumps(doc(never("s3:*")))
        ),
    ),
    "a policy that denies is made and attached": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: (
            admin.iam("CreatePolicy", policyName="New", policyDocument=json.dumps(doc(never("*")))),
            admin.iam("AttachUserPolicy", userName="support", policyArn=f"arn:aws:iam::{HOME}:policy/New"),
        ),
    ),
    "a trust that let it in long ago": (
        {"users": [user("support")], "roles": [role("Deploy", doc(let(user_arn("grace"))))]},
        lambda admin: (
            admin.iam(
                "UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=json.dumps(doc(let(arn(ATTACKER))))
            ),
            admin.iam(
                "UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=json.dumps(doc(let(user_arn("grace"))))
            ),
            admin.stage.wait(60 * 60 * 13),
        ),
    ),
    "the group that the snapshot shows": (
        {"users": [user("support", groups=["Staff"])], "roles": [role("Deploy", doc(let(root())))], "groups": [group("Staff")]},
        lambda admin: admin.iam("AddUserToGroup", userName="support", groupName="staff"),
    ),
    "another user's policy": (
        {"users": [user("support"), user("admin")], "roles": [role("Deploy", doc(let(root())))]},
        lambda admin: admin.iam(
            "PutUserPolicy", userName="admin", policyName="P9", policyDocument=json.dumps(doc(may("*")))
        ),
    ),
}  # fmt: skip
"""What a snapshot shows, and a change that lets the attacker into no role."""


@pytest.mark.parametrize("what", HELD)
def test_a_change_that_opens_nothing_cuts_nobody(what: str) -> None:
    """A change that the snapshot holds already, and one that lets the attacker assume nothing, adds no step."""
    shown, change = HELD[what]
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.calls("s3:ListBuckets")
    change(admin)
    admin.calls("s3:ListBuckets")
    plan = planned(world, key.id, snapshots=[snapshot(**shown)])

    assert role_arn("Deploy") not in {one for step in plan.steps for one in step.principals}


PROVIDER = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
SUBJECT = "token.actions.githubusercontent.com:sub"


def by_token(provider: str, condition: Json | None = None) -> Json:
    """A trust policy that lets in whom an OIDC provider knows."""
    return doc(let({"Federated": provider}, condition, Action="sts:AssumeRoleWithWebIdentity"))


TOKENS: dict[str, tuple[Json, bool]] = {
    "any token": (by_token(PROVIDER), True),
    "another branch of the repository": (
        by_token(PROVIDER, {"StringEquals": {SUBJECT: "repo:example/shop:environment:production"}}), True,
    ),
    "any of the owner's repositories": (by_token(PROVIDER, {"StringLike": {SUBJECT: "repo:example/*"}}), True),
    "another repository": (by_token(PROVIDER, {"StringLike": {SUBJECT: "repo:example/blog:*"}}), False),
    "a repository whose name begins alike": (by_token(PROVIDER, {"StringLike": {SUBJECT: "repo:example/shop2:*"}}), False),
    "another provider": (by_token(f"arn:aws:iam::{HOME}:oidc-provider/example.com"), False),
}  # fmt: skip


@pytest.mark.parametrize("what", TOKENS)
def test_roles_that_trust_the_attackers_identity_provider_are_cut_over_the_blind_window(what: str) -> None:
    """Whoever has a workflow's token may have entered, unseen, each role that trusts the provider in tokens of its kind."""
    trust, lets = TOKENS[what]
    world = World(START)
    session = world.oidc("Build", "repo:example/shop:ref:refs/heads/main")
    session.calls("s3:ListBuckets")
    shot = snapshot(roles=[role("Build", by_token(PROVIDER)), role("Release", trust)])
    plan = planned(world, session.id, snapshots=[shot])

    assert plan.proof.complete
    assert lets == (role_arn("Release") in {one for step in plan.steps for one in step.principals})


def test_a_pods_token_opens_the_roles_of_its_service_account_alone() -> None:
    """A service account's token has one subject, in whichever account its cluster's provider is known."""
    host = "oidc.eks.us-east-1.amazonaws.com/id/ABCD"
    world = World(START)
    session = world.oidc("Web", "system:serviceaccount:shop:web", provider=host)
    session.calls("s3:ListBuckets")

    def trusting(name: str, subject: str, account: str) -> Json:
        provider = f"arn:aws:iam::{account}:oidc-provider/{host}"
        return role(name, by_token(provider, {"StringEquals": {f"{host}:sub": subject}}), account=account)

    here = snapshot(roles=[
        trusting("Web", "system:serviceaccount:shop:web", HOME), trusting("Other", "system:serviceaccount:shop:db", HOME),
    ])  # fmt: skip
    there = snapshot(roles=[trusting("Shared", "system:serviceaccount:shop:web", AWAY)])
    plan = planned(world, session.id, snapshots=[here, there])

    cut = {one for step in plan.steps for one in step.principals}
    assert role_arn("Shared", AWAY) in cut
    assert role_arn("Other") not in cut
