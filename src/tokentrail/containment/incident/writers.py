"""
Which of the attacker's credentials and principals may change IAM, and what snapshots allow beyond the prover's game.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tokentrail.aws.principals import Principal, arn_of
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.formatting import listed, short
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.history.changes import Change
from tokentrail.policy.writes import LAUNCHES

_SWITCHES = frozenset({"UpdateAccessKey", "UpdateServiceSpecificCredential"})
"""Calls that make keys inactive, or active again."""


def writers(
    actions: Iterable[AttackerAction],
    held: Sequence[HeldCredential],
    alive: set[str],
    reached: Iterable[Principal],
    reach: Reach | None,
) -> dict[str, str]:
    """The living tainted credentials, and the principals within reach, that may change IAM: how each is known to."""
    live = {one.id: one for one in held if one.id in alive}
    found: dict[str, str] = {}
    for action in actions:
        if action.writes_iam:
            found.setdefault(action.by, f"was seen to call {action.name}")
    for one in live.values():
        can = _may_write(reach, one.principal)
        if can and one.id not in found:
            found[one.id] = can
    acting = {one.principal for one in live.values()}
    for principal in sorted(set(reached) - acting):
        can = _may_write(reach, principal)
        if can:
            found[short(arn_of(principal))] = can
    return found


def writing(
    actions: Iterable[AttackerAction],
    held: Iterable[HeldCredential],
    reached: Iterable[Principal],
    reach: Reach | None,
) -> Iterator[Principal]:
    """The principals of all who may change IAM."""
    principals = {one.id: one.principal for one in held}
    yield from (principals[action.by] for action in actions if action.writes_iam)
    yield from (one for one in (*principals.values(), *reached) if _may_write(reach, one))


def _may_write(reach: Reach | None, principal: Principal) -> str | None:
    if reach is None or principal.kind not in ("user", "role"):
        return None
    can = reach.may_write_iam(arn_of(principal))
    if can == (LAUNCHES,):
        return "may start a machine or function with a role of its choice (iam:PassRole)"
    return f"may call {listed(can, 1)}" if can else None


def beyond(reach: Reach | None, reached: Iterable[Principal]) -> Iterator[Assumption]:
    """
    What principals may do that the prover does not consider, and that they are assumed not to do.

    They may change the organisation, take over a workload, or assume a role in an account without snapshot.
    """
    for principal in sorted(reached) if reach is not None else ():
        arn = arn_of(principal)
        if reach is None or principal.kind not in ("user", "role") or not reach.is_known(arn):
            continue
        for can, kind in (
            (reach.may_write_organizations(arn), "no_organization_change"),
            (reach.may_take_over(arn), "no_takeover"),
            (reach.may_go_elsewhere(arn), "no_other_account"),
        ):
            if can:
                yield Assumption.of(kind, arn, actions=tuple(can))


def reactivated(
    changes: Iterable[Change], held: Iterable[HeldCredential], actions: Iterable[AttackerAction]
) -> Iterator[Assumption]:
    """The proof's assumptions about keys of the attacker's that somebody else, or so it seems, made active again."""
    keys, own = {one.key_id: one.id for one in held if one.key_id}, {action.event_id for action in actions}
    for change in sorted(changes, key=lambda one: one.order):
        named = change.asked("accessKeyId") or change.asked("serviceSpecificCredentialId")
        key = keys.get(named or "")
        active = change.event_name in _SWITCHES and change.asked("status") == "Active"
        if key and active and change.event_id not in own:
            yield Assumption.of("reactivated", key, change.event_id, time=change.time)
