"""How long sign-in sessions may last, and so when a step that ended some may be taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from carry_cases import AS_OF, CUTOFF, HOME, REVOKE, Stand, call, denial, plan_of, step
from contain_cases import ROLE, planned

from evidence import START
from tokentrail.containment.execution.cloud import Answer, CallFailed
from tokentrail.containment.execution.history import history
from tokentrail.containment.execution.outcome import Restored
from tokentrail.containment.execution.sign_in_limit import USUAL, is_unchanged, read_limit
from tokentrail.containment.execution.undo import Undo
from tokentrail.containment.model import Call, Plan
from tokentrail.testing import World

ROLE_ARN, USER_ARN = f"arn:aws:iam::{HOME}:role/MyBucketRole", f"arn:aws:iam::{HOME}:user/support"
DENIED = CallFailed("denied", "AccessDenied", "not authorized")
Events = Callable[[Call], list[dict[str, str]]]


def event(name: str, **record: Any) -> dict[str, str]:
    return {"CloudTrailEvent": json.dumps({"eventName": name, **record})}


LOWERED = event(
    "UpdateRole", requestParameters={"roleName": "mybucketrole", "resetMaxSigninSessionDuration": True}
)
ANOTHER = event("UpdateRole", requestParameters={"roleName": "Other", "maxSigninSessionDuration": 7_776_000})
OTHERWISE = event("UpdateRole", requestParameters={"roleName": "MyBucketRole", "maxSessionDuration": 43_200})
FAILED = event("UpdateRole", requestParameters={"roleName": "MyBucketRole", "maxSigninSessionDuration": 3_600}, errorCode="AccessDenied")  # fmt: skip


def nothing(asked: Call) -> list[dict[str, str]]:
    return []


def refused(asked: Call) -> list[dict[str, str]]:
    raise DENIED


class Account:
    """An account that answers GetRole or GetLoginProfile, and LookupEvents."""

    partition = "aws"

    def __init__(self, told: Mapping[str, Any] | CallFailed, events: Events = nothing) -> None:
        self._told, self._events = told, events
        self.asked: list[Call] = []

    def send(self, asked: Call) -> Answer:
        self.asked.append(asked)
        if isinstance(self._told, CallFailed):
            raise self._told
        return Answer(request_id=None, body=self._told)

    def listed(self, asked: Call, member: str) -> list[dict[str, str]]:
        self.asked.append(asked)
        return self._events(asked) if member == "Events" else []

    def caller(self, account: str) -> Account:
        return self


@pytest.mark.parametrize(
    ("arn", "told", "expected"),
    [
        (ROLE_ARN, {"Role": {"MaxSessionDuration": 3600}}, USUAL),
        (ROLE_ARN, {"Role": {"MaxSigninSessionDuration": 7_776_000}}, timedelta(days=90)),
        (ROLE_ARN, {"Role": {"MaxSigninSessionDuration": 3_600}}, USUAL),
        (ROLE_ARN, {"Role": {"MaxSigninSessionDuration": "long"}}, None),
        (ROLE_ARN, {"Role": None}, None),
        (ROLE_ARN, DENIED, None),
        (USER_ARN, {"LoginProfile": {}}, USUAL),
        (USER_ARN, {"LoginProfile": {"MaxSigninSessionDuration": 86_400}}, timedelta(days=1)),
        (f"arn:aws:iam::{HOME}:root", DENIED, USUAL),
        ("arn:aws:sts::123456789012:federated-user/x", {}, None),
    ],
)
def test_the_setting_is_read_of_its_role_or_user(arn: str, told: Any, expected: timedelta | None) -> None:
    """Twelve hours where nothing is set, and never less; what can't be read is not known."""
    account: Any = Account(told)

    assert read_limit(arn, account) == expected


@pytest.mark.parametrize(
    ("arn", "events", "expected"),
    [
        (ROLE_ARN, [], True),
        (ROLE_ARN, [ANOTHER, OTHERWISE, FAILED], True),
        (ROLE_ARN, [LOWERED], False),
        (ROLE_ARN, [{"CloudTrailEvent": "{"}], False),
        (ROLE_ARN, [{}], False),
        (USER_ARN, [event("UpdateLoginProfile", requestParameters={"userName": "support"})], True),
        (USER_ARN, [event("UpdateLoginProfile", requestParameters={"userName": "support", "maxSigninSessionDuration": 1})], False),
        (USER_ARN, [event("CreateLoginProfile", requestParameters={"userName": "support"})], False),
        (USER_ARN, [event("UpdateUser", requestParameters={"userName": "old", "newUserName": "support"})], False),
        (USER_ARN, [event("UpdateUser", requestParameters={"userName": "support", "newPath": "/x/"})], True),
    ],
)  # fmt: skip
def test_a_change_of_the_setting_is_looked_up(arn: str, events: list[Any], expected: bool) -> None:
    """An event that can't be read may be one; of other principals, of other settings and of failures none counts."""
    account: Any = Account({}, lambda asked: events)

    assert is_unchanged(arn, account, AS_OF, AS_OF + timedelta(days=1)) == expected
    assert {one.parameters["StartTime"] for one in account.asked} == {AS_OF - timedelta(days=89)}
    assert {one.region for one in account.asked} == {"us-east-1"}


def signed_in(stand: Stand) -> Plan:
    """A plan that cuts off a role as which somebody had signed in."""
    stand.story()
    return plan_of(
        step(
            1, "revoke-role-sessions",
            call("PutRolePolicy", RoleName="MyBucketRole", PolicyName=REVOKE, PolicyDocument=denial()), cutoff=CUTOFF,
            principals=(ROLE_ARN,), signed_in=(ROLE_ARN,), safe_but_for_sign_ins=AS_OF + timedelta(hours=12),
            safe_to_undo_after=CUTOFF + timedelta(days=90),
        )
    )  # fmt: skip


def taken_back(stand: Stand, plan: Plan, events: Events) -> Restored:
    with stand.journal(plan) as journal, stand.cloud() as cloud:
        listed = cloud.listed
        cloud.listed = lambda asked, member: events(asked) if member == "Events" else listed(asked, member)  # type: ignore[method-assign]  # fmt: skip
        undo = Undo(plan, cloud, journal, clock=stand.clock)
        (found,) = undo.go(undo.look()).things
    return found


@pytest.mark.parametrize(
    ("hours", "events", "said"),
    [
        (13, nothing, None),
        (13, lambda asked: [LOWERED], "that was changed within ninety days"),
        (13, refused, r"can't be looked up \(cloudtrail:LookupEvents\): AccessDenied"),
        (11, nothing, "could revive"),
        (0.1, nothing, "does not show yet whether that was changed"),
        (24 * 91, refused, None),
    ],
)
def test_what_the_account_tells_shortens_the_wait(
    stand: Stand, hours: float, events: Events, said: str | None
) -> None:
    """Where nobody is allowed more than twelve hours, nor was within ninety days, no sign-in session is left after them."""
    plan = signed_in(stand)
    assert stand.apply(plan).complete
    stand.clock.now += timedelta(hours=hours)

    found = taken_back(stand, plan, events)

    assert found.outcome == ("refused" if said else "restored"), found.why
    assert re.search(said or "", found.why)


def test_a_setting_that_allows_more_is_waited_for(stand: Stand) -> None:
    """The journal holds what was read when the plan was carried out."""
    plan = signed_in(stand)
    with stand.cloud() as cloud:
        send = cloud.send
        longer = Answer(request_id=None, body={"Role": {"MaxSigninSessionDuration": 3 * 86_400}})
        cloud.send = lambda asked: longer if asked.operation == "GetRole" else send(asked)  # type: ignore[method-assign]
        assert stand.apply(plan, cloud=cloud).complete
    sent = stand.clock.now
    (limit,) = history(stand.lines()).sign_in_limits.values()
    assert limit.lasts == timedelta(days=3)

    stand.clock.now = sent + timedelta(days=2)
    early = taken_back(stand, plan, nothing)
    assert early.outcome == "refused" and (early.safe_after or sent) - sent >= timedelta(days=3)
    stand.clock.now = sent + timedelta(days=3, minutes=5)
    assert taken_back(stand, plan, nothing).outcome == "restored"


def test_a_setting_that_could_not_be_read_is_taken_to_be_the_longest(stand: Stand) -> None:
    """The refusal names the permission that `apply` lacked."""
    plan = signed_in(stand)
    stand.wire.before = lambda action: (403, "AccessDenied") if action == "GetRole" else None
    assert stand.apply(plan).complete
    stand.wire.before = lambda action: None
    stand.clock.now += timedelta(days=2)

    found = taken_back(stand, plan, nothing)

    assert found.outcome == "refused" and "iam:GetRole" in found.why and "ninety days" in found.why


def test_a_plan_tells_whose_sign_in_sessions_a_step_ends() -> None:
    """And when the step may be lifted with them, and without them."""
    world = World(START)
    session = world.saml("Admin", "eve@example.com")
    session.calls("s3:ListBuckets")
    plan = planned(world, session.id)
    (cut,) = [one for one in plan.steps if one.signed_in]

    assert cut.action == "revoke-role-sessions" and cut.signed_in == (f"{ROLE}Admin",)
    assert cut.safe_to_undo_after and cut.safe_but_for_sign_ins
    assert cut.safe_to_undo_after - plan.as_of > timedelta(days=90)
    assert cut.safe_but_for_sign_ins - plan.as_of < timedelta(days=1)
