"""
Sessions that a host of a plan was handed after the plan was made, and that the plan's steps end as they are.

A host is handed a new session before the old one expires, several times a day (Amazon EC2 User Guide, 'Retrieve
security credentials from instance metadata'). One of the same role and name that minted and made nothing does not
change what the plan must do, since the cutoff, which is sent later, is after its issue, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tokentrail.aws.principals import Principal, principal_of_arn
from tokentrail.containment.cutoff import instant
from tokentrail.containment.history import StepRecord
from tokentrail.containment.model import Call, Plan, Step
from tokentrail.lineage.model import Trace, TracedCredential

_ISSUED = "aws:TokenIssueTime"


def renewed(plan: Plan, trace: Trace, done: Mapping[int, StepRecord]) -> frozenset[str]:
    """
    The ids of such sessions.

    Args:
        plan: The plan.
        trace: What counts as the attacker's now.
        done: The steps that are done, whose cutoffs are fixed.
    """
    known = {one.principal for one in trace.credentials if one.id in plan.tainted and hosted(one)}
    parents = {one.parent for one in trace.credentials}
    return frozenset(
        one.id
        for one in trace.credentials
        if one.tainted
        and one.id not in plan.tainted
        and hosted(one)
        and one.principal in known
        and one.id not in parents
        and one.issued_at is not None
        and one.issued_at > plan.as_of
        and any(
            _ends(step, principal_of_arn(one.principal), one.issued_at, done.get(step.n))
            for step in plan.steps
        )
    )


def hosted(one: TracedCredential) -> bool:
    """Whether a service issued it to a workload that runs with a role."""
    given = one.origin == "service" or one.parent_link == "created"
    return one.kind == "service_role" and given and one.principal is not None


def _ends(step: Step, role: Principal | None, issued: datetime, record: StepRecord | None) -> bool:
    """Whether a step denies everything to a role's sessions that were issued at that time, before its cutoff."""
    if record is not None and (record.outcome != "done" or (record.cutoff and record.cutoff <= issued)):
        return False
    own = (one for one in step.calls if one.operation == "PutRolePolicy" and _role(one) == role)
    try:
        return any(_whole(statement, step.cutoff, issued) for call in own for statement in _statements(call))
    except (AttributeError, KeyError, TypeError, ValueError):  # a plan file may be anybody's
        return False


def _role(call: Call) -> Principal:
    return Principal(call.account, "role", str(call.parameters.get("RoleName")))


def _statements(call: Call) -> Iterator[Mapping[str, Any]]:
    yield from json.loads(call.parameters["PolicyDocument"])["Statement"]


def _whole(statement: Mapping[str, Any], cutoff: datetime | None, issued: datetime) -> bool:
    """Whether a statement denies everything, with no condition but that on the time of issue, which must cover this."""
    if (statement.get("Effect"), statement.get("Action"), statement.get("Resource")) != ("Deny", "*", "*"):
        return False
    told = dict(statement.get("Condition") or {})
    until, since = told.pop("DateLessThan", None), told.pop("DateGreaterThanEquals", None)
    if told or any(set(one) != {_ISSUED} for one in (until, since) if one is not None):
        return False
    begins = instant(since[_ISSUED]) if since else None
    return (until is None or (cutoff is not None and instant(until[_ISSUED]) == cutoff)) and (
        since is None or (begins is not None and begins <= issued)
    )
