"""
Which of the attacker's credentials and principals may change IAM, and what snapshots allow beyond the prover's game.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from tokentrail.aws.principals import Principal, arn_of
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.containment.incident.persistence import AttackerAction
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.history.changes import Change
from tokentrail.policy.writes import LAUNCHES
from tokentrail.spelling import instant, listed, short


def writers(
    deeds: Iterable[AttackerAction],
    held: Sequence[HeldCredential],
    alive: set[str],
    reached: Iterable[Principal],
    reach: Reach | None,
) -> dict[str, str]:
    """The living tainted credentials, and the principals within reach, that may change IAM: how each is known to."""
    live = {one.id: one for one in held if one.id in alive}
    found: dict[str, str] = {}
    for deed in deeds:
        if deed.writes_iam:
            found.setdefault(deed.by, f"was seen to call {deed.name}")
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
    deeds: Iterable[AttackerAction],
    held: Iterable[HeldCredential],
    reached: Iterable[Principal],
    reach: Reach | None,
) -> Iterator[Principal]:
    """The principals of all who may change IAM."""
    principals = {one.id: one.principal for one in held}
    yield from (principals[deed.by] for deed in deeds if deed.writes_iam)
    yield from (one for one in (*principals.values(), *reached) if _may_write(reach, one))


def _may_write(reach: Reach | None, principal: Principal) -> str | None:
    if reach is None or principal.kind not in ("user", "role"):
        return None
    can = reach.may_write_iam(arn_of(principal))
    if can == (LAUNCHES,):
        return "may start a machine or function with a role of its choice (iam:PassRole)"
    return f"may call {listed(can, 1)}" if can else None


def beyond(reach: Reach | None, reached: Iterable[Principal]) -> Iterator[str]:
    """
    Sentences about what principals may do that the prover does not consider.

    They may change the organisation, take over a workload, or assume a role in an account without snapshot.
    """
    for principal in sorted(reached) if reach is not None else ():
        arn = arn_of(principal)
        if reach is None or principal.kind not in ("user", "role") or not reach.is_known(arn):
            continue
        for can, what in (
            (reach.may_write_organizations(arn), "changes the organisation or leaves it"),
            (reach.may_take_over(arn), "takes over a workload that runs with another role"),
            (
                reach.may_go_elsewhere(arn),
                "takes up, unseen, a role in an account other than those of the snapshots",
            ),
        ):
            if can:
                yield f"{short(arn)} never {what}, though it may ({listed(can, 1)})"


def reactivated(
    changes: Iterable[Change], held: Iterable[HeldCredential], deeds: Iterable[AttackerAction]
) -> Iterator[str]:
    """The proof's assumptions about keys of the attacker's that somebody else, or so it seems, made active again."""
    keys, own = {one.key_id: one.id for one in held if one.key_id}, {deed.event_id for deed in deeds}
    for change in sorted(changes, key=lambda one: one.order):
        key = keys.get(change.asked("accessKeyId") or "")
        active = change.event_name == "UpdateAccessKey" and change.asked("status") == "Active"
        if key and active and change.event_id not in own:
            yield (
                f"whoever made {key} active again at {instant(change.time)} is not the attacker, by another credential "
                f"(`tokentrail contain {shlex.quote(change.event_id)}` ends that one)"
            )
