"""
Protections that the attacker removed: second factors, boundaries, policies, the log. No step restores them.

Which call removes what is said in `aws.calls`. What the attacker itself had added, and what somebody restored since, is
left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from tokentrail.aws.calls.catalogue import Removal, every_reviewed, reviewed
from tokentrail.aws.calls.names import operation_of, service_of
from tokentrail.aws.principals import Principal, told_caseless
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.reversal_index import ReversalIndex, is_about_protection
from tokentrail.lineage.rows import object_of

_RESTORED = {
    (one.service, restoring): one.removes
    for one in every_reviewed() if one.removes for restoring in one.removes.restored_by
}  # fmt: skip
"""By call: the removal that it reverses."""
_Thing = tuple[str | None, ...]
"""A protection: a call that adds it, the account, the region, and the values of the parameters that name it."""
_NAMES = ("name", "trailName", "eventDataStore", "detectorId")


def removed_protections(
    actions: Sequence[AttackerAction],
    reversals: ReversalIndex,
    going: Collection[Principal],
) -> Iterator[Assumption]:
    """
    What actions removed, by who did it and by kind.

    Args:
        actions: The changes that tainted credentials made.
        reversals: What was restored since, and which users and roles were deleted: they need no protection.
        going: The users and roles that the attacker made, and that a plan deletes or denies.
    """
    told: dict[tuple[str, str], list[str]] = {}
    first, added = _removed_and_added(actions)
    for action in actions:
        known = reviewed(service_of(action.source), action.name)
        if known and known.removes and is_about_protection(known.operation, object_of(action.request)):
            thing, back = _thing(action, known.removes), reversals.restored(action, known.removes)
            own = thing in added and added[thing] <= first[thing]
            if (
                not own
                and (back is None or back <= action.time)
                and not reversals.is_of_deleted(action, going)
            ):
                named = map(action.asked, known.removes.members)
                told.setdefault((action.by, known.removes.what), []).append(action.said(named))
        elif known and known.verdict == "changes_log":
            told.setdefault((action.by, ""), []).append(action.said(map(action.asked, _NAMES)))
    for (by, what), calls in told.items():
        yield Assumption.of("protection" if what else "log", by, what=what, calls=tuple(calls))


def _removed_and_added(
    actions: Iterable[AttackerAction],
) -> tuple[dict[_Thing, datetime], dict[_Thing, datetime]]:
    """When the attacker first removed each protection, and first added it."""
    first: dict[_Thing, datetime] = {}
    added: dict[_Thing, datetime] = {}
    for action in actions:
        service = service_of(action.source)
        known = reviewed(service, action.name)
        if known and known.removes:
            thing = _thing(action, known.removes)
            first[thing] = min(first.get(thing, action.time), action.time)
        elif restored := _RESTORED.get((service, operation_of(action.name))):
            thing = _thing(action, restored)
            if None not in thing:  # else it may be another
                added[thing] = min(added.get(thing, action.time), action.time)
    return first, added


def _thing(action: AttackerAction, removal: Removal) -> _Thing:
    """The protection that an action removes or adds. Outside IAM, the same name in another region is another one."""
    anywhere = service_of(action.source) in ("iam", "organizations")
    named = (
        told_caseless(one, action.asked(one) or ("" if one in removal.optional else None))
        for one in removal.members
    )
    return min(removal.restored_by), action.account, "" if anywhere else action.region, *named
