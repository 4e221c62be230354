"""Laws of what principals can come to, and an independent judge of who may assume which role."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from iam_cases import HERE, THERE, doc, let, may, page, role, role_arn, root, user, user_arn

from tokentrail.policy.account.reach import Reach
from tokentrail.policy.account.snapshot import Snapshot

MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}

NAMES = ("A", "B", "C")
USERS = ("u", "v")
PRINCIPALS = st.sampled_from(
    ["*", HERE, root(THERE), "odd", "AIDAUXXXXXXXXXXXXXXXX", "AROAGONEGONEGONEGONE1", {"Service": "ec2.amazonaws.com"},
     *(role_arn(name) for name in NAMES), *(user_arn(name) for name in USERS),
     f"arn:aws:sts::{HERE}:assumed-role/A/s"]
)  # fmt: skip
CONDITIONS = st.sampled_from([None, MFA, {"ArnLike": {"aws:PrincipalArn": role_arn("*")}}])
CLAUSES = st.builds(
    lambda principal, condition, effect: let(principal, condition, Effect=effect),
    PRINCIPALS, CONDITIONS, st.sampled_from(["Allow", "Allow", "Deny"]),
)  # fmt: skip
RESOURCES = st.sampled_from(["*", role_arn("A"), role_arn("*"), role_arn("${aws:username}")])
STATEMENTS = st.builds(
    lambda action, resource, condition, effect: may(action, resource, condition, Effect=effect),
    st.sampled_from(["sts:AssumeRole", "*", "iam:*"]), RESOURCES, CONDITIONS, st.sampled_from(["Allow", "Allow", "Deny"]),
)  # fmt: skip
POLICIES = st.lists(STATEMENTS, max_size=2)


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """A small account."""
    return page(
        users=[user(name, doc(*draw(POLICIES))) for name in USERS],
        roles=[role(name, doc(*draw(st.lists(CLAUSES, max_size=3))), doc(*draw(POLICIES))) for name in NAMES],
        **({"ServiceControlPolicies": [doc(may("*"), *draw(POLICIES))]} if draw(st.booleans()) else {}),
    )


CALLERS = (
    *(role_arn(name) for name in NAMES),
    *(user_arn(name) for name in USERS),
    user_arn("x", THERE),
    root(),
)


def edges(account: dict[str, Any]) -> dict[tuple[str, str], bool]:
    """Every way, and whether it is certain."""
    found = Reach([Snapshot.read(json.dumps(account), "x")])
    return {(caller, arn): way.certain for caller in CALLERS for arn, way in found.assumable(caller)}


@given(accounts())
def test_all_ways_at_once_are_those_found_one_by_one(account: dict[str, Any]) -> None:
    """The index leaves no way out, and each says why."""
    found = Reach([Snapshot.read(json.dumps(account), "x")])
    for caller in CALLERS:
        single = {name: found.may_assume(caller, role_arn(name)) for name in NAMES}

        assert {role_arn(name): way for name, way in single.items() if way} == dict(found.assumable(caller))
        assert all(way is None or way.why for way in single.values())


@given(accounts(), st.sampled_from(["user", "role", "trust"]), STATEMENTS, CLAUSES)
def test_one_statement_more_never_moves_a_way_the_wrong_way(
    account: dict[str, Any], where: str, statement: Any, clause: Any
) -> None:
    """A deny takes ways or their certainty, an allow gives them, in trust and identity policies alike."""
    before = edges(account)
    more = clause if where == "trust" else statement
    if where == "trust":
        account["RoleDetailList"][0]["AssumeRolePolicyDocument"]["Statement"].append(more)
    elif where == "role":
        account["RoleDetailList"][0]["RolePolicyList"][0]["PolicyDocument"]["Statement"].append(more)
    else:
        account["UserDetailList"][0]["UserPolicyList"][0]["PolicyDocument"]["Statement"].append(more)
    after = edges(account)
    fewer, larger = (after, before) if more["Effect"] == "Deny" else (before, after)

    assert fewer.keys() <= larger.keys()
    assert all(larger[edge] or not sure for edge, sure in fewer.items())


@given(accounts(), st.randoms(use_true_random=False))
def test_no_order_matters(account: dict[str, Any], chance: Any) -> None:
    """Entries and statements in any other order give the same ways."""
    before = edges(account)
    for key in ("UserDetailList", "RoleDetailList"):
        chance.shuffle(account[key])
        for item in account[key]:
            chance.shuffle(item.get("AssumeRolePolicyDocument", doc())["Statement"])
            for policies in (item.get("UserPolicyList", []), item.get("RolePolicyList", [])):
                for policy in policies:
                    chance.shuffle(policy["PolicyDocument"]["Statement"])

    assert before == edges(account)


Json = Mapping[str, Any]


class Judge:
    """Judges plainly, and apart from the package, whether one request gets through: every key of it is known."""

    def __init__(self, account: Json, caller: str, keys: Json) -> None:
        self.account, self.caller, self.keys = account, caller, keys
        self.kind, self.name = caller.split(":")[5].split("/")
        title = self.kind.title()
        self.held = next(item for item in account[f"{title}DetailList"] if item["Arn"] == caller)
        self.unique_id = self.held[f"{title}Id"]
        self.own = self.held[f"{title}PolicyList"][0]["PolicyDocument"]["Statement"]
        documents = account.get("ServiceControlPolicies", [doc(may("*"))])
        self.controls = [statement for document in documents for statement in document["Statement"]]

    def lets(self, name: str) -> bool:
        """Whether the caller gets into a role."""
        target = next(item for item in self.account["RoleDetailList"] if item["RoleName"] == name)
        trust = target["AssumeRolePolicyDocument"]["Statement"]
        told = {(one["Effect"], self._names(one["Principal"])) for one in trust if self._holds(one)}
        own = {one["Effect"] for one in self.own if self._speaks(one, target["Arn"])}
        controls = {one["Effect"] for one in self.controls if self._speaks(one, target["Arn"])}
        if told & {("Deny", "direct"), ("Deny", "account")} or "Deny" in own or controls != {"Allow"}:
            return False
        return ("Allow", "direct") in told or (("Allow", "account") in told and "Allow" in own)

    def _holds(self, statement: Json) -> bool:
        conditions = statement.get("Condition", {})
        wanted = conditions.get("Bool", {}).get("aws:MultiFactorAuthPresent")
        pattern = conditions.get("ArnLike", {}).get("aws:PrincipalArn", "*")
        return wanted in (None, self.keys["mfa"]) and _like(pattern, self.caller)

    def _speaks(self, statement: Json, target: str) -> bool:
        user_name = self.name if self.kind == "user" else "no such key"
        resource = statement["Resource"].replace("${aws:username}", user_name)
        return (
            statement["Action"] in ("*", "sts:AssumeRole")
            and _like(resource, target)
            and self._holds(statement)
        )

    def _names(self, principal: Any) -> str | None:
        who = principal.get("AWS") if isinstance(principal, dict) else principal
        session = f"arn:aws:sts::{HERE}:assumed-role/{self.name}/{self.keys['session']}"
        if who in ("*", self.caller, self.unique_id) or (self.kind == "role" and who == session):
            return "direct"
        return "account" if who in (HERE, root()) else None


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.replace("*", ".*"), text) is not None


@given(accounts())
def test_no_request_gets_through_where_none_was_possible_and_all_do_where_it_was_certain(
    account: dict[str, Any],
) -> None:
    """Whatever the attacker puts into the request, a judge written apart finds no way that was ruled out."""
    found = Reach([Snapshot.read(json.dumps(account), "x")])
    for caller, name in itertools.product((arn for arn in CALLERS if HERE in arn and arn != root()), NAMES):
        way = found.may_assume(caller, role_arn(name))
        requests = [
            {"session": session, "mfa": mfa} for session in ("s", "t") for mfa in ("no key", "true", "false")
        ]
        results = {Judge(account, caller, keys).lets(name) for keys in requests}

        assert way is not None or results == {False}
        assert way is None or not way.certain or results == {True}
