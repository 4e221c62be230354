"""Short ways to write changes, documents and callers, for the tests of the policy room."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tokentrail.policy.history.changes import Change
from tokentrail.policy.language.context import Caller

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/MyBucketRole"
_IDS = itertools.count()


def at(minute: float) -> datetime:
    """The moment so many minutes after ten."""
    return datetime(2026, 11, 24, 10, tzinfo=UTC) + timedelta(minutes=minute)


def change(
    minute: float,
    event_name: str,
    request: Mapping[str, object] | None = None,
    *,
    response: Mapping[str, object] | None = None,
    account: str = ACCOUNT,
    event_source: str = "iam.amazonaws.com",
    event_id: str | None = None,
    caller_user: str | None = None,
) -> Change:
    """One change, with an event id of its own."""
    return Change(
        time=at(minute),
        event_id=event_id or f"event-{next(_IDS):06}",
        account=account,
        event_source=event_source,
        event_name=event_name,
        request=request or {},
        response=response,
        caller_user=caller_user,
    )


def deny(condition: Mapping[str, object] | None = None, **elements: object) -> str:
    """A document that denies everything, on a condition, unless told other elements."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", **elements}
    if condition is not None:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def older_than(minute: float) -> str:
    """The document that revokes sessions issued before a moment."""
    return deny({"DateLessThan": {"aws:TokenIssueTime": at(minute).strftime("%Y-%m-%dT%H:%M:%S.000Z")}})


def allow() -> str:
    """A document that allows everything."""
    return json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    )


def put_role(minute: float, document: str, *, policy: str = "P", role: str = "MyBucketRole") -> Change:
    """A PutRolePolicy."""
    return change(
        minute, "PutRolePolicy", {"roleName": role, "policyName": policy, "policyDocument": document}
    )


def put_user(minute: float, document: str, *, policy: str = "P", user: str = "support") -> Change:
    """A PutUserPolicy."""
    return change(
        minute, "PutUserPolicy", {"userName": user, "policyName": policy, "policyDocument": document}
    )


def session(
    issued: float | None = 0, *, name: str = "s", role: str = ROLE, unique: str = "AROAEXAMPLE"
) -> Caller:
    """A session of a role."""
    return Caller(
        kind="assumed_role",
        account=ACCOUNT,
        principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/{name}",
        principal_id=f"{unique}:{name}",
        role=role,
        session_name=name,
        issued_at=None if issued is None else at(issued),
        mfa=False,
    )


def key(*, user: str = "support", issued: float | None = None) -> Caller:
    """A long-term key of a user."""
    return Caller(
        kind="long_term_key",
        account=ACCOUNT,
        principal=f"arn:aws:iam::{ACCOUNT}:user/{user}",
        principal_id=f"AIDA{user.upper()}",
        user_name=user,
        issued_at=None if issued is None else at(issued),
    )


def token(issued: float = 0, *, user: str = "support") -> Caller:
    """A session token of a user."""
    return Caller(
        kind="session_token",
        account=ACCOUNT,
        principal=f"arn:aws:iam::{ACCOUNT}:user/{user}",
        principal_id=f"AIDA{user.upper()}",
        user_name=user,
        issued_at=at(issued),
        mfa=False,
    )


def federated(issued: float = 0, *, user: str = "support") -> Caller:
    """A federation token that a user asked for."""
    return Caller(
        kind="federation_token",
        account=ACCOUNT,
        principal=f"arn:aws:sts::{ACCOUNT}:federated-user/visitor",
        principal_id=f"{ACCOUNT}:visitor",
        user_name=user,
        issued_at=at(issued),
    )


def root_session(issued: float = 0) -> Caller:
    """A session that AssumeRoot opened."""
    return Caller(
        kind="root_session",
        account=ACCOUNT,
        principal=f"arn:aws:iam::{ACCOUNT}:root",
        principal_id=ACCOUNT,
        issued_at=at(issued),
    )
