"""Plans written by hand, as the JSON that `contain` prints."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from tokentrail.testing.names import Role, User, iso

Json = dict[str, Any]


def plan(as_of: datetime, *steps: Json, margin: int = 60, lag: int = 900) -> Json:
    """A plan of some steps, numbered."""
    numbered = [{**step, "n": n} for n, step in enumerate(steps, 1)]
    return {"version": 1, "as_of": iso(as_of), "margin": margin, "lag": lag, "steps": numbered}


def step(action: str, *calls: Json, **fields: Any) -> Json:
    """A step of some calls."""
    common: Json = {
        "principal": None,
        "principals": [],
        "targets": [],
        "cutoff": None,
        "ends": [],
        "collateral": [],
    }
    return {"action": action, "calls": list(calls), **common, **fields}


def call(account: str, operation: str, *, service: str = "iam", **parameters: Any) -> Json:
    """One API call."""
    return {"account": account, "service": service, "operation": operation, "parameters": parameters}


def policy(*statements: Json) -> str:
    """A policy document; what a statement does not say is a deny of everything."""
    whole = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**whole, **one} for one in statements]})


def before(cutoff: datetime) -> Json:
    """The statement that revokes sessions: a deny to tokens issued before a cutoff."""
    return {"Condition": {"DateLessThan": {"aws:TokenIssueTime": iso(cutoff)}}}


def deactivate(user: User, key: str) -> Json:
    """Deactivate a key."""
    wanted = call(user.account, "UpdateAccessKey", UserName=user.name, AccessKeyId=key, Status="Inactive")
    return step("deactivate-key", wanted, targets=[key])


def delete_key(user: User, key: str) -> Json:
    """Delete a key."""
    wanted = call(user.account, "DeleteAccessKey", UserName=user.name, AccessKeyId=key)
    return step("delete-key", wanted, targets=[key])


def revoke_user(user: User, as_of: datetime, **fields: Any) -> Json:
    """Revoke a user's sessions."""
    cutoff = as_of + timedelta(seconds=60)
    return step(
        "revoke-user-sessions",
        put_user(user, before(cutoff)),
        cutoff=iso(cutoff),
        principal=user.arn,
        **fields,
    )


def revoke_roles(*roles: Role, as_of: datetime, **fields: Any) -> Json:
    """Revoke the sessions of some roles in one step."""
    cutoff = as_of + timedelta(seconds=60)
    calls = [put_role(role, before(cutoff)) for role in roles]
    arns = [role.arn for role in roles]
    return step("revoke-role-sessions", *calls, cutoff=iso(cutoff), principals=arns, targets=arns, **fields)


def put_user(user: User, *statements: Json, name: str = "TokenTrail-contain") -> Json:
    """Write an inline policy of a user."""
    return call(
        user.account, "PutUserPolicy", UserName=user.name, PolicyName=name, PolicyDocument=policy(*statements)
    )


def put_role(role: Role, *statements: Json, name: str = "TokenTrail-contain") -> Json:
    """Write an inline policy of a role."""
    return call(
        role.account, "PutRolePolicy", RoleName=role.name, PolicyName=name, PolicyDocument=policy(*statements)
    )


def deny_user(user: User, **fields: Any) -> Json:
    """Deny a user everything."""
    return step("deny-user", put_user(user, {}, name="TokenTrail-deny"), principal=user.arn, **fields)


def listed(*credentials: str) -> list[Json]:
    """Collateral."""
    return [{"credential": one, "principal": None} for one in credentials]
