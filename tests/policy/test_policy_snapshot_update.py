"""A snapshot that is widened by the changes in the log that it does not show."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.iam_cases import (
    HERE,
    THERE,
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
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.account.snapshot_update import updated
from tokentrail.policy.history.changes import Change

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWN, BOUND = f"arn:aws:iam::{HERE}:policy/Own", f"arn:aws:iam::{HERE}:policy/Bound"
SNAPSHOT = snapshot(
    users=[
        user("ada", doc(may("sts:*", role_arn("R1")), never("sts:*", role_arn("R2"))), groups=["Staff"]),
        user("eve", attached=[OWN], boundary=BOUND),
    ],
    roles=[
        role("R1", doc(let(root()))), role("R2", doc(let(user_arn("ada"))), attached=[OWN]),
        role("R3", doc(let(role_arn("R2")), never("sts:AssumeRole") | {"Principal": {"AWS": user_arn("eve")}})),
    ],
    groups=[group("Staff", doc(may("sts:AssumeRole", role_arn("R3"))))],
    policies=[managed(OWN, doc(may("sts:AssumeRole"))), managed(BOUND, doc(may("sts:*", role_arn("R1"))))],
    ServiceControlPolicies=[doc(may("*"), never("sts:AssumeRole", role_arn("R1")))],
)  # fmt: skip
WHO = [user_arn("ada"), user_arn("eve"), *map(role_arn, ("R1", "R2", "R3"))]
DOCUMENTS = [
    doc(may("*")),
    doc(never("*")),
    doc(let(root())),
    doc(let("*")),
    doc(let(role_arn("R1"))),
    doc(),
    "{",
    7,
    None,
    ["x"],
]
NAMES = [
    "CreateRole", "AcquireRole", "UpdateAssumeRolePolicy", "DeleteRole", "AddUserToGroup", "RemoveUserFromGroup",
    "CreatePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion",
    *(f"{verb}{title}{what}" for title in ("User", "Role", "Group")
      for verb, what in (("Put", "Policy"), ("Delete", "Policy"), ("Attach", "Policy"), ("Detach", "Policy"))),
    *(f"{verb}{title}PermissionsBoundary" for title in ("User", "Role") for verb in ("Put", "Delete")),
]  # fmt: skip
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "userName": st.sampled_from(["ada", "EVE", "new", 7, None]), "roleName": st.sampled_from(["R1", "r3", "New", []]),
        "groupName": st.sampled_from(["Staff", "staff", "Other"]), "policyName": st.sampled_from(["P0", "P1", {}]),
        "policyArn": st.sampled_from([OWN, BOUND, "arn:aws:iam::aws:policy/AdministratorAccess", "x", 1]),
        "permissionsBoundary": st.sampled_from([OWN, BOUND]), "setAsDefault": st.sampled_from([True, "true", None]),
        "policyDocument": st.sampled_from([one if not isinstance(one, dict) else json.dumps(one) for one in DOCUMENTS]),
        "assumeRolePolicyDocument": st.sampled_from(DOCUMENTS),
    },
)  # fmt: skip
CHANGES = st.lists(
    st.builds(
        lambda name, request, minutes, number, source, account: Change(
            time=NOW - timedelta(minutes=minutes), event_id=f"e{number}", account=account,
            event_source=f"{source}.amazonaws.com", event_name=name, request=request,
        ),
        st.sampled_from([*NAMES, "DetachPolicy", "LeaveOrganization"]), REQUESTS, st.integers(0, 2000), st.integers(0, 99),
        st.sampled_from(["iam", "iam", "iam", "organizations"]), st.sampled_from([HERE, HERE, THERE]),
    ),
    max_size=6,
)  # fmt: skip


def edges(found: Reach) -> set[tuple[str, str]]:
    return {(who, into) for who in WHO for into, _ in found.edges(who)}


@settings(max_examples=200, deadline=None)
@given(CHANGES)
def test_changes_close_nothing(changes: list[Change]) -> None:
    """Whatever the log holds, who could assume a role by the snapshot still can, since it may be newer than the log."""
    assert edges(Reach([SNAPSHOT])) <= edges(Reach([updated(SNAPSHOT, changes, NOW - timedelta(hours=12))]))


def test_what_another_account_changed_is_no_change_here() -> None:
    """Users and roles of one name in another account are others."""
    request: dict[str, Any] = {
        "userName": "eve",
        "policyName": "P9",
        "policyDocument": json.dumps(doc(may("*"))),
    }
    change = Change(
        time=NOW,
        event_id="e",
        account=THERE,
        event_source="iam.amazonaws.com",
        event_name="PutUserPolicy",
        request=request,
    )
    assert updated(SNAPSHOT, [change], NOW) is SNAPSHOT
