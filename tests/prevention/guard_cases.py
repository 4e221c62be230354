"""Short ways to ask for guardrails and findings, for the tests of prevention."""

from __future__ import annotations

import atexit
import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from evidence import START, held
from tokentrail import Case
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.guard import Given, audit
from tokentrail.prevention.model import AuditFinding, Guard, Guardrail
from tokentrail.testing import LongTermKey, World

Json = dict[str, Any]
OFFICE, HOME_OFFICE, THIEF = "192.0.2.21", "192.0.2.90", "203.0.113.77"


def guarded(world: World, *subjects: str, policies: Sequence[tuple[str, Any]] = (), **options: Any) -> Guard:
    """The answer for a world; what is given beside it as `Given`'s fields, `since` and addresses as themselves."""
    names = {
        name: options.pop(name) for name in ("since", "source_ips", "trusted_ips", "as_of") if name in options
    }
    written = tuple((name, json.dumps(value).encode()) for name, value in policies)
    return _case_of(world).guard(subjects, given=Given(policies=written, **options), **names)


class _Last:
    """The case of the world that was asked about last, kept open while it is asked about again."""

    world: World | None = None
    records = 0
    case: Case
    stack = ExitStack()


def _case_of(world: World) -> Case:
    count = len(world.records())
    if _Last.world is not world or _Last.records != count:
        _Last.stack.close()
        _Last.world, _Last.records = world, count
        _Last.case = _Last.stack.enter_context(held(world))
    return _Last.case


atexit.register(_Last.stack.close)


def one(guard: Guard, rule: str) -> Guardrail:
    """The only guardrail of a rule."""
    [found] = [item for item in guard.guardrails if rule in (item.rule, item.id)]
    return found


def fares(world: World, *subjects: str, policy: Any, **options: Any) -> Guardrail:
    """How a policy of one's own fares."""
    return one(guarded(world, *subjects, policies=[("own.json", policy)], only=("own",), **options), "own")


def audited(world: World | None, rule: str, *snapshots: Snapshot, **options: Any) -> list[AuditFinding]:
    """The findings of one check; without a world, of a case in which nothing happens."""
    if world is not None:
        found = guarded(world, snapshots=snapshots, only=("no-new-keys",), **options).findings
    else:
        found = audit(NOTHING, (), Given(snapshots=snapshots, **options), START)
    return [item for item in found if item.rule == rule]


NOTHING = Evidence(ways=(), mints=(), used={}, first=0, last=0)


def stolen() -> tuple[World, LongTermKey, LongTermKey]:
    """Support's key, used by her from the office and by a thief from elsewhere, and a colleague who works in the same role."""
    world = World(START)
    key = world.user("support", ip=OFFICE)
    ria = world.user("ria", ip=OFFICE)
    key.calls("s3:ListBuckets", count=3, every=5)
    ria.assumes("Reader", "ria").calls("s3:GetObject", _object(), count=2)
    world.wait(60)
    return world, key, ria


def robbed() -> tuple[World, LongTermKey]:
    """The same, and what the thief does: looks, mints a token and a session of Reader, and copies."""
    world, key, _ = stolen()
    thief = key.seen_from(THIEF)
    thief.calls("sts:GetCallerIdentity")
    thief.denied("iam:ListRoles", "arn:aws:iam::111122223333:role/")
    thief.calls("s3:ListBuckets")
    world.wait(10)
    token = thief.gets_session_token(duration=129600)
    world.wait(10)
    session = thief.assumes("Reader", "x")
    session.calls("s3:GetObject", _object(), count=5, every=2)
    world.wait(60)
    again = token.seen_from(THIEF).assumes("Reader", "y")
    again.calls("s3:GetObject", _object(), count=4, every=2)
    return world, key


def _object() -> Json:
    return {"bucketName": "customer-records-111122223333", "key": "2026/1.json"}


def scp(*statements: Json) -> Json:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def deny(action: Any = "*", condition: Json | None = None, **more: Any) -> Json:
    """A denial."""
    found = {"Effect": "Deny", "Action": action, "Resource": "*", **more}
    return found | ({"Condition": condition} if condition else {})
