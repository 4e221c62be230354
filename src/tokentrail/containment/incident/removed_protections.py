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
from tokentrail.containment.incident.persistence import AttackerAction
from tokentrail.containment.incident.reversal_index import ReversalIndex, is_about_protection
from tokentrail.lineage.rows import object_of
from tokentrail.spelling import listed

_RESTORED = {
    (one.service, restoring): one.removes
    for one in every_reviewed() if one.removes for restoring in one.removes.restored_by
}  # fmt: skip
"""By call: the removal that it reverses."""
_Thing = tuple[str | None, ...]
"""A protection: a call that adds it, the account, the region, and the values of the parameters that name it."""
_NAMES = ("name", "trailName", "eventDataStore", "detectorId")


def removed_protections(
    deeds: Sequence[AttackerAction],
    reversals: ReversalIndex,
    going: Collection[Principal],
) -> Iterator[str]:
    """
    Sentences about what deeds removed, by who did it and by kind.

    Args:
        deeds: The changes that tainted credentials made.
        reversals: What was restored since, and which users and roles were deleted: they need no protection.
        going: The users and roles that the attacker made, and that a plan deletes or denies.
    """
    told: dict[tuple[str, str], list[str]] = {}
    first, added = _removed_and_added(deeds)
    for deed in deeds:
        known = reviewed(service_of(deed.source), deed.name)
        if known and known.removes and is_about_protection(known.operation, object_of(deed.request)):
            thing, back = _thing(deed, known.removes), reversals.restored(deed, known.removes)
            own = thing in added and added[thing] <= first[thing]
            if not own and (back is None or back <= deed.time) and not reversals.is_of_deleted(deed, going):
                named = map(deed.asked, known.removes.members)
                told.setdefault((deed.by, known.removes.what), []).append(deed.said(named))
        elif known and known.verdict == "changes_log":
            told.setdefault((deed.by, ""), []).append(deed.said(map(deed.asked, _NAMES)))
    for (by, what), calls in told.items():
        if what:
            yield f"{by} took away {what}, which no step gives back; look at it by hand: {listed(calls, 3)}"
        else:
            yield (
                f"{by} turned off the log or what watches it, or changed what it holds, and no step turns it on again: "
                f"what happens there may be in no evidence, of `verify` neither; look at it first: {listed(calls, 3)}"
            )


def _removed_and_added(
    deeds: Iterable[AttackerAction],
) -> tuple[dict[_Thing, datetime], dict[_Thing, datetime]]:
    """When the attacker first removed each protection, and first added it."""
    first: dict[_Thing, datetime] = {}
    added: dict[_Thing, datetime] = {}
    for deed in deeds:
        service = service_of(deed.source)
        known = reviewed(service, deed.name)
        if known and known.removes:
            thing = _thing(deed, known.removes)
            first[thing] = min(first.get(thing, deed.time), deed.time)
        elif restored := _RESTORED.get((service, operation_of(deed.name))):
            thing = _thing(deed, restored)
            if None not in thing:  # else it may be another
                added[thing] = min(added.get(thing, deed.time), deed.time)
    return first, added


def _thing(deed: AttackerAction, removal: Removal) -> _Thing:
    """The protection that a deed removes or adds. Outside IAM, the same name in another region is another one."""
    anywhere = service_of(deed.source) in ("iam", "organizations")
    named = (
        told_caseless(one, deed.asked(one) or ("" if one in removal.optional else None))
        for one in removal.members
    )
    return min(removal.restored_by), deed.account, "" if anywhere else deed.region, *named
